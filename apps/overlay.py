"""Several runs of one stage on the same charts: their main curves, the knobs in which they differ, and for PPO reward against KL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apps.overdone import frontier_of, short
from apps.page import public, sparing
from workbench import curves, frames, frontier, plots, plots_drift
from workbench.errors import LabError
from workbench.lab import Lab

MOST = len(plots_drift.RUNS)  # runs at once: more lines than colours cannot be told apart
POINTS = 400  # of a curve
BEST_OF = tuple(f"best_of_{n}" for n in frontier.SIZES)


def function(lab: Lab) -> Callable[[Any], dict[str, Any]]:
    @public
    @sparing
    def overlay(question: dict[str, Any]) -> dict[str, Any]:
        return together(lab, [str(name)[:80] for name in list(question["runs"])[:MOST]])

    return overlay


def together(lab: Lab, names: Sequence[str]) -> dict[str, Any]:
    """Charts with a line per run. Raises LabError for runs of several stages."""
    runs = [lab.run(name) for name in names]
    stages = list(dict.fromkeys(run.stage for run in runs))
    if len(stages) != 1:
        raise LabError(f"{', '.join(names)} are of different stages ({', '.join(stages)}); their curves mean different things")
    charts = [chart(lab, names, title, key) for title, key in plots.compared(stages[0])]
    recipes = {name: lab.recipe_now(name) for name in names}
    knobs = [{"name": name, "help": next(iter(recipes.values())).named(name).metadata["help"], "values": [str(value) for value in values]}
             for name, values in frames.differing(recipes).items()]
    return {"runs": list(names), "colours": plots_drift.RUNS[: len(names)], "charts": [each for each in charts if any(each["lines"])], "knobs": knobs,
            "steps": [run.step for run in runs], "frontier": reward_against_kl(lab, names) if stages == ["ppo"] else None}


def chart(lab: Lab, names: Sequence[str], title: str, key: str) -> dict[str, Any]:
    metric = plots.METRICS[key]
    lines = [curves.thinned(lab.store, name, key, lab.run(name).step, POINTS) for name in names]
    return {"title": title, "about": metric.help, "good": metric.healthy, "unit": metric.unit,
            "lines": [[list(axis) for axis in zip(*short(points), strict=True)] if points else [] for points in lines]}


def reward_against_kl(lab: Lab, names: Sequence[str]) -> dict[str, Any]:
    """(step, KL, score) of every run, and best-of-n of the first that tried it."""
    references = (frontier.reference(curves.series(lab.store, name, BEST_OF)) for name in names)
    return {"best": short(next(filter(None, references), [])), "lines": [short(frontier_of(lab, name)) for name in names]}
