"""What can be done to a run that exists: wish, delete, change its knobs as it goes, fork it. No torch: the worker carries it out."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any

from workbench import best, changes, checks, kept
from workbench.errors import LabError, RecipeError
from workbench.recipes import Recipe, kind_of
from workbench.records import LIVE, Change, Run, run_of
from workbench.store import Store

TOGETHER = 64  # runs that one sweep may queue


def wish(store: Store, run: Run, wish: str) -> None:
    """Tells a run to stop or pause; one that only waits does so at once. Raises LabError when it is over."""
    done = {"stop": "stopped", "pause": "paused"}[wish]
    if store.set_state(run.id, done, ("queued",), "stopped before it began" if wish == "stop" else ""):
        return
    run = store.run(run.id)
    if run.state == "paused" and wish == "stop":
        store.set_state(run.id, "stopped", ("paused",))
    elif run.state != "running":
        raise LabError(f"{run.id} is {run.state}; only a running or queued run can be told to {wish}")
    else:
        store.wish(run.id, wish)


def delete(store: Store, home: Path, run: Run) -> None:
    """Removes a run that is over, with its adapter and checkpoints. Raises LabError while another run builds on it."""
    if not run.is_over:
        raise LabError(f"{run.id} is {run.state}; stop it first")
    users = [r.id for r in store.runs() if r.id != run.id and run.id in map(run_of, checks.recipe_of(r).needs())]
    if users:
        raise LabError(f"{run.id} is what {', '.join(users)} came from; delete those first")
    store.delete_run(run.id)
    for name in (run.id, *best.named(home, run.id)):
        shutil.rmtree(home / "adapters" / name, ignore_errors=True)
    kept.forget(home, run.id)


def change(store: Store, run: Run, knobs: Mapping[str, Any]) -> list[Change]:
    """Asks for knobs to be changed from the next step on. Raises LabError when the run is over, RecipeError for a knob that cannot."""
    if run.state not in (*LIVE, "paused"):
        raise LabError(f"{run.id} is {run.state}; only a run that goes on or waits can be changed; fork it instead")
    recipe, before = checks.recipe_at(store, run), {each.asked for each in changes.of(store, run.id)}
    for name in knobs:
        if not recipe.named(name).metadata["live"]:
            live = ", ".join(recipe.live_knobs())
            raise RecipeError(f"{name} cannot change while a run goes on; {f'of {recipe.title} {live} can' if live else 'nothing can'}; "
                              f"fork the run to change it")
    changed = changed_by(recipe, knobs)
    if not changed:
        raise RecipeError(f"nothing to change: {run.id} already has {', '.join(f'{name} {getattr(recipe, name)}' for name in knobs) or 'all that'}")
    changes.add(store, run.id, changed)
    return [each for each in changes.of(store, run.id) if each.asked not in before]


def changed_by(recipe: Recipe, knobs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The knobs that would move, as (old, new). Raises RecipeError when the recipe does not take them."""
    for name in knobs:
        recipe.named(name)
    wanted = {name: float(value) if kind_of(recipe.named(name)) is float and type(value) is int else value for name, value in knobs.items()}
    new = recipe.replace(**wanted)
    return {name: (getattr(recipe, name), getattr(new, name)) for name in wanted if getattr(new, name) != getattr(recipe, name)}


def fork(store: Store, home: Path, run: Run, step: int | None, knobs: Mapping[str, Any]) -> Run:
    """Queues a run that goes on from a kept checkpoint of another, with some knobs changed; raises what `fit` raises."""
    step, total, new, changed = fit(store, home, run, step, knobs)
    made = store.add_run(run.stage, new.to_json(), total, run.round, fork=(run.id, step))
    try:
        changes.inherit(store, made, list(knobs))
        changes.add(store, made.id, changed, "fork", step + 1)
        kept.hand_over(home, run.id, step, to=made.id)
    except BaseException:
        store.delete_run(made.id)
        raise
    store.set_state(made.id, "queued", ("paused",))
    return store.run(made.id)


