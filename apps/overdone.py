"""What the over-optimisation charts ask, when a look is new: held-out proxy and gold over drift, and reward against KL step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apps.page import public
from workbench import curves, overdone
from workbench.lab import Lab
from workbench.overdone import Overdone

POINTS = 400  # steps of a run on the frontier
PLACES = 4  # digits that a chart can show


def function(lab: Lab) -> Callable[[Any], dict[str, Any]]:
    @public
    def looks(question: dict[str, Any]) -> dict[str, Any]:
        name = str(question["run"])[:80]
        return charts(lab, name)

    return looks


def charts(lab: Lab, name: str) -> dict[str, Any]:
    found = lab.over_optimisation(name)
    return {"run": name, "said": overdone.told(found), "star": found.star, "looks": looked(found), "fit": fitted(found),
            "best": short(found.best_of), "gold_best": short(found.gold_best_of), "steps": short(frontier_of(lab, name))}


def looked(found: Overdone) -> list[list[float | None]]:
    """Per look: step, d, gain in proxy, gain in gold, its standard error, KL."""
    if not found.looks:
        return []
    zero, gold = found.looks[0].proxy, found.judged[0].gold if found.judged else 0.0
    return short([[look.step, look.d, look.proxy - zero, None if look.gold is None else look.gold - gold, look.error, look.kl] for look in found.looks])


def fitted(found: Overdone) -> dict[str, Any] | None:
    fit = found.fit
    return fit and {"grid": short([fit.grid])[0], "curve": short([fit.curve])[0], "low": short([fit.low])[0], "high": short([fit.high])[0]}


def frontier_of(lab: Lab, name: str) -> list[tuple[int, float, float]]:
    """(step, KL per reply, score), every so many steps of a long run."""
    series = curves.series(lab.store, name, ["kl_seq", "score"])
    drift = series.get("kl_seq", {})
    points = [(step, drift[step], score) for step, score in series.get("score", {}).items() if step in drift]
    return points[::max(1, len(points) // POINTS)]


def short(rows: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    return [[value if value is None or isinstance(value, int) else round(value, PLACES) for value in row] for row in rows]
