"""AI feedback: what a judge is asked, what its answers add up to, and what it is still to judge. No torch.

A judge reads a prompt, two replies and one principle, and answers with a letter. Both orders are asked and averaged, since models
favour a place (Lee et al. 2023, RLAIF, section 2.1); so are several principles (Bai et al. 2022, Constitutional AI, section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from workbench import constitution, principled
from workbench.agreement import JUDGE, Share, Vote, kappa, same
from workbench.errors import CorpusError
from workbench.recipes import JudgeRecipe
from workbench.records import Comparison, Messages, Verdict
from workbench.store import Store

LETTERS = ("A", "B")
SPEAKERS = {"user": "Person", "assistant": "Assistant", "system": "What the assistant was told"}
ASKED = """Compare two replies of an assistant by one principle.

{conversation}

Reply A: {a}

Reply B: {b}

Principle: {principle}

Which reply keeps to the principle better? Answer with one letter, A or B."""


# --- what is asked


def question(prompt: Messages, a: str, b: str, principle: str) -> Messages:
    """The judge's whole prompt for one order of two replies."""
    conversation = "\n".join(f"{SPEAKERS.get(turn['role'], turn['role'])}: {turn['content']}" for turn in prompt)
    asked = ASKED.format(conversation=conversation, a=a.strip() or "(nothing)", b=b.strip() or "(nothing)", principle=principle)
    return [{"role": "user", "content": asked}]


def pairs(k: int) -> list[tuple[int, int]]:
    return list(combinations(range(k), 2))


# --- what the answers add up to


def both_orders(as_first: float, as_second: float) -> float:
    """The chance that a reply is better, from the chance that its letter is named when it stands first, and when it stands second."""
    return (as_first + as_second) / 2


def is_flip(as_first: float, as_second: float) -> bool:
    """Whether the answer follows the place and not the reply: it wins in one order and loses in the other."""
    return (as_first > 0.5) != (as_second > 0.5)


def borda(k: int, chances: Sequence[tuple[int, int, float]]) -> list[list[int]]:
    """Replies by the sum of their chances against every other one, best first; equal sums tie."""
    score = [0.0] * k
    for a, b, chance in chances:
        score[a] += chance
        score[b] += 1 - chance
    groups: dict[float, list[int]] = {}
    for reply in range(k):
        groups.setdefault(round(score[reply], 9), []).append(reply)
    return [groups[each] for each in sorted(groups, reverse=True)]


# --- who judges what


def judge_name(adapter: str) -> str:
    return f"{JUDGE}:{adapter}"


def stamp(recipe: JudgeRecipe, principles: list[str]) -> str:
    """By what a verdict was reached: change the constitution or the draw, and everything may be judged anew."""
    drawn = min(recipe.principles, len(principles))
    return f"{recipe.constitution} {constitution.version(principles)}, {drawn} of {len(principles)}, seed {recipe.seed}"


def to_judge(store: Store, recipe: JudgeRecipe, principles: list[str]) -> list[Comparison]:
    """What a judge has not judged yet by these principles, oldest first, those that people ranked before the others."""
    wanted = {"ranked": "state in ('judged', 'bad')", "waiting": "state in ('ready', 'skipped')", "all": "state not in ('waiting', 'writing', 'failed')"}
    found = store.comparisons(f"kind='ranking' and {wanted[recipe.which]}")
    done = principled.judged(store, judge_name(recipe.judge), stamp(recipe, principles))
    left = [each for each in found if each.id not in done]
    return sorted(left, key=lambda each: each.state not in ("judged", "bad"))[:recipe.count]


def check(store: Store, recipe: JudgeRecipe) -> None:
    """Raises CorpusError where a new run would find nothing to judge."""
    principles = constitution.principles(store.path.parent, recipe.constitution)
    if to_judge(store, recipe, principles):
        return
    if any(verdict.constitution == stamp(recipe, principles) for verdict in principled.read(store, judge_name(recipe.judge))):
        raise CorpusError(f"{judge_name(recipe.judge)} has judged everything by these principles; edit the constitution, choose another judge or "
                          "seed, or write more replies")
    what = "there is nothing to judge" if recipe.which == "all" else f"no comparison to judge is {recipe.which}"
    raise CorpusError(f"{what}: write replies to rank on the Preferences tab first" + ("" if recipe.which == "all" else ", or choose which=all"))


# --- what it is worth


def as_vote(verdict: Verdict) -> Vote:
    return Vote(verdict.comparison, verdict.judge, verdict.ranking, source=JUDGE)


def against_people(found: Sequence[Verdict], votes: Sequence[Vote]) -> tuple[Share, float | None]:
    """How often a judge and people give a pair of replies the same strict verdict, and kappa; each person's vote counts."""
    mine = {verdict.comparison: as_vote(verdict) for verdict in found}
    met = [(mine[vote.item], vote) for vote in votes if vote.item in mine and vote.source == "human"]
    return same(met, is_strict=True), kappa(met)


def flip_rate(found: Sequence[Verdict]) -> float | None:
    """Share of a judge's answers that changed with the order of the two replies."""
    return sum(verdict.flips for verdict in found) / len(found) if found else None
