"""What the scratchpad is answered: rewards to choose from, scores as they grow, and words for what cannot be."""

from __future__ import annotations

import json

import pytest

from apps.page import public
from apps.scratchpad import Scratchpad
from workbench import Lab, RewardRecipe, packs, trials
from workbench.records import Scored


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Lab:
    monkeypatch.setattr("workbench.process.ensure", lambda store, home: None)
    found = Lab(tmp_path / "lab")
    run = found.store.add_run("reward", RewardRecipe(sft="sft-1", prompts="customer-service").to_json(), 1)
    found.store.add_run("reward", RewardRecipe(sft="sft-1").to_json(), 1)
    (found.home / "adapters" / run.id).mkdir(parents=True)
    (found.home / "adapters" / run.id / "adapter_config.json").write_text("{}")
    monkeypatch.setattr("workbench.checks.model_of", lambda store, names: "m")
    return found


def ask(lab: Lab, **question) -> dict:
    return public(Scratchpad(lab).pad_try)({"pad": "p", "reward": "reward-1", "prompt": "Open?", "replies": ["Yes"], **question})


def test_only_what_can_be_tried_now_is_offered(lab):
    found = Scratchpad(lab).pad_choices({})
    assert [each["value"] for each in found["rewards"]][:2] == ["reward-1", "rule:customer-service"] and found["hasModel"] and found["prompt"]


def test_a_reply_is_asked_under_the_system_message_of_its_rewards_pack(lab):
    trial = lab.trial(ask(lab)["trial"])
    assert trial.prompt == [{"role": "system", "content": packs.load("customer-service").system}, {"role": "user", "content": "Open?"}] and trial.replies == ["Yes"]


def test_an_answer_grows_and_is_json(lab):
    number = ask(lab)["trial"]
    look = Scratchpad(lab).pad_look
    assert look({"trial": number}) == {"state": "waiting", "answers": [], "why": "the worker loads the model"}
    trials.write(lab.store, number, [Scored(0.123456, [("reward-1", 1.0, 0.123456)], ["Yes"], [0.0, 0.123456])], "done")
    found = look({"trial": number})
    assert found == {"state": "done", "answers": [{"score": 0.1235, "parts": [["reward-1", 1.0, 0.1235]], "pieces": ["Yes"], "trace": [0.0, 0.1235]}], "why": ""}
    json.dumps(found, allow_nan=False)
    ask(lab, replies=["Yes, we are"])
    assert look({"trial": number})["state"] == "gone"


@pytest.mark.parametrize(("question", "fault"), [
    ({"reward": "reward-9"}, "reward-9 is no reward run; there are reward-1"), ({"reward": "reward-1 +"}, "a reward is missing at its end"),
    ({"reward": "os:system"}, "not allowed in this lab"), ({"prompt": " "}, "must not be empty"), ({"replies": []}, "malformed"), ({"replies": ["a"] * 3}, "malformed"),
    ({"replies": [{"a": 1}]}, "malformed"), ({"reward": "reward-2"}, "reward-2")])
def test_nonsense_is_answered_with_words(lab, question, fault):
    if question.get("reward") == "reward-2":
        lab.store.set_state("reward-2", "failed", ("queued",), "broken")
    assert fault in ask(lab, **question)["error"]
