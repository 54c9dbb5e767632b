"""Who labelled, and how: the reliability and side bias of each annotator, given what a reward model says of their pairs. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.agreement import Share
from workbench.records import HeldOut
from workbench.trust import accuracy

PRIOR = 0.5  # spread of log-reliability and of side bias over annotators
SCALE_PRIOR = 2.0  # of the scale that all share; wide, so that a perfect fit still has an end
ROUNDS = 50


class Reliability(NamedTuple):
    """One annotator beside the others.

    reliability 1 is typical: it multiplies the score difference that decides their choice; None where there is nobody to compare
    with. side is how many logits the reply shown first gains by being first, error its standard error; None where nobody wrote
    down what was shown first.
    """

    name: str
    accuracy: Share  # how often the model agrees with them
    reliability: float | None
    side: float | None
    error: float | None


def reliabilities(rows: Sequence[HeldOut]) -> list[Reliability]:
    """Each annotator of the held-out rankings, the busiest first."""
    names = sorted({row.annotator for row in rows}, key=lambda name: (-sum(row.annotator == name for row in rows), name))
    fitted = fit(rows, names) if any(row.pairs() for row in rows) else {}
    return [Reliability(name, accuracy([row for row in rows if row.annotator == name]), *fitted.get(name, (None, None, None))) for name in names]


def fit(rows: Sequence[HeldOut], names: Sequence[str]) -> dict[str, tuple[float | None, float | None, float | None]]:
    """Reliability, side bias and its standard error by annotator, with the scores held fixed.

    P(i over j) = sigmoid(exp(s + t_a) (r_i - r_j) + b_a side), side +1 where i was shown before j and -1 after, t and b normal
    around 0; the posterior's peak by Newton's method. As Crowd-BT (Chen et al. 2013) with side bias; t sums to 0.
    """
    import numpy

    who, gap, side = (numpy.array(column, dtype=float) for column in zip(*observations(rows, names), strict=True))
    who = who.astype(int)
    count, place = len(names), numpy.zeros(2 * len(names) + 1)  # s, t of each, b of each
    design = numpy.zeros((len(gap), len(place)))
    weights = numpy.array([1 / SCALE_PRIOR**2, *[1 / PRIOR**2] * (2 * count)])
    lines = numpy.arange(len(gap))
    curvature = numpy.diag(weights)
    for _ in range(ROUNDS):
        pull = numpy.exp(place[0] + place[1 + who]) * gap
        chance = 1 / (1 + numpy.exp(-numpy.clip(pull + place[1 + count + who] * side, -500, 500)))
        design[:, 0], design[lines, 1 + who], design[lines, 1 + count + who] = pull, pull, side
        slope = design.T @ (1 - chance) - weights * place
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + numpy.diag(weights)  # Gauss-Newton: always positive
        step = numpy.linalg.solve(curvature, slope)
        place += step * min(1.0, 1.0 / numpy.abs(step).max())
        if numpy.abs(step).max() < 1e-8:
            break
    errors, mean = numpy.sqrt(numpy.diag(numpy.linalg.inv(curvature))), place[1:1 + count].mean()
    is_sided = [bool(numpy.any(side[who == at])) for at in range(count)]
    return {name: (float(numpy.exp(place[1 + at] - mean)) if count > 1 else None, float(place[1 + count + at]) if is_sided[at] else None,
                   float(errors[1 + count + at]) if is_sided[at] else None) for at, name in enumerate(names)}


def observations(rows: Sequence[HeldOut], names: Sequence[str]) -> list[tuple[int, float, float]]:
    """(annotator, score difference, side) of every pair, better less worse; side 0 where nobody knows."""
    found = []
    for row in rows:
        for (a, b), gap in zip(row.pairs(), row.margins(), strict=True):
            side = 0.0 if not row.sides else 1.0 if row.sides[a] < row.sides[b] else -1.0
            found.append((names.index(row.annotator), gap, side))
    return found
