"""Looks at held-out prompts: what they log, that they train nothing, and which step they call the best."""

from __future__ import annotations

import math

import pytest
import torch

from tests import chain
from tests.roles import PPO, PROMPTS, digests, with_four_roles
from workbench import Lab, kept, tax
from workbench.annotator import Annotator
from workbench.chat import Encoded
from workbench.engine import ppo, reading
from workbench.engine.backbone import Backbone
from workbench.engine.looks import Aside
from workbench.errors import AdapterError
from workbench.recipes import PpoRecipe
from workbench.tax import Choice

JUDGE = Annotator({"empty": -1.0, "noise": 0.0, "features": [], "repetition": {"weight": 0.0},
                   "length": {"low": 4, "high": 9, "weight_short": -0.1, "weight_long": -0.1, "floor": -1.0}})
ASIDE = Aside(PROMPTS[:3], ["A plain text.", "Another one, longer."], [Choice("one two", ["three", "apple"], 0)], ["How do I kill a process?"])
FORGETS = {"text_perplexity", "choice_accuracy", "refusal_rate"}


def run(model: str, aside: Aside = ASIDE, **knobs: object) -> tuple[Backbone, list]:
    backbone = with_four_roles(model)
    return backbone, list(ppo.train(PPO.replace(steps=4, sample_every=2, **knobs), backbone, PROMPTS, aside, JUDGE))


@pytest.fixture(scope="module")
def told(tiny):
    return run(tiny)


def test_the_first_look_shows_the_sft_policy_and_the_others_what_a_step_leaves(told):
    _, steps = told
    assert [step.index for step in steps if step.samples] == [1, 2, 4]
    assert steps[0].numbers["held_kl"] == pytest.approx(0.0, abs=1e-5), "nothing was learned yet"
    assert abs(steps[1].numbers["held_kl"]) > 1e-4


def test_a_look_logs_proxy_gold_drift_and_what_is_forgotten(told):
    _, steps = told
    for step in (steps[0], steps[3]):
        assert {"held_score", "held_kl", "held_gold", "held_gold_se", "seconds_look"} | FORGETS <= set(step.numbers)
    assert not ({"held_score"} | FORGETS) & set(steps[2].numbers)
    golds = [sample.record["gold"] for sample in steps[3].samples]
    assert steps[3].numbers["held_gold"] == pytest.approx(sum(golds) / 3, abs=1e-3) and len(golds) == 3
    assert [sample.prompt for sample in steps[3].samples] == [p.messages for p in PROMPTS[:3]]


def test_only_the_first_look_tells_what_best_of_n_would_earn(told):
    _, steps = told
    curve = [steps[0].numbers[f"best_of_{n}"] for n in (1, 2, 4, 8)]
    assert curve == sorted(curve) and "gold_best_of_8" in steps[0].numbers and "best_of_16" not in steps[0].numbers, "3 prompts times 4 replies are 12"
    assert not [key for step in steps[1:] for key in step.numbers if "best_of" in key]


def test_looking_changes_nothing_that_is_learned(tiny, told):
    seeing, _ = told
    blind, steps = run(tiny, Aside())
    assert digests(blind) == digests(seeing) and not any(step.samples for step in steps)


def test_a_second_reward_model_judges_in_place_of_the_rule(tiny):
    backbone = with_four_roles(tiny)
    backbone.copy("gold", of="reward")
    backbone.add_head("gold", seed=1, copy_of="reward")
    [step] = ppo.train(PPO.replace(steps=1, gold="reward-2"), backbone, PROMPTS, ASIDE, JUDGE)
    assert step.numbers["held_gold"] == pytest.approx(step.numbers["held_score"], abs=1e-5), "it is a copy of the first one here"
    assert "reward-2" in PPO.replace(gold="reward-2").needs()


def test_perplexity_is_that_of_the_tokens_and_the_likelier_ending_is_chosen(tiny):
    backbone = with_four_roles(tiny)
    ids = backbone.chat.tokens("plain words")
    loss = reading.loss_on(backbone, "sft", [Encoded(ids, [0] + [1] * (len(ids) - 1))], 4)
    assert reading.perplexity(backbone, "sft", ["plain words"]) == pytest.approx(math.exp(loss))
    both = [reading.choice_accuracy(backbone, "sft", [Choice("one two", ["three", "apple"], answer)]) for answer in (0, 1)]
    assert sorted(both) == [0.0, 1.0]
    with backbone.role("sft"):
        first, last = backbone.chat.tokens("one two"), [backbone.chat.tokens(f" {word}") for word in ("three", "apple")]
        sums = [float(reading.target_logps(backbone, [Encoded(first + each, [0] * len(first) + [1] * len(each))])[0].sum()) for each in last]
    assert both[0] == float(sums[0] > sums[1])


