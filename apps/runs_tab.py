"""Runs: everything that ran or waits, and one run in detail: where it came from, its knobs, curves, samples and end."""

from __future__ import annotations

from typing import Any

from apps import live, overlay, pipeline, verbs
from apps.page import Page, panel, public, sparing
from workbench import changes, course, plots
from workbench.lab import Lab
from workbench.records import Run, run_of

SHOWN = 300  # newest runs in the table


def build(lab: Lab, page: Page) -> None:
    @public
    @sparing
    def look(question: dict[str, Any]) -> dict[str, Any]:
        runs = lab.list_runs()
        chosen = next((run for run in runs if run.id == str(question["run"])), None)
        return {"runs": [row(lab, run) for run in reversed(runs[-SHOWN:])], "detail": detail(lab, chosen, runs) if chosen else None}

    @public
    def report(question: dict[str, Any]) -> dict[str, Any]:
        return {"html": lab.report_text(int(question["round"]) if "round" in question else str(question["run"])[:80])}

    panel("runs", look, overlay.function(lab), report, verbs.act_on(lab))
    live.build(lab, picks=False)


def row(lab: Lab, run: Run) -> dict[str, Any]:
    seconds = run.ended - run.started if run.started and run.ended else None  # of one that goes on the browser counts them
    return {"id": run.id, "state": live.state_of(run), "step": f"{run.step} / {run.total}" if run.total else str(run.step), "started": run.started,
            "seconds": seconds, "from": [run.parent] if run.parent else lab.recipe(run.id).needs(), "headline": pipeline.headline(lab, run),
            "can_resume": run.state in verbs.RESUMABLE, "is_live": not run.is_over, "state_raw": run.state}


def detail(lab: Lab, run: Run, runs: list[Run]) -> dict[str, Any]:
    """A run's lineage and the knobs it ran with, those that differ from the defaults marked."""
    recipe = lab.recipe(run.id)
    changed = {knob.name for knob in recipe.changed()}
    knobs = [{"name": k.name, "value": str(getattr(recipe, k.name)), "help": k.metadata["help"],
              "is_changed": k.name in changed} for k in recipe.knobs()]
    users = [other.id for other in runs if run.id in map(run_of, lab.recipe(other.id).needs()) or other.parent == run.id]
    return {"id": run.id, "title": recipe.title, "round": run.round, "from": recipe.needs(), "to": users, "knobs": knobs,
            "code": recipe.as_python(), "saved_step": run.saved_step, "is_live": not run.is_over,
            "can_resume": run.state in verbs.RESUMABLE,
            "lineage": course.lineage(run, changes.of(lab.store, run.id)), "summary": facts(run)}


def facts(run: Run) -> list[list[str]]:
    """What a run ended with: name, figure, meaning. A comparison's table tells its own below."""
    told = {} if run.stage == "evaluate" else run.summary
    return [[*meaning(key), pipeline.figure(value) if isinstance(value, float) else str(value)] for key, value in told.items() if isinstance(value, int | float | str)]


def meaning(key: str) -> list[str]:
    metric = plots.METRICS.get(key)
    return [metric.title.lower(), f"{metric.help} {metric.healthy}"] if metric else [key.replace("_", " "), ""]
