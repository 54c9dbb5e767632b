"""A second round by public words alone: `python -m benchmarks.two_rounds --lab LAB`. Votes on SFT against PPO make the next reward model.

The lab holds a finished demo. A simulated annotator votes on the Compare tab's kind of question; the reward model learns again by the
same recipe, PPO practises with it. After each act the lab is asked what came from what and what is stale; a wrong answer ends the command.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from apps import pipeline
from benchmarks.worth import finished
from workbench import Lab, corpus, packs
from workbench.knobs import Recipe
from workbench.records import Comparison
from workbench.rounds import Rung
from workbench.verdict import percent, span

BEGINS, VOTED, LEARNED, PRACTISED = "the round begins", "votes are in", "the reward model has learned", "PPO has practised"


class Chain(NamedTuple):
    """The newest run of each stage."""

    sft: str
    reward: str
    ppo: str
    evaluate: str


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--lab", type=Path, required=True, help="a lab in which `workbench demo` is through")
    asked.add_argument("--votes", type=int, default=40, help="questions put to both models (default: %(default)s)")
    asked.add_argument("--steps", type=int, default=8, help="PPO steps of the second round (default: %(default)s)")
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    play(Lab(options.lab), options.votes, options.steps, options.seed)


def play(lab: Lab, votes: int, steps: int, seed: int = 0) -> Chain:
    """One more round; what it made."""
    before, number = newest(lab), lab.round
    states(lab, BEGINS, reward="done", ppo="done", compare="done")
    told = vote(lab, before, votes, seed)                                                      # 1. people say which model they like
    states(lab, VOTED, reward="stale", ppo="done", compare="done")
    claim(f"{votes} rankings were made since {before.reward} began" in why(lab, "reward"), "the Overview says how many votes the reward model has not seen")
    reward = timed(lab, lab.recipe(before.reward))                                          # 2. the same recipe, more labels
    states(lab, LEARNED, reward="done", ppo="stale", compare="done")
    claim(f"{reward} was made after {before.ppo} began from {before.reward}" in why(lab, "ppo"), "the Overview says what the policy is older than")
    changed(lab, before.reward, reward, told)
    ppo = timed(lab, lab.recipe(before.ppo).replace(reward=reward, steps=steps))            # 3. practise with it
    states(lab, PRACTISED, reward="done", ppo="done", compare="stale")
    claim(lab.recipe(ppo).needs() == [before.sft, reward], f"{ppo} came from {before.sft} and {reward}")
    evaluate = timed(lab, lab.recipe(before.evaluate).replace(a=ppo))                       # 4. was it worth it?
    states(lab, "the comparison is through", reward="done", ppo="done", compare="done")
    found = next(each for each in lab.rounds() if each.number == number)
    claim(found.runs == [reward, ppo, evaluate] and sum(found.rankings.values()) == votes, f"round {number} is {', '.join(found.runs)} and {votes} votes")
    ladder(lab, before.ppo, ppo)
    return Chain(before.sft, reward, ppo, evaluate)


# --- the acts


def vote(lab: Lab, chain: Chain, votes: int, seed: int) -> list[Comparison]:
    """Asks SFT and PPO the same, and lets the pack's annotator say which reply is better; the comparisons as they stand then."""
    begun, settings = time.monotonic(), lab.recipe(chain.ppo)
    judge, dice = packs.load(settings.prompts).annotator(), random.Random(seed)
    prompts = lab.rows(settings.prompts, "prompts")[:votes]
    waiting = [lab.ask(prompt.messages, [chain.sft, chain.ppo], reply_tokens=settings.reply_tokens, seed=seed + at) for at, prompt in enumerate(prompts)]
    for each in waiting:
        said = lab.answer(each.id)
        lab.judge(said, judge.rank(said.prompt, [reply.text for reply in said.replies], dice), annotator="simulated", source="simulated", rubric="compare, blind")
    told = [lab.store.comparison(each.id) for each in waiting]
    rate = lab.win_rate(chain.ppo, chain.sft)
    print(f"- {len(told)} votes in {minutes(begun)}: {sum(len(each.ranking or []) > 1 for each in told)} prefer a reply, the others call it a tie; over all judged "
          f"comparisons {chain.ppo} wins {percent(rate['rate'])} against {chain.sft}", flush=True)
    claim({each.round for each in told} == {lab.round}, f"the votes belong to round {lab.round}")
    return told


