"""More bugs to plant, each as somebody might write it: on the fast path, in learning, in resuming. See bugs.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.bugs import Plant, around
from workbench.engine import ppo, trunk
from workbench.engine.backbone import Backbone, Head
from workbench.chat import Chat, Encoded
from workbench.engine.rollout import Rows
from workbench.engine.stepper import Stepper
from workbench.engine.layout import Layout
from workbench.engine.trunk import Cache

# --- the fast path


def positions_packed_from_the_padding(real: Any, ids: Tensor, attention: Tensor) -> Layout:
    found = real(ids, attention)
    return found._replace(positions=found.sources % ids.shape[1])


def beginning_read_too_far(real: Any, ids: Tensor, attention: Tensor, shortest: int) -> int:
    """The first row's next token is taken for everybody's."""
    return min(shortest - 1, real(ids, attention, shortest) + 1)


def beginning_unseen(real: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Own tokens attend to own tokens alone."""
    return real(q, k[:, -q.shape[1] :], v[:, -q.shape[1] :])


def beginning_learns_from_the_first_row(patch: pytest.MonkeyPatch) -> None:
    """Keys and values of the beginning get their gradient from one row instead of from all."""
    class Sparing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, count: int) -> Tensor:
            return x.expand(count, *x.shape[1:])

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
            return grad[:1], None

    patch.setattr(trunk, "before_each", Sparing.apply)


def adapter_kept_for_the_next_role(patch: pytest.MonkeyPatch) -> None:
    """What one role fused to score is taken for every other."""
    kept: list[Any] = []
    around(Backbone, "_adapter", lambda real, self: kept[0] if kept and not torch.is_grad_enabled() else (kept.append(real(self)), kept[-1])[1])(patch)


def adapter_kept_from_before_the_update(patch: pytest.MonkeyPatch) -> None:
    kept: dict[Any, Any] = {}

    def wrong(real: Any, self: Backbone) -> Any:
        return real(self) if torch.is_grad_enabled() else kept.setdefault((self, self.active), real(self))

    around(Backbone, "_adapter", wrong)(patch)


def lower_states_of_the_first_batch(patch: pytest.MonkeyPatch) -> None:
    kept: dict[Any, Any] = {}
    around(Backbone, "below", lambda real, self, ids, *rest: kept.setdefault((self, ids.shape), real(self, ids, *rest)))(patch)


def one_layer_too_many(real: Any, self: Backbone, *args: Any) -> Any:
    found = real(self, *args)
    return found and found._replace(count=found.count + 1)


def lower_states_of_the_first_rows(real: Any, self: Rows, where: Any) -> Rows:
    found = real(self, where)
    return found._replace(lower=self.lower and self.lower._replace(states=self.lower.states[: len(found.ids)]))


def keys_of_the_neighbour(real: Any, self: Cache, rows: Tensor) -> None:
    """Values and lengths follow the rows that stay, keys do not."""
    keys = self.keys
    real(self, rows)
    self.keys = [k[: len(rows) * self.heads] for k in keys]


# --- SFT, reward, resume


def relabelled(change: Callable[[Encoded], list[int]]) -> Plant:
    def wrong(real: Any, self: Chat, messages: Any) -> Encoded:
        found = real(self, messages)
        return Encoded(found.ids, change(found))

    return around(Chat, "conversation", wrong)


def without_end_of_turn(encoded: Encoded) -> list[int]:
    following = [*encoded.mask[1:], 0]
    return [int(now and then) for now, then in zip(encoded.mask, following, strict=True)]


def sft_mean_per_micro_batch(real: Any, backbone: Backbone, part: Any) -> Any:
    logps, is_right = real(backbone, part)
    return logps * 8 / len(logps), is_right


def ranks_upside_down(real: Any, scores: Tensor, ranks: Tensor, *more: Any, **asked: Any) -> Tensor:
    return real(scores, torch.where(ranks >= 0, ranks.max() - ranks, ranks), *more, **asked)


def head_starts_large(real: Any, self: Backbone, role: str, seed: int, copy_of: str = "") -> None:
    real(self, role, seed, copy_of)
    self.heads[role].linear.weight.data *= self.width


def calibrated_on_the_mean_alone(real: Any, self: Head, mean: float, spread: float) -> None:
    real(self, mean, 1.0)


def calibrated_on_top(self: Head, mean: float, spread: float) -> None:
    """The reset before measuring has no effect, so the second measurement is of calibrated scores."""
    if (mean, spread) != (0.0, 1.0):
        self.mean.fill_(mean)
        self.spread.fill_(spread)


def optimiser_forgotten(self: Stepper, tensors: Any) -> None:
    self.done = int(tensors["done"])


def schedule_forgotten(real: Any, self: Stepper, tensors: Any) -> None:
    real(self, tensors)
    self.done = 0


def head_forgotten(real: Any, self: Backbone, role: str, tensors: Any) -> None:
    real(self, role, {**tensors, **{name: t for name, t in self.tensors(role).items() if name.startswith("head.")}})


def chance_goes_on(patch: pytest.MonkeyPatch) -> None:
    """One stream of random numbers through the run, instead of one per step."""
    stream = ppo.generator(0)
    patch.setattr(ppo, "generator", lambda *seeds: stream)


def rows_from_the_start_again(patch: pytest.MonkeyPatch) -> None:
    """The order of the rows is counted by the process, not by the run."""
    taken: list[int] = []
    around(ppo, "train", lambda real, *args, **kwargs: (taken.clear(), real(*args, **kwargs))[1])(patch)
    around(ppo, "batch_at", lambda real, rows, step, *rest: (taken.append(step), real(rows, len(taken) - 1, *rest))[1])(patch)
