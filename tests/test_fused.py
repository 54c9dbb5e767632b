"""The fused pieces give what plain autograd gives, and hold less."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.engine import fused, maths
from workbench.engine.batches import generator
from workbench.engine.fused import Lora

N, D = 7, 12


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, *shape), dtype=torch.float64)


def same_with_gradients(ours, theirs, *inputs: Tensor) -> None:
    """Both functions of the same leaves, pulled on by the same numbers."""
    results = []
    for function in (ours, theirs):
        leaves = [each.clone().requires_grad_() for each in inputs]
        out = function(*leaves)
        out.backward(noise(*out.shape, seed=9))
        results.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for mine, wanted in zip(*results, strict=True):
        assert torch.allclose(mine, wanted, atol=1e-10)


def plain_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def plain_swiglu(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, -1)
    return F.silu(gate) * up


def plain_turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def test_normalisation():
    weight = noise(D, seed=1)
    same_with_gradients(lambda x: fused.norm(x, weight, 1e-5), lambda x: plain_norm(x, weight), noise(N, D))


def test_gated_activation():
    same_with_gradients(fused.swiglu, plain_swiglu, noise(N, 2 * D))


def test_rotary_positions():
    angles = noise(N, 1, 4, seed=2).repeat(1, 1, 2)
    cos, sin = angles.cos(), angles.sin()
    same_with_gradients(lambda x: fused.turn(x, cos, fused.signed(sin)), lambda x: plain_turn(x, cos, sin), noise(N, 3, 8))


@pytest.mark.parametrize("shared_by", [1, 3])
def test_causal_attention_with_shared_keys(shared_by):
    def plain(q, k, v):
        wide = [each.transpose(1, 2) for each in (q, k.repeat_interleave(shared_by, 2), v.repeat_interleave(shared_by, 2))]
        return F.scaled_dot_product_attention(*wide, is_causal=True).transpose(1, 2)

    same_with_gradients(fused.attend, plain, noise(2, 5, 2 * shared_by, 4), noise(2, 5, 2, 4, seed=1), noise(2, 5, 2, 4, seed=2))


@pytest.mark.parametrize("with_bias", [False, True])
def test_a_linear_layer_with_its_adapter_and_the_residual(with_bias):
    weight, bias = noise(6, D, seed=1), noise(6, seed=2) if with_bias else None
    same_with_gradients(
        lambda x, down, up, add: fused.project(x, weight, bias, Lora(down, up), add),
        lambda x, down, up, add: F.linear(x, weight, bias) + x @ down.T @ up.T + add,
        noise(N, D), noise(3, D, seed=3), noise(6, 3, seed=4), noise(N, 6, seed=5))


def test_a_linear_layer_without_adapter_lets_gradients_through():
    weight = noise(6, D, seed=1)
    same_with_gradients(lambda x: fused.project(x, weight, None, None), lambda x: F.linear(x, weight), noise(N, D))


@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize("chunk", [1, 2**24])
def test_reading_tokens_from_states(temperature, chunk, monkeypatch):
    monkeypatch.setattr(fused, "CHUNK", chunk)
    weight, ids = noise(11, D, seed=1), torch.arange(N) % 11
    same_with_gradients(lambda states: fused.read(states, weight, None, ids, temperature).logps,
                        lambda states: maths.token_logps(states @ weight.T, ids, temperature), noise(N, D))
    found = fused.read(noise(N, D), weight, None, ids, temperature)
    logits = noise(N, D) @ weight.T
    assert torch.allclose(found.entropies, maths.entropy(logits, temperature))
    assert torch.equal(found.is_likeliest, logits.argmax(-1) == ids)


def test_reading_never_holds_all_logits(monkeypatch):
    monkeypatch.setattr(fused, "CHUNK", 22)
    sizes: list[int] = []

    def watched(*arguments):
        out = F.linear(*arguments)
        sizes.append(out.numel())
        return out

    monkeypatch.setattr(fused, "F", type("F", (), {"linear": staticmethod(watched)}))
    fused.read(noise(N, D).requires_grad_(), noise(11, D, seed=1), None, torch.arange(N)).logps.sum().backward()
    assert sizes and max(sizes) <= 22


def test_a_temperature_forgotten_is_seen():
    weight, ids = noise(11, D, seed=1), torch.arange(N)
    assert not torch.allclose(fused.read(noise(N, D), weight, None, ids, 0.7).logps, fused.read(noise(N, D), weight, None, ids).logps)


@pytest.mark.skipif(not fused.can_lay_out(torch.zeros(1, dtype=torch.bfloat16)), reason="needs oneDNN's bf16 products")
@pytest.mark.parametrize("with_adapter", [False, True])
def test_weights_laid_out_for_few_rows_give_the_same_but_for_rounding(with_adapter):
    weight, x, add = (noise(*shape, seed=at).bfloat16() for at, shape in enumerate([(48, 32), (5, 32), (5, 48)]))
    lora = Lora(noise(16, 32, seed=3).bfloat16(), noise(48, 16, seed=4).bfloat16()) if with_adapter else None
    with torch.no_grad():
        laid = fused.project_laid(x, fused.laid_out(weight, None, lora), add).double()
        plain = fused.project(x, weight, None, lora, add).double()
    exact = x.double() @ weight.double().T + add.double() + (x.double() @ lora.down.double().T @ lora.up.double().T if lora else 0)
    assert float((laid - exact).abs().max() / exact.abs().max()) < 0.01
    assert float((laid - exact).abs().mean()) <= 1.5 * float((plain - exact).abs().mean())