def changed(lab: Lab, old: str, new: str, told: Sequence[Comparison]) -> None:
    """Claims that the votes were learned from, and prints what both reward models make of them and of the rankings before."""
    strict = {each.id: each for each in told if len(each.ranking or []) > 1}
    rows = {row.comparison for row in lab.rows(corpus.RANKINGS, "preferences")}
    claim(strict.keys() <= rows, f"all {len(strict)} votes that prefer a reply are rows of the corpus {new} learned from")
    learned = lab.summary(new)["rankings"] + lab.summary(new)["held_out"] - lab.summary(old)["rankings"] - lab.summary(old)["held_out"]
    claim(0 < learned <= len(strict), f"{new} has {learned} rankings more than {old}")
    keys = ["comparison", "reply"]
    both = lab.held_out(old).merge(lab.held_out(new), on=keys, suffixes=("_old", "_new")).drop_duplicates(keys)
    apart = (both.score_new - both.score_old).abs().mean()
    claim(len(both) > 0 and apart > 0, f"the scores of the same {len(both)} held-out replies moved by {apart:.3f} on average")
    kept = strict.keys() & set(lab.held_out(new).comparison)
    print("\n| reward model | rankings learned | held-out accuracy (95 %) | on the votes learned | on the votes held out |\n|---|---|---|---|---|")
    for name in (old, new):
        found, parts = lab.trust(name).accuracy, [[each for each in strict.values() if (each.id in kept) == is_kept] for is_kept in (False, True)]
        print(f"| {name} | {lab.summary(name)['rankings']} | {percent(found.rate)} of {found.n} ({span(found.low, found.high)}) | "
              + " | ".join(f"{percent(right(lab, name, part))} of {len(part)}" for part in parts) + " |", flush=True)
    print()


def right(lab: Lab, reward: str, told: Sequence[Comparison]) -> float | None:
    """The share of votes that a reward model would have cast the same way; no vote of these is a tie."""
    hits = [lab.score(each.prompt, each.replies[better].text, reward).score > lab.score(each.prompt, each.replies[worse].text, reward).score
            for each in told for [better], [worse] in [each.ranking or []]]
    return sum(hits) / len(hits) if hits else None


def ladder(lab: Lab, old: str, new: str) -> None:
    """Claims what the model ladder says of both policies, and prints it."""
    rungs = {each.adapter: each for each in lab.ladder()}
    claim(bool(rungs[old].stale) and not rungs[new].stale, f"the ladder calls {old} stale and {new} not")
    claim(rungs[old].round + 1 == rungs[new].round, f"{old} is of round {rungs[old].round}, {new} of round {rungs[new].round}")
    print("\n| model | round | came from | gold | preferred to SFT (95 %) | KL, nats | tokens | stale |\n|---|---|---|---|---|---|---|---|")
    for each in rungs.values():
        print(rung(each), flush=True)


def rung(each: Rung) -> str:
    rate = f"{percent(each.win_rate)} of {each.votes} ({span(each.low, each.high)})" if each.votes else "-"
    cells = [each.adapter, each.round, ", ".join(each.came_from) or "base", "-" if each.gold is None else f"{each.gold:.2f}", rate,
             *("-" if value is None else f"{value:.1f}" for value in (each.kl_seq, each.reply_tokens)), each.stale or "no"]
    return f"| {' | '.join(map(str, cells))} |"


# --- asking


def newest(lab: Lab) -> Chain:
    found = {run.stage: run.id for run in lab.list_runs() if run.state == "done"}
    if missing := [stage for stage in Chain._fields if stage not in found]:
        raise SystemExit(f"{lab.home} has no finished run of {', '.join(missing)}; run `workbench demo --lab {lab.home}` first")
    return Chain(*(found[stage] for stage in Chain._fields))


def timed(lab: Lab, recipe: Recipe) -> str:
    begun = time.monotonic()
    name = finished(lab, recipe)
    print(f"- {name} in {minutes(begun)}", flush=True)
    return name


def states(lab: Lab, act: str, **expected: str) -> None:
    """Claims what the Overview says of stages."""
    found = {stage.id: stage.state for stage in pipeline.stages(lab) if stage.id in expected}
    claim(found == expected, f"{act}: {', '.join(f'{stage} is {state}' for stage, state in found.items())}")


def why(lab: Lab, tab: str) -> str:
    about = next(stage.about for stage in pipeline.stages(lab) if stage.id == tab)
    return about[:1].lower() + about[1:]


def claim(is_so: bool, what: str) -> None:
    """Says what holds; ends the command at the first thing that does not."""
    print(f"- {'holds' if is_so else 'DOES NOT HOLD'}: {what}", flush=True)
    if not is_so:
        raise SystemExit(1)


def minutes(begun: float) -> str:
    return f"{(time.monotonic() - begun) / 60:.1f} minutes"


if __name__ == "__main__":
    main()
