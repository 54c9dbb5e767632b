"""What a stage yields, and what it needs to go on from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from workbench.records import Doubt, HeldOut, Messages, RolloutRow


class State(NamedTuple):
    """A checkpoint: the step it was taken after, tensors by name, and plain numbers."""

    step: int
    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, float]


class Sample(NamedTuple):
    """A reply to a fixed prompt while training, with numbers about it."""

    prompt: Messages
    reply: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """What happened in one step. Saves nothing, prints nothing: that is the worker's business."""

    index: int  # from 1
    total: int
    numbers: Mapping[str, float]
    state: Callable[[], State] | None = None  # asks for a checkpoint of this very moment
    is_checkpoint: bool = False  # whether now is a good moment for one
    samples: Sequence[Sample] = ()
    rollouts: Sequence[RolloutRow] = ()
    comparisons: Sequence[Mapping[str, Any]] = ()
    verdicts: Sequence[Mapping[str, Any]] = ()
    revisions: Sequence[Mapping[str, Any]] = ()
    doubts: Sequence[Doubt] = ()
    held_out: Sequence[HeldOut] = ()  # all of them, or none where nobody looked
    note: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)


def gathered(**groups: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of several owners under one roof: {"policy": {...}} becomes {"policy/...": ...}."""
    return {f"{group}/{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def picked(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    return {name.split("/", 1)[1]: tensor for name, tensor in tensors.items() if name.split("/", 1)[0] == group}
