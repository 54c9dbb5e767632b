"""How much memory a run will need at its peak, part by part, from its recipe, its base and its rows. No torch.

The parts were counted from what engine/trunk.py and fused.py keep; `engine/probe.py` measures what the prediction says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from workbench import checks, corpus, rewards
from workbench.corpus import Demonstration, Preference, Prompt
from workbench.errors import ModelError
from workbench.recipes import (
    DEFAULT_MODEL,
    DoubtRecipe,
    EvaluateRecipe,
    JudgeRecipe,
    PpoRecipe,
    Recipe,
    ReplyRecipe,
    ReviseRecipe,
    RewardRecipe,
    SftRecipe,
)
from workbench.store import Store

PROGRAM = 0.42e9  # bytes that Python, torch, transformers and peft take before anything is loaded (measured)
UNEVEN = 1.4  # what the allocator holds for each byte asked while training, mostly gaps between blocks (measured)
KERNELS = 0.35e9  # compiled products and their buffers, once something is trained (measured)
LOGITS = 2**24  # numbers held at once while log-probabilities are read; engine/fused.py
LETTERS_PER_TOKEN, TOKENS_PER_TURN = 3.85, 5  # of English in a Llama-like vocabulary, and of the chat template
LONG = 0.9  # rows this far up the list of lengths set the peak


@dataclass(frozen=True)
class Shape:
    """What of a base decides its memory."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    is_tied: bool

    @property
    def parameters(self) -> int:
        mixing = self.width * self.head * 2 * (self.heads + self.kv_heads)
        tables = self.vocabulary * self.width * (1 if self.is_tied else 2)
        return self.layers * (mixing + 3 * self.width * self.inner + 2 * self.width) + tables

    def adapter(self, rank: int, layers: int) -> int:
        """Numbers in a LoRA adapter of all linear layers of the uppermost `layers` layers."""
        mixing, kv, w, m = self.heads * self.head, self.kv_heads * self.head, self.width, self.inner
        each = 2 * (w + mixing) + 2 * (w + kv) + 2 * (w + m) + (m + w)
        return rank * each * (layers or self.layers)

    def kept(self, length: float) -> float:
        """Numbers kept per token and layer until the backward pass, in rows of this length."""
        mixing = (self.heads + 2 * self.kv_heads) * self.head + self.heads * self.head
        return 4 * self.width + mixing + 3 * self.inner + self.heads * length


DEFAULT_SHAPE = Shape(30, 576, 9, 3, 64, 1536, 49152, True)


@dataclass(frozen=True)
class Plan:
    """Bytes at the peak, by part as predicted; measured is 0 where nothing was."""

    parts: dict[str, float]
    measured: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    def lines(self) -> list[str]:
        shown = {**self.parts, "in all": self.total, **({"measured": self.measured} if self.measured else {})}
        return [f"{name:<12} {size / 1e9:6.2f} GB" for name, size in shown.items()]


def shape_of(model: str) -> Shape:
    """From a model's config.json. Raises ModelError where there is none to read, or none of a known kind."""
    if model == DEFAULT_MODEL:
        return DEFAULT_SHAPE
    try:
        found = json.loads((Path(model).expanduser() / "config.json").read_text(encoding="utf-8"))
        heads, width = found["num_attention_heads"], found["hidden_size"]
        return Shape(found["num_hidden_layers"], width, heads, found.get("num_key_value_heads", heads), found.get("head_dim") or width // heads,
                     found["intermediate_size"], found["vocab_size"], bool(found.get("tie_word_embeddings")))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"no plan for {model!r}: {fault!r} in its config.json; start the run, the first steps will tell") from fault


def plan(store: Store, recipe: Recipe, measured: float = 0.0) -> Plan:
    """Raises CorpusError or ModelError when the recipe names something that is not there."""
    shape = shape_of(recipe.model if isinstance(recipe, SftRecipe) else model_of(store, recipe))
    width = {"fp32": 4.0, "nf4": 0.55}.get(recipe.precision, 2.0)
    tables = shape.vocabulary * shape.width * (1 if shape.is_tied else 2)
    base = (shape.parameters - tables) * width + tables * max(width, 2.0)
    own = roles_and_rows(store, recipe)
    adapter = shape.adapter(own.rank, own.layers) * 4.0
    number = 4 if recipe.precision == "fp32" else 2
    kept = own.tokens * shape.kept(own.length) * (own.layers or shape.layers) * number
    logits = min(LOGITS, own.read * shape.vocabulary) * (number + 1)
    cache = own.decoded * 2 * shape.kv_heads * shape.head * shape.layers * number * 2  # twice while finished rows are dropped
    # A copy of the linear layers in the order that decoding reads; engine/fused.py.
    laid = (shape.parameters - tables + shape.vocabulary * shape.width) * 2 if own.decoded and number == 2 else 0
    # Replies are written while nothing is kept for a backward pass, in the room that leaves; but what an update gave back lies in pieces, too small for the copy.
    room = kept * UNEVEN + logits
    writing = max(0.0, cache - room) + laid if own.alternates else max(0.0, cache + laid - room)
    return Plan({
        "program": PROGRAM + (KERNELS if own.trained else 0), "base": base * 1.15, "adapters": adapter * own.roles,
        "optimiser": adapter * 3 * own.trained, "activations": kept * UNEVEN, "logits": logits,
        "writing": writing}, measured)


