"""What a lab shows of how PPO runs went: reward against drift, over-optimisation, the best step. Verbs that read a few curves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import best, checks, curves, frames, frontier, overdone
from workbench.errors import LabError
from workbench.overdone import Overdone
from workbench.records import Run
from workbench.store import Store


class Watched:
    """Verbs of a Lab; see lab.py."""

    home: Path
    store: Store
    run: Callable[[str], Run]

    def best_step(self, name: str) -> int | None:
        """The step of a PPO run with the highest held-out gold score that can still be had; None where nobody judged."""
        return best.step_of(self.store, self.home, self.run(name))

    def best_adapter(self, name: str) -> str:
        """The adapter to compare and to export: that of the best step (ppo-9@200) where one was kept, else the run's own."""
        run = self.run(name)
        return best.adapter_of(self.home, run, best.step_of(self.store, self.home, run))

    def over_optimisation(self, name: str) -> Overdone:
        """Held-out proxy and gold of a PPO run over drift, with Gao et al.'s curve where there are at least four looks; see `plot_gold`."""
        return overdone.read(self.store, self.home, self.run(name))

    def plot_gold(self, name: str) -> Any:
        """A Plotly figure of the gains in held-out proxy and gold over drift, with the fitted curve, its interval and the starred step."""
        from workbench import plots_drift

        return plots_drift.gold(self.over_optimisation(name), name)

    def overlay(self, *names: str) -> Any:
        """A Plotly figure of several runs of one stage over each other; `differences` says in which knobs they differ. Raises LabError."""
        from workbench import plots, plots_drift

        stages = list(dict.fromkeys(self.run(name).stage for name in names))
        if len(stages) != 1:
            raise LabError(f"name runs of one stage to lay over each other; {', '.join(names) or 'none'} are of {', '.join(stages) or 'no stage'}")
        keys = [key for _, key in plots.compared(stages[0])] or ["loss"]
        return plots_drift.overlay(stages[0], {name: curves.series(self.store, name, keys) for name in names})

    def differences(self, *names: str) -> Any:
        """A data frame of the knobs in which runs differ, as they are now: a row per knob, a column per run."""
        return frames.of_differences({name: checks.recipe_at(self.store, self.run(name)) for name in names})

    def frontier(self, *names: str, root: bool = True, reward: str = "score") -> Any:
        """A Plotly figure of reward against drift, a line per PPO run and a point per step, with best-of-n as the reference.

        Drift is the root of the KL per reply, or with root=False the KL in nats; `reward` may be "gold" where a rule judges.
        """
        from workbench import plots_drift

        if not names:
            raise LabError("name the PPO runs to compare, as in lab.frontier('ppo-1', 'ppo-2')")
        prefix = {"gold": "gold_best_of_"}.get(reward, "best_of_")
        keys = ["kl_seq", reward, *(f"{prefix}{n}" for n in frontier.SIZES)]
        runs = {name: curves.series(self.store, self.run(name).id, keys) for name in names}
        references = (frontier.reference(series, prefix) for series in runs.values())
        return plots_drift.frontier(runs, next(filter(None, references), []), root, reward)
