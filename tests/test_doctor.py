"""The doctor: each rule has a trace that raises it and one that must not, and causes stand before symptoms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.traces import HEALTHY, LAST, LOOKS, trace, wave
from workbench import doctor
from workbench.doctor.rule import Case
from workbench.doctor.trace import Row, Trace
from workbench.recipes import PpoRecipe, Recipe, RewardRecipe, SftRecipe

RECIPES: dict[str, Recipe] = {"sft": SftRecipe(), "reward": RewardRecipe(sft="sft-1"), "ppo": PpoRecipe(sft="sft-1", reward="reward-1")}
COIN = {"eval_accuracy": 0.51, "eval_accuracy_low": 0.4, "eval_accuracy_high": 0.62}


def after(step: int, sick: float, well: float):
    """Well up to a step, sick after it."""
    return lambda t: sick if t > step else well


# stage, rule, what makes it sick (metrics, knobs, reward run), and what is near but must not raise it
CASES = [
    ("ppo", "D-03", {"first_ratio_dev": 0.4}, {"first_ratio_dev": 0.1}),
    ("ppo", "D-02", {"generation_mismatch": 0.2}, {"generation_mismatch": 0.06}),
    ("ppo", "D-01", {"kl_seq": lambda t: 3.0 + 0.2 * t, "kl3_seq": lambda t: 3.0 + 0.2 * t}, {"kl_seq": lambda t: 0.02 + 0.2 * (t - 1)}),
    ("ppo", "D-53", {"surprise": lambda t: 0.9 - 0.0075 * t + 0.09 * wave(3 * t)}, {"surprise": lambda t: 1.18 - 0.0075 * t + 0.09 * wave(3 * t)}),
    ("ppo", "D-06", {"score_gap": 0.9}, {"score_gap": 0.05}),
    ("ppo", "D-07", {"end_counted": 0.0}, {"eos_rate": 1.0}),
    ("ppo", "D-09", {"score_sd": 0.0}, {"score_sd": lambda t: 0.4}),
    ("ppo", "D-05", {"grad_norm": 0.0}, {"grad_norm": 1e-6}),
    ("ppo", "D-05", {"value_grad_norm": 0.0}, {"value_grad_norm": 1e-6}),
    ("ppo", "D-55", {"frozen_moved": 1.0}, {"frozen_moved": 0.0}),
    ("ppo", "D-10", {"judge": {"beats_empty": 0.6}}, {"judge": {"beats_empty": 0.9}}),
    ("ppo", "D-08", {"judge": COIN}, {"judge": {"eval_accuracy": 0.63, "eval_accuracy_low": 0.52, "eval_accuracy_high": 0.73}}),
    ("ppo", "D-54", {"score": lambda t: 4.0 + 0.1 * wave(t)}, {"score": lambda t: 1.5 + 0.1 * wave(t) + 0.05 * t}),
    ("ppo", "D-50", {"kl_weight": 0.0}, {"kl_weight": 0.01}),
    ("ppo", "D-51", {"value_lr": 0.0}, {"value_lr": 1e-6}),
    ("ppo", "D-52", {"batch": 2, "minibatch": 1, "micro_batch": 1}, {"batch": 8, "minibatch": 4}),
    ("ppo", "D-32", {"policy_loss": lambda t: None if t == 7 else 0.0}, {"policy_loss": 0.0}),
    ("ppo", "D-30", {"approx_kl": after(20, 0.3, 0.01)}, {"approx_kl": lambda t: 0.12 if t == 20 else 0.01}),
    ("ppo", "D-30", {"updates": after(20, 1.0, 4.0)}, {"updates": 3.0}),
    ("ppo", "D-31", {"approx_kl": 1e-7, "clipfrac": 0.0}, {"approx_kl": 4e-4, "clipfrac": 0.0}),
    ("ppo", "D-31", {"approx_kl": 1e-7, "clipfrac": 0.0}, {"approx_kl": 0.0, "clipfrac": 0.0, "minibatch": 16}),
    ("ppo", "D-23", {"length_score": 0.95}, {"length_score": lambda t: 0.55 + 0.1 * wave(t)}),
    ("ppo", "D-23", {"length_score": 0.6, "reply_tokens": lambda t: 20 + t, "gold": lambda t: 1.0 + 0.05 * wave(t)}, {"reply_tokens": lambda t: 20 + t}),
    ("ppo", "D-23", {"length_score": 0.95}, {"length_score": 0.6, "reply_tokens": lambda t: 20 + t}),  # the held-out rule rises as well
    ("ppo", "D-22", {"gold": lambda t: 1.0 - 0.02 * t + 0.02 * wave(t)}, {"gold": lambda t: 1.0 + 0.01 * t + 0.02 * wave(t)}),
    ("ppo", "D-22", {"gold": lambda t: 1.0 + (0.06 * t if t < 15 else 0.9 - 0.03 * (t - 15)) + 0.02 * wave(t)},
     {"gold": lambda t: 1.0 + (0.06 * t if t < 15 else 0.9) + 0.05 * wave(t)}),  # it rose, and fell; it rose, and stays
    ("ppo", "D-20", {"kl_seq": lambda t: 1.0 * (t - 1)}, {"kl_seq": lambda t: 0.5 * (t - 1)}),
    ("ppo", "D-21", {"kl_seq": lambda t: -1.2 if t == 5 else 0.1}, {"kl_seq": lambda t: -1.2 if t == 5 else 0.1, "kl_se": 0.8}),
    ("ppo", "D-21", {"kl_seq": lambda t: 0.0 if t == 1 else -0.7}, {"kl_seq": lambda t: -0.3 if t == 5 else 0.1 * (t - 1)}),
    ("ppo", "D-26", {"entropy": lambda t: 1.2 * 0.85**t, "surprise": lambda t: 1.2 * 0.85**t}, {"entropy": lambda t: 1.2 - 0.02 * t}),
    ("ppo", "D-26", {"same_replies": after(20, 0.7, 0.0)}, {"same_replies": 0.3}),
    ("ppo", "D-27", {"entropy": lambda t: 1.2 + 0.04 * t, "surprise": lambda t: 1.2 + 0.04 * t}, {"entropy": lambda t: 1.2 + 0.01 * t}),
    ("ppo", "D-24", {"reply_tokens": after(20, 9.0, 28.0)}, {"reply_tokens": after(20, 18.0, 28.0)}),
    ("ppo", "D-24", {"reply_tokens": after(20, 9.0, 28.0)}, {"reply_tokens": after(20, 9.0, 28.0), "eos_rate": after(1, 1.0, 0.1)}),
    ("ppo", "D-25", {"eos_rate": after(20, 0.3, 1.0)}, {"eos_rate": 0.93}),
    ("ppo", "D-34", {"score_clipped": after(20, 0.3, 0.0)}, {"score_clipped": 0.05}),
    ("ppo", "D-38", {"score_sd": after(20, 0.01, 1.0)}, {"score_sd": after(20, 0.3, 1.0)}),
    ("ppo", "D-28", {"explained_variance": -1.5}, {"explained_variance": lambda t: -0.1 + 0.1 * wave(t)}),
    ("ppo", "D-28", {"explained_variance": -0.2, "value_loss": after(20, 2.0, 0.2)}, {"value_loss": after(20, 2.0, 0.2)}),
    ("ppo", "D-28", {"value_clipfrac": 0.7}, {"value_clipfrac": lambda t: 0.7 if t < 8 else 0.4}),
    ("ppo", "D-33", {"grad_norm": lambda t: 30.0 if t in (20, 25, 30) else 1.0}, {"grad_norm": lambda t: 5.0 if t in (20, 25, 30) else 1.0}),
    ("ppo", "D-35", {"text_perplexity": lambda t: 50 + 0.6 * t}, {"text_perplexity": lambda t: 80.0 if t == 20 else 52.0}),
    ("ppo", "D-35", {"text_perplexity": lambda t: 50 + 0.2 * t}, {"text_perplexity": lambda t: 50 + 0.2 * t}),  # a hint only
    ("ppo", "D-36", {"refusal_rate": after(10, 0.25, 0.0)}, {"refusal_rate": after(30, 0.25, 0.0)}),
    ("ppo", "D-29", {"score": lambda t: 0.15 * wave(t)}, {"score": lambda t: 0.05 * t + 0.15 * wave(t)}),
    ("ppo", "D-37", {"seconds_generate": 60.0}, {"seconds_generate": 15.0}),
    ("sft", "D-47", {"ends_trained": 0.0}, {"ends_trained": 0.9}),
    ("sft", "D-32", {"loss": lambda t: None if t in (3, 4, 5) else 2.0}, {"loss": 2.0}),
    ("sft", "D-05", {"grad_norm": 0.0}, {"grad_norm": 0.01}),
    ("sft", "D-45", {"loss": lambda t: 3.0 - 0.05 * t if t < 20 else 6.0}, {"loss": lambda t: 2.0 + 0.5 * wave(t)}),
    ("sft", "D-45", {"loss": lambda t: 9.0 if t in (6, 8) else 3.0 - 0.01 * t}, {"loss": lambda t: 4.0 if t == 6 else 3.0 - 0.01 * t}),
    ("sft", "D-46", {"loss": lambda t: 3.2 + 0.02 * wave(t)}, {"loss": lambda t: 3.2 - 0.01 * t}),
    ("sft", "D-40", {"eval_loss": lambda t: 2.4 + 0.02 * t}, {"eval_loss": lambda t: 2.4 + 0.001 * t}),
    ("sft", "D-41", {"eos_rate": 0.0}, {"eos_rate": lambda t: 0.0 if t < 20 else 0.67}),
    ("sft", "D-33", {"grad_norm": lambda t: 50.0 if t == 9 else 1.0}, {"grad_norm": lambda t: 4.0 if t == 9 else 1.0}),
    ("reward", "D-33", {"grad_norm": lambda t: 50.0 if t in (9, 12, 15) else 1.0}, {"grad_norm": lambda t: 0.1 * 1.5 ** max(0, t - 30)}),  # a fresh adapter's grows
    ("reward", "D-32", {"loss": lambda t: None if t == 3 else 0.6}, {"loss": 0.6}),
    ("reward", "D-05", {"grad_norm": 0.0}, {"grad_norm": 0.1}),
    ("reward", "D-09", {"raw_sd": 1e-5}, {"raw_sd": 0.02}),
    ("reward", "D-45", {"loss": lambda t: 0.69 if t == 1 else 1.4}, {"loss": lambda t: 0.69 + 0.3 * wave(t)}),
    ("reward", "D-43", {"length_score": 0.7, "longer_wins": 0.76}, {"length_score": 0.7, "longer_wins": 0.6}),
    ("reward", "D-43", {"length_score": -0.9}, {"length_score": -0.4}),
    ("reward", "D-42", {"accuracy": 0.99, "eval_accuracy": lambda t: 0.8 - 0.004 * t}, {"accuracy": 0.99}),
    ("reward", "D-08", {"eval_accuracy": 0.553, "eval_accuracy_low": 0.44, "eval_accuracy_high": 0.66},  # by luck; too few to tell
     {"eval_accuracy": 0.606, "eval_accuracy_low": 0.42, "eval_accuracy_high": 0.77}),
    ("reward", "D-08", {"eval_accuracy": 0.51, "eval_accuracy_low": 0.4}, {"eval_accuracy": 0.6, "eval_accuracy_low": 0.52}),
    ("reward", "D-10", {"beats_empty": 0.4}, {"beats_empty": 0.9}),
    ("reward", "D-11", {"beats_padding": 0.3}, {"beats_padding": 0.55}),
    ("reward", "D-44", {"eval_ece": 0.3}, {"eval_ece": 0.08}),
    ("reward", "D-33", {"grad_norm": lambda t: 50.0 if t == 9 else 1.0}, {"grad_norm": lambda t: 8.0 if t == 9 else 1.0}),
    ("reward", "D-33", {"grad_norm": lambda t: 50.0 if t in (9, 19, 29) else 1.0}, {"grad_norm": lambda t: 0.9 if t > 33 else 0.03}),  # it finds something to learn
]


def parted(stage: str, changes: dict, steps: int = 40) -> tuple[Recipe, list[Row], dict]:
    """A recipe, rows and the reward run's summary: a change is of a metric if the stage logs it, else of a knob."""
    logged = HEALTHY[stage].keys() | LOOKS[stage].keys() | LAST[stage].keys()
    knobs = {key: value for key, value in changes.items() if key not in logged and key != "judge"}
    metrics = {key: value for key, value in changes.items() if key in logged}
    return RECIPES[stage].replace(**knobs), trace(stage, steps, **metrics), changes.get("judge", {})


