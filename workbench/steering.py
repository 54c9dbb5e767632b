"""The commands that steer runs: set, fork, sweep, cure. Their flags come from the recipes; values are read as the run's own recipe wants them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field

from workbench import bundled, changes, course
from workbench.commands import as_record, lab_of, print_json
from workbench.errors import RecipeError
from workbench.lab import Lab
from workbench.recipes import DEFAULT_MODEL, RECIPES
from workbench.records import Run

FORKED = ("sft", "reward", "ppo")  # the stages that keep checkpoints


def add(verb: Callable[..., argparse.ArgumentParser], verbs: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    turn = verb("set", change, "change knobs of a run from its next step on; without any, list what was changed", has_json=True)
    turn.add_argument("run", metavar="RUN", help="for example ppo-1")
    turn.add_argument("knobs", metavar="KNOB=VALUE", nargs="*", help=f"of PPO {', '.join(RECIPES['ppo'].live_knobs())}; of SFT and reward lr")
    split = verb("fork", fork, "go on from a kept checkpoint of a run with other knobs; several values by commas make several forks", has_json=True)
    split.add_argument("run", metavar="RUN", help="for example ppo-1")
    split.add_argument("--step", type=int, metavar="N", help="which checkpoint (default: the last one)")
    known = {each.name: each for stage in reversed(FORKED) for each in RECIPES[stage].knobs() if not each.metadata["shapes"]}
    add_flags(split, list(known.values()))
    heal = verb("cure", cure, "take the remedy of what the doctor finds: change knobs, fork from the best step, or start anew", has_json=True)
    heal.add_argument("run", metavar="RUN", help="for example ppo-1")
    heal.add_argument("--rule", default="", metavar="D-22", help="of this finding (default: the first)")
    stages = verbs.add_parser("sweep", help="queue a run per value, or per combination of values",
                              description="Queue a run per value, or per combination of values.").add_subparsers(metavar="STAGE", required=True)
    for name, recipe in RECIPES.items():
        stage = stages.add_parser(name, help=recipe.__doc__, description=recipe.__doc__, parents=[shared], allow_abbrev=False)
        stage.set_defaults(command=sweep, recipe=recipe)
        stage.add_argument("--json", action="store_true", help="print JSON instead of text")
        add_flags(stage, recipe.knobs(), are_needed=True)


def add_flags(parser: argparse.ArgumentParser, knobs: Sequence[Field], are_needed: bool = False) -> None:
    for each in knobs:
        flag, help = f"--{each.name.replace('_', '-')}", each.metadata["help"].replace("%", "%%")
        parser.add_argument(flag, dest=each.name, metavar="A,B" if course.is_listed(each) else "NAME", default=argparse.SUPPRESS, help=help,
                            required=are_needed and each.default is MISSING)


def given(options: argparse.Namespace) -> dict[str, str]:
    names = {each.name for recipe in RECIPES.values() for each in recipe.knobs()}
    return {name: value for name, value in vars(options).items() if name in names}


def change(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    texts = {}
    for setting in options.knobs:
        name, is_given, text = setting.partition("=")
        if not is_given:
            raise RecipeError(f"{setting!r} names no value; write KNOB=VALUE, such as kl_weight=0.1")
        texts[name] = text
    if texts:
        lab.change(options.run, **{name: values[0] for name, values in course.values_of(type(lab.recipe(options.run)), texts).items()})
    found = changes.of(lab.store, lab.run(options.run).id)
    if options.json:
        print_json([{"knob": c.knob, "old": c.old, "new": c.new, "step": c.step, "origin": c.origin} for c in found])
    for each in [] if options.json else found:
        when = f"from step {each.step}" if each.step else "from the next step on"
        print(f"{course.told([each])}, {when}{' (where it was forked)' if each.origin == 'fork' else ''}")
    if not found and not options.json:
        print(f"no knob of {options.run} was changed on its way")


def fork(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    values = course.values_of(type(lab.recipe(options.run)), given(options))
    tell_runs(lab, lab.sweep(options.run, options.step, **values) if values else [lab.fork(options.run, options.step)], options.json)


def cure(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    made = lab.cure(options.run, options.rule)
    if made.id == options.run:
        options.knobs = []
        change(options)
    else:
        tell_runs(lab, [made], options.json)


def sweep(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    values = course.values_of(options.recipe, given(options))
    first = options.recipe(**{name: each[0] for name, each in values.items()})
    if getattr(first, "model", "") == DEFAULT_MODEL:
        bundled.fetch()
    tell_runs(lab, lab.sweep(first, **values), options.json)


def tell_runs(lab: Lab, made: Sequence[Run], as_json: bool) -> None:
    if as_json:
        print_json([as_record(run) for run in made])
    for run in [] if as_json else made:
        origin = course.lineage(run, changes.of(lab.store, run.id)) or lab.recipe(run.id).as_python()
        print(f"{run.id} is {run.state}: {origin}")
