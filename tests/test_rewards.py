"""The text of a reward: what it says, what is refused, and what its parts make of replies."""

from __future__ import annotations

import pytest
import torch

from tests.roles import PPO, PROMPTS, digests, stir, with_four_roles, with_sft
from workbench import Lab, PpoRecipe, functions, rewards
from workbench.checks import judge_of
from workbench.engine import ppo, scoring
from workbench.errors import AdapterError, CorpusError, RecipeError
from workbench.rewards import Term, parse
from workbench.store import Store

SCORES = {"reward-1": torch.tensor([1.0, -2.0]), "reward-2": torch.tensor([3.0, -4.0])}
SAID = scoring.Said([[{"role": "user", "content": "Are you open?"}]] * 2, ["Yes, we are open. Come in!", ""], torch.tensor([10, 0]), 40)
MODULE = """
def letters(prompt, reply):
    return len(reply) + len(prompt[-1]["content"])

def word(prompt, reply):
    return "much"

number = 7
"""


@pytest.fixture
def lab(tmp_path) -> Lab:
    (tmp_path / "polite_scores.py").write_text(MODULE)
    return Lab(tmp_path / "lab")


@pytest.mark.parametrize(("text", "terms"), [
    ("reward-1", [Term(1, "run", ("reward-1",))]),
    ("0.8*reward-1+0.2*rule:customer-service", [Term(0.8, "run", ("reward-1",)), Term(0.2, "rule", ("customer-service",))]),
    (" reward-1-0.3 * length ", [Term(1, "run", ("reward-1",)), Term(-0.3, "length")]),
    ("min(reward-1, reward-12)", [Term(1, "min", ("reward-1", "reward-12"))]),
    ("-2*mean(reward-1,reward-2)", [Term(-2, "mean", ("reward-1", "reward-2"))]),
    ("uwo(reward-1,reward-2)", [Term(1, "uwo", ("reward-1", "reward-2"), 0.5)]),
    ("uwo(0.1, reward-1, reward-2) + my.module:score_it", [Term(1, "uwo", ("reward-1", "reward-2"), 0.1), Term(1, "function", ("my.module:score_it",))]),
])
def test_a_reward_is_read(text, terms):
    assert parse(text) == terms


@pytest.mark.parametrize(("text", "fault"), [
    ("", "a reward is missing at its end"), ("reward-1 +", "a reward is missing at its end"), ("0.8 reward-1", r"a '\*' is missing before 'reward-1'"),
    ("reward-1 reward-2", r"a \+ or - is missing before 'reward-2'"), ("min(reward-1)", "needs at least two different runs"),
    ("min(reward-1, reward-1)", "at least two different"), ("min(reward-1, length)", "a reward run is missing before 'length"),
    ("min(reward-1, reward-2", r"a '\)' is missing at its end"), ("max(reward-1, reward-2)", "'max' is no reward"), ("reward-1; import os", "'; import os' is not understood"),
    ("__import__('os')", "is not understood"), ("0.5*", "a reward is missing at its end"), ("1e9*reward-1", r"a '\*' is missing"),
])
def test_a_fault_names_its_place_and_shows_how_it_is_written(text, fault):
    with pytest.raises(RecipeError, match=fault) as found:
        parse(text)
    assert 'write for example "reward-1"' in str(found.value)


def test_a_reward_knows_its_runs_functions_and_rules():
    text = "min(reward-2, reward-1) + 0.5*reward-2 - length + a.b:c + rule:code-helper"
    assert (rewards.runs(text), rewards.functions(text), rewards.rules(text)) == (["reward-2", "reward-1"], ["a.b:c"], ["code-helper"])
    assert PpoRecipe(sft="sft-1", reward=text).needs() == ["sft-1", "reward-2", "reward-1"]
    assert [str(term) for term in parse("uwo(0.1,reward-1,reward-2)+rule:x-y - length")] == ["uwo(0.1, reward-1, reward-2)", "rule:x-y", "length"]


@pytest.mark.parametrize(("text", "expected"), [
    ("reward-1", [1, -2]), ("min(reward-1,reward-2)", [1, -4]), ("mean(reward-1,reward-2)", [2, -3]), ("uwo(reward-1,reward-2)", [2 - 0.5 * 1, -3 - 0.5 * 1]),
    ("0.5*reward-1 - 2*length", [0.5 - 0.5, -1]), ("2*reward-1", [2, -4]), ("reward-1 + reward-2", [4, -6])])
def test_parts_are_weighed_as_worked_by_hand(text, expected):
    assert scoring.Reward(text).total(SCORES, SAID).tolist() == pytest.approx(expected)


