"""The fast path gives what transformers and PEFT give: states, gradients, replies, layers computed once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workbench.engine import sampling, trunk
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator, pad
from workbench.engine.trunk import fits

ROWS = [[256, 40, 41, 42], [256, 50], [256, 60, 61, 62, 63, 64, 65]]


def with_adapter(model: str, layers: int = 0) -> Backbone:
    backbone = Backbone(model, "fp32")
    backbone.add("policy", 4, 8, 0.0, seed=0, layers=layers)
    for n, (_, parameter) in enumerate(backbone.named_parameters("policy")):
        torch.nn.init.normal_(parameter, std=0.2, generator=generator(1, n))
    return backbone


@pytest.fixture
def backbone(tiny):
    return with_adapter(tiny)


def as_plain(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "trunk", None)


def states(backbone: Backbone, role: str, left: bool = True, width: int = 0) -> Tensor:
    ids, mask = pad(ROWS, left=left, width=width)
    with backbone.role(role):
        return backbone.states(ids, mask, mask.bool())


def test_the_tiny_llama_takes_the_fast_path_and_gpt2_the_plain_one(tiny, tiny_gpt2):
    assert fits(Backbone(tiny, "fp32").base)
    assert not fits(Backbone(tiny_gpt2, "fp32").base)


def test_quantised_weights_take_the_plain_path(tiny):
    assert not Backbone(tiny, "nf4").is_fast()


@pytest.mark.parametrize("role", ["policy", "base"])
@pytest.mark.parametrize("left", [True, False])
def test_states_are_those_of_the_plain_path(role, left, backbone, monkeypatch):
    fast = states(backbone, role, left)
    as_plain(backbone, monkeypatch)
    assert torch.allclose(fast, states(backbone, role, left), atol=1e-5)


def test_in_bf16_both_paths_differ_by_rounding_only(tiny, monkeypatch):
    backbone = Backbone(tiny, "bf16")
    backbone.add("policy", 4, 8, 0.0, seed=0)
    fast = states(backbone, "policy").float()
    as_plain(backbone, monkeypatch)
    plain = states(backbone, "policy").float()
    assert float((fast - plain).abs().mean() / plain.abs().mean()) < 0.02


def test_gradients_are_those_of_the_plain_path(backbone, monkeypatch):
    ids, mask = pad(ROWS, left=True)
    found = []
    for _ in range(2):
        with backbone.role("policy", train=True):
            out = backbone.states(ids, mask, mask.bool())
            (out * torch.randn(out.shape, generator=generator(3))).sum().backward()
        found.append([p.grad.clone() for _, p in backbone.named_parameters("policy")])
        for _, parameter in backbone.named_parameters("policy"):
            parameter.grad = None
        as_plain(backbone, monkeypatch)
    for mine, wanted in zip(*found, strict=True):
        assert torch.allclose(mine, wanted, atol=1e-5 * float(wanted.abs().max() + 1))
        assert wanted.abs().max() > 0


def test_padding_changes_nothing(backbone):
    assert torch.allclose(states(backbone, "policy", True), states(backbone, "policy", False, width=11), atol=1e-5)


@pytest.mark.parametrize("block", [trunk.BLOCK, 5])
def test_replies_are_those_of_the_plain_path(block, backbone, monkeypatch):
    def answered():
        with backbone.role("policy"):
            return sampling.answer(backbone, ROWS, 24, 1.0, generator(5))

    monkeypatch.setattr(trunk, "BLOCK", block)  # a small one makes the cache grow again and again
    monkeypatch.setattr(backbone.chat, "stops", list(range(0, 256, 9)))  # some rows end early and are dropped
    fast = answered()
    as_plain(backbone, monkeypatch)
    plain = answered()
    assert len(set(fast.mask.sum(1).tolist())) > 1
    assert torch.equal(fast.ids * fast.mask, plain.ids * plain.mask) and torch.equal(fast.mask, plain.mask)
    assert torch.allclose(fast.logps, plain.logps, atol=1e-4)


def test_layers_below_the_first_adapted_one_are_computed_once_and_for_all_roles(tiny, monkeypatch):
    backbone = with_adapter(tiny, layers=1)
    ids, mask = pad(ROWS, left=True)
    lower = backbone.below(ids, mask, "policy")
    assert lower.count == 1
    with backbone.role("policy"):
        whole, upper = (backbone.states(ids, mask, mask.bool(), each) for each in (None, lower))
        assert torch.equal(whole, upper)
        as_plain(backbone, monkeypatch)
        assert torch.allclose(whole, backbone.states(ids, mask, mask.bool(), lower), atol=1e-5)


def test_there_is_nothing_below_when_every_layer_is_adapted(backbone):
    assert backbone.below(*pad(ROWS), "policy") is None


def test_only_the_upper_layers_get_an_adapter(tiny):
    backbone = with_adapter(tiny, layers=1)
    assert {layer for layer, _ in backbone.pairs("policy")} == {1}
    backbone.copy("value", of="policy")
    assert {layer for layer, _ in backbone.pairs("value")} == {1}


def test_dropout_takes_the_plain_path_while_training(tiny):
    backbone = Backbone(tiny, "fp32")
    backbone.add("policy", 4, 8, 0.5, seed=0)
    with backbone.role("policy", train=True):
        assert not backbone.is_fast()
    with backbone.role("policy"):
        assert backbone.is_fast()
