"""The figures that a reward model is trusted by: each against a table that anybody can check on paper."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from workbench import trust
from workbench.agreement import Ceiling, ceiling
from workbench.records import HeldOut
from workbench.reliability import reliabilities
from workbench.verdict import verdict

MARGINS = [2, 2, -2, 0.1, -0.1, 1, 1, -1, 3, 3]
NOTHING = ceiling([])
PLACES = itertools.count()


def opening(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Are you open on day {number}?"}]


def row(scores, ranks=(0, 1), lengths=(5, 5), annotator="ada", sides=(), comparison=0, place=0, prompt=None) -> HeldOut:
    """A ranking of a prompt of its own unless told otherwise."""
    return HeldOut(place, comparison, prompt or opening(next(PLACES)), [f"reply {at}" for at in range(len(scores))], list(ranks), list(scores), list(lengths), annotator, list(sides), 0.0)


def rows_right(count: int, of: int, gap: float = 1.0, lengths=(5, 5)) -> list[HeldOut]:
    return [row((gap, 0.0) if place < count else (0.0, gap), lengths=lengths, place=place) for place in range(of)]


def test_calibration_error_is_the_golden_one():
    """G14"""
    assert trust.ece(MARGINS) == pytest.approx(0.0980377, abs=5e-8)
    assert trust.ece([0, 0]) == 0 and trust.ece([]) == 0
    assert [each.n for each in trust.reliability(MARGINS)] == [2, 3, 3, 2]


def test_accuracy_counts_prompts_and_half_a_tie():
    rows = [row((3, 2, 1), (0, 1, 2), (1, 1, 1)), row((1, 1)), row((0, 1)), row((5, 4), ranks=(0, 0))]
    found = trust.accuracy(rows)
    assert found.rate == pytest.approx((1 + 0.5 + 0) / 3) and found.n == 3, "a ranking without a strict pair says nothing"
    assert found.low < found.rate < found.high


def test_several_rankings_of_one_prompt_are_one_vote():
    same = opening(-1)
    found = trust.accuracy([row((1, 0), prompt=same), row((1, 0), prompt=same), row((0, 1), prompt=same), row((1, 0))])
    assert found.rate == pytest.approx((2 / 3 + 1) / 2) and found.n == 2


def test_a_ranking_of_four_with_a_tie_and_one_left_out_has_its_strict_pairs():
    assert row((0, 0, 0, 0), (1, 0, 1, -1), (1,) * 4).pairs() == [(1, 0), (1, 2)]


@pytest.mark.parametrize(("values", "expected"), [([3, 1, 2], [2, 0, 1]), ([1, 1, 5, 1], [1, 1, 3, 1]), ([], [])])
def test_ranks_share_the_mean_of_equals(values, expected):
    assert trust.ranks(values) == expected


def test_rank_correlation_is_that_of_the_textbook():
    assert trust.rank_correlation([1, 2, 3], [10, 20, 90]) == pytest.approx(1)
    assert trust.rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert trust.rank_correlation([86, 97, 99, 100, 101, 103, 106, 110, 112, 113], [2, 20, 28, 27, 50, 29, 7, 17, 6, 12]) == pytest.approx(-29 / 165)
    assert trust.rank_correlation([1, 1], [1, 2]) == 0


def test_scores_that_follow_length_are_found_out():
    rows = [row((0.1 * n, 0.1 * m), (0, 1), (n, m)) for n, m in [(9, 4), (8, 3), (12, 7), (20, 6), (7, 2)]]
    found = trust.length(rows, trust.accuracy(rows))
    assert found.link == pytest.approx(1) and found.longer_wins.rate == 1 and found.has_learned_it
    assert found.on_shorter.rate is None, "nobody preferred a shorter reply"


@pytest.mark.parametrize(("link", "longer_wins", "accuracy", "expected"), [
    (0.9, 0.5, 0.9, True), (-0.9, 0.5, 0.9, True), (0.7, 0.8, 0.8, True), (-0.7, 0.2, 0.8, True), (0.7, 0.6, 0.8, False), (0.5, 0.9, 0.8, False),
    (None, 0.9, 0.8, False)])
def test_learned_length_by_link_and_rule(link, longer_wins, accuracy, expected):
    assert trust.has_learned_length(link, longer_wins, accuracy) is expected


def test_the_worst_disagreements_come_first_one_for_each_ranking():
    rows = [row((0.0, 1.0), place=0), row((2.0, 0.0), place=1), row((0.0, 3.0, 1.0), (0, 1, 2), (1, 1, 1), place=2)]
    found = trust.disagreements(rows)
    assert [(each.row.place, each.better, each.worse) for each in found] == [(2, 0, 1), (0, 0, 1)]
    assert found[0].claimed == pytest.approx(1 / (1 + math.exp(-3)))


def choices(seed: int, tau: dict[str, float], side: dict[str, float], count: int = 400) -> list[HeldOut]:
    """Pairs judged by the model of the fit itself."""
    dice, found = random.Random(seed), []
    for name in tau:
        for _ in range(count):
            gap, first = dice.gauss(0, 1.5), dice.random() < 0.5
            wins = dice.random() < trust.sigmoid(tau[name] * gap + side.get(name, 0.0) * (1 if first else -1))
            found.append(row((gap, 0.0), (0, 1) if wins else (1, 0), annotator=name, sides=(0, 1) if first else (1, 0)))
    return found


def test_a_careless_annotator_and_one_who_likes_the_first_side_are_named():
    found = {each.name: each for each in reliabilities(choices(1, {"ada": 2.0, "bob": 0.4, "cas": 1.2}, {"cas": 1.0}))}
    assert found["ada"].reliability > 1.5 * found["cas"].reliability > 2.5 * found["bob"].reliability
    assert found["cas"].side == pytest.approx(1.0, abs=0.35) and found["cas"].side > 4 * found["cas"].error
    assert abs(found["ada"].side) < 3 * found["ada"].error and abs(found["bob"].side) < 3 * found["bob"].error
    assert math.prod(each.reliability for each in found.values()) == pytest.approx(1)


def test_a_lone_annotator_has_no_reliability_and_unknown_sides_no_bias():
    [found] = reliabilities([row((1.0, 0.0)), row((0.0, 1.0))])
    assert (found.name, found.reliability, found.side) == ("ada", None, None) and found.accuracy.n == 2
    assert reliabilities([]) == [] and reliabilities([row((1.0, 0.0), ranks=(0, 0))])[0].accuracy.n == 0


def words(rows, known=NOTHING, probes=None):
    return verdict(trust.trust(rows, known, probes or {}))


def at_most(rate: float) -> Ceiling:
    return Ceiling(rate, rate, rate, rate, 41, "self", "annotators agree with themselves on so many")


def test_a_good_model_is_told_its_share_interval_and_room():
    found = words(rows_right(22, 29, gap=1.2), at_most(0.98))
    assert found.headline == "Right on 76 % of 29 held-out prompts (58 to 88): room to grow." and found.worst == "good"
    assert "Annotators agree with themselves on so many: labels that noisy can be matched on 98 % at most, by anybody." in found.said
    assert "as good as these labels allow" in words(rows_right(22, 29), at_most(0.77)).headline
    assert "look for the same replies on both sides" in words(rows_right(60, 60), at_most(0.72)).headline
    assert any("unknown: no comparison was judged twice" in line for line in words(rows_right(22, 29)).said)


@pytest.mark.parametrize(("right", "start"), [(15, "No better than a coin"), (18, "Perhaps no better than a coin"), (5, "Worse than a coin")])
def test_a_coin_is_called_worthless(right, start):
    found = words(rows_right(right, 29))
    assert found.worst == "bad" and found.headline.startswith(start) and "Worthless as a reward" in found.headline


def test_a_ruler_is_named():
    rows = [row((0.1 * n, 0.1 * m), (0, 1), (n, m)) for n, m in [(9, 4), (8, 3), (12, 7), (20, 6), (7, 2)] * 4]
    found = words(rows)
    assert found.worst == "bad" and found.headline.startswith("It has learned length: a ruler would do.") and '"the longer wins" on 100 %' in found.headline
    assert any("length and quality cannot be told apart" in line for line in found.said)


def test_an_overconfident_or_gamed_model_is_not_simply_good():
    found = words(rows_right(25, 29, gap=9.0), probes={"beats_padding": 0.3, "padding": 0.3, "list": 0.9})
    assert found.worst == "open" and any(line.startswith("Fooled by padding") for line in found.said)
    assert words(rows_right(22, 29, gap=9.0)).worst == "open" and any("surer than it is right" in line for line in words(rows_right(22, 29, gap=9.0)).said)
    assert any("dares to say" in line for line in words(rows_right(29, 29, gap=0.1)).said)


def test_nothing_held_out_is_said():
    assert words([]).headline.startswith("Nothing was held out")


def test_a_model_that_a_ruler_beats_is_told_so():
    dice = random.Random(0)
    rows = [row((1.0, dice.random() * 1.4), (0, 1), (n + 1, n)) for n in dice.choices(range(50), k=60)]
    found = words(rows)
    assert found.worst == "open" and any('"the longer wins" is right on 100 %, more often than the model' in line for line in found.said)