def test_a_packs_rule_scores_what_the_pack_scores():
    from workbench import packs

    pack = packs.load("customer-service")
    found = scoring.Reward("rule:customer-service").total({}, SAID)
    assert found.tolist() == pytest.approx([pack.score(p, text) for p, text in zip(SAID.prompts, SAID.texts, strict=True)])


def test_a_function_must_be_allowed_by_name_and_gives_a_number(lab, tmp_path):
    with pytest.raises(RecipeError, match="not allowed in this lab; where you trust it, run `workbench allow polite_scores:letters"):
        functions.reach(lab.home, "polite_scores:letters")
    for name in ("letters", "word", "number", "gone"):
        lab.allow(f"polite_scores:{name}", tmp_path)
    functions.reach(lab.home, "polite_scores:letters")
    assert scoring.Reward("0.5*polite_scores:letters").total({}, SAID).tolist() == [0.5 * (26 + 13), 0.5 * 13]
    with pytest.raises(RecipeError, match="returned 'much' for the reply 'Yes, we are open"):
        scoring.Reward("polite_scores:word").total({}, SAID)
    for name, fault in [("number", "is a int, not a function"), ("gone", "cannot be imported")]:
        with pytest.raises(RecipeError, match=fault):
            functions.reach(lab.home, f"polite_scores:{name}")


@pytest.mark.parametrize(("name", "fault"), [("polite_scores", "write module:function"), ("nowhere_to_be_found:score", "no module 'nowhere_to_be_found'")])
def test_what_cannot_be_imported_is_not_allowed(lab, tmp_path, name, fault):
    with pytest.raises(RecipeError, match=fault):
        lab.allow(name, tmp_path)


@pytest.mark.parametrize(("reward", "error", "fault"), [
    ("reward-9", AdapterError, "no adapter 'reward-9'"), ("sft-1", AdapterError, "sft-1 is a run of sft; here a run of reward is needed"),
    ("rule:nothing", CorpusError, "there is no pack 'nothing'"), ("os:getcwd", RecipeError, "os:getcwd is not allowed in this lab")])
def test_a_run_with_a_reward_that_is_not_there_is_refused(lab, reward, error, fault):
    lab.store.add_run("sft", "{}", 1)
    with pytest.raises(error, match=fault):
        lab.start(PpoRecipe(sft="sft-1", reward=reward))


def test_the_doctor_hears_of_the_least_accurate_model(tmp_path):
    store = Store(tmp_path / "lab.db")
    for accuracy in (0.8, 0.6):
        store.summarise(store.add_run("reward", "{}", 1).id, {"eval_accuracy": accuracy})
    assert judge_of(store, PpoRecipe(sft="sft-1", reward="min(reward-1,reward-2)"))["eval_accuracy"] == 0.6
    assert judge_of(store, PpoRecipe(sft="sft-1", reward="rule:customer-service")) == {}


def test_an_ensemble_and_a_rule_train_a_policy_and_its_first_ratio_is_one(tiny, tmp_path):
    """Stored as runs, read back as roles, and weighed as by hand."""
    donor = with_four_roles(tiny)
    stir(donor, "reward", seed=5)
    for name, role in (("sft-1", "sft"), ("reward-1", "reward"), ("reward-2", "reward")):
        donor.save(role, tmp_path / "adapters" / name, {})
        stir(donor, "reward", seed=6)
    recipe = PPO.replace(reward="min(reward-1, reward-2) + 0.1*rule:customer-service", steps=1, epochs=1, record=1.0)
    backbone = with_sft(tiny)
    ppo.load(recipe, backbone, tmp_path / "adapters")
    assert {"reward", "reward_2", "value", "policy", "sft"} <= set(backbone.roles())
    before = digests(backbone)
    [step] = ppo.train(recipe, backbone, PROMPTS)
    assert step.numbers["first_ratio_dev"] == 0 and step.numbers["score_gap"] < 1e-4
    after = digests(backbone)
    assert {role for role in before if before[role] != after[role]} == {"policy", "value"}
    alone = {}
    for name in ("reward-1", "reward-2", "rule:customer-service"):
        other = with_sft(tiny)
        single = recipe.replace(reward=name)
        ppo.load(single, other, tmp_path / "adapters")
        alone[name] = [row.score for row in next(ppo.train(single, other, PROMPTS)).rollouts]
    expected = [min(a, b) + 0.1 * rule for a, b, rule in zip(*alone.values(), strict=True)]
    assert [row.score for row in step.rollouts] == pytest.approx(expected, abs=1e-4)
