"""What a live view shows of a run's course: knobs that may change now, changes so far, forks; and which way a remedy can be taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench import changes, course
from workbench.lab import Lab
from workbench.recipes import Recipe, kind_of
from workbench.records import LIVE, Change, Run

WAIT = 10  # steps before the same remedy is offered again
LABELS = {"": "", "change": "Apply from the next step", "fork": "Fork with this from the last checkpoint", "start": "Start anew with this"}
FORKED = ("sft", "reward", "ppo")  # the stages that keep checkpoints


def state(lab: Lab, run: Run) -> dict[str, Any] | None:
    """Knobs, changes and lineage of a run for the browser; None for stages that cannot be steered."""
    if run.stage not in FORKED:
        return None
    recipe, taken = lab.recipe_now(run.id), changes.of(lab.store, run.id)
    is_live, kept = run.state in LIVE, [step for step in lab.kept_steps(run.id) if not run.total or step < run.total]
    return {
        "knobs": [control(recipe, name) for name in recipe.live_knobs()] if is_live else [],
        "forkable": [control(recipe, each.name) for each in recipe.knobs() if is_forkable(recipe, each.name)] if kept else [],
        "kept": kept, "until": run.parent_step, "lineage": course.lineage(run, taken),
        "changes": [{"text": course.told([each]), "label": f"{each.knob} {each.new}", "step": each.step, "is_reached": is_reached(run, each)}
                    for each in taken],
    }


def is_reached(run: Run, change: Change) -> bool:
    """Whether a change holds in the present step; what waits does not yet, nor what a fork will repeat later on."""
    return change.step is not None and change.step <= run.step + 1


def control(recipe: Recipe, name: str) -> dict[str, Any]:
    return {"name": name, "value": getattr(recipe, name), "help": recipe.named(name).metadata["help"]}


def is_forkable(recipe: Recipe, name: str) -> bool:
    """Numbers only: what is chosen from a list belongs into a form."""
    knob = recipe.named(name)
    return not knob.metadata["shapes"] and kind_of(knob) in (int, float)


def way(lab: Lab, run: Run, knobs: Mapping[str, Any]) -> str:
    """How a remedy can be taken: change the run as it goes, fork it, or start anew; nothing where there is no knob to change."""
    if not knobs:
        return ""
    recipe = lab.recipe_now(run.id)
    if run.state in LIVE and all(recipe.named(name).metadata["live"] for name in knobs):
        return "change"
    fits = not any(recipe.named(name).metadata["shapes"] for name in knobs)
    total = knobs.get("steps", run.total)
    return "fork" if fits and any(step < total for step in lab.kept_steps(run.id)) else "start"


def cure(lab: Lab, run: Run, knobs: Mapping[str, Any]) -> dict[str, str]:
    """A remedy's button, or why there is none yet: pressed at every step, it would double a knob until nothing is left of the run."""
    taken = way(lab, run, knobs)
    tried = [each for each in changes.of(lab.store, run.id) if each.knob in knobs and each.origin == "live"
             and (each.step is None or is_reached(run, each) and run.step - each.step < WAIT)]
    if taken == "change" and tried:
        when = "the next step" if tried[-1].step is None else f"step {tried[-1].step}"
        return {"cure": "", "wait": f"{tried[-1].knob} is {tried[-1].new} from {when} on; give it {WAIT} steps to show."}
    return {"cure": LABELS[taken], "wait": ""}


def change(lab: Lab, name: str, knobs: Mapping[str, Any]) -> dict[str, str]:
    """Changes live knobs; says what will happen, and when."""
    return {"said": f"{course.told(lab.change(name, **knobs))}: takes effect at the next step.", "run": name}


def fork(lab: Lab, name: str, knobs: Mapping[str, Any], step: int | None = None) -> dict[str, str]:
    made = lab.fork(name, step, **knobs)
    return {"said": f"{made.id} is queued: {course.lineage(made, changes.of(lab.store, made.id))}.", "run": made.id}


def remedy(lab: Lab, name: str, knobs: Mapping[str, Any]) -> dict[str, str]:
    """Takes a finding's remedy the best way there is."""
    match way(lab, lab.run(name), knobs):
        case "change":
            return change(lab, name, knobs)
        case "fork":
            return fork(lab, name, knobs)
    made = lab.start(lab.recipe_now(name).replace(**knobs))
    return {"said": f"{made.id} is queued: {name} anew with {', '.join(f'{knob} {value}' for knob, value in knobs.items())}.", "run": made.id}
