"""What the browser is told of a run's course, and what its buttons do: change, fork, take a remedy."""

from __future__ import annotations

import json

import pytest

from apps import live, runs_tab, steer, verbs
from tests.test_course import checkpoint, lab, ppo, unswept
from workbench import changes

assert lab and ppo and unswept  # fixtures


@pytest.fixture
def act(lab):
    return verbs.act_on(lab)


def news(lab, name: str) -> dict:
    found = live.news(lab, lab.run(name), "", -1, "ppo")
    assert json.dumps(found)
    return found["steer"]


def test_a_run_at_work_offers_its_live_knobs_with_their_present_values(lab, ppo):
    lab.change(ppo, kl_weight=0.1)
    found = news(lab, ppo)
    assert {each["name"]: each["value"] for each in found["knobs"]} == {
        "lr": 2e-4, "kl_weight": 0.1, "temperature": 0.7, "value_lr": 1e-4, "target_kl": 0.05, "no_end_penalty": 1.0, "length_penalty": 0.0}
    assert found["changes"] == [{"text": "kl_weight 0.05 -> 0.1", "label": "kl_weight 0.1", "step": None, "is_reached": False}]
    assert found["kept"] == [] and found["forkable"] == []


def test_a_run_that_is_over_offers_forks_and_no_live_knobs(lab, ppo):
    checkpoint(lab, ppo, 5, 10)
    lab.store.set_state(ppo, "stopped", ("running",))
    found = news(lab, ppo)
    assert found["knobs"] == [] and found["kept"] == [5, 10]
    names = {each["name"] for each in found["forkable"]}
    assert {"kl_weight", "batch", "steps"} <= names and not names & {"sft", "reward", "value", "prompts"}


def test_stages_without_checkpoints_cannot_be_steered(lab):
    lab.store.add_run("replies", '{"adapters": "base"}', 0)
    assert news(lab, "replies-1") is None


def test_apply_asks_for_the_change_and_says_when_it_takes_effect(lab, ppo, act):
    done = act({"verb": "change", "run": ppo, "knobs": {"kl_weight": 1}})
    assert done["said"] == "kl_weight 0.05 -> 1.0: takes effect at the next step."
    assert lab.recipe_now(ppo).kl_weight == 1.0
    assert "between 0.0 and 1000.0" in act({"verb": "change", "run": ppo, "knobs": {"kl_weight": -1}})["error"]


@pytest.mark.parametrize("question", [
    {"verb": "change", "run": "ppo-1"}, {"verb": "change", "run": "ppo-1", "knobs": [1]}, {"verb": "change", "run": "ppo-1", "knobs": {"name": 1}},
    {"verb": "change", "run": "ppo-1", "knobs": {"kl_weight": [1]}}, {"verb": "fork", "run": "ppo-1", "knobs": {}, "step": "x"},
    {"verb": "remedy", "run": "ppo-1", "knobs": {"self": 1}}, {"verb": "dance", "run": "ppo-1"}, {"verb": "fork", "run": "ppo-9", "knobs": {}, "step": 1},
])
def test_nonsense_is_answered_with_an_error_and_changes_nothing(lab, ppo, act, question):
    assert "error" in act(question)
    assert changes.of(lab.store, ppo) == [] and len(lab.list_runs()) == 3


def test_fork_queues_a_run_and_names_it(lab, ppo, act):
    checkpoint(lab, ppo, 5)
    done = act({"verb": "fork", "run": ppo, "knobs": {"kl_weight": 0.2}, "step": 5})
    assert done == {"run": "ppo-2", "said": "ppo-2 is queued: forked from ppo-1 at step 5; changed: kl_weight 0.05 -> 0.2."}
    assert news(lab, "ppo-2")["until"] == 5 and news(lab, "ppo-2")["lineage"].startswith("forked from ppo-1")


def test_a_remedy_of_live_knobs_changes_the_run_at_work(lab, ppo, act):
    assert steer.way(lab, lab.run(ppo), {"kl_weight": 0.1}) == "change"
    assert "takes effect at the next step" in act({"verb": "remedy", "run": ppo, "knobs": {"kl_weight": 0.1}})["said"]
    assert len(lab.list_runs()) == 3


