"""The command line: every verb of a lab, with flags made from the recipes' fields. No torch, no pandas; what prints is in commands.py, steering.py, judging.py and carrying.py."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field
from pathlib import Path

from workbench import carrying, commands, judging, packs, steering
from workbench.corpus import SHAPES
from workbench.errors import WorkbenchError
from workbench.formats.exports import FORMATS
from workbench.formats.questions import MEANINGS
from workbench.recipes import RECIPES, kind_of

Command = Callable[[argparse.Namespace], int | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. What a user can mend ends in one line on stderr and code 2; Ctrl-C in 130."""
    options = parser().parse_args(argv)
    try:
        return options.command(options) or 0
    except WorkbenchError as fault:
        print(f"workbench: {' '.join(str(fault).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nworkbench: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `workbench runs | head` closes the pipe early; Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument("--lab", type=Path, metavar="FOLDER", default=Path(os.environ.get("WORKBENCH_LAB") or "~/rlhf-lab"),
                        help="the lab's folder (default: $WORKBENCH_LAB, else ~/rlhf-lab)")
    top = argparse.ArgumentParser(prog="workbench", description="Align a language model with human feedback on one machine.", allow_abbrev=False)
    verbs = top.add_subparsers(metavar="COMMAND", required=True)

    def verb(name: str, command: Command, help: str, has_json: bool = False) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".", parents=[shared], allow_abbrev=False)
        made.set_defaults(command=command)
        if has_json:
            made.add_argument("--json", action="store_true", help="print JSON instead of text")
        return made

    add_app(verb)
    add_demo(verb)
    add_start(verbs, shared)
    add_plan(verbs, shared)
    verb("runs", commands.runs, "list every run of the lab", has_json=True)
    for name, command, help in (
        ("watch", commands.watch, "show a run's progress until it is over; Ctrl-C leaves it running"),
        ("stop", commands.stop, "save a run's adapter and end it after the present step"),
        ("pause", commands.pause, "save a run and free the device after the present step"),
        ("resume", commands.resume, "queue a paused, stopped, failed or lost run again"),
    ):
        verb(name, command, help).add_argument("run", metavar="RUN", help="for example sft-1")
    verb("samples", commands.samples, "print a run's latest replies to the fixed prompts", has_json=True).add_argument("run", metavar="RUN")
    out = verb("rollouts", carrying.rollouts, "write a PPO run's recorded rollouts as RLLoggingBoard's JSONL, or list them", has_json=True)
    out.add_argument("run", metavar="RUN", help="for example ppo-1")
    out.add_argument("--out", type=Path, metavar="FILE.jsonl", help="one line per rollout, with the figures of every token")
    verb("doctor", commands.examine, "say what is wrong with a run, since when, and what to change", has_json=True).add_argument("run", metavar="RUN")
    told = verb("report", carrying.report, "write one HTML file of a run or a round, to send to somebody")
    told.add_argument("what", metavar="RUN|ROUND", help="for example ppo-1, or 2 for everything of round 2")
    told.add_argument("--out", type=Path, metavar="FILE.html", help="where to (default: the run's or round's name, here)")
    steering.add(verb, verbs, shared)
    judging.add(verb)
    add_ask(verb)
    add_rows(verb)
    return top


def add_app(verb: Callable[..., argparse.ArgumentParser]) -> None:
    app = verb("app", commands.app, "open the workbench in a browser")
    app.add_argument("--port", type=int, default=7860, help="port on this machine (default: %(default)s)")
    app.add_argument("--browser", action="store_true", help="open the browser as well")
    app.add_argument("--no-fetch", action="store_true", help="do not fetch the default model first")


def add_demo(verb: Callable[..., argparse.ArgumentParser]) -> None:
    demo = verb("demo", commands.demo, "run a pack's chain: SFT, replies, rankings, reward model, PPO, comparison", has_json=True)
    demo.add_argument("--seed", type=int, default=0, help="makes the chain repeatable (default: %(default)s)")
    demo.add_argument("--judge", choices=("simulated", "person"), default="simulated",
                      help="who ranks the replies: the pack's scoring rule, or you in the app (default: %(default)s)")
    demo.add_argument("--pack", choices=packs.names(), default=packs.DEFAULT, help="the domain (default: %(default)s)")
    demo.add_argument("--fast", action="store_true", help="adapters on the upper 8 layers only and the value model on the policy's trunk")
    demo.add_argument("--set", action="append", default=[], metavar="STAGE.KNOB=VALUE", help="vary a stage, for example --set sft.steps=5")


