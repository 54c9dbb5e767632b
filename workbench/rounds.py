"""Rounds of alignment as they stand: what each made, what is older than its input, and the ladder of models. No torch.

A round ends when a PPO run is done; what is judged after that belongs to the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import checks, corpus, curves, votes
from workbench.recipes import EvaluateRecipe, Recipe
from workbench.records import Run
from workbench.store import Store

JUDGED = "state='judged' and kind<>'evaluation'"
SINCE = "exists (select 1 from judgements where comparison=comparisons.id and state='judged' and repeat_of is null and created>?)"
BY_MODEL = "written by a model"  # how the notes of such a corpus begin
FEW_WORDS = 0.7  # of what it was at the run's start: below this share of distinct pairs of tokens replies repeat each other


@dataclass(frozen=True)
class Rung:
    """One model of the ladder, beside the SFT model it came from; what was not measured is None."""

    adapter: str
    round: int
    came_from: list[str]
    gold: float | None = None
    win_rate: float | None = None
    low: float | None = None
    high: float | None = None
    votes: int = 0  # behind the win rate
    kl_seq: float | None = None
    reply_tokens: float | None = None
    tax: float | None = None  # change of the perplexity of text outside the domain, as a share
    stale: str = ""


@dataclass(frozen=True)
class Round:
    """What one turn made: runs in order, rankings by who judged, and what to watch over many turns."""

    number: int
    runs: list[str]
    rankings: Mapping[str, int]  # made in this round, by source
    imported: list[str]  # corpora of rankings from elsewhere that its reward models learned
    warnings: list[str]


def belongs(store: Store, recipe: Recipe, present: int) -> int:
    """The round of a new run: a held-out comparison belongs to that of the model it judges, whatever else to the present one."""
    name = recipe.a.partition("@")[0] if isinstance(recipe, EvaluateRecipe) else "base"
    return present if name == "base" else store.run(name).round


def stale(store: Store, run: Run, runs: Sequence[Run]) -> str:
    """Why a finished run is older than its input, in words; empty when it is not."""
    recipe, begun = checks.recipe_of(run), run.started or run.created
    for name in recipe.needs():
        stage = name.partition("@")[0].rpartition("-")[0]
        newer = [r for r in runs if r.stage == stage and r.state == "done" and r.id not in (run.id, name.partition("@")[0]) and (r.ended or 0) > begun]
        if newer:
            return f"{newer[-1].id} was made after {run.id} began from {name}"
    if getattr(recipe, "preferences", "") in corpus.JUDGED:
        made = store.comparisons(f"{JUDGED} and {SINCE}", begun, limit=1000)
        teaches = any(len(each.ranking or []) > 1 for each in made)  # where all tie there is nothing to learn
        return f"{len(made)} {'ranking was' if len(made) == 1 else 'rankings were'} made since {run.id} began" if teaches else ""
    return ""


def ladder(store: Store) -> list[Rung]:
    """Every finished SFT and PPO model, oldest first, with what held-out comparisons and votes say of it."""
    runs = store.runs()
    compared = [run.summary for run in runs if run.stage == "evaluate" and run.state == "done" and run.summary]
    judged = store.comparisons("state='judged'")
    return [rung(store, run, runs, compared, judged) for run in runs if run.stage in ("sft", "ppo") and run.state == "done"]


def rung(store: Store, run: Run, runs: Sequence[Run], compared: Sequence[Mapping[str, Any]], judged: Sequence[Any]) -> Rung:
    """What the newest comparison says of a model; where there is none, what a look at held-out prompts said of it."""
    needs = checks.recipe_of(run).needs()
    mine = next((found for found in reversed(compared) if run.stage == "ppo" and found.get("a") == run.id), None)
    beside = next((found for found in reversed(compared) if found.get("b") == run.id), {})
    other = mine["b"] if mine else needs[0] if run.stage == "ppo" and needs else ""
    counted = votes.win_rate(judged, run.id, other) if other else {}
    own = {} if mine or "gold_b" in beside else looked_at(store, run, runs)  # a comparison says more than a look
    before, after = (mine.get("perplexity_b"), mine.get("perplexity_a")) if mine else curves.outermost(store, run.id, "text_perplexity") or (None, None)
    return Rung(
        run.id, run.round, needs, gold=mine.get("gold_a") if mine else beside.get("gold_b", own.get("held_gold")),
        win_rate=counted.get("rate"), low=counted.get("low"), high=counted.get("high"), votes=counted.get("n", 0),
        kl_seq=(mine or run.summary).get("kl_seq"),
        reply_tokens=mine.get("reply_tokens_a") if mine else beside.get("reply_tokens_b") if beside else own.get("reply_tokens"),
        tax=after / before - 1 if before and after else None, stale=stale(store, run, runs))


def looked_at(store: Store, run: Run, runs: Sequence[Run]) -> Mapping[str, float | None]:
    """held_gold and reply_tokens at a policy's last look; an SFT model's are those of the first look of the newest policy that began from it.

    A gold from a second reward model is left out: it has a scale of its own.
    """
    if run.stage == "ppo":
        return {**run.summary, "held_gold": None} if checks.recipe_of(run).gold else run.summary
    began = [each.id for each in runs if each.stage == "ppo" and (recipe := checks.recipe_of(each)).sft == run.id and not recipe.gold]
    firsts = ({key: found[0] for key in ("held_gold", "reply_tokens") if (found := curves.outermost(store, policy, key))} for policy in reversed(began))
    return next(filter(None, firsts), {})


def rounds(store: Store) -> list[Round]:
    """Every round that has a run or a ranking, first to last."""
    runs = store.runs()
    made = store.comparisons(JUDGED)
    found = []
    for number in sorted({run.round for run in runs} | {each.round for each in made}):
        here = [run for run in runs if run.round == number]
        learned = {checks.recipe_of(run).preferences: None for run in here if run.stage == "reward"}
        found.append(Round(number, [run.id for run in here], Counter(said.source or "human" for each in made if each.round == number for said in each.judgements if said.ranking),
                           [name for name in learned if name not in corpus.JUDGED], [told for run in here for told in watch(store, run, runs)]))
    return found


def watch(store: Store, run: Run, runs: Sequence[Run]) -> list[str]:
    """Signs of collapse: learning from model-written text, and replies that grow alike, within the run or since the first round."""
    told = []
    written = {entry.name for entry in store.corpora() if entry.notes.startswith(BY_MODEL)}
    learned = getattr(checks.recipe_of(run), "corpus", "")
    if run.stage == "sft" and learned in written:
        told.append(f"{run.id} imitates {learned}, which a model wrote: mix in what people wrote, or rounds feed on themselves")
    if run.stage == "ppo":
        told += grew_alike(store, run, runs)
    return told


def grew_alike(store: Store, run: Run, runs: Sequence[Run]) -> list[str]:
    """Whether replies lost their variety, beside the run's own start or that of the first PPO run on the same prompts, whichever was more varied."""
    found, asked = curves.outermost(store, run.id, "distinct2"), getattr(checks.recipe_of(run), "prompts", "")
    if not found:
        return []
    first = next(each for each in runs if each.stage == "ppo" and getattr(checks.recipe_of(each), "prompts", "") == asked)
    origin = curves.outermost(store, first.id, "distinct2") if first.id != run.id else None
    start, since = max((found[0], "its start"), (origin[0], f"the start of {first.id}")) if origin else (found[0], "its start")
    if found[1] >= FEW_WORDS * start:
        return []
    return [f"{run.id}'s replies grew alike: {found[1]:.0%} of the pairs of tokens are distinct, {start:.0%} were at {since}"]
