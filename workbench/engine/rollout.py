"""A rollout: answer, score, weigh against the reference, credit every token. Shared by PPO, calibration and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.engine.backbone import Backbone, Lower
from workbench.engine.sampling import Replies


class Rows(NamedTuple):
    """b prompts with their replies of up to t tokens, closed by an end of turn where a reply was cut off.

    ids and attention (b, p + t + 1): prompts padded left, replies padded right. mask (b, t) is 1 on the reply's own tokens:
    what closes it is there to be scored, and no token before it can see it. lower: the frozen layers' states, if they are kept.
    """

    ids: Tensor
    attention: Tensor
    mask: Tensor
    lower: Lower | None = None

    def take(self, where: Tensor | slice) -> Rows:
        lower = self.lower and self.lower._replace(states=self.lower.states[where])
        return Rows(self.ids[where], self.attention[where], self.mask[where], lower)

    def before(self) -> Tensor:
        """The places (b, p + t + 1) from which the reply's tokens are foreseen."""
        places, t = torch.zeros_like(self.ids, dtype=torch.bool), self.mask.shape[1]
        places[:, -t - 2 : -2] = self.mask.bool()
        return places

    def said(self) -> Tensor:
        """The reply's tokens (n,), row by row."""
        return self.ids[:, -self.mask.shape[1] - 1 : -1][self.mask.bool()]


class Rollout(NamedTuple):
    """b replies with everything PPO needs to learn from them.

    All is (b, t) over the reply's tokens, but score, ended and raw_score (b,). values[:, t] is the state before token t; score is
    what the reply was paid at its end (kept within limits, less the penalty for not ending), raw_score what the reward model said.
    """

    rows: Rows
    logps: Tensor
    reference: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    score: Tensor
    ended: Tensor
    rewards: Tensor
    raw_score: Tensor

    @property
    def mask(self) -> Tensor:
        return self.rows.mask


def take(rollout: Rollout, where: Sequence[int] | slice) -> Rollout:
    where = where if isinstance(where, slice) else torch.tensor(where, device=rollout.score.device)
    return Rollout(rollout.rows.take(where), *(t[where] for t in rollout[1:]))


def closed(replies: Replies, end_of_turn: int) -> Rows:
    """Prompt and reply as one row each."""
    ids = torch.cat([replies.prompts.ids, replies.ids, replies.ids.new_full((len(replies.ids), 1), end_of_turn)], 1)
    is_cut = (~replies.ended).to(replies.mask.dtype).unsqueeze(1)
    return Rows(ids, torch.cat([replies.prompts.mask, replies.mask, is_cut], 1), replies.mask)


def slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def reply_states(backbone: Backbone, rows: Rows) -> Tensor:
    """Hidden states (n, d) from which the n tokens of the replies are foreseen, under the active role."""
    return backbone.states(rows.ids, rows.attention, rows.before(), rows.lower)


def scattered(values: Tensor, mask: Tensor) -> Tensor:
    """Values (n,) of the real tokens put back in their places (b, t), 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask.bool(), values)


def last_scores(backbone: Backbone, role: str, ids: Tensor, attention: Tensor, lower: Lower | None = None) -> Tensor:
    """The head's reading (b,) at each row's last real token, found by its place and never by its identity."""
    last = attention.shape[1] - 1 - attention.flip(1).argmax(1)
    where = torch.zeros_like(attention, dtype=torch.bool)
    where[torch.arange(len(ids), device=ids.device), last] = True
    return backbone.heads[role](backbone.states(ids, attention, where, lower))


@torch.no_grad()
def score_replies(backbone: Backbone, role: str, rows: Rows, size: int) -> Tensor:
    """Scores (b,) of replies as the reward model was trained to read them: closed by an end of turn."""
    with backbone.role(role):
        parts = (rows.take(where) for where in slices(len(rows.ids), size))
        return torch.cat([last_scores(backbone, role, part.ids, part.attention, part.lower) for part in parts])


class Scored(NamedTuple):
    """What a role makes of replies, each (b, t): log-probabilities and entropies in nats, values where a head was asked."""

    logps: Tensor
    entropies: Tensor
    values: Tensor


@torch.no_grad()
def score_tokens(backbone: Backbone, role: str, rows: Rows, size: int, temperature: float, head: str = "") -> Scored:
    """By the very path that training takes."""
    found = []
    with backbone.role(role):
        for where in slices(len(rows.ids), size):
            part = rows.take(where)
            states = reply_states(backbone, part)
            reading = backbone.read(states, part.said(), temperature)
            values = backbone.heads[head](states) if head else torch.zeros_like(reading.logps)
            found.append([scattered(each, part.mask) for each in (reading.logps, reading.entropies, values)])
    return Scored(*(torch.cat(each) for each in zip(*found, strict=True)))


@torch.no_grad()
def score_states(backbone: Backbone, role: str, rows: Rows, size: int) -> Tensor:
    """The value (b, t) of the state before each of the reply's tokens."""
    with backbone.role(role):
        parts = (rows.take(where) for where in slices(len(rows.ids), size))
        return torch.cat([scattered(backbone.heads[role](reply_states(backbone, part)), part.mask) for part in parts])


def shaped_score(score: Tensor, ended: Tensor, no_end_penalty: float, limit: float = 5.0) -> Tensor:
    """The reward model's score (b,), kept within `limit` standard deviations, less what a reply pays for not ending."""
    return score.clamp(-limit, limit) - no_end_penalty * (~ended).float()
