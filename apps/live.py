"""The live view of a run: state, tiles, charts and samples, drawn by static/live.js from the deltas that this file answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from apps import pipeline, rollouts, steer, verbs
from apps.page import panel, public
from workbench import doctor, plots, results
from workbench.lab import Lab
from workbench.recipes import RECIPES
from workbench.records import Run

WATCHED = 2000  # up to this many steps the doctor is asked at each, after that at every fiftieth and at the end
POINTS = 2000  # a longer curve is sent as the least and the greatest value of each bucket: it looks the same
PLOTLY = '<script src="/static/plotly.min.js"></script>'
RECORDED = {"score": "score", "gold": "rule", "kl": "KL", "kl_seq": "KL", "reward": "reward", "reply_tokens": "tokens", "tokens": "tokens"}


def build(lab: Lab, stage: str = "", picks: bool = True, is_now: bool = False) -> gr.HTML:
    """A live view that follows the newest run of a stage, or the one picked; without a stage, the run of the address.

    With `is_now` it shows whatever runs at the moment, and nothing when nothing does.
    """

    @public
    def poll(question: dict[str, Any]) -> dict[str, Any]:
        wanted, have = str(question["run"])[:80], str(question["have"])[:80]
        runs = lab.list_runs()
        run = next((r for r in runs if r.state == "running"), None) if is_now else choose(runs, stage, wanted)
        return news(lab, run, have, int(question["after"]), stage)

    @public
    def samples(question: dict[str, Any]) -> dict[str, Any]:
        return {"samples": pairs(lab, str(question["run"])[:80], int(question["first"]), int(question["step"]))}

    return panel("live", poll, samples, *rollouts.functions(lab), verbs.act_on(lab), head=PLOTLY, stage=stage, picks=picks, is_now=is_now, spec=spec())


def spec() -> dict[str, Any]:
    """What the browser needs to know about metrics and charts, once."""
    charts = {stage: [{"title": c.title, "keys": c.keys, "about": c.about, "band": c.band, "span": c.span, "isMain": c.is_main,
                       "colours": {key: plots.colour(key, c.keys) for key in c.keys}} for c in charts] for stage, charts in plots.CHARTS.items()}
    metrics = {key: {"title": m.title, "unit": m.unit, "help": m.help, "healthy": m.healthy} for key, m in plots.METRICS.items()}
    return {"charts": charts, "metrics": metrics, "tiles": plots.TILES, "titles": {name: r.title for name, r in RECIPES.items()}}


def choose(runs: Sequence[Run], stage: str, wanted: str) -> Run | None:
    """The run that is asked for, if it is of the stage; else the one that runs, else the newest of the stage."""
    of_stage = [run for run in runs if run.stage == stage or not stage]
    named = [run for run in of_stage if run.id == wanted]
    if named or not stage:
        return named[0] if named else None
    return pipeline.newest_of(of_stage, stage)


def news(lab: Lab, run: Run | None, have: str, after: int, stage: str) -> dict[str, Any]:
    """Everything the panel shows that is not yet in the browser; `reset` tells it to forget what it has."""
    listed = [{"id": r.id, "state": r.state} for r in reversed(lab.list_runs()) if stage and r.stage == stage][:200]
    if run is None:
        return {"run": "", "stage": stage, "state": "", "step": 0, "total": 0, "eta": None, "pace": 0, "note": "", "trouble": "", "ahead": "",
                "reset": have != "", "to": -1, "series": {}, "runs": listed, "samples": [], "result": None, "canResume": False, "health": None, "steer": None}
    # A resumed run goes back to its checkpoint: the browser has then seen steps that are no more.
    reset = run.id != have or run.step < after
    rows = lab.store.metrics(run.id, -1 if reset else after)
    return {
        "run": run.id, "stage": run.stage, "state": state_of(run), "step": run.step, "total": run.total, "eta": run.eta_seconds,
        "pace": run.stepping if run.state == "running" else 0, "note": run.note, "trouble": trouble(run), "ahead": ahead(lab, run),
        "reset": reset, "to": max([after if not reset else -1, *(row[0] for row in rows[-1:])]), "series": series(rows), "runs": listed,
        "health": health(lab, run) if reset or rows and is_due(run, after) else None,
        "steer": steer.state(lab, run), "samples": sample_steps(lab, run), "canResume": run.state in verbs.RESUMABLE,
        "result": results.read(run, lab.recipe(run.id)) if run.stage == "evaluate" and run.state == "done" else None,
    }


def series(rows: Sequence[tuple[int, str, float | None]]) -> dict[str, list[list[Any]]]:
    """Per metric its steps and values, thinned."""
    found: dict[str, list[tuple[int, float | None]]] = {}
    for step, key, value in rows:
        found.setdefault(key, []).append((step, value))
    return {key: [list(axis) for axis in zip(*thin(points), strict=True)] for key, points in found.items()}


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


def sample_steps(lab: Lab, run: Run) -> list[int]:
    return sorted({row["step"] for row in lab.store.samples(run.id)})


def pairs(lab: Lab, name: str, first: int, step: int) -> list[dict[str, Any]]:
    """Per fixed prompt the reply of a step beside the first one."""
    rows = {(row["step"], row["place"]): row for row in lab.store.samples(name) if row["step"] in (first, step)}
    places = sorted(place for at, place in rows if at == step)[:12]
    return [{"prompt": rows[step, p]["prompt"][-1]["content"], "after": side(rows[step, p]), "before": side(rows.get((first, p)))} for p in places]


def side(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    numbers = [(RECORDED[k], v) for k, v in row["record"].items() if k in RECORDED and isinstance(v, int | float)]
    return {"reply": row["reply"], "numbers": numbers[:5]}
