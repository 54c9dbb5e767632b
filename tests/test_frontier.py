"""Best-of-n and Gao's curve: worked on paper, recovered from data, refused where there is too little."""

from __future__ import annotations

import itertools
import math
import random
from statistics import fmean, pstdev

import pytest

from workbench import frontier


@pytest.mark.parametrize(("n", "nats"), [(1, 0.0), (2, 0.193), (4, 0.636), (8, 1.204), (16, 1.835), (64, 3.175)])
def test_the_drift_of_best_of_n_is_gao_et_als(n, nats):
    assert frontier.kl_of_best(n) == pytest.approx(nats, abs=6e-4)


def test_the_expected_best_is_the_mean_over_every_choice():
    scores = [3.0, -1.0, 2.0, 7.0, 2.5]
    for n in range(1, 6):
        every = fmean(max(chosen) for chosen in itertools.combinations(scores, n))
        assert frontier.expected_best(scores, n) == pytest.approx(every)
    assert frontier.expected_best([1.0, 2.0, 3.0, 4.0], 2) == pytest.approx(20 / 6)


def test_another_judge_values_what_the_score_chose():
    assert frontier.expected_best([1.0, 2.0, 3.0], 3, [9.0, 5.0, -4.0]) == -4.0
    assert frontier.expected_best([3.0, 1.0, 2.0], 2, [0.0, 6.0, 3.0]) == pytest.approx((3 + 0 + 0) / 3)


def test_pooling_takes_off_what_prompts_differ_in_and_keeps_the_spread_within():
    pool = frontier.pooled([[0.0, 2.0], [10.0, 12.0]])
    assert fmean(pool) == pytest.approx(6.0) and pool[0] == pytest.approx(pool[2]) == pytest.approx(6 - math.sqrt(2))
    draw = random.Random(0)
    groups = [[place + draw.gauss(0, 1.5) for _ in range(4)] for place in range(500)]
    assert pstdev(frontier.pooled(groups)) == pytest.approx(1.5, rel=0.05)


def test_best_of_n_rises_with_n_as_far_as_there_are_replies():
    found = frontier.best_of([[0.0, 1.0], [5.0, 6.0], [2.0, 3.0]], golds=[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert list(found) == ["best_of_1", "best_of_2", "best_of_4", "gold_best_of_1", "gold_best_of_2", "gold_best_of_4"]
    assert found["best_of_1"] < found["best_of_2"] < found["best_of_4"] and found["gold_best_of_4"] < found["gold_best_of_1"]
    series = {key: {1: value} for key, value in found.items()}
    assert [(n, round(kl, 3)) for n, kl, _ in frontier.reference(series)] == [(1, 0.0), (2, 0.193), (4, 0.636)]
    assert frontier.reference({}) == []


def test_gaos_curve_is_recovered_with_its_peak():
    alpha, beta = 1.2, 0.8
    found = frontier.fit([(d, frontier.gain(d, alpha, beta)) for d in (0.0, 0.4, 0.9, 1.5, 2.2, 3.0)])
    assert (found.alpha, found.beta) == (pytest.approx(alpha), pytest.approx(beta))
    assert found.peak == pytest.approx(math.exp(alpha / beta - 1)) and found.has_turned
    assert found.grid[-1] == 3.0 and found.curve[0] == 0.0 and max(found.curve) == pytest.approx(beta * found.peak, rel=1e-2)


def test_the_interval_holds_the_truth_and_narrows_with_less_noise():
    def noisy(spread):
        draw = random.Random(3)
        return frontier.fit([(d / 4, frontier.gain(d / 4, 1.0, 0.5) + draw.gauss(0, spread)) for d in range(1, 13)])

    rough, fine = noisy(0.2), noisy(0.02)
    widths = [fmean(high - low for low, high in zip(each.low, each.high, strict=True)) for each in (rough, fine)]
    assert widths[0] > 3 * widths[1] > 0
    assert fine.peak_low <= fine.peak <= fine.peak_high and abs(fine.peak - math.e) < 0.5
    assert all(low - 0.06 <= frontier.gain(d, 1.0, 0.5) <= high + 0.06 for d, low, high in zip(fine.grid, fine.low, fine.high, strict=True))


def test_a_curve_that_only_rises_has_no_peak_in_sight():
    found = frontier.fit([(d, d * (1 + math.log(d))) for d in (1.0, 1.5, 2.0, 2.5)])
    assert found.beta < 0 and found.peak is None and not found.has_turned


@pytest.mark.parametrize("points", [[(1.0, 1.0), (2.0, 1.5), (3.0, 1.2)], [(0.0, 0.0)] * 9, [(1.5, 1.0)] * 6])
def test_too_few_points_or_all_at_one_place_fit_nothing(points):
    assert frontier.fit(points) is None
