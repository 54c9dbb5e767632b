"""Bugs to plant in the engine, each as somebody might write it: a monkeypatch of the real functions.

A plant takes pytest's monkeypatch. Which claim must notice which bug is written in test_engine_mutants.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from workbench.engine import maths, ppo, sampling
from workbench.engine.backbone import Backbone, Head
from workbench.engine.rollout import Rows
from workbench.engine.sampling import Replies
from workbench.engine.stepper import Stepper

Plant = Callable[[pytest.MonkeyPatch], None]


def around(owner: Any, name: str, wrong: Callable[..., Any]) -> Plant:
    """Puts wrong(real, *args) in the place of a function."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        real = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **kwargs: wrong(real, *args, **kwargs))

    return plant


# --- roles


class Dropout(nn.Module):
    """An adapter's dropout that stays on when it ought to be off."""

    def __init__(self, only_in_training: bool) -> None:
        super().__init__()
        self.only_in_training = only_in_training

    def forward(self, x: Tensor) -> Tensor:
        is_on = torch.is_grad_enabled() or not self.only_in_training
        return nn.functional.dropout(x, 0.2, training=is_on)


def dropout_on(only_in_training: bool, *roles: str) -> Plant:
    """On both paths: in PEFT's modules, and on the inputs of what the fast path fuses."""
    drop = Dropout(only_in_training)

    def wrong(real: Any, self: Backbone, role: str, of: str) -> None:
        real(self, role, of)
        for module in self.base.modules():
            if isinstance(module, LoraLayer) and role in roles:
                module.lora_dropout[role] = drop

    def fused(real: Any, self: Backbone) -> Any:
        found = real(self)
        if self.active not in roles:
            return found
        return [{group: lora and lora._replace(down=drop(lora.down)) for group, lora in layer.items()} for layer in found]

    def plant(patch: pytest.MonkeyPatch) -> None:
        around(Backbone, "copy", wrong)(patch)
        around(Backbone, "_adapter", fused)(patch)

    return plant


def reference_is_the_base(real: Any, backbone: Backbone, role: str, *args: Any, **rest: Any) -> Any:
    return real(backbone, "base" if role == "sft" else role, *args, **rest)


def policy_not_copied(real: Any, backbone: Backbone, role: str, of: str) -> None:
    if role == "policy":
        backbone.add("policy", 8, 16, 0.0, seed=0)
    else:
        real(backbone, role, of)


def roles_switched_before_backward(patch: pytest.MonkeyPatch) -> None:
    """Another adapter is made active between the policy's forward and its backward."""
    inside: list[Backbone] = []
    real_role, real_loss = Backbone.role, maths.policy_loss

    @contextmanager
    def role(self: Backbone, name: str, train: bool = False, head: str = "") -> Iterator[None]:
        inside[:] = [self]
        with real_role(self, name, train, head):
            yield

    def loss(*args: Any, **kwargs: Any) -> maths.PolicyLoss:
        found = real_loss(*args, **kwargs)
        inside[0].peft.base_model.set_adapter("value")
        return found

    patch.setattr(Backbone, "role", role)
    patch.setattr(maths, "policy_loss", loss)


def head_left_frozen(real: Any, self: Backbone, name: str, train: bool = False, head: str = "") -> Any:
    return real(self, name, train)


def optimiser_of_the_wrong_role(real: Any, self: Stepper, backbone: Backbone, role: str, *args: Any) -> None:
    real(self, backbone, "policy" if role == "value" else role, *args)


def head_copied_without_its_calibration(self: Head) -> None:
    self.calibrate(0.0, 1.0)


# --- what a model reads


def positions_counted_from_the_padding(real: Any, self: Backbone, ids: Tensor, attention: Tensor, cache: Any = None, positions: Tensor | None = None) -> Tensor:
    return real(self, ids, attention, cache, torch.arange(ids.shape[1]).expand_as(ids) if positions is None else positions)


def attention_mask_missing(patch: pytest.MonkeyPatch) -> None:
    """Padding is read like words: by transformers, or packed along with them."""

    def hidden(real: Any, self: Backbone, ids: Tensor, attention: Tensor, cache: Any = None, positions: Tensor | None = None) -> Tensor:
        places = (attention.cumsum(1) - 1).clamp(min=0) if positions is None else positions
        return real(self, ids, torch.ones_like(attention), cache, places)

    def states(real: Any, self: Backbone, ids: Tensor, attention: Tensor, *rest: Any) -> Tensor:
        return real(self, ids, torch.ones_like(attention) if self.is_fast() else attention, *rest)

    around(Backbone, "hidden", hidden)(patch)
    around(Backbone, "states", states)(patch)


def score_without_closing_end(real: Any, backbone: Backbone, role: str, rows: Rows, size: int) -> Tensor:
    is_last = rows.attention.cumsum(1) == rows.attention.sum(1, keepdim=True)
    return real(backbone, role, rows._replace(attention=rows.attention * ~is_last), size)


def last_place_by_token(real: Any, backbone: Backbone, role: str, ids: Tensor, attention: Tensor, *rest: Any) -> Tensor:
    return real(backbone, role, ids, attention * (ids != backbone.chat.end_of_turn), *rest)


