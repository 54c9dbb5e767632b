"""What the rollouts box asks, and only when somebody looks: which steps were recorded, a step's replies, one reply's tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from apps.page import public
from workbench.lab import Lab
from workbench.records import RolloutRow

STEPS = 5000  # newest on the slider
REPLIES = 200  # of one step in the list
EXCERPT = 160  # characters of a reply in the list
Answer = Callable[[Any], dict[str, Any]]


def functions(lab: Lab) -> tuple[Answer, Answer]:
    @public
    def rollouts(question: dict[str, Any]) -> dict[str, Any]:
        name, step = str(question["run"])[:80], int(question["step"])
        steps = lab.rollout_steps(name)[-STEPS:]
        step = step if step in steps else (steps or [0])[-1]
        return {"run": name, "steps": steps, "step": step, "rows": [head(each) for each in lab.rollout_heads(name, step)[:REPLIES]],
                "keeps": getattr(lab.recipe(name), "record", 0) > 0}

    @public
    def tokens(question: dict[str, Any]) -> dict[str, Any]:
        name, step = str(question["run"])[:80], int(question["step"])
        return told(lab.rollout(name, step, int(question["place"])), getattr(lab.recipe_now(name, step), "kl_weight", None))

    return rollouts, tokens


def head(found: dict[str, Any]) -> dict[str, Any]:
    """A reply as a line of the list."""
    figures = {name: figure(found[name]) for name in ("score", "gold", "reward", "kl")}
    return {"place": found["place"], "reply": found["reply"][:EXCERPT], "tokens": found["tokens"], "finish": found["finish"], **figures}


def told(row: RolloutRow, kl_weight: float | None) -> dict[str, Any]:
    """A reply with a list per quantity, each as long as its tokens."""
    lists = {"kl": row.kl, "advantage": row.advantages, "value": row.values, "shift": row.shifts, "reward": row.rewards, "return": row.returns,
             "policy": [math.exp(x) for x in row.logps], "reference": [math.exp(x) for x in row.reference]}
    return {"step": row.step, "place": row.place, "prompt": row.prompt[-1]["content"], "pieces": row.pieces, "ids": row.ids, "finish": row.finish,
            "kl_weight": kl_weight, "figures": {name: figures(values) for name, values in lists.items()}}


def figures(values: Sequence[float]) -> list[float | None]:
    return [figure(value) for value in values]


def figure(value: float | None) -> float | None:
    """Six digits are more than anybody reads; what is not finite becomes a gap."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
