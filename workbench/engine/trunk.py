"""The fast path of Llama-like bases on dense weights: packed rows, fused adapters, a cache laid out once.

Gives what transformers and PEFT give, up to rounding (tests/test_trunk.py holds it to them); every other model takes their path.
Knows the base's layers, not roles: adapters come in as tensors. No gradient ever reaches the frozen weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from workbench.engine.fused import Laid, Lora, attend, can_lay_out, laid_out, norm, project, project_laid, signed, swiglu, turn
from workbench.engine.layout import Layout

GROUPS = {"qkv": ("q_proj", "k_proj", "v_proj"), "out": ("o_proj",), "gates": ("gate_proj", "up_proj"), "down": ("down_proj",)}
BLOCK = 64  # columns that a cache grows by
Adapter = list[dict[str, Lora | Laid | None]]  # by layer, by group


class Pair(NamedTuple):
    """The LoRA tensors of one linear layer, as they are trained: down (r, in), up (out, r), and the scale of up."""

    down: Tensor
    up: Tensor
    scale: float


class Cache:
    """Keys and values of rows that end in the same column, so that the next token of every row is written in one stroke.

    b rows, `column` tokens wide so far; what stands before a row's first token, and in columns not yet written, is never seen. All columns
    are read at every step: products of the same size again and again take less than exact ones, whose operands must be copied first.
    """

    def __init__(self, trunk: Trunk, layout: Layout, room: int) -> None:
        self.heads, like, count = trunk.kv_heads, trunk.embed.weight, len(layout.lengths)
        self.lengths, self.column, self.room = layout.lengths, layout.shared + layout.own, room
        width = self.column + min(room, BLOCK)
        ahead = (self.column - self.lengths).unsqueeze(1)  # empty columns of each row
        columns = torch.arange(width, device=like.device)
        self.places = (columns[: self.column] - ahead).clamp_(min=0)
        is_empty = (columns < ahead) | (columns >= self.column)
        self.unseen = like.new_zeros(count * self.heads, 1, width).masked_fill_(is_empty.repeat_interleave(self.heads, 0).unsqueeze(1), -torch.inf)
        self.keys, self.values = ([like.new_zeros(count * self.heads, width, trunk.head) for _ in trunk.layers] for _ in range(2))

    def fill(self, i: int, k: Tensor, v: Tensor) -> None:
        """Whole rows (b, t, heads, head) of layer i, as they stand from column 0 on."""
        rows = torch.arange(len(k), device=k.device).unsqueeze(1)
        for held, new in ((self.keys[i], k), (self.values[i], v)):
            held[:, : self.column] = new[rows, self.places].transpose(1, 2).flatten(0, 1)

    def open(self) -> None:
        """Makes the next column one that is seen; every layer then adds its token there."""
        if self.column == self.unseen.shape[-1]:
            more = min(BLOCK, self.room)
            self.unseen = nn.functional.pad(self.unseen, (0, more), value=-torch.inf)
            self.keys, self.values = ([nn.functional.pad(each, (0, 0, 0, more)) for each in held] for held in (self.keys, self.values))
        self.unseen[:, :, self.column] = 0
        self.column, self.lengths = self.column + 1, self.lengths + 1

    def add(self, i: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Writes one token (b, heads, head) of every row into the open column; returns keys, values and what is unseen."""
        self.keys[i][:, self.column - 1], self.values[i][:, self.column - 1] = k.flatten(0, 1), v.flatten(0, 1)
        return self.keys[i], self.values[i], self.unseen

    def keep(self, rows: Tensor) -> None:
        """Forgets all other rows."""
        flat = (rows.unsqueeze(1) * self.heads + torch.arange(self.heads, device=rows.device)).flatten()
        self.keys, self.values, self.unseen = [k[flat] for k in self.keys], [v[flat] for v in self.values], self.unseen[flat]
        self.lengths = self.lengths[rows]


class Block(NamedTuple):
    """The frozen tensors of one layer; linears that share an input are one matrix."""

    first_norm: Any
    second_norm: Any
    linears: dict[str, tuple[Tensor, Tensor | None]]  # by group: weight, bias


def fits(base: Any) -> bool:
    """Whether a base is of the family and its weights are dense."""
    config = base.config
    linears = [m for m in base.model.modules() if isinstance(m, nn.Linear)] if config.model_type == "llama" else []
    return bool(linears) and config.hidden_act == "silu" and all(type(m) is nn.Linear for m in linears)


