"""What a lab shows of how PPO runs went: reward against drift, over-optimisation, the best step. Verbs that read a few curves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import best, curves, frontier
from workbench.errors import LabError
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

    def frontier(self, *names: str, root: bool = True, reward: str = "score") -> Any:
        """A Plotly figure of reward against drift, a line per PPO run and a point per step, with best-of-n as the reference.

        Drift is the root of the KL per reply, or with root=False the KL in nats; `reward` may be "gold" where a rule judges.
        """
        from workbench import plots

        if not names:
            raise LabError("name the PPO runs to compare, as in lab.frontier('ppo-1', 'ppo-2')")
        prefix = {"gold": "gold_best_of_"}.get(reward, "best_of_")
        keys = ["kl_seq", reward, *(f"{prefix}{n}" for n in frontier.SIZES)]
        runs = {name: curves.series(self.store, self.run(name).id, keys) for name in names}
        references = (frontier.reference(series, prefix) for series in runs.values())
        return plots.frontier(runs, next(filter(None, references), []), root, reward)
