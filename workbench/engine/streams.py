"""A batch of rows that grow token by token, on the fast path or on transformers' own: what the decoder needs of a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from workbench.engine.batches import Padded
from workbench.engine.fused import project_laid
from workbench.engine.layout import layout_of
from workbench.engine.trunk import Adapter, Cache, Trunk


class FastStream:
    """On the fast path; `logits` (b, v) are for the token after each row's last one."""

    def __init__(self, trunk: Trunk, adapter: Adapter | None, prompts: Padded, room: int) -> None:
        self.trunk, layout = trunk, layout_of(*prompts)
        self.cache = Cache(trunk, layout, room)
        x = trunk.forward(trunk.embed(layout.take(prompts.ids)), layout, adapter, range(len(trunk.layers)), self.cache)
        self.hidden = trunk.finish(layout.last(x))
        self.adapter, self.output = trunk.laid_out(adapter), trunk.output_laid_out()

    def logits(self) -> Tensor:
        return self.trunk.output(self.hidden) if self.output is None else project_laid(self.hidden, self.output)

    def add(self, tokens: Tensor) -> None:
        self.hidden = self.trunk.next(tokens, self.adapter, self.cache)

    def keep(self, rows: Tensor) -> None:
        self.cache.keep(rows)


class PlainStream:
    """On transformers' path, for any model; the reference that the other is tested against."""

    def __init__(self, backbone: Any, prompts: Padded, room: int) -> None:
        self.backbone, self.attention, self.cache = backbone, prompts.mask, DynamicCache(config=backbone.base.config)
        self.hidden = backbone.hidden(prompts.ids, self.attention, self.cache)[:, -1]

    def logits(self) -> Tensor:
        return self.backbone.logits(self.hidden)

    def add(self, tokens: Tensor) -> None:
        self.attention = torch.cat([self.attention, self.attention.new_ones(len(tokens), 1)], 1)
        positions = self.attention.sum(1, keepdim=True) - 1
        self.hidden = self.backbone.hidden(tokens.unsqueeze(1), self.attention, self.cache, positions)[:, -1]

    def keep(self, rows: Tensor) -> None:
        self.cache.batch_select_indices(rows)
        self.attention = self.attention[rows]
