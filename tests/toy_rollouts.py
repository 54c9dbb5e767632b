"""A recorded rollout that nobody had to train for."""

from __future__ import annotations

from typing import Any

from workbench.records import RolloutRow

ASKED = [{"role": "system", "content": "You run a café."}, {"role": "user", "content": "Are you open?"}]


def row(step: int, place: int, **changes: Any) -> RolloutRow:
    """Three tokens, the last a stop; every figure fits in 32 bits exactly, so that equal means equal."""
    found = {
        "prompt": ASKED, "pieces": ["a", " cat", ""], "ids": [64, 265, 257], "score": 1.0, "gold": 0.5, "finish": "ended",
        "logps": [-1.0, -0.5, -2.0], "reference": [-1.5, -0.25, -2.0], "values": [0.25, 0.5, 0.75], "returns": [1.0, 1.0, 1.0],
        "advantages": [0.5, -0.5, 0.0], "rewards": [-0.125, 0.0625, 1.0], **changes}
    count = len(found["pieces"])
    for name, value in found.items():
        if name in ("ids", "logps", "reference", "values", "returns", "advantages", "rewards") and name not in changes:
            found[name] = (value * count)[:count]
    return RolloutRow(step, place, **found)
