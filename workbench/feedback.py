"""AI feedback: what a judge is asked, what its answers add up to, and what it is still to judge. No torch.

A judge reads a prompt, two replies and one principle, and answers with a letter. Both orders are asked and averaged, since models
favour a place (Lee et al. 2023, RLAIF, section 2.1); so are several principles (Bai et al. 2022, Constitutional AI, section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from workbench import constitution, principled
from workbench.agreement import JUDGE, Share, Vote, kappa, same
from workbench.errors import CorpusError
from workbench.recipes import JudgeRecipe
from workbench.records import Comparison, Messages, Verdict
from workbench.store import Store

SMALL_JUDGE = 7e9  # parameters; the line is ours. Agreement with people falls with size: 78, 74 and 63 % for PaLM 2 L, S and XS (Lee et al. 2024, table 3)
FEW = 50  # comparisons shared with people below which a judge's agreement says little
LETTERS = ("A", "B")
SPEAKERS = {"user": "Person", "assistant": "Assistant", "system": "What the assistant was told"}
ASKED = """Compare two replies of an assistant by one principle.

{conversation}

Reply A: {a}

Reply B: {b}

Principle: {principle}

Which reply keeps to the principle better? Answer with one letter, A or B."""


@dataclass(frozen=True)
class Judge:
    """A model that judged by a constitution, beside people."""

    name: str
    constitution: str  # of its newest verdict
    judged: int
    people: Share  # strict verdicts that it shares with people, over the comparisons that both judged
    kappa: float | None
    flips: float  # share of its answers that changed with the order of the replies
    first: float  # how likely it names the reply that stands first
    letters: float  # probability that it answers with a letter at all
    parameters: float  # of its base; 0 is unknown
    warnings: list[str]


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
    ranked, waiting = ("judged", "bad"), ("ready", "skipped")
    wanted = {"ranked": ranked, "waiting": waiting, "all": ranked + waiting}[recipe.which]
    found = [each for each in store.comparisons("kind='ranking'") if each.state in wanted]
    done = principled.judged(store, judge_name(recipe.judge), stamp(recipe, principles))
    left = [each for each in found if each.id not in done]
    return sorted(left, key=lambda each: each.state not in ranked)[:recipe.count]


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


def judge_of(found: Sequence[Verdict], votes: Sequence[Vote], parameters: float) -> Judge:
    people, kappa = against_people(found, votes)
    newest = max(found, key=lambda verdict: verdict.created)
    count = len(found)
    flips, first, letters = (sum(getattr(verdict, name) for verdict in found) / count for name in ("flips", "first", "letters"))
    return Judge(found[0].judge, newest.constitution, count, people, kappa, flips, first, letters, parameters,
                 warnings(people, flips, letters, parameters))


def warnings(people: Share, flips: float, letters: float, parameters: float) -> list[str]:
    """What to beware of before a model's verdicts train anything, in plain words; the weightiest first."""
    told = []
    if people.n and people.high is not None and people.low is not None and people.low <= 0.5:
        told.append(f"It agrees with people on {people.rate:.0%} of the shared pairs ({people.low:.0%} to {people.high:.0%}), which chance could "
                    "explain: do not train on its labels.")
    if people.n < FEW:
        told.append(f"Only {people.n} comparisons were judged by it and by people; rank {FEW} or more before you believe its agreement."
                    if people.n else "Nobody has ranked what it judged, so nothing is known of its agreement with people. Rank some of it yourself.")
    if flips > 0.25:
        told.append(f"{flips:.0%} of its answers change when the two replies swap places: it looks at the place more than at the text.")
    if letters < 0.5:
        told.append(f"It puts only {letters:.0%} of its probability on the letters A and B: it hardly understands the question.")
    if parameters and parameters < SMALL_JUDGE:
        size = f"{parameters / 1e9:.1f} billion" if parameters >= 1e9 else f"{parameters / 1e6:.0f} million"
        told.append(f"Its base has {size} parameters. The smaller a judge, the less it agrees with people: take these labels as noise until people confirm them.")
    return told