@dataclass(frozen=True)
class Load:
    """What a stage does to memory: roles held, roles trained, tokens in one forward and backward, their rows' length."""

    roles: int
    trained: int
    tokens: float
    length: float
    read: float  # tokens whose log-probabilities are read at once
    decoded: float  # tokens held by the decoder
    rank: int = 16
    layers: int = 0
    alternates: bool = False  # writes replies again after each update


def roles_and_rows(store: Store, recipe: Recipe) -> Load:
    sft = recipe if isinstance(recipe, SftRecipe) else sft_of(store, recipe)
    lora = {"rank": sft.rank, "layers": sft.layers}
    if isinstance(recipe, SftRecipe):
        rows = corpus.rows(store, recipe.corpus, "demonstrations")
        lengths, count = lengths_of(rows, limit=recipe.max_tokens), min(recipe.micro_batch, recipe.batch)
        length = long(lengths)
        return Load(1, 1, at_once(count, rows, lengths), length, recipe.micro_batch * length / 2, 0, **lora)
    if isinstance(recipe, RewardRecipe):
        rows = corpus.rows(store, recipe.preferences, "preferences")
        lengths = lengths_of(rows, limit=recipe.max_tokens)
        length = long(lengths)
        decoded = min(recipe.calibration, 64) * (length + recipe.reply_tokens)
        return Load(3 if recipe.curve else 2, 1, at_once(recipe.micro_batch, rows, lengths), length, 64, decoded, **lora)
    if isinstance(recipe, JudgeRecipe):
        return Load(1, 0, 0, recipe.max_tokens, recipe.batch, recipe.batch * recipe.max_tokens / 2, **lora)
    if isinstance(recipe, DoubtRecipe):
        return Load(1, 0, 0, recipe.max_tokens, recipe.micro_batch, recipe.micro_batch * recipe.max_tokens, **lora)
    if isinstance(recipe, ReviseRecipe):
        length = long(lengths_of(corpus.rows(store, recipe.prompts, corpus.EDGE))) + 2 * recipe.reply_tokens + recipe.critique_tokens
        return Load(1, 0, 0, length, recipe.batch, recipe.batch * length, **lora)
    rows = corpus.rows(store, recipe.prompts, "prompts")
    lengths = lengths_of(rows, more=recipe.reply_tokens)
    length = long(lengths)
    if isinstance(recipe, PpoRecipe):
        count, own = min(recipe.micro_batch, recipe.minibatch), recipe.value == "own"
        roles, decoded = 2 + own + len(rewards.runs(recipe.reward)) + bool(recipe.gold), max(recipe.batch, recipe.look_replies) * length
        return Load(roles, 2 if own else 1, at_once(count, rows, lengths), length, count * recipe.reply_tokens, decoded, alternates=True, **lora)
    assert isinstance(recipe, ReplyRecipe | EvaluateRecipe)
    return Load(2, 0, 0, length, recipe.batch, recipe.batch * length, **lora)


def sft_of(store: Store, recipe: Recipe) -> SftRecipe:
    """The SFT run at the root of a recipe's adapters; the defaults where there is none yet."""
    for name in recipe.needs():
        found = checks.recipe_of(store.run(name))
        return found if isinstance(found, SftRecipe) else sft_of(store, found)
    return SftRecipe()


def model_of(store: Store, recipe: Recipe) -> str:
    return checks.root_model(store, recipe.needs()[0]) if recipe.needs() else checks.latest_model(store)


def lengths_of(rows: Sequence[Any], limit: float = math.inf, more: float = 0.0) -> list[float]:
    """Tokens of rows, guessed from their letters, shortest first: each cut at `limit`, then `more` tokens longer."""
    return sorted(min(size, limit) + more for row in rows for size in sizes(row))


def long(lengths: Sequence[float]) -> float:
    """Of lengths in order, one that is longer than nine in ten."""
    return lengths[int(LONG * (len(lengths) - 1))]


def at_once(count: int, rows: Sequence[Any], lengths: Sequence[float]) -> float:
    """Tokens in one forward of `count` rows of these lengths; what all begin with is computed once (engine/layout.py).

    One row may be long, but of many together the mean is what counts: two standard errors above it is about the fullest of forty.
    """
    length = fmean(lengths) + 2 * pstdev(lengths) / count**0.5
    firsts = [(row.prompt if isinstance(row, Preference) else row.messages)[0] for row in rows]
    alike = all(first == firsts[0] for first in firsts) and firsts[0]["role"] == "system"
    shared = min(length - 1, len(firsts[0]["content"]) / LETTERS_PER_TOKEN + 2 * TOKENS_PER_TURN) if alike and count > 1 else 0
    return shared + count * (length - shared)


def sizes(row: Any) -> list[float]:
    def tokens(texts: Sequence[str]) -> float:
        return sum(len(text) for text in texts) / LETTERS_PER_TOKEN + TOKENS_PER_TURN * (len(texts) + 1)

    match row:
        case Demonstration(messages) | Prompt(messages):
            return [tokens([m["content"] for m in messages])]
        case Preference(prompt, replies):
            return [tokens([*(m["content"] for m in prompt), reply]) for reply in replies]
    raise TypeError(f"no tokens in {type(row).__name__}")


def free_bytes() -> float:
    """Memory that is free on this machine now, or infinity where the system does not say."""
    try:
        found = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return float(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return float("inf")
