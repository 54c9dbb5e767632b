"""Rows that were taken out of a corpus by hand, kept beside it until they are put back or the corpus is imported anew.

One line an act, oldest first: [[place, row], ...] in the order of the places. Callers hold the corpus's lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from workbench import corpus
from workbench.corpus import Row
from workbench.errors import CorpusError, DiskFull

Taken = tuple[int, Row]  # where a row stood, from 0, and the row


@contextmanager
def holding(home: Path, name: str, rows: Sequence[Taken]) -> Iterator[None]:
    """Keeps rows while they are taken out: they are in the trash before, and out of it again when that fails."""
    before = acts(home, name)
    write(home, name, [*before, json.dumps([[place, asdict(row)] for place, row in rows])])
    try:
        yield
    except BaseException:
        write(home, name, before)
        raise


def last(home: Path, name: str, shape: str) -> list[Taken]:
    """The rows of the latest act; none when there is no act. Raises CorpusError for a damaged file."""
    found = acts(home, name)
    try:
        return [(int(place), corpus.ROWS[shape](**row)) for place, row in json.loads(found[-1])] if found else []
    except (TypeError, ValueError) as fault:
        raise CorpusError(f"what was taken out of {name!r} cannot be read from {place_of(home, name)}: {fault}") from fault


def size(home: Path, name: str) -> int:
    """How many rows the latest act took out."""
    found = acts(home, name)
    return len(json.loads(found[-1])) if found else 0


def forget(home: Path, name: str, everything: bool = False) -> None:
    """Lets the latest act go, or all of them."""
    write(home, name, [] if everything else acts(home, name)[:-1])


def acts(home: Path, name: str) -> list[str]:
    place = place_of(home, name)
    return place.read_text(encoding="utf-8").splitlines() if place.exists() else []


def write(home: Path, name: str, lines: Sequence[str]) -> None:
    place = place_of(home, name)
    part = place.with_suffix(".trash-part")
    try:
        if lines:
            part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            part.replace(place)
        else:
            place.unlink(missing_ok=True)
    except OSError as fault:
        raise DiskFull(f"cannot keep what is taken out of {name!r} in {place.parent}: {fault.strerror or fault}; nothing was changed") from fault
    finally:
        part.unlink(missing_ok=True)


def place_of(home: Path, name: str) -> Path:
    return corpus.folder(home) / f"{name}.trash"
