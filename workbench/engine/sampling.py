"""The decoder: batched replies as pure samples of the policy, token by token, finished rows dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.engine.backbone import Backbone
from workbench.engine.batches import FILL, Padded, pad


SPAN = 256  # tokens whose shares are summed at once
LAST = 1 - 2**-24  # the greatest number below 1 in fp32


class Replies(NamedTuple):
    """Prompts (b, p) padded left and what was said after them (b, t) padded right.

    mask is 1 on the reply's tokens including the stop token; logps are those of the sampler, for comparison only.
    """

    prompts: Padded
    ids: Tensor
    mask: Tensor
    ended: Tensor  # (b,) whether the reply ended with a stop token
    logps: Tensor

    def tokens(self, row: int) -> list[int]:
        return self.ids[row, : int(self.mask[row].sum())].tolist()


def pick(logits: Tensor, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """One token per row by the inverse of the cumulative distribution, and its log-probability.

    No top-k, no top-p, no penalties: the distribution sampled is the one that is scored. logits (b, v), uniform (b,) in
    [0, 1). A temperature of 0 takes the likeliest token.
    """
    shares = torch.softmax(logits.to(torch.float32, copy=True).div_(temperature or 1.0), -1)
    ids = shares.argmax(-1) if temperature == 0 else where(shares, uniform)
    return ids, shares.gather(1, ids.unsqueeze(1)).squeeze(1).clamp(min=torch.finfo(shares.dtype).tiny).log()


def where(shares: Tensor, uniform: Tensor) -> Tensor:
    """The place (b,) at which the running sum of shares (b, v) passes `uniform` of its total: first among spans of tokens, then within one."""
    spans = F.pad(shares, (0, -shares.shape[1] % SPAN)).view(len(shares), -1, SPAN)
    span, left = passed(spans.sum(-1), uniform)
    inside, _ = passed(spans[torch.arange(len(spans), device=spans.device), span], left)
    return (span * SPAN + inside).clamp(max=shares.shape[1] - 1)


def passed(shares: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Place (b,), and how far into it, in [0, 1)."""
    summed = shares.cumsum(-1)
    wanted = (uniform * summed[:, -1]).unsqueeze(1)
    place = torch.searchsorted(summed, wanted, right=True).clamp(max=shares.shape[1] - 1)
    before = summed.gather(1, place) - shares.gather(1, place)
    inside = (wanted - before) / shares.gather(1, place)
    return place.squeeze(1), inside.nan_to_num(0.0).clamp(0, LAST).squeeze(1)


@torch.no_grad()
def decode(backbone: Backbone, prompts: Sequence[Sequence[int]], reply_tokens: int, temperature: float,
           generator: torch.Generator) -> Iterator[Replies]:
    """Yields the replies as they stand after each token. Call inside the role that answers.

    Every row draws its own random number at every step, so a row's reply does not depend on when others end.
    """
    padded = Padded(*(t.to(backbone.device) for t in pad(prompts, left=True)))
    count, stops = len(prompts), torch.tensor(backbone.chat.stops, device=backbone.device)
    ids = torch.full((count, reply_tokens), FILL, device=backbone.device)
    mask, logps = torch.zeros_like(ids), torch.zeros(ids.shape, device=backbone.device)
    ended = torch.zeros(count, dtype=torch.bool, device=backbone.device)
    alive, stream = torch.arange(count, device=backbone.device), backbone.stream(padded, reply_tokens)
    for t in range(reply_tokens):
        uniform = torch.rand(count, generator=generator).to(backbone.device)[alive]
        token, logp = pick(stream.logits(), temperature, uniform)
        ids[alive, t], mask[alive, t], logps[alive, t] = token, 1, logp
        stopped = torch.isin(token, stops)
        ended[alive[stopped]] = True
        yield Replies(padded, ids[:, : t + 1], mask[:, : t + 1], ended, logps[:, : t + 1])
        if stopped.all() or t + 1 == reply_tokens:
            return
        if stopped.any():
            keep = (~stopped).nonzero().squeeze(1)
            stream.keep(keep)
            alive, token = alive[keep], token[keep]
        stream.add(token)


def answer(backbone: Backbone, prompts: Sequence[Sequence[int]], reply_tokens: int, temperature: float,
           generator: torch.Generator) -> Replies:
    """The finished replies. Call inside the role that answers."""
    replies = None
    for replies in decode(backbone, prompts, reply_tokens, temperature, generator):
        pass
    return replies
