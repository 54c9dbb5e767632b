"""The store's table of knobs changed on the way, and what a fork takes over of its parent. SQL by way of the store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.records import Change, Run
from workbench.store import Store

FIGURES = ("step", "place", "prompt", "reply", "score", "gold", "reward", "kl", "tokens", "finish", "figures")  # of a recorded rollout


def add(store: Store, run: str, changed: Mapping[str, tuple[Any, Any]], origin: str = "live", step: int | None = None) -> None:
    """Records knobs as (old, new); the worker says from which step they apply, where that is not known yet."""
    with store.write() as db:
        db.executemany("insert into changes(run, knob, old, new, asked, step, origin) values(?,?,?,?,?,?,?)",
                       [(run, knob, json.dumps(old), json.dumps(new), time.time(), step, origin) for knob, (old, new) in changed.items()])


def of(store: Store, run: str) -> list[Change]:
    """In the order in which they apply; last those that wait for the next step."""
    rows = store.read("select run, knob, old, new, asked, step, origin from changes where run=? order by step is null, step, id", run)
    return [Change(**{**dict(row), "old": json.loads(row["old"]), "new": json.loads(row["new"])}) for row in rows]


def held(store: Store, run: str, steps: int) -> dict[str, int]:
    """Of each knob that was changed by a step or waits for the next one, the first step with its present value."""
    told = ((each.knob, steps + 1 if each.step is None else each.step) for each in of(store, run))
    return {knob: step for knob, step in told if step <= steps + 1}


def take(store: Store, run: str, step: int) -> list[Change]:
    """Stamps what waits with the step that is about to begin; returns everything that applies to that step.

    A run that went back to a checkpoint repeats what it was told later, unless it is now told otherwise.
    """
    if store.read("select 1 from changes where run=? and step is null limit 1", run):
        with store.write() as db:
            db.execute("delete from changes where run=? and step>? and knob in (select knob from changes where run=? and step is null)",
                       (run, step, run))
            db.execute("update changes set step=? where run=? and step is null", (step, run))
    return [each for each in of(store, run) if each.step is not None and each.step <= step]


def inherit(store: Store, run: Run, own: Sequence[str]) -> None:
    """Gives a fork what its parent logged up to there and, of the knobs that are not its own, all that the parent was told."""
    name, parent, step = run.id, run.parent, run.parent_step
    recorded = ", ".join(FIGURES)
    with store.write() as db:
        db.execute("insert into metrics select ?, key, step, value from metrics where run=? and step<=?", (name, parent, step))
        db.execute("insert into samples select ?, step, place, prompt, reply, record from samples where run=? and step<=?", (name, parent, step))
        db.execute(f"insert into rollouts(run, {recorded}) select ?, {recorded} from rollouts where run=? and step<=? order by id", (name, parent, step))
        db.execute("insert into revisions select ?, step, place, record from revisions where run=? and step<=?", (name, parent, step))
        db.execute("insert into changes(run, knob, old, new, asked, step, origin) select ?, knob, old, new, asked, step, origin from changes"
                   f" where run=? and step is not null and (step<=? or knob not in ({','.join('?' * len(own))})) order by id",
                   (name, parent, step, *own))
