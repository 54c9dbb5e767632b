"""What a lab says of rankings: the part of its verbs that takes a judgement, takes it back, and tells what waits for one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict, Unpack

from workbench import desk, judgements, library, packs, votes
from workbench.errors import CorpusError, LabError
from workbench.records import TAGS, Comparison, Judgement
from workbench.store import Store

LONGEST = 20_000  # characters of a comment or a written reply


class Notes(TypedDict, total=False):
    """What may be said beside a ranking; see records.Judgement."""

    rubric: str
    seconds: float | None
    strength: int
    tags: list[str]
    comment: str
    ratings: list[int]
    shown: list[int]


class Handed(NamedTuple):
    """An item that an annotator is to judge, the order in which they see its replies, and which judgement of theirs it repeats."""

    comparison: Comparison
    shown: list[int]
    repeat_of: int | None = None


class Ranked:
    """Verbs of a Lab; see lab.py."""

    store: Store

    def judge(self, comparison: int | Comparison, ranking: Sequence[Sequence[int]], *, annotator: str = "me", source: str = "human", better: str = "",
              **notes: Unpack[Notes]) -> None:
        """Stores a ranking of replies, best first, ties together: [[0], [2, 1]]. Partial rankings leave replies out.

        It takes the place of this annotator's earlier one; others' stand beside it. `better` is a reply that the annotator wrote:
        it stands above all others, and becomes a demonstration.
        """
        found = self._judged(comparison)
        votes.check_ranking(ranking, len(found.replies))
        self._store(made(found, "judged", ranking, annotator, source, notes), better)

    def judge_bad(self, comparison: int | Comparison, annotator: str = "me", better: str = "", **notes: Unpack[Notes]) -> None:
        """Records that no reply is acceptable; such a comparison trains nothing but is kept. With `better`, that reply beats them all."""
        found = self._judged(comparison)
        if better:
            return self.judge(found, [list(range(len(found.replies)))], annotator=annotator, better=better, **notes)
        self._store(made(found, "bad", [], annotator, "human", notes))

    def skip(self, comparison: int | Comparison, annotator: str = "me", **notes: Unpack[Notes]) -> None:
        """Sets a comparison aside without an opinion."""
        self._store(made(self._judged(comparison), "skipped", [], annotator, "human", notes))

    def vote(self, judgement: Judgement, better: str = "") -> bool:
        """Stores a judgement unless its annotator has judged the comparison already; False then, and nothing has changed."""
        found = self._judged(judgement.comparison)
        if judgement.ranking:
            votes.check_ranking(judgement.ranking, len(found.replies))
        return self._store(judgement, better, is_new=True)

    def undo_judgement(self, comparison: int, annotator: str = "") -> None:
        """Takes back what an annotator made of a comparison (everybody, unless named), with what was written for it."""
        found = judgements.read(self.store, "comparison=?", comparison)
        self.take_back([each for each in found if annotator in ("", each.annotator)])

    def take_back(self, found: Sequence[Judgement]) -> None:
        """Removes judgements, their repeats and what was written for them; a comparison without any waits again."""
        judgements.remove(self.store, [each.id for each in found])
        for each in found:
            if each.written is not None:
                library.withdraw(self.store, provenance(each))

    def judgements(self, annotator: str = "") -> list[Judgement]:
        """All judgements of this lab, or an annotator's, oldest first, repeats among them."""
        return judgements.read(self.store, "?='' or annotator=?", annotator, annotator)

    def judge_simulated(self, pack: str = "", seed: int = 0) -> int:
        """Lets scoring rules rank everything that waits to be ranked, marked as simulated; returns how many.

        Each item is judged by the pack that its prompt came from (customer-service where it came from none), or by `pack`.
        """
        judges = {name: packs.load(name).annotator() for name in ([pack] if pack else packs.names())}
        waiting = self.to_rank(limit=100_000)
        for item in waiting:
            judge = judges.get(str(item.settings.get("prompts"))) or judges[pack or packs.DEFAULT]
            ranking = judge.rank(item.prompt, [r.text for r in item.replies], random.Random(f"{seed} {item.id}"))
            self.judge(item, ranking, annotator="simulated", source="simulated")
        return len(waiting)

    def hand_out(self, annotator: str = "me", holder: str = "", wanted: int = 0) -> Handed | None:
        """The next item for an annotator, which nobody else holds; None where nothing is left.

        `holder` tells several pages of one annotator apart. One item in twenty comes again with its sides swapped, and where others
        judge too, one in ten is theirs.
        """
        held = desk.hand_out(self.store, annotator, holder or annotator, wanted)
        return self.handed(annotator, held) if held else None

    def handed(self, annotator: str, held: desk.Held) -> Handed:
        """A held item with the order in which this annotator sees it."""
        found = self.store.comparison(held.comparison)
        if held.repeat_of is not None:
            first = judgements.read(self.store, "id=?", held.repeat_of)
            return Handed(found, first[0].shown[::-1] if first else found.shown, held.repeat_of)
        if not found.judgements:
            return Handed(found, found.shown)
        shown = sorted(found.shown)
        random.Random(f"{found.id} {annotator}").shuffle(shown)  # a lot of their own, or all would share one bias
        return Handed(found, shown)

    def to_rank(self, limit: int = 1) -> list[Comparison]:
        """The comparisons that wait for a person's ranking, oldest first."""
        return self.store.comparisons("kind='ranking' and state='ready'", limit=limit)

    def ranking_counts(self) -> dict[str, int]:
        """How many ranking items are in each state: ready, judged, skipped, bad."""
        return self.store.count_comparisons("ranking")

    def win_rate(self, a: str, b: str) -> dict[str, Any]:
        """How often a's replies were ranked above b's: wins, losses, ties, rate, low, high (95 %), n. Ties count a half."""
        return votes.win_rate(self.store.comparisons("state='judged'"), a, b)

    def _judged(self, comparison: int | Comparison) -> Comparison:
        """What is to be judged, as it stands now. Raises LabError while it is still written."""
        found = self.store.comparison(comparison if isinstance(comparison, int) else comparison.id)
        if found.state in ("waiting", "writing", "failed"):
            raise LabError(f"comparison {found.id} is {found.state}; wait until its replies are written")
        return found

    def _store(self, judgement: Judgement, better: str = "", is_new: bool = False) -> bool:
        check(judgement)
        stored = (judgements.add if is_new else judgements.put)(self.store, judgement, checked(self.store.comparison(judgement.comparison), better, judgement.annotator))
        if stored is not None:
            library.withdraw(self.store, provenance(judgement))
            if stored.written is not None:
                keep(self.store, stored)
        return stored is not None


