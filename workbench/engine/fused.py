"""Pieces of a frozen network with LoRA adapters, forward and backward in one place: less memory, fewer passes.

Pure functions of tensors. Each gives what plain autograd gives, up to rounding (tests/test_fused.py); the frozen weights get
no gradient, and what can be computed again in the backward pass is not kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

CHUNK = 2**24  # logits held at once: 32 MB in bf16
LEAST = -80.0  # exp of less is a denormal number, which takes a hundred times as long and adds nothing
BLOCK = 2**19  # logits looked at at once: 2 MB in fp32, which a core's own cache holds


class Reading(NamedTuple):
    """What a model thinks of given tokens: log-probability and entropy in nats, and whether it was the likeliest; each (n,)."""

    logps: Tensor
    entropies: Tensor
    is_likeliest: Tensor


def read(states: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, temperature: float = 1.0) -> Reading:
    """Log-probabilities of ids (n,) from the states (n, d) before them, by a frozen output layer (v, d).

    Never holds (n, v): logits are made and forgotten in chunks. The gradient needs no second look at them, since
    d logp / d state = (weight[id] - sum_v p(v) weight[v]) / temperature, and the sum is made in the same pass.
    The temperature must be the one the replies were sampled at: Ziegler et al. (2019).
    """
    return Reading(*_Read.apply(states, weight, bias, ids, temperature, states.requires_grad and torch.is_grad_enabled()))


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, temperature: float, learns: bool) -> tuple[Tensor, ...]:
        size, found, expected = max(1, CHUNK // weight.shape[0]), [], []
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            logits = F.linear(states[part], weight, bias)
            block = len(logits) if logits.is_cuda else max(1, BLOCK // weight.shape[0])
            found += [read_block(z, wanted, temperature, learns) for z, wanted in zip(logits.split(block), ids[part].split(block), strict=True)]
            if learns:
                expected.append(logits @ weight)  # by now they are probabilities
        logps, entropies, likeliest = (torch.cat(each) for each in zip(*found, strict=True))
        if learns:
            ctx.save_for_backward(weight[ids] - torch.cat(expected))
            ctx.temperature = temperature
        ctx.mark_non_differentiable(entropies, likeliest)
        return logps, entropies, likeliest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        (direction,) = ctx.saved_tensors
        return direction * (grad / ctx.temperature).to(direction.dtype).unsqueeze(1), None, None, None, None, None


def read_block(logits: Tensor, ids: Tensor, temperature: float, learns: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability, entropy and whether it is the likeliest of ids (n,); with `learns`, logits (n, v) become probabilities."""
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    z = z.div_(temperature) if temperature != 1 else z
    z.sub_(z.amax(-1, keepdim=True))
    target = z.gather(1, ids.unsqueeze(1)).squeeze(1)
    weights = z.clamp_(min=LEAST).exp()
    total = weights.sum(-1)
    entropy = total.log() - torch.linalg.vecdot(weights, z) / total
    if learns:
        torch.div(weights, total.unsqueeze(1), out=weights)
        logits.copy_(weights)
    return target - total.log(), entropy, target == 0


class Lora(NamedTuple):
    """An adapter of linear layers that share an input: down (r, in), and up (out, r) with its scale already in it."""

    down: Tensor
    up: Tensor


def project(x: Tensor, weight: Tensor, bias: Tensor | None, lora: Lora | None, add: Tensor | None = None) -> Tensor:
    """x (n, in) through a frozen linear layer (out, in) and its adapter, plus `add` (n, out), a residual stream."""
    if torch.is_grad_enabled():
        return _Project.apply(x, weight, bias, *(lora or (None, None)), add)
    out = _linear(x, weight, bias, add)
    return out if lora is None else out.addmm_(x @ lora.down.T, lora.up.T)


class Laid(NamedTuple):
    """A frozen linear layer with its adapter in oneDNN's own order of numbers: for a product of few rows, which reads every weight once."""

    weight: Tensor  # (out, in + r), the adapter's up as further columns
    bias: Tensor | None
    down: Tensor | None  # (in, r), in fp32: for so thin a product that takes less than bf16


