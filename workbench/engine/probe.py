"""Measures what a plan predicts: takes a few steps of a recipe in a process of its own and tells its peak memory.

    python -m workbench.engine.probe LAB STAGE RECIPE STEPS
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

from workbench import checks
from workbench.engine.backbone import Backbone
from workbench.engine.memory import peak_bytes
from workbench.engine.stages import begin
from workbench.recipes import from_json
from workbench.store import Store


def measure(home: Path, stage: str, text: str, steps: int) -> dict[str, float]:
    """Nothing is written to the lab."""
    recipe, store = from_json(stage, text), Store(home / "lab.db")
    model = getattr(recipe, "model", "") or checks.root_model(store, recipe.needs()[0])
    taken = len(list(islice(begin(recipe, Backbone(model, recipe.precision), home), steps)))
    return {"peak_bytes": peak_bytes(), "steps": taken}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
