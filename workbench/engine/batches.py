"""Rows to tensors: padding, masks, and orders that are a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
FILL = 0  # any token will do: masks come from lengths, never from the token


class Padded(NamedTuple):
    """ids and mask, both (b, t); mask is 1 where a token is real."""

    ids: Tensor
    mask: Tensor


def pad(rows: Sequence[Sequence[int]], left: bool = False, width: int = 0) -> Padded:
    """Rows of tokens as one tensor, padded on the right, or on the left for prompts."""
    width = max(width, *(len(row) for row in rows))
    ids, mask = torch.full((len(rows), width), FILL), torch.zeros(len(rows), width, dtype=torch.long)
    for place, row in enumerate(rows):
        where = slice(width - len(row), width) if left else slice(0, len(row))
        ids[place, where] = torch.tensor(row, dtype=torch.long)
        mask[place, where] = 1
    return Padded(ids, mask)


def generator(*seeds: int) -> torch.Generator:
    """Random numbers that depend on nothing but the seeds: (run seed, step, purpose)."""
    mixed = 0
    for seed in seeds:
        mixed = (mixed * 1_000_003 + seed + 1) % (2**63 - 1)
    return torch.Generator().manual_seed(mixed)


def permutation(count: int, *seeds: int) -> list[int]:
    return torch.randperm(count, generator=generator(*seeds)).tolist()


def batch_at(rows: Sequence[Item], step: int, size: int, seed: int) -> list[Item]:
    """The rows of one step (from 0): epoch after epoch, each reshuffled; a function of (seed, step) alone."""
    picked = []
    for place in range(step * size, (step + 1) * size):
        epoch, index = divmod(place, len(rows))
        picked.append(rows[permutation(len(rows), seed, epoch)[index]])
    return picked


def parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start:start + size]
