"""A corpus as the data panel has it open: its rows, their lengths and what may be wrong with them, worked out once and kept until it changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from workbench import inspection, library
from workbench.chat import Chat
from workbench.corpus import Row
from workbench.inspection import Problem

BARS = 28  # at most, of a histogram
KEPT_OPEN = 40  # corpora that are remembered


@dataclass
class Opened:
    """Rows of one shape, and the tokenizer of the model they are for (None where it is not on this machine)."""

    rows: Sequence[Row]
    shape: str
    model: str
    chat: Chat | None = field(repr=False)
    found: dict[int, list[Problem]] = field(default_factory=dict, repr=False)  # by cut-off

    @cached_property
    def stamp(self) -> str:
        """What tells this state of the corpus from any other."""
        return hashlib.sha256(repr(self.rows).encode("utf-8", "replace")).hexdigest()[:16]

    @cached_property
    def lengths(self) -> dict[int, int]:
        return inspection.lengths(self.chat, self.rows)

    @cached_property
    def held_out(self) -> list[int]:
        return inspection.held_out(self.rows, self.shape)

    @cached_property
    def twins(self) -> dict[int, int]:
        """The first row of those that say the same, by the number of each."""
        return {number: group[0] for group in library.duplicates(self.rows) for number in group}

    def problems(self, cut: int) -> list[Problem]:
        if cut not in self.found:
            self.found[cut] = inspection.problems(self.rows, self.chat, self.lengths, cut)
        return self.found[cut]

    def numbers(self, wanted: str, cut: int) -> list[int]:
        """The rows behind a filter: all of them, the held-out ones, or those with a problem."""
        if wanted == "held_out":
            return self.held_out
        if wanted:
            return next((each.numbers for each in self.problems(cut) if each.name == wanted), [])
        return list(range(1, len(self.rows) + 1))

    def histogram(self, cut: int) -> dict[str, Any]:
        """How long the rows are: bars from 0 to the longest, how many lie beyond the cut-off, and of how many this is measured."""
        counts = sorted(self.lengths.values())
        if not counts:
            return {"bars": [], "width": 1, "over": 0, "measured": 0, "median": 0, "longest": 0}
        width = nice(max(counts[-1], cut) / BARS)
        bars = [0] * (max(counts[-1], cut) // width + 1)
        for length in counts:
            bars[length // width] += 1
        return {"bars": bars, "width": width, "over": sum(length > cut for length in counts) if cut else 0, "measured": len(counts),
                "median": int(median(counts)), "longest": counts[-1]}


def nice(width: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if step * size >= width:
                return step * size
        size *= 10