def can_lay_out(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()


def laid_out(weight: Tensor, bias: Tensor | None, lora: Lora | None) -> Laid:
    """Takes the adapter as it is now; a copy of the weights, so for as long as replies are written and no longer."""
    whole = weight if lora is None else torch.cat([weight, lora.up], 1)
    return Laid(torch.ops.mkldnn._reorder_linear_weight(whole), bias, None if lora is None else lora.down.T.float().contiguous())


def project_laid(x: Tensor, linear: Laid, add: Tensor | None = None) -> Tensor:
    """What `project` gives, up to rounding, in one product; without gradients."""
    if linear.down is not None:
        x = torch.cat([x, (x.float() @ linear.down).to(x.dtype)], 1)
    if add is not None:
        return torch.ops.mkldnn._linear_pointwise.binary(x, add, linear.weight, linear.bias, "add")
    return torch.ops.mkldnn._linear_pointwise(x, linear.weight, linear.bias, "none", [], "")


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, add: Tensor | None) -> Tensor:
    out = F.linear(x, weight, bias)
    return out if add is None else out.add_(add)


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor | None, up: Tensor | None, add: Tensor | None) -> Tensor:
        out = _linear(x, weight, bias, add)
        if down is None:
            ctx.save_for_backward(weight)
            return out
        low = x @ down.T
        ctx.save_for_backward(weight, x, down, up, low)
        return out.addmm_(low, up.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *rest = ctx.saved_tensors
        back = grad @ weight if ctx.needs_input_grad[0] else None
        added = grad if ctx.needs_input_grad[5] else None
        if not rest:
            return back, None, None, None, None, added
        x, down, up, low = rest
        back_low = grad @ up
        if back is not None:
            back.addmm_(back_low, down)
        return back, None, None, back_low.T @ x, grad.T @ low, added


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention (b, t, heads, head) of the last t tokens of rows that start at column 0; k and v (b, all, kv_heads, head)

    may have fewer heads, each shared by a group. On a CPU two plain products and a softmax take a third of the time of torch's fused kernel, and a fifth in the backward pass.
    """
    if q.is_cuda:
        t, every = q.shape[1], k.shape[1]
        mask = {"is_causal": True} if t == every else {"attn_mask": torch.ones(t, every, dtype=torch.bool, device=q.device).tril(every - t)}
        return F.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (q, k, v)), enable_gqa=True, **mask).transpose(1, 2)
    return _Attend.apply(q, k, v)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        b, t, heads, head = q.shape
        groups, every = heads // k.shape[2], k.shape[1]
        q = q.view(b, t, -1, groups, head).permute(0, 2, 3, 1, 4).reshape(-1, groups * t, head)
        k, v = (each.transpose(1, 2).reshape(-1, every, head) for each in (k, v))
        unseen = torch.full((t, every), -torch.inf, dtype=q.dtype, device=q.device).triu_(1 + every - t).repeat(groups, 1)
        shares = torch.baddbmm(unseen, q, k.transpose(1, 2), alpha=head**-0.5).softmax(-1)
        ctx.save_for_backward(q, k, v, shares)
        ctx.shape = (b, t, every, groups)
        return ungrouped(torch.bmm(shares, v), b, t, groups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        (q, k, v, shares), (b, t, every, groups) = ctx.saved_tensors, ctx.shape
        grad = grad.view(b, t, -1, groups, v.shape[-1]).permute(0, 2, 3, 1, 4).reshape(q.shape)
        back = torch.bmm(grad, v.transpose(1, 2))
        back = torch._softmax_backward_data(back, shares, -1, shares.dtype)
        scale = v.shape[-1] ** -0.5
        q_back = ungrouped(torch.bmm(back, k).mul_(scale), b, t, groups)
        k_back, v_back = torch.bmm(back.transpose(1, 2), q).mul_(scale), torch.bmm(shares.transpose(1, 2), grad)
        return q_back, ungrouped(k_back, b, every, 1), ungrouped(v_back, b, every, 1)


def ungrouped(x: Tensor, b: int, t: int, groups: int) -> Tensor:
    """(b kv_heads, groups t, head) -> (b, t, heads, head)."""
    return x.view(b, -1, groups, t, x.shape[-1]).permute(0, 3, 1, 2, 4).flatten(2, 3)


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square normalisation over the last dimension, in fp32 inside (Zhang and Sennrich 2019)."""
    return _Norm.apply(x, weight, epsilon) if torch.is_grad_enabled() else norm_forward(x, weight, epsilon)


def _normed(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = torch.rsqrt(torch.linalg.vecdot(wide, wide).div_(x.shape[-1]).add_(epsilon)).unsqueeze(-1)
    return wide.mul_(scale) if wide is not x else wide * scale, scale


def norm_forward(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return weight * _normed(x, epsilon)[0].to(x.dtype)


def norm_backward(grad: Tensor, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    unit, scale = _normed(x, epsilon)
    wide = (grad * weight).to(unit.dtype)
    inner = torch.linalg.vecdot(wide, unit).div_(x.shape[-1]).neg_().unsqueeze(-1)
    return wide.addcmul_(unit, inner).mul_(scale).to(x.dtype)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.epsilon = epsilon
        return norm_forward(x, weight, epsilon)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return norm_backward(grad, *ctx.saved_tensors, ctx.epsilon), None, None


def swiglu(both: Tensor) -> Tensor:
    """silu(gate) * up of (n, 2 m) = [gate, up], (n, m) (Shazeer 2020)."""
    return _Swiglu.apply(both) if torch.is_grad_enabled() else swiglu_forward(both)


def swiglu_forward(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, -1)
    return F.silu(gate).mul_(up)


def swiglu_backward(grad: Tensor, both: Tensor) -> Tensor:
    gate, up = both.chunk(2, -1)
    back = torch.empty_like(both)
    gate_back, up_back = back.chunk(2, -1)
    torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=gate_back)
    torch.mul(F.silu(gate), grad, out=up_back)
    return back


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) in Llama's half-split form; x (n, heads, head), cos and sin (n, 1, head).

    The first half of `sin` has the sign of the half that it takes from the second: see `signed`.
    """
    return _Turn.apply(x, cos, sin) if torch.is_grad_enabled() else turn_forward(x, cos, sin)


def signed(sin: Tensor) -> Tensor:
    """Sines (n, 1, head) with the first half's sign turned, once for all layers."""
    left, right = sin.chunk(2, -1)
    return torch.cat([-left, right], -1)


def turn_forward(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return turn_forward(x, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return turn_forward(grad, cos, sin.roll(sin.shape[-1] // 2, -1)), None, None


class _Swiglu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        return swiglu_forward(both)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return swiglu_backward(grad, *ctx.saved_tensors)
