"""A run's metrics as series: what was logged, where the gaps are, and the few statistics that the rules use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from statistics import fmean, median

Row = tuple[int, str, float | None]  # step, metric, value; None is a number that was not finite
Point = tuple[int, float]

WINDOW = 5  # steps that a rule looks back over unless it says otherwise


class Trace:
    """Series by metric, oldest first."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.known: dict[str, list[Point]] = {}
        self.gaps: dict[str, list[int]] = {}
        self.steps = 0
        for step, key, value in sorted(rows, key=lambda row: row[:2]):
            self.steps = max(self.steps, step)
            if value is None or not math.isfinite(value):
                self.gaps.setdefault(key, []).append(step)
            else:
                self.known.setdefault(key, []).append((step, float(value)))

    def since_step(self, begun: int) -> Trace:
        """The same series from a step on."""
        known = ((step, key, value) for key, points in self.known.items() for step, value in points if step >= begun)
        return Trace([*known, *((step, key, None) for key, steps in self.gaps.items() for step in steps if step >= begun)])

    def points(self, key: str) -> list[Point]:
        return self.known.get(key, [])

    def values(self, key: str) -> list[float]:
        return [value for _, value in self.points(key)]

    def last(self, key: str) -> float | None:
        return self.points(key)[-1][1] if self.points(key) else None

    def at_start(self, key: str) -> float | None:
        """The value of the first step: for PPO what the SFT policy does. None where the first step is not in sight."""
        found = self.points(key)
        return found[0][1] if found and found[0][0] == 1 else None

    def early(self, key: str, window: int = WINDOW) -> float:
        return fmean(self.values(key)[:window])

    def recent(self, key: str, window: int = WINDOW) -> float:
        return fmean(self.values(key)[-window:])

    def highest(self, key: str, window: int = WINDOW) -> float:
        """The highest mean of neighbouring values that the run ever had."""
        values = self.values(key)
        return max(fmean(values[i:i + window]) for i in range(max(1, len(values) - window + 1)))

    def typical(self, key: str, window: int = WINDOW) -> float:
        """The median of the last few: one odd step does not move it."""
        return median(self.values(key)[-window:])

    def noise(self, key: str) -> float:
        """How much a value jumps from step to step for no reason: one standard deviation, from the median jump.

        1.05 is 1 / (0.6745 sqrt 2): the median jump between two normal draws of spread 1 is 0.95.
        """
        values = self.values(key)
        jumps = [abs(b - a) for a, b in pairwise(values)]
        return 1.05 * median(jumps) if jumps else 0.0

    def has(self, *keys: str, count: int = 1) -> bool:
        """Whether every metric has at least `count` values."""
        return all(len(self.points(key)) >= count for key in keys)

    def since(self, key: str, claim: Callable[[float], bool], count: int = 1) -> int | None:
        """The step from which the claim has held without a break until now; None unless it held `count` times or more."""
        held: list[int] = []
        for step, value in reversed(self.points(key)):
            if not claim(value):
                break
            held.append(step)
        return held[-1] if len(held) >= count else None

    def first_when(self, key: str, claim: Callable[[float], bool]) -> int | None:
        """The first step at which the claim held."""
        return next((step for step, value in self.points(key) if claim(value)), None)
