"""What a lab says of a reward model: the part of its verbs that tells how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench import agreement, checks, corpus, frames, heldout, reliability, trust
from workbench.records import HeldOut
from workbench.store import Store
from workbench.verdict import Verdict, verdict


class Trusted:
    """Verbs of a Lab; see lab.py."""

    store: Store
    ceiling: Callable[[], agreement.Ceiling]

    def trust(self, name: str) -> trust.Trust:
        """Accuracy with its interval, noise ceiling, calibration, length and what fools it, from a reward run's held-out rankings."""
        summary = self.store.run(name).summary
        probes = {key.removeprefix("beats_"): share for key, share in summary.items() if key.startswith("beats_") and share is not None}
        return trust.trust(self.held_out_rows(name), self.ceiling_of(name), probes)

    def ceiling_of(self, name: str) -> agreement.Ceiling:
        """The noise ceiling of the labels that a reward run learned from: the lab's own as it is known now, an import's as it was then."""
        run = self.store.run(name)
        if checks.recipe_of(run).preferences in (corpus.RANKINGS, corpus.BOTH):
            return self.ceiling()
        return agreement.Ceiling(**run.summary["ceiling"]) if "ceiling" in run.summary else agreement.ceiling([])

    def verdict(self, name: str) -> Verdict:
        """The same in words: a headline, and what stands behind it."""
        return verdict(self.trust(name))

    def held_out(self, name: str) -> Any:
        """A data frame with a row per held-out reply of a reward run: ranking, prompt, reply, rank, score (raw), tokens, annotator."""
        return frames.of_held_out(self.held_out_rows(name))

    def held_out_rows(self, name: str) -> list[HeldOut]:
        return heldout.read(self.store, self.store.run(name).id)

    def reliability(self, name: str) -> list[reliability.Reliability]:
        """Each annotator of a reward run's held-out rankings: how often the model agrees, reliability beside the others, side bias."""
        return reliability.reliabilities(self.held_out_rows(name))

    def learning_curve(self, name: str) -> Any:
        """A data frame with a row per point: rankings learned from, held-out accuracy, low, high; empty unless the recipe asked for a curve."""
        return frames.of_curve(self.curve_points(name))

    def curve_points(self, name: str) -> list[tuple[float, float, float, float]]:
        """(rankings, accuracy, low, high), fewest rankings first."""
        found: dict[int, dict[str, float]] = {}
        for step, key, value in self.store.metrics(self.store.run(name).id):
            if key.startswith("curve_") and value is not None:
                found.setdefault(step, {})[key.removeprefix("curve_")] = value
        return sorted((p["rankings"], p["accuracy"], p["low"], p["high"]) for p in found.values() if len(p) == 4)
