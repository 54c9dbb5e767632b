"""A finding's remedy, taken: knobs of the run at work changed, a fork from a checkpoint, or a new run. Decides only; lab verbs carry it out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from workbench import best, changes, checks, curves, kept
from workbench.doctor import Finding
from workbench.doctor.trace import WINDOW, Trace
from workbench.records import LIVE, Change, Run
from workbench.store import Store

NEAR = 3  # steps whose mean stands for a checkpoint
LOOK_BACK = 50  # steps that say how noisy the held-out rule is
PATIENCE = 10  # steps before the same remedy is offered again


@dataclass(frozen=True)
class Cure:
    """Which way a remedy can be taken; with no way, `wait` says why not yet, if there is a reason."""

    way: Literal["", "change", "fork", "start"] = ""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    step: int = 0  # of the checkpoint that a fork goes on from
    is_best: bool = False  # that checkpoint is the best one by the held-out judge
    wait: str = ""

    @property
    def told(self) -> str:
        """What a button says."""
        best = f"Fork with this from step {self.step}, the best by the held-out judge"
        return {"": "", "change": "Apply from the next step", "start": "Start anew with this",
                "fork": best if self.is_best else f"Fork with this from step {self.step}"}[self.way]


def of(store: Store, home: Path, run: Run, finding: Finding) -> Cure:
    """The best way to take a finding's remedy now.

    Where a policy has learned its reward model's mistakes, it goes back to the best checkpoint: at once when the run is over, and while it
    goes on only if it does worse now by more than chance. Else live knobs change at once.
    """
    knobs, recipe = finding.remedy, checks.recipe_at(store, run)
    if not knobs:
        return Cure()
    total, there = knobs.get("steps", run.total), kept.steps(home, run.id)
    fits = not any(recipe.named(name).metadata["shapes"] for name in knobs)
    left = [step for step in there if step < total] if fits else []
    top = best_kept(store, run.id, left) if finding.goes_back else None
    if top and (run.state not in LIVE or is_worse_now(store, run, top)):  # a run that is over has nothing to gain from its last steps
        return Cure("fork", knobs, top[0], is_best=True)
    if run.state in LIVE and all(recipe.named(name).metadata["live"] for name in knobs):
        wait = too_early(run, knobs, changes.of(store, run.id))
        return Cure(wait=wait) if wait else Cure("change", knobs)
    return Cure("fork", knobs, left[-1]) if left else Cure("start", knobs)


def best_kept(store: Store, run: str, steps: Sequence[int]) -> tuple[int, float] | None:
    """The kept step whose policy the held-out rule liked best, and how well; None where there is no such rule."""
    # What was saved after a step answered in the next one; its neighbours make luck less likely.
    golds = curves.values_at(store, run, "gold", sorted({at for step in steps for at in range(step, step + NEAR)}))
    found = {step: fmean(near) for step in steps if (near := [golds[at] for at in range(step, step + NEAR) if at in golds])}
    # Looks at held-out prompts judge what was saved itself; where there are none, practice has to do.
    held = best.at_looks(store, run, steps)
    chosen = best.highest(held or found)
    return None if chosen is None else (chosen, found.get(chosen, held.get(chosen, 0.0)))


def is_worse_now(store: Store, run: Run, top: tuple[int, float]) -> bool:
    """Whether the present policy does worse by the held-out rule than one that was kept, by more than chance does."""
    held = best.gold_at_looks(store, run.id)
    if top[0] in held:
        now = held[max(held)]
        return held[top[0]].value - now.value > 2 * math.hypot(held[top[0]].error, now.error)
    trace = Trace((step, "gold", value) for step, value in curves.values_at(store, run.id, "gold", range(max(1, run.step - LOOK_BACK), run.step + 1)).items())
    error = trace.noise("gold") * (2 / NEAR) ** 0.5  # of the difference of two such means
    return trace.has("gold", count=WINDOW) and top[0] + NEAR <= run.step and top[1] - trace.recent("gold", NEAR) > 2 * error


def too_early(run: Run, knobs: Mapping[str, Any], taken: Sequence[Change]) -> str:
    """Why the same knobs should not change again yet: pressed at every step, a remedy would double a knob until nothing is left of the run."""
    recent = [each for each in taken if each.knob in knobs and each.origin in ("live", "fork")
              and (each.step is None or each.step <= run.step + 1 and run.step - each.step < PATIENCE)]
    if not recent:
        return ""
    last = recent[-1]
    return f"{last.knob} is {last.new} from {'the next step' if last.step is None else f'step {last.step}'} on; give it {PATIENCE} steps to show."
