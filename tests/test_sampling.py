"""The decoder: replies are pure samples of the distribution that is scored."""

from __future__ import annotations

import pytest
import torch

from workbench.engine import sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator
from workbench.engine.rollout import closed, score_tokens

PROMPTS = [[256, 40, 41, 42], [256, 50], [256, 60, 61, 62, 63, 64, 65]]


@pytest.fixture(scope="module", params=["tiny", "tiny_gpt2"])
def backbone(request):
    found = Backbone(request.getfixturevalue(request.param), "fp32")
    found.add("policy", 4, 8, 0.0, seed=0)
    return found


def answer(backbone, prompts=PROMPTS, tokens=12, temperature=1.0, seed=0):
    with backbone.role("policy"):
        return sampling.answer(backbone, prompts, tokens, temperature, generator(seed))


def test_first_tokens_are_spread_as_the_softmax_says(backbone):
    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(1)) * 2
    draws = 20_000
    ids, logps = sampling.pick(logits.expand(draws, -1), 1.3, torch.rand(draws, generator=generator(3)))
    expected = torch.softmax(logits[0] / 1.3, -1) * draws
    seen = torch.bincount(ids, minlength=50).float()
    chi2 = float(((seen - expected) ** 2 / expected).sum())
    assert chi2 < 85.4, "the 99.9 % point of chi square with 49 degrees of freedom"
    assert torch.allclose(logps, torch.log_softmax(logits[0] / 1.3, -1)[ids], atol=1e-5)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_the_samplers_log_probabilities_are_those_of_the_training_path(backbone, temperature):
    replies = answer(backbone, temperature=temperature)
    logps = score_tokens(backbone, "policy", closed(replies, 257), 3, temperature).logps
    assert torch.allclose(replies.logps * replies.mask, logps, atol=2e-4)


def test_a_reply_does_not_depend_on_when_its_neighbours_end(backbone, monkeypatch):
    monkeypatch.setattr(backbone.chat, "stops", [])
    endless = answer(backbone, tokens=20)
    stops = list(range(0, 256, 5))  # some rows end early and are dropped
    monkeypatch.setattr(backbone.chat, "stops", stops)
    stopped = answer(backbone, tokens=20)
    assert len(set(stopped.mask.sum(1).tolist())) > 1, "rows must end at different times for this to mean anything"
    for row in range(len(PROMPTS)):
        said = stopped.tokens(row)
        assert said == endless.tokens(row)[: len(said)]
        assert (said[-1] in stops) == bool(stopped.ended[row])
        assert not any(token in stops for token in said[:-1])


def test_the_same_seed_gives_the_same_replies(backbone):
    assert torch.equal(answer(backbone, seed=4).ids, answer(backbone, seed=4).ids)
    assert not torch.equal(answer(backbone, seed=4).ids, answer(backbone, seed=5).ids)


def test_temperature_zero_takes_the_likeliest_token(backbone):
    logits = torch.tensor([[0.1, 3.0, 0.2]])
    assert sampling.pick(logits, 0, torch.tensor([0.99]))[0].item() == 1


def test_the_models_own_sampling_settings_do_not_leak_in(backbone):
    backbone.base.generation_config.top_k = 1
    try:
        assert len(set(answer(backbone, [PROMPTS[0]] * 8, tokens=4).ids[:, 0].tolist())) > 1
    finally:
        backbone.base.generation_config.top_k = 50


@pytest.mark.parametrize("size", [3, 256, 1000])
def test_a_token_is_where_the_running_sum_passes_the_random_number(size):
    shares = torch.softmax(3 * torch.randn(400, size, generator=generator(5)), -1)
    uniform = torch.rand(400, generator=generator(6))
    summed = shares.double().cumsum(-1)
    wanted = torch.searchsorted(summed, (uniform.double() * summed[:, -1]).unsqueeze(1), right=True).squeeze(1)
    assert (sampling.where(shares, uniform) == wanted).float().mean() > 0.99, "but for rounding at an edge"
    assert sampling.where(shares, torch.zeros(400)).max() == 0 and sampling.where(shares, torch.full((400,), 1 - 2**-24)).max() < size


def test_a_token_that_cannot_be_is_never_drawn():
    shares = torch.zeros(200, 700)
    shares[:, [10, 300, 620]] = torch.tensor([0.2, 0.3, 0.5])
    assert set(sampling.where(shares, torch.linspace(0, 1 - 2**-24, 200)).tolist()) == {10, 300, 620}
