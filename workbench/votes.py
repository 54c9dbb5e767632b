"""What judged comparisons add up to: win rates with their interval, position bias, pace. Pure: rows in, numbers out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from workbench.errors import CorpusError
from workbench.records import Comparison, Judgement

Z95 = 1.959964  # the normal quantile of a two-sided 95 % interval


def check_ranking(ranking: Sequence[Sequence[int]], k: int) -> None:
    """Raises CorpusError when a ranking is no order of k replies, each named at most once."""
    named = [place for group in ranking for place in group]
    if not named or len(set(named)) != len(named) or not all(isinstance(p, int) and 0 <= p < k for p in named) or not all(ranking):
        raise CorpusError(f"ranking {ranking!r} is not an order of the {k} replies 0 to {k - 1}, best first, each at most once")


def win_rate(comparisons: Sequence[Comparison], a: str, b: str) -> dict[str, Any]:
    """How often a's best reply stands above b's: wins, losses, ties, n, rate, low, high (95 %).

    A tie is half a win. A comparison counts when it ranks a reply of both; what a partial ranking leaves out is unknown.
    """
    verdicts = [v for v in (verdict(c, a, b) for c in comparisons) if v is not None]
    wins, losses, ties, n = verdicts.count(1.0), verdicts.count(0.0), verdicts.count(0.5), len(verdicts)
    rate = sum(verdicts) / n if n else None
    low, high = wilson(sum(verdicts), n)
    return {"wins": wins, "losses": losses, "ties": ties, "n": n, "rate": rate, "low": low, "high": high}


def verdict(comparison: Comparison, a: str, b: str) -> float | None:
    """1 when a's best reply is in an earlier group than b's, 0 when later, 0.5 when together; None when it does not say."""
    if comparison.state != "judged" or a == b:
        return None
    place_a, place_b = best_place(comparison, a), best_place(comparison, b)
    if place_a is None or place_b is None:
        return None
    return 0.5 if place_a == place_b else float(place_a < place_b)


def best_place(comparison: Comparison, adapter: str) -> int | None:
    """The group, 0 is best, of an adapter's best reply; None when none of its replies is ranked."""
    for place, group in enumerate(comparison.ranking or []):
        if any(comparison.replies[reply].adapter == adapter for reply in group):
            return place
    return None


def wilson(wins: float, n: int) -> tuple[float | None, float | None]:
    """The 95 % score interval of a share of n (Wilson, JASA 22, 1927); (None, None) without data.

    Ties make `wins` fractional. Scores of 0, 1/2 and 1 with mean p vary by at most p(1 - p), so with ties the interval is
    wider than it need be, never narrower; unlike the normal approximation it stays in [0, 1] and is sound for small n.
    """
    if n == 0:
        return None, None
    share, slack = wins / n, Z95**2 / n
    middle = (share + slack / 2) / (1 + slack)
    half = (slack * (share * (1 - share) + slack / 4)) ** 0.5 / (1 + slack)
    return max(0.0, middle - half), min(1.0, middle + half)


def first_side_rate(judgements: Sequence[Judgement]) -> float | None:
    """How often the reply shown first is ranked best; best together with others counts its share. By chance: 1 in k."""
    best = [(each.shown[0], next(group for group in each.ranking if group != [each.written]))  # their own reply was not shown
            for each in judgements if each.state == "judged" and each.shown]
    return sum((first in group) / len(group) for first, group in best) / len(best) if best else None


def pace_seconds(judgements: Sequence[Judgement]) -> float | None:
    """The median time of a judgement."""
    times = [each.seconds for each in judgements if each.seconds is not None]
    return statistics.median(times) if times else None
