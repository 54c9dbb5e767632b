"""What the browser is told of a run's course, and what its buttons do: change, fork, take a remedy."""

from __future__ import annotations

import json

import pytest

from apps import live, runs_tab, verbs
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
    assert found["kept"] == [] and found["best"] is None and "kl_weight" in {each["name"] for each in found["forkable"]}


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
    {"verb": "fork", "run": "ppo-1", "knobs": {"kl_weight": [1]}, "step": 0}, {"verb": "fork", "run": "ppo-1", "knobs": {"kl_weight": ""}, "step": 0},
    {"verb": "remedy", "run": "ppo-1"}, {"verb": "remedy", "run": "ppo-1", "rule": "D-22"}, {"verb": "dance", "run": "ppo-1"}, {"verb": "fork", "run": "ppo-9", "knobs": {}, "step": 1},
])
def test_nonsense_is_answered_with_an_error_and_changes_nothing(lab, ppo, act, question):
    assert "error" in act(question)
    assert changes.of(lab.store, ppo) == [] and len(lab.list_runs()) == 3


def test_fork_queues_a_run_and_names_it(lab, ppo, act):
    checkpoint(lab, ppo, 5)
    done = act({"verb": "fork", "run": ppo, "knobs": {"kl_weight": "0.2"}, "step": 5})
    assert done == {"run": "ppo-2", "runs": ["ppo-2"], "said": "ppo-2 is queued: ppo-1 from step 5 on, kl_weight 0.2."}
    assert news(lab, "ppo-2")["until"] == 5 and news(lab, "ppo-2")["lineage"] == "forked from ppo-1 at step 5; changed: kl_weight 0.05 -> 0.2"


def test_several_values_queue_several_forks_in_one_act(lab, ppo, act):
    checkpoint(lab, ppo, 5)
    done = act({"verb": "fork", "run": ppo, "knobs": {"kl_weight": "0.02, 0.05, 0.1", "steps": "40"}, "step": 5})
    assert done["said"] == "ppo-2, ppo-3 and ppo-4 are queued: ppo-1 from step 5 on, kl_weight 0.02 / 0.05 / 0.1, steps 40."
    assert [lab.recipe_now(name).kl_weight for name in done["runs"]] == [0.02, 0.05, 0.1]
    assert all(lab.run(name).parent_step == 5 and lab.run(name).total == 40 and lab.run(name).state == "queued" for name in done["runs"])


def test_a_sweep_from_the_start_needs_no_checkpoint(lab, ppo, act):
    done = act({"verb": "fork", "run": ppo, "knobs": {"kl_weight": "0.02,0.1"}, "step": 0})
    assert done["said"] == "ppo-2 and ppo-3 are queued: ppo-1 anew, kl_weight 0.02 / 0.1."
    assert [(lab.recipe(name).kl_weight, lab.run(name).parent) for name in done["runs"]] == [(0.02, ""), (0.1, "")]
    assert act({"verb": "fork", "run": ppo, "knobs": {}, "step": 0})["said"] == "ppo-4 is queued: ppo-1 anew, nothing changed."


@pytest.mark.parametrize(("knobs", "message"), [
    ({"kl_weight": "0.1, much"}, "kl_weight is 'much'; it must be a float"), ({"kl_weight": "0.1,-1"}, "between 0.0 and 1000.0"),
    ({"rank": "8"}, "no knob 'rank'"), ({"value": "shared"}, "cannot change in a fork"), ({"steps": "3"}, "give more, or fork from an earlier step"),
])
def test_a_fork_with_a_value_that_cannot_be_queues_nothing(lab, ppo, act, knobs, message):
    checkpoint(lab, ppo, 5)
    assert message in act({"verb": "fork", "run": ppo, "knobs": knobs, "step": 5})["error"]
    assert len(lab.list_runs()) == 3


def test_the_best_kept_step_by_the_held_out_rule_is_named(lab, ppo):
    for step, gold in enumerate([0.0, 1.0, 2.0, 3.0, 3.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], start=1):
        lab.store.log(ppo, step, 30, {"gold": gold})
    checkpoint(lab, ppo, 2, 4, 9)
    assert news(lab, ppo)["best"] == 4


def test_a_finding_says_which_way_its_remedy_goes(lab, ppo):
    for step in range(1, 13):
        lab.store.log(ppo, step, 30, {"approx_kl": 0.4, "kl_seq": 0.0, "score": 0.1 * step, "score_sd": 1.0})
    first = live.health(lab, lab.run(ppo))["findings"][0]
    assert first["remedy"]["lr"] == pytest.approx(6.7e-5)
    assert first["cure"] == "Apply from the next step"
    lab.store.set_state(ppo, "stopped", ("running",))
    assert live.health(lab, lab.run(ppo))["findings"][0]["cure"] == "Start anew with this"
    checkpoint(lab, ppo, 5)
    assert live.health(lab, lab.run(ppo))["findings"][0]["cure"] == "Fork with this from step 5"


def test_the_runs_tab_tells_a_forks_lineage(lab, ppo):
    checkpoint(lab, ppo, 5)
    lab.fork(ppo, kl_weight=0.1)
    runs = lab.list_runs()
    assert runs_tab.detail(lab, runs[-1], runs)["lineage"] == "forked from ppo-1 at step 5; changed: kl_weight 0.05 -> 0.1"
    assert runs_tab.row(lab, runs[-1])["from"] == [ppo] and "ppo-2" in runs_tab.detail(lab, lab.run(ppo), runs)["to"]


def test_a_chart_marks_what_holds_by_now_and_not_what_a_fork_will_repeat(lab, ppo):
    for step, knobs in ((3, {"lr": 1e-4}), (20, {"temperature": 1.0})):
        lab.change(ppo, **knobs)
        changes.take(lab.store, ppo, step)
    checkpoint(lab, ppo, 5)
    made = lab.fork(ppo, kl_weight=0.1)
    assert [(each["label"], each["is_reached"]) for each in news(lab, made.id)["changes"]] == [
        ("lr 0.0001", True), ("kl_weight 0.1", True), ("temperature 1.0", False)]
