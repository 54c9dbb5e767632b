"""What a lab does to a run on its way: the part of its verbs that changes knobs, forks and sweeps. The worker carries it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import changes, checks, course, cures, frames, kept
from workbench.doctor import Finding
from workbench.errors import LabError
from workbench.recipes import Recipe
from workbench.records import LIVE, Change, Run
from workbench.store import Store


class Steered:
    """Verbs of a Lab; see lab.py."""

    home: Path
    store: Store
    run: Callable[[str], Run]
    doctor: Callable[[str], list[Finding]]
    start: Callable[[Recipe], Run]
    ensure_worker: Callable[[], None]

    def change(self, name: str, **knobs: Any) -> list[Change]:
        """Changes live knobs of a run from its next step on: lab.change("ppo-1", kl_weight=0.1). Repeated when it is resumed.

        Raises RecipeError for a knob that is unknown, not live or out of its limits, and LabError when the run is over.
        """
        return course.change(self.store, self.run(name), knobs)

    def changes(self, name: str) -> Any:
        """A data frame of what was changed on the way: knob, old, new, asked, step (from which it applies), origin."""
        return frames.of_changes(changes.of(self.store, self.store.run(name).id))

    def recipe_now(self, name: str, step: int | None = None) -> Recipe:
        """The recipe with which a run takes its next step, or took a step: as it began, and what was changed since."""
        return checks.recipe_at(self.store, self.store.run(name), step)

    def kept_steps(self, name: str) -> list[int]:
        """The steps whose checkpoints are kept, from which `fork` can go on."""
        return kept.steps(self.home, name)

    def fork(self, name: str, step: int | None = None, **knobs: Any) -> Run:
        """Queues a run that goes on from a kept checkpoint of another (by default the last), with these knobs changed.

        Without a change it ends bit for bit where its parent ends (on a CPU); with another batch it sees other batches from there.
        Raises LabError when that step was not kept, RecipeError for a knob that the checkpoint does not fit.
        """
        made = course.fork(self.store, self.home, self.run(name), step, knobs)
        self.ensure_worker()
        return made

    def cure(self, name: str, rule: str = "") -> Run:
        """Takes the remedy of what the doctor finds (of the first finding, or of a rule such as "D-22") the best way there is.

        Returns the run that was changed, or the fork or new run that was queued; a run that is forked from its best step is stopped.
        Raises LabError when there is no such finding, or nothing to do about it now.
        """
        found = [each for each in self.doctor(name) if rule in ("", each.rule)]
        if not found:
            raise LabError(f"the doctor does not find {rule or 'anything wrong'} in {name}" + (" any more" if rule else ""))
        run, finding = self.run(name), found[0]
        cure = cures.of(self.store, self.home, run, finding)
        match cure.way:
            case "change":
                self.change(name, **cure.knobs)
                return run
            case "fork":
                made = self.fork(name, cure.step, **cure.knobs)
                if cure.is_best and run.state in LIVE:
                    course.wish(self.store, run, "stop")
                return made
            case "start":
                return self.start(self.recipe_now(name).replace(**cure.knobs))
        raise LabError(cure.wait or f"no knob of {name} mends this: {finding.advice}")

    def sweep(self, of: Recipe | str, step: int | None = None, **values: Any) -> list[Run]:
        """Queues a run per combination of values: sweep(recipe, kl_weight=[0.02, 0.1]); of a run's id, forks of it at a step.

        Raises what `start` and `fork` raise, before anything is queued.
        """
        recipe = self.recipe_now(of) if isinstance(of, str) else of
        found = course.combinations(recipe, values)
        if isinstance(of, str):
            for each in found:
                course.fit(self.store, self.home, self.run(of), step, each)
            return [self.fork(of, step, **each) for each in found]
        recipes = [recipe.replace(**each) for each in found]
        for each in recipes:
            checks.check_new(self.store, each)
        return [self.start(each) for each in recipes]
