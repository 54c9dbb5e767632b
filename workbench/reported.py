"""What a lab tells of itself: the part of its verbs that sums up rounds and models, writes reports, and copies metrics elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import changes, course, mirrors, report, rounds
from workbench.doctor import Finding
from workbench.errors import LabError, NotFound
from workbench.overdone import Overdone
from workbench.recipes import Recipe
from workbench.records import Run
from workbench.store import Store


def by_step(rows: Sequence[tuple[int, str, float | None]]) -> list[tuple[int, dict[str, float]]]:
    """(step, numbers) in order; a gap is left out."""
    found: dict[int, dict[str, float]] = {}
    for step, key, value in rows:
        if value is not None:
            found.setdefault(step, {})[key] = value
    return sorted(found.items())


class Reported:
    """Verbs of a Lab; see lab.py."""

    home: Path
    store: Store
    run: Callable[[str], Run]
    list_runs: Callable[[], list[Run]]
    recipe: Callable[[str], Recipe]
    recipe_now: Callable[[str], Recipe]
    metrics: Callable[[str], Any]
    over_optimisation: Callable[[str], Overdone]
    doctor: Callable[[str], list[Finding]]
    grounds: Callable[[str, Sequence[Finding]], list[str]]

    def ladder(self) -> list[rounds.Rung]:
        """Every finished SFT and PPO model, oldest first: gold score, win rate beside its SFT model, KL, length, alignment tax, staleness."""
        return rounds.ladder(self.store)

    def rounds(self) -> list[rounds.Round]:
        """Every round: its runs, its rankings by source, and signs of collapse to watch for."""
        return rounds.rounds(self.store)

    def report(self, what: str | int, path: str | Path) -> Path:
        """Writes one HTML file, with nothing outside it, of a run ("ppo-1") or of all runs of a round (2).

        Raises NotFound when there is no such run or round, LabError when the file cannot be written.
        """
        target = Path(path).expanduser()
        try:
            target.write_text(self.report_text(what), encoding="utf-8")
        except OSError as fault:
            raise LabError(f"cannot write {target}: {fault.strerror}; choose a folder that exists and that you may write to") from fault
        return target

    def mirror(self, name: str, to: str, folder: str | Path = "", follow: bool = False) -> int:
        """Copies a run's metrics to "tensorboard" (into `folder`), "trackio", "wandb" or "mlflow"; returns how many steps.

        With `follow` it goes on until the run is over. Nothing is ever read back. Raises LabError when the tracker is not installed.
        """
        run, done, seen = self.run(name), 0, 0
        mirror = mirrors.open_mirror(to, run, asdict(self.recipe(name)), Path(folder).expanduser() if folder else self.home / "tensorboard")
        try:
            while True:
                is_over = self.run(name).is_over  # asked before reading, so that nothing logged in between is missed
                for step, numbers in by_step(self.store.metrics(name, seen)):
                    mirror.log(step, numbers, time.time())
                    done, seen = done + 1, step
                if is_over or not follow:
                    return done
                time.sleep(1.0)
        finally:
            mirror.close()

    def report_text(self, what: str | int) -> str:
        """The same page as text."""
        runs = [self.run(what)] if isinstance(what, str) else [run for run in self.list_runs() if run.round == what]
        if not runs:
            there = ", ".join(str(number) for number in sorted({run.round for run in self.list_runs()}))
            raise NotFound(f"no run belongs to round {what}; there are: {there or 'none yet'}")
        title = f"Run {what}" if isinstance(what, str) else f"Round {what}"
        rungs = {each.adapter: each for each in self.ladder()}
        return report.page(title, [self._part(run, rungs.get(run.id)) for run in runs], self.home.name)

    def _part(self, run: Run, rung: rounds.Rung | None) -> report.Part:
        recipe, changed, found = self.recipe(run.id), changes.of(self.store, run.id), self.doctor(run.id)
        looks = self.over_optimisation(run.id) if run.stage == "ppo" else None
        return report.Part(
            run=run, recipe=recipe, now=self.recipe_now(run.id), needs=recipe.needs(), metrics=self.metrics(run.id), samples=self.store.samples(run.id),
            findings=found, grounds=self.grounds(run.id, found), changes=changed, marks=course.marks(changed), rung=rung, overdone=looks)
