"""What each command does and prints. Text for people on stdout, or JSON; progress and faults on stderr. No torch, no pandas."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from workbench import bundled, doctor, progress, results
from workbench.errors import LabError, ModelError, RecipeError
from workbench.lab import Lab
from workbench.recipes import DEFAULT_MODEL, RECIPES, Recipe, kind_of
from workbench.store import Run


def lab_of(options: argparse.Namespace) -> Lab:
    return Lab(options.lab)


def print_json(value: object) -> None:
    print(json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def finite(value: Any) -> Any:
    """The same value with null for what JSON has no number for: Python would write NaN, which other readers refuse."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tell(text: str) -> None:
    """Says something that is not the command's result."""
    print(text, file=sys.stderr, flush=True)


# --- runs


def as_record(run: Run) -> dict[str, Any]:
    """A run for a machine to read, its recipe unfolded."""
    return {**asdict(run), "recipe": json.loads(run.recipe), "eta_seconds": run.eta_seconds}


def plan(options: argparse.Namespace) -> None:
    chosen = {each.name: getattr(options, each.name) for each in options.recipe.knobs() if each.name in options}
    found = lab_of(options).plan(options.recipe(**chosen), options.measure)
    if options.json:
        print_json({**found.parts, "total": found.total, "measured": found.measured or None})
    else:
        print("\n".join(found.lines()))


def start(options: argparse.Namespace) -> int:
    chosen = {each.name: getattr(options, each.name) for each in options.recipe.knobs() if each.name in options}
    recipe: Recipe = options.recipe(**chosen)
    lab = lab_of(options)
    if getattr(recipe, "model", "") == DEFAULT_MODEL:
        bundled.fetch()  # here, with a progress bar, rather than unseen in the worker
    run = lab.start(recipe)
    code = 0
    if options.wait:
        code = follow(lab, [run.id])
        run = lab.run(run.id)
    if options.json:
        print_json(as_record(run))
    elif options.wait:
        print(progress.line(run))
    else:
        print(f"{run.id} is {run.state}; see it with: workbench watch {run.id} --lab {lab.home}")
    return code


def follow(lab: Lab, names: Sequence[str]) -> int:
    """Shows the progress of runs, one after the other; on Ctrl-C they go on without us. Raises RunFailed."""
    for name in names:
        try:
            lab.wait(name)
        except KeyboardInterrupt:
            tell(f"\n{name} goes on without this window; see it with: workbench watch {name} --lab {lab.home}\n"
                 f"End it with: workbench stop {name} --lab {lab.home}")
            return 130
    return 0