def fit(store: Store, home: Path, run: Run, step: int | None, knobs: Mapping[str, Any]) -> tuple[int, int, Recipe, dict[str, tuple[Any, Any]]]:
    """The step, the last step, the recipe and the changes of a fork, before anything is queued.

    Raises LabError when no such checkpoint is kept, RecipeError for a knob that the checkpoint does not fit, and what a recipe that names
    something missing raises.
    """
    total = changed_by(checks.recipe_at(store, run), knobs).get("steps", (0, getattr(checks.recipe_of(run), "steps", run.total)))[1]
    step = forked_at(home, run, step, total)
    recipe = checks.recipe_at(store, run, step)
    changed = changed_by(recipe, knobs)
    for name in changed:
        if recipe.named(name).metadata["shapes"]:
            raise RecipeError(f"{name} cannot change in a fork: the checkpoint fits {name} {getattr(recipe, name)} only; start a new run instead")
    new = recipe.replace(**{name: value for name, (_, value) in changed.items()})
    checks.check_recipe(store, new)
    return step, total, new, changed


def forked_at(home: Path, run: Run, step: int | None, total: int) -> int:
    """The step that is asked for, or the last one after which something is left to do."""
    there = kept.steps(home, run.id)
    if not there:
        raise LabError(f"{run.id} has no checkpoint to fork from yet; start a new run with these knobs, or wait for its first one")
    if step is not None and step not in there:
        raise LabError(f"{run.id} kept no checkpoint of step {step}; it has those of steps {', '.join(map(str, there))}")
    step = max((each for each in there if each < total), default=there[0]) if step is None else step
    if total and step >= total:
        raise RecipeError(f"steps is {total}, and {run.id} has taken {step} there; give more, or fork from an earlier step")
    return step


def is_listed(knob: Field) -> bool:
    """Whether commas part the values of a knob; in names they may mean several adapters."""
    return kind_of(knob) is not str or bool(knob.metadata["choices"])


def values_of(recipe: type[Recipe], texts: Mapping[str, str]) -> dict[str, list[Any]]:
    """{"kl_weight": [0.02, 0.1]} from {"kl_weight": "0.02,0.1"}. Raises RecipeError for a text that is no such value."""
    found = {}
    for name, text in texts.items():
        knob = recipe.named(name.replace("-", "_"))
        found[knob.name] = [value_of(knob, part.strip()) for part in (text.split(",") if is_listed(knob) else [text])]
    return found


def value_of(knob: Field, text: str) -> Any:
    kind = kind_of(knob)
    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise RecipeError(f"{knob.name} is {text!r}; it must be a {kind.__name__} ({knob.metadata['help']})") from None


def combinations(recipe: Recipe, values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every choice of one value per knob. Raises RecipeError for a sweep of nothing, of too much, or of what the recipe does not take."""
    lists = {name: list(each) if isinstance(each, (list, tuple, range)) else [each] for name, each in values.items()}
    found = [dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())]
    if not lists or not found:
        raise RecipeError("a sweep needs a knob and the values it should take, such as kl_weight=[0.02, 0.05]")
    if len(found) > TOGETHER:
        raise RecipeError(f"a sweep of {len(found)} runs is too many at once; at most {TOGETHER}")
    for each in found:
        changed_by(recipe, each)
    return found


def told(taken: Sequence[Change]) -> str:
    """Changes in a few words: kl_weight 0.05 -> 0.1."""
    return ", ".join(f"{each.knob} {each.old} -> {each.new}" for each in taken)


def marks(taken: Sequence[Change]) -> dict[int, str]:
    """What changed at each step, for a chart."""
    found: dict[int, str] = {}
    for each in taken:
        if each.step is not None:
            found[each.step] = ", ".join(part for part in (found.get(each.step), f"{each.knob} {each.new}") if part)
    return found


def lineage(run: Run, taken: Sequence[Change]) -> str:
    """Where a fork came from, in words; nothing for a run that is no fork."""
    if not run.parent:
        return ""
    own = [each for each in taken if each.origin == "fork" and each.step == run.parent_step + 1]
    return f"forked from {run.parent} at step {run.parent_step}; {f'changed: {told(own)}' if own else 'nothing changed'}"
