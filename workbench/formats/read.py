"""The one verb: a file's path in, rows and refusals out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.corpus import SHAPES, Row
from workbench.errors import CorpusError
from workbench.formats import questions
from workbench.formats.exports import ROW
from workbench.formats.files import read_records
from workbench.formats.kinds import CHATS, KINDS, SIDES, Kind
from workbench.formats.questions import LOOKED_AT, Items
from workbench.formats.raw import Rejected, excerpt
from workbench.formats.remarks import remarks
from workbench.formats.tables import TURNS, UNFOLDED, turns_of
from workbench.formats.turns import Notes, Unusable

Progress = Callable[[int, int], None]  # records done, records in all
TOLD_EVERY = 500
LONGEST_ROW = 1_000_000  # characters; longer than any model's context, and enough to stall a page


@dataclass(frozen=True)
class Import:
    """What a file gave: rows of one shape, the rows refused with their reasons, and what the user should know."""

    format: str
    shape: str
    rows: list[Row]
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why: str = ""  # what the format was recognised by


def read(path: Path, columns: Mapping[str, str] | None = None, shape: str = "", progress: Progress | None = None) -> Import:
    """Reads a file of any known format; `columns` says what its columns mean: {"prompt": "goal", "reply": "target"}.

    `shape` says what to make of a file that could be several things, as thumbs can be preferences or demonstrations;
    `progress` is told now and then how many of how many records are done. Raises CorpusError when the file cannot be read, its format is unknown or a meaning is open. A row that cannot be used is
    never an error: it is in `rejected`, and `rows` may be empty.
    """
    path = Path(path)
    if shape not in ("", *SHAPES):
        raise CorpusError(f"there is no shape {shape!r}; the shapes are {', '.join(SHAPES)}")
    records = read_records(path)
    notes: Notes = Counter()
    items = [(line, named(item, notes)) for line, item in records.items]
    if columns:
        items = questions.renamed(items, columns, path.name)
    kind = recognise(items, shape, bool(columns))
    if kind is None:
        others = sorted({each.shape for each in KINDS if recognise(items, each.shape, bool(columns))}) if shape else []
        raise CorpusError(questions.wrong_shape(shape, others, path.name) if others else questions.unknown(records, columns, path.name))
    if not columns and not shape and (question := questions.open_question(kind.name, kind.uses, items, path.name)):
        raise CorpusError(question)
    rows, rejected = parse(kind, watched(items, progress), notes)
    fitting = sum(kind.fits(item) for _, item in items[:LOOKED_AT])
    why = f"{fitting} of the first {min(LOOKED_AT, len(items))} records have {kind.sign}"
    told = [*records.notes, *(f"{count:,}: {note}" for note, count in notes.items() if count), *remarks(kind.shape, kind.uses, items, rows)]
    return Import(f"{kind.name} ({records.container})", kind.shape, rows, sorted(records.rejected + rejected, key=lambda r: r.line), told, why)


def named(item: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """A record with its columns in small letters; whole chats that were written as a text are turns again (not in our own exports)."""
    made = {str(key).strip().lower(): value for key, value in item.items()}
    for key in (*CHATS, *SIDES) if ROW not in made else ():
        value = made.get(key)
        if isinstance(value, str) and TURNS.match(value) and (turns := turns_of(value)):
            notes[UNFOLDED] += 1
            made[key] = turns
    return made


def recognise(items: Items, shape: str = "", is_mapped: bool = False) -> Kind | None:
    """The format that most of the first records have; a few broken rows at the top must not mislead."""
    kinds = [kind for kind in KINDS if shape in ("", kind.shape) and (is_mapped or not kind.is_mapped)]
    votes = Counter(next((place for place, kind in enumerate(kinds) if kind.fits(item)), -1) for _, item in items[:LOOKED_AT])
    votes.pop(-1, None)
    return kinds[votes.most_common(1)[0][0]] if votes else None


def watched(items: Items, progress: Progress | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records, and a word to whoever waits for them."""
    for done, each in enumerate(items):
        if progress and done % TOLD_EVERY == 0:
            progress(done, len(items))
        yield each
    if progress:
        progress(len(items), len(items))


def parse(kind: Kind, items: Iterable[tuple[int, dict[str, Any]]], notes: Notes) -> tuple[list[Row], list[Rejected]]:
    by_line: dict[int, dict[str, Any]] = {}
    found: list[tuple[int, Any]] = []
    for line, item in items:
        by_line[line] = item
        found += parsed(kind, line, item, notes)
    if kind.join:
        parts = [(line, each) for line, each in found if not isinstance(each, Unusable)]
        found = [(line, each) for line, each in found if isinstance(each, Unusable)] + list(kind.join(parts, notes))
    rejected = [Rejected(line, str(each), excerpt(by_line[line])) for line, each in found if isinstance(each, Unusable)]
    return [each for _, each in found if not isinstance(each, Unusable)], rejected


def parsed(kind: Kind, line: int, item: Mapping[str, Any], notes: Notes) -> list[tuple[int, Any]]:
    """What one record gives. A refusal in the middle keeps what came before it."""
    given: list[tuple[int, Any]] = []
    if (size := size_of(item)) > LONGEST_ROW:
        return [(line, Unusable(f"{size:,} characters, more than the {LONGEST_ROW:,} that a row may have; split it"))]
    try:
        for each in kind.parse(item, notes):
            given.append((line, each))
    except Unusable as reason:
        given.append((line, reason))
    return given


def size_of(value: Any) -> int:
    """The characters in all texts of a record, at any depth."""
    waiting, size = [value], 0
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            size += len(each)
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return size
