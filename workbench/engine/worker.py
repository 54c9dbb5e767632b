"""The process that works: takes the lock, sweeps, claims, runs one stage after another, answers questions, leaves.

    python -m workbench.engine.worker LAB
"""

from __future__ import annotations

import faulthandler
import gc
import os
import shutil
import statistics
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from workbench import best, changes, desk, doctor, heldout, kept, principled, rollouts, trials
from workbench.checks import judge_of, recipe_at, root_model
from workbench.errors import LabError, OutOfMemory, Unhealthy, WorkbenchError
from workbench.process import LOST
from workbench.recipes import Recipe, from_json
from workbench.records import Comparison, Run, Trial
from workbench.store import Store

if TYPE_CHECKING:
    from workbench.engine.backbone import Backbone
    from workbench.engine.step import Step

IDLE_SECONDS = float(os.environ.get("WORKBENCH_IDLE_SECONDS", "120"))  # how long a loaded model waits for a question
LOOK_BACK = 10  # steps that the doctor sees between two steps


class Worker:
    """One lab's worker; holds the lock for as long as it lives."""

    def __init__(self, home: Path) -> None:
        self.home, self.store = home, Store(home / "lab.db")
        self.backbone: Backbone | None = None
        self.loaded: tuple[str, str] | None = None
        self.remark = ""  # what a person should know about the run, when its steps have nothing to say

    def live(self) -> None:
        """Works until nothing has been asked for a while; the kernel frees the lock however this ends."""
        lock, is_asked_for = filelock.FileLock(self.home / "worker.lock"), True
        while is_asked_for:
            with lock:
                self.store.sweep(LOST)
                self.work()
            # Somebody may have queued a run after the last look and, seeing the lock held, not started a worker.
            is_asked_for = self.store.has_work()

    def work(self) -> None:
        quiet_since = time.monotonic()
        while True:
            run = self.store.claim()
            if run:
                self.carry_out(run)
            elif not self.answer_one():
                if self.backbone is None or time.monotonic() - quiet_since >= IDLE_SECONDS:
                    return
                time.sleep(0.1)
                continue
            quiet_since = time.monotonic()

    # --- the life of a run

    def carry_out(self, run: Run) -> None:
        """Runs one stage and settles it; any fault ends the run, never the queue."""
        try:
            self.check_needs(run)
            self.settle(run, self.follow(run))
        except WorkbenchError as fault:
            self.store.set_state(run.id, "failed", ("running",), str(fault))
        except Exception as fault:  # the one broad catch: whatever a stage throws belongs to its run, and the queue goes on
            text = traceback.format_exc()
            print(text, file=sys.stderr, flush=True)
            self.store.set_state(run.id, "failed", ("running",), str(out_of_memory(fault)) if is_out_of_memory(fault) else
                                 f"{type(fault).__name__}: {fault} (the whole trace is in {self.home / 'worker.log'})")
        finally:
            self.forget_roles()

    def check_needs(self, run: Run) -> None:
        for name in from_json(run.stage, run.recipe).needs():
            if not (self.home / "adapters" / name / "adapter_config.json").exists():
                source = self.store.run(name)
                raise WorkbenchError(f"it needs {name}, which is {source.state}{': ' + source.error if source.error else ''}. Resume {name}, then resume {run.id}")

    def follow(self, run: Run) -> str:
        """Drives the stage to its end, with smaller micro-batches where memory runs out; returns the state in which it ended."""
        recipe, self.remark = from_json(run.stage, run.recipe), ""
        while True:
            try:
                return self.drive(run, recipe)
            except Exception as fault:
                smaller = recipe.with_less_memory() if is_out_of_memory(fault) else None
                if smaller is None:
                    raise
            self.remark = f"memory ran out with micro_batch {recipe.micro_batch}; going on with {smaller.micro_batch}, which changes no result"
            recipe = smaller
            self.forget_roles()
            gc.collect()  # the fault held on to what the step had made

    def drive(self, run: Run, recipe: Recipe) -> str:
        """Drives the stage's generator from the last checkpoint."""
        from workbench.engine import checkpoints, stages

        self.store.note(run.id, "loading the model")
        backbone = self.backbone_for(root_model(self.store, run.id), recipe.precision)
        state = checkpoints.load(kept.last_of(self.home, run.id))
        if run.parent and state is None:
            raise LabError(f"what {run.id} was to go on from was never copied from {run.parent}; delete it and fork again")
        self.store.rewind(run.id, state.step if state else 0)
        self.store.note(run.id, "loading rows and adapters")
        paces: list[float] = []
        reached, summary = (state.step if state else 0), run.summary  # a run killed after its last step has none left to take
        begun = time.monotonic()
        steps = stages.begin(self.turned(run, recipe, reached + 1), backbone, self.home, state)
        for step in stages.steered(steps, lambda index: self.turned(run, recipe, index)):
            paces.append(time.monotonic() - begun)
            self.log(run, step, paces)
            self.check_health(run, recipe_at(self.store, run, step.index), step.index)
            reached, summary = step.index, step.summary
            wish = self.store.wish_of(run.id)
            is_last = step.index == step.total
            if step.state and (step.is_checkpoint or (wish and not is_last)):
                self.save_checkpoint(run, step)
            if wish and not is_last:
                self.leave_adapter(run, reached, summary)
                self.leave_best(run, reached)
                return {"stop": "stopped", "pause": "paused"}[wish]
            while self.answer_one(between_steps=True):
                pass
            begun = time.monotonic()
        self.leave_adapter(run, reached, summary)
        self.leave_best(run, reached)
        return "done"

    def turned(self, run: Run, recipe: Recipe, step: int) -> Recipe:
        """The recipe of the step that is about to begin; what was asked for meanwhile is recorded as holding from here."""
        return recipe.replace(**{each.knob: each.new for each in changes.take(self.store, run.id, step)})

    def log(self, run: Run, step: Step, paces: list[float]) -> None:
        typical = statistics.fmean(paces[-20:] if len(paces) < 3 else paces[1:][-20:])
        self.store.log(run.id, step.index, step.total, {**step.numbers, "seconds": paces[-1]}, step.note or self.remark, typical)
        if step.samples:
            self.store.add_samples(run.id, step.index, step.samples)
        if step.rollouts:
            rollouts.add(self.store, run.id, step.rollouts)
        if step.verdicts:
            principled.add(self.store, run.id, step.index, step.verdicts)
        if step.revisions:
            principled.add_revisions(self.store, run.id, step.index, step.revisions)
        if step.held_out:
            heldout.put(self.store, run.id, step.held_out)
        if step.doubts:
            desk.set_doubts(self.store, step.doubts)
        if step.comparisons:
            extra = {"run": run.id, "round": run.round}
            self.store.add_comparisons([{**row, **extra, "settings": {**row["settings"], "step": step.index}} for row in step.comparisons])
        if step.summary:
            self.store.summarise(run.id, step.summary)

    def check_health(self, run: Run, recipe: Recipe, step: int) -> None:
        """Raises Unhealthy when the last steps show that going on is pointless; looks back a fixed way, so it stays cheap."""
        rows = self.store.metrics(run.id, step - LOOK_BACK)
        if finding := doctor.halting(run.stage, recipe, rows, judge_of(self.store, recipe), changes.held(self.store, run.id, step)):
            raise Unhealthy(doctor.reason(finding, recipe))

    def save_checkpoint(self, run: Run, step: Step) -> None:
        from workbench.engine import checkpoints

        kept.shelve(self.home, run.id, spared=best.step_of(self.store, self.home, self.store.run(run.id)))
        checkpoints.save(kept.last_of(self.home, run.id), step.state())
        self.store.mark_saved(run.id, step.index)

    def leave_adapter(self, run: Run, step: int, summary: Mapping[str, Any]) -> None:
        from workbench.engine.stages import STAGES

        role = STAGES[run.stage].LEAVES
        if role:
            self.backbone.save(role, self.home / "adapters" / run.id, {"run": run.id, "stage": run.stage, "step": step, "summary": dict(summary)})

    def leave_best(self, run: Run, reached: int) -> None:
        """An adapter of the starred step beside the last one, under a name of its own: ppo-9@200."""
        from workbench.engine import checkpoints
        from workbench.engine.stages import STAGES
        from workbench.engine.step import picked

        for name in best.named(self.home, run.id):
            shutil.rmtree(self.home / "adapters" / name)
        step = best.step_of(self.store, self.home, self.store.run(run.id))
        state = checkpoints.load(kept.folder(self.home, run.id, step)) or checkpoints.load(kept.last_of(self.home, run.id)) if step else None
        if step == reached or state is None or state.step != step:
            return
        role = STAGES[run.stage].LEAVES
        self.backbone.set_tensors(role, picked(state.tensors, role))
        self.backbone.save(role, self.home / "adapters" / f"{run.id}@{step}", {"run": run.id, "stage": run.stage, "step": step, "summary": {}})

    def settle(self, run: Run, state: str) -> None:
        self.store.note(run.id, "")
        self.store.set_state(run.id, state, ("running",))

    # --- the model

    def backbone_for(self, model: str, precision: str) -> Backbone:
        """The base, loaded once for as many runs as want the same."""
        from workbench.engine.backbone import Backbone

        if self.loaded != (model, precision):
            self.backbone = self.loaded = None  # free the old one before the new one comes
            self.backbone, self.loaded = Backbone(model, precision), (model, precision)
        return self.backbone

    def forget_roles(self) -> None:
        for role in self.backbone.roles() if self.backbone else []:
            self.backbone.drop(role)

    def answer_one(self, between_steps: bool = False) -> bool:
        """Answers the oldest waiting question, if there is one that the loaded model can answer."""
        question = waiting(self.store)
        if question is None:
            return False
        model = question.model if isinstance(question, Trial) else question.settings["model"]
        if between_steps and (self.loaded is None or self.loaded[0] != model):
            return False
        from workbench.engine import talk

        try:
            backbone = self.backbone if self.loaded and self.loaded[0] == model else self.backbone_for(model, "auto")
            (talk.score if isinstance(question, Trial) else talk.answer)(self.store, backbone, self.home / "adapters", question)
        except WorkbenchError as fault:
            self.refuse(question, str(fault))
        except Exception as fault:  # a question must never take a training run along
            print(traceback.format_exc(), file=sys.stderr, flush=True)
            self.refuse(question, f"{type(fault).__name__}: {fault} (the whole trace is in {self.home / 'worker.log'})")
        return True

    def refuse(self, question: Comparison | Trial, reason: str) -> None:
        if isinstance(question, Trial):
            trials.write(self.store, question.id, [], "failed", reason)
        else:
            self.store.set_comparison_state(question.id, "failed", reason)


def waiting(store: Store) -> Comparison | Trial | None:
    """The oldest question without an answer, typed replies first: they are short, and somebody is typing. Torch is not imported for this."""
    found = store.comparisons("kind='chat' and state='waiting'", limit=1)
    return trials.waiting(store) or (found[0] if found else None)


def is_out_of_memory(fault: Exception) -> bool:
    return isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(fault)


def out_of_memory(fault: Exception) -> OutOfMemory:
    return OutOfMemory(f"the device ran out of memory ({fault}); lower micro_batch, the batch or the number of tokens, then resume")


def main() -> None:
    faulthandler.enable()
    Worker(Path(sys.argv[1])).live()


if __name__ == "__main__":
    main()
