"""What the ranking panel asks: the next comparison, a judgement, a judgement taken back. Blind: no names, no lengths.

Cards are places on the screen; the store knows replies. `shown` leads from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench import agreement, desk, judgements, packs, votes
from workbench.errors import CorpusError, NotFound
from workbench.lab import Lab
from workbench.ranked import Handed
from workbench.recipes import ReplyRecipe
from workbench.records import LIVE, TAGS, Comparison, Judgement
from workbench.supply import FEW

LETTERS = "ABCDEFGH"
RECENT = 500  # judgements behind pace and position bias: recent habits matter, and reading them stays quick
PAGE_ROWS = 20
REPEATED = "exists (select 1 from judgements other where other.repeat_of=judgements.id or other.id=judgements.repeat_of) and annotator=?"
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


def item(handed: Handed) -> dict[str, Any]:
    """What a judge may see of a comparison: the conversation, and the replies in the order drawn by lot."""
    found = handed.comparison
    return {"id": found.id, "prompt": found.prompt, "cards": [found.replies[place].text for place in handed.shown], "shown": handed.shown}


def as_seen(question: dict[str, Any], comparison: Comparison) -> list[int]:
    """The order of the cards as the page says it showed them. Raises CorpusError where that cannot be."""
    shown = question.get("shown", comparison.shown)
    if not isinstance(shown, list) or not all(type(place) is int for place in shown) or sorted(shown) != sorted(comparison.shown):
        raise CorpusError(f"{shown!r} is not an order of comparison {comparison.id}'s replies; reload the page")
    return shown


def ranking_of(question: dict[str, Any], shown: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """Ranking of replies and their ratings, from cards that were put in order or rated 1 to 5 (0 is not rated)."""
    ratings, groups = question.get("ratings"), question.get("groups") or []
    if ratings is None:
        return ([list(shown)], []) if question.get("better") and not groups else (to_ranking(groups, shown), [])
    if not isinstance(ratings, list) or len(ratings) != len(shown) or not all(type(each) is int and 0 <= each <= 5 for each in ratings):
        raise CorpusError(f"{ratings!r} are not ratings of the {len(shown)} cards, 1 to 5 each and 0 for none")
    if sum(each > 0 for each in ratings) < 2 and not question.get("better"):
        raise CorpusError("rate two replies at least; with one there is nothing to compare it with")
    found = [[shown[card] for card, each in enumerate(ratings) if each == level] for level in range(5, 0, -1)]
    by_reply = [0] * len(shown)
    for card, each in enumerate(ratings):
        by_reply[shown[card]] = each
    return [group for group in found if group] or [list(shown)], by_reply


def notes_of(question: dict[str, Any]) -> dict[str, Any]:
    """What was said beside the ranking; the lab checks it."""
    return {"strength": int(question.get("strength") or 0), "tags": [str(tag) for tag in question.get("tags") or []],
            "comment": str(question.get("comment") or "").strip(), "seconds": seconds_of(question)}


def holder_of(question: dict[str, Any]) -> str:
    """One page of one annotator."""
    return str(question.get("holder") or annotator_of(question))[:80]


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
        """The item this page holds, the one asked for while it is free, else the next; and how far the judge is."""
        return self._state(question, int(question.get("id") or 0))

    def rank_hold(self, question: dict[str, Any]) -> dict[str, Any]:
        """Somebody still reads: nobody else gets the item."""
        desk.renew(self.lab.store, holder_of(question))
        return {}

    def rank_save(self, question: dict[str, Any]) -> dict[str, Any]:
        """Stores a judgement, then gives the next item; never overwrites one that this annotator made elsewhere."""
        comparison, choice, better = self.lab.store.comparison(int(question["id"])), str(question["choice"]), str(question.get("better") or "")
        state = {"skip": "skipped", "bad": "judged" if better else "bad"}.get(choice, "judged")
        shown, held = as_seen(question, comparison), desk.held_by(self.lab.store, holder_of(question))
        ranking, ratings = ranking_of(question, shown) if state == "judged" else ([], [])
        judgement = Judgement(comparison.id, annotator_of(question), state, ranking, shown, ratings=ratings, rubric=rubric(self.lab, comparison)["version"],
                              repeat_of=held.repeat_of if held and held.comparison == comparison.id else None, **notes_of(question))
        if not self.lab.vote(judgement, "" if state == "skipped" else better):
            return {**self._state(question), "note": ELSEWHERE}
        self.lab.keep_ahead()
        return {**self._state(question), "last": in_letters(self._past("annotator=?", judgement.annotator, limit=1)[0])}

    def rank_ahead(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ends the writing of replies ahead."""
        self.lab.write_ahead(None)
        return self._state(question, int(question.get("id") or 0))

    def rank_undo(self, question: dict[str, Any]) -> dict[str, Any]:
        """Takes back a judgement, or this annotator's last one, and brings its item back."""
        number, annotator = int(question.get("judgement") or 0), annotator_of(question)
        found = self._past("id=?", number) if number else self._past("annotator=?", annotator, limit=1)
        if not found:
            what = f"judgement {number} is not of this tab, or was taken back" if number else f"{annotator} has judged nothing yet"
            raise NotFound(f"{what}; there is nothing to take back")
        self.lab.take_back(found)
        if found[0].annotator == annotator:
            desk.bring_back(self.lab.store, annotator, holder_of(question), found[0])
        return self._state(question)

    def rank_past(self, question: dict[str, Any]) -> dict[str, Any]:
        """A page of past judgements, newest first."""
        found = self._past()
        rows, page, pages = page_of(found, int(question.get("page") or 0))
        return {"rows": [past_row(each, self.lab.store.comparison(each.comparison)) for each in rows], "page": page, "pages": pages, "total": len(found)}

    def _past(self, where: str = "1", *values: Any, limit: int = 1_000_000) -> list[Judgement]:
        """Judgements made at the desk, newest first."""
        return judgements.read(self.lab.store, f"{OF_THE_DESK} and {where}", *values, newest=True, limit=limit)

    def _state(self, question: dict[str, Any], wanted: int = 0) -> dict[str, Any]:
        annotator, holder = annotator_of(question), holder_of(question)
        handed = self.lab.hand_out(annotator, holder, wanted)
        counts, recent = self.lab.ranking_counts(), self._past("annotator=?", annotator, limit=RECENT)
        itself = agreement.same(agreement.within(agreement.of_judgements(self._past(REPEATED, annotator))))
        return {
            "item": item(handed) if handed else None, "rubric": rubric(self.lab, handed.comparison if handed else None),
            "done": counts.get("judged", 0), "to_do": counts.get("ready", 0), "aside": counts.get("bad", 0) + counts.get("skipped", 0),
            "ahead": ahead(self.lab.written_ahead()), "elsewhere": desk.with_others(self.lab.store, holder), "tags": TAGS,
            "pace": votes.pace_seconds(recent), "first": votes.first_side_rate(recent), "chance": chance(recent),
            "itself": itself.rate, "repeats": itself.n,
            "writing": [{"id": r.id, "state": r.state, "step": r.step, "total": r.total}
                        for r in self.lab.list_runs() if r.stage == "replies" and r.state in LIVE],
        }


def chance(found: Sequence[Judgement]) -> float:
    """How often the first card would be best if its place did not matter."""
    sizes = [len(each.shown) for each in found if each.state == "judged"]
    return sum(1 / size for size in sizes) / len(sizes) if sizes else 0.0


def ahead(recipe: ReplyRecipe | None) -> str:
    """What is written without being asked for again, in words."""
    if recipe is None:
        return ""
    return f"When fewer than {FEW} are left, {recipe.adapters.replace(',', ' and ')} answers {recipe.count} more prompts by itself."


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

