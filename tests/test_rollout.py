"""Scores and credits: read at the right token, whatever the padding, and nothing after the end matters."""

from __future__ import annotations

import pytest
import torch

from workbench.engine import ppo
from workbench.engine.backbone import Backbone
from workbench.engine.batches import Padded, generator, pad
from workbench.engine.rollout import closed, last_scores, score_replies, score_tokens, shaped_score
from workbench.engine.sampling import Replies
from workbench.recipes import PpoRecipe

RECIPE = PpoRecipe(sft="sft-1", reward="reward-1")


@pytest.fixture(scope="module", params=["tiny", "tiny_gpt2"])
def backbone(request):
    found = Backbone(request.getfixturevalue(request.param), "fp32")
    found.add("reward", 4, 8, 0.0, seed=0)
    found.add_head("reward", seed=0)
    return found


def replies_of(prompts, said, ended, width=0):
    ids, mask = pad(said, width=width)
    return Replies(pad(prompts, left=True), ids, mask, torch.tensor(ended), torch.zeros(ids.shape))


def test_a_score_is_read_at_the_last_real_token_whatever_the_padding(backbone):
    row = [5, 6, 7, 8, 9]
    with torch.no_grad(), backbone.role("reward"):
        found = [float(last_scores(backbone, "reward", *p)) for p in (pad([row]), pad([row], width=11), pad([row], left=True, width=9))]
        shorter = float(last_scores(backbone, "reward", *pad([row[:-1]])))
    assert found[0] == pytest.approx(found[1], abs=1e-6) and found[0] == pytest.approx(found[2], abs=1e-5)
    assert abs(found[0] - shorter) > 1e-5, "the token before the last must not be the one that is read"


def test_a_reply_that_was_cut_off_is_scored_as_if_its_turn_had_ended(backbone):
    stop = backbone.chat.end_of_turn
    cut, ended = replies_of([[5, 6], [5, 6]], [[7, 8], [7, 8, stop]], [False, True]), [[5, 6, 7, 8, stop]]
    scores = score_replies(backbone, "reward", closed(cut, stop), 2)
    with torch.no_grad(), backbone.role("reward"):
        assert float(last_scores(backbone, "reward", *pad(ended))) == pytest.approx(float(scores[0]), abs=1e-5)
    assert scores[0] == pytest.approx(float(scores[1]), abs=1e-6)


def test_a_reply_without_an_end_pays_and_scores_are_kept_within_limits():
    found = shaped_score(torch.tensor([1.0, 1.0, 9.0, -9.0]), torch.tensor([True, False, True, True]), 1.0)
    assert found.tolist() == [1.0, 0.0, 5.0, -5.0]


def test_each_token_costs_the_length_penalty_after_the_score_is_kept_within_limits():
    said = replies_of([[5], [5]], [[6, 7, 8], [6, 7]], [True, False])
    found = priced(said, torch.zeros(2, 3), torch.tensor([9.0, 1.0]), 0.125).rewards
    assert found.tolist() == [[-0.125, -0.125, 5.0 - 0.125], [-0.125, 1.0 - 1.0 - 0.125, 0.0]]


def test_a_new_length_penalty_does_not_blame_the_token_that_ends_a_reply():
    said = replies_of([[5], [5]], [[6] * 30, [6] * 20], [True, True])
    stale = torch.ones(2, 30) * said.mask  # a value model that knows the score and nothing of the price
    found = priced(said, stale, torch.tensor([1.0, 1.0]), 0.125)
    assert all(row[mask.bool()][-1] == row[mask.bool()].max() for row, mask in zip(found.advantages, said.mask, strict=True))


def priced(said, values, score, price):
    return ppo.credit(closed(said, 257), said.ended, torch.zeros(values.shape), torch.zeros(values.shape), values, score, RECIPE.replace(length_penalty=price))


def test_what_stands_after_the_end_influences_nothing(backbone):
    prompts, said = [[5, 6, 7], [5]], [[8, 9, 10], [11]]
    clean = replies_of(prompts, said, [True, True])
    dirty_ids = torch.where(clean.mask.bool(), clean.ids, torch.randint(1, 200, clean.ids.shape, generator=generator(1)))
    for other in (clean._replace(ids=dirty_ids), replies_of(prompts, said, [True, True], width=7)):
        with torch.no_grad():
            mine, theirs = (score_tokens(backbone, "reward", closed(r, 257), 2, 1.0).logps for r in (clean, other))
        assert torch.allclose(mine, theirs[:, : mine.shape[1]], atol=1e-5)
        assert not theirs[:, mine.shape[1] :].any()


def test_the_score_lands_on_the_last_token_and_drift_costs_at_each():
    said = replies_of([[5], [5]], [[6, 7, 8], [6, 7]], [True, True])
    logps = torch.tensor([[-1.0, -2.0, -0.5], [-0.7, -1.1, 0.0]])
    reference = torch.tensor([[-1.2, -1.5, -0.9], [-0.7, -1.6, 0.0]])
    found = ppo.credit(closed(said, 257), said.ended, logps, reference, torch.zeros(2, 3), torch.tensor([1.0, -0.5]), RECIPE.replace(kl_weight=0.1, lam=1.0))
    assert torch.allclose(found.returns, torch.tensor([[0.99, 1.01, 0.96], [-0.55, -0.55, 0.0]]), atol=1e-6)
    kept = found.advantages[found.mask.bool()]
    assert float(kept.mean()) == pytest.approx(0, abs=1e-6) and float(kept.std()) == pytest.approx(1, abs=1e-4)


def test_log_probabilities_do_not_depend_on_the_padding_of_the_prompt(backbone):
    said = replies_of([[5, 6, 7]], [[8, 9]], [True])
    wide = said._replace(prompts=Padded(*pad([[5, 6, 7]], left=True, width=9)))
    with torch.no_grad():
        mine, theirs = (score_tokens(backbone, "reward", closed(r, 257), 1, 0.7).logps for r in (said, wide))
    assert torch.allclose(mine, theirs, atol=1e-5)
