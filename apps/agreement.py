"""What the agreement panel asks: remarks in words, annotators and pairs of them as tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.page import public
from workbench import agreement_words
from workbench.agreement import Annotator, Pair, Share
from workbench.agreement_words import figure
from workbench.lab import Lab

HEADS = ["Annotator", "Ranked", "Seconds", "First card best", "With itself", "With others"]
PAIR_HEADS = ["Two annotators", "Same verdict", "Kappa", "In common"]


def look_of(lab: Lab) -> Callable[[Any], dict[str, Any]]:
    """The panel's server function."""

    @public
    def agreement_look(question: dict[str, Any]) -> dict[str, Any]:
        found = lab.agreement()
        return {"remarks": [each._asdict() for each in agreement_words.remarks(found)], "heads": HEADS,
                "rows": [line(each) for each in found.annotators], "pairHeads": PAIR_HEADS, "pairs": [pair_line(each) for each in found.pairs[:20]]}

    return agreement_look


def line(one: Annotator) -> list[str]:
    first = f"{one.first.rate:.0%} (chance {one.chance:.0%})" if one.first.rate is not None else "–"
    return [one.name, f"{one.judged:,}", "–" if one.seconds is None else f"{one.seconds:.1f}", first, short(one.itself), short(one.others)]


def pair_line(two: Pair) -> list[str]:
    return [f"{two.a} and {two.b}", figure(two.same), "–" if two.kappa is None else f"{two.kappa:.2f}", f"{two.same.n:,}"]


def short(share: Share) -> str:
    return "–" if share.rate is None else f"{share.rate:.0%} of {share.n}"
