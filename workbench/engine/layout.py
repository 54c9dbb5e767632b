"""Rows of tokens without their padding, and what all of them begin with only once: where each token stands.

A batch of chats begins with the same system message. A token's state depends on nothing after it, so the states of a common
beginning are the same in every row: they are computed once, forward and backward, and every row attends to them. Prefix
sharing is known from serving (Ye et al. 2024, "ChunkAttention"); here gradients flow through it too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Layout(NamedTuple):
    """n tokens: the `shared` ones of the common beginning, then each row's own, row by row.

    The rows came as (b, width) with one stretch of real tokens each; own tokens are laid out again as (b, own) from column 0.
    """

    sources: Tensor  # (n,) where each token stands in the flattened (b, width)
    positions: Tensor  # (n,) of each token in its row
    places: Tensor  # (b, width) which of the n tokens stands there; any where none does
    lengths: Tensor  # (b,) tokens of each row, its beginning included
    slots: Tensor  # (n - shared,) in the flattened (b, own)
    shared: int
    own: int

    def take(self, x: Tensor) -> Tensor:
        """(b, width, ...) -> (n, ...)."""
        return x.flatten(0, 1)[self.sources]

    def at(self, x: Tensor, where: Tensor) -> Tensor:
        """The rows of x (n, ...) at the true places of `where` (b, width), row by row."""
        return x[self.places[where]]

    def last(self, x: Tensor) -> Tensor:
        """The state (b, ...) of each row's last token."""
        return x[(self.lengths - self.shared).cumsum(0) + self.shared - 1]

    def padded(self, x: Tensor) -> Tensor:
        """Own tokens (n - shared, ...) -> (b, own, ...), zeros after a row's end."""
        b = len(self.lengths)
        if len(x) == b * self.own:
            return x.view(b, self.own, *x.shape[1:])
        return x.new_zeros(b * self.own, *x.shape[1:]).index_copy(0, self.slots, x).view(b, self.own, *x.shape[1:])

    def packed(self, x: Tensor) -> Tensor:
        """(b, own, ...) -> own tokens (n - shared, ...)."""
        flat = x.flatten(0, 1)
        return flat if len(flat) == len(self.slots) else flat.index_select(0, self.slots)


def layout_of(ids: Tensor, attention: Tensor) -> Layout:
    """From tokens and a mask, both (b, width), the mask with one stretch of ones per row, wherever it stands."""
    lengths, columns = attention.sum(1), attention.cumsum(1) - 1
    shared = beginning(ids, attention, int(lengths.min()))
    is_own = attention.bool() & (columns >= shared)
    rows = torch.arange(len(ids), device=ids.device).repeat_interleave(lengths - shared)
    positions, own = columns[is_own], int(lengths.max()) - shared
    first = (attention[0].argmax() + torch.arange(shared, device=ids.device)) if shared else positions[:0]
    starts = (lengths - shared).cumsum(0) - lengths + shared + shared  # of each row's own tokens among the n
    places = torch.where(columns < shared, columns, starts.unsqueeze(1) + columns - shared)
    return Layout(torch.cat([first, is_own.flatten().nonzero().squeeze(1)]), torch.cat([columns[0][first], positions]), places, lengths,
                  rows * own + positions - shared, shared, own)


def beginning(ids: Tensor, attention: Tensor, shortest: int) -> int:
    """How many tokens all rows begin with; each row keeps at least its last for itself, and a row alone shares nothing."""
    if len(ids) == 1 or shortest < 2:
        return 0
    columns = attention.argmax(1, keepdim=True) + torch.arange(shortest - 1, device=ids.device)
    aligned = ids.gather(1, columns)
    return int((aligned == aligned[0]).all(0).long().cumprod(0).sum())
