"""Plausible bugs in the formulas are caught: each check passes on ours and fails on deliberately broken ones.

`pytest -m mutants` runs these and those of test_engine_mutants.py, and prints which bug was caught by what.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tests import bandit
from workbench.engine import maths

PAD = 0
t = partial(torch.tensor, dtype=torch.float64)
MASK = t([[1, 1, 1], [1, 1, 0]])
IDS = torch.tensor([[5, 7, PAD], [4, PAD, PAD]])  # pad doubles as the end of a reply
REWARDS, VALUES = t([[0, 0, 1], [-0.1, 0.9, 7]]), t([[0.5, 0.6, 0.7], [0.2, 0.4, 9]])
LOGPS, REFERENCE = t([[-1, -2, -0.5], [-0.7, -1.1, 0]]), t([[-1.2, -1.5, -0.9], [-0.7, -1.6, 0]])
ADVANTAGES = t([[0.46575, 0.385, 0.3], [0.575, 0.5, 0]])
SCORES = t([2, 0.5, 0.5, -1])

pytestmark = pytest.mark.mutants
near = partial(torch.testing.assert_close, rtol=0, atol=1e-8)


def pays_the_worked_rewards(assemble: Callable[..., Tensor]) -> None:
    near(assemble(LOGPS, REFERENCE, t([1, -0.5]), MASK, 0.1), t([[-0.02, 0.05, 0.96], [0, -0.55, 0]]))


def gives_the_worked_advantages(estimate: Callable[..., tuple[Tensor, Tensor]]) -> None:
    near(estimate(REWARDS, VALUES, MASK)[0], ADVANTAGES)


def ignores_padding(estimate: Callable[..., tuple[Tensor, Tensor]]) -> None:
    near(estimate(torch.where(MASK > 0, REWARDS, torch.nan), VALUES, MASK)[0], ADVANTAGES)


def whitens_the_worked_advantages(whiten: Callable[..., Tensor]) -> None:
    soiled = torch.where(MASK > 0, ADVANTAGES, 3)
    near(whiten(soiled, MASK)[1], t([1.2245030143, 0.5172428982, 0]))


def expects_the_kl(estimator: Callable[..., Tensor]) -> None:
    policy, reference = t([0.7, 0.2, 0.1]), t([0.5, 0.3, 0.2])
    near((policy * estimator(policy.log(), reference.log(), torch.ones(3))).sum(), t(0.0851228259572))


def divides_by_the_temperature(logps: Callable[..., Tensor]) -> None:
    near(logps(t([[[0, 2]]]), torch.tensor([[0]]), 2.0), logsigmoid(t([[-1]])))


def has_the_worked_gradient(loss: Callable[..., maths.PolicyLoss]) -> None:
    logps = t([[0.5, 0.9, 1, 1.1, 1.5]] * 2).log().requires_grad_()
    result = loss(logps, torch.zeros_like(logps), t([[1] * 5, [-1] * 5]), torch.ones(2, 5))
    slope = torch.autograd.grad(result.loss, logps)[0]
    near(slope, t([[-0.05, -0.09, -0.1, -0.11, 0], [0, 0.09, 0.1, 0.11, 0.15]]))


def adds_up_over_micro_batches(loss: Callable[..., maths.PolicyLoss]) -> None:
    halves = [loss(LOGPS[i], REFERENCE[i], REWARDS[i], MASK[i], total=MASK.sum()).loss for i in (0, 1)]
    near(sum(halves), maths.policy_loss(LOGPS, REFERENCE, REWARDS, MASK).loss)


def has_the_worked_value_loss(loss: Callable[..., maths.ValueLoss]) -> None:
    near(loss(t([[0.5, 1, 2]]), t([[0.4, 0.4, 1]]), t([[1, 1, 1]]), torch.ones(1, 3)).loss, t(0.235))


def wins_by_the_margin(loss: Callable[..., Tensor]) -> None:
    near(loss(t([1, 2, 0]), t([0, 2.5, -3]), 1.0), t(0.840496156529))


def stays_finite(loss: Callable[..., Tensor]) -> None:
    near(loss(t([-1e4]), t([1e4])), t(2e4))


def leaves_ties_out(loss: Callable[..., Tensor]) -> None:
    near(loss(SCORES, torch.tensor([1, 2, 2, 3])), t(0.170848092701))


def reads_ranks_best_first(loss: Callable[..., Tensor]) -> None:
    near(loss(t([2, 0.5, 0.5, -1]), torch.tensor([1, 2, 3, 4])), t(1.403156018790))


def moves_the_kl_weight_gently(control: Callable[..., float]) -> None:
    near([control(0.15, kl, 6, 10_000, 256) for kl in (12, 3, 6.3, -1)], [0.150768, 0.149232, 0.150192, 0.15])


def sign_of_kl_flipped(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return maths.token_rewards(logps, reference, score, mask, -kl_weight)


def no_kl(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return maths.token_rewards(logps, reference, score, mask, 0.0)


def k3_in_the_reward(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return maths.token_rewards(logps, reference, score, mask, 0.0) - kl_weight * maths.k3(logps, reference, mask)


def score_on_every_token(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return (score[:, None] - kl_weight * (logps - reference)) * mask


def score_on_the_first_token(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    rewards = -kl_weight * (logps - reference) * mask
    return torch.cat([rewards[:, :1] + score[:, None], rewards[:, 1:]], 1)


def score_on_the_last_column(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    rewards = -kl_weight * (logps - reference) * mask
    return torch.cat([rewards[:, :-1], rewards[:, -1:] + score[:, None]], 1)


def mask_from_ids(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return maths.token_rewards(logps, reference, score, IDS != PAD, kl_weight)


def kl_per_reply_mean(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    return maths.token_rewards(logps, reference, score, mask, kl_weight / mask.shape[1])


def value_shifted(rewards: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return maths.gae(rewards, torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1), mask)


def gae_blind_to_the_mask(rewards: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    advantages, returns = maths.gae(rewards, values, torch.ones_like(mask))
    return advantages * mask, returns * mask


def gae_masked_by_product(rewards: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return maths.gae(rewards * mask, values * mask, torch.ones_like(mask))


def whiten_with_padding(x: Tensor, mask: Tensor) -> Tensor:
    return maths.whiten(x, torch.ones_like(x)) * mask


def k3_reversed(logps: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    return maths.k3(reference, logps, mask)


def temperature_forgotten(logits: Tensor, ids: Tensor, temperature: float) -> Tensor:
    return maths.token_logps(logits, ids)


def ratio_inverted(logps: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> maths.PolicyLoss:
    return maths.policy_loss(old, logps, advantages, mask)


def optimistic_clip(logps: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> maths.PolicyLoss:
    ratio = (logps - old).exp()
    loss = torch.minimum(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean()
    return maths.policy_loss(logps, old, advantages, mask)._replace(loss=loss)


def mean_per_micro_batch(*tensors: Tensor, total: Tensor) -> maths.PolicyLoss:
    result = maths.policy_loss(*tensors)
    return result._replace(loss=result.loss / 2)


def value_never_clipped(*tensors: Tensor) -> maths.ValueLoss:
    return maths.value_loss(*tensors, clip=None)


def margin_of_the_wrong_sign(chosen: Tensor, rejected: Tensor, margin: float) -> Tensor:
    return maths.pair_loss(chosen, rejected, -margin)


def log_of_sigmoid(chosen: Tensor, rejected: Tensor) -> Tensor:
    return -(chosen - rejected).sigmoid().log().mean()


def ties_as_wins(scores: Tensor, ranks: Tensor) -> Tensor:
    return maths.all_pairs_loss(scores, ranks.argsort(stable=True).argsort())


def ranks_worst_first(scores: Tensor, ranks: Tensor) -> Tensor:
    return maths.plackett_luce_loss(scores, ranks.max() - ranks)


def controller_unclipped(kl_weight: float, kl: float, target: float, horizon: float, episodes: int) -> float:
    return kl_weight * (1 + (kl / target - 1) * episodes / horizon)


CASES: list[tuple[Callable[[Any], None], Any, list[Any]]] = [
    (
        pays_the_worked_rewards,
        maths.token_rewards,
        [
            sign_of_kl_flipped, no_kl, k3_in_the_reward, score_on_every_token, score_on_the_first_token,
            score_on_the_last_column, mask_from_ids, kl_per_reply_mean,
        ],
    ),
    (gives_the_worked_advantages, maths.gae, [partial(maths.gae, gamma=0.5), value_shifted, gae_blind_to_the_mask]),
    (ignores_padding, maths.gae, [gae_masked_by_product]),
    (whitens_the_worked_advantages, maths.whiten, [whiten_with_padding, partial(maths.whiten, keep_mean=True)]),
    (expects_the_kl, maths.k3, [k3_reversed, maths.k2]),
    (divides_by_the_temperature, maths.token_logps, [temperature_forgotten]),
    (has_the_worked_gradient, maths.policy_loss, [ratio_inverted, optimistic_clip, partial(maths.policy_loss, clip=9)]),
    (adds_up_over_micro_batches, maths.policy_loss, [mean_per_micro_batch]),
    (has_the_worked_value_loss, maths.value_loss, [value_never_clipped]),
    (wins_by_the_margin, maths.pair_loss, [margin_of_the_wrong_sign]),
    (stays_finite, maths.pair_loss, [log_of_sigmoid]),
    (leaves_ties_out, maths.all_pairs_loss, [ties_as_wins]),
    (reads_ranks_best_first, maths.plackett_luce_loss, [ranks_worst_first]),
    (moves_the_kl_weight_gently, maths.adaptive_kl, [controller_unclipped]),
]  # fmt: skip


MUTANTS = [(check, mutant) for check, _, mutants in CASES for mutant in mutants]


def name_of(mutant: Any) -> str:
    """A function's name in words; for one of ours with another argument, that argument."""
    if isinstance(mutant, partial):
        return f"{mutant.func.__name__}({', '.join(f'{k}={v}' for k, v in mutant.keywords.items())})"
    return mutant.__name__.replace("_", " ")


