"""The five stages by name, and the one way to begin any of them: in the worker, in a notebook, in a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from workbench import corpus
from workbench.engine import evaluate, ppo, replies, reward, sft
from workbench.engine.backbone import Backbone
from workbench.engine.memory import give_back
from workbench.engine.step import State, Step
from workbench.recipes import Recipe
from workbench.store import Store

STAGES: dict[str, ModuleType] = {"sft": sft, "replies": replies, "reward": reward, "ppo": ppo, "evaluate": evaluate}


def begin(recipe: Recipe, backbone: Backbone, home: Path, state: State | None = None) -> Iterator[Step]:
    """Loads the adapters and rows a recipe names and returns its generator of Steps.

    Raises AdapterError or CorpusError when something it needs is missing.
    """
    stage, store = STAGES[recipe.stage], Store(home / "lab.db")
    found = stage.inputs(recipe, lambda name, shape, held_out=False: corpus.rows(store, name, shape, held_out))
    stage.load(recipe, backbone, home / "adapters")
    return thrifty(stage.train(recipe, backbone, **found, state=state))


def thrifty(steps: Iterator[Step]) -> Iterator[Step]:
    """The same steps, with the memory that one leaves behind given back before the next."""
    for step in steps:
        yield step
        give_back()
