"""What a reward model is least sure of: hand-worked figures, and the stage on a tiny base."""

from __future__ import annotations

import math

import pytest

from tests.roles import PROMPTS, with_four_roles
from workbench.engine import doubt
from workbench.recipes import DoubtRecipe
from workbench.records import Comparison, Reply


def test_equal_scores_are_a_coin_toss_and_far_ones_are_sure():
    assert doubt.doubt([1.5, 1.5]) == 0.25
    assert doubt.doubt([900.0, -900.0]) < 1e-20
    assert doubt.doubt([math.log(3), 0.0]) == pytest.approx(0.75 * 0.25)


def test_the_smaller_the_difference_of_a_pair_the_larger_the_doubt():
    found = [doubt.doubt([gap, 0.0]) for gap in (0.0, 0.1, -0.5, 1.0, -4.0)]
    assert found == sorted(found, reverse=True)


def test_a_longer_ranking_counts_the_mean_of_its_pairs():
    assert doubt.doubt([math.log(3), 0.0, 0.0]) == pytest.approx((2 * 0.1875 + 0.25) / 3)


def waiting(count=3):
    replies = [Reply("sft-1", text, 1, True, {}) for text in ("zz", "y y", "zzz")]
    return [Comparison(at + 1, "ranking", "", 1, PROMPTS[at].messages, {}, [0, 1, 2], "ready", 0.0, "", 0.0, replies, []) for at in range(count)]


def test_the_stage_reads_raw_log_odds_whatever_the_calibration_and_leaves_out_what_is_too_long(tiny):
    backbone, recipe = with_four_roles(tiny), DoubtRecipe(reward="reward-1", micro_batch=4)
    [step] = doubt.train(recipe, backbone, waiting())
    assert [each.comparison for each in step.doubts] == [1, 2, 3] and step.total == 1
    assert step.numbers["doubt"] == pytest.approx(sum(each.doubt for each in step.doubts) / 3)
    backbone.heads["reward"].calibrate(5.0, 3.0)
    [again] = doubt.train(recipe.replace(micro_batch=16), backbone, waiting())
    assert [each.doubt for each in again.doubts] == pytest.approx([each.doubt for each in step.doubts], abs=1e-5)
    assert again.doubts[0].scores == pytest.approx([(0.02 * score - 5) / 3 for score in step.doubts[0].scores], abs=1e-4), "scores are kept calibrated"
    [none] = doubt.train(recipe.replace(max_tokens=16), backbone, waiting(1))
    assert none.doubts == [] and none.numbers == {}
