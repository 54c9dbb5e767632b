"""The least an iteration needs: operations and bytes counted from the model's sizes, over rates measured on this machine.

The counts hold for the full task (adapters on every layer, no token recomputed); a recipe that adapts fewer layers needs less.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

BYTES = 2  # of a bf16 number
COPIED_BYTES = 2**28


class Sizes(NamedTuple):
    """A Llama-like model as matrices: (in, out) of a layer's products, how many layers, and the output layer."""

    layer: list[tuple[int, int]]
    layers: int
    width: int
    vocabulary: int
    query_width: int
    key_width: int

    @property
    def trunk(self) -> int:
        """Numbers in all layers' matrices."""
        return self.layers * sum(i * o for i, o in self.layer)

    @property
    def head(self) -> int:
        return self.width * self.vocabulary

    def adapter(self, rank: int) -> int:
        """Numbers in a LoRA adapter on every matrix."""
        return self.layers * rank * sum(i + o for i, o in self.layer)


class Work(NamedTuple):
    """What a part of an iteration needs: operations, and bytes that must come from memory."""

    operations: float
    bytes: float


class Rates(NamedTuple):
    """Operations per second over the products of a layer, and bytes per second of a large copy."""

    operations: float
    bytes: float


def sizes(folder: str) -> Sizes:
    config = json.loads((Path(folder) / "config.json").read_text())
    width, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    queries = heads * (config.get("head_dim") or width // heads)
    keys = queries // heads * config["num_key_value_heads"]
    layer = [(width, queries), (width, keys), (width, keys), (queries, width), (width, inner), (width, inner), (inner, width)]
    return Sizes(layer, config["num_hidden_layers"], width, config["vocab_size"], queries, keys)


def forward(model: Sizes, tokens: float, context: float, rank: int) -> float:
    """Operations to pass tokens through the trunk, each looking at `context` others on average: two per number used."""
    return tokens * (2 * (model.trunk + model.adapter(rank)) + 4 * model.layers * model.query_width * context)


def parts(model: Sizes, task: Mapping[str, Any], prompt_tokens: float, trunks: int = 2) -> dict[str, Work]:
    """The three parts of a PPO iteration; `trunks` says whether the value has an adapter of its own (2) or shares (1)."""
    batch, replies, rank = task["batch"], task["batch"] * task["reply_tokens"], task["rank"]
    length = prompt_tokens + task["reply_tokens"]
    rows, weights = batch * length, BYTES * (model.trunk + model.head)
    once = forward(model, rows, length / 2, rank)
    words = 2 * model.head * replies
    cached = BYTES * 2 * model.layers * model.key_width * batch * (prompt_tokens + task["reply_tokens"] / 2)
    # Backward costs what forward does: the base is frozen, so only the inputs' gradients are wanted. LoRA's own weights add theirs.
    learned = 2 * once + 2 * model.adapter(rank) * rows
    return {
        "generate": Work(once + words, task["reply_tokens"] * (weights + cached)),
        "score": Work((2 + trunks) * once + 2 * words, (2 + trunks) * weights),
        "update": Work(task["epochs"] * (trunks * learned + 2 * words), task["epochs"] * (1 + trunks) * weights),
    }


def seconds(work: Work, rates: Rates) -> float:
    """Whichever takes longer, calculating or fetching: at best one hides behind the other."""
    return max(work.operations / rates.operations, work.bytes / rates.bytes)


def best_seconds(act: Callable[[], Any], device: torch.device, least: float) -> float:
    """The shortest of as many tries as fit in `least` seconds (five at least), after one that does not count."""
    act()
    best, end, tries = float("inf"), time.perf_counter() + least, 0
    while tries < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best, tries = min(best, time.perf_counter() - start), tries + 1
    return best


def product_rate(model: Sizes, rows: int, device: torch.device, least: float) -> float:
    """Operations per second over one layer's matrix products in bf16, in the mix that a layer has."""
    spent = done = 0.0
    for i, o in model.layer:
        a, b = torch.randn(rows, i, device=device).bfloat16(), torch.randn(o, i, device=device).bfloat16()
        spent += best_seconds(lambda a=a, b=b: torch.nn.functional.linear(a, b), device, least)
        done += 2 * rows * i * o
    return done / spent


def measure(model: Sizes, rows: int, device: torch.device, copied: int = COPIED_BYTES, least: float = 0.5) -> Rates:
    """This machine's rates; a copy counts what it reads and what it writes. Each product has `least` seconds of tries."""
    source = torch.ones(copied // BYTES, dtype=torch.bfloat16, device=device)
    target = torch.empty_like(source)
    copy_seconds = best_seconds(lambda: target.copy_(source), device, least)
    return Rates(product_rate(model, rows, device, least), 2 * copied / copy_seconds)
