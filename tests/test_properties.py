"""The claims hold of the engine, on a model with relative positions and on one with absolute ones.

What each claim says is written beside it, in claims.py and claims_learning.py; that each would notice a bug is shown in
test_engine_mutants.py.
"""

from __future__ import annotations

import pytest
import torch

from tests.claims import ASKED, CUT_OFF, PPO_CLAIMS, SAID, collected, fixed_replies, logps_alone, moved, near
from tests.claims_learning import LEARNING_CLAIMS
from tests.claims_thrift import THRIFT_CLAIMS
from tests.roles import FAMILIES, PPO, digests, stir, with_four_roles, with_sft
from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad
from workbench.chat import Chat
from workbench.engine.rollout import closed
from workbench.engine.stepper import Stepper
from workbench.errors import WorkbenchError

CLAIMS = [*PPO_CLAIMS, *LEARNING_CLAIMS, *THRIFT_CLAIMS]


@pytest.fixture(params=FAMILIES)
def model(request) -> str:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.__name__ for claim in CLAIMS])
def test_it_holds_that(claim, model):
    claim(model)


def test_wrong_positions_cost_nats_with_absolute_positions_and_nothing_with_relative_ones(tiny, tiny_gpt2):
    """P3's other half: the size of the bug, and why one family of models would hide it."""
    errors = []
    for model in (tiny, tiny_gpt2):
        backbone = moved(model)
        ids, attention, *_ = closed(fixed_replies(backbone, 9), backbone.chat.end_of_turn)
        with torch.no_grad(), backbone.role("policy"):
            right, wrong = (backbone.logits(backbone.hidden(ids, attention, None, positions)[CUT_OFF, -6:-1]).log_softmax(-1)
                            for positions in (None, torch.arange(ids.shape[1]).expand_as(ids)))
        errors.append(float((right - wrong).abs().max()))
    assert errors[0] < 1e-3 and errors[1] > 0.5


def test_padding_and_end_of_turn_may_be_one_token(model):
    """P4: masks come from lengths, so such a tokenizer need not be refused: its ends are trained, and scored, all the same."""
    backbone = with_four_roles(model)
    tokenizer = backbone.chat.tokenizer
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer.pad_token_id == backbone.chat.end_of_turn
    encoded = Chat(tokenizer).conversation([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}])
    assert (encoded.ids[-1], encoded.mask[-1]) == (tokenizer.pad_token_id, 1)
    assert collected(backbone, fixed_replies(backbone))[0].mask.sum(1).tolist() == [4, 5, 3]


def test_without_adapters_the_base_speaks_bit_for_bit(model):
    """P9, P11"""
    ids, mask = pad([[5, 6, 7, 8]])
    plain, full = Backbone(model, "fp32"), moved(model)
    with torch.no_grad(), plain.role("base"):
        expected = plain.hidden(ids, mask)
    with torch.no_grad(), full.role("base"):
        assert torch.equal(full.hidden(ids, mask), expected)
    assert not any(p.requires_grad for role in full.roles() for _, p in full.named_parameters(role))


@pytest.mark.parametrize("then", ["", "value"])
def test_a_backward_outside_its_role_is_an_error(then, model):
    """P10: the gradient would be silently zero."""
    backbone = with_four_roles(model)
    stepper = Stepper(backbone, "policy", 1e-3, 10)
    ids, mask = pad([[5, 6, 7]])
    with backbone.role("policy", train=True):
        loss = backbone.logits(backbone.hidden(ids, mask)).logsumexp(-1).sum()
    with pytest.raises(WorkbenchError, match="no gradient reached role 'policy'"), backbone.role(then or "policy", train=True):
        if then:
            loss.backward()
        stepper.step()


def test_both_roles_in_one_loss_are_refused(model):
    """P10: the joint loss that goes wrong by 135 % under checkpointing cannot be written: blocks do not nest."""
    backbone = with_four_roles(model)
    with pytest.raises(WorkbenchError, match="inside role 'policy'"), backbone.role("policy", train=True), backbone.role("value", train=True):
        pass


def test_dropout_learned_with_is_off_in_a_copy_and_in_what_is_loaded(model, tmp_path):
    """P14"""
    backbone = Backbone(model, "fp32")
    backbone.add("sft", 8, 16, 0.5, seed=0)
    stir(backbone, "sft")
    backbone.save("sft", tmp_path / "sft-1", {})
    backbone.load("loaded", tmp_path / "sft-1")
    backbone.copy("policy", of="sft")
    ids, mask = pad([[5, 6, 7]])

    def said(role: str) -> torch.Tensor:
        with backbone.role(role, train=True):
            return backbone.hidden(ids, mask).detach()

    assert not torch.equal(said("sft"), said("sft")), "SFT itself may drop inputs while it trains"
    for role in ("policy", "loaded"):
        assert torch.equal(said(role), said(role))


def test_log_probabilities_are_tempered_and_scores_are_not(model):
    """P15"""
    backbone = moved(model)
    hot, cold = (collected(backbone, fixed_replies(backbone), PPO.replace(batch=3, minibatch=3, micro_batch=3, temperature=t))[0] for t in (2.0, 0.5))
    for rollout, temperature in ((hot, 2.0), (cold, 0.5)):
        near(rollout.logps[1], logps_alone(backbone, "policy", ASKED[1], SAID[1], temperature))
    assert torch.equal(hot.score, cold.score) and not torch.allclose(hot.logps, cold.logps)


def test_stops_are_every_end_the_model_knows(model):
    """P17"""
    backbone = with_sft(model)
    config = backbone.base.generation_config
    config.eos_token_id = [3, 9]
    assert Chat(backbone.chat.tokenizer, config).stops == sorted({3, 9, backbone.chat.end_of_turn})


def test_an_optimiser_moves_its_own_role_alone(model):
    """P8"""
    backbone = with_four_roles(model)
    stepper = Stepper(backbone, "value", 1e-2, 10)
    before = digests(backbone)
    for role in backbone.roles():
        for _, p in backbone.named_parameters(role):
            p.grad = torch.ones_like(p)
    stepper.step()
    assert {name for name, now in digests(backbone).items() if now != before[name]} == {"value"}
