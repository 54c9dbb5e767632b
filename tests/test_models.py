"""Names to weights: precisions, safetensors only, no code of a model."""

from __future__ import annotations

import json

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from tests import toy
from workbench.engine import models
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator, pad
from workbench.errors import ModelError


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_base_is_held_in_the_precision_asked_for(tiny, precision, dtype):
    base = models.load_base(tiny, precision)
    assert base.get_input_embeddings().weight.dtype == dtype
    assert not any(p.requires_grad for p in base.parameters()) and not base.training


def test_auto_on_a_cpu_is_the_faster_of_two(tiny):
    assert models.load_base(tiny, "auto", torch.device("cpu")).dtype in (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A toy wide enough for quantisation blocks of 64."""
    return toy.make(tmp_path_factory.mktemp("models") / "wide", width=64)


def gradients(backbone):
    """Of all adapter weights, after a pass without gradients as a rollout makes it."""
    backbone.add("policy", 4, 8, 0.0, seed=0)
    with torch.no_grad():
        for _, p in backbone.named_parameters("policy"):
            p.add_(torch.randn(p.shape, generator=generator(5)) * 0.1)
    ids, mask = pad([[5, 6, 7, 8]])
    with torch.no_grad(), backbone.role("policy"):
        backbone.hidden(ids, mask)
    with backbone.role("policy", train=True):
        backbone.logits(backbone.hidden(ids, mask)).float().logsumexp(-1).sum().backward()
    return torch.cat([p.grad.flatten() for _, p in backbone.named_parameters("policy")])


def test_gradients_pass_through_nf4_layers_on_a_cpu_as_through_the_same_weights_unpacked(wide):
    quantised, plain = Backbone(wide, "nf4", torch.device("cpu")), Backbone(wide, "fp32")
    layers = dict(plain.base.named_modules())
    for name, layer in quantised.base.named_modules():
        if isinstance(layer, Linear4bit):
            assert layer.weight.quant_state.quant_type == "nf4" and layer.weight.quant_state.nested, "double quantisation"
            layers[name].weight.data = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    assert torch.cosine_similarity(gradients(quantised), gradients(plain), dim=0) > 0.99


def test_a_pickled_model_is_refused(tiny, tmp_path):
    base = models.load_base(tiny, "fp32")
    torch.save(base.state_dict(), tmp_path / "pytorch_model.bin")
    base.config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="safetensors"):
        models.load_base(str(tmp_path), "fp32")


def test_a_models_own_code_is_never_run(tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass C: pass\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.C"}}))
    with pytest.raises(ModelError):
        models.load_base(str(tmp_path), "fp32")
    assert not (tmp_path / "ran").exists()


def test_a_model_that_bends_its_logits_is_refused_rather_than_wrong(tiny):
    class Config:
        final_logit_softcapping = 30.0

    with pytest.raises(ModelError, match="final_logit_softcapping=30.0"):
        models.refuse_unknown_logits("gemma", Config())
