"""CSV and TSV -> records, as spreadsheets write them: a sep= line, semicolons, empty rows and columns, disarmed formulas, JSON in cells."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections import Counter
from typing import Any

from workbench.errors import CorpusError
from workbench.formats.raw import Records, Rejected, excerpt

TABLE_WORDS = {"prompt", "text", "instruction", "question", "chosen", "rejected", "response", "reply", "completion", "output", "answer"}
SEPARATOR = re.compile(r'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)
# What a spreadsheet runs when a cell begins with it; a ' before it is how such a cell is disarmed, and taken off again here.
FORMULA = "=+-@\t\r\n＝＋－＠"
DISARMED = re.compile(f"'+[{re.escape(FORMULA)}]")
LARGEST_CELL = 1 << 30  # Python's own limit of 131,072 characters is shorter than some replies

BLANK = "empty rows of the table were left out"
UNDONE = "cells began with ' before a formula sign, as spreadsheets are disarmed; that ' was taken off"
UNFOLDED = "cells hold turns as JSON or as Python writes them, and were read as such"
UNREAD = "cells look like turns but are neither JSON nor Python; they were taken as plain text: look whether that is meant"
TURNS = re.compile(r"""\[\s*\{\s*['"](role|from|content|value)['"]\s*:""")


def disarm(text: str) -> str:
    """A cell that no spreadsheet runs; `armed` gives the text back, whatever it was."""
    return f"'{text}" if text.startswith(tuple(FORMULA)) or DISARMED.match(text) else text


def armed(text: str) -> str:
    return text[1:] if DISARMED.match(text) else text


def as_table(text: str, suffix: str, name: str) -> Records | None:
    """The records of a table with a header; None for a file that is neither called nor looks like one."""
    told = SEPARATOR.match(text)
    body = text[told.end() :] if told else text
    first = body.lstrip("\n\r").split("\n", 1)[0]
    if told:
        mark = told[1]
    elif suffix in (".csv", ".tsv"):
        mark = "\t" if suffix == ".tsv" or first.count("\t") > first.count(",") else max(",;|", key=first.count)
    else:
        mark = "\t" if "\t" in first else ","
        words = {word.strip().strip('"').lower() for word in first.split(mark)}
        if len(words) < 2 or not words & TABLE_WORDS or any(len(word) > 40 for word in words):
            return None
    try:
        return table(body, mark, bool(told), is_strict=True)
    except csv.Error as fault:
        strict_fault = fault
    try:
        loose = table(body, mark, bool(told), is_strict=False)
    except (csv.Error, TypeError) as fault:
        raise CorpusError(f"{name} is not a readable table: {fault}; save it again as CSV with quoted fields") from fault
    return Records(loose.container, loose.items, loose.rejected,
                   [f"a quote is out of place ({strict_fault}); rows near it may be wrong", *loose.notes])


def table(text: str, mark: str, skipped: int, is_strict: bool) -> Records:
    """The rows below the header, which stands after `skipped` lines."""
    csv.field_size_limit(LARGEST_CELL)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=is_strict)
    header = [name.strip() for name in next((fields for fields in lines if any(map(str.strip, fields))), [])]
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise CorpusError(f"two columns are called {twice[0]!r}; rename one")
    found, notes = Records("tsv" if mark == "\t" else "csv"), Counter[str]()
    start = skipped + lines.line_num + 1
    for fields in lines:
        if not any(part.strip() for part in fields):
            notes[BLANK] += bool(fields)
        elif len(fields) == len(header):
            named = {name or f"column {place}": cell(part, notes) for place, (name, part) in enumerate(zip(header, fields), 1) if name or part.strip()}
            found.items.append((start, named))
        else:
            found.rejected.append(Rejected(start, f"{len(fields)} fields where the header has {len(header)}", excerpt(mark.join(fields))))
        start = skipped + lines.line_num + 1
    found.notes.extend(f"{count:,} {note}" for note, count in notes.items() if count)
    return found


def cell(text: str, notes: Counter[str]) -> Any:
    """A cell's text, or the turns that it holds as JSON."""
    if DISARMED.match(text):
        notes[UNDONE] += 1
        return armed(text)
    if not TURNS.match(text):
        return text
    found = turns_of(text)
    notes[UNREAD if found is None else UNFOLDED] += 1
    return text if found is None else found


def turns_of(text: str) -> list[Any] | None:
    """The list of turns that a text holds, as JSON or as Python writes them; None where it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text.strip())  # how pandas writes lists into CSV; literals only, nothing runs
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
    return found if isinstance(found, list) else None
