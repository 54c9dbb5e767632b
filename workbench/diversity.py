"""How varied a set of replies is: pure counts over sequences of words or tokens. No torch.

High is not good in itself: noise is varied too. What tells is a fall from where a run began.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

Row = Sequence[Hashable]  # a reply as words or as token ids

COMPARED = 64  # replies at most whose pairs are compared: 2,016 pairs


def distinct(rows: Sequence[Row], n: int) -> float:
    """Share of the n-grams that differ from each other (distinct-n of Li et al. 2016), over all rows together; 1 where there are none."""
    found = [gram for row in rows for gram in grams(row, n)]
    return len(set(found)) / len(found) if found else 1.0


def duplicates(rows: Sequence[Row]) -> float:
    """Share of the rows that repeat an earlier one."""
    return 1 - len({tuple(row) for row in rows}) / len(rows) if rows else 0.0


def similarity(rows: Sequence[Row], n: int = 2) -> float:
    """How much two replies have in common: the mean over all pairs of shared n-grams / n-grams of either (Jaccard), 0 to 1.

    It stands in for self-BLEU, which is 0 for most pairs of short replies and depends on how it is smoothed. Rows without
    n-grams count as alike when they are equal. Of many rows the first 64 are compared.
    """
    sets = [frozenset(grams(row, n)) or frozenset([tuple(row)]) for row in rows[:COMPARED]]
    pairs = [len(a & b) / len(a | b) for a, b in combinations(sets, 2)]
    return sum(pairs) / len(pairs) if pairs else 0.0


def grams(row: Row, n: int) -> list[tuple[Hashable, ...]]:
    return [tuple(row[at:at + n]) for at in range(len(row) - n + 1)]
