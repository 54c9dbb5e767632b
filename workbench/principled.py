"""The store's tables of what a model judged and rewrote by a constitution. SQL by way of the store.

A verdict stands beside people's judgements, never in their place: it has a table of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.records import Revision, Turn, Verdict
from workbench.store import Store


def add(store: Store, run: str, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """A step's verdicts in one transaction; a judge's newer verdict on a comparison takes the place of its older one.

    Each row has comparison, judge, constitution, ranking and chances; it may have flips, first, letters.
    """
    lines = [(row["comparison"], row["judge"], row["constitution"], run, step, json.dumps(row["ranking"]),
              json.dumps({key: row[key] for key in ("chances", "flips", "first", "letters") if key in row}), time.time()) for row in rows]
    with store.write() as db:
        db.executemany("insert or replace into verdicts values(?,?,?,?,?,?,?,?)", lines)


def read(store: Store, judge: str = "") -> list[Verdict]:
    """All verdicts, or those of one judge, in the order of the comparisons."""
    lines = store.read("select * from verdicts where ?='' or judge=? order by comparison, judge", judge, judge)
    return [Verdict(line["comparison"], line["judge"], line["constitution"], line["run"], json.loads(line["ranking"]),
                    **{"created": line["created"], **json.loads(line["record"])}) for line in lines]


def judged(store: Store, judge: str, constitution: str) -> set[int]:
    """The comparisons that a judge has judged by exactly these principles."""
    return {line["comparison"] for line in store.read("select comparison from verdicts where judge=? and constitution=?", judge, constitution)}


# --- revisions


def add_revisions(store: Store, run: str, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """A step's rewritten replies in one transaction. Each row has prompt, draft and turns, and may have topic."""
    lines = [(run, step, place, json.dumps(row)) for place, row in enumerate(rows)]
    with store.write() as db:
        db.executemany("insert or replace into revisions values(?,?,?,?)", lines)


def revisions(store: Store, run: str) -> list[Revision]:
    """What a run rewrote, in order."""
    lines = [json.loads(line["record"]) for line in store.read("select record from revisions where run=? order by step, place", run)]
    return [Revision(line["prompt"], line["draft"], [Turn(**turn) for turn in line["turns"]], line.get("topic", "")) for line in lines]
