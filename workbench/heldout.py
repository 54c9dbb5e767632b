"""The store's table of held-out rankings with the scores that a reward run gives them. SQL by way of the store."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workbench.records import HeldOut
from workbench.store import Store

COLUMNS = ("place", "comparison", "annotator")  # the rest is in the record


def put(store: Store, run: str, rows: Sequence[HeldOut]) -> None:
    """Replaces what the run said of its held-out rankings before, in one transaction."""
    lines = []
    for row in rows:
        record = {key: value for key, value in asdict(row).items() if key not in COLUMNS}
        record["scores"] = [score if math.isfinite(score) else None for score in row.scores]
        lines.append((run, row.place, row.comparison, row.annotator, json.dumps(record)))
    with store.write() as db:
        db.execute("delete from held_out where run=?", (run,))
        db.executemany("insert into held_out values(?,?,?,?,?)", lines)


def read(store: Store, run: str) -> list[HeldOut]:
    """The held-out rankings as the run scored them last."""
    return [unpack(line) for line in store.read("select * from held_out where run=? order by place", run)]


def unpack(line: Any) -> HeldOut:
    record = json.loads(line["record"])
    record["scores"] = [float("nan") if score is None else score for score in record["scores"]]
    return HeldOut(line["place"], line["comparison"], annotator=line["annotator"], **record)
