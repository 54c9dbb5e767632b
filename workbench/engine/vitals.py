"""Figures that nobody trains on and only the doctor reads: what a rollout looks like when something is broken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from workbench.engine import maths
from workbench.engine.backbone import Backbone
from workbench.engine.sampling import Replies

SCORE_LIMIT = 5.0  # where PPO cuts scores off, in spreads
PIECE = 1 << 22  # weights that are held in double precision at once


def vitals(replies: Replies, logps: Tensor, score: Tensor, stops: Collection[int]) -> dict[str, float]:
    """Of a batch of replies (b, t), their log-probabilities as scored (b, t) and the reward model's scores (b,).

    surprise is in nats per token: on pure samples it equals the entropy but for noise.
    """
    rows = [tuple(replies.tokens(row)) for row in range(len(score))]
    pairs = [pair for row in rows for pair in pairwise(row)]
    lengths = replies.mask.sum(1).float()
    ended = [row for row, is_ended in zip(rows, replies.ended.tolist(), strict=True) if is_ended]
    return {
        "surprise": -float(maths.masked_mean(logps, replies.mask)),
        "length_score": rank_correlation(lengths, score),
        "length_slope": slope(lengths, score),
        "same_replies": 1 - len(set(rows)) / len(rows),
        "distinct2": len(set(pairs)) / max(len(pairs), 1),
        "score_clipped": float((score.abs() >= SCORE_LIMIT).float().mean()),
        "end_counted": sum(bool(row) and row[-1] in stops for row in ended) / len(ended) if ended else 1.0,
    }


@torch.no_grad()
def weighed(backbone: Backbone, *roles: str) -> dict[str, float]:
    """The sum of all weights of each role ("base": of the base itself), by which a change of any is known."""
    base = [p for name, p in backbone.base.named_parameters() if "lora_" not in name]
    found = {role: base if role == "base" else backbone.tensors(role).values() for role in roles}
    pieces = {role: (piece for each in tensors for piece in each.flatten().split(PIECE)) for role, tensors in found.items()}
    return {role: sum(float(piece.sum(dtype=torch.float64)) for piece in pieces[role]) for role in pieces}


def moved(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """How many of the weighed have changed; a sum taken twice may differ in its last digits."""
    return float(sum(abs(after[role] - before[role]) > 1e-12 * max(1.0, abs(before[role])) for role in before))


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's correlation of two rows (n,), ties at their mean rank; 0 where either does not vary."""
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 0 else 0.0


def slope(x: Tensor, y: Tensor) -> float:
    """How much y rises per unit of x, both (n,), by least squares; 0 where x does not vary."""
    a, b = x.double() - x.double().mean(), y.double() - y.double().mean()
    scale = float(a @ a)
    return float(a @ b) / scale if scale > 0 else 0.0


def ranks(x: Tensor) -> Tensor:
    """Places from 0, in double precision: how many are smaller, and half of the equals."""
    x = x.detach().double().cpu()
    return (x[:, None] > x[None]).double().sum(1) + 0.5 * (x[:, None] == x[None]).double().sum(1)
