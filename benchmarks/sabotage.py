"""Breaks runs on purpose and asks the doctor what is wrong; then asks it about healthy runs, where it should be silent.

    python -m benchmarks.sabotage                                  # the toy: about eight minutes on one core
    python -m benchmarks.sabotage --only no-kl --only wrong-reference
    python -m benchmarks.sabotage --model default --lab LAB --sft sft-1 --reward reward-1 --only lr-x30 ...

Prints a Markdown table and writes nothing. The doctor is asked after every step, with only what was logged until then.
A diagnosis counts as right when the first finding above "info" that it ever makes is the right one, within 15 steps,
and the right one still stands first at the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import breakages, toy_chain
from benchmarks.lab_host import LabHost
from workbench import doctor
from workbench.engine.step import Step
from workbench.recipes import Recipe

WITHIN = 15


@dataclass(frozen=True)
class Sabotage:
    """What is done to a run, and the rules of which one must come first."""

    name: str
    what: str
    right: tuple[str, ...]
    knobs: dict[str, Any] = field(default_factory=dict)
    breaks: Callable[..., Any] = breakages.nothing
    stage: str = "ppo"
    times: dict[str, float] = field(default_factory=dict)  # knob -> factor on the healthy recipe's value


SABOTAGES = (
    Sabotage("lr-x30", "learning rate 30 times too high", ("D-30",), times={"lr": 30}),
    Sabotage("lr-zero", "learning rate 1000 times too low", ("D-31",), times={"lr": 1e-3}),
    Sabotage("no-kl", "no KL cost", ("D-50",), {"kl_weight": 0.0}),
    Sabotage("wrong-reference", "the reference is the bare base", ("D-01",), breaks=breakages.wrong_reference),
    Sabotage("dropout-on", "LoRA dropout left on everywhere", ("D-03",), breaks=breakages.dropout_everywhere),
    Sabotage("dropout-learning", "LoRA dropout on while learning only", ("D-03",), breaks=breakages.dropout_while_learning),
    Sabotage("top-k", "top-k 5 sampling, its own log-probabilities kept", ("D-02",), breaks=breakages.top_k),
    Sabotage("top-k-silent", "top-k 5 sampling, the full log-probabilities reported", ("D-53", "D-02"), breaks=breakages.top_k_silent),
    Sabotage("temperature", "temperature forgotten in the scored log-probabilities", ("D-02",), {"temperature": 0.6}, breaks=breakages.no_temperature),
    Sabotage("length-reward", "the reward is the length", ("D-23",), breaks=breakages.length_reward),
    Sabotage("constant-reward", "the reward is a constant", ("D-09",), breaks=breakages.constant_reward),
    Sabotage("padding-score", "the score is read at the last column", ("D-06",), breaks=breakages.score_at_last_column),
    Sabotage("pad-as-end", "the end of turn doubles as padding and is masked", ("D-07",), breaks=breakages.end_is_padding),
    Sabotage("small-batch", "two replies per step", ("D-52",), {"batch": 2, "minibatch": 1, "micro_batch": 1}),
    Sabotage("value-lr-zero", "value learning rate zero", ("D-51",), {"value_lr": 0.0}),
    Sabotage("nan-reward", "the reward is not a number now and then", ("D-32",), breaks=breakages.nan_reward),
    Sabotage("sft-lr-x30", "learning rate 30 times too high", ("D-45",), stage="sft", times={"lr": 30}),
    Sabotage("sft-pad-as-end", "the end of turn doubles as padding and is not trained", ("D-47",), breaks=breakages.end_untrained, stage="sft"),
    Sabotage("reward-noise", "rankings by lot", ("D-08", "D-42"), breaks=breakages.by_lot, stage="reward"),
    Sabotage("reward-length", "rankings by length alone", ("D-43",), breaks=breakages.by_length, stage="reward"),
)


@dataclass(frozen=True)
class Verdict:
    """What the doctor said about a run, asked after every step."""

    steps: int
    first: doctor.Finding | None  # the first finding above "info" that it ever made
    at: int  # the step after which it made it
    last: doctor.Finding | None  # what stood first above "info" in the end
    hints: tuple[str, ...]  # rules that were told as "info"


def ask(stage: str, recipe: Recipe, steps: Iterable[Step], judge: dict[str, Any], patience: int = 0) -> Verdict:
    """Asks after every step; with patience, no longer than until the first finding has stood first for so many steps."""
    rows, first, at, stood, told = [], None, 0, 0, []
    for step in steps:
        rows += [(step.index, key, value) for key, value in step.numbers.items() if "second" not in key]
        told = doctor.examine(stage, recipe, rows, judge)
        grave = [finding for finding in told if finding.severity != "info"]
        if grave and first is None:
            first, at = grave[0], step.index
        stood = stood + 1 if grave and grave[0].rule == first.rule else 0
        if (grave and grave[0].severity == "stop") or (patience and stood > patience):
            break  # the worker would have stopped it here, or all is said
    grave = [finding for finding in told if finding.severity != "info"]
    return Verdict(step.index, first, at, grave[0] if grave else None, tuple(f.rule for f in told if f.severity == "info"))


def is_right(case: Sabotage, verdict: Verdict) -> bool:
    within = WITHIN if case.stage == "ppo" else verdict.steps
    return bool(verdict.first and verdict.last and verdict.first.rule in case.right and verdict.last.rule in case.right and verdict.at <= within)


def run_case(host: Any, case: Sabotage, seed: int) -> Verdict:
    """One run of the case's stage on a host (the toy, or the default model), broken as the case says."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        recipe, steps, judge = host.run(case, seed)
        verdict = ask(case.stage, recipe, steps, judge, host.patience)
        del steps  # a run that was broken off ends here, and the engine is whole again
        return verdict


