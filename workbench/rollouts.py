"""The store's table of recorded rollouts: one row per reply, its tokens in one compressed blob. SQL by way of the store.

A token takes 32 bytes, 28 deflated; a reply of 50 with its prompt and the database's pages 2.7 KB, and a PPO run of 24 steps that
records 4 each 260 KB (measured on prompts of the customer-service pack).
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from workbench.records import Messages, RolloutRow
from workbench.store import Store

WHOLE = ("ids", "lengths")  # 4 bytes each: the tokens, and how many characters each adds
FIGURES = ("logps", "reference", "values", "returns", "advantages", "rewards")  # 4 bytes each, as they were computed
HEAD = "step, place, prompt, reply, score, gold, reward, kl, tokens, finish"
WIDTH = 4


def add(store: Store, run: str, rows: Sequence[RolloutRow]) -> None:
    """The recorded rollouts of a step, in one transaction."""
    lines = [(run, row.step, row.place, json.dumps(row.prompt), row.reply, row.score, row.gold, row.reward, sum(row.kl), len(row.ids), row.finish,
              pack(row)) for row in rows]
    with store.write() as db:
        db.executemany(f"insert or replace into rollouts(run, {HEAD}, figures) values(?,?,?,?,?,?,?,?,?,?,?,?)", lines)


def steps(store: Store, run: str) -> list[int]:
    """The steps of which rollouts were recorded; read from the index alone."""
    return [line["step"] for line in store.read("select distinct step from rollouts where run=? order by step", run)]


def steps_of(store: Store, run: str, prompt: Messages) -> list[int]:
    """The steps at which a reply to this very prompt was recorded."""
    return [line["step"] for line in store.read("select distinct step from rollouts where run=? and prompt=? order by step", run, json.dumps(prompt))]


def heads(store: Store, run: str, step: int | None = None) -> list[dict[str, Any]]:
    """Rollouts without their tokens, of one step or of all."""
    where, values = ("run=?", (run,)) if step is None else ("run=? and step=?", (run, step))
    found = store.read(f"select {HEAD} from rollouts where {where} order by step, place", *values)
    return [{**dict(line), "prompt": json.loads(line["prompt"])} for line in found]


def read(store: Store, run: str, step: int | None = None, place: int | None = None) -> list[RolloutRow]:
    """Rollouts with their tokens: of a run, of a step, or one."""
    asked = [(name, value) for name, value in (("step", step), ("place", place)) if value is not None]
    where = " and ".join(["run=?", *(f"{name}=?" for name, _ in asked)])
    found = store.read(f"select {HEAD}, figures from rollouts where {where} order by step, place", run, *(value for _, value in asked))
    return [unpack(line) for line in found]


def pack(row: RolloutRow) -> bytes:
    """Columns of little-endian numbers one after the other, deflated."""
    columns = [array("i", row.ids), array("i", map(len, row.pieces)), *(array("f", getattr(row, name)) for name in FIGURES)]
    return zlib.compress(b"".join(in_order(column).tobytes() for column in columns))


def unpack(line: Any) -> RolloutRow:
    size, content = WIDTH * line["tokens"], zlib.decompress(line["figures"])
    columns = {name: in_order(array("i" if name in WHOLE else "f", content[at * size:(at + 1) * size])).tolist()
               for at, name in enumerate((*WHOLE, *FIGURES))}
    ends = list(accumulate(columns.pop("lengths")))
    pieces = [line["reply"][start:end] for start, end in zip([0, *ends], ends)]
    score = float("nan") if line["score"] is None else line["score"]  # SQLite keeps NaN as NULL
    return RolloutRow(line["step"], line["place"], json.loads(line["prompt"]), pieces, score=score, gold=line["gold"], finish=line["finish"], **columns)


def in_order(column: array[Any]) -> array[Any]:
    """To or from little-endian byte order; on most machines there is nothing to do."""
    if sys.byteorder == "big":
        column.byteswap()
    return column
