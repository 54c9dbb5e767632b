"""How far annotators agree: with each other, with themselves, and with chance. Pure: votes in, numbers out; no torch.

What is compared is the verdict on a pair of replies: first better, second better, or a tie. A ranking of four is six verdicts, a
partial ranking fewer; those are what a reward model learns from. Each pair is counted in both directions, so that which reply
was written first cannot pass for agreement by chance. Intervals count comparisons, not pairs: the pairs of one are kin.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from workbench.corpus import Preference, prompt_key
from workbench.records import Judgement
from workbench.votes import wilson

ENOUGH = 5  # comparisons judged twice from which a noise ceiling is worth a figure
JUDGE = "judge"  # the source of judgements that a model made


class Vote(NamedTuple):
    """One judgement as agreement needs it. `item` is what was judged: a repeat has the item of what it repeats."""

    item: Hashable
    annotator: str
    ranking: Sequence[Sequence[int]]
    shown: Sequence[int] = ()  # the order on the screen; empty where nobody wrote it down
    seconds: float | None = None
    source: str = "human"


class Share(NamedTuple):
    """A share of n comparisons with its 95 % interval (Wilson); None where n is 0."""

    rate: float | None
    low: float | None
    high: float | None
    n: int


class Ceiling(NamedTuple):
    """The held-out accuracy that even a perfect reward model could not pass, with its 95 % interval; None is unknown."""

    rate: float | None
    low: float | None
    high: float | None
    agreement: float | None  # how often two judgements of one pair are the same: the least that such a model reaches
    n: int  # comparisons judged twice
    who: str  # "each other": several annotators; "self": one of them twice; "" where it is unknown
    why: str  # where it comes from, or why it is unknown


class Annotator(NamedTuple):
    """One annotator's habits."""

    name: str
    source: str
    judged: int
    seconds: float | None  # median time of a judgement
    first: Share  # how often the card shown first was ranked best
    chance: float  # how often it would be if its place did not matter
    itself: Share  # verdicts that stayed the same when the comparison came again
    others: Share  # verdicts that people other than this one share


class Pair(NamedTuple):
    """Two annotators on what both judged."""

    a: str
    b: str
    same: Share
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How far the annotators of a lab agree; kappa for two of them is in `pairs`."""

    annotators: list[Annotator]
    pairs: list[Pair]
    alpha: float | None  # Krippendorff's, of all people
    people: Share  # how often two people give a pair of replies the same verdict
    itself: Share  # how often people repeat their own verdict
    ceiling: Ceiling


# --- votes


def of_preferences(rows: Iterable[Preference]) -> list[Vote]:
    """Votes of a corpus whose rows name their annotators; the same replies to the same prompt are one item in whatever order."""
    found = []
    for row in rows:
        order = sorted(range(len(row.replies)), key=lambda at: row.replies[at])
        place = {at: new for new, at in enumerate(order)}
        item = (prompt_key(row), tuple(row.replies[at] for at in order))
        source = JUDGE if row.annotator.startswith(f"{JUDGE}:") else "human"
        found.append(Vote(item, row.annotator, [[place[at] for at in group] for group in row.ranking], source=source))
    return found


def of_judgements(found: Iterable[Judgement]) -> list[Vote]:
    """Votes of a lab's judgements that rank replies; a repeat has the item of what it repeats."""
    return [Vote(each.comparison, each.annotator or each.source, each.ranking, each.shown, each.seconds, each.source)
            for each in found if each.state == "judged"]


def verdicts(ranking: Sequence[Sequence[int]]) -> dict[tuple[int, int], int]:
    """Of each pair of ranked replies, both ways round: 1 the first is better, -1 the second, 0 a tie."""
    rank = {reply: place for place, group in enumerate(ranking) for reply in group}
    return {(a, b): (rank[a] < rank[b]) - (rank[a] > rank[b]) for a in rank for b in rank if a != b}


def between(votes: Sequence[Vote]) -> list[tuple[Vote, Vote]]:
    """Two judgements of one item by different annotators, each annotator's first."""
    return [pair for group in grouped(firsts(votes), lambda v: v.item) for pair in combinations(group, 2)]


def within(votes: Sequence[Vote]) -> list[tuple[Vote, Vote]]:
    """Two judgements of one item by the same annotator."""
    return [pair for group in grouped(votes, lambda v: (v.item, v.annotator)) for pair in combinations(group, 2)]


def firsts(votes: Sequence[Vote]) -> list[Vote]:
    """Without repeats: the first judgement of each annotator on each item."""
    return [group[0] for group in grouped(votes, lambda v: (v.item, v.annotator))]


def grouped(votes: Iterable[Vote], key: Callable[[Vote], Hashable]) -> list[list[Vote]]:
    found: dict[Hashable, list[Vote]] = {}
    for vote in votes:
        found.setdefault(key(vote), []).append(vote)
    return list(found.values())


# --- statistics


def same(pairs: Sequence[tuple[Vote, Vote]], is_strict: bool = False) -> Share:
    """How often two judgements give a pair of replies the same verdict; `is_strict` leaves out what either calls a tie."""
    each = [sum(a == b for a, b in found) / len(found) for pair in pairs if (found := shared(*pair, is_strict))]
    return share(sum(each), len(each))


def shared(a: Vote, b: Vote, is_strict: bool = False) -> list[tuple[int, int]]:
    """The verdicts of two judgements on the pairs that both judged."""
    mine, theirs = verdicts(a.ranking), verdicts(b.ranking)
    return [(mine[pair], theirs[pair]) for pair in mine if pair in theirs and not (is_strict and 0 in (mine[pair], theirs[pair]))]