def last_column(backbone: Backbone, role: str, ids: Tensor, attention: Tensor, *_: Any) -> Tensor:
    """Of the replies. The very last one says what the right place says: it closes every row, and nothing sees it but itself."""
    return backbone.heads[role](backbone.hidden(ids, attention)[:, -2])


def values_one_token_late(real: Any, rows: Rows, ended: Tensor, logps: Tensor, reference: Tensor, values: Tensor, *args: Any) -> Any:
    return real(rows, ended, logps, reference, torch.cat([values[:, 1:], values[:, -1:]], 1), *args)


# --- replies


def answers(wrong: Callable[..., Any]) -> Plant:
    """A decoder whose finished replies come out as wrong(backbone, replies)."""
    return around(sampling, "answer", lambda real, backbone, *args: wrong(backbone, real(backbone, *args)))


def end_not_in_the_mask(backbone: Backbone, replies: Any) -> Any:
    return replies._replace(mask=replies.mask * ~torch.isin(replies.ids, torch.tensor(backbone.chat.stops)))


def mask_from_the_pad_token(real: Any, replies: Replies, end_of_turn: int) -> Rows:
    return real(replies, end_of_turn)._replace(mask=replies.mask * (replies.ids != 0))


def only_one_stop_counts(backbone: Backbone, replies: Any) -> Any:
    return replies._replace(ended=((replies.ids == backbone.chat.end_of_turn) & replies.mask.bool()).any(1))


def mask_beyond_the_end(backbone: Backbone, replies: Any) -> Any:
    return replies._replace(mask=torch.ones_like(replies.mask))


def top_k(real: Any, logits: Tensor, *args: Any) -> Any:
    least = logits.topk(min(20, logits.shape[-1])).values[..., -1:]
    return real(logits.masked_fill(logits < least, -1e9), *args)


def temperature_forgotten_in_generation(real: Any, backbone: Backbone, prompts: Any, reply_tokens: int, temperature: float, *args: Any) -> Any:
    return real(backbone, prompts, reply_tokens, 1.0, *args)


def temperature_forgotten_in_the_update(real: Any, self: Backbone, states: Tensor, ids: Tensor, temperature: float = 1.0) -> Any:
    return real(self, states, ids, 1.0 if torch.is_grad_enabled() else temperature)


# --- credit and update


def old_logps_of_the_decoder(patch: pytest.MonkeyPatch) -> None:
    said: list[Replies] = []
    around(sampling, "answer", lambda real, *args: (said.append(real(*args)), said[-1])[1])(patch)
    around(ppo, "credit", lambda real, rows, ended, _, *rest: real(rows, ended, said[-1].logps * rows.mask, *rest))(patch)


def kl_over_padding(patch: pytest.MonkeyPatch) -> None:
    def wrong(real: Any, backbone: Backbone, role: str, rows: Rows, *args: Any, **rest: Any) -> Any:
        attention = rows.attention.clone()
        attention[:, -rows.mask.shape[1] - 1 : -1] = 1
        return real(backbone, role, rows._replace(attention=attention, mask=torch.ones_like(rows.mask)), *args, **rest)

    around(ppo, "score_tokens", wrong)(patch)
    patch.setattr(maths, "kl_per_token", lambda logps, reference, mask: logps - reference)


def kl_per_token_mean(real: Any, logps: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    return real(logps, reference, mask) / mask.sum(1, keepdim=True)


def k3_in_the_reward(real: Any, logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return real(logps, reference, score, mask, 0.0) - kl_weight * maths.k3(logps, reference, mask)


def score_on_the_first_token(real: Any, logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    found = real(logps, reference, torch.zeros_like(score), mask, kl_weight)
    return torch.cat([found[:, :1] + score[:, None], found[:, 1:]], 1)


def score_on_the_last_column(real: Any, logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    found = real(logps, reference, torch.zeros_like(score), mask, kl_weight)
    return torch.cat([found[:, :-1], found[:, -1:] + score[:, None]], 1)


def blind_to_the_mask(real: Any, *tensors: Tensor, **rest: Any) -> Any:
    """For formulas whose last tensor is the mask."""
    return real(*tensors[:-1], torch.ones_like(tensors[-1]), **rest)


def whitened_per_micro_batch(real: Any, logps: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, *args: Any, **rest: Any) -> maths.PolicyLoss:
    return real(logps, old, maths.whiten(advantages, mask), mask, *args, **rest)


def mean_per_micro_batch(real: Any, *args: Any, **rest: Any) -> Any:
    given = signature(real).bind(*args, **rest)
    given.arguments.pop("total")
    return real(*given.args, **given.kwargs)


def advantages_not_masked(patch: pytest.MonkeyPatch) -> None:
    around(maths, "gae", blind_to_the_mask)(patch)
    around(maths, "whiten", blind_to_the_mask)(patch)
    around(maths, "policy_loss", lambda real, lp, old, a, mask, *args, **rest: real(lp, old, a, torch.ones_like(mask), *args, **rest))(patch)


def minimises_the_reward(real: Any, logps: Tensor, old: Tensor, advantages: Tensor, *args: Any, **rest: Any) -> maths.PolicyLoss:
    return real(logps, old, -advantages, *args, **rest)
