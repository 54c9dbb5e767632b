"""One frozen base, many roles: what must never leak from one to another."""

from __future__ import annotations

import json

import pytest
import torch

from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad
from workbench.errors import AdapterError, ModelError, WorkbenchError


@pytest.fixture
def backbone(tiny):
    found = Backbone(tiny, "fp32")
    found.add("sft", 4, 8, 0.0, seed=1)
    with torch.no_grad():
        for _, p in found.named_parameters("sft"):
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(3)) * 0.1)
    return found


def logits(backbone, role, rows=((5, 6, 7, 8),)):
    padded = pad(rows)
    with torch.no_grad(), backbone.role(role):
        return backbone.logits(backbone.hidden(padded.ids, padded.mask))


def test_a_fresh_adapter_changes_nothing(backbone):
    backbone.add("fresh", 4, 8, 0.0, seed=0)
    assert torch.equal(logits(backbone, "fresh"), logits(backbone, "base"))
    assert not torch.equal(logits(backbone, "sft"), logits(backbone, "base"))


def test_a_copy_speaks_exactly_like_its_original(backbone):
    backbone.copy("policy", of="sft")
    assert torch.equal(logits(backbone, "policy"), logits(backbone, "sft"))


def test_only_the_active_role_is_trained(backbone):
    backbone.copy("policy", of="sft")
    with backbone.role("policy", train=True):
        padded = pad([[5, 6, 7]])
        backbone.logits(backbone.hidden(padded.ids, padded.mask)).sum().backward()
    assert all(p.grad is not None for _, p in backbone.named_parameters("policy"))
    assert all(p.grad is None for _, p in backbone.named_parameters("sft"))
    assert not any(p.requires_grad for p in backbone.base.parameters()), "outside a training block nothing may be trainable"


def test_the_reference_stays_frozen_after_a_pass_without_adapters(backbone):
    logits(backbone, "base")
    with backbone.role("sft"):
        assert not any(p.requires_grad for p in backbone.base.parameters())


def test_switching_roles_inside_a_block_is_refused(backbone):
    backbone.copy("policy", of="sft")
    with backbone.role("policy"), pytest.raises(WorkbenchError, match="inside role 'policy'"), backbone.role("sft"):
        pass
    with backbone.role("sft"):
        pass


def test_an_unknown_role_is_named_with_those_there_are(backbone):
    with pytest.raises(AdapterError, match="no role 'ghost'.*sft"), backbone.role("ghost"):
        pass


def test_saved_and_loaded_roles_speak_alike(backbone, tmp_path):
    backbone.add_head("sft", seed=0)
    backbone.heads["sft"].calibrate(0.5, 2.0)
    backbone.save("sft", tmp_path / "sft-1", {"run": "sft-1"})
    assert sorted(p.name for p in (tmp_path / "sft-1").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "head.safetensors", "workbench.json"]
    backbone.load("again", tmp_path / "sft-1")
    assert torch.equal(logits(backbone, "again"), logits(backbone, "sft"))
    hidden = torch.randn(3, backbone.width)
    assert torch.equal(backbone.heads["again"](hidden), backbone.heads["sft"](hidden))


def test_a_folded_head_gives_the_same_scores(backbone):
    backbone.add_head("sft", seed=0)
    backbone.heads["sft"].calibrate(0.5, 2.0)
    backbone.add_head("value", seed=0, copy_of="sft")
    hidden = torch.randn(3, backbone.width)
    assert torch.allclose(backbone.heads["value"](hidden), backbone.heads["sft"](hidden), atol=1e-6)
    assert float(backbone.heads["value"].spread) == 1.0


def test_a_missing_or_foreign_adapter_is_refused(backbone, tmp_path):
    with pytest.raises(AdapterError, match="no whole adapter"):
        backbone.load("x", tmp_path / "nowhere")
    backbone.save("sft", tmp_path / "sft-1", {})
    about = tmp_path / "sft-1" / "workbench.json"
    about.write_text(json.dumps({"model": "another"}))
    with pytest.raises(AdapterError, match="trained on 'another'"):
        backbone.load("x", tmp_path / "sft-1")


def test_dropping_every_role_gives_the_base_back(backbone):
    before = logits(backbone, "base")
    backbone.drop("sft")
    assert backbone.roles() == []
    assert torch.equal(logits(backbone, "base"), before)
    backbone.add("sft", 4, 8, 0.0, seed=1)
    assert torch.equal(logits(backbone, "sft"), before)


@pytest.mark.parametrize("family", ["tiny", "tiny_gpt2"])
@pytest.mark.parametrize("padding", [1, 4, 9])
def test_padding_on_either_side_changes_no_real_state(family, padding, request):
    found = Backbone(request.getfixturevalue(family), "fp32")
    rows = [[5, 6, 7, 8, 9]]
    with torch.no_grad(), found.role("base"):
        plain, left, right = (found.hidden(*p) for p in (pad(rows), pad(rows, left=True, width=5 + padding), pad(rows, width=5 + padding)))
    assert torch.allclose(plain[0], left[0, padding:], atol=1e-5)
    assert torch.allclose(plain[0], right[0, :5], atol=1e-6)


def test_a_model_that_is_not_there_says_what_would_do(tmp_path):
    with pytest.raises(ModelError, match="cannot load the model"):
        Backbone(str(tmp_path), "fp32")
