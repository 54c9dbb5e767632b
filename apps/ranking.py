"""What the ranking panel asks: the next comparison, a judgement, a judgement taken back. Blind: no names, no lengths.

Cards are places on the screen; the store knows replies. `shown` leads from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench import judgements, packs, votes
from workbench.errors import CorpusError, NotFound
from workbench.lab import Lab
from workbench.recipes import ReplyRecipe
from workbench.records import LIVE, Comparison, Judgement

LETTERS = "ABCDEFGH"
RECENT = 500  # judgements behind pace and position bias: recent habits matter, and reading them stays quick
PAGE_ROWS = 20
OF_THE_DESK = "comparison in (select id from comparisons where kind='ranking')"
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


def in_letters(judgement: Judgement) -> str:
    """A judgement in the letters its annotator saw: "B > A = D, C not ranked"; a reply of their own is "yours"."""
    if judgement.state != "judged":
        return {"bad": "all bad"}.get(judgement.state, judgement.state)
    letter = {reply: LETTERS[card] for card, reply in enumerate(judgement.shown)}
    if judgement.written is not None:
        letter[judgement.written] = "yours"
    ranked = " > ".join(" = ".join(sorted(letter.get(r, "another's") for r in group)) for group in judgement.ranking)
    left_out = sorted(set(letter.values()) - {letter.get(r) for group in judgement.ranking for r in group})
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
        return self._state(annotator_of(question), int(question.get("id") or 0))

    def rank_save(self, question: dict[str, Any]) -> dict[str, Any]:
        """Stores a judgement, then gives the next comparison; never overwrites one that this annotator made elsewhere."""
        comparison, choice, annotator = self.lab.store.comparison(int(question["id"])), str(question["choice"]), annotator_of(question)
        state = {"skip": "skipped", "bad": "bad"}.get(choice, "judged")
        judgement = Judgement(comparison.id, annotator, state, to_ranking(question["groups"], comparison.shown) if state == "judged" else [],
                              comparison.shown, seconds=seconds_of(question), rubric=rubric(self.lab, comparison)["version"])
        if not self.lab.vote(judgement):
            return {**self._state(annotator), "note": ELSEWHERE}
        return {**self._state(annotator), "last": in_letters(judgement)}

    def rank_undo(self, question: dict[str, Any]) -> dict[str, Any]:
        """Takes back a judgement, or this annotator's last one, and brings its comparison back."""
        number, annotator = int(question.get("judgement") or 0), annotator_of(question)
        found = self._past("id=?", number) if number else self._past("annotator=?", annotator, limit=1)
        if not found:
            what = f"judgement {number} is not of this tab, or was taken back" if number else f"{annotator} has judged nothing yet"
            raise NotFound(f"{what}; there is nothing to take back")
        self.lab.take_back(found)
        return self._state(annotator, found[0].comparison)

    def rank_past(self, question: dict[str, Any]) -> dict[str, Any]:
        """A page of past judgements, newest first."""
        found = self._past()
        rows, page, pages = page_of(found, int(question.get("page") or 0))
        return {"rows": [past_row(each, self.lab.store.comparison(each.comparison)) for each in rows], "page": page, "pages": pages, "total": len(found)}

    def _past(self, where: str = "1", *values: Any, limit: int = 1_000_000) -> list[Judgement]:
        """Judgements made at the desk, newest first."""
        return judgements.read(self.lab.store, f"{OF_THE_DESK} and {where}", *values, newest=True, limit=limit)

    def _state(self, annotator: str, wanted: int = 0) -> dict[str, Any]:
        found = self.lab.store.comparisons("id=? and kind='ranking' and state='ready'", wanted) if wanted else []
        found = found or self.lab.to_rank()
        counts, recent = self.lab.ranking_counts(), self._past("annotator=?", annotator, limit=RECENT)
        return {
            "item": item(found[0]) if found else None, "rubric": rubric(self.lab, found[0] if found else None),
            "done": counts.get("judged", 0), "to_do": counts.get("ready", 0), "aside": counts.get("bad", 0) + counts.get("skipped", 0),
            "pace": votes.pace_seconds(recent), "first": votes.first_side_rate(recent), "chance": chance(recent),
            "writing": [{"id": r.id, "state": r.state, "step": r.step, "total": r.total}
                        for r in self.lab.list_runs() if r.stage == "replies" and r.state in LIVE],
        }


def chance(found: Sequence[Judgement]) -> float:
    """How often the first card would be best if its place did not matter."""
    sizes = [len(each.shown) for each in found if each.state == "judged"]
    return sum(1 / size for size in sizes) / len(sizes) if sizes else 0.0


def past_row(judgement: Judgement, comparison: Comparison) -> dict[str, Any]:
    """A judgement for the list: names are shown, for it is made."""
    best = comparison.replies[judgement.ranking[0][0]] if judgement.ranking else None
    return {
        "id": judgement.id, "comparison": comparison.id, "judged": judgement.created, "annotator": judgement.annotator or judgement.source,
        "source": judgement.source, "verdict": in_letters(judgement), "prompt": comparison.prompt[-1]["content"],
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

