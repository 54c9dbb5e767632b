"""Reward against drift: what best-of-n would earn, and Gao et al.'s curve of over-optimisation. Numbers in, numbers out; no torch.

Drift d is the root of the KL per reply in nats, as in Gao, Schulman, Hilton, "Scaling Laws for Reward Model Overoptimization"
(2022): along it, reward gained by reinforcement learning follows d (alpha - beta ln d).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

SIZES = (1, 2, 4, 8, 16, 32, 64)  # n of best-of-n for which a run logs what it would earn
LEAST = 4  # points below which no curve is fitted
RESAMPLES = 500
GRID = 41  # places at which the fitted curve is told


def kl_of_best(n: int) -> float:
    """Drift in nats of the best of n replies from the policy that wrote them: ln n - (n - 1) / n, an upper bound that is exact without ties."""
    return math.log(n) - (n - 1) / n


def expected_best(scores: Sequence[float], n: int, values: Sequence[float] | None = None) -> float:
    """Mean value of the highest scored among n of these N replies; without `values`, of its score.

    Over all choices of n, so nothing is drawn: sum over ranks i of C(i - 1, n - 1) / C(N, n), unbiased for n <= N.
    """
    ranked = sorted(zip(scores, values or scores, strict=True), key=lambda pair: pair[0])
    return sum(math.comb(rank, n - 1) * value for rank, (_, value) in enumerate(ranked)) / math.comb(len(ranked), n)


def pooled(groups: Sequence[Sequence[float]]) -> list[float]:
    """Scores of k replies to each of several prompts, as if all were replies to one: what prompts differ in is taken off.

    Within a group the spread is widened by root k / (k - 1), for the mean that was taken off is the group's own.
    """
    mean = fmean(score for group in groups for score in group)
    widened = [(group, fmean(group), math.sqrt(len(group) / max(1, len(group) - 1))) for group in groups]
    return [mean + width * (score - middle) for group, middle, width in widened for score in group]


def best_of(scores: Sequence[Sequence[float]], golds: Sequence[Sequence[float]] = ()) -> dict[str, float]:
    """What the best of n by score would earn, as metrics: best_of_4 by score and gold_best_of_4 by a judge it was not chosen by."""
    pool = pooled(scores)
    found = {f"best_of_{n}": expected_best(pool, n) for n in SIZES if n <= len(pool)}
    if golds:
        other = pooled(golds)
        found |= {f"gold_best_of_{n}": expected_best(pool, n, other) for n in SIZES if n <= len(pool)}
    return found


def reference(series: Mapping[str, Mapping[int, float]], prefix: str = "best_of_") -> list[tuple[int, float, float]]:
    """(n, drift in nats, reward) of best-of-n as a run logged it at its first step; empty where it did not."""
    logged = ((n, series.get(f"{prefix}{n}") or {}) for n in SIZES)
    return [(n, kl_of_best(n), values[min(values)]) for n, values in logged if values]


@dataclass(frozen=True)
class Fit:
    """Gao's curve through points (d, gain): its two numbers, where it peaks, and its 95 % interval by resampling the points."""

    alpha: float
    beta: float
    peak: float | None  # the d from which on more drift earns less; None where the curve only rises
    peak_low: float | None
    peak_high: float | None  # None where some resampled curves never turn
    grid: list[float]
    curve: list[float]
    low: list[float]
    high: list[float]

    @property
    def has_turned(self) -> bool:
        """Whether the peak lies within what was seen, and not on a continuation of it."""
        return self.peak is not None and self.peak < self.grid[-1]


def gain(d: float, alpha: float, beta: float) -> float:
    return d * (alpha - beta * math.log(d)) if d > 0 else 0.0


def fit(points: Sequence[tuple[float, float]], seed: int = 0) -> Fit | None:
    """Least squares over points (d, gain over d = 0); None with fewer than four at d > 0, or where all are at one d."""
    points = [(d, r) for d, r in points if d > 0]
    found = solve(points) if len(points) >= LEAST else None
    if found is None:
        return None
    draw = random.Random(seed)
    again = [each for _ in range(RESAMPLES) if (each := solve(draw.choices(points, k=len(points)))) is not None]
    top = max(d for d, _ in points)
    grid = [top * at / (GRID - 1) for at in range(GRID)]
    bands = [sorted(gain(d, *each) for each in again) for d in grid]
    peaks = sorted(turn(*each) for each in again)
    low, high = quantile(peaks, 0.025), quantile(peaks, 0.975)
    return Fit(*found, finite(turn(*found)), finite(low), finite(high), grid, [gain(d, *found) for d in grid],
               [quantile(band, 0.025) for band in bands], [quantile(band, 0.975) for band in bands])


def solve(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """alpha and beta of the least squares line r = alpha d - beta d ln d."""
    rows = [(d, -d * math.log(d), r) for d, r in points]
    uu, uv, vv = (sum(a * b for a, b in pairs) for pairs in ([(u, u) for u, _, _ in rows], [(u, v) for u, v, _ in rows], [(v, v) for _, v, _ in rows]))
    ur, vr = sum(u * r for u, _, r in rows), sum(v * r for _, v, r in rows)
    det = uu * vv - uv * uv
    if det <= 1e-9 * uu * vv:
        return None
    return (ur * vv - vr * uv) / det, (vr * uu - ur * uv) / det


def turn(alpha: float, beta: float) -> float:
    """Where the curve peaks: exp(alpha / beta - 1); infinite where it bends upwards."""
    return math.exp(min(alpha / beta - 1, 700.0)) if beta > 0 else math.inf


def finite(value: float) -> float | None:
    return value if value < 1e6 else None


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))]