def runs(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    found = lab.list_runs()
    if options.json:
        print_json([as_record(run) for run in found])
    elif not found:
        print(f"no run yet in {lab.home}; begin with: workbench demo --lab {lab.home}")
    else:
        print_table([("run", "state", "step", "time", "from", "")] + [summary_line(lab, run) for run in found])


def summary_line(lab: Lab, run: Run) -> tuple[str, ...]:
    seconds = (run.ended or time.time()) - run.started if run.started else None
    step = f"{run.step}/{run.total}" if run.total else str(run.step or "")
    eta = f"{progress.clock(run.eta_seconds)} to go" if run.eta_seconds else ""
    told = " ".join((run.error or ", ".join(part for part in (eta, run.note) if part)).split())
    source = f"{run.parent}@{run.parent_step}" if run.parent else ", ".join(lab.recipe(run.id).needs())
    return (run.id, run.state, step, progress.clock(seconds) if seconds is not None else "", source, told[:100])


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def watch(options: argparse.Namespace) -> int:
    lab = lab_of(options)
    lab.run(options.run)
    code = follow(lab, [options.run])
    if not code:
        run = lab.run(options.run)
        print(progress.line(run))
        print_comparison(lab, run)
    return code


def stop(options: argparse.Namespace) -> None:
    run = lab_of(options).stop(options.run)
    print(progress.line(run) if run.is_over else f"{run.id} will save its adapter and stop after the present step")


def pause(options: argparse.Namespace) -> None:
    run = lab_of(options).pause(options.run)
    print(progress.line(run) if run.is_over else f"{run.id} will save and pause after the present step; go on with: workbench resume {run.id}")


def resume(options: argparse.Namespace) -> None:
    print(progress.line(lab_of(options).resume(options.run)))


def samples(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    run = lab.run(options.run)
    found = lab.store.samples(run.id)
    if options.json:
        print_json(found)
        return
    last = [each for each in found if each["step"] == found[-1]["step"]]
    print(f"{run.id} at step {last[0]['step']}" if last else f"{run.id} has no samples")
    for each in last:
        print(f"\n> {each['prompt'][-1]['content']}\n{each['reply']}")


def examine(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    run, recipe, found = lab.run(options.run), lab.recipe_now(options.run), lab.doctor(options.run)
    verdict, grounds = doctor.headline(run.stage, found, run.step), lab.grounds(run.id, found)
    if options.json:
        findings = [doctor.as_record(each, recipe) for each in found]
        print_json({"run": run.id, "step": run.step, "verdict": verdict, "grounds": grounds, "findings": findings})
    else:
        print("\n".join([verdict, *(f"  {each}" for each in grounds)]))
        print("".join("\n" + "\n".join(doctor.as_lines(each, recipe)) + "\n" for each in found), end="")


# --- the demo


def demo(options: argparse.Namespace) -> int:
    changes = varied(options.set)
    lab = lab_of(options)
    if changes.get("sft", {}).get("model", DEFAULT_MODEL) == DEFAULT_MODEL:
        bundled.fetch()
    queued = [run.id for run in lab.demo(options.seed, options.judge, options.pack, options.fast, **changes)]
    code = follow(lab, queued)
    if code:
        return code
    done = [lab.run(name) for name in queued]
    if options.json:
        print_json({"runs": [as_record(run) for run in done], "summary": dict(done[-1].summary)})
    elif options.judge == "person":
        print(f"{queued[1]} has written {lab.ranking_counts().get('ready', 0)} sets of replies for you to rank. Open the Preferences tab with:\n"
              f"  workbench app --lab {lab.home}\n"
              f"and when you have ranked them go on with:\n  workbench start reward --sft {queued[0]} --lab {lab.home}")
    else:
        print_comparison(lab, done[-1])
    return 0


def varied(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{"sft": {"steps": 5}} from ["sft.steps=5"]. Raises RecipeError for a stage, knob or value that cannot be."""
    found: dict[str, dict[str, Any]] = {}
    for setting in settings:
        place, _, value = setting.partition("=")
        stage, _, name = place.partition(".")
        knobs = {each.name: each for each in RECIPES[stage].knobs()} if stage in RECIPES else {}
        knob = knobs.get(name.replace("-", "_"))
        if knob is None:
            there = f"{stage} has {', '.join(knobs)}" if knobs else f"the stages are {', '.join(RECIPES)}"
            raise RecipeError(f"--set {setting!r} names no knob; write STAGE.KNOB=VALUE; {there}")
        try:
            found.setdefault(stage, {})[knob.name] = kind_of(knob)(value)
        except ValueError:
            raise RecipeError(f"--set {setting!r}: {value!r} is not a {kind_of(knob).__name__} ({knob.metadata['help']})") from None
    return found


def print_comparison(lab: Lab, run: Run) -> None:
    """What a held-out comparison found, in the words of the page; figures that were not measured are left out."""
    found = results.read(run, lab.recipe(run.id)) if run.stage == "evaluate" else None
    if found:
        print(f"\n{found['verdict']}")
        print_table([found["heads"], *found["rows"]])
        print(found["judge"])


# --- talking


def ask(options: argparse.Namespace) -> int:
    lab = lab_of(options)
    adapters = [name.strip() for name in options.adapters.split(",") if name.strip()]
    asked = lab.ask(options.question, adapters, reply_tokens=options.reply_tokens, temperature=options.temperature, seed=options.seed)
    try:
        found = lab.answer(asked.id)
    except KeyboardInterrupt:
        lab.hush(asked.id)
        tell("\nstopped; what was written is kept in the lab")
        return 130
    if options.json:
        print_json({"comparison": found.id, "prompt": found.prompt, "settings": dict(found.settings),
                    "replies": [{"adapter": r.adapter, "text": r.text, "tokens": r.tokens, "finished": r.is_finished} for r in found.replies]})
        return 0
    for reply in found.replies:
        cut = "" if reply.is_finished else f"  (cut off after {reply.tokens} tokens)"
        print(f"{reply.adapter}{cut}\n{reply.text}\n")
    return 0


# --- the app


def app(options: argparse.Namespace) -> None:
    lab = lab_of(options)
    if not options.no_fetch:
        try:
            bundled.fetch()
        except (ModelError, LabError) as fault:  # the app is of use without it: other models, old runs, rankings
            tell(f"workbench: {fault}. The app starts without the default model.")
    from apps.serve import serve

    serve(lab, port=options.port, open_browser=options.browser)
