"""Who ranks what next: an item that nobody else holds, now and then one judged before. SQL by way of the store.

Whoever is shown an item holds it for a while, so that two people never read the same one by accident; a page that is open renews
its hold. A hold that ran out keeps nobody from voting: their judgement then stands beside the other's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.records import Comparison, Doubt, Judgement
from workbench.store import Store

HOLD_SECONDS = 120.0
REPEATS = 0.05  # share of the items that an annotator has judged before: how far they agree with themselves
OVERLAP = 0.10  # share of the items that somebody else has judged before: how far people agree
GAP = 10  # judgements between a judgement and its repeat at least, or one repeats it from memory

FREE = "kind='ranking' and not exists (select 1 from holds where comparison=comparisons.id and holder<>? and until>?)"
MINE = "exists (select 1 from judgements where comparison=comparisons.id and annotator=?)"
BY_PEOPLE = "exists (select 1 from judgements where comparison=comparisons.id and source='human' and state<>'skipped')"
JUDGED_BY_OTHERS = f"""select id from comparisons where {FREE} and state in ('judged', 'bad') and not {MINE}
    and (select count(*) from judgements j where j.comparison=comparisons.id and j.source='human' and j.state<>'skipped') = 1 order by id limit 1"""
WAITING = f"select id from comparisons where {FREE} and state='ready' order by doubt desc, id limit 1"
TO_REPEAT = """select id, comparison from judgements first where annotator=? and source='human' and state='judged' and repeat_of is null
    and comparison in (select id from comparisons where kind='ranking') and not exists (select 1 from judgements again where again.repeat_of=first.id)
    and (select count(*) from judgements later where later.annotator=first.annotator and later.id>first.id) >= ? order by id"""


class Held(NamedTuple):
    """An item in somebody's hands; `repeat_of` is their earlier judgement where they see it again."""

    comparison: int
    repeat_of: int | None


def hand_out(store: Store, annotator: str, holder: str, wanted: int = 0, repeats: float = REPEATS, overlap: float = OVERLAP) -> Held | None:
    """The item this holder has in hand, else the one wanted, else the next; None where nothing is left.

    `holder` is one page of one annotator: a reload finds the same item, a second page gets another.
    """
    now = time.time()
    with store.write() as db:
        held = db.execute("select comparison, repeat_of from holds where holder=? and annotator=?", (holder, annotator)).fetchone()
        found = Held(*held) if held and wanted in (0, held["comparison"]) and is_open(db, Held(*held), annotator, holder, now) else None
        if not found and wanted and is_open(db, Held(wanted, None), annotator, holder, now):
            found = Held(wanted, None)
        found = found or draw(db, annotator, holder, now, (repeats, overlap))
        if found:
            keep(db, annotator, holder, found, now)
        else:
            db.execute("delete from holds where holder=?", (holder,))
    return found


def bring_back(store: Store, annotator: str, holder: str, judgement: Judgement) -> None:
    """Puts what was just taken back into its annotator's hands again."""
    with store.write() as db:
        keep(db, annotator, holder, Held(judgement.comparison, judgement.repeat_of), time.time())


def renew(store: Store, holder: str) -> None:
    """Somebody still reads."""
    with store.write() as db:
        db.execute("update holds set until=? where holder=?", (time.time() + HOLD_SECONDS, holder))


def held_by(store: Store, holder: str) -> Held | None:
    """What a holder was handed last, whether or not the time is up."""
    rows = store.read("select comparison, repeat_of from holds where holder=?", holder)
    return Held(*rows[0]) if rows else None


def with_others(store: Store, holder: str) -> int:
    """How many waiting items others are reading now."""
    return store.read("select count(*) n from comparisons where kind='ranking' and state='ready'"
                      " and exists (select 1 from holds where comparison=comparisons.id and holder<>? and until>?)", holder, time.time())[0]["n"]


def waiting(store: Store) -> list[Comparison]:
    """What nobody has judged yet, oldest first."""
    return store.comparisons("kind='ranking' and state='ready'")


def set_doubts(store: Store, found: Sequence[Doubt]) -> None:
    """How unsure a reward model is of the order of some comparisons; the most doubtful are handed out first."""
    with store.write() as db:
        db.executemany("update comparisons set doubt=? where id=?", [(each.doubt, each.comparison) for each in found])
        db.executemany("update replies set record=json_set(record, '$.score', ?) where comparison=? and place=?",
                       [(score, each.comparison, place) for each in found for place, score in enumerate(each.scores)])


def setting(store: Store, name: str) -> str:
    """What was chosen for this lab, or ""."""
    found = store.read("select value from settings where name=?", name)
    return found[0]["value"] if found else ""


def choose(store: Store, name: str, value: str) -> None:
    with store.write() as db:
        db.execute("insert or replace into settings values(?,?)", (name, value))


# --- inside one transaction


def is_open(db: Any, held: Held, annotator: str, holder: str, now: float) -> bool:
    """Whether this annotator may still judge an item, and nobody else holds it."""
    if held.repeat_of is not None:
        return not db.execute("select 1 from judgements where repeat_of=?", (held.repeat_of,)).fetchone()
    return bool(db.execute(f"select 1 from comparisons where id=? and (state='ready' or {BY_PEOPLE}) and {FREE} and not {MINE}",
                           (held.comparison, holder, now, annotator)).fetchone())


def draw(db: Any, annotator: str, holder: str, now: float, shares: tuple[float, float]) -> Held | None:
    """The next item by lot: a function of who asks and how much they judged, so that asking twice changes nothing."""
    done = db.execute("select count(*) from judgements where annotator=?", (annotator,)).fetchone()[0]
    chance = random.Random(f"{annotator} {done}")
    lot, (repeats, overlap) = chance.random(), shares
    if lot < repeats and (again := db.execute(TO_REPEAT, (annotator, GAP)).fetchall()):
        chosen = chance.choice(again)
        return Held(chosen["comparison"], chosen["id"])
    found = None
    if repeats <= lot < repeats + overlap:
        found = db.execute(JUDGED_BY_OTHERS, (holder, now, annotator)).fetchone()
    found = found or db.execute(WAITING, (holder, now)).fetchone()
    return Held(found["id"], None) if found else None


def keep(db: Any, annotator: str, holder: str, held: Held, now: float) -> None:
    db.execute("delete from holds where until<?", (now - 86400,))  # pages that were closed long ago
    db.execute("insert or replace into holds values(?,?,?,?,?)", (holder, annotator, held.comparison, held.repeat_of, now + HOLD_SECONDS))
