"""How far a reward model can be trusted: figures from its held-out rankings. Pure: rows in, numbers out; no torch.

Every share counts prompts, not pairs, where it has an interval: the pairs of one prompt are kin, and so are its rankings. Ties count half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from workbench.agreement import Ceiling, Share, share
from workbench.corpus import Prompt, prompt_key
from workbench.probes import PROBES
from workbench.probes import verdict as probe_verdict
from workbench.records import HeldOut

BINS = 10
OF_ONE_MIND = 0.8  # |rank correlation| of score and length above which nothing else matters


class Bin(NamedTuple):
    """Pairs of about the same claimed certainty, from 0.5 to 1, and how often the model was right on them."""

    claimed: float
    right: float
    n: int


class Length(NamedTuple):
    """How a model's scores go with the length of replies."""

    link: float  # rank correlation of score and length over all held-out replies
    longer_wins: Share  # accuracy of the rule that the longer reply is better
    on_shorter: Share  # accuracy of the model where the shorter reply was preferred
    has_learned_it: bool


@dataclass(frozen=True)
class Trust:
    """Everything that the page says of a reward model, from what the run left behind."""

    accuracy: Share
    ceiling: Ceiling
    margin: float
    ece: float
    bins: list[Bin]
    length: Length
    fooled: list[str]


def trust(rows: Sequence[HeldOut], ceiling: Ceiling, probes: dict[str, float]) -> Trust:
    """`probes` are shares by name, as the run's summary holds them."""
    margins = [gap for row in rows for gap in row.margins()]
    found = accuracy(rows)
    fooled = [probe.title.lower() for name, probe in PROBES.items() if name in probes and probe_verdict(probes[name]) == "bad"]
    return Trust(found, ceiling, sum(margins) / len(margins) if margins else 0.0, ece(margins), reliability(margins), length(rows, found), fooled)


def right(gap: float) -> float:
    return float(gap > 0) + 0.5 * (gap == 0)


def accuracy(rows: Iterable[HeldOut], gaps: Callable[[HeldOut], list[float]] = HeldOut.margins) -> Share:
    """The mean over prompts of the share of pairs put right, with Wilson's interval over prompts: what several rankings of one say is one vote."""
    by_prompt: dict[str, list[float]] = {}
    for row in rows:
        if found := gaps(row):
            by_prompt.setdefault(prompt_key(Prompt(row.prompt)), []).append(sum(map(right, found)) / len(found))
    each = [sum(found) / len(found) for found in by_prompt.values()]
    return share(sum(each), len(each))


def reliability(margins: Sequence[float], bins: int = BINS) -> list[Bin]:
    """Pairs by claimed certainty sigmoid(|margin|), in equal bins on [0.5, 1]; empty bins are left out."""
    found: dict[int, list[tuple[float, float]]] = {}
    for gap in margins:
        claimed = sigmoid(abs(gap))
        found.setdefault(min(bins - 1, int((claimed - 0.5) * 2 * bins)), []).append((claimed, right(gap)))
    return [Bin(*(sum(column) / len(column) for column in zip(*found[place], strict=True)), len(found[place])) for place in sorted(found)]


def ece(margins: Sequence[float], bins: int = BINS) -> float:
    """Expected calibration error: the mean gap between claimed certainty and accuracy (Guo et al. 2017, eq. 3)."""
    return sum(b.n * abs(b.claimed - b.right) for b in reliability(margins, bins)) / max(1, len(margins))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def length(rows: Sequence[HeldOut], found: Share) -> Length:
    """Whether the scores are more than a ruler: see `Length`."""
    link = rank_correlation([float(n) for row in rows for n in row.lengths], [s for row in rows for s in row.scores])
    rule = accuracy(rows, lambda row: [float(row.lengths[a] - row.lengths[b]) for a, b in row.pairs()])
    shorter = accuracy(rows, lambda row: [row.scores[a] - row.scores[b] for a, b in row.pairs() if row.lengths[a] < row.lengths[b]])
    return Length(link, rule, shorter, has_learned_length(link, rule.rate, found.rate))


def has_learned_length(link: float | None, longer_wins: float | None, accuracy: float | None) -> bool:
    """Whether a ruler would judge as well: scores follow length closely, or fairly closely and no better than that rule."""
    if link is None or longer_wins is None or accuracy is None:
        return False
    rule = longer_wins if link > 0 else 1 - longer_wins
    return abs(link) > OF_ONE_MIND or (abs(link) > 0.6 and rule >= accuracy - 0.02)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's correlation, ties at their mean rank; 0 where either does not vary."""
    a, b = ranks(x), ranks(y)
    middle = (len(a) - 1) / 2
    scale = math.sqrt(sum((v - middle) ** 2 for v in a) * sum((v - middle) ** 2 for v in b))
    return sum((v - middle) * (w - middle) for v, w in zip(a, b, strict=True)) / scale if scale > 0 else 0.0


def ranks(values: Sequence[float]) -> list[float]:
    """Places from 0; equals share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    found, start = [0.0] * len(values), 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[start]]:
            for at in order[start:end]:
                found[at] = (start + end - 1) / 2
            start = end
    return found


class Disagreement(NamedTuple):
    """A pair that the model orders the other way than a person did."""

    row: HeldOut
    better: int
    worse: int
    claimed: float  # how sure the model is of the opposite


def disagreements(rows: Sequence[HeldOut], limit: int = 12) -> list[Disagreement]:
    """The worst pair of each ranking that the model gets wrong, the surest mistakes first."""
    found = []
    for row in rows:
        gap, (better, worse) = min(zip(row.margins(), row.pairs(), strict=True), default=(0.0, (0, 0)))
        if gap < 0:
            found.append(Disagreement(row, better, worse, sigmoid(-gap)))
    return sorted(found, key=lambda each: -each.claimed)[:limit]
