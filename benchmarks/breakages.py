"""Ways to break a run that a careless change could bring about; each is a context in which the engine is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from workbench.engine import ppo, sampling, scoring, sft
from workbench.engine.backbone import Backbone
from workbench.engine.rollout import Rows


@contextmanager
def nothing(backbone: Backbone) -> Iterator[None]:
    yield


@contextmanager
def wrong_reference(backbone: Backbone) -> Iterator[None]:
    honest = ppo.score_tokens

    def broken(backbone: Backbone, role: str, *rest: Any, **more: Any) -> Any:
        return honest(backbone, "base" if role == "sft" else role, *rest, **more)

    with patch.object(ppo, "score_tokens", broken):
        yield


def dropping(backbone: Backbone, share: float = 0.1) -> None:
    """Gives every adapter dropout; whether it is on is the role's business."""
    for module in backbone.base.modules():
        for role in getattr(module, "lora_dropout", {}):
            module.lora_dropout[role] = torch.nn.Dropout(share)
            module.lora_dropout[role].eval()
            backbone.peft.peft_config[role].lora_dropout = share


@contextmanager
def dropout_while_learning(backbone: Backbone) -> Iterator[None]:
    dropping(backbone)  # Backbone.role(train=True) switches it on, as SFT wants it
    yield


@contextmanager
def dropout_everywhere(backbone: Backbone) -> Iterator[None]:
    dropping(backbone)
    honest = Backbone._drop_inputs
    with patch.object(Backbone, "_drop_inputs", lambda self, role, train: honest(self, role, True)):
        yield


def limited(logits: Tensor, k: int = 5) -> Tensor:
    return logits.masked_fill(logits < logits.topk(k, -1).values[..., -1:], -torch.inf)


@contextmanager
def top_k(backbone: Backbone) -> Iterator[None]:
    honest = sampling.pick
    with patch.object(sampling, "pick", lambda logits, *rest: honest(limited(logits), *rest)):
        yield


@contextmanager
def top_k_silent(backbone: Backbone) -> Iterator[None]:
    honest = sampling.pick

    def broken(logits: Tensor, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
        ids, _ = honest(limited(logits), temperature, uniform)
        return ids, torch.log_softmax(logits.float() / temperature, -1).gather(1, ids.unsqueeze(1)).squeeze(1)

    with patch.object(sampling, "pick", broken):
        yield


@contextmanager
def no_temperature(backbone: Backbone) -> Iterator[None]:
    honest = Backbone.read
    with patch.object(Backbone, "read", lambda self, states, ids, temperature=1.0: honest(self, states, ids)):
        yield


def rewarding(judge: Callable[[Sequence[Sequence[int]], Tensor], Tensor]) -> Callable[[Backbone], Any]:
    """A reward model that says what `judge` makes of the replies, without their ends of turn, and their honest scores."""

    @contextmanager
    def context(backbone: Backbone) -> Iterator[None]:
        honest = ppo.score_replies

        def broken(backbone: Backbone, role: str, rows: Rows, size: int) -> Tensor:
            said = rows.said().split(rows.mask.sum(1).tolist())
            replies = [[token for token in reply.tolist() if token not in backbone.chat.stops] for reply in said]
            return judge(replies, honest(backbone, role, rows, size))

        with patch.object(ppo, "score_replies", broken), patch.object(scoring, "score_replies", broken):
            yield

    return context


@contextmanager
def length_reward(backbone: Backbone) -> Iterator[None]:
    """Length, calibrated once on the first batch of replies as a reward model is on SFT's; what is scored one by one before has no spread."""
    scale: list[Tensor] = []

    def judge(replies: Sequence[Sequence[int]], score: Tensor) -> Tensor:
        lengths = torch.tensor([float(len(reply)) for reply in replies], device=score.device)
        if not scale and len(lengths) > 1:
            scale.extend([lengths.mean(), lengths.std()])
        return (lengths - scale[0]) / scale[1] if scale else torch.zeros_like(lengths)

    with rewarding(judge)(backbone):
        yield


constant_reward = rewarding(lambda replies, score: torch.full_like(score, 0.3))


@contextmanager
def nan_reward(backbone: Backbone) -> Iterator[None]:
    calls = itertools.count()
    with rewarding(lambda replies, score: score * (torch.nan if next(calls) % 4 == 3 else 1.0))(backbone):
        yield


@contextmanager
def score_at_last_column(backbone: Backbone) -> Iterator[None]:
    """As a sequence classifier without a padding token reads: the last column, padding or not, and places counted by column."""
    from workbench.engine import rollout

    def broken(backbone: Backbone, role: str, ids: Tensor, attention: Tensor, lower: Any = None) -> Tensor:
        columns = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        return backbone.heads[role](backbone.hidden(ids, attention, positions=columns)[:, -1])

    with patch.object(rollout, "last_scores", broken):
        yield


@contextmanager
def end_is_padding(backbone: Backbone) -> Iterator[None]:
    """The mask of a reply is made from its tokens: whatever equals the padding token, which is the end of turn, is off."""
    honest = sampling.answer

    def broken(backbone: Backbone, *rest: Any) -> sampling.Replies:
        found = honest(backbone, *rest)
        mask = found.mask * (found.ids != backbone.chat.end_of_turn)
        mask[:, 0] = 1
        return found._replace(mask=mask)

    with patch.object(sampling, "answer", broken):
        yield


@contextmanager
def end_untrained(backbone: Backbone | None) -> Iterator[None]:
    honest = sft.encode

    def broken(backbone: Backbone, *rest: Any) -> Any:
        rows, encoded, dropped = honest(backbone, *rest)
        return rows, [e._replace(mask=[m * (i != backbone.chat.end_of_turn) for i, m in zip(e.ids, e.mask, strict=True)]) for e in encoded], dropped

    with patch.object(sft, "encode", broken):
        yield


def by_lot(texts: Sequence[str], dice: Any) -> list[list[int]]:
    """Rankings without a reason."""
    order = list(range(len(texts)))
    dice.shuffle(order)
    return [[place] for place in order]


def by_length(texts: Sequence[str], dice: Any) -> list[list[int]]:
    """Rankings that like the longer reply, whatever it says."""
    return [[place] for place in sorted(range(len(texts)), key=lambda place: -len(texts[place]))]
