"""The live view of a run: state, tiles, charts and samples, drawn by static/live.js from the deltas that this file answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from apps import overdone, pipeline, samples, steer, verbs
from apps.page import panel, public, tag_of
from workbench import bands, curves, doctor, plots, results
from workbench.lab import Lab
from workbench.recipes import RECIPES
from workbench.records import Run

LASTING = ("runs", "steer", "result")  # parts of an answer that seldom change
LOOKS = 5000  # newest steps on the slider of the samples
WATCHED = 2000  # up to this many steps the doctor is asked at each, after that at every fiftieth and at the end
POINTS = 2000  # a longer curve is sent as the least and the greatest value of each bucket: it looks the same
PLOTLY = '<script src="/static/plotly.min.js"></script>'


def build(lab: Lab, stage: str = "", picks: bool = True, is_now: bool = False) -> gr.HTML:
    """A live view that follows the newest run of a stage, or the one picked; without a stage, the run of the address.

    With `is_now` it shows whatever runs at the moment, and nothing when nothing does.
    """

    @public
    def poll(question: dict[str, Any]) -> dict[str, Any]:
        wanted, have = str(question["run"])[:80], str(question["have"])[:80]
        runs = lab.list_runs()
        run = next((r for r in runs if r.state == "running"), None) if is_now else choose(runs, stage, wanted)
        return trimmed(news(lab, run, have, int(question["after"]), stage, int(question.get("looked", -1))), question.get("tags") or {})

    return panel("live", poll, *samples.functions(lab), overdone.function(lab), verbs.act_on(lab), head=PLOTLY, stage=stage, picks=picks, is_now=is_now,
                 spec=spec())


def spec() -> dict[str, Any]:
    """What the browser needs to know about metrics and charts, once."""
    charts = {stage: [chart(each) for each in charts] for stage, charts in plots.CHARTS.items()}
    metrics = {key: {"title": m.title, "unit": m.unit, "help": m.help, "healthy": m.healthy} for key, m in plots.METRICS.items()}
    return {"charts": charts, "metrics": metrics, "tiles": plots.TILES, "titles": {name: r.title for name, r in RECIPES.items()}}


def chart(found: plots.Chart) -> dict[str, Any]:
    """A chart for the browser, with the healthy band of its first metric."""
    good = bands.BANDS.get(found.keys[0])
    return {"title": found.title, "keys": found.keys, "about": found.about, "band": found.band, "span": found.span, "isMain": found.is_main,
            "isStacked": found.is_stacked, "good": good and asdict(good), "colours": {key: plots.colour(key, found.keys) for key in found.keys}}


def choose(runs: Sequence[Run], stage: str, wanted: str) -> Run | None:
    """The run that is asked for, if it is of the stage; else the one that runs, else the newest of the stage."""
    of_stage = [run for run in runs if run.stage == stage or not stage]
    named = [run for run in of_stage if run.id == wanted]
    if named or not stage:
        return named[0] if named else None
    return pipeline.newest_of(of_stage, stage)


def shown(stage: str) -> list[str]:
    """The metrics that a stage's charts and tiles draw; nothing else goes to the browser."""
    return sorted({key for chart in plots.CHARTS.get(stage, []) for key in chart.keys} | set(plots.TILES.get(stage, ())))


