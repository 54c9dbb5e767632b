"""Which step of a PPO run is its best, by a judge that it never learns from; and the adapter that is kept of it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workbench import curves, kept
from workbench.records import Run
from workbench.store import Store

JUDGED_BY = "held_gold"


def step_of(store: Store, home: Path, run: Run) -> int | None:
    """The step with the highest held-out gold score among those that can still be had; None where nobody judged.

    Those are the steps whose checkpoints are kept, and the last one, which the adapter holds. The first look is no candidate:
    it shows the SFT model.
    """
    return highest(at_looks(store, run.id, [*kept.steps(home, run.id), run.step]))


class Gold(NamedTuple):
    """A held-out gold score and its standard error."""

    value: float
    error: float


def gold_at_looks(store: Store, run: str) -> dict[int, Gold]:
    """By step; without the first look, which shows the SFT model."""
    found = curves.series(store, run, [JUDGED_BY, f"{JUDGED_BY}_se"])
    errors = found.get(f"{JUDGED_BY}_se", {})
    return {step: Gold(value, errors.get(step, 0.0)) for step, value in found.get(JUDGED_BY, {}).items() if step > 1}


def at_looks(store: Store, run: str, steps: Sequence[int]) -> dict[int, float]:
    """The held-out gold score of those of the steps at which somebody looked."""
    return {step: gold.value for step, gold in gold_at_looks(store, run).items() if step in steps}


def highest(golds: Mapping[int, float]) -> int | None:
    """The earliest of the highest."""
    return min(golds, key=lambda step: (-golds[step], step), default=None)


def adapter_of(home: Path, run: Run, step: int | None) -> str:
    """The name of the adapter that holds a step: ppo-9@200, or ppo-9 where that is the last one or was not kept."""
    name = f"{run.id}@{step}"
    return name if step is not None and (home / "adapters" / name).exists() else run.id


def named(home: Path, run: str) -> list[str]:
    """The adapters of single steps of a run, by step."""
    steps = (place.name.partition("@")[2] for place in (home / "adapters").glob(f"{run}@*"))
    return [f"{run}@{step}" for step in sorted(int(step) for step in steps if step.isdigit())]
