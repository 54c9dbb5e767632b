"""How well a role foresees given text: the loss that SFT trains on, the perplexity made of it, and which words it would choose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.chat import Encoded
from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad, parts
from workbench.tax import Choice

LONGEST_TEXT = 512  # tokens of a text that count for perplexity
AT_ONCE = 8  # texts in memory together


def target_logps(backbone: Backbone, part: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the trained tokens (n,) and whether each was the likeliest; the output layer sees no other."""
    ids, attention = (t.to(backbone.device) for t in pad([e.ids for e in part]))
    trained = pad([e.mask for e in part]).ids.to(backbone.device).bool()[:, 1:]
    before = torch.cat([trained, torch.zeros_like(trained[:, :1])], 1)
    found = backbone.read(backbone.states(ids, attention, before), ids[:, 1:][trained])
    return found.logps, found.is_likeliest


@torch.no_grad()
def loss_on(backbone: Backbone, role: str, examples: Sequence[Encoded], micro_batch: int) -> float:
    """Mean loss per trained token, in nats."""
    total, tokens = 0.0, 0
    with backbone.role(role):
        for part in parts(sorted(examples, key=lambda e: len(e.ids)), micro_batch):
            logps, _ = target_logps(backbone, part)
            total, tokens = total - float(logps.sum()), tokens + len(logps)
    return total / tokens


def perplexity(backbone: Backbone, role: str, texts: Sequence[str]) -> float:
    """exp of the mean loss per token of plain text outside the domain: rises when a model forgets."""
    rows = [backbone.chat.tokens(text)[:LONGEST_TEXT] for text in texts]
    return math.exp(loss_on(backbone, role, [Encoded(ids, [0] + [1] * (len(ids) - 1)) for ids in rows], AT_ONCE))


@torch.no_grad()
def choice_accuracy(backbone: Backbone, role: str, choices: Sequence[Choice]) -> float:
    """Share of the sentences whose right ending is the likeliest of those offered, by the sum of its tokens' log-probabilities."""
    rows = [ending(backbone, choice.stem, option) for choice in choices for option in choice.options]
    likely: list[float] = []
    with backbone.role(role):
        for part in parts(rows, 4 * AT_ONCE):
            logps, _ = target_logps(backbone, part)
            likely += [float(each.sum()) for each in logps.split([sum(row.mask) for row in part])]
    right, at = 0, 0
    for choice in choices:
        offered = likely[at:at + len(choice.options)]
        right, at = right + (max(offered) == offered[choice.answer]), at + len(choice.options)
    return right / len(choices)


def ending(backbone: Backbone, stem: str, option: str) -> Encoded:
    first, last = backbone.chat.tokens(stem), backbone.chat.tokens(f" {option}")
    return Encoded(first + last, [0] * len(first) + [1] * len(last))
