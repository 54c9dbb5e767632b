"""Constitutions: lists of principles that a model judges and rewrites by. A pack brings one; a lab may keep its own edited copy.

A copy is a text file in the lab's folder `constitutions`; where there is none, the pack's page counts. No torch.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from workbench import packs
from workbench.errors import CorpusError, DiskFull

LONGEST = 20_000  # characters
MOST = 50  # principles
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


def names(home: Path) -> list[str]:
    """The packs', then what this lab wrote under names of its own."""
    own = sorted(file.stem for file in (home / "constitutions").glob("*.md"))
    return packs.names() + [name for name in own if name not in packs.names()]


def read(home: Path, name: str) -> str:
    """The text of a constitution: the lab's copy, else the pack's. Raises CorpusError when there is none of that name."""
    if is_edited(home, name):
        return place(home, name).read_text(encoding="utf-8")
    if name in packs.names() and (page := packs.load(name).folder / "constitution.md").exists():
        return page.read_text(encoding="utf-8")
    raise CorpusError(f"no constitution {name!r}; there are {', '.join(names(home))}")


def principles(home: Path, name: str) -> list[str]:
    """Its principles in order. Raises CorpusError when it has none."""
    return parse(read(home, name))


def save(home: Path, name: str, text: str) -> list[str]:
    """Keeps the lab's own copy, whole or not at all, and returns its principles. Raises CorpusError for a text without any."""
    if not NAME.fullmatch(name):
        raise CorpusError(f"{name!r} cannot name a constitution; use small letters, digits and hyphens")
    found, target = parse(text), place(home, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(text.strip() + "\n", encoding="utf-8")
        part.replace(target)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise DiskFull(f"cannot save {target}: {fault.strerror or fault}; make room and save again") from fault
    return found


def reset(home: Path, name: str) -> str:
    """Forgets the lab's copy and returns the pack's text. Raises CorpusError where no pack has that name."""
    if name not in packs.names():
        raise CorpusError(f"{name!r} is not a pack's constitution; there is no other text to go back to")
    place(home, name).unlink(missing_ok=True)
    return read(home, name)


def is_edited(home: Path, name: str) -> bool:
    return bool(NAME.fullmatch(name)) and place(home, name).exists()


def place(home: Path, name: str) -> Path:
    return home / "constitutions" / f"{name}.md"


def parse(text: str) -> list[str]:
    """The numbered items of a text; where nothing is numbered, each line that says something and is no heading."""
    if len(text) > LONGEST:
        raise CorpusError(f"the constitution has {len(text):,} characters; at most {LONGEST:,} are read")
    found = packs.numbered(text) or [line.lstrip("-* \t").strip() for line in text.splitlines() if line.lstrip("-* \t").strip() and not line.startswith("#")]
    if not found:
        raise CorpusError("the constitution has no principle; write one or two sentences each, numbered, best first")
    if len(found) > MOST:
        raise CorpusError(f"the constitution has {len(found)} principles; at most {MOST} are read")
    return found


def version(found: list[str]) -> str:
    """A few letters that change with the principles."""
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:8]
