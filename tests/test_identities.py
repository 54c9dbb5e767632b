"""What the formulas say of each other, and of methods that are no stage here."""

from __future__ import annotations

from functools import partial

import torch

from workbench.engine import maths

t = partial(torch.tensor, dtype=torch.float64)
SCORES, EVERY = t([1, 0, 2, 1]), torch.ones(4)  # four replies to one prompt


def near(found: torch.Tensor, expected: list[float] | float, within: float = 1e-9) -> None:
    torch.testing.assert_close(found, t(expected), rtol=0, atol=within)


def test_dpo_is_the_pair_loss_of_the_rewards_it_implies():
    """G13: beta 0.1; log-probabilities -10 and -14 under the policy, -11 and -13 under the reference; and ln 2 where they agree."""
    chosen, rejected = 0.1 * maths.kl_per_token(t([[-10], [-14]]), t([[-11], [-13]]), torch.ones(2, 1))
    near(maths.pair_loss(chosen, rejected), 0.5981388694, 1e-10)
    near(maths.pair_loss(chosen * 0, rejected * 0), 0.6931471805599453)


def test_group_baselines_are_means_and_spreads_of_a_prompts_replies():
    """G12: RLOO leaves the reply itself out of the mean, GRPO divides by the spread, Dr. GRPO does not."""
    less_mean = SCORES - maths.masked_mean(SCORES, EVERY)
    near(less_mean, [0, -1, 1, 0])
    near(less_mean * 4 / 3, [0, -4 / 3, 4 / 3, 0])
    near(SCORES - (SCORES.sum() - SCORES) / 3, [0, -4 / 3, 4 / 3, 0])
    near(maths.whiten(SCORES, EVERY), [0, -1.224743, 1.224743, 0], 2e-6)


def test_k1_and_k3_expect_the_kl_and_neither_k2_nor_k3_reversed_does():
    """G9: k3 with its sign reversed is never negative either, so only the number tells."""
    policy, reference, every = t([0.7, 0.2, 0.1]), t([0.5, 0.3, 0.2]), torch.ones(3)
    pair = policy.log(), reference.log()
    near(maths.exact_kl(policy, reference), 0.0851228259572)
    near((policy * maths.kl_per_token(*pair, every)).sum(), 0.0851228259572)
    near((policy * maths.k3(*pair, every)).sum(), 0.0851228259572)
    near((policy * maths.k2(*pair, every)).sum(), 0.0800875941911)
    near((policy * maths.k3(*pair[::-1], every)).sum(), 0.0782105074, 1e-10)
