"""The store's table of typed replies that wait for their score. SQL by way of the store.

A pad is one scratchpad on one page: what was typed there before is no longer wanted once something newer is. Numbers are never
used again, so whoever still works on the old one finds that it is gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workbench.errors import NotFound
from workbench.records import Messages, Scored, Trial
from workbench.store import Store

KEPT = 50  # nobody looks at older ones again


def add(store: Store, model: str, reward: str, prompt: Messages, replies: Sequence[str], pad: str = "") -> Trial:
    """A trial that waits; it takes the place of what the same pad asked before."""
    with store.write() as db:
        if pad:
            db.execute("delete from trials where pad=?", (pad,))
        db.execute("delete from trials where id <= (select max(id) from trials) - ? and state<>'waiting'", (KEPT,))
        number = db.execute("insert into trials(pad, model, reward, prompt, replies, state, created) values(?,?,?,?,?,'waiting',?)",
                            (pad, model, reward, json.dumps(prompt), json.dumps(list(replies)), time.time())).lastrowid
    return read(store, number)


def read(store: Store, number: int) -> Trial:
    rows = store.read("select * from trials where id=?", number)
    if not rows:
        raise NotFound(f"no trial {number}; something newer took its place")
    return unpack(rows[0])


def waiting(store: Store) -> Trial | None:
    """The oldest one without an answer."""
    rows = store.read("select * from trials where state='waiting' order by id limit 1")
    return unpack(rows[0]) if rows else None


def write(store: Store, number: int, answers: Sequence[Scored], state: str, error: str = "") -> bool:
    """Stores what is known; False where the trial is no longer wanted."""
    with store.write() as db:
        done = db.execute("update trials set answers=?, state=?, error=? where id=?", (json.dumps([asdict(each) for each in answers]), state, error, number))
        return done.rowcount == 1


def unpack(line: Any) -> Trial:
    answers = [Scored(found["score"], [tuple(part) for part in found["parts"]], found["pieces"], found["trace"]) for found in json.loads(line["answers"])]
    return Trial(line["id"], line["model"], line["reward"], json.loads(line["prompt"]), json.loads(line["replies"]), line["state"], answers, line["error"])
