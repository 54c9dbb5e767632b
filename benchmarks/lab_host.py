"""Runs sabotaged PPO on a lab's own adapters, in this process; the lab itself is only read."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.checks import root_model
from workbench.engine import stages
from workbench.engine.backbone import Backbone
from workbench.engine.step import Step
from workbench.recipes import PpoRecipe, Recipe
from workbench.store import Store


class LabHost:
    """PPO only: what SFT and reward model need is slow to learn again."""

    stages = ("ppo",)
    patience = 3  # steps that the first finding must stand first, then the run is ended

    def __init__(self, lab: Path, sft: str, reward: str, steps: int) -> None:
        self.lab, self.store = lab, Store(lab / "lab.db")
        self.recipe = PpoRecipe(sft=sft, reward=reward, steps=steps, sample_every=100_000, look_replies=1)  # too few looks for the rules that read them
        self.backbone = Backbone(root_model(self.store, sft))

    def run(self, case: Any, seed: int) -> tuple[Recipe, Iterator[Step], dict[str, Any]]:
        """As the toy's, but a step is taken when it is asked for: each takes seconds."""
        scaled = {name: getattr(self.recipe, name) * factor for name, factor in case.times.items()}
        recipe = self.recipe.replace(seed=seed, **{**scaled, **case.knobs})
        return recipe, self.steps(recipe, case), dict(self.store.run(recipe.reward).summary)

    def steps(self, recipe: Recipe, case: Any) -> Iterator[Step]:
        steps = stages.begin(recipe, self.backbone, self.lab)  # what a case breaks is the learning, not the loading
        begun = time.perf_counter()
        with case.breaks(self.backbone):
            for step in steps:
                print(f"{case.name}, seed {recipe.seed}: step {step.index} of {recipe.steps}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
                yield step
