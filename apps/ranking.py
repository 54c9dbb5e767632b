"""What the ranking panel asks: the next comparison, a judgement, a judgement taken back. Blind: no names, no lengths.

Cards are places on the screen; the store knows replies. `shown` leads from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench import packs, votes
from workbench.errors import CorpusError, LabError, NotFound
from workbench.lab import Lab
from workbench.recipes import ReplyRecipe
from workbench.records import LIVE, Comparison

LETTERS = "ABCDEFGH"
RECENT = 500  # judgements behind pace and position bias: recent habits matter, and reading them stays quick
PAGE_ROWS = 20
MADE_BY_HAND = "kind='ranking' and source='human'"
ELSEWHERE = "That one was already ranked elsewhere, perhaps in another browser tab; nothing was overwritten. Here is the next."


def to_ranking(groups: Sequence[Sequence[int]], shown: Sequence[int]) -> list[list[int]]:
    """Picked cards (best first, ties together) as a ranking of replies.

    A single group says "these are best": the cards left out tie below it. With more groups they stay unranked.
    """
    cards = [card for group in groups for card in group]
    k = len(shown)
    if not cards or not all(groups) or len(set(cards)) != len(cards) or not all(type(c) is int and 0 <= c < k for c in cards):
        raise CorpusError(f"{groups!r} is not an order of the {k} cards, each at most once; pick at least the best one")
    rest = [card for card in range(k) if card not in cards]
    full = [*groups, rest] if len(groups) == 1 and rest else groups
    return [[shown[card] for card in group] for group in full]


def in_letters(comparison: Comparison) -> str:
    """A judgement in the letters its judge saw: "B > A = D, C not ranked"."""
    if comparison.state != "judged" or not comparison.ranking:
        return {"bad": "all bad", "skipped": "skipped"}.get(comparison.state, comparison.state)
    letter = {reply: LETTERS[card] for card, reply in enumerate(comparison.shown)}
    ranked = " > ".join(" = ".join(sorted(letter[r] for r in group)) for group in comparison.ranking)
    left_out = sorted(set(letter.values()) - {letter[r] for group in comparison.ranking for r in group})
    return f"{ranked}, {' '.join(left_out)} not ranked" if left_out else ranked


def page_of(rows: Sequence[Any], page: int, size: int = PAGE_ROWS) -> tuple[list[Any], int, int]:
    """The rows of a page (from 0), the page that is really there, and how many pages there are."""
    pages = max(1, -(-len(rows) // size))
    page = min(max(0, page), pages - 1)
    return list(rows[page * size:(page + 1) * size]), page, pages


def item(comparison: Comparison) -> dict[str, Any]:
    """What a judge may see of a comparison: the conversation, and the replies in the order drawn by lot."""
    return {"id": comparison.id, "prompt": comparison.prompt, "cards": [comparison.replies[r].text for r in comparison.shown]}


def annotator_of(question: dict[str, Any]) -> str:
    return " ".join(str(question.get("annotator", "")).split())[:60] or "me"


def seconds_of(question: dict[str, Any]) -> float | None:
    """The time a judgement took; a pause of more than ten minutes says nothing about reading."""
    seconds = float(question.get("seconds") or 0)
    return round(seconds, 1) if 0 < seconds <= 600 else None


@dataclass(frozen=True)
class Desk:
    """The server side of the ranking panel and of the list below it. Each method takes one dict and gives one back."""

    lab: Lab

    def rank_next(self, question: dict[str, Any]) -> dict[str, Any]:
        """The comparison asked for while it still waits, else the oldest that waits; and how far the judge is."""
        return self._state(int(question.get("id") or 0))

    def rank_save(self, question: dict[str, Any]) -> dict[str, Any]:
        """Stores a judgement, then gives the next comparison; never overwrites one made elsewhere."""
        number, choice, annotator = int(question["id"]), str(question["choice"]), annotator_of(question)
        comparison = self.lab.store.comparison(number)
        if comparison.state != "ready":
            return {**self._state(), "note": ELSEWHERE}
        if choice == "skip":
            self.lab.skip(number, annotator=annotator)
        elif choice == "bad":
            self.lab.judge_bad(number, annotator=annotator, seconds=seconds_of(question))
        else:
            self.lab.judge(number, to_ranking(question["groups"], comparison.shown), annotator=annotator,
                           rubric=rubric(self.lab, comparison)["version"], seconds=seconds_of(question))
        return {**self._state(), "last": in_letters(self.lab.store.comparison(number))}

    def rank_undo(self, question: dict[str, Any]) -> dict[str, Any]:
        """Takes back a judgement, or this annotator's last one, and brings its comparison back."""
        number = int(question.get("id") or 0) or self._last_by(annotator_of(question))
        found = self.lab.store.comparison(number)
        if found.kind != "ranking" or found.judged is None:
            raise LabError(f"comparison {number} ({found.kind}, {found.state}) holds no judgement of this tab; nothing was changed")
        self.lab.undo_judgement(number)
        return self._state(number)

    def rank_past(self, question: dict[str, Any]) -> dict[str, Any]:
        """A page of past judgements, newest first."""
        found = self.lab.store.comparisons("kind='ranking' and judged is not null", newest=True)
        rows, page, pages = page_of(sorted(found, key=lambda c: -(c.judged or 0)), int(question.get("page") or 0))
        return {"rows": [past_row(c) for c in rows], "page": page, "pages": pages, "total": len(found)}

    def _last_by(self, annotator: str) -> int:
        mine = self.lab.store.comparisons(f"{MADE_BY_HAND} and judged is not null and annotator=?", annotator)
        if not mine:
            raise NotFound(f"{annotator} has judged nothing yet; there is nothing to take back")
        return max(mine, key=lambda c: c.judged or 0).id

    def _state(self, wanted: int = 0) -> dict[str, Any]:
        found = self.lab.store.comparisons("id=? and kind='ranking' and state='ready'", wanted) if wanted else []
        found = found or self.lab.to_rank()
        counts, recent = self.lab.ranking_counts(), self.lab.store.comparisons(MADE_BY_HAND, limit=RECENT, newest=True)
        return {
            "item": item(found[0]) if found else None, "rubric": rubric(self.lab, found[0] if found else None),
            "done": counts.get("judged", 0), "aside": counts.get("bad", 0) + counts.get("skipped", 0),
            "to_do": counts.get("ready", 0), "pace": votes.pace_seconds(recent),
            "first": votes.first_side_rate(recent), "chance": chance(recent),
            "writing": [{"id": r.id, "state": r.state, "step": r.step, "total": r.total}
                        for r in self.lab.list_runs() if r.stage == "replies" and r.state in LIVE],
        }


