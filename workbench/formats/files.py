"""From a file's bytes to records: gzip, encodings, JSON, JSONL, Parquet and plain text (tables.py: CSV and TSV). Knows nothing of chats or rankings."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import CorpusError
from workbench.formats.raw import Records, Rejected, excerpt
from workbench.formats.tables import as_table

LARGEST_BYTES = 512 * 1024 * 1024  # after unpacking: a gzip bomb must not fill the memory
PARQUET = b"PAR1"
CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))  # no text holds many of these
FOREIGN = {
    b"PK\x03\x04": "a zip archive or spreadsheet; unpack it, or save the sheet as CSV",
    b"SQLite": "a database; export the table as CSV",
    b"%PDF": "a PDF; save its text as .txt",
    b"\x28\xb5\x2f\xfd": "packed with zstandard; unpack it, or pack it with gzip",
    b"\xfd7zXZ\0": "packed with xz; unpack it, or pack it with gzip",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip",
    b"ARROW1": "an Arrow file; save it as Parquet or JSONL",
    b"\x80\x04\x95": "a Python pickle, which could run code and is never opened; save it as JSONL",
}
ROW_LISTS = ("data", "rows", "train", "examples", "items")


def read_records(path: Path) -> Records:
    """The records of a file of any container. Raises CorpusError when the file as a whole cannot be read."""
    data = read_bytes(path)
    if data.startswith(PARQUET):
        from workbench.formats import parquet  # here, as everything else works without pyarrow

        rows = parquet.rows_of(data, path.name, LARGEST_BYTES)
        return sort_out("parquet", list(enumerate(rows, start=1)), [], [])
    text, notes = decode(data, path.name)
    if not text.strip():
        raise CorpusError(f"{path.name} is empty; choose a file with rows")
    suffix = next((s for s in reversed(path.suffixes) if s.lower() != ".gz"), "").lower()
    found = as_json(text, suffix, path.name) or as_table(text, suffix, path.name) or as_text(text)
    return Records(found.container, found.items, found.rejected, notes + found.notes)


def read_bytes(path: Path) -> bytes:
    """The file's bytes, unpacked where they are gzipped."""
    try:
        with path.open("rb") as source:
            packed = source.read(2) == b"\x1f\x8b"
            source.seek(0)
            data = (gzip.GzipFile(fileobj=source) if packed else source).read(LARGEST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise CorpusError(f"{path.name} is a damaged gzip file ({fault}); download or pack it again") from fault
    except (OSError, ValueError) as fault:
        raise CorpusError(f"{path} cannot be read: {getattr(fault, 'strerror', None) or fault}; check the path") from fault
    if len(data) > LARGEST_BYTES:
        raise CorpusError(f"{path.name} holds more than {LARGEST_BYTES >> 20} MB; split it, or take a sample of its rows")
    return data


def decode(data: bytes, name: str) -> tuple[str, list[str]]:
    """The text of a file and notes on its encoding: UTF-8, UTF-16 with its mark, else Windows' cp1252, else Latin-1."""
    for magic, what in FOREIGN.items():
        if data.startswith(magic):
            raise CorpusError(f"{name} is {what}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as fault:
            raise CorpusError(f"{name} begins like UTF-16 but is not ({fault.reason}); save it as UTF-8") from fault
        if "\0" in text[:65536]:
            raise CorpusError(f"{name} begins like UTF-16 but holds NUL characters, as UTF-32 does; save it as UTF-8")
        return text, ["UTF-16 text"]
    start = data[:65536]
    odd = len(start) - len(start.translate(None, CONTROLS))
    if b"\0" in start or odd > max(64, len(start) // 50):
        raise CorpusError(f"{name} is a binary file, not text; export its rows as JSONL, JSON, CSV or plain text")
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    if told := mostly_utf8(data):
        return data.decode("utf-8-sig", "surrogateescape"), [told]
    try:
        return data.decode("cp1252"), ["not UTF-8: read as cp1252 (Windows, Western Europe); look whether accents and quotes are right"]
    except UnicodeDecodeError:
        return data.decode("latin-1"), ["not UTF-8: read as Latin-1; look whether accents and quotes are right"]


def mostly_utf8(data: bytes) -> str:
    """What to tell of a file in which some bytes are broken and the others are UTF-8; "" for a file of another encoding."""
    fine = broken = 0
    for line in data.split(b"\n"):
        try:
            fine += not line.decode().isascii()
        except UnicodeDecodeError:
            broken += 1
    return f"{broken:,} lines hold bytes that are not UTF-8, as the rest of the file is; their rows are refused" if fine > broken else ""


# --- JSON and JSON lines


def as_json(text: str, suffix: str, name: str) -> Records | None:
    """The records of a JSON array, a JSON object or JSON lines; None for a file that is not meant as JSON."""
    is_meant = suffix in (".json", ".jsonl", ".ndjson")
    if text.lstrip()[:1] not in ("[", "{") and not is_meant:
        return None
    first = next(line for line in text.split("\n") if line.strip())
    if suffix in (".jsonl", ".ndjson") or (len(first.strip()) < len(text.strip()) and isinstance(loaded(first)[0], dict)):
        return as_json_lines(text)
    whole, fault = loaded(text)
    if fault and not is_meant:
        return None
    if fault:
        lines = as_json_lines(text)
        if lines.items:
            return lines
        raise CorpusError(f"{name} is not valid JSON: {fault}; was it cut off while copying?")
    notes = []
    if isinstance(whole, dict):
        inner = next((key for key in ROW_LISTS if isinstance(whole.get(key), list)), None)
        notes = [f"the rows are those under {inner!r}"] if inner else []
        columns = None if inner else by_column(whole)
        notes += ["the file holds columns; they were turned into rows"] if columns else []
        whole = whole[inner] if inner else columns or [whole]
    if not isinstance(whole, list):
        raise CorpusError(f"{name} holds a single JSON {type(whole).__name__}; rows are wanted, as an array of objects or one object a line")
    return sort_out("json", list(enumerate(whole, start=1)), [], notes)


def by_column(whole: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of a file that pandas or a data frame wrote column by column; None for anything else."""
    values = list(whole.values())
    if len(values) > 1 and all(isinstance(each, dict) and each.keys() == values[0].keys() and all(map(str.isdigit, each)) for each in values):
        return [{name: column[row] for name, column in whole.items()} for row in values[0]]
    if len(values) > 1 and all(isinstance(each, list) and len(each) == len(values[0]) and all(isinstance(v, str) for v in each) for each in values):
        return [dict(zip(whole, row)) for row in zip(*values)]
    return None


def as_json_lines(text: str) -> Records:
    values, rejected = [], []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 is allowed inside JSON strings
        if not line.strip():
            continue
        value, fault = loaded(line)
        if fault:
            rejected.append(Rejected(number, f"not valid JSON: {fault}", excerpt(line)))
        else:
            values.append((number, value))
    return sort_out("jsonl", values, rejected, [])


def loaded(text: str) -> tuple[Any, str]:
    """A JSON value and "", or None and what is wrong with it."""
    try:
        return json.loads(text), ""
    except RecursionError:
        return None, "nested too deeply"
    except ValueError as fault:  # JSONDecodeError, and numbers with thousands of digits
        return None, str(fault)


def sort_out(container: str, values: Sequence[tuple[int, Any]], rejected: list[Rejected], notes: list[str]) -> Records:
    """Keeps objects, takes bare strings as texts, and rejects what is neither."""
    items: list[tuple[int, dict[str, Any]]] = []
    for number, value in values:
        if isinstance(value, dict):
            items.append((number, value))
        elif isinstance(value, str):
            items.append((number, {"text": value}))
        else:
            rejected.append(Rejected(number, f"a JSON {type(value).__name__}, not an object with columns", excerpt(value)))
    return Records(container, items, rejected, notes)


# --- plain text


def as_text(text: str) -> Records:
    lines = text.split("\n")
    items: list[tuple[int, dict[str, Any]]] = [(n, {"text": line.strip()}) for n, line in enumerate(lines, start=1) if line.strip()]
    blank = len(lines) - len(items) - int(not lines[-1].strip())
    return Records("text", items, [], [f"{blank} blank lines left out"] if blank else [])
