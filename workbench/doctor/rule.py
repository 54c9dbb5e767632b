"""What a rule is: a question to a trace, and the words and remedies that go with a yes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from workbench.doctor.trace import Trace
from workbench.recipes import Recipe

Severity = Literal["info", "warn", "stop"]
SEVERITIES: tuple[Severity, ...] = ("stop", "warn", "info")


class Case(NamedTuple):
    """A run as the doctor sees it; `reward` is the summary of the reward run that PPO leans on, empty elsewhere.

    `held` names, of each knob that a fork or a live change moved, the first step with its present value.
    """

    recipe: Any  # the stage's own recipe: each rule reads the knobs of its stage
    trace: Trace
    reward: Mapping[str, Any]
    held: Mapping[str, int] = {}

    def begun(self, *knobs: str) -> int:
        """The first step at which all these knobs had their present values."""
        return max((self.held.get(knob, 1) for knob in knobs), default=1)

    def present(self, *knobs: str) -> Trace:
        """The steps with the present values of these knobs, on which a rule about the worst step judges; all while there is none yet."""
        begun = self.begun(*knobs)
        return self.trace.since_step(begun) if 1 < begun <= self.trace.steps else self.trace


class Sign(NamedTuple):
    """A rule's yes: since which step, by which figures, and how bad if not as bad as the rule says."""

    since: int
    figures: Mapping[str, float]
    severity: Severity | None = None
    knobs: Mapping[str, float] = {}  # what the figures themselves say a knob should be, at least


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`explains` names the rules that this one causes: their findings are folded under it."""

    id: str
    title: str
    severity: Severity
    sees: Callable[[Case], Sign | None]
    meaning: str  # two sentences for somebody new to this
    advice: str  # one sentence: what to do first
    changes: Mapping[str, Callable[[float], float]] = field(default_factory=dict)  # knob -> its new value from the old
    explains: tuple[str, ...] = ()
    goes_back: bool = False  # what was learned since the held-out rule was at its best is to be unlearned
    is_heuristic: bool = True  # its threshold is our judgement, not arithmetic or a source

    def remedy(self, recipe: Recipe, measured: Mapping[str, float] | None = None) -> dict[str, Any]:
        """The changes as values that the recipe accepts; knobs that would stay as they are, or cannot move, are left out.

        `measured` are knobs that the figures of a finding ask for.
        """
        found: dict[str, Any] = {}
        changes = {**self.changes, **{name: at_least(value) for name, value in (measured or {}).items()}}
        for knob in recipe.knobs():
            if knob.name in changes:
                old, meta = getattr(recipe, knob.name), knob.metadata
                new = float(f"{changes[knob.name](old):.2g}")
                new = max(meta["low"], new) if meta["low"] is not None else new
                new = min(meta["high"], new) if meta["high"] is not None else new
                new = round(new) if isinstance(old, int) else new
                if new != old:
                    found[knob.name] = new
        return found


def times(factor: float) -> Callable[[float], float]:
    return lambda old: old * factor


def at_least(value: float) -> Callable[[float], float]:
    return lambda old: max(old, value)


def at_most(value: float) -> Callable[[float], float]:
    return lambda old: min(old, value)


def to(value: float) -> Callable[[float], float]:
    return lambda old: value


def either(value: float, factor: float) -> Callable[[float], float]:
    """The old value times a factor; where it is 0, the given value."""
    return lambda old: old * factor if old else value
