"""What can be done to a lab's corpora: import, export, and change rows by hand. Each act happens whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench import corpus, formats, packs, trash
from workbench.corpus import Demonstration, Preference, Prompt, Row, Text
from workbench.errors import CorpusError, NotFound
from workbench.formats import Import, Progress, exports
from workbench.records import CorpusEntry, Messages
from workbench.store import Store

WRITTEN = "written in this lab"
OWN = "my-demonstrations"


def names(store: Store, shape: str) -> list[str]:
    """The corpora that a recipe may use where it wants rows of a shape."""
    imported = [e.name for e in store.corpora() if e.shape in corpus.FROM.get(shape, (shape,))]
    if shape != "preferences":
        return packs.names() + imported
    has_judged = any(run.stage == "judge" for run in store.runs())  # without one, two more names would only puzzle
    return [*(corpus.JUDGED if has_judged else (corpus.RANKINGS,)), *imported]


# --- in and out


def bring(store: Store, path: Path, name: str = "", columns: Mapping[str, str] | None = None, shape: str = "",
          progress: Progress | None = None) -> CorpusEntry:
    """Reads a file of any known format into a corpus. Raises CorpusError, and then nothing has changed."""
    return keep(store, formats.read(path, columns, shape, progress), path, name)


def keep(store: Store, found: Import, path: Path, name: str = "") -> CorpusEntry:
    """Makes a corpus of what a file gave. Raises CorpusError where that is nothing."""
    name = named(name or path.name.split(".")[0])
    if not found.rows:
        reasons = "; ".join([*(f"line {r.line}: {r.reason}" for r in found.rejected[:3]), *(note for note in found.notes if "--shape" in note)])
        raise CorpusError(f"{path.name}: no usable row among {len(found.rejected)} (read as {found.format}). {reasons}")
    with changing(store):
        before = next((each.usable for each in store.corpora() if each.name == name), 0)
        notes = [*found.notes, *([f"in place of the {before:,} rows that had this name before"] if before else [])]
        entry = CorpusEntry(name, found.shape, found.format, str(path), len(found.rows), len(found.rejected), "\n".join(notes), time.time())
        put(store, entry, found.rows)
        trash.forget(store.path.parent, name, everything=True)
    return entry


def export(store: Store, name: str, path: Path, format: str = "", shape: str = "") -> int:
    """Writes a corpus in TRL's columns; returns how many lines. A pack's demonstrations are written unless `shape` says otherwise."""
    if not shape:
        shape = "preferences" if name in corpus.JUDGED else "demonstrations" if name in packs.names() else entry_of(store, name).shape
    exports.format_of(path, format)
    rows = corpus.load(store.path.parent, name, shape) if shape == shape_of(store, name) else corpus.rows(store, name, shape)
    return exports.write(path, rows, format)


def named(text: str) -> str:
    """A name fit for a corpus. Raises CorpusError where nothing is left, or it is taken by what is not an import."""
    name = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:80]
    if not name or name in [*packs.names(), *corpus.JUDGED]:
        raise CorpusError(f"{name or text!r} cannot name a corpus; pass another name")
    return name


# --- by hand


def edit(store: Store, name: str, number: int, texts: Sequence[str]) -> Row:
    """Gives row `number` (from 1) new texts: those of its turns, then those of its replies. Roles and ranking stay."""
    with changing(store):
        entry, rows = opened(store, name)
        row = rows[place_of(number, rows, name)]
        rows[number - 1] = made = with_texts(row, texts)
        put(store, replace(entry, notes=told(entry.notes, f"edited by hand: row {number}")), rows)
    return made


def drop(store: Store, name: str, numbers: Sequence[int]) -> CorpusEntry:
    """Takes rows out of a corpus; the numbers of the rows behind them move up."""
    with changing(store):
        entry, rows = opened(store, name)
        gone = {place_of(number, rows, name) for number in numbers}
        kept = [row for place, row in enumerate(rows) if place not in gone]
        if not kept:
            raise CorpusError(f"{name!r} would be empty without its {len(gone)} rows; a corpus needs one row at least")
        entry = replace(entry, usable=len(kept), notes=told(entry.notes, f"taken out by hand: {len(gone)} rows"))
        with trash.holding(store.path.parent, name, [(place, rows[place]) for place in sorted(gone)]):
            put(store, entry, kept)
    return entry


def restore(store: Store, name: str) -> CorpusEntry:
    """Puts back what was taken out last, where it was. Raises NotFound when nothing is left to put back."""
    with changing(store):
        entry, rows = opened(store, name)
        back = trash.last(store.path.parent, name, entry.shape)
        if not back:
            raise NotFound(f"nothing was taken out of {name!r} since it was imported")
        for place, row in back:
            rows.insert(place, row)
        entry = replace(entry, usable=len(rows), notes=told(entry.notes, f"put back: {len(back)} rows"))
        put(store, entry, rows)
        trash.forget(store.path.parent, name)
    return entry


def add_demonstration(store: Store, prompt: str, reply: str, name: str = OWN, system: str = "") -> CorpusEntry:
    """Adds a demonstration that a person wrote; the corpus is begun where there is none."""
    if not (prompt.strip() and reply.strip()):
        raise CorpusError("a demonstration needs a prompt and a reply; one of them is empty")
    turns: Messages = [{"role": "system", "content": system.strip()}] if system.strip() else []
    turns += [{"role": "user", "content": prompt.strip()}, {"role": "assistant", "content": reply.strip()}]
    return append(store, name, Demonstration(turns))


def append(store: Store, name: str, row: Demonstration) -> CorpusEntry:
    """Puts a demonstration at the end of a corpus, which is begun where there is none."""
    name = named(name or OWN)
    with changing(store):
        there = next((each for each in store.corpora() if each.name == name), None)
        if there and there.shape != "demonstrations":
            raise CorpusError(f"{name!r} holds {there.shape}, not demonstrations; write to another corpus")
        rows = corpus.load(store.path.parent, name, "demonstrations") if there else []
        entry = there or CorpusEntry(name, "demonstrations", WRITTEN, WRITTEN, 0, 0, "", time.time())
        entry = replace(entry, usable=len(rows) + 1)
        put(store, entry, [*rows, row])
    return entry


def withdraw(store: Store, source: str, name: str = OWN) -> None:
    """Takes the demonstrations of a source out of a corpus, where there are any; the corpus goes with its last row."""
    with changing(store):
        if not any(each.name == name and each.shape == "demonstrations" for each in store.corpora()):
            return
        entry, rows = opened(store, name)
        kept = [row for row in rows if row.source != source]
        if kept:
            put(store, replace(entry, usable=len(kept)), kept)
        else:
            store.drop_corpus(name)
            (corpus.folder(store.path.parent) / f"{name}.jsonl").unlink(missing_ok=True)


def duplicates(rows: Sequence[Row]) -> list[list[int]]:
    """Groups of row numbers (from 1) that say the same but for spaces and capitals, each in the order of the corpus."""
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(rows, start=1):
        said = replace(row, source="") if isinstance(row, Demonstration) else row
        groups.setdefault(" ".join(repr(said).lower().replace("\\n", " ").split()), []).append(number)
    return [group for group in groups.values() if len(group) > 1]


def texts_of(row: Row) -> list[str]:
    """Every text of a row: its turns', then its replies'."""
    match row:
        case Text(text):
            return [text]
        case Preference(prompt, replies):
            return [turn["content"] for turn in prompt] + replies
        case Demonstration(messages) | Prompt(messages):
            return [turn["content"] for turn in messages]


def with_texts(row: Row, texts: Sequence[str]) -> Row:
    """The same row saying something else. Raises CorpusError when texts are missing, or changed to nothing."""
    before = texts_of(row)
    if len(texts) != len(before):
        raise CorpusError(f"this row has {len(before)} texts, and {len(texts)} came; give one for every turn and reply")
    after = [new if new == old else new.strip() for old, new in zip(before, texts)]
    if any(new != old and not new for old, new in zip(before, after)):
        raise CorpusError("a text may not become empty; take the row out instead")
    turns = row.prompt if isinstance(row, Preference) else [] if isinstance(row, Text) else row.messages
    messages, replies = [{**turn, "content": text} for turn, text in zip(turns, after)], after[len(turns) :]
    match row:
        case Text():
            return Text(after[0])
        case Preference():
            if len(set(replies)) < len(set(row.replies)):
                raise CorpusError("two replies would be the same text; a ranking needs different ones")
            return replace(row, prompt=messages, replies=replies)
        case _:
            return replace(row, messages=messages)


# --- whole or not at all


def shape_of(store: Store, name: str) -> str:
    return next((each.shape for each in store.corpora() if each.name == name), "")


def entry_of(store: Store, name: str) -> CorpusEntry:
    """The entry of an imported corpus. Raises NotFound for any other name."""
    found = next((each for each in store.corpora() if each.name == name), None)
    if found is None:
        kept = " It is not an import: export it and import the file under another name to change it." if name in [*packs.names(), *corpus.JUDGED] else ""
        raise NotFound(f"no imported corpus {name!r}; there are {', '.join(each.name for each in store.corpora()) or 'none yet'}.{kept}")
    return found


def opened(store: Store, name: str) -> tuple[CorpusEntry, list[Any]]:
    entry = entry_of(store, name)
    return entry, corpus.load(store.path.parent, name, entry.shape)


def place_of(number: int, rows: Sequence[Row], name: str) -> int:
    if not 1 <= number <= len(rows):
        raise NotFound(f"{name!r} has no row {number}; its rows are 1 to {len(rows):,}")
    return number - 1


def told(notes: str, note: str) -> str:
    return notes if note in notes.split("\n") else f"{notes}\n{note}".strip()


@contextmanager
def changing(store: Store) -> Iterator[None]:
    """One change at a time, whichever process makes it: a change reads all rows and writes all rows."""
    with FileLock(corpus.folder(store.path.parent) / ".lock"):
        yield


def put(store: Store, entry: CorpusEntry, rows: Sequence[Row]) -> None:
    """Writes the rows and their entry; where the second fails, the rows that were there before come back."""
    target = corpus.folder(store.path.parent) / f"{entry.name}.jsonl"
    before = target.with_suffix(".before")
    if target.exists():
        shutil.copyfile(target, before)
    try:
        corpus.save(store.path.parent, entry.name, rows)
        try:
            store.add_corpus(entry)
        except BaseException:
            os.replace(before, target) if before.exists() else target.unlink()
            raise
    finally:
        before.unlink(missing_ok=True)
