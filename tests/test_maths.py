"""Hand-worked numbers (G1 to G16), gradients and invariants of the formulas, in float64."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from workbench.engine import maths
from workbench.errors import RecipeError

GARBAGE = [1e30, -1e30, float("nan"), float("inf"), float("-inf")]
HOWS = ("token_mean", "seq_mean_token_mean", "seq_mean_token_sum")
t = partial(torch.tensor, dtype=torch.float64)


def same(found: object, expected: object, within: float = 1e-9) -> None:
    wide = partial(torch.as_tensor, dtype=torch.float64)
    torch.testing.assert_close(wide(found), wide(expected), rtol=0, atol=within)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])
EPISODES = t([[0, 0, 1], [-0.1, 0.9, 7]]), t([[0.5, 0.6, 0.7], [0.2, 0.4, 9]]), MASK  # 7 and 9 are garbage
LATE_SCORE = t([[0, 0, 0, 1]]), t([[0.1, 0.2, 0.3, 0.4]]), torch.ones(1, 4)
EARLY_SCORE = t([[0, 0, 1, 5]]), t([[0.1, 0.2, 0.3, 8]]), t([[1, 1, 1, 0]])
ADVANTAGES = t([[0.46575, 0.385, 0.3], [0.575, 0.5, 0]])
WHITE = [[0.1942607786, -0.5672226131, -1.3687840780], [1.2245030143, 0.5172428982, 0]]
WHITE_BIASED = [[0.2171901290, -0.6341740901, -1.5303469525], [1.3690358371, 0.5782950764, 0]]
GRID = t([[1.2, 1.3, 1.4], [1.5, 1.6, 1.7], [1.8, 1.9, 2.0]])
GRID_WHITE = [
    [0.0508067777, 0.4381050833, 0.8254033889],
    [1.2127016944, 1.6, 1.9872983056],
    [2.3745966111, 2.7618949167, 3.1491932223],
]
LOGPS, REFERENCE = t([[-1, -2, -0.5], [-0.7, -1.1, 0]]), t([[-1.2, -1.5, -0.9], [-0.7, -1.6, 0]])
REPLIES = LOGPS, REFERENCE, MASK
VALUES = t([[0.5, 1, 2]]), t([[0.4, 0.4, 1]]), t([[1, 1, 1]]), torch.ones(1, 3)
UNEVEN = t([[1, 2, 99], [3, 4, 5], [7, 99, 99]]), t([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
CHOSEN, REJECTED = t([1, 2, 0]), t([0, 2.5, -3])
SCORES, STRICT, TIED = t([2, 0.5, 0.5, -1]), torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 2, 3])
MARGINS = t([2, 2, -2, 0.1, -0.1, 1, 1, -1, 3, 3])
UP = t([[1, 2, 3]])
FLAT = t([[2, 2, 2]])


def evaluated(values: Tensor, returns: Tensor) -> Tensor:
    return maths.explained_variance(values, returns, torch.ones(1, 3))


def next_weight(kl: float, weight: float = 0.15, horizon: float = 10_000, episodes: int = 256) -> float:
    return maths.adaptive_kl(weight, kl, target=6, horizon=horizon, episodes=episodes)


WORKED: dict[str, tuple[Callable[[], Any], Any]] = {
    "G1 gae": (lambda: maths.gae(*EPISODES)[0], ADVANTAGES),
    "G1a gae lam 1": (lambda: maths.gae(*EPISODES, lam=1.0)[0], [[0.5, 0.4, 0.3], [0.6, 0.5, 0]]),
    "G1a gae lam 0": (lambda: maths.gae(*EPISODES, lam=0.0)[0], [[0.1, 0.1, 0.3], [0.1, 0.5, 0]]),
    "G1 returns": (lambda: maths.gae(*EPISODES)[1], [[0.96575, 0.985, 1], [0.775, 0.9, 0]]),
    "G1b gae, score on the last token": (lambda: maths.gae(*EARLY_SCORE)[0], [[0.82675, 0.765, 0.7, 0]]),
    "G1c gae, score one slot later": (lambda: maths.gae(*LATE_SCORE)[0][:, :3], [[0.799675, 0.7365, 0.67]]),
    "G2 mean": (lambda: maths.masked_mean(ADVANTAGES, MASK), 0.44515),
    "G2 variance": (lambda: maths.masked_var(ADVANTAGES, MASK), 0.0112451125),
    "G2 whiten": (lambda: maths.whiten(ADVANTAGES, MASK), WHITE),
    "G2b whiten, biased": (lambda: maths.whiten(ADVANTAGES, MASK, unbiased=False), WHITE_BIASED),
    "G2c whiten, mean kept": (lambda: maths.whiten(GRID, GRID > 0, keep_mean=True, unbiased=False), GRID_WHITE),
    "G3 token rewards": (
        lambda: maths.token_rewards(LOGPS, REFERENCE, t([1, -0.5]), MASK, 0.1),
        [[-0.02, 0.05, 0.96], [0, -0.55, 0]],
    ),
    "token rewards, empty reply": (
        lambda: maths.token_rewards(LOGPS, REFERENCE, t([1, -0.5]), t([[1, 0, 0], [0, 0, 0]]), 0.1),
        [[0.98, 0, 0], [0, 0, 0]],
    ),
    "G3 k1": (lambda: maths.kl_per_token(*REPLIES).sum(1), [0.1, 0.5]),
    "G3 k2": (lambda: maths.k2(*REPLIES).sum(1), [0.225, 0.125]),
    "G3 k3": (lambda: maths.k3(*REPLIES).sum(1), [0.2377720698, 0.1065306597]),
    "sft loss": (lambda: maths.sft_loss(LOGPS, MASK), 5.3 / 5),
    "G5 value loss": (lambda: maths.value_loss(*VALUES).loss, 0.235),
    "value loss, share clipped": (lambda: maths.value_loss(*VALUES).clipped, 1 / 3),
    "G5 value loss, clip None": (lambda: maths.value_loss(*VALUES, clip=None).loss, 0.625 / 3),
    "value loss, clip 0": (lambda: maths.value_loss(*VALUES, clip=0).loss, 0.625 / 3),
    "explained variance, perfect": (lambda: evaluated(UP, UP), 1),
    "explained variance, the mean": (lambda: evaluated(FLAT, UP), 0),
    "explained variance, worse than the mean": (lambda: evaluated(-UP, UP), -3),
    "explained variance, flat returns": (lambda: evaluated(UP, FLAT), 0),
    "G11 aggregations": (lambda: t([maths.aggregate(*UNEVEN, how) for how in HOWS]), [22 / 6, 25 / 6, 22 / 3]),
    "G6 pair loss": (lambda: maths.pair_loss(CHOSEN, REJECTED), 0.445308674424),
    "G6 pair loss, margin": (lambda: maths.pair_loss(CHOSEN, REJECTED, margin=1.0), 0.840496156529),
    "G6 pair loss, equal": (lambda: maths.pair_loss(CHOSEN, CHOSEN), math.log(2)),
    "pair loss, huge": (lambda: maths.pair_loss(t([-1e4]), t([1e4])), 2e4),
    "G7 all pairs": (lambda: maths.all_pairs_loss(SCORES, STRICT), 0.257897940677),
    "G7 all pairs, tie": (lambda: maths.all_pairs_loss(SCORES, TIED), 0.170848092701),
    "G8 plackett-luce": (lambda: maths.plackett_luce_loss(SCORES, STRICT), 1.403156018790),
    "G8 plackett-luce, equal": (lambda: maths.plackett_luce_loss(0 * SCORES, STRICT), math.log(24)),
    "G8 plackett-luce, pair": (lambda: maths.plackett_luce_loss(t([1, 0]), STRICT[:2]), 0.313261687518),
    "plackett-luce, only the best known": (
        lambda: maths.plackett_luce_loss(SCORES, torch.tensor([-1, 0, -1, -1])),
        -torch.log_softmax(SCORES, 0)[1],
    ),
    "G10 kl weight": (lambda: [next_weight(kl) for kl in (12, 3, 6.3, -1)], [0.150768, 0.149232, 0.150192, 0.15]),
    "kl weight, highest": (lambda: next_weight(100, weight=9.9, horizon=1), 10),
    "kl weight, lowest": (lambda: next_weight(0, weight=2e-4, horizon=1, episodes=5), 1e-4),
    "wilson, none of ten": (lambda: maths.wilson(0, 10)[0], 0),
    "wilson, ten of ten": (lambda: maths.wilson(10, 10)[1], 1),
    "wilson, no trial": (lambda: maths.wilson(0, 0), [0, 1]),
}


@pytest.mark.parametrize("name", WORKED)
def test_formula_matches_the_worked_number(name: str):
    found, expected = WORKED[name]
    same(found(), expected)


def test_formula_matches_the_rounded_number():
    """G14, G16"""
    same(maths.pair_loss(MARGINS, 0 * MARGINS), 0.5806537, within=5e-8)
    same(maths.wilson(81, 263), [0.2553, 0.3662], within=5e-5)  # Newcombe (1998), table I
    table = [0, 0.193147, 0.636294, 1.204442, 1.835089, 3.174508]
    same([maths.best_of_n_kl(n) for n in (1, 2, 4, 8, 16, 64)], table, within=5e-7)


def test_k3_is_never_negative_and_k1_sums_to_the_reply_log_ratio():
    """P5"""
    logps, reference, mask = noise(8, 5), noise(8, 5, seed=1), torch.ones(8, 5)
    assert (maths.k3(logps, reference, mask) >= 0).all()
    same(maths.kl_per_token(logps, reference, mask).sum(1), logps.sum(1) - reference.sum(1))
    assert not maths.kl_per_token(logps, logps, mask).any()
    assert not maths.k3(logps, logps, mask).any()


def test_policy_loss_matches_by_hand():
    """G4"""
    ratio, advantages = t([[0.5, 0.9, 1, 1.1, 1.5]] * 2), t([[1] * 5, [-1] * 5])
    logps, old = ratio.log().requires_grad_(), torch.zeros(2, 5)
    result = maths.policy_loss(logps, old, advantages, torch.ones(2, 5))
    same(result.loss.detach(), 0.06)
    same(result.ratio, ratio)
    same(result.clipped.double().mean(), 0.2)
    same(result.approx_kl, 0.05954648, within=5e-9)
    same(maths.k2(ratio.log(), old, ratio > 0).mean(), 0.06650398, within=5e-9)
    same(torch.autograd.grad(result.loss, logps)[0], [[-0.05, -0.09, -0.1, -0.11, 0], [0, 0.09, 0.1, 0.11, 0.15]])


def test_policy_loss_survives_a_policy_that_ran_away():
    result = maths.policy_loss(t([[500.0]]), t([[0.0]]), t([[-1.0]]), t([[1]]))
    same(result.loss, math.exp(20), within=1e-3)


def test_an_unknown_aggregation_is_refused():
    with pytest.raises(RecipeError, match="median"):
        maths.aggregate(t([[1]]), t([[1]]), "median")


def test_a_tie_prefers_equal_scores_with_or_without_a_margin():
    for margin in (0.0, 1.0):
        gap = t([0.0]).requires_grad_()
        same(torch.autograd.grad(maths.pair_loss(gap, t([0.0]), margin, label=0.5), gap)[0], [0])


def test_a_label_of_zero_swaps_the_pair():
    chosen, rejected = noise(4), noise(4, seed=1)
    same(maths.pair_loss(chosen, rejected, 0.3, label=0.0), maths.pair_loss(rejected, chosen, 0.3))


def test_unranked_replies_and_all_ties_form_no_pair():
    same(maths.all_pairs_loss(t([*SCORES, 50]), torch.tensor([1, 2, 3, 4, -1])), 0.257897940677)
    scores = noise(4).requires_grad_()
    loss = maths.all_pairs_loss(scores, torch.tensor([1, 1, 1, 1]))
    loss.backward()
    assert loss == 0 and not scores.grad.any()


def test_plackett_luce_refuses_ties_and_names_the_way_out():
    with pytest.raises(RecipeError, match="pairs loss"):
        maths.plackett_luce_loss(SCORES, TIED)


@pytest.mark.parametrize("loss", [maths.all_pairs_loss, maths.plackett_luce_loss])
def test_ranking_losses_ignore_order_of_replies_and_a_constant(loss: Callable[[Tensor, Tensor], Tensor]):
    """P6"""
    scores, ranks, shuffled = noise(5), torch.tensor([3, 0, 4, -1, 1]), torch.tensor([4, 2, 0, 3, 1])
    expected = loss(scores, ranks)
    same(loss(scores[shuffled], ranks[shuffled]), expected)
    same(loss(scores + 7, ranks), expected)


def test_pair_loss_ignores_order_of_pairs_and_a_constant():
    """P6"""
    chosen, rejected = noise(6), noise(6, seed=1)
    expected = maths.pair_loss(chosen, rejected)
    same(maths.pair_loss(chosen.flip(0), rejected.flip(0)), expected)
    same(maths.pair_loss(chosen + 7, rejected + 7), expected)


@pytest.mark.parametrize(
    ("kl_weight", "kl", "objective"), [(1, 0.188276, 0.485976), (0.5, 0.456048, 0.634110), (10, 0.002734, None)]
)
def test_tilted_policy_is_the_optimum(kl_weight: float, kl: float, objective: float | None):
    """G15"""
    reward, reference = t([1, 0, -1, 0.5]), t([0.4, 0.3, 0.2, 0.1])
    best = maths.tilted(reward, reference, kl_weight)
    if kl_weight == 1:
        same(best, [0.668802, 0.184529, 0.045256, 0.101412], within=5e-7)
    same(maths.exact_kl(best, reference), kl, within=1e-6)
    attained = (best * reward).sum() - kl_weight * maths.exact_kl(best, reference)
    same(maths.best_objective(reward, reference, kl_weight), attained)
    if objective is not None:
        same(attained, objective, within=1e-6)


def test_temperature_divides_the_logits():
    """P15"""
    logits, ids = noise(2, 3, 5), torch.tensor([[0, 4, 2], [1, 1, 3]])
    expected = torch.log_softmax(logits / 0.7, -1).gather(-1, ids[..., None])[..., 0]
    same(maths.token_logps(logits, ids, temperature=0.7), expected)
    spread = torch.distributions.Categorical(logits=logits / 0.7).entropy()
    same(maths.entropy(logits, temperature=0.7), spread)


def test_log_probs_of_half_precision_logits_are_computed_in_fp32():
    logits = noise(1, 2, 5).bfloat16()
    assert maths.token_logps(logits, torch.zeros(1, 2, dtype=torch.long)).dtype == torch.float32
    same(maths.entropy(torch.zeros(1, 1, 8).bfloat16()), [[math.log(8)]], within=1e-6)


def losses(new: Tensor, old: Tensor, aim: Tensor, mask: Tensor, total: Tensor) -> list[Tensor]:
    policy = maths.policy_loss(new, old, aim, mask, total=total)
    value = maths.value_loss(new, old, aim, mask, total=total)
    return [maths.sft_loss(new, mask, total), policy.loss, value.loss, policy.approx_kl, value.clipped]


@pytest.mark.parametrize("size", [1, 2])
def test_losses_and_gradients_do_not_depend_on_the_micro_batch(size: int):
    """P12"""
    mask = t([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
    new, old, aim = [0.3 * noise(4, 4, seed=seed) for seed in range(3)]
    new.requires_grad_()
    whole = losses(new, old, aim, mask, mask.sum())
    parts = [losses(*part, mask.sum()) for part in zip(*(x.split(size) for x in (new, old, aim, mask)), strict=True)]
    for index, one in enumerate(whole):
        many = sum(part[index] for part in parts)
        same(many, one)
        if one.requires_grad:
            same(torch.autograd.grad(many, new)[0], torch.autograd.grad(one, new)[0])


def everything(x: list[Tensor], mask: Tensor) -> list[Tensor]:
    """Every masked number, and the gradient of every loss in its first input."""
    lead = x[0].clone().requires_grad_()
    policy = maths.policy_loss(lead, x[1], x[2], mask)
    value = maths.value_loss(lead, x[1], x[2], mask)
    sft = maths.sft_loss(lead, mask)
    slopes = [torch.autograd.grad(loss, lead)[0] for loss in (policy.loss, value.loss, sft)]
    return [
        *policy, *value, sft, *slopes, *maths.gae(x[0], x[1], mask),
        maths.token_rewards(x[0], x[1], t([1, 2]), mask, 0.1),
        maths.kl_per_token(x[0], x[1], mask), maths.k2(x[0], x[1], mask), maths.k3(x[0], x[1], mask),
        maths.whiten(x[0], mask), maths.whiten(x[0], mask, keep_mean=True), maths.masked_var(x[0], mask),
        maths.explained_variance(x[0], x[1], mask), *(maths.aggregate(x[0], mask, how) for how in HOWS),
    ]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("dtype", [torch.bool, torch.long, torch.float64])
def test_nothing_outside_the_mask_matters(garbage: float, dtype: torch.dtype):
    """P13"""
    mask = t([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]).to(dtype)
    clean = [noise(2, 5, seed=seed) for seed in range(3)]
    soiled = [torch.where(mask.bool(), x, garbage) for x in clean]
    for expected, found in zip(everything(clean, mask), everything(soiled, mask), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_agree_with_finite_differences(seed: int):
    x, old, aim = [noise(2, 3, seed=10 * seed + i) for i in range(3)]
    logits, ids, ranks = noise(1, 2, 4, seed=seed), torch.tensor([[0, 3]]), torch.tensor([2, 0, 1, -1, 4])
    for function, at in [
        (lambda x: maths.policy_loss(x, old, aim, MASK).loss, x),
        (lambda x: maths.value_loss(x, old, aim, MASK).loss, x),
        (lambda x: maths.sft_loss(x, MASK), x),
        (lambda x: maths.pair_loss(x[0], x[1], margin=0.2, label=0.8), x),
        (lambda x: maths.all_pairs_loss(x, ranks), noise(5, seed=seed)),
        (lambda x: maths.plackett_luce_loss(x, ranks), noise(5, seed=seed)),
        (lambda x: maths.token_logps(x, ids, 0.7), logits),
        (lambda x: maths.entropy(x, 0.7), logits),
    ]:
        assert torch.autograd.gradcheck(function, at.clone().requires_grad_())