def trimmed(found: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """The answer without those lasting parts that the browser has already, by their tags."""
    tags = {name: tag_of(found[name]) for name in LASTING}
    new = {name: tag for name, tag in tags.items() if known.get(name) != tag}
    return {**{key: value for key, value in found.items() if key not in tags or key in new}, "tags": new}


def news(lab: Lab, run: Run | None, have: str, after: int, stage: str, looked: int = -1) -> dict[str, Any]:
    """Everything the panel shows that is not yet in the browser; `reset` tells it to forget what it has."""
    listed = [{"id": r.id, "state": r.state} for r in reversed(lab.list_runs()) if stage and r.stage == stage][:200]
    if run is None:
        return {"run": "", "stage": stage, "state": "", "step": 0, "total": 0, "eta": None, "pace": 0, "note": "", "trouble": "", "ahead": "",
                "reset": have != "", "to": -1, "series": {}, "runs": listed, "samples": [], "result": None, "canResume": False, "health": None, "steer": None, "star": None}
    # A resumed run goes back to its checkpoint: the browser has then seen steps that are no more.
    reset = run.id != have or run.step < after
    curves_now = whole(lab, run) if reset and run.step > POINTS else series(curves.recent(lab.store, run.id, shown(run.stage), -1 if reset else after))
    to = max([after if not reset else -1, *(axis[0][-1] for axis in curves_now.values())])
    return {
        "run": run.id, "stage": run.stage, "state": state_of(run), "step": run.step, "total": run.total, "eta": run.eta_seconds,
        "pace": run.stepping if run.state == "running" else 0, "note": run.note, "trouble": trouble(run), "ahead": ahead(lab, run),
        "reset": reset, "to": to, "series": curves_now, "runs": listed,
        "health": health(lab, run) if reset or curves_now and is_due(run, after) else None, "star": lab.best_step(run.id) if run.stage == "ppo" else None,
        "steer": steer.state(lab, run), "samples": curves.looked(lab.store, run.id, -1 if reset else looked)[-LOOKS:], "canResume": run.state in verbs.RESUMABLE,
        "result": results.read(run, lab.recipe(run.id)) if run.stage == "evaluate" and run.state == "done" else None,
    }


def whole(lab: Lab, run: Run) -> dict[str, list[list[Any]]]:
    """A long run's curves so far, thinned by the store."""
    found = {key: curves.thinned(lab.store, run.id, key, run.step, POINTS) for key in shown(run.stage)}
    return {key: [[step for step, _ in points], [short(value) for _, value in points]] for key, points in found.items() if points}


def series(rows: Sequence[tuple[int, str, float | None]]) -> dict[str, list[list[Any]]]:
    """Per metric its steps and values, thinned."""
    found: dict[str, list[tuple[int, float | None]]] = {}
    for step, key, value in rows:
        found.setdefault(key, []).append((step, short(value)))
    return {key: [list(axis) for axis in zip(*thin(points), strict=True)] for key, points in found.items()}


def short(value: float | None) -> float | None:
    """Five digits: more than a chart can show."""
    return None if value is None else float(f"{value:.5g}")


def thin(points: list[tuple[int, float | None]], limit: int = POINTS) -> list[tuple[int, float | None]]:
    """At most `limit` points that look like all of them: extremes of every bucket, and the last one."""
    if len(points) <= limit:
        return points
    kept, size = [], -(-len(points) * 2 // (limit - 2))
    for start in range(0, len(points), size):
        bucket = [p for p in points[start:start + size] if p[1] is not None]
        if bucket:
            kept += sorted({min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])})
    return kept if kept and kept[-1] == points[-1] else [*kept, points[-1]]


def state_of(run: Run) -> str:
    """The state a person should see: a wish that is not yet fulfilled counts."""
    return {"pause": "pausing", "stop": "stopping"}.get(run.wish, run.state) if run.state == "running" else run.state


def trouble(run: Run, now: float | None = None) -> str:
    """What went wrong with a run and what to do, or nothing."""
    if run.state in ("failed", "lost"):
        advice = "" if "esume" in run.error else " Press Resume to go on from the last checkpoint, or change the form and start anew."
        return run.error.strip() + advice
    silent = (now or time.time()) - (run.step_at or run.started or time.time())
    if run.state == "running" and run.stepping and silent > max(60.0, 10 * run.stepping):
        return (f"No step for {silent / 60:.0f} minutes, while one usually takes {run.stepping:.1f} s. It may be stuck: "
                "pause it, and if that does not help end its process; nothing before the last checkpoint is lost.")
    return ""


def ahead(lab: Lab, run: Run) -> str:
    if run.state != "queued":
        return ""
    before = [r.id for r in lab.store.runs() if r.state in ("running", "queued") and r.created < run.created]
    return ", ".join(before[:3]) + (f" and {len(before) - 3} more" if len(before) > 3 else "")


def is_due(run: Run, after: int) -> bool:
    """Whether the doctor should look again: the longer a run, the more there is to read and the less a step changes."""
    return run.step <= WATCHED or run.step // 50 > after // 50 or run.is_over


def health(lab: Lab, run: Run) -> dict[str, Any] | None:
    """What the doctor says of a run: a line, and a card per finding; None for stages without rules."""
    if run.stage not in doctor.RULES:
        return None
    recipe, found = lab.recipe_now(run.id), lab.doctor(run.id)
    worst = found[0].severity if found else "well"
    return {"verdict": doctor.headline(run.stage, found, run.step), "worst": worst, "grounds": lab.grounds(run.id, found), "findings": [
        {**doctor.as_record(each, recipe), **steer.cure(lab, run, each)} for each in found]}
