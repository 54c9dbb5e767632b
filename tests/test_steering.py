"""The commands set, fork and sweep: what they queue, what they print, and how they refuse."""

from __future__ import annotations

import json

import pytest

from tests.test_course import checkpoint, lab, ppo, unswept
from workbench import bundled, changes
from workbench.__main__ import main

assert lab and ppo and unswept  # fixtures


@pytest.fixture
def say(lab, capsys, monkeypatch):
    monkeypatch.setattr(bundled, "fetch", lambda: None)

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--lab", str(lab.home)])
        return (code, *capsys.readouterr())

    return run


def test_set_changes_knobs_from_the_next_step_on_and_lists_them(say, lab, ppo):
    assert say("set", ppo)[1] == "no knob of ppo-1 was changed on its way\n"
    assert say("set", ppo, "kl_weight=0.1", "value-lr=0.001")[1].splitlines() == [
        "kl_weight 0.05 -> 0.1, from the next step on", "value_lr 0.0001 -> 0.001, from the next step on"]
    changes.take(lab.store, ppo, 7)
    assert say("set", ppo)[1].startswith("kl_weight 0.05 -> 0.1, from step 7\n")
    assert json.loads(say("set", ppo, "--json")[1])[0] == {"knob": "kl_weight", "old": 0.05, "new": 0.1, "step": 7, "origin": "live"}


@pytest.mark.parametrize(("words", "message"), [
    (("set", "ppo-1", "kl_weight"), "'kl_weight' names no value; write KNOB=VALUE"),
    (("set", "ppo-1", "kl_weight=much"), "kl_weight is 'much'; it must be a float"),
    (("set", "ppo-1", "kl_wait=1"), "no knob 'kl_wait'"),
    (("set", "ppo-1", "batch=8"), "batch cannot change while a run goes on"),
    (("set", "sft-1", "lr=0.1"), "sft-1 is done"),
    (("fork", "ppo-1"), "no checkpoint to fork from yet"),
    (("fork", "ppo-1", "--dropout", "0.1"), "PpoRecipe has no knob 'dropout'"),
    (("sweep", "sft", "--lr", "0.1,fast"), "lr is 'fast'"),
    (("sweep", "sft"), "a sweep needs a knob"),
])
def test_faults_are_one_line_and_code_2(say, ppo, words, message):
    code, out, err = say(*words)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_fork_queues_one_run_or_one_per_value(say, lab, ppo):
    checkpoint(lab, ppo, 5, 10)
    assert say("fork", ppo, "--step", "5", "--kl-weight", "0.1")[1] == \
        "ppo-2 is queued: forked from ppo-1 at step 5; changed: kl_weight 0.05 -> 0.1\n"
    assert [line.split("; ")[1] for line in say("fork", ppo, "--kl-weight", "0.02,0.05")[1].splitlines()] == [
        "changed: kl_weight 0.05 -> 0.02", "nothing changed"]
    assert say("fork", ppo)[1].startswith("ppo-5 is queued: forked from ppo-1 at step 10; nothing changed")
    table = say("runs")[1]
    assert "ppo-1@5" in table and "sft-1, reward-1" in table


def test_sweep_queues_a_run_per_combination(say, lab):
    out = say("sweep", "sft", "--lr", "0.0001,0.001", "--steps", "5")[1]
    assert out == "sft-1 is queued: SftRecipe(steps=5, lr=0.0001)\nsft-2 is queued: SftRecipe(steps=5, lr=0.001)\n"
    assert [run["recipe"]["rank"] for run in json.loads(say("sweep", "sft", "--rank", "4,8", "--json")[1])] == [4, 8]


def test_sweeping_ppo_names_its_runs_once_and_lists_values(say, lab, ppo):
    out = say("sweep", "ppo", "--sft", "sft-1", "--reward", "reward-1", "--kl-weight", "0.02,0.1", "--value", "own,shared")[1]
    assert len(out.splitlines()) == 4 and "kl_weight=0.1, value='shared'" in out.splitlines()[-1]
