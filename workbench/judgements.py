"""The store's table of judgements: what each annotator makes of each comparison. SQL by way of the store.

A comparison's state follows from its judgements. There is one judgement per comparison and annotator, which the database itself
sees to; a repeat (the same comparison shown to the same annotator again) points to the judgement that it repeats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from workbench.records import Judgement
from workbench.store import Store, as_judgement

PERSON = "person"  # stands for an adapter where a reply was written by hand
SETTLE = """update comparisons set state = coalesce((
    select state from judgements where comparison=comparisons.id and repeat_of is null order by state='skipped', state='bad', id limit 1), 'ready')
    where id=? and state not in ('waiting', 'writing', 'failed')"""


def add(store: Store, judgement: Judgement, better: str = "") -> Judgement | None:
    """Stores a judgement; None where this annotator has judged the comparison already, and then nothing has changed.

    With `better`, a reply of the annotator's own joins the comparison and stands first.
    """
    with store.write(is_precious=True) as db:
        if db.execute("select 1 from judgements where " + same(judgement)[0], same(judgement)[1]).fetchone():
            return None
        return insert(db, judgement, better)


def put(store: Store, judgement: Judgement, better: str = "") -> Judgement:
    """Stores a judgement in place of the one that this annotator made before."""
    with store.write(is_precious=True) as db:
        found = db.execute("select id from judgements where " + same(judgement)[0], same(judgement)[1]).fetchall()
        delete(db, [line["id"] for line in found])
        return insert(db, judgement, better)


def remove(store: Store, numbers: Sequence[int]) -> None:
    """Takes judgements back, with their repeats and the replies that were written for them."""
    with store.write(is_precious=True) as db:
        delete(db, numbers)


def read(store: Store, where: str = "1", *values: Any, newest: bool = False, limit: int = 1_000_000) -> list[Judgement]:
    """Judgements that meet a condition on the table's columns, oldest first. `where` is the caller's own text, never a user's."""
    order = "desc" if newest else "asc"
    return [as_judgement(row) for row in store.read(f"select * from judgements where {where} order by id {order} limit {int(limit)}", *values)]


# --- inside one transaction


def same(judgement: Judgement) -> tuple[str, tuple[Any, ...]]:
    """What finds the judgement whose place this one would take."""
    if judgement.repeat_of is not None:
        return "repeat_of=?", (judgement.repeat_of,)
    return "repeat_of is null and comparison=? and annotator=?", (judgement.comparison, judgement.annotator)


def insert(db: Any, judgement: Judgement, better: str) -> Judgement:
    written, ranking = None, judgement.ranking
    if better:
        written = db.execute("select count(*) from replies where comparison=?", (judgement.comparison,)).fetchone()[0]
        db.execute("insert into replies values(?,?,?,?,0,1,?)",
                   (judgement.comparison, written, PERSON, better, json.dumps({"annotator": judgement.annotator})))
        ranking = [[written], *ranking]
    values = {"comparison": judgement.comparison, "annotator": judgement.annotator, "state": judgement.state, "ranking": json.dumps(ranking),
              "shown": json.dumps(judgement.shown), "source": judgement.source, "rubric": judgement.rubric, "seconds": judgement.seconds,
              "strength": judgement.strength, "tags": json.dumps(judgement.tags), "comment": judgement.comment,
              "ratings": json.dumps(judgement.ratings), "written": written, "repeat_of": judgement.repeat_of, "created": time.time()}
    number = db.execute(f"insert into judgements({', '.join(values)}) values({','.join('?' * len(values))})", (*values.values(),)).lastrowid
    db.execute(SETTLE, (judgement.comparison,))
    return as_judgement(db.execute("select * from judgements where id=?", (number,)).fetchone())


def delete(db: Any, numbers: Sequence[int]) -> None:
    for number in numbers:
        found = db.execute("delete from judgements where id=? or repeat_of=? returning comparison, written", (number, number)).fetchall()
        for line in found:
            # Rankings name replies by place: a written reply goes only while it is the last.
            db.execute("delete from replies where comparison=? and place=? and place=(select max(place) from replies where comparison=?)",
                       (line["comparison"], line["written"], line["comparison"]))
            db.execute(SETTLE, (line["comparison"],))
