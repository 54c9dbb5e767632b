"""What only a GPU shows: NF4 with and without gradients, generation against training, an untouched base, peak memory."""

from __future__ import annotations

import pytest
import torch

from tests.roles import PPO, PROMPTS, digests, with_four_roles
from workbench.engine import ppo
from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
ROWS = [[256, 40, 41, 42], [256, 50], [256, 60, 61, 62, 63, 64, 65]]


def logps(backbone: Backbone, with_gradients: bool) -> torch.Tensor:
    ids, mask = (t.to(backbone.device) for t in pad(ROWS))
    where = mask.bool() & torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1).bool()
    with torch.set_grad_enabled(with_gradients), backbone.role("policy", train=with_gradients):
        return backbone.read(backbone.states(ids, mask, where), ids[:, 1:][where[:, :-1]]).logps.detach()


@pytest.mark.parametrize("precision", ["nf4", "bf16"])
def test_log_probabilities_are_the_same_with_and_without_gradients(tiny, precision):
    backbone = with_four_roles(tiny, precision)
    assert float((logps(backbone, True) - logps(backbone, False)).abs().mean()) < 1e-3


@pytest.mark.parametrize("precision", ["nf4", "bf16"])
def test_generation_and_training_agree_and_the_first_ratio_is_near_1(tiny, precision):
    first = next(ppo.train(PPO, with_four_roles(tiny, precision), PROMPTS)).numbers
    assert first["generation_mismatch"] < 0.02
    assert first["first_ratio_dev"] < 0.02
    assert abs(first["kl_seq"]) < 0.05


def test_the_packed_base_is_untouched_by_training(tiny):
    backbone = with_four_roles(tiny, "nf4")
    before = digests(backbone)
    list(ppo.train(PPO, backbone, PROMPTS))
    assert {name for name, digest in digests(backbone).items() if digest != before[name]} == {"policy", "value"}


def test_the_fast_path_gives_the_plain_paths_states(tiny, monkeypatch):
    backbone = with_four_roles(tiny, "bf16")
    fast = logps(backbone, True)
    monkeypatch.setattr(backbone, "trunk", None)
    assert float((fast - logps(backbone, True)).abs().mean()) < 0.05
