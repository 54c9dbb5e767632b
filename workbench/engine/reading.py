"""How well a role foresees given text: the loss that SFT trains on, and that perplexity is made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad, parts
from workbench.chat import Encoded


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
