"""What the sample browser is answered: steps, replies, tokens, other steps; nothing that JSON or a browser stumbles over."""

from __future__ import annotations

import json
import math

import pytest

from apps import samples as box
from tests.toy_rollouts import row
from workbench import changes, rollouts
from workbench.lab import Lab
from workbench.recipes import PpoRecipe

RECIPE = PpoRecipe(sft="sft-1", reward="reward-1", kl_weight=0.125)


@pytest.fixture
def lab(tmp_path) -> Lab:
    found = Lab(tmp_path / "lab")
    found.store.add_run("ppo", RECIPE.to_json(), 3)
    for step in (1, 2):
        rollouts.add(found.store, "ppo-1", [row(step, 0), row(step, 1, score=math.nan, gold=None, values=[math.inf, 0.0, 0.0])])
    return found


def ask(lab: Lab, which: int, **question: object) -> dict:
    return box.functions(lab)[which]({"run": "ppo-1", **question})


HELD = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Do you sell tea?"}]
TOLD = {"pieces": ["Yes", ""], "ids": [7, 9], "logps": [-0.5, -1.0], "reference": [-1.0, -1.0]}


def look(lab: Lab, step: int) -> None:
    """Two replies to held-out prompts; the first with its tokens."""
    record = {"score": 0.5, "gold": 1.5, "kl": 0.5, "tokens": 2}
    lab.store.add_samples("ppo-1", step, [(HELD, f"Yes {step}", {**record, "told": TOLD}), ([{"role": "user", "content": "Hi"}], "Hello", record)])


def test_the_newest_step_is_shown_unless_a_recorded_one_is_asked_for(lab):
    assert [ask(lab, 0, step=step)["step"] for step in (-1, 1, 2, 99)] == [2, 1, 2, 2]
    found = ask(lab, 0, step=1)
    assert found["steps"] == [1, 2] and [each["place"] for each in found["rows"]] == [0, 1]
    assert found["rows"][0] == {"place": 0, "prompt": "Are you open?", "reply": "a cat", "tokens": 3, "finish": "ended", "score": 1.0, "gold": 0.5, "reward": 0.9375, "kl": 0.25}


def test_a_run_without_rollouts_says_whether_it_was_to_keep_any(lab):
    lab.store.add_run("ppo", RECIPE.replace(record=0.0).to_json(), 3)
    assert ask(lab, 0, run="ppo-2", step=-1) == {"run": "ppo-2", "source": "held", "sources": [], "steps": [], "step": 0, "rows": [], "record": 0.0}
    lab.store.add_run("ppo", RECIPE.to_json(), 3)
    assert ask(lab, 0, run="ppo-3", step=-1)["record"] == 0.25


def test_a_reply_has_every_quantity_for_every_token(lab):
    found = ask(lab, 1, step=2, place=0)
    assert found["pieces"] == ["a", " cat", ""] and found["prompt"] == "Are you open?" and found["kl_weight"] == 0.125
    assert set(found["figures"]) == {"kl", "advantage", "value", "shift", "reward", "return", "policy", "reference"}
    assert all(len(values) == 3 for values in found["figures"].values())
    assert found["figures"]["kl"] == [0.5, -0.25, 0.0] and found["figures"]["policy"][2] == pytest.approx(math.exp(-2), abs=1e-6)


def test_the_weight_of_kl_is_that_of_the_step_not_of_the_recipe(lab):
    changes.add(lab.store, "ppo-1", {"kl_weight": (0.125, 0.5)}, step=2)
    assert [ask(lab, 1, step=step, place=0)["kl_weight"] for step in (1, 2)] == [0.125, 0.5]


def test_what_is_not_finite_is_a_gap(lab):
    for found in (ask(lab, 0, step=1), ask(lab, 1, step=1, place=1)):
        json.dumps(found, allow_nan=False)
    assert ask(lab, 1, step=1, place=1)["figures"]["value"] == [None, 0.0, 0.0]


@pytest.mark.parametrize("question", [{"run": "ppo-9", "step": 1, "place": 0}, {"step": "x", "place": 0}, {"step": 1, "place": 7}, {"place": [1], "step": 1}])
def test_nonsense_is_answered_with_words(lab, question):
    assert "error" in ask(lab, 1, **question)


def test_held_out_replies_come_first_and_practice_on_request(lab):
    look(lab, 1)
    look(lab, 5)
    found = ask(lab, 0, step=-1)
    assert (found["source"], found["sources"], found["steps"], found["step"]) == ("held", ["held", "practice"], [1, 5], 5)
    assert found["rows"][0] == {"place": 0, "prompt": "Do you sell tea?", "reply": "Yes 5", "score": 0.5, "gold": 1.5, "kl": 0.5, "reward": None, "tokens": 2, "finish": ""}
    assert ask(lab, 0, source="practice", step=-1)["steps"] == [1, 2]
    assert ask(lab, 0, source="held", step=-1, known=1)["steps"] == [5], "a long list of steps is told once"


def test_a_held_out_reply_stands_beside_every_other_look_at_its_prompt(lab):
    for step in (1, 5, 10):
        look(lab, step)
    found = ask(lab, 1, source="held", step=5, place=0)
    assert found["others"] == [1, 10] and found["reply"] == "Yes 5" and found["prompt"] == "Do you sell tea?"
    assert found["figures"]["kl"] == [0.5, 0.0] and set(found["figures"]) == {"kl", "shift", "policy", "reference"}, "nothing was credited: it is no practice"
    assert "pieces" not in ask(lab, 1, source="held", step=5, place=1), "its tokens were not kept"
    assert ask(lab, 2, source="held", step=5, place=0, at=1) == {"at": 1, "reply": "Yes 1"}


def test_a_practised_reply_stands_beside_those_to_the_same_prompt(lab):
    other = row(7, 0, prompt=[{"role": "user", "content": "Something else?"}])
    rollouts.add(lab.store, "ppo-1", [other, row(7, 1, pieces=["no", " dog", ""])])
    assert ask(lab, 1, step=7, place=1)["others"] == [1, 2] and ask(lab, 1, step=7, place=0)["others"] == []
    assert ask(lab, 2, step=1, place=0, at=7) == {"at": 7, "reply": "no dog"}


@pytest.mark.parametrize("question", [{"source": "held", "step": 1, "place": 0}, {"source": "held", "step": "x", "place": 0}])
def test_a_sample_that_is_not_there_is_answered_with_words(lab, question):
    assert "error" in ask(lab, 1, **question)
