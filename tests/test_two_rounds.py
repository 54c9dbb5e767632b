"""Two rounds by public words alone: what is claimed after each act holds on the toy, through a real worker."""

from __future__ import annotations

import pytest

from benchmarks import two_rounds
from tests import chain
from workbench import Lab

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tiny, home):
    found = Lab(home)
    chain.run_demo(found, tiny)
    return found


def test_the_votes_of_a_round_change_the_next_reward_model_and_nothing_else_would(lab, capsys):
    again = lab.wait(lab.start(lab.recipe("reward-1")).id, lambda run: None).id
    assert lab.held_out(again).score.tolist() == lab.held_out("reward-1").score.tolist(), "without new votes the same recipe gives the same model"
    lab.delete(again)

    found = two_rounds.play(lab, votes=6, steps=2)

    assert (found.sft, lab.recipe(found.ppo).reward) == ("sft-1", found.reward)
    said = capsys.readouterr().out
    assert "DOES NOT HOLD" not in said and said.count("- holds:") >= 14
    assert f"| {found.ppo} | 2 | sft-1, {found.reward} |" in said


def test_a_lab_without_a_chain_is_told_what_to_run(home):
    with pytest.raises(SystemExit, match="no finished run of sft, reward, ppo, evaluate; run `workbench demo"):
        two_rounds.play(Lab(home), votes=1, steps=1)
