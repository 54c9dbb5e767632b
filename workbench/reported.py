"""What a lab tells of itself: the part of its verbs that sums up rounds and models, and writes reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import changes, course, doctor, report, rounds
from workbench.errors import LabError, NotFound
from workbench.recipes import Recipe
from workbench.records import Run
from workbench.store import Store


class Reported:
    """Verbs of a Lab; see lab.py."""

    home: Path
    store: Store
    run: Callable[[str], Run]
    list_runs: Callable[[], list[Run]]
    recipe: Callable[[str], Recipe]
    metrics: Callable[[str], Any]
    doctor: Callable[[str], list[doctor.Finding]]

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

    def report_text(self, what: str | int) -> str:
        """The same page as text."""
        runs = [self.run(what)] if isinstance(what, str) else [run for run in self.list_runs() if run.round == what]
        if not runs:
            rounds = ", ".join(str(number) for number in sorted({run.round for run in self.list_runs()}))
            raise NotFound(f"no run belongs to round {what}; there are: {rounds or 'none yet'}")
        title = f"Run {what}" if isinstance(what, str) else f"Round {what}"
        return report.page(title, [self._part(run) for run in runs], self.home.name)

    def _part(self, run: Run) -> report.Part:
        recipe, changed = self.recipe(run.id), changes.of(self.store, run.id)
        return report.Part(
            run=run, recipe=recipe, needs=recipe.needs(), metrics=self.metrics(run.id), samples=self.store.samples(run.id),
            findings=self.doctor(run.id) if run.stage in doctor.RULES else (), changes=changed, marks=course.marks(changed))
