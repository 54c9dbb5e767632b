"""The commands about rewards: trust, score, allow."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from workbench.commands import lab_of, print_json


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the three commands to the parser."""
    verb("trust", trust, "say in words what a reward model is worth", has_json=True).add_argument("run", metavar="RUN", help="for example reward-1")
    score_it = verb("score", score, "say what a reward makes of a reply, part by part", has_json=True)
    score_it.add_argument("reward", metavar="REWARD", help="for example reward-1, or 0.8*reward-1+0.2*rule:customer-service")
    score_it.add_argument("--prompt", required=True, help="what the user says")
    score_it.add_argument("--reply", required=True, help="what the assistant says")
    let = verb("allow", allow, "let rewards of this lab call a Python function score(prompt, reply) that you trust")
    let.add_argument("function", metavar="MODULE:FUNCTION")
    let.add_argument("--folder", type=Path, default=Path("."), help="where the module lies (default: here)")


def trust(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    verdict, found = lab.verdict(options.run), lab.trust(options.run)
    if options.json:
        print_json({**verdict._asdict(), **asdict(found)})
    else:
        print("\n".join([verdict.headline, *(f"- {line}" for line in verdict.said)]))


def score(options: argparse.Namespace) -> None:
    found = lab_of(options).score(options.prompt, options.reply, options.reward)
    if options.json:
        print_json(asdict(found))
        return
    print(f"{found.score:+.3f}")
    for name, weight, says in found.parts if len(found.parts) > 1 else []:
        print(f"  {weight:+g} * {name}: {says:+.3f}")
    for piece, before, after in zip(found.pieces, found.trace, found.trace[1:]):
        print(f"  {after - before:+.3f}  {piece!r}")


def allow(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    lab.allow(options.function, options.folder)
    print(f"rewards of {lab.home} may call {options.function} from {options.folder.resolve()}")