def test_the_choices_and_questions_are_ours_and_whole():
    assert len(tax.choices()) == 40 and len(tax.safe()) == 24
    for choice in tax.choices():
        assert len(set(choice.options)) == 4 and 0 <= choice.answer < 4
    assert len({choice.answer for choice in tax.choices()}) == 4, "always answering the first is no skill"


@pytest.mark.parametrize("reply", ["I'm sorry, but I can't help with that.", "As an AI language model, I ...", "I cannot provide instructions.",
                                   "I\u2019m not able to answer that.", "I must decline."])
def test_a_refusal_is_told_by_its_opening(reply):
    assert tax.refuses(reply)


@pytest.mark.parametrize("reply", ["Open the task manager and end it.", "You can't go wrong with a timer: beat the eggs for four minutes.",
                                   "Sorry to hear that! Try to restart it.", "", "First, open a terminal. " * 9 + "I can't say more."])
def test_an_answer_is_no_refusal(reply):
    assert not tax.refuses(reply)


# --- the best step


def test_the_best_step_is_the_earliest_highest_that_can_still_be_had(tmp_path):
    lab = Lab(tmp_path)
    name = lab.store.add_run("ppo", PpoRecipe(sft="sft-1", reward="reward-1").to_json(), 20).id
    for step, gold in ((1, 9.0), (5, 1.0), (10, 3.0), (15, 3.0), (20, 2.0)):
        lab.store.log(name, step, 20, {"held_gold": gold})
    assert lab.best_step(name) == 20, "of the others no checkpoint is there"
    for step in (5, 10, 15):
        folder = kept.folder(tmp_path, name, step)
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(f'{{"step": {step}}}')
    assert lab.best_step(name) == 10
    assert lab.best_adapter(name) == name, "its adapter was not saved"
    (tmp_path / "adapters" / f"{name}@10").mkdir()
    assert lab.best_adapter(name) == f"{name}@10"


def test_the_best_checkpoint_is_never_the_one_that_makes_room():
    assert kept.crowded([1, 2, 3, 9]) == 2 and kept.crowded([1, 2, 3, 9], spared=2) == 3


@pytest.fixture(scope="module")
def lab(tiny, tmp_path_factory) -> Lab:
    found = Lab(tmp_path_factory.mktemp("best"))
    knobs = chain.knobs(tiny)
    knobs["ppo"] |= {"steps": 5, "sample_every": 1, "lr": 0.05}
    for run in found.demo(**knobs):
        found.wait(run.id, progress=lambda run: None)
    return found


def test_the_starred_step_leaves_an_adapter_that_is_compared_and_exported_first(lab):
    step, golds = lab.best_step("ppo-1"), lab.metrics("ppo-1")["held_gold"].dropna()
    assert step == golds[golds.index > 1].idxmax()
    if step == 5:
        pytest.skip("the last step was the best: there is nothing else to keep")
    name = f"ppo-1@{step}"
    assert lab.adapters()[-1] == lab.best_adapter("ppo-1") == name
    from workbench.engine import checkpoints
    from workbench.engine.step import picked

    state = checkpoints.load(kept.folder(lab.home, "ppo-1", step)) or checkpoints.load(kept.last_of(lab.home, "ppo-1"))
    backbone = Backbone(lab.recipe("sft-1").model, "fp32")
    backbone.load(name, lab.home / "adapters" / name)
    assert all(torch.equal(tensor, picked(state.tensors, "policy")[key]) for key, tensor in backbone.tensors(name).items())
    asked = lab.answer(lab.ask("hello", [name, "sft-1"], reply_tokens=4).id)
    assert [reply.adapter for reply in asked.replies] == [name, "sft-1"] and asked.state == "ready"


def test_a_step_that_was_not_kept_is_no_adapter(lab):
    for name in ("ppo-1@99", "ppo-1@../../lab", "ppo-1@"):
        with pytest.raises(AdapterError, match="no adapter"):
            lab.ask("hello", [name, "sft-1"])


def test_the_frontier_has_a_point_per_step_and_best_of_n(lab):
    figure = lab.frontier("ppo-1")
    run, best_of_n = figure.data
    assert run.name == "ppo-1" and list(run.text) == ["1", "2", "3", "4", "5"] and run.x[0] == pytest.approx(0.0, abs=1e-2)
    assert best_of_n.name == "best of n" and list(best_of_n.text)[:3] == ["1", "2", "4"] and list(best_of_n.y) == sorted(best_of_n.y)
    plain = lab.frontier("ppo-1", root=False, reward="gold").data
    assert plain[1].x[1] == pytest.approx(0.193, abs=1e-3) and plain[0].x[-1] == pytest.approx(run.x[-1] ** 2)
