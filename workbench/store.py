"""The lab's SQLite file: the only place where browser, notebook, command line and worker meet.

The only SQL of the project, but for the tables of recorded rollouts (rollouts.py) and changed knobs (changes.py). Reads return frozen
snapshots; writes are short transactions, safe from any thread or process.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import DiskFull, LabError, NotFound
from workbench.records import OVER, Comparison, CorpusEntry, Judgement, Messages, Reply, Run, run_of
from workbench.schema import FIRST, LATER

VERSION = 1 + len(LATER)
LAST = 2**53  # no run has that many steps
# Rows are ordered by run, key, step: one reach per key, so that the last steps of a long run cost no more than those of a short one.
LOGGED = """
with recursive keys(key) as (select min(key) from metrics where run=?1 union all
    select (select min(key) from metrics where run=?1 and key>keys.key) from keys where keys.key is not null)
select m.step, m.key, m.value from keys cross join metrics m on m.run=?1 and m.key=keys.key and m.step>?2 and m.step<=?3 order by m.step, m.key
"""


class Store:
    """Reads and writes one lab's database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.local = threading.local()
        with self.write() as db:
            found = db.execute("pragma user_version").fetchone()[0]
            if found > VERSION:
                raise LabError(f"{path} was written by a newer workbench (schema {found}, this one knows {VERSION}); upgrade the workbench")
            for version, script in enumerate((FIRST, *LATER)[found:], start=found + 1):
                for statement in filter(str.strip, script.split(";\n")):
                    db.execute(statement)
                db.execute(f"pragma user_version={version}")

    def connect(self) -> sqlite3.Connection:
        db = getattr(self.local, "db", None)
        if db is None:
            try:
                db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
                db.row_factory = sqlite3.Row
                db.execute("pragma journal_mode=wal")
                db.execute("pragma synchronous=normal")
            except sqlite3.Error as fault:
                raise LabError(f"cannot open {self.path}: {fault}; a lab needs a writable folder on a local disk") from fault
            self.local.db = db
        return db

    @contextmanager
    def write(self, is_precious: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing. What is precious (a person's work) survives even a power cut from here on."""
        db = self.connect()
        try:
            db.execute(f"pragma synchronous={'full' if is_precious else 'normal'}")
            db.execute("begin immediate")
            yield db
            db.execute("commit")
        except BaseException as fault:
            if db.in_transaction:
                db.execute("rollback")
            if isinstance(fault, sqlite3.OperationalError):
                if "full" in str(fault):
                    raise DiskFull(f"the disk that holds {self.path} is full; free some room and resume") from fault
                raise LabError(f"cannot write {self.path}: {fault}; is the folder writable, on a local disk?") from fault
            raise

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.connect().execute(sql, values).fetchall()

    # --- runs

    def add_run(self, stage: str, recipe: str, total: int, round: int = 1, fork: tuple[str, int] | None = None) -> Run:
        """A queued run; a fork of (run, step) is paused, until it has what it goes on from."""
        parent, step = fork or ("", 0)
        with self.write() as db:
            number = db.execute("select coalesce(max(number), 0) + 1 from runs where stage = ?", (stage,)).fetchone()[0]
            name = f"{stage}-{number}"
            db.execute("insert into runs(id, number, stage, recipe, state, total, round, created, parent, parent_step, step, saved_step)"
                       " values(?,?,?,?,?,?,?,?,?,?,?,?)",
                       (name, number, stage, recipe, "paused" if fork else "queued", total, round, time.time(), parent, step, step, step))
        return self.run(name)

    def run(self, name: str) -> Run:
        """A run by its name, or by that of the adapter of one of its steps. Raises NotFound."""
        rows = self.read("select * from runs where id = ?", run_of(name))
        if not rows:
            there = ", ".join(r["id"] for r in self.read("select id from runs order by created")) or "none yet"
            raise NotFound(f"no run {name!r}; there are: {there}")
        return as_run(rows[0])

    def runs(self) -> list[Run]:
        return [as_run(row) for row in self.read("select * from runs order by created, number")]

    def claim(self) -> Run | None:
        """Takes the oldest queued run; only the holder of the worker lock may call this."""
        with self.write() as db:
            row = db.execute(
                "update runs set state='running', wish='', error='', started=coalesce(started, ?), ended=null, step_at=?, stepping=0"
                " where id = (select id from runs where state='queued' order by created, number limit 1) returning id",
                (time.time(), time.time())).fetchone()
        return self.run(row["id"]) if row else None

    def has_work(self) -> bool:
        return bool(self.read("select 1 from runs where state='queued' union all"
                              " select 1 from comparisons where kind='chat' and state in ('waiting','writing')"
                              " union all select 1 from trials where state='waiting' limit 1"))

    def has_running(self) -> bool:
        return bool(self.read("select 1 from runs where state='running' limit 1"))

    def sweep(self, reason: str) -> list[str]:
        """Marks as lost every run that claims to be running; only the holder of the worker lock may call this."""
        with self.write() as db:
            rows = db.execute("update runs set state='lost', wish='', ended=?, error=? || ' at step ' || step || '; the last checkpoint is'"
                              " || ' of step ' || saved_step || '. Resume goes on from there.' where state = 'running' returning id",
                              (time.time(), reason)).fetchall()
            db.execute("update comparisons set state='waiting' where kind='chat' and state='writing'")
            db.execute("delete from comparisons where kind<>'chat' and state='writing'")
        return [row["id"] for row in rows]

    def wish(self, name: str, wish: str) -> None:
        """Asks a run to stop or pause (stop, pause, or '' to take it back); the worker looks between two steps."""
        with self.write() as db:
            db.execute("update runs set wish=? where id=?", (wish, name))

    def wish_of(self, name: str) -> str:
        return self.read("select wish from runs where id=?", name)[0]["wish"]

    def set_state(self, name: str, state: str, was: Sequence[str], error: str = "") -> bool:
        """Moves a run to a state if it is in one of `was`; False when another process was quicker."""
        ended = time.time() if state in OVER else None
        with self.write() as db:
            done = db.execute(f"update runs set state=?, wish='', error=?, ended=? where id=? and state in ({','.join('?' * len(was))})",
                              (state, error, ended, name, *was))
            if state == "done" and done.rowcount:  # there is no next step that a change could wait for
                db.execute("delete from changes where run=? and step is null", (name,))
            return done.rowcount == 1

    def log(self, name: str, step: int, total: int, numbers: Mapping[str, float], note: str = "", stepping: float = 0.0) -> None:
        """One step's metrics, in one transaction; a value that is not finite becomes a gap."""
        finite = [(name, key, step, float(v) if v is not None and abs(v) < float("inf") else None) for key, v in numbers.items()]
        with self.write() as db:
            db.executemany("insert or replace into metrics values(?,?,?,?)", finite)
            db.execute("update runs set step=?, total=?, step_at=?, note=?, stepping=? where id=?",
                       (step, total, time.time(), note, stepping, name))

    def note(self, name: str, note: str) -> None:
        """What a run is doing when no step tells, in a few words."""
        with self.write() as db:
            db.execute("update runs set note=? where id=?", (note, name))

    def mark_saved(self, name: str, step: int) -> None:
        with self.write() as db:
            db.execute("update runs set saved_step=? where id=?", (step, name))

    def rewind(self, name: str, step: int) -> None:
        """Forgets what a run logged after a checkpoint, before it goes on from there."""
        with self.write() as db:
            for table in ("metrics", "samples", "rollouts", "revisions"):
                db.execute(f"delete from {table} where run=? and step>?", (name, step))
            db.execute("delete from comparisons where run=? and json_extract(settings, '$.step')>?", (name, step))
            for table in ("replies", "judgements"):  # or they would stand beside the next comparison of that number
                db.execute(f"delete from {table} where comparison not in (select id from comparisons)")
            db.execute("update runs set step=?, saved_step=? where id=?", (step, step, name))

    def summarise(self, name: str, summary: Mapping[str, Any]) -> None:
        with self.write() as db:
            # JSON has no NaN or infinity; null says "no figure" to every reader.
            finite = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in summary.items()}
            db.execute("update runs set summary=? where id=?", (json.dumps(finite), name))

    def delete_run(self, name: str) -> None:
        with self.write() as db:
            for table in ("metrics", "samples", "rollouts", "changes", "held_out", "revisions"):
                db.execute(f"delete from {table} where run=?", (name,))
            db.execute("delete from runs where id=?", (name,))

    # --- metrics and samples

    def metrics(self, name: str, after: int = -1, until: int = LAST) -> list[tuple[int, str, float | None]]:
        """(step, key, value) after a step, oldest first."""
        return [tuple(row) for row in self.read(LOGGED, name, after, until)]

    def add_samples(self, name: str, step: int, samples: Sequence[tuple[Messages, str, Mapping[str, Any]]]) -> None:
        rows = [(name, step, place, json.dumps(p), reply, json.dumps(record)) for place, (p, reply, record) in enumerate(samples)]
        with self.write() as db:
            db.executemany("insert or replace into samples values(?,?,?,?,?,?)", rows)

    def samples(self, name: str, after: int = -1, until: int = LAST) -> list[dict[str, Any]]:
        """Rows with step, place, prompt (messages), reply (text) and record (numbers per sample)."""
        rows = self.read("select step, place, prompt, reply, record from samples where run=? and step>? and step<=? order by step, place", name, after, until)
        return [{**dict(row), "prompt": json.loads(row["prompt"]), "record": json.loads(row["record"])} for row in rows]

    # --- comparisons

    def add_comparisons(self, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Adds comparisons in one transaction.

        Each row has kind, prompt, shown, state and replies (a list of {adapter, text, tokens, finished, record}); it may have
        run, round, settings; ranking with source and annotator.
        """
        ids, now = [], time.time()
        with self.write() as db:
            for row in rows:
                cursor = db.execute(
                    "insert into comparisons(kind, run, round, prompt, settings, shown, state, created) values(?,?,?,?,?,?,?,?)",
                    (row["kind"], row.get("run", ""), row.get("round", 1), json.dumps(row["prompt"]), json.dumps(row.get("settings", {})),
                     json.dumps(row["shown"]), row["state"], now))
                ids.append(cursor.lastrowid)
                if row.get("ranking"):
                    db.execute("insert into judgements(comparison, annotator, state, ranking, shown, source, created) values(?,?,?,?,?,?,?)",
                               (cursor.lastrowid, row.get("annotator", ""), row["state"], json.dumps(row["ranking"]), json.dumps(row["shown"]),
                                row.get("source", ""), now))
                db.executemany("insert into replies values(?,?,?,?,?,?,?)", [
                    (cursor.lastrowid, place, r["adapter"], r.get("text", ""), r.get("tokens", 0), int(r.get("finished", False)),
                     json.dumps(r.get("record", {}))) for place, r in enumerate(row["replies"])])
        return ids

    def comparisons(self, where: str = "1", *values: Any, limit: int = 100_000, newest: bool = False) -> list[Comparison]:
        """Comparisons that meet a condition on the table's columns. `where` is the caller's own text, never a user's."""
        order = "desc" if newest else "asc"
        rows = self.read(f"select * from comparisons where {where} order by id {order} limit {int(limit)}", *values)
        replies: dict[int, list[Reply]] = {row["id"]: [] for row in rows}
        judgements: dict[int, list[Judgement]] = {row["id"]: [] for row in rows}
        for r in self._of("replies where", [*replies], "place"):
            replies[r["comparison"]].append(Reply(r["adapter"], r["text"], r["tokens"], bool(r["finished"]), json.loads(r["record"])))
        for r in self._of("judgements where repeat_of is null and", [*judgements], "id"):
            judgements[r["comparison"]].append(as_judgement(r))
        return [as_comparison(row, replies[row["id"]], judgements[row["id"]]) for row in rows]

    def _of(self, table: str, numbers: Sequence[int], order: str) -> Iterator[sqlite3.Row]:
        """The rows of a table that belong to comparisons; a statement takes so many values at most."""
        for start in range(0, len(numbers), 500):
            part = numbers[start:start + 500]
            yield from self.read(f"select * from {table} comparison in ({','.join('?' * len(part))}) order by comparison, {order}", *part)

    def comparison(self, number: int) -> Comparison:
        found = self.comparisons("id = ?", number)
        if not found:
            raise NotFound(f"no comparison {number}")
        return found[0]

    def count_comparisons(self, kind: str) -> dict[str, int]:
        """How many comparisons of a kind are in each state."""
        return {r["state"]: r["n"] for r in self.read("select state, count(*) n from comparisons where kind=? group by state", kind)}

    def set_comparison_state(self, number: int, state: str, error: str = "") -> None:
        with self.write() as db:
            db.execute("update comparisons set state=?, error=? where id=?", (state, error, number))

    def write_reply(self, comparison: int, place: int, text: str, tokens: int, finished: bool) -> None:
        with self.write() as db:
            db.execute("update replies set text=?, tokens=?, finished=? where comparison=? and place=?",
                       (text, tokens, int(finished), comparison, place))

    # --- corpora

    def add_corpus(self, entry: CorpusEntry) -> None:
        with self.write() as db:
            db.execute("insert or replace into corpora values(?,?,?,?,?,?,?,?)",
                       (entry.name, entry.shape, entry.format, entry.source, entry.usable, entry.rejected, entry.notes, entry.created))

    def drop_corpus(self, name: str) -> None:
        with self.write() as db:
            db.execute("delete from corpora where name=?", (name,))

    def corpora(self) -> list[CorpusEntry]:
        return [CorpusEntry(**dict(row)) for row in self.read("select * from corpora order by created")]


def as_run(row: sqlite3.Row) -> Run:
    values = {key: row[key] for key in row.keys() if key != "number"}
    return Run(**{**values, "summary": json.loads(values["summary"])})


def as_comparison(row: sqlite3.Row, replies: list[Reply], judgements: list[Judgement]) -> Comparison:
    values = dict(row)
    for key in ("prompt", "settings", "shown"):
        values[key] = json.loads(values[key])
    return Comparison(**values, replies=replies, judgements=judgements)


def as_judgement(row: sqlite3.Row) -> Judgement:
    values = dict(row)
    for key in ("ranking", "shown", "tags", "ratings"):
        values[key] = json.loads(values[key])
    return Judgement(**values)
