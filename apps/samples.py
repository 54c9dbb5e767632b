"""What the sample browser asks, and only when somebody looks: a step's replies, one reply token by token, the same prompt at another step.

Replies are of two sources: "held", to held-out prompts that are the same at every look, and "practice", those that PPO learned from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.page import public
from workbench import curves
from workbench.errors import NotFound
from workbench.lab import Lab
from workbench.records import RolloutRow

STEPS = 5000  # newest on the slider
REPLIES = 200  # of one step in the list
EXCERPT = 160  # characters of a prompt or a reply in the list
SOURCES = ("held", "practice")
Answer = Callable[[Any], dict[str, Any]]


def functions(lab: Lab) -> tuple[Answer, Answer, Answer]:
    @public
    def replies(question: dict[str, Any]) -> dict[str, Any]:
        return listed(lab, str(question["run"])[:80], str(question.get("source", "")), int(question["step"]), int(question.get("known", -1)))

    @public
    def reply(question: dict[str, Any]) -> dict[str, Any]:
        name, step, place = str(question["run"])[:80], int(question["step"]), int(question["place"])
        return one_held(lab, name, step, place) if question.get("source") == "held" else one_practised(lab, name, step, place)

    @public
    def other(question: dict[str, Any]) -> dict[str, Any]:
        name, at, place = str(question["run"])[:80], int(question["at"]), int(question["place"])
        if question.get("source") == "held":
            return {"at": at, "reply": sample(lab, name, at, place)["reply"]}
        asked = lab.rollout(name, int(question["step"]), place).prompt
        return {"at": at, "reply": next((row["reply"] for row in lab.rollout_heads(name, at) if row["prompt"] == asked), "")}

    return replies, reply, other


def listed(lab: Lab, name: str, source: str, step: int, known: int = -1) -> dict[str, Any]:
    """The replies of a step as lines, of the newest where the step has none; without a source, of the first that has any.

    Of the steps only those after `known` are told.
    """
    steps = {"held": curves.looked(lab.store, lab.run(name).id), "practice": lab.rollout_steps(name)}
    source = source if source in SOURCES and steps[source] else next((each for each in SOURCES if steps[each]), "held")
    shown = steps[source][-STEPS:]
    step = step if step in shown else (shown or [0])[-1]
    found = lab.samples_at(name, step) if source == "held" else lab.rollout_heads(name, step)
    rows = [held_line(each) if source == "held" else line(each) for each in found[:REPLIES]]
    return {"run": name, "source": source, "sources": [each for each in SOURCES if steps[each]], "steps": [each for each in shown if each > known],
            "step": step, "rows": rows, "record": getattr(lab.recipe(name), "record", None)}


def line(found: Mapping[str, Any]) -> dict[str, Any]:
    """A practised reply as a line of the list."""
    figures = {name: figure(found[name]) for name in ("score", "gold", "reward", "kl")}
    return {"place": found["place"], "prompt": found["prompt"][-1]["content"][:EXCERPT], "reply": found["reply"][:EXCERPT], "tokens": found["tokens"],
            "finish": found["finish"], **figures}


def held_line(found: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: figure(found["record"].get(name)) for name in ("score", "gold", "kl")}
    return {"place": found["place"], "prompt": found["prompt"][-1]["content"][:EXCERPT], "reply": found["reply"][:EXCERPT],
            "tokens": found["record"].get("tokens"), "finish": "", "reward": None, **figures}


def sample(lab: Lab, name: str, step: int, place: int) -> dict[str, Any]:
    """A reply to a held-out prompt. Raises NotFound."""
    found = [row for row in lab.samples_at(name, step) if row["place"] == place]
    if not found:
        raise NotFound(f"{name} has no sample {place} at step {step}")
    return found[0]


def one_held(lab: Lab, name: str, step: int, place: int) -> dict[str, Any]:
    """A reply to a held-out prompt, its tokens where they were kept, and every other look at the same prompt."""
    row = sample(lab, name, step, place)
    told, figured = row["record"].get("told"), None
    if told:
        logps, reference = told["logps"], told["reference"]
        figured = {"kl": [a - b for a, b in zip(logps, reference, strict=True)], "policy": [math.exp(x) for x in logps],
                   "reference": [math.exp(x) for x in reference], "shift": [math.exp(a) - math.exp(b) for a, b in zip(logps, reference, strict=True)]}
    tokens = {"pieces": told["pieces"], "ids": told["ids"], "figures": {key: figures(values) for key, values in figured.items()}} if told else {}
    return {"step": step, "place": place, "prompt": row["prompt"][-1]["content"], "reply": row["reply"], "finish": "", "kl_weight": weight(lab, name, step),
            "others": [each for each in curves.looked(lab.store, name) if each != step][-STEPS:], **tokens}


def one_practised(lab: Lab, name: str, step: int, place: int) -> dict[str, Any]:
    """A practised reply with a list per quantity, each as long as its tokens, and the other steps at which its prompt was recorded."""
    row = lab.rollout(name, step, place)
    return {**told(row, weight(lab, name, step)), "reply": row.reply, "others": lab.recorded_again(name, row.prompt, step)}


def weight(lab: Lab, name: str, step: int) -> float | None:
    return getattr(lab.recipe_now(name, step), "kl_weight", None)


def told(row: RolloutRow, kl_weight: float | None) -> dict[str, Any]:
    lists = {"kl": row.kl, "advantage": row.advantages, "value": row.values, "shift": row.shifts, "reward": row.rewards, "return": row.returns,
             "policy": [math.exp(x) for x in row.logps], "reference": [math.exp(x) for x in row.reference]}
    return {"step": row.step, "place": row.place, "prompt": row.prompt[-1]["content"], "pieces": row.pieces, "ids": row.ids, "finish": row.finish,
            "kl_weight": kl_weight, "figures": {name: figures(values) for name, values in lists.items()}}


def figures(values: Sequence[float]) -> list[float | None]:
    return [figure(value) for value in values]


def figure(value: float | None) -> float | None:
    """Six digits are more than anybody reads; what is not finite becomes a gap."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