def test_a_remedy_of_other_knobs_forks_from_the_last_checkpoint(lab, ppo, act):
    checkpoint(lab, ppo, 5, 10)
    done = act({"verb": "remedy", "run": ppo, "knobs": {"reply_tokens": 84, "no_end_penalty": 2.0}})
    assert done["said"].startswith("ppo-2 is queued: forked from ppo-1 at step 10; changed: reply_tokens 56 -> 84")
    lab.store.set_state(ppo, "failed", ("running",))
    assert "ppo-3 is queued: forked" in act({"verb": "remedy", "run": ppo, "knobs": {"kl_weight": 0.1}})["said"]


def test_a_remedy_starts_anew_where_there_is_nothing_to_fork_or_the_checkpoint_does_not_fit(lab, ppo, act):
    lab.store.set_state(ppo, "failed", ("running",))
    done = act({"verb": "remedy", "run": ppo, "knobs": {"kl_weight": 0.1}})
    assert done["said"] == "ppo-2 is queued: ppo-1 anew with kl_weight 0.1." and lab.run("ppo-2").parent == ""
    checkpoint(lab, "sft-1", 5)
    assert steer.way(lab, lab.run("sft-1"), {"rank": 8}) == "start"
    assert steer.way(lab, lab.run("sft-1"), {}) == ""


def test_a_finding_says_which_way_its_remedy_goes(lab, ppo):
    for step in range(1, 13):
        lab.store.log(ppo, step, 30, {"approx_kl": 0.4, "kl_seq": 0.0, "score": 0.1 * step, "score_sd": 1.0})
    first = live.health(lab, lab.run(ppo))["findings"][0]
    assert first["remedy"]["lr"] == pytest.approx(6.7e-5)
    assert first["cure"] == "Apply from the next step"
    lab.store.set_state(ppo, "stopped", ("running",))
    assert live.health(lab, lab.run(ppo))["findings"][0]["cure"] == "Start anew with this"
    checkpoint(lab, ppo, 5)
    assert live.health(lab, lab.run(ppo))["findings"][0]["cure"] == "Fork with this from the last checkpoint"


def test_the_runs_tab_tells_a_forks_lineage(lab, ppo):
    checkpoint(lab, ppo, 5)
    lab.fork(ppo, kl_weight=0.1)
    runs = lab.list_runs()
    assert runs_tab.detail(lab, runs[-1], runs)["lineage"] == "forked from ppo-1 at step 5; changed: kl_weight 0.05 -> 0.1"
    assert runs_tab.row(lab, runs[-1])["from"] == [ppo] and "ppo-2" in runs_tab.detail(lab, lab.run(ppo), runs)["to"]


def test_a_remedy_that_was_just_taken_is_not_offered_again_until_it_could_show(lab, ppo):
    def cure() -> dict[str, str]:
        return steer.cure(lab, lab.run(ppo), {"kl_weight": 0.2})

    lab.store.log(ppo, 20, 30, {"score": 1.0})
    assert cure()["cure"] == "Apply from the next step"
    lab.change(ppo, kl_weight=0.1)
    assert cure() == {"cure": "", "wait": "kl_weight is 0.1 from the next step on; give it 10 steps to show."}
    changes.take(lab.store, ppo, 21)
    assert "from step 21 on" in cure()["wait"]
    lab.store.log(ppo, 31, 40, {"score": 1.0})
    assert cure()["cure"] == "Apply from the next step"


def test_a_chart_marks_what_holds_by_now_and_not_what_a_fork_will_repeat(lab, ppo):
    for step, knobs in ((3, {"lr": 1e-4}), (20, {"temperature": 1.0})):
        lab.change(ppo, **knobs)
        changes.take(lab.store, ppo, step)
    checkpoint(lab, ppo, 5)
    made = lab.fork(ppo, kl_weight=0.1)
    assert [(each["label"], each["is_reached"]) for each in news(lab, made.id)["changes"]] == [
        ("lr 0.0001", True), ("kl_weight 0.1", True), ("temperature 1.0", False)]
