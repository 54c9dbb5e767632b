"""The lab's verbs on recorded rollouts, in Python and on the command line."""

from __future__ import annotations

import json

import pytest

from tests.toy_rollouts import row
from workbench import rollouts
from workbench.__main__ import main
from workbench.errors import NotFound
from workbench.lab import Lab


@pytest.fixture
def lab(tmp_path) -> Lab:
    found = Lab(tmp_path / "lab")
    found.store.add_run("ppo", '{"sft": "sft-1", "reward": "reward-1"}', 3)
    for step in (1, 2):
        rollouts.add(found.store, "ppo-1", [row(step, 0), row(step, 1, score=2.0, finish="cut")])
    return found


@pytest.fixture
def say(lab, capsys):
    def run(*words):
        code = main([*words, "--lab", str(lab.home)])
        return code, *capsys.readouterr()

    return run


def test_rollouts_are_a_data_frame_of_all_steps_or_of_one(lab):
    found = lab.rollouts("ppo-1")
    assert list(found.columns) == ["step", "place", "prompt", "reply", "score", "gold", "reward", "kl", "tokens", "finish"]
    assert found[["step", "score"]].values.tolist() == [[1, 1.0], [1, 2.0], [2, 1.0], [2, 2.0]]
    assert found.prompt[0] == "Are you open?" and lab.rollouts("ppo-1", step=2).step.tolist() == [2, 2]
    assert list(lab.rollouts("ppo-1", step=9).columns) == list(found.columns)


def test_the_tokens_of_one_rollout_are_a_data_frame_too(lab):
    found = lab.rollout_tokens("ppo-1", 2, 1)
    assert found.piece.tolist() == ["a", " cat", ""] and (found.logp - found.reference).tolist() == found.kl.tolist() == [0.5, -0.25, 0.0]
    assert found.columns.tolist() == ["piece", "id", "logp", "reference", "kl", "value", "return", "advantage", "reward", "shift"]


def test_what_is_not_there_is_told_with_what_is(lab):
    with pytest.raises(NotFound, match="no recorded rollout 7 of step 2; recorded steps: 1, 2"):
        lab.rollout_tokens("ppo-1", 2, 7)
    with pytest.raises(NotFound, match="no run 'ppo-9'"):
        lab.rollouts("ppo-9")


def test_the_command_writes_what_the_lab_reads(say, lab, tmp_path):
    file = tmp_path / "out.jsonl"
    assert say("rollouts", "ppo-1", "--out", str(file))[1] == f"4 rollouts of ppo-1 are in {file}\n"
    assert lab.read_rollouts(file) == lab.rollout_rows("ppo-1")
    assert json.loads(say("rollouts", "ppo-1", "--out", str(file), "--json")[1])["lines"] == 4
    assert [line["step"] for line in json.loads(say("rollouts", "ppo-1", "--json")[1])] == [1, 1, 2, 2]


def test_the_command_lists_them_and_says_when_there_are_none(say, lab):
    out = say("rollouts", "ppo-1")[1]
    assert out.splitlines()[0].split() == ["step", "place", "score", "KL", "tokens", "finish", "reply"] and out.count("a cat") == 4
    lab.store.add_run("ppo", "{}", 3)
    assert "no recorded rollouts" in say("rollouts", "ppo-2")[1]
    code, _, err = say("rollouts", "ppo-1", "--out", "/nowhere/x.jsonl")
    assert code == 2 and "cannot write /nowhere/x.jsonl" in err