def examined(stage: str, changes: dict, steps: int = 40) -> list[doctor.Finding]:
    return doctor.examine(stage, *parted(stage, changes, steps))


def raised(stage: str, changes: dict) -> set[str]:
    """The rules that say yes, folded under another or not."""
    recipe, rows, judge = parted(stage, changes)
    case = Case(recipe, Trace(rows), judge)
    return {rule.id for rule in doctor.RULES[stage] if rule.sees(case)}


@pytest.mark.parametrize("stage", doctor.RULES)
@pytest.mark.parametrize("steps", [1, 2, 5, 15, 40, 120])
def test_a_healthy_run_of_any_length_raises_nothing_at_all(stage: str, steps: int) -> None:
    assert [finding.rule for finding in examined(stage, {}, steps)] == []


@pytest.mark.parametrize(("stage", "rule", "sick", "well"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_each_rule_is_raised_by_its_sickness_and_not_by_its_neighbour(stage: str, rule: str, sick: dict, well: dict) -> None:
    assert rule in raised(stage, sick)
    assert rule not in {finding.rule for finding in examined(stage, well) if finding.severity != "info"}


def test_the_page_of_rules_names_every_rule_and_says_which_thresholds_are_heuristics() -> None:
    lines = (Path(__file__).parents[1] / "docs" / "doctor.md").read_text().splitlines()
    told = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| D-")]
    listed = {(rule, stage, title, kind.removesuffix(" |").strip()) for rule, stages, title, _, kind in told for stage in stages.split(", ")}
    assert listed == {(rule.id, stage, rule.title, "heuristic" if rule.is_heuristic else "exact") for stage, rules in doctor.RULES.items() for rule in rules}


def test_every_rule_has_its_two_traces() -> None:
    assert {(case[0], case[1]) for case in CASES} == {(stage, rule.id) for stage, rules in doctor.RULES.items() for rule in rules}


@pytest.mark.parametrize("stage", doctor.RULES)
def test_every_rule_means_something_in_two_sentences_and_its_remedy_is_a_recipe(stage: str) -> None:
    for rule in doctor.RULES[stage]:
        assert rule.meaning.count(". ") == 1 and rule.meaning.endswith("."), rule.id
        assert rule.advice.endswith(".") and rule.title[0].isupper() and not rule.title.endswith(".")
        assert set(rule.changes) <= {knob.name for knob in RECIPES[stage].knobs()}, rule.id
        RECIPES[stage].replace(**rule.remedy(RECIPES[stage]))
        assert set(rule.explains) <= {other.id for rules in doctor.RULES.values() for other in rules}, rule.id


def test_a_finding_tells_the_figures_the_step_and_the_change_of_knobs() -> None:
    recipe = RECIPES["ppo"]
    [found] = examined("ppo", {"approx_kl": after(20, 0.3, 0.01)})
    assert (found.rule, found.severity, found.since) == ("D-30", "warn", 21)
    assert found.figures["approx_kl"] == 0.3 and found.figures["steps like this"] == 20
    assert recipe.replace(**found.remedy).lr == pytest.approx(recipe.lr / 3, rel=0.05)
    told = "\n".join(doctor.as_lines(found, recipe))
    assert "since step 21" in told and "lr 0.0002 -> 6.7e-05" in told and "heuristic" in told and "KL of one update 0.3 nats" in told
    assert json.loads(json.dumps(doctor.as_record(found, recipe)))["changes"][0] == "lr 0.0002 -> 6.7e-05"


def test_symptoms_are_folded_under_their_cause() -> None:
    sick = {"approx_kl": after(5, 0.5, 0.01), "entropy": lambda t: 1.2 * 0.8**t, "surprise": lambda t: 1.2 * 0.8**t, "kl_seq": lambda t: 2.0 * (t - 1)}
    [found] = examined("ppo", sick)
    assert found.rule == "D-30"
    assert set(found.symptoms) == {"The policy gives one answer to everyone", "The policy has drifted far from SFT"}


def test_a_cause_is_as_grave_as_what_it_led_to() -> None:
    [found] = examined("ppo", {"approx_kl": lambda t: 2.4 if t == 1 else 0.0, "clipfrac": lambda t: 0.3 if t == 1 else 0.0,
                               "grad_norm": lambda t: 3.5 if t == 1 else 0.0}, 4)
    assert (found.rule, found.severity, found.symptoms) == ("D-30", "stop", ("The adapter gets no gradient",))
    hint = examined("reward", {"beats_empty": 0.5, "eval_accuracy": 0.51})
    assert [(each.rule, each.severity) for each in hint] == [("D-08", "warn")]


def test_what_began_long_before_is_not_a_symptom() -> None:
    found = examined("ppo", {"eos_rate": 0.2, "approx_kl": after(30, 0.5, 0.01)})
    assert [finding.rule for finding in found] == ["D-30", "D-25"]


def test_what_stops_a_run_stands_first_and_explains_the_rest() -> None:
    found = examined("ppo", {"kl_seq": lambda t: 40.0, "kl3_seq": 40.0, "same_replies": 0.7, "kl_weight": 0.0})
    assert [finding.rule for finding in found] == ["D-01", "D-50"]
    assert "The policy gives one answer to everyone" in found[0].symptoms + found[1].symptoms


def test_only_what_makes_going_on_pointless_halts() -> None:
    recipe = RECIPES["ppo"]
    assert doctor.halting("ppo", recipe, trace("ppo", 3)) is None
    assert doctor.halting("ppo", recipe, trace("ppo", approx_kl=3.0)) is None
    assert doctor.halting("ppo", recipe, trace("ppo", policy_loss=lambda t: None if t == 39 else 0.0)) is None
    assert doctor.halting("ppo", recipe, trace("ppo", policy_loss=lambda t: None if t > 37 else 0.0)).rule == "D-32"
    found = doctor.halting("ppo", recipe, trace("ppo", 1, score_sd=0.0))
    assert found.rule == "D-09"
    reason = doctor.reason(found, recipe)
    assert "The reward says the same of every reply at step 1" in reason and "spread of scores 0" in reason and found.advice in reason


def test_exact_arithmetic_is_held_to_a_finer_measure() -> None:
    slightly = trace("ppo", 3, generation_mismatch=0.01)
    assert doctor.examine("ppo", RECIPES["ppo"], slightly) == []
    assert doctor.examine("ppo", RECIPES["ppo"].replace(precision="fp32"), slightly)[0].rule == "D-02"


@pytest.mark.parametrize(("reward", "is_held"), [("reward-1", True), ("min(reward-1, reward-2)", True), ("0.5*reward-1 + 0.5*reward-2", True),
                                                 ("reward-1 + rule:customer-service", False), ("rule:code-helper", False), ("8*reward-1", False)])
def test_only_what_reward_models_alone_say_is_held_to_their_scale(reward: str, is_held: bool) -> None:
    found = doctor.examine("ppo", RECIPES["ppo"].replace(reward=reward), trace("ppo", 3, score=4.0))
    assert [each.rule for each in found] == ["D-54"] * is_held


@pytest.mark.parametrize(("rule", "changes", "knob"), [
    ("D-23", {"length_score": after(20, 0.1, 0.9)}, "kl_weight"), ("D-20", {"kl_seq": lambda t: 0.0 if t == 1 else 30.0 if t < 20 else 4.0}, "lr"),
    ("D-30", {"approx_kl": after(20, 0.01, 0.3)}, "lr"), ("D-33", {"grad_norm": lambda t: 50.0 if t in (9, 12, 15) else 1.0}, "lr"),
    ("D-32", {"policy_loss": lambda t: None if t == 9 else 0.0}, "lr")])
def test_a_run_is_not_held_ill_for_what_was_before_the_change_that_mended_it(rule: str, changes: dict, knob: str) -> None:
    case = ("ppo", *parted("ppo", changes))
    assert rule in [each.rule for each in doctor.examine(*case)]
    assert doctor.examine(*case, {knob: 21}) == []
    assert rule in [each.rule for each in doctor.examine(*case, {knob: 41})], "it waits for the next step"
    assert rule in [each.rule for each in doctor.examine(*case, {"temperature": 21})], "another knob mends nothing"


def test_what_goes_on_after_a_change_is_found_since_then() -> None:
    case = ("ppo", *parted("ppo", {"length_score": 0.95}))
    assert [(each.rule, each.since) for each in doctor.examine(*case, {"kl_weight": 20})] == [("D-23", 20)]
    assert [(each.rule, each.since) for each in doctor.examine("ppo", *parted("ppo", {"kl_weight": 0.0}), {"kl_weight": 12})] == [("D-50", 12)]


@pytest.mark.parametrize(("price", "held", "found"), [(0.05, {"length_penalty": 20}, []), (0.05, {}, []), (0.02, {"length_penalty": 20}, ["D-23"]),
                                                      (0.05, {"length_penalty": 41}, ["D-23"])])
def test_a_reward_that_pays_for_length_harms_nobody_while_a_token_costs_what_it_earns(price: float, held: dict, found: list) -> None:
    rows = [*trace("ppo", 40, length_score=0.95), *((step, "length_slope", 0.05) for step in range(1, 41))]
    assert [each.rule for each in doctor.examine("ppo", RECIPES["ppo"].replace(length_penalty=price), rows, {}, held)] == found


def test_a_fork_with_a_larger_batch_is_not_blamed_for_the_few_updates_of_its_parent() -> None:
    recipe = RECIPES["ppo"].replace(batch=64)
    rows = trace("ppo", 40, updates=after(20, 16.0, 4.0))
    assert [each.rule for each in doctor.examine("ppo", recipe, rows)] == ["D-30"]
    assert doctor.examine("ppo", recipe, rows, {}, {"batch": 21}) == []
    assert doctor.examine("ppo", recipe, trace("ppo", 20), {}, {"batch": 21}) == [], "before its first own step"


@pytest.mark.parametrize(("golds", "error", "found"), [
    ((1.0, 1.5, 0.6, 0.4), 0.1, [("D-22", 20)]), ((1.0, 0.4, 0.3, 0.2), 0.1, [("D-22", 20)]), ((1.0, 1.5, 0.6, 0.4), 0.5, []), ((1.0, 1.5, 0.6), 0.1, []),
    ((1.0, 1.2, 1.5, 1.6), 0.1, []), ((1.0, 1.5, 0.4, 1.4), 0.1, [])])
def test_a_second_reward_model_that_only_judges_looks_is_heard_as_well(golds: tuple, error: float, found: list) -> None:
    rows = [row for row in trace("ppo", 40) if row[1] != "gold" and not row[1].startswith("held_")]
    for step, gold in zip((1, 10, 20, 30), golds, strict=False):
        rows += [(step, "held_gold", gold), (step, "held_gold_se", error), (step, "held_score", step / 10)]
    assert [(each.rule, each.since) for each in doctor.examine("ppo", RECIPES["ppo"].replace(gold="reward-2"), rows)] == found


def test_one_question_of_four_is_no_more_than_a_hint() -> None:
    rows = trace("ppo", 40, refusal_rate=after(10, 0.25, 0.0))
    severity = {replies: [each.severity for each in doctor.examine("ppo", RECIPES["ppo"].replace(look_replies=replies), rows)] for replies in (4, 8)}
    assert severity == {4: ["info"], 8: ["warn"]}


@pytest.mark.parametrize(("stage", "missing", "changes"), [
    ("sft", "loss", {"eval_loss": lambda t: 2.4 + 0.02 * t}), ("sft", "loss", {"eos_rate": 0.0}), ("reward", "accuracy", {}), ("reward", "eval_loss", {"accuracy": 0.99}),
    ("ppo", "reply_tokens", {"eos_rate": 0.3}), ("ppo", "clipfrac", {"approx_kl": 0.0})])
def test_a_curve_that_is_not_there_is_no_reason_to_fail(stage: str, missing: str, changes: dict) -> None:
    doctor.examine(stage, RECIPES[stage], [row for row in trace(stage, 40, **changes) if row[1] != missing])


def test_the_last_steps_of_a_run_alone_raise_no_false_start() -> None:
    late = [row for row in trace("ppo", 60) if row[0] > 50]
    assert doctor.examine("ppo", RECIPES["ppo"], late) == []


def test_the_verdict_is_one_line() -> None:
    sick = examined("ppo", {"kl_weight": 0.0, "eos_rate": 0.3})
    count = len(doctor.RULES["ppo"])
    assert doctor.headline("ppo", [], 1) == f"Healthy: {count} checks of 1 step found nothing wrong. What grows slowly takes ten steps to show."
    assert doctor.headline("ppo", [replace(sick[0], severity="info")], 15) == f"Healthy: {count} checks of 15 steps found nothing worse than a hint."
    assert doctor.headline("ppo", sick, 40) == "Nothing holds the policy near SFT, since step 1, and 1 more."
    assert doctor.headline("ppo", [], 0) == "No step yet to look at."
    assert "SFT, reward and PPO" in doctor.headline("evaluate", [], 3)


@pytest.mark.parametrize("stage", doctor.RULES)
@pytest.mark.parametrize("steps", [1, 2, 15, 40])
def test_a_run_is_called_healthy_on_grounds_that_stand_beside_their_limits(stage: str, steps: int) -> None:
    told = doctor.grounds(stage, trace(stage, steps))
    assert 2 <= len(told) <= 6 and all(each.endswith(".") for each in told)
    sick = examined("ppo", {"approx_kl": 0.4})
    assert doctor.grounds("evaluate", trace(stage, steps)) == doctor.grounds(stage, []) == doctor.grounds(stage, trace(stage), sick) == []


def test_the_grounds_are_the_figures_of_the_run() -> None:
    told = " ".join(doctor.grounds("ppo", trace("ppo", 40, kl_seq=7.25, eos_rate=0.96)))
    assert "drift from SFT is 7.2 nats per reply" in told and "beyond about 25" in told and "96 % of the replies end" in told


def test_figures_are_read_with_units_and_told_what_is_normal() -> None:
    told = {each.name: each for each in doctor.named({"clipfrac": 0.31, "approx_kl": 0.2, "loss at the start": 2.0, "grad_norm: steps without a number": 3, "leaps": 4})}
    assert [each.value for each in told.values()] == ["31 %", "0.2 nats", "2 nats", "3", "4"]
    assert list(told) == ["clipped tokens", "KL of one update", "loss at the start", "gradient length: steps without a number", "leaps"]
    assert "Normal: 0.01 to 0.2" in told["clipped tokens"].about and told["leaps"].about == ""
