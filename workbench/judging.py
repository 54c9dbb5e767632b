"""The commands about rewards: trust, score, ensemble, allow."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from workbench.commands import as_record, lab_of, print_json
from workbench.errors import RecipeError
from workbench.recipes import RewardRecipe
from workbench.rewards import worst_case
from workbench.scored import MEMBERS


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser."""
    verb("trust", trust, "say in words what a reward model is worth", has_json=True).add_argument("run", metavar="RUN", help="for example reward-1")
    score_it = verb("score", score, "say what a reward makes of a reply, part by part", has_json=True)
    score_it.add_argument("reward", metavar="REWARD", help="for example reward-1, or 0.8*reward-1+0.2*rule:customer-service")
    score_it.add_argument("--prompt", required=True, help="what the user says")
    score_it.add_argument("--reply", required=True, help="what the assistant says")
    many = verb("ensemble", ensemble, "train several reward models by the recipe of one, each from its own draw of the rankings", has_json=True)
    many.add_argument("run", metavar="RUN", help="whose recipe they take, for example reward-1")
    many.add_argument("--members", type=int, default=MEMBERS, metavar="N", help="how many (default: %(default)s)")
    let = verb("allow", allow, "let rewards of this lab call a Python function score(prompt, reply) that you trust")
    let.add_argument("function", metavar="MODULE:FUNCTION")
    let.add_argument("--folder", type=Path, default=Path("."), help="where the module lies (default: here)")


def trust(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    verdict, found = lab.verdict(options.run), lab.trust(options.run)
    if options.json:
        print_json({**verdict._asdict(), **asdict(found), "curve": lab.curve_points(options.run)})
    else:
        print("\n".join([verdict.headline, *(f"- {line}" for line in verdict.said)]))
        for rankings, accuracy, low, high in lab.curve_points(options.run):
            print(f"  learned from {rankings:,.0f} rankings: right on {accuracy:.0%} ({low:.0%} to {high:.0%})")


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


def ensemble(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    recipe = lab.recipe(options.run)
    if not isinstance(recipe, RewardRecipe):
        raise RecipeError(f"{options.run} is a run of {recipe.stage}; an ensemble takes the recipe of a reward run")
    made = lab.ensemble(recipe, options.members)
    if options.json:
        print_json([as_record(run) for run in made])
        return
    print("\n".join(f"{run.id} is {run.state}: {lab.recipe(run.id).as_python()}" for run in made))
    print(f'for PPO: --reward "{worst_case(run.id for run in made)}"')


def allow(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    lab.allow(options.function, options.folder)
    print(f"rewards of {lab.home} may call {options.function} from {options.folder.resolve()}")