def table(host: Any, cases: Sequence[Sabotage], seed: int) -> int:
    print("| stage | sabotage | first finding | asked after step | right |\n|---|---|---|---|---|")
    right = 0
    for case in cases:
        verdict = run_case(host, case, seed)
        good = is_right(case, verdict)
        right += good
        named = f"{verdict.first.rule} {verdict.first.title}" if verdict.first else "nothing"
        later = f", in the end {verdict.last.rule}" if verdict.first and verdict.last and verdict.last.rule != verdict.first.rule else ""
        print(f"| {case.stage} | {case.what} | {named}{later} | {verdict.at or verdict.steps} | {'yes' if good else 'NO'} |", flush=True)
    print(f"\n{right} of {len(cases)} causes named first.\n")
    return len(cases) - right


def healthy(host: Any, seeds: Sequence[int]) -> int:
    print("| healthy run | steps | above info | hints |\n|---|---|---|---|")
    alarms = 0
    for seed in seeds:
        for stage in host.stages:
            case = Sabotage("healthy", "", (), stage=stage)
            verdict = run_case(host, case, seed)
            alarms += verdict.first is not None
            named = f"{verdict.first.rule} at step {verdict.at}" if verdict.first else "nothing"
            print(f"| {stage}, seed {seed} | {verdict.steps} | {named} | {', '.join(verdict.hints)} |", flush=True)
    print(f"\n{alarms} of {len(seeds) * len(host.stages)} healthy runs raised an alarm.\n")
    return alarms


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", action="append", default=[], choices=[case.name for case in SABOTAGES], help="this sabotage only; may be repeated")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--healthy", type=int, default=-1, help="healthy runs per stage (default: 10 on the toy, 0 with --only or the default model)")
    asked.add_argument("--model", choices=("toy", "default"), default="toy")
    asked.add_argument("--steps", type=int, default=WITHIN, help="PPO steps on the default model")
    asked.add_argument("--lab", type=Path, help="with --model default: a lab that holds the two adapters")
    asked.add_argument("--sft", default="sft-1")
    asked.add_argument("--reward", default="reward-1")
    options = asked.parse_args()
    if options.model == "default" and not options.lab:
        asked.error("--model default needs --lab with an SFT and a reward adapter")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        host = toy_chain.Host(Path(folder)) if options.model == "toy" else LabHost(options.lab, options.sft, options.reward, options.steps)
        cases = [case for case in SABOTAGES if case.stage in host.stages and (case.name in options.only or not options.only)]
        wrong = table(host, cases, options.seed)
        count = options.healthy if options.healthy >= 0 else 0 if options.only or options.model == "default" else 10
        wrong += healthy(host, range(options.seed + 1, options.seed + 1 + count)) if count else 0
    print(f"{time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
