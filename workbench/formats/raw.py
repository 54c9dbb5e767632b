"""What a file holds before anybody asks what it means: records with their lines, and what could not be read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used. `line` is the line in the file, or the item's number (from 1) in a JSON array or a Parquet file."""

    line: int
    reason: str
    text: str = ""


@dataclass(frozen=True)
class Records:
    """What a file holds before anybody asks what it means: (line, {column: value}) in the file's order."""

    container: str  # json, jsonl, csv, tsv, parquet or text
    items: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def excerpt(value: object, most: int = 160) -> str:
    """The beginning of a row, on one line, to show beside the reason why it was refused."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    flat = " ".join(text[: most * 4].split()).encode("utf-8", "replace").decode()  # bytes that are no text must not reach a terminal
    return flat if len(flat) <= most else flat[: most - 3] + "..."
