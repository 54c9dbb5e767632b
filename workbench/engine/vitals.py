"""Figures that nobody trains on and only the doctor reads: what a rollout looks like when something is broken."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from workbench import diversity
from workbench.engine import maths
from workbench.engine.sampling import Replies

SCORE_LIMIT = 5.0  # where PPO cuts scores off, in spreads


def vitals(replies: Replies, logps: Tensor, score: Tensor, stops: Collection[int]) -> dict[str, float]:
    """Of a batch of replies (b, t), their log-probabilities as scored (b, t) and the reward model's scores (b,).

    surprise is in nats per token: on pure samples it equals the entropy but for noise.
    """
    rows = [tuple(replies.tokens(row)) for row in range(len(score))]
    ended = [row for row, is_ended in zip(rows, replies.ended.tolist(), strict=True) if is_ended]
    return {
        "surprise": -float(maths.masked_mean(logps, replies.mask)),
        "length_score": rank_correlation(replies.mask.sum(1).float(), score),
        "same_replies": diversity.duplicates(rows), "similarity": diversity.similarity(rows),
        "distinct1": diversity.distinct(rows, 1), "distinct2": diversity.distinct(rows, 2),
        "score_clipped": float((score.abs() >= SCORE_LIMIT).float().mean()),
        "end_counted": sum(bool(row) and row[-1] in stops for row in ended) / len(ended) if ended else 1.0,
    }


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Spearman's correlation of two rows (n,), ties at their mean rank; 0 where either does not vary."""
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 0 else 0.0


def ranks(x: Tensor) -> Tensor:
    """Places from 0, in double precision: how many are smaller, and half of the equals."""
    x = x.detach().double().cpu()
    return (x[:, None] > x[None]).double().sum(1) + 0.5 * (x[:, None] == x[None]).double().sum(1)