def add_ask(verb: Callable[..., argparse.ArgumentParser]) -> None:
    ask = verb("ask", commands.ask, "ask adapters the same question and print each reply under its name", has_json=True)
    ask.add_argument("question")
    ask.add_argument("--adapters", default="base", metavar="A,B", help='adapters that answer, comma between them; "base" is the untrained model')
    ask.add_argument("--reply-tokens", type=int, default=128, help="longest reply, in tokens (default: %(default)s)")
    ask.add_argument("--temperature", type=float, default=0.7, help="above 1 more varied, below 1 more careful (default: %(default)s)")
    ask.add_argument("--seed", type=int, help="makes the replies repeatable")


def add_rows(verb: Callable[..., argparse.ArgumentParser]) -> None:
    bring = verb("import", carrying.bring, "read a file of any known format into a corpus of the lab", has_json=True)
    bring.add_argument("file", type=Path, metavar="FILE")
    bring.add_argument("--name", default="", help="name of the corpus (default: from the file's name)")
    bring.add_argument("--columns", default="", metavar="prompt=A,reply=B", help=f"what columns mean: {', '.join(MEANINGS)}")
    bring.add_argument("--shape", default="", choices=SHAPES, help="what to make of a file that could be several things, such as thumbs")
    bring.add_argument("--dry-run", action="store_true", help="only say what would be read")
    out = verb("export", carrying.export, "write a corpus in TRL's columns, formulas disarmed for spreadsheets", has_json=True)
    out.add_argument("corpus", metavar="NAME", help="an import, a pack, or rankings")
    out.add_argument("file", type=Path, metavar="FILE", help="its name says the format: .jsonl, .json, .csv or .parquet, perhaps .gz behind it")
    out.add_argument("--format", default="", choices=FORMATS, help="where the file's name does not say it")
    out.add_argument("--shape", default="", choices=SHAPES, help="which rows of a pack (default: its demonstrations)")
    verb("formats", carrying.survey, "list the formats that import knows and, for folders, what each file would give").add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER")


def add_start(verbs: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser) -> None:
    """`start STAGE`, with a flag for every knob of the stage's recipe."""
    help = "queue a run of one stage"
    stages = verbs.add_parser("start", help=help, description="Queue a run of one stage.").add_subparsers(metavar="STAGE", required=True)
    for name, recipe in RECIPES.items():
        stage = stages.add_parser(name, help=recipe.__doc__, description=recipe.__doc__, parents=[shared], allow_abbrev=False)
        stage.set_defaults(command=commands.start, recipe=recipe)
        stage.add_argument("--wait", action="store_true", help="show the progress until the run is over; Ctrl-C leaves it running")
        stage.add_argument("--json", action="store_true", help="print JSON instead of text")
        usual, advanced = stage.add_argument_group("knobs"), stage.add_argument_group("advanced knobs")
        for each in recipe.knobs():
            add_knob(advanced if each.metadata["advanced"] else usual, each)


def add_plan(verbs: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser) -> None:
    """`plan STAGE`, with the same flags as start."""
    help = "say how much memory a run will need, part by part"
    stages = verbs.add_parser("plan", help=help, description="Say how much memory a run will need.").add_subparsers(metavar="STAGE", required=True)
    for name, recipe in RECIPES.items():
        stage = stages.add_parser(name, help=recipe.__doc__, description=recipe.__doc__, parents=[shared], allow_abbrev=False)
        stage.set_defaults(command=commands.plan, recipe=recipe)
        stage.add_argument("--measure", type=int, default=0, metavar="STEPS", help="take so many steps and tell the real peak too; the lab stays as it is")
        stage.add_argument("--json", action="store_true", help="print JSON instead of text")
        for each in recipe.knobs():
            add_knob(stage, each)


def add_knob(group: argparse._ActionsContainer, knob: Field) -> None:
    """A flag for a knob. The recipe holds the default and checks the limits; the flag only tells them."""
    meta, kind, is_needed = knob.metadata, kind_of(knob), knob.default is MISSING
    flag = f"--{knob.name.replace('_', '-')}"
    limits = [f"at least {meta['low']}"] if meta["low"] is not None and meta["high"] is None else []
    limits += [f"{meta['low']} to {meta['high']}"] if meta["high"] is not None else []
    limits += ["required"] if is_needed else [f"default: {knob.default}"] if knob.default != "" else []
    help = f"{meta['help']} ({'; '.join(limits)})" if limits else meta["help"]
    if kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help.replace("%", "%%"))
        return
    shown = "{" + ",".join(meta["choices"]) + "}" if meta["choices"] else {int: "N", float: "X"}.get(kind, "NAME")
    group.add_argument(flag, dest=knob.name, type=kind, required=is_needed, choices=meta["choices"], default=argparse.SUPPRESS,
                       metavar=shown, help=help.replace("%", "%%"))


if __name__ == "__main__":
    sys.exit(main())