@pytest.mark.parametrize(("check", "ours"), [case[:2] for case in CASES], ids=[case[0].__name__ for case in CASES])
def test_our_formula_passes(check: Callable[[Any], None], ours: Any):
    check(ours)


@pytest.mark.parametrize(("check", "mutant"), MUTANTS, ids=[name_of(mutant) for _, mutant in MUTANTS])
def test_a_broken_formula_is_caught(check: Callable[[Any], None], mutant: Any, record_property: Callable[[str, Any], None]):
    with pytest.raises(AssertionError):
        check(mutant)
    record_property("mutant", (name_of(mutant), check.__name__))


BROKEN_REWARDS = [sign_of_kl_flipped, no_kl, k3_in_the_reward, score_on_every_token, score_on_the_first_token, kl_per_reply_mean]
BROKEN_ESTIMATES = [partial(maths.gae, gamma=0.5), value_shifted]
ENDS_ELSEWHERE = [{"assemble": each} for each in BROKEN_REWARDS] + [{"estimate": each} for each in BROKEN_ESTIMATES]


@pytest.mark.parametrize("parts", ENDS_ELSEWHERE, ids=lambda parts: name_of(*parts.values()))
def test_ppo_on_a_broken_formula_ends_elsewhere(parts: dict[str, Callable[..., Any]], record_property: Callable[[str, Any], None]):
    """The closed form is the judge: every seed ends at least twice its tolerance away."""
    assert min(bandit.run(seed, **parts) for seed in bandit.SEEDS) > 0.01
    record_property("mutant", (f"{name_of(*parts.values())}, learned from", "ppo_reaches_the_closed_form"))
