"""Votes: hand-counted win rates, their interval, position bias and pace."""

import pytest

from workbench.records import Comparison, Judgement, Reply
from workbench.votes import first_side_rate, pace_seconds, wilson, win_rate


def judged(ranking, adapters=("a", "b"), shown=None, state="judged", seconds=None):
    replies = [Reply(name, f"reply of {name}", 3, True, {}) for name in adapters]
    order = shown if shown is not None else list(range(len(adapters)))
    made = Judgement(1, "me", state, ranking or [], order, seconds=seconds)
    return Comparison(1, "chat", "", 1, [{"role": "user", "content": "?"}], {}, order, state, 0.0, "", 0.0, replies, [made])


def test_a_tie_is_half_a_win():
    found = win_rate([judged([[0], [1]]), judged([[0], [1]]), judged([[1], [0]]), judged([[0, 1]])], "a", "b")
    assert (found["wins"], found["losses"], found["ties"], found["n"], found["rate"]) == (2, 1, 1, 4, 0.625)


def test_the_other_way_round_is_the_complement():
    rows = [judged([[0], [1]]), judged([[0, 1]]), judged([[0], [1]])]
    one, other = win_rate(rows, "a", "b"), win_rate(rows, "b", "a")
    assert one["rate"] + other["rate"] == pytest.approx(1)
    assert one["low"] == pytest.approx(1 - other["high"])


def test_the_best_reply_of_each_decides():
    row = judged([[2], [1], [0], [3]], adapters=("a", "b", "a", "b"))
    assert win_rate([row], "a", "b")["wins"] == 1


def test_only_comparisons_that_rank_both_count():
    rows = [judged([[0]]), judged(None, state="bad"), judged(None, state="ready"), judged([[0], [1]], adapters=("a", "c")),
            judged([[0], [1]], state="skipped")]
    assert win_rate(rows, "a", "b")["n"] == 0


def test_without_votes_there_is_no_rate():
    assert win_rate([], "a", "b") == {"wins": 0, "losses": 0, "ties": 0, "n": 0, "rate": None, "low": None, "high": None}


def test_nothing_wins_against_itself():
    assert win_rate([judged([[0], [1]], adapters=("a", "a"))], "a", "a")["n"] == 0


def test_wilson_agrees_with_the_published_example():
    low, high = wilson(81, 263)  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize("wins", [0, 0.5, 1])
def test_one_vote_proves_little(wins):
    low, high = wilson(wins, 1)
    assert 0 <= low < high <= 1 and high - low > 0.7


def test_first_side_rate_follows_the_shown_order():
    rows = [judged([[1], [0]], shown=[1, 0]), judged([[0], [1]], shown=[1, 0]), judged([[0, 1]])]
    assert first_side_rate([row.judgement for row in rows]) == pytest.approx((1 + 0 + 0.5) / 3)


def test_first_side_rate_ignores_what_was_not_ranked():
    assert first_side_rate([judged(None, state=state).judgement for state in ("bad", "skipped")]) is None


def test_pace_is_the_median():
    assert pace_seconds([judged([[0], [1]], seconds=s).judgement for s in (4, 9, 100, None)]) == 9
    assert pace_seconds([]) is None