class Trunk:
    """The layers of a base between tokens and last hidden states."""

    def __init__(self, base: Any) -> None:
        model, config = base.model, base.config
        self.embed, self.rotary, self.last_norm = model.embed_tokens, model.rotary_emb, model.norm
        self.output = base.get_output_embeddings()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head: int = model.layers[0].self_attn.head_dim
        self.layers = [Block(layer.input_layernorm, layer.post_attention_layernorm, {g: joined(layer, names) for g, names in GROUPS.items()})
                       for layer in model.layers]

    def fuse(self, pairs: Mapping[tuple[int, str], Pair]) -> Adapter:
        """A role's adapter, by (layer, linear), in the form the layers use; gradients flow back to the pairs."""
        dtype = self.embed.weight.dtype
        return [{group: fused([pairs.get((i, name)) for name in names], block.linears[group][0], dtype) for group, names in GROUPS.items()}
                for i, block in enumerate(self.layers)]

    def output_laid_out(self) -> Laid | None:
        """The frozen output layer, laid out likewise."""
        return laid_out(self.output.weight, self.output.bias, None) if can_lay_out(self.output.weight) else None

    def laid_out(self, adapter: Adapter | None) -> Adapter | None:
        """The same adapter beside the frozen matrices, laid out for a few rows at a time, where that is known to be faster."""
        if not can_lay_out(self.embed.weight):
            return adapter
        return [{group: laid_out(*block.linears[group], adapter[i][group] if adapter else None) for group in GROUPS} for i, block in enumerate(self.layers)]

    def forward(self, x: Tensor, layout: Layout, adapter: Adapter | None, layers: range, cache: Cache | None = None) -> Tensor:
        """States (n, d) after some layers, from those before them; the last norm is `finish`."""
        rope = self.rope(layout.positions, x)
        for i in layers:
            x = self.layer(i, x, rope, lambda q, k, v, i=i: self.attend(i, q, k, v, layout, cache), adapter[i] if adapter else {})
        return x

    def finish(self, x: Tensor) -> Tensor:
        return norm(x, self.last_norm.weight, self.last_norm.variance_epsilon)

    def rope(self, positions: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines (n, 1, head)."""
        cos, sin = self.rotary(x, positions.unsqueeze(0))
        return cos[0].unsqueeze(1), signed(sin[0].unsqueeze(1))

    def layer(self, i: int, x: Tensor, rope: tuple[Tensor, Tensor], mix: Callable[[Tensor, Tensor, Tensor], Tensor],
              adapter: Mapping[str, Lora | Laid | None]) -> Tensor:
        """One layer; `mix` (queries, keys, values) -> (n, heads head) is its attention."""
        block = self.layers[i]
        both = self.linear(i, "qkv", norm(x, block.first_norm.weight, block.first_norm.variance_epsilon), adapter)
        qk, v = both.view(len(x), -1, self.head).split([self.heads + self.kv_heads, self.kv_heads], 1)
        q, k = turn(qk, *rope).split([self.heads, self.kv_heads], 1)
        x = self.linear(i, "out", mix(q, k, v), adapter, x)
        gates = self.linear(i, "gates", norm(x, block.second_norm.weight, block.second_norm.variance_epsilon), adapter)
        return self.linear(i, "down", swiglu(gates), adapter, x)

    def linear(self, i: int, group: str, x: Tensor, adapter: Mapping[str, Lora | Laid | None], add: Tensor | None = None) -> Tensor:
        own = adapter.get(group)
        return project_laid(x, own, add) if isinstance(own, Laid) else project(x, *self.layers[i].linears[group], own, add)

    def attend(self, i: int, q: Tensor, k: Tensor, v: Tensor, layout: Layout, cache: Cache | None) -> Tensor:
        """Causal attention of whole rows; own tokens start at column 0, so no query ever sees padding.

        The common beginning looks at itself, and stands before every row's own keys and values.
        """
        first = [each[: layout.shared].unsqueeze(0) for each in (q, k, v)]
        q, k, v = (layout.padded(each[layout.shared :]) for each in (q, k, v))
        if layout.shared:
            k, v = (torch.cat([before_each(ahead, len(own)), own], 1) for ahead, own in zip(first[1:], (k, v), strict=True))
        if cache is not None:
            cache.fill(i, k, v)
        mixed = layout.packed(attend(q, k, v))
        return (torch.cat([attend(*first)[0], mixed]) if layout.shared else mixed).flatten(1)

    @torch.no_grad()
    def next(self, ids: Tensor, adapter: Adapter | None, cache: Cache) -> Tensor:
        """States (b, d) after one more token (b,) of every row."""
        x = self.embed(ids)
        rope = self.rope(cache.lengths, x)
        cache.open()
        for i in range(len(self.layers)):
            x = self.layer(i, x, rope, lambda q, k, v, i=i: self.attend_one(q, *cache.add(i, k, v)), adapter[i] if adapter else {})
        return self.finish(x)

    def attend_one(self, q: Tensor, keys: Tensor, values: Tensor, unseen: Tensor) -> Tensor:
        """Attention of one new token per row to all that its row holds."""
        shares = torch.baddbmm(unseen, q.reshape(len(keys), -1, self.head), keys.transpose(1, 2), alpha=self.head**-0.5).softmax(-1)
        return torch.bmm(shares, values).view(len(q), -1)


def before_each(x: Tensor, count: int) -> Tensor:
    """The common beginning (1, t, heads, head) as it stands before each of `count` rows; its gradient is the sum of theirs."""
    return x.expand(count, -1, -1, -1)


def joined(layer: Any, names: tuple[str, ...]) -> tuple[Tensor, Tensor | None]:
    """One matrix for linears that share an input; they become views of it, so nothing is held twice."""
    linears = [getattr(layer.self_attn if name in ("q_proj", "k_proj", "v_proj", "o_proj") else layer.mlp, name) for name in names]
    if len(linears) == 1:
        return linears[0].weight, linears[0].bias
    weight = torch.cat([each.weight.detach() for each in linears])
    bias = torch.cat([each.bias.detach() for each in linears]) if linears[0].bias is not None else None
    for each, part in zip(linears, weight.split([each.out_features for each in linears]), strict=True):
        each.weight = nn.Parameter(part, requires_grad=False)
    return weight, bias


def fused(pairs: list[Pair | None], weight: Tensor, dtype: torch.dtype) -> Lora | None:
    """Adapters of linears that share an input as one; None where there is none."""
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return None
    if len(pairs) == 1:
        return Lora(known[0].down.to(dtype), (known[0].up * known[0].scale).to(dtype))
    if len(known) < len(pairs):
        raise NotImplementedError("an adapter of only some of the linears that share an input takes the plain path")
    return Lora(torch.cat([p.down for p in known]).to(dtype), torch.block_diag(*(p.up * p.scale for p in known)).to(dtype))
