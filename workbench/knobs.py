"""What a knob is and what a recipe can do: a value with its meaning and limits, written once. The recipes are in recipes.py. No torch."""

from __future__ import annotations

import json
import math
import types
import typing
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from dataclasses import replace as vary
from typing import Any, ClassVar, Self

from workbench import rewards
from workbench.errors import RecipeError

DEFAULT_MODEL = "smollm2-135m"
PRECISIONS = ("auto", "bf16", "fp32", "nf4")


def knob(
    default: Any = MISSING,
    help: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    kind: str = "",
    advanced: bool = False,
    live: bool = False,
    shapes: bool = False,
) -> Any:
    """A recipe's field with its meaning and limits. `kind` names what a text refers to: run:STAGE, adapter, corpus:SHAPE, constitution, reward.

    `live`: it may change while a run goes on. `shapes`: a checkpoint fits no other value of it, so no fork may change it.
    """
    meta = {"help": help, "low": low, "high": high, "choices": choices, "kind": kind, "advanced": advanced, "live": live, "shapes": shapes}
    return field(default=default, metadata=meta)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to do: a frozen set of knobs. Subclasses name their stage."""

    stage: ClassVar[str] = ""
    title: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            check(each, getattr(self, each.name))

    @classmethod
    def knobs(cls) -> list[Field]:
        """The fields in order, each with its metadata (help, low, high, choices, kind, advanced, live, shapes)."""
        return list(fields(cls))

    def needs(self) -> list[str]:
        """The runs and adapters that must exist (or be queued before) for this recipe to work."""
        found = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.metadata["kind"].split(":")[0] in ("run", "adapter") and value:
                found += [part.strip() for part in value.split(",")]
            if each.metadata["kind"] == "reward":
                found += rewards.runs(value)
        return [name for name in found if name != "base"]

    @classmethod
    def named(cls, name: str) -> Field:
        """A knob by its name. Raises RecipeError that lists the knobs when there is none."""
        found = next((each for each in fields(cls) if each.name == name), None)
        if found is None:
            raise RecipeError(f"{cls.__name__} has no knob {name!r}; it has {', '.join(each.name for each in fields(cls))}")
        return found

    @classmethod
    def live_knobs(cls) -> list[str]:
        """The names of the knobs that may change while a run goes on."""
        return [each.name for each in fields(cls) if each.metadata["live"]]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def as_python(self) -> str:
        """A call that makes this recipe, naming only what differs from the defaults."""
        changed = [f"{knob.name}={getattr(self, knob.name)!r}" for knob in self.changed()]
        return f"{type(self).__name__}({', '.join(changed)})"

    def changed(self) -> list[Field]:
        """The knobs that differ from their defaults, those that have none among them."""
        return [knob for knob in self.knobs() if getattr(self, knob.name) != knob.default]

    def replace(self, **changes: Any) -> Self:
        return vary(self, **changes)

    def with_less_memory(self) -> Self | None:
        """Half as much in memory at once, which changes no result; None where there is nothing to halve."""
        knobs = asdict(self)
        whole = knobs.get("minibatch", knobs.get("batch", 1))
        held = min(knobs.get("micro_batch", 1), whole)
        return self.replace(micro_batch=largest_divisor(whole, held // 2)) if held > 1 else None


def check(knob_field: Field, value: Any) -> None:
    """Raises RecipeError when a value has the wrong type or lies outside its limits."""
    meta, name, wanted = knob_field.metadata, knob_field.name, kind_of(knob_field)
    fits = isinstance(value, wanted) and not (isinstance(value, bool) and wanted is not bool)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        fits = True
    if not fits:
        raise RecipeError(f"{name} is {value!r}; it must be a {wanted.__name__} ({meta['help']})")
    if meta["choices"] and value not in meta["choices"]:
        raise RecipeError(f"{name} is {value!r}; choose one of {', '.join(meta['choices'])}")
    if wanted in (int, float):
        low, high = meta["low"], meta["high"]
        if math.isnan(value) or (low is not None and value < low) or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"between {low} and {high}"
            raise RecipeError(f"{name} is {value}; it must be {limits} ({meta['help']})")
    if wanted is str and not value and meta["kind"] and knob_field.default is MISSING:
        raise RecipeError(f"{name} is empty; name {meta['help']}")


def kind_of(knob_field: Field) -> type:
    """The plain type of a knob: int, float, str or bool."""
    hint = knob_field.type
    if isinstance(hint, str):
        hint = {"int": int, "float": float, "str": str, "bool": bool}[hint]
    assert not isinstance(hint, types.UnionType) and typing.get_origin(hint) is None
    return hint


def largest_divisor(number: int, at_most: int) -> int:
    return max(d for d in range(1, max(1, min(number, at_most)) + 1) if number % d == 0)


def check_divides(part: str, size: int, whole: str, total: int) -> None:
    if total % size:
        raise RecipeError(f"{part} {size} does not divide {whole} {total}; try {largest_divisor(total, size)}")