def made(comparison: Comparison, state: str, ranking: Sequence[Sequence[int]], annotator: str, source: str, notes: Notes) -> Judgement:
    """A judgement with what was noted beside it."""
    return Judgement(comparison.id, annotator, state, [list(group) for group in ranking], source=source, **{"shown": comparison.shown, **notes})


def check(found: Judgement) -> None:
    """Raises CorpusError where a note is none."""
    if found.strength not in (0, 1, 2, 3):
        raise CorpusError(f"strength is {found.strength!r}; it is 1 (slightly better), 2 (clearly), 3 (much) or 0 (unsaid)")
    if strange := [tag for tag in found.tags if tag not in TAGS]:
        raise CorpusError(f"tags hold {', '.join(map(repr, strange))}; the reasons are {', '.join(TAGS)}")
    if len(found.comment) > LONGEST:
        raise CorpusError(f"the comment has {len(found.comment):,} characters; at most {LONGEST:,} are kept")


def checked(comparison: Comparison, better: str, annotator: str) -> str:
    """A reply that an annotator wrote. Raises CorpusError when it is there already, or too long."""
    text = better.strip()
    if len(text) > LONGEST:
        raise CorpusError(f"the reply has {len(text):,} characters; at most {LONGEST:,} are kept")
    if text and any(text == reply.text.strip() and reply.record.get("annotator") != annotator for reply in comparison.replies):
        raise CorpusError("the better reply is word for word one of those shown; change it, or rank that one first")
    return text


def provenance(judgement: Judgement) -> str:
    return f"comparison {judgement.comparison}, {judgement.annotator}"


def keep(store: Store, judgement: Judgement) -> None:
    """Makes a demonstration of the reply that was written for a judgement."""
    found = store.comparison(judgement.comparison)
    messages = [*found.prompt, {"role": "assistant", "content": found.replies[judgement.written or 0].text}]
    library.append(store, library.OWN, library.Demonstration(messages, provenance(judgement)))