def share(hits: float, n: int) -> Share:
    return Share(hits / n if n else None, *wilson(hits, n), n)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Agreement of two annotators' labels beyond chance: (p - e) / (1 - e), 1 perfect, 0 chance (Cohen 1960, eq. 1).

    None where nothing was labelled twice, or where both only ever gave one and the same label: nothing could be learned then.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels against {len(b)}; both annotators label the same items")
    n, mine, theirs = len(a), Counter(a), Counter(b)
    chance = sum(mine[label] * theirs[label] for label in mine) / n**2 if n else 1.0
    return (sum(x == y for x, y in zip(a, b, strict=True)) / n - chance) / (1 - chance) if chance < 1 else None


def krippendorff_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement of any number of annotators beyond chance, nominal labels, gaps allowed: 1 perfect, 0 chance.

    Each unit has the labels that it was given, by however many. By the library `krippendorff` (Castro), which follows Hayes and
    Krippendorff (2007). None where no unit has two labels, or all labels are one.
    """
    import krippendorff

    labels = sorted({label for unit in units for label in unit}, key=str)
    counted = [[unit.count(label) for label in labels] for unit in map(list, units) if len(unit) > 1]
    if sum(any(row[at] for row in counted) for at in range(len(labels))) < 2:
        return None
    return float(krippendorff.alpha(value_counts=counted, level_of_measurement="nominal"))


def kappa(pairs: Sequence[tuple[Vote, Vote]]) -> float | None:
    """Cohen's kappa of two annotators' verdicts on pairs of replies."""
    found = [verdict for pair in pairs for verdict in shared(*pair)]
    return cohen_kappa([a for a, _ in found], [b for _, b in found])


def alpha(votes: Sequence[Vote]) -> float | None:
    """Krippendorff's alpha of everybody's verdicts on pairs of replies, repeats left out."""
    found: dict[Hashable, list[int]] = {}
    for vote in firsts(votes):
        for pair, verdict in verdicts(vote.ranking).items():
            found.setdefault((vote.item, pair), []).append(verdict)
    return krippendorff_alpha(list(found.values()))


def first_side(votes: Sequence[Vote]) -> tuple[Share, float]:
    """How often the card shown first was ranked best, best together with others counting its share; and the same by chance."""
    known = [(vote.shown[0], vote.ranking[0], len(vote.shown)) for vote in votes if vote.shown and vote.ranking]
    hits = sum((first in best) / len(best) for first, best, _ in known)
    return share(hits, len(known)), sum(1 / k for *_, k in known) / len(known) if known else 0.0


def ceiling(votes: Sequence[Vote]) -> Ceiling:
    """The noise ceiling that the annotators' own agreement sets for a reward model's held-out accuracy on their strict pairs.

    If a share p of people prefers one reply, two of them agree with chance p^2 + (1 - p)^2 and the best a model can do is
    max(p, 1 - p). Averaged over pairs, that is at most (1 + sqrt(2 a - 1)) / 2 for an agreement a (Jensen), and at least a.
    Agreement between people counts where there is any, for that is what a model trained on all of them meets; else their own
    on repeats. What a model judged is left out.
    """
    people = [vote for vote in votes if vote.source != JUDGE]
    looked = [(same(pairs, is_strict=True), who) for pairs, who in ((between(people), "each other"), (within(people), "self"))]
    for found, who in looked:
        if found.n >= ENOUGH:
            rate, low, high = (best_accuracy(each) for each in found[:3])
            whose = "annotators agree with each other" if who == "each other" else "annotators agree with their own earlier judgement"
            why = f"{whose} on {found.rate:.0%} of the pairs of {found.n} comparisons that were judged twice"
            return Ceiling(rate, low, high, found.rate, found.n, who, why)
    most = max(found.n for found, _ in looked)
    what = f"only {most} comparison{'s were' if most > 1 else ' was'} judged twice; from {ENOUGH} on"
    why = f"{what if most else 'no comparison was judged twice; once some are,'} the noise ceiling can be said"
    return Ceiling(None, None, None, None, most, "", why)


def best_accuracy(agreement: float) -> float:
    """The accuracy against one judgement that no model can pass where two judgements agree this often."""
    return (1 + max(0.0, 2 * agreement - 1) ** 0.5) / 2


# --- per annotator


def annotators(votes: Sequence[Vote]) -> list[Annotator]:
    """Everybody's habits: people before models, the busiest first."""
    met, again = between(votes), within(votes)
    found = []
    for group in grouped(votes, lambda v: v.annotator):
        name, times = group[0].annotator, [v.seconds for v in group if v.seconds is not None]
        others = [(a, b) if a.annotator == name else (b, a) for a, b in met if name in (a.annotator, b.annotator)]
        first, chance = first_side(group)
        found.append(Annotator(name, group[0].source, len(group), statistics.median(times) if times else None, first, chance,
                               same([pair for pair in again if pair[0].annotator == name]), same([p for p in others if p[1].source != JUDGE])))
    return sorted(found, key=lambda each: (each.source == JUDGE, -each.judged, each.name))


def pairs(votes: Sequence[Vote]) -> list[Pair]:
    """Every two annotators who judged something in common, those with most in common first."""
    found: dict[tuple[str, str], list[tuple[Vote, Vote]]] = {}
    for a, b in between(votes):
        a, b = sorted((a, b), key=lambda v: (v.source == JUDGE, v.annotator))
        found.setdefault((a.annotator, b.annotator), []).append((a, b))
    made = [Pair(*names, same(met), kappa(met)) for names, met in found.items()]
    return sorted(made, key=lambda each: -each.same.n)


def report(votes: Sequence[Vote]) -> Agreement:
    """All of it; what models judged is beside people and never among them."""
    people = [vote for vote in votes if vote.source != JUDGE]
    return Agreement(annotators(votes), pairs(votes), alpha(people), same(between(people)), same(within(people)), ceiling(people))
