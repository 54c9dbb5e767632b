"""What a live view shows of a run's course: knobs that may change now, changes so far, forks; and which way a remedy can be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench import changes, course, cures
from workbench.doctor import Finding
from workbench.lab import Lab
from workbench.recipes import Recipe, kind_of
from workbench.records import LIVE, Change, Run

FORKED = ("sft", "reward", "ppo")  # the stages that keep checkpoints


def state(lab: Lab, run: Run) -> dict[str, Any] | None:
    """Knobs, changes and lineage of a run for the browser; None for stages that cannot be steered."""
    if run.stage not in FORKED:
        return None
    recipe, taken = lab.recipe_now(run.id), changes.of(lab.store, run.id)
    is_live, kept = run.state in LIVE, [step for step in lab.kept_steps(run.id) if not run.total or step < run.total]
    return {
        "knobs": [control(recipe, name) for name in recipe.live_knobs()] if is_live else [],
        "forkable": [control(recipe, each.name) for each in recipe.knobs() if is_forkable(recipe, each.name)],
        "kept": kept, "best": (cures.best_kept(lab.store, run.id, kept) or (None,))[0], "until": run.parent_step, "lineage": course.lineage(run, taken),
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


def cure(lab: Lab, run: Run, finding: Finding) -> dict[str, str]:
    """A remedy's button, or why there is none yet."""
    found = cures.of(lab.store, lab.home, run, finding)
    return {"cure": f"Stop, and {found.told[0].lower()}{found.told[1:]}" if found.is_best and run.state in LIVE else found.told, "wait": found.wait}


def change(lab: Lab, name: str, knobs: Mapping[str, Any]) -> dict[str, str]:
    """Changes live knobs; says what will happen, and when."""
    return {"said": f"{course.told(lab.change(name, **knobs))}: takes effect at the next step.", "run": name}


def fork(lab: Lab, name: str, texts: Mapping[str, str], step: int) -> dict[str, Any]:
    """Queues a run per value, or per combination of values, that goes on from a step; step 0 starts anew."""
    recipe = lab.recipe_now(name)
    values = course.values_of(type(recipe), texts)
    made = lab.sweep(name if step else recipe, step, **values) if values else [lab.fork(name, step) if step else lab.start(recipe)]
    names = [run.id for run in made]
    told = ", ".join(f"{knob} {' / '.join(map(str, each))}" for knob, each in values.items()) or "nothing changed"
    origin = f"{name} from step {step} on" if step else f"{name} anew"
    return {"said": f"{listed(names)} {'is' if len(names) == 1 else 'are'} queued: {origin}, {told}.", "run": names[0], "runs": names}


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def remedy(lab: Lab, name: str, rule: str) -> dict[str, Any]:
    """Takes a finding's remedy the best way there is."""
    before = {each.asked for each in changes.of(lab.store, name)}
    made = lab.cure(name, rule)
    if made.id == name:
        new = [each for each in changes.of(lab.store, name) if each.asked not in before]
        return {"said": f"{course.told(new)}: takes effect at the next step.", "run": name, "runs": []}
    origin = course.lineage(made, changes.of(lab.store, made.id)) or f"{name} anew with other knobs"
    return {"said": f"{made.id} is queued: {origin}.", "run": made.id, "runs": [made.id]}
