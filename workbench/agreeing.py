"""The commands of agreement and AI feedback: agreement, constitution, revisions. `start judge` and `start revise` come from their recipes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import agreement_words
from workbench.agreement import Annotator, Pair, Share
from workbench.agreement_words import figure
from workbench.commands import lab_of, print_json, print_table
from workbench.errors import CorpusError
from workbench.feedback import Judge


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the three commands to the parser."""
    told = verb("agreement", agreement, "say how far annotators agree, with themselves, each other and the models that judged", has_json=True)
    told.add_argument("--corpus", default="", metavar="NAME", help="of an imported corpus that names its annotators, instead of this lab's rankings")
    page = verb("constitution", constitution, "print a constitution, or change this lab's copy of it")
    page.add_argument("name", nargs="?", default="", metavar="NAME", help="for example customer-service; without it, list what there is")
    page.add_argument("--set", type=Path, metavar="FILE", help="take the principles in this text file from now on")
    page.add_argument("--reset", action="store_true", help="go back to the pack's own text")
    kept = verb("revisions", revisions, "print what a run criticised and rewrote, or make demonstrations of it", has_json=True)
    kept.add_argument("run", metavar="RUN", help="for example revise-1")
    kept.add_argument("--keep", nargs="?", const="", metavar="NAME", help="make a corpus of the final revisions (default name: the run's)")


def agreement(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    found, judges = lab.agreement(options.corpus), [] if options.corpus else lab.judges()
    said = agreement_words.remarks(found)
    if options.json:
        print_json({"annotators": [record(each) for each in found.annotators], "pairs": [record(each) for each in found.pairs], "alpha": found.alpha,
                    "people": found.people._asdict(), "itself": found.itself._asdict(), "ceiling": found.ceiling._asdict(),
                    "judges": [{**asdict(each), "people": each.people._asdict()} for each in judges], "remarks": [each._asdict() for each in said]})
        return
    print("\n\n".join(f"{each.title}: {each.figure}\n  {each.meaning}\n  {each.advice}" for each in said))
    if found.annotators:
        print()
        print_table([("annotator", "ranked", "seconds", "first card", "with itself", "with others"), *map(habit_line, found.annotators)])
    if found.pairs:
        print()
        print_table([("two annotators", "same verdict", "kappa", "in common"), *map(pair_line, found.pairs)])
    for each in judges:
        print("\n" + "\n  ".join([judge_line(each), *each.warnings]))


def record(row: Any) -> dict[str, Any]:
    """A named tuple for a machine to read, its shares unfolded."""
    return {key: value._asdict() if isinstance(value, Share) else value for key, value in row._asdict().items()}


def habit_line(one: Annotator) -> tuple[str, ...]:
    first = f"{one.first.rate:.0%} (chance {one.chance:.0%})" if one.first.rate is not None else ""
    return (one.name, str(one.judged), "" if one.seconds is None else f"{one.seconds:.1f}", first, short(one.itself), short(one.others))


def pair_line(two: Pair) -> tuple[str, ...]:
    return (f"{two.a}, {two.b}", figure(two.same), "" if two.kappa is None else f"{two.kappa:.2f}", str(two.same.n))


def judge_line(judge: Judge) -> str:
    people = f"agrees with people on {figure(judge.people)} of the pairs" if judge.people.n else "shares no comparison with people"
    return f"{judge.name} judged {judge.judged} by {judge.constitution}; {people}; {judge.flips:.0%} of its answers flip with the order"


def short(share: Share) -> str:
    return "" if share.rate is None else f"{share.rate:.0%} of {share.n}"


def constitution(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    if not options.name:
        print("\n".join(lab.constitutions()))
    elif options.set:
        try:
            text = options.set.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as fault:
            raise CorpusError(f"{options.set} cannot be read: {fault}; give a text file with numbered principles") from fault
        print(f"{options.name} has {len(lab.set_constitution(options.name, text))} principles in this lab now")
    else:
        print((lab.reset_constitution(options.name) if options.reset else lab.constitution(options.name)).rstrip())


def revisions(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    if options.keep is not None:
        entry = lab.keep_revisions(options.run, options.keep)
        print(f"{entry.name} has {entry.usable} demonstrations, written by a model; read them before you train on them")
        return
    found = lab.revisions(options.run)
    if options.json:
        print_json([asdict(each) for each in found])
        return
    if not found:
        print(f"{options.run} has rewritten nothing yet")
    for each in found:
        print(f"> {each.prompt[-1]['content']}\n{each.draft}")
        for turn in each.turns:
            print(f"  principle: {turn.principle}\n  critique: {turn.critique}\n{turn.revision}")
        print()
