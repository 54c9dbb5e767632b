"""What the user should know about the rows that were taken: columns not used, copies, contradictions, placeholders."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from workbench.corpus import Demonstration, Preference, Row
from workbench.formats.kinds import ANY
from workbench.formats.questions import LOOKED_AT, Items, judging, seen, wordiest
from workbench.formats.raw import excerpt

PLACEHOLDER = re.compile(r"\{\{\w+\}\}")


def remarks(shape: str, uses: Sequence[str], items: Items, rows: Sequence[Row]) -> list[str]:
    told = []
    unused = [column for column in seen(items) if column not in uses]
    if unused and ANY not in uses:
        told.append(f"columns not used: {excerpt(', '.join(unused))}")
    if shape == "prompts" and (texts := [each for each in wordiest(items, seen(items)) if each in unused and are_texts(items, each)]):
        told.append(f"{texts[0]!r} holds much text; if these are replies, say so by mapping them: prompt=...,reply={texts[0]}")
    if twice := len(rows) - len({repr(row) for row in rows}):
        told.append(f"{twice:,} rows are copies of earlier ones (kept)")
    if opposed := contradictions([row for row in rows if isinstance(row, Preference)]):
        told.append(f"{opposed:,} pairs of replies are ordered one way by one row and the other way by another (kept: both orders will be learnt)")
    if shape == "demonstrations" and ANY not in uses and (columns := judging(items, uses)):
        told.append(f"{', '.join(columns)} may judge these rows; every row is imitated, whatever it says there")
    if shape == "demonstrations":
        count = sum(isinstance(row, Demonstration) and any(PLACEHOLDER.search(m["content"]) for m in row.messages) for row in rows)
        if count:
            told.append(f"{count:,} rows hold placeholders such as {{{{name}}}}; fill them in before training")
    return told


def are_texts(items: Items, column: str) -> bool:
    return all(isinstance(item.get(column, ""), str) for _, item in items[:LOOKED_AT])


def contradictions(rows: Sequence[Preference]) -> int:
    """How many pairs of replies to the same prompt are ranked in both orders."""
    orders: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        prompt = json.dumps(row.prompt)
        for better, worse in combinations(row.ranking, 2):
            for one in better:
                orders.update((prompt, row.replies[one], row.replies[other]) for other in worse)
    return sum((prompt, worse, better) in orders and better < worse for prompt, better, worse in orders)
