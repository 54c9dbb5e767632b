"""Knobs and recipes: each value, its meaning and its limits, written once.

Forms, command-line flags, checks and the record of a run all come from these classes. No torch here.
"""

from __future__ import annotations

import json
import math
import types
import typing
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from dataclasses import replace as vary
from typing import Any, ClassVar, Self

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
    """A recipe's field with its meaning and limits. `kind` names what a text refers to: run:STAGE, adapter, corpus:SHAPE.

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
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(changed)})"

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


@dataclass(frozen=True, kw_only=True)
class SftRecipe(Recipe):
    """Supervised fine-tuning: imitate the assistant's side of demonstrations."""

    stage: ClassVar[str] = "sft"
    title: ClassVar[str] = "SFT"

    model: str = knob(DEFAULT_MODEL, "base model: its short name, a local folder, or a hub name", kind="model", shapes=True)
    corpus: str = knob("customer-service", "demonstrations to imitate", kind="corpus:demonstrations")
    steps: int = knob(48, "optimiser steps", low=1, high=100_000)
    batch: int = knob(16, "demonstrations per step", low=1, high=1024)
    lr: float = knob(5e-4, "peak learning rate of the adapter", low=0.0, high=1.0, live=True)
    rank: int = knob(16, "size of the LoRA adapter", low=1, high=256, shapes=True)
    max_tokens: int = knob(320, "longest conversation kept, in tokens", low=16, high=32_768)
    seed: int = knob(0, "makes the run repeatable", low=0)
    start_from: str = knob("", "adapter to continue from; empty starts afresh", kind="adapter", advanced=True, shapes=True)
    alpha: int = knob(32, "strength of the LoRA adapter; alpha / rank scales it", low=1, high=1024, advanced=True, shapes=True)
    layers: int = knob(0, "uppermost layers that are adapted, 0 for all; below them nothing is trained, nor computed twice", low=0, advanced=True, shapes=True)
    dropout: float = knob(0.0, "share of the adapter's inputs dropped while training; 0.05 is usual on a GPU, slow on a CPU", low=0.0, high=0.9, advanced=True)
    warmup: float = knob(0.05, "share of the steps with a rising learning rate", low=0.0, high=1.0, advanced=True)
    micro_batch: int = knob(8, "demonstrations in memory at once; changes memory, not results", low=1, advanced=True)
    held_out: float = knob(0.1, "share of the prompts kept aside to measure eval_loss", low=0.0, high=0.9, advanced=True)
    eval_every: int = knob(20, "steps between two looks at the held-out rows and samples", low=1, advanced=True)
    save_every: int = knob(20, "steps between two checkpoints", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
    max_grad: float = knob(1.0, "gradients longer than this are shortened to it", low=0.0, advanced=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_divides("micro_batch", min(self.micro_batch, self.batch), "batch", self.batch)


@dataclass(frozen=True, kw_only=True)
class ReplyRecipe(Recipe):
    """Sample k replies to each prompt, for people (or the simulated annotator) to rank."""

    stage: ClassVar[str] = "replies"
    title: ClassVar[str] = "Replies to rank"

    adapters: str = knob(help="adapters that answer, comma between them", kind="adapter")
    prompts: str = knob("customer-service", "opening prompts", kind="corpus:prompts")
    count: int = knob(150, "how many prompts", low=1, high=100_000)
    k: int = knob(4, "replies per prompt", low=2, high=8)
    reply_tokens: int = knob(56, "longest reply, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "above 1 more varied, below 1 more careful", low=0.05, high=5.0)
    annotator: str = knob("person", "who ranks: a person on the Preferences tab, or the pack's scoring rule",
                          choices=("person", "simulated"))
    seed: int = knob(0, "makes the run repeatable", low=0)
    batch: int = knob(64, "replies written at once", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)


@dataclass(frozen=True, kw_only=True)
class RewardRecipe(Recipe):
    """Learn from rankings what people prefer: a scalar score for every reply."""

    stage: ClassVar[str] = "reward"
    title: ClassVar[str] = "Reward model"

    sft: str = knob(help="the SFT adapter it starts from and is calibrated on", kind="run:sft", shapes=True)
    preferences: str = knob("rankings", "rankings: this lab's own, or a corpus of preferences", kind="corpus:preferences")
    prompts: str = knob("customer-service", "prompts whose SFT replies set score 0 and spread 1", kind="corpus:prompts")
    epochs: int = knob(2, "times through the rankings", low=1, high=100)
    batch: int = knob(8, "prompts per step, each with all its replies", low=1, high=1024)
    lr: float = knob(5e-4, "peak learning rate", low=0.0, high=1.0, live=True)
    loss: str = knob("pairs", "pairs: every strict pair of a prompt; plackett_luce: the ranking as a whole",
                     choices=("pairs", "plackett_luce"))
    seed: int = knob(0, "makes the run repeatable", low=0)
    centre: float = knob(0.01, "pull of the scores towards 0", low=0.0, high=1.0, advanced=True)
    held_out: float = knob(0.2, "share of the prompts kept aside to measure accuracy", low=0.01, high=0.9, advanced=True)
    calibration: int = knob(64, "prompts answered to calibrate the score", low=2, high=10_000, advanced=True)
    reply_tokens: int = knob(56, "longest reply while calibrating; use PPO's", low=4, high=4096, advanced=True)
    temperature: float = knob(0.7, "sampling temperature while calibrating; use PPO's", low=0.05, high=5.0, advanced=True)
    max_tokens: int = knob(512, "longest conversation scored, in tokens", low=16, high=32_768, advanced=True)
    warmup: float = knob(0.05, "share of the steps with a rising learning rate", low=0.0, high=1.0, advanced=True)
    micro_batch: int = knob(16, "replies in memory at once; changes memory, not results", low=1, advanced=True)
    eval_every: int = knob(10, "steps between two looks at the held-out rankings", low=1, advanced=True)
    save_every: int = knob(20, "steps between two checkpoints", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
    max_grad: float = knob(1.0, "gradients longer than this are shortened to it", low=0.0, advanced=True)


@dataclass(frozen=True, kw_only=True)
class PpoRecipe(Recipe):
    """Raise a learned reward while staying near the SFT policy."""

    stage: ClassVar[str] = "ppo"
    title: ClassVar[str] = "PPO"

    sft: str = knob(help="the SFT adapter: where the policy starts and what it stays near", kind="run:sft", shapes=True)
    reward: str = knob(help="the reward run whose adapter and head score the replies", kind="run:reward", shapes=True)
    prompts: str = knob("customer-service", "prompts to practise on", kind="corpus:prompts")
    steps: int = knob(24, "rounds of answering and learning", low=1, high=100_000)
    batch: int = knob(16, "replies per step", low=2, high=4096)
    lr: float = knob(2e-4, "peak learning rate of the policy", low=0.0, high=1.0, live=True)
    kl_weight: float = knob(0.05, "reward given up per nat of drift from the SFT policy", low=0.0, high=1000.0, live=True)
    reply_tokens: int = knob(56, "longest reply, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "sampling temperature, used in every log-probability", low=0.05, high=5.0, advanced=True, live=True)
    epochs: int = knob(1, "times each batch of replies is learned from", low=1, high=32, advanced=True)
    minibatch: int = knob(4, "replies per update; must divide the batch", low=1, advanced=True)
    micro_batch: int = knob(4, "replies in memory at once; changes memory, not results", low=1, advanced=True)
    value: str = knob("own", "own: the value model has an adapter of its own; shared: only a head on the policy, half the work",
                      choices=("own", "shared"), advanced=True, shapes=True)
    value_lr: float = knob(1e-4, "peak learning rate of the value model", low=0.0, high=1.0, advanced=True, live=True)
    clip: float = knob(0.2, "how far a token's probability may move before it stops counting", low=0.01, high=1.0, advanced=True)
    lam: float = knob(0.95, "GAE lambda: 1 trusts returns, 0 trusts the value model", low=0.0, high=1.0, advanced=True)
    target_kl: float = knob(0.05, "an update that moves further than 1.5 times this ends early (nats per token)",
                            low=0.0, high=10.0, advanced=True, live=True)
    no_end_penalty: float = knob(1.0, "taken off a reply that never ends", low=0.0, high=100.0, advanced=True, live=True)
    sample_every: int = knob(5, "steps between two looks at the fixed prompts, and two checkpoints", low=1, advanced=True)
    look_replies: int = knob(16, "held-out prompts answered at each look, and as many texts, choices and harmless questions read for what is forgotten",
                             low=1, high=1024, advanced=True)
    gold: str = knob("", "a second reward run, never trained on, to judge held-out replies; empty: the pack's rule", kind="run:reward", advanced=True)
    record: float = knob(0.25, "share of each step's replies kept token by token, for the heatmap; 0 keeps none", low=0.0, high=1.0, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
    seed: int = knob(0, "makes the run repeatable", low=0, advanced=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_divides("minibatch", self.minibatch, "batch", self.batch)
        check_divides("micro_batch", min(self.micro_batch, self.minibatch), "minibatch", self.minibatch)


@dataclass(frozen=True, kw_only=True)
class EvaluateRecipe(Recipe):
    """Compare two adapters on held-out prompts: win rate, gold score, drift, length, perplexity."""

    stage: ClassVar[str] = "evaluate"
    title: ClassVar[str] = "Held-out comparison"

    a: str = knob(help="the adapter that is hoped to be better", kind="adapter")
    b: str = knob(help="the adapter it is compared with", kind="adapter")
    prompts: str = knob("customer-service", "held-out prompts", kind="corpus:prompts")
    annotator: str = knob("simulated", "who judges: the pack's scoring rule, or a person later on the Compare tab",
                          choices=("person", "simulated"))
    count: int = knob(64, "how many prompts", low=1, high=100_000)
    reply_tokens: int = knob(56, "longest reply, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "sampling temperature of both", low=0.05, high=5.0)
    seed: int = knob(0, "makes the run repeatable", low=0)
    batch: int = knob(32, "replies written at once", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)


RECIPES: dict[str, type[Recipe]] = {r.stage: r for r in (SftRecipe, ReplyRecipe, RewardRecipe, PpoRecipe, EvaluateRecipe)}


def from_json(stage: str, text: str) -> Recipe:
    """The recipe of a run's row. Raises RecipeError for an unknown stage or knob."""
    if stage not in RECIPES:
        raise RecipeError(f"stage {stage!r} is unknown; there are {', '.join(RECIPES)}")
    known = {f.name for f in fields(RECIPES[stage])}
    values = json.loads(text)
    if strange := set(values) - known:
        raise RecipeError(f"{RECIPES[stage].__name__} has no knob {', '.join(sorted(strange))}; it has {', '.join(sorted(known))}")
    return RECIPES[stage](**values)
