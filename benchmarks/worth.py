"""What 100 rankings are worth: `python -m benchmarks.worth --lab FOLDER`. Honest labels, labels by length, and shuffled ones.

The lab's newest SFT model writes the replies, the pack's simulated annotator ranks them (and ranks some a second time, for the
noise ceiling). From the same replies three reward models are trained; the table says what the workbench says of each.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench import Lab, ReplyRecipe, RewardRecipe, SftRecipe, corpus, packs
from workbench.corpus import Preference
from workbench.knobs import Recipe
from workbench.records import CorpusEntry, Judgement
from workbench.verdict import percent, span

TWICE = 20  # rankings that the annotator makes a second time


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--lab", type=Path, required=True, help="a folder; an SFT model in it is used, else one is trained")
    asked.add_argument("--pack", default=packs.DEFAULT, choices=packs.names())
    asked.add_argument("--count", type=int, default=100, help="rankings (default: %(default)s)")
    asked.add_argument("--curve", type=int, default=2, help="points of the honest model's learning curve (default: %(default)s)")
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    lab = Lab(options.lab)
    sft = (lab.adapters("sft") or [finished(lab, SftRecipe(corpus=options.pack, seed=options.seed))])[-1]
    rows = honest(lab, sft, options)
    dice = random.Random(options.seed)
    for name, rank in (("by-length", by_length), ("shuffled", lambda replies: shuffled(replies, dice))):
        add(lab, name, [replace(row, ranking=rank(row.replies)) for row in rows])
    print("| labels | held-out accuracy (95 %) | ceiling | \"the longer wins\" | score and length | ECE | padding | minutes | it says |\n|---|---|---|---|---|---|---|---|---|")
    for name, curve in ((corpus.RANKINGS, options.curve), ("by-length", 0), ("shuffled", 0)):
        begun = time.monotonic()
        run = finished(lab, RewardRecipe(sft=sft, preferences=name, prompts=options.pack, seed=options.seed, curve=curve))
        print(line(lab, run, name, (time.monotonic() - begun) / 60), flush=True)
    for run in [run for run in lab.list_runs() if run.stage == "reward"]:
        for rankings, accuracy, low, high in lab.curve_points(run.id):
            print(f"{run.id}, from {rankings:.0f} rankings: {percent(accuracy)} ({span(low, high)})")


def finished(lab: Lab, recipe: Recipe) -> str:
    """The name of a run that is over; its progress goes to the standard error."""
    return lab.wait(lab.start(recipe).id).id


def honest(lab: Lab, sft: str, options: argparse.Namespace) -> list[Preference]:
    """Rankings by the pack's annotator, the first `TWICE` of them made twice."""
    have = lab.ranking_counts().get("judged", 0)
    if have < options.count:
        finished(lab, ReplyRecipe(adapters=sft, prompts=options.pack, count=options.count - have, annotator="simulated", seed=options.seed))
    if not any(each.repeat_of for each in lab.judgements()):
        judge, dice = packs.load(options.pack).annotator(), random.Random(options.seed + 1)
        for c in lab.store.comparisons("kind='ranking' and state='judged'", limit=TWICE):
            again = judge.rank(c.prompt, [r.text for r in c.replies], dice)
            lab.vote(Judgement(c.id, c.annotator, "judged", again, c.shown[::-1], source=c.source, repeat_of=c.judgements[0].id))
    return corpus.rows(lab.store, corpus.RANKINGS, "preferences")[: options.count]


def by_length(replies: Sequence[str]) -> list[list[int]]:
    return [[at] for at in sorted(range(len(replies)), key=lambda at: -len(replies[at]))]


def shuffled(replies: Sequence[str], dice: random.Random) -> list[list[int]]:
    return [[at] for at in dice.sample(range(len(replies)), len(replies))]


def add(lab: Lab, name: str, rows: Sequence[Preference]) -> None:
    corpus.save(lab.home, name, rows)
    lab.store.add_corpus(CorpusEntry(name, "preferences", "planted", "benchmarks/worth.py", len(rows), 0, "", time.time()))


def line(lab: Lab, run: str, name: str, minutes: float) -> str:
    found, verdict = lab.trust(run), lab.verdict(run)
    share = f"{percent(found.accuracy.rate)} of {found.accuracy.n} ({span(found.accuracy.low, found.accuracy.high)})"
    padding = percent(lab.run(run).summary.get("beats_padding"))
    return (f"| {name} | {share} | {percent(found.ceiling.rate)} | {percent(found.length.longer_wins.rate)} | {found.length.link:+.2f} | {found.ece:.2f} | "
            f"{padding} | {minutes:.1f} | {verdict.headline} |")


if __name__ == "__main__":
    main()
