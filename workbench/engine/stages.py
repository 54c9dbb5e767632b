"""The stages by name, and the one way to begin any of them: in the worker, in a notebook, in a test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench import constitution, corpus, desk, feedback
from workbench.engine import doubt, evaluate, judge, ppo, replies, revise, reward, sft
from workbench.engine.backbone import Backbone
from workbench.engine.memory import give_back
from workbench.engine.step import State, Step
from workbench.recipes import Recipe
from workbench.store import Store

STAGES: dict[str, ModuleType] = {"sft": sft, "replies": replies, "reward": reward, "ppo": ppo, "evaluate": evaluate, "judge": judge, "revise": revise,
                                 "doubt": doubt}


def begin(recipe: Recipe, backbone: Backbone, home: Path, state: State | None = None) -> Generator[Step, Recipe | None, None]:
    """Loads the adapters and rows a recipe names and returns its generator of Steps. A recipe sent into it holds from the next step on.

    Raises AdapterError or CorpusError when something it needs is missing.
    """
    stage, store = STAGES[recipe.stage], Store(home / "lab.db")
    found = stage.inputs(recipe, finder(recipe, store, home))
    stage.load(recipe, backbone, home / "adapters")
    return thrifty(stage.train(recipe, backbone, **found, state=state))


def finder(recipe: Recipe, store: Store, home: Path) -> Callable[..., list[Any]]:
    """What finds a stage's rows by name and shape: a corpus, a constitution's principles, or the comparisons still to be judged, by a model or by people."""

    def find(name: str, shape: str, held_out: bool = False) -> list[Any]:
        if shape == "principles":
            return constitution.principles(home, name)
        if shape == "comparisons":
            return feedback.to_judge(store, recipe, constitution.principles(home, name))
        if shape == "waiting":
            return desk.waiting(store)
        return corpus.rows(store, name, shape, held_out)

    return find


def thrifty(steps: Generator[Step, Recipe | None, None]) -> Generator[Step, Recipe | None, None]:
    """The same steps, with the memory that one leaves behind given back before the next."""
    told: Recipe | None = None
    with suppress(StopIteration):
        while True:
            told = yield steps.send(told)
            give_back()


def steered(steps: Generator[Step, Recipe | None, None], recipe_at: Callable[[int], Recipe]) -> Iterator[Step]:
    """The steps of a stage, each but the first taken with the recipe of its number, which is asked for when the step begins."""
    told: Recipe | None = None
    with suppress(StopIteration):
        while True:
            step = steps.send(told)
            yield step
            told = recipe_at(step.index + 1) if step.index < step.total else None