def chance(comparisons: Sequence[Comparison]) -> float:
    """How often the first card would be best if its place did not matter."""
    sizes = [len(c.shown) for c in comparisons if c.state == "judged"]
    return sum(1 / size for size in sizes) / len(sizes) if sizes else 0.0


def past_row(comparison: Comparison) -> dict[str, Any]:
    """A judgement for the list: names are shown, for it is made."""
    best = comparison.replies[comparison.ranking[0][0]] if comparison.ranking else None
    return {
        "id": comparison.id, "judged": comparison.judged, "annotator": comparison.annotator or comparison.source,
        "source": comparison.source, "verdict": in_letters(comparison), "prompt": comparison.prompt[-1]["content"],
        "best": best.text if best else "", "adapter": best.adapter if best else "",
    }


def rubric(lab: Lab, comparison: Comparison | None) -> dict[str, str]:
    """The guidelines of the pack that a comparison's prompts came from; empty for imported prompts."""
    source = packs.DEFAULT  # where prompts come from unless a run says otherwise
    try:
        recipe = lab.recipe(comparison.run) if comparison and comparison.run else None
    except NotFound:
        recipe = None  # the run was deleted, its comparisons stay
    if isinstance(recipe, ReplyRecipe):
        source = recipe.prompts
    if source not in packs.names():
        return {"version": "", "text": ""}
    pack = packs.load(source)
    return {"version": f"{pack.name} {pack.rubric_version}", "text": pack.rubric}

