"""Rows out, in TRL's columns, and in again without loss: JSONL, JSON, CSV and Parquet.

A column `workbench_row` marks our own files and tells which lines belong together: a ranking of k replies becomes a line
for every pair it orders, and `replies` and `ranking` beside them keep what pairs cannot say. TRL ignores these columns.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from workbench.corpus import Demonstration, Preference, Prompt, Row, Text
from workbench.errors import CorpusError, DiskFull
from workbench.formats.tables import TURNS, disarm
from workbench.formats.turns import Notes, Record, Unusable, as_question, check_letters, check_order, number, who
from workbench.records import Messages

LIMITS = {"strength": 3.0, "certainty": 1.0}
FORMATS = ("jsonl", "json", "csv", "parquet")
ROW = "workbench_row"
Part = tuple[int, Row]


# --- out


def format_of(path: Path, format: str = "") -> str:
    """The format that is asked for, or that the file's name says. Raises CorpusError for any other."""
    said = format or next((suffix[1:].lower() for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "")
    if said not in FORMATS:
        raise CorpusError(f"{said or path.name!r} is no format to write; name the file .jsonl, .json, .csv or .parquet, or pass the format")
    return said


def write(path: Path, rows: Sequence[Row], format: str = "") -> int:
    """Writes rows to a file, all of them or none, gzipped where its name ends with .gz; returns how many lines."""
    format = format_of(path, format)
    lines = [line for number, row in enumerate(rows, start=1) for line in lines_of(number, row, format == "csv")]
    part = path.with_name(f".{path.name}.part")
    try:
        if format == "parquet":
            from workbench.formats import parquet  # here, as everything else works without pyarrow

            parquet.write(part, lines)
        else:
            data = in_text(lines, format).encode()
            part.write_bytes(gzip.compress(data) if path.name.lower().endswith(".gz") else data)
        part.replace(path)
    except OSError as fault:
        raise DiskFull(f"cannot write {path}: {fault.strerror or fault}; choose a folder you may write to, with room in it") from fault
    finally:
        part.unlink(missing_ok=True)
    return len(lines)


def in_text(lines: Sequence[dict[str, Any]], format: str) -> str:
    if format == "json":
        return json.dumps(lines, ensure_ascii=False, indent=1) + "\n"
    if format == "jsonl":
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, list(dict.fromkeys(key for line in lines for key in line)), quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writeheader()
    for line in lines:
        if strange := [key for key, value in line.items() if "\0" in str(value)]:
            raise CorpusError(f"row {line[ROW]} holds a NUL character in its {strange[0]}, which CSV cannot carry; write .jsonl or .parquet")
        table.writerow({key: disarm(str(value)) for key, value in line.items()})
    return out.getvalue()


def lines_of(number: int, row: Row, is_flat: bool) -> Iterator[dict[str, Any]]:
    """The lines that one row becomes. In a flat file a lone turn is its text, and lists are JSON."""
    mark = {ROW: number}
    match row:
        case Text(text):
            yield {**mark, "text": said([{"role": "text", "content": text}], "text", True) if is_flat else text}
        case Prompt(messages):
            yield {**mark, "prompt": said(messages, "user", is_flat)}
        case Demonstration(messages) if is_flat:
            yield {**mark, "prompt": said(messages[:-1], "user", True), "completion": said(messages[-1:], "assistant", True)}
        case Demonstration(messages):
            yield {**mark, "messages": messages}
        case Preference():
            yield from pairs_of(number, row, is_flat)


def pairs_of(number: int, row: Preference, is_flat: bool) -> Iterator[dict[str, Any]]:
    pairs = [(row.replies[a], row.replies[b]) for better, worse in combinations(row.ranking, 2) for a in better for b in worse]
    if not pairs:
        raise CorpusError(f"row {number} puts no reply above another, so there is no pair to write; take it out of the corpus first")
    is_pair = len(row.replies) == 2 and row.ranking == [[0], [1]]
    whole = {"replies": [] if is_pair else row.replies, "ranking": [] if is_pair else row.ranking, "shown": row.shown}
    for chosen, rejected in [pair for pair in pairs if pair[0] != pair[1]] or pairs[:1]:
        sides = {name: said([{"role": "assistant", "content": text}], "assistant", is_flat) for name, text in (("chosen", chosen), ("rejected", rejected))}
        yield {ROW: number, "prompt": said(row.prompt, "user", is_flat), **sides, "annotator": row.annotator,
               "strength": row.strength, "certainty": row.certainty,
               **({key: json.dumps(value, ensure_ascii=False) for key, value in whole.items()} if is_flat else whole)}


def said(messages: Messages, role: str, is_flat: bool) -> Messages | str:
    """Turns as they are or, for a flat file, the text of a lone turn of the usual role, and JSON for everything else."""
    if not is_flat:
        return messages
    is_plain = len(messages) == 1 and messages[0]["role"] == role and not TURNS.match(messages[0]["content"].lstrip("'"))
    return messages[0]["content"] if is_plain else json.dumps(messages, ensure_ascii=False)


# --- in again


def turns_in(value: object, role: str) -> Messages:
    """The turns of a field, nothing stripped: what we wrote is what we get."""
    found = [{"role": role, "content": value}] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise Unusable(f"no {role} text")
    for each in found:
        if not (isinstance(each, dict) and isinstance(each.get("role"), str) and isinstance(each.get("content"), str)):
            raise Unusable(f"a turn of the {role} is not a role and a text")
        check_letters(each["role"] + each["content"], f"a turn of the {role}")
    return [{"role": each["role"], "content": each["content"]} for each in found]


def text_in(value: object, role: str) -> str:
    turns = turns_in(value, role)
    if len(turns) != 1 or turns[0]["role"] != role:
        raise Unusable(f"not one text of the {role}")
    return turns[0]["content"]


def number_in(record: Record) -> int:
    try:
        return int(record[ROW])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unusable(f"{ROW} is {str(record.get(ROW))[:40]!r}, not the number of a row") from None


def text(record: Record, notes: Notes) -> list[Part]:
    return [(number_in(record), Text(text_in(record.get("text"), "text")))]


def prompt(record: Record, notes: Notes) -> list[Part]:
    return [(number_in(record), Prompt(question(record)))]


def question(record: Record) -> Messages:
    turns = as_question(turns_in(record.get("prompt"), "user"))
    check_order(turns)
    return turns


def demonstration(record: Record, notes: Notes) -> list[Part]:
    turns = turns_in(record["messages"], "user") if "messages" in record else [
        *turns_in(record.get("prompt"), "user"), {"role": "assistant", "content": text_in(record.get("completion"), "assistant")}]
    check_order(turns)
    if turns[-1]["role"] != "assistant":
        raise Unusable("the last turn is not the assistant's")
    return [(number_in(record), Demonstration(turns))]


def preference(record: Record, notes: Notes) -> list[Part]:
    sides = [text_in(record.get(side), "assistant") for side in ("chosen", "rejected")]
    replies, ranking = (listed(record.get(name), name) for name in ("replies", "ranking"))
    if not ranking:
        replies, ranking = sides, [[0], [1]]
    named = [place for group in ranking if isinstance(group, list) for place in group]
    if not (all(isinstance(group, list) and group for group in ranking) and all(type(place) is int and 0 <= place < len(replies) for place in named)
            and len(set(named)) == len(named) and len(ranking) > 1 and all(isinstance(reply, str) for reply in replies)):
        raise Unusable("replies and ranking do not belong together")
    made = Preference(question(record), [text_in(reply, "assistant") for reply in replies], ranking, who(record.get("annotator")),
                      shown=shown_in(record, len(replies)), **{name: figure_in(record, name, most) for name, most in LIMITS.items()})
    if not any(made.replies[a] == sides[0] and made.replies[b] == sides[1] for x, y in combinations(ranking, 2) for a in x for b in y):
        raise Unusable("chosen and rejected are not in the order that ranking gives; change both, or take the columns replies and ranking out")
    return [(number_in(record), made)]


def shown_in(record: Record, replies: int) -> list[int]:
    """The order in which the replies were shown, or nothing."""
    found = listed(record.get("shown"), "shown")
    if found and (not all(type(place) is int for place in found) or sorted(found) != list(range(replies))):
        raise Unusable("shown is not an order of the replies")
    return found


def figure_in(record: Record, name: str, most: float) -> float:
    """A figure between 0 and `most`; what an empty cell or an older export leaves out is as a row has it by itself."""
    value = record.get(name)
    found = number(value, name) if value not in (None, "") else Preference.__dataclass_fields__[name].default
    if not 0 <= found <= most:
        raise Unusable(f"{name} is {found:g}; it must be between 0 and {most:g}")
    return found


def listed(value: object, what: str) -> list[Any]:
    """A list, or the JSON of one, or nothing."""
    try:
        found = json.loads(value) if isinstance(value, str) and value else value or []
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Unusable(f"{what} is not a list")
    return found


def together(parts: Sequence[tuple[int, Part]], notes: Notes) -> Iterator[tuple[int, Row | Unusable]]:
    """The lines of one row as that row, where they agree."""
    first: dict[int, str] = {}
    for line, (key, row) in parts:
        told = json.dumps(asdict(row))
        if key not in first:
            first[key] = told
            yield line, row
        elif first[key] != told or not isinstance(row, Preference):
            yield line, Unusable(f"differs from an earlier line with the same {ROW} ({key}); give it a number of its own")
