"""Which way a finding's remedy is taken: live, as a fork, from the best step, or anew; and never twice before it could show."""

from __future__ import annotations

import pytest

from apps import live, verbs
from tests.test_course import checkpoint, lab, ppo, unswept
from workbench import changes, cures, doctor
from workbench.errors import LabError

assert lab and ppo and unswept  # fixtures

LEAP = {"approx_kl": 0.4, "kl_seq": 0.0, "score_sd": 1.0}  # D-30: the steps are too large


def steps(lab, name, count, **extra):
    for step in range(1, count + 1):
        lab.store.log(name, step, 30, {**LEAP, "score": 0.1 * step, **extra})


def fooled(lab, name, peak=8, count=20):
    """The score rises all along; the held-out rule rises to a peak and falls."""
    for step in range(1, count + 1):
        wobble = 0.02 * (-1) ** step
        lab.store.log(name, step, 30, {"score": 0.1 * step, "score_sd": 1.0, "kl_seq": 0.2 * (step - 1), "gold": wobble + min(step, peak) * 0.1 - max(0, step - peak) * 0.15})


def finding(remedy, goes_back=False):
    return doctor.Finding("D-99", "warn", "", 1, {}, "", "look", remedy, True, goes_back)


def way(lab, name, remedy, goes_back=False):
    return cures.of(lab.store, lab.home, lab.run(name), finding(remedy, goes_back))


def test_live_knobs_of_a_run_at_work_change_at_once(lab, ppo):
    steps(lab, ppo, 12)
    checkpoint(lab, ppo, 5)
    assert lab.cure(ppo).id == ppo
    assert {each.knob for each in changes.of(lab.store, ppo)} == {"lr"} and len(lab.list_runs()) == 3
    with pytest.raises(LabError, match="from the next step on; give it 10 steps to show"):
        lab.cure(ppo)


def test_other_knobs_fork_from_the_last_checkpoint_and_what_is_over_forks_too(lab, ppo):
    checkpoint(lab, ppo, 5, 10)
    assert (way(lab, ppo, {"reply_tokens": 84}).way, way(lab, ppo, {"reply_tokens": 84}).step) == ("fork", 10)
    steps(lab, ppo, 12)
    lab.store.set_state(ppo, "failed", ("running",))
    made = lab.cure(ppo, "D-30")
    assert (made.id, made.parent, made.parent_step) == ("ppo-2", ppo, 10)


def test_a_new_run_where_there_is_nothing_to_fork_or_the_checkpoint_does_not_fit(lab, ppo):
    steps(lab, ppo, 12)
    lab.store.set_state(ppo, "failed", ("running",))
    made = lab.cure(ppo)
    assert made.parent == "" and lab.recipe(made.id).lr == pytest.approx(6.7e-5)
    checkpoint(lab, "sft-1", 5)
    assert way(lab, "sft-1", {"rank": 8}).way == "start" and way(lab, "sft-1", {}).way == ""


def test_what_nobody_finds_or_no_knob_mends_is_said(lab, ppo):
    with pytest.raises(LabError, match="does not find anything wrong in ppo-1"):
        lab.cure(ppo)
    steps(lab, ppo, 12)
    with pytest.raises(LabError, match="does not find D-22 in ppo-1 any more"):
        lab.cure(ppo, "D-22")


def test_a_policy_that_fools_its_reward_model_goes_back_to_the_best_step_by_the_held_out_rule(lab, ppo):
    fooled(lab, ppo)
    checkpoint(lab, ppo, 4, 7, 12, 19)
    [first, *_] = lab.doctor(ppo)
    assert first.rule == "D-22" and first.remedy == {"kl_weight": 0.1}
    told = live.health(lab, lab.run(ppo))["findings"][0]
    assert told["cure"] == "Stop, and fork with this from step 7, the best by the held-out judge"
    made = verbs.act_on(lab)({"verb": "remedy", "run": ppo, "rule": "D-22"})
    assert made["said"] == "ppo-2 is queued: forked from ppo-1 at step 7; changed: kl_weight 0.05 -> 0.1."
    assert lab.store.wish_of(ppo) == "stop", "the run that learned the mistakes need not go on"


def test_a_policy_that_is_as_good_as_it_ever_was_is_not_taken_back(lab, ppo):
    fooled(lab, ppo, peak=20)
    checkpoint(lab, ppo, 4, 7, 12, 19)
    assert way(lab, ppo, {"kl_weight": 0.1}, goes_back=True).way == "change"


def test_a_run_that_is_over_is_forked_from_its_best_step_however_small_its_lead(lab, ppo):
    for step in range(1, 21):
        lab.store.log(ppo, step, 20, {"score": 0.1 * step, "gold": 0.5 * (-1) ** step + (0.1 if 7 <= step <= 10 else 0.0)})
    checkpoint(lab, ppo, 8, 19)
    assert way(lab, ppo, {"kl_weight": 0.1}, goes_back=True).way == "change"
    lab.store.set_state(ppo, "done", ("running",))
    found = way(lab, ppo, {"kl_weight": 0.1}, goes_back=True)
    assert (found.way, found.step, found.is_best) == ("fork", 8, True)


def test_without_a_held_out_rule_the_knobs_change_live(lab, ppo):
    steps(lab, ppo, 12)
    checkpoint(lab, ppo, 5)
    assert way(lab, ppo, {"kl_weight": 0.1}, goes_back=True).way == "change"


def test_a_remedy_that_was_just_taken_is_not_offered_again_until_it_could_show(lab, ppo):
    lab.store.log(ppo, 20, 30, {"score": 1.0})
    assert way(lab, ppo, {"kl_weight": 0.2}).told == "Apply from the next step"
    lab.change(ppo, kl_weight=0.1)
    assert way(lab, ppo, {"kl_weight": 0.2}) == cures.Cure(wait="kl_weight is 0.1 from the next step on; give it 10 steps to show.")
    changes.take(lab.store, ppo, 21)
    assert "from step 21 on" in way(lab, ppo, {"kl_weight": 0.2}).wait
    lab.store.log(ppo, 31, 40, {"score": 1.0})
    assert way(lab, ppo, {"kl_weight": 0.2}).way == "change"


def test_a_remedy_that_was_taken_by_forking_is_not_offered_again_either(lab, ppo):
    steps(lab, ppo, 12)
    checkpoint(lab, ppo, 5)
    made = lab.fork(ppo, 5, kl_weight=0.1).id
    assert way(lab, made, {"kl_weight": 0.2}) == cures.Cure(wait="kl_weight is 0.1 from step 6 on; give it 10 steps to show.")
    for step in range(6, 17):
        lab.store.log(made, step, 24, {"score": 0.1})
    assert way(lab, made, {"kl_weight": 0.2}).way == "change"


def test_length_is_to_cost_what_it_earns(lab, ppo):
    for step in range(1, 13):
        lab.store.log(ppo, step, 30, {"score": 0.1 * step, "score_sd": 1.0, "length_score": 0.9, "length_slope": 0.04 + 0.001 * (step % 3), "reply_tokens": 20.0 + step})
    [first, *_] = lab.doctor(ppo)
    assert (first.rule, first.remedy) == ("D-23", {"kl_weight": 0.1, "length_penalty": 0.041})
    lab.change(ppo, length_penalty=0.5)
    assert "length_penalty" not in lab.doctor(ppo)[0].remedy, "it costs more already"
