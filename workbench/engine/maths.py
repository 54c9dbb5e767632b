"""The formulas of RLHF as pure functions: tensors in, tensors out.

Knows torch and nothing else of the project but its errors: no model, no recipe, no device choice.
Letters: b batch, t tokens, v vocabulary. Masks are 1 where a token counts; what lies outside a mask never matters,
not even when it is NaN. "nats" are natural-log units.
"""

import math
from statistics import NormalDist
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from workbench.errors import RecipeError

LOG_RATIO_LIMIT = 20.0  # exp(20) is still finite in fp32; verl and OpenRLHF clamp here too
Total = Tensor | float | None
Aggregation = Literal["token_mean", "seq_mean_token_mean", "seq_mean_token_sum"]


def token_logps(logits: Tensor, ids: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability in nats, (..., t), of ids (..., t) under softmax(logits / temperature), logits (..., t, v).

    Computed in fp32 at least. The temperature must be the one the replies were sampled at, everywhere:
    Ziegler et al. (2019); Huang et al., "The N implementation details of RLHF with PPO" (2023).
    """
    return torch.log_softmax(_tempered(logits, temperature), -1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy, (..., t) nats, of softmax(z), z = logits (..., t, v) / temperature: logsumexp z - sum(softmax(z) z)."""
    z = _tempered(logits, temperature)
    return z.logsumexp(-1) - (z.softmax(-1) * z).sum(-1)


def sft_loss(logps: Tensor, mask: Tensor, total: Total = None) -> Tensor:
    """Mean negative log-likelihood in nats per trained token, scalar; logps and mask (b, t).

    `total` is the tokens of the whole optimiser step (Hugging Face's `num_items_in_batch`), by default of this mask.
    """
    return _per_token(-_shield(logps, mask), mask, total)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x where the mask is 1, scalar, in the units of x; 0 for an empty mask."""
    return _per_token(_shield(x, mask), mask, None)


def masked_var(x: Tensor, mask: Tensor, unbiased: bool = True) -> Tensor:
    """Variance of x where the mask is 1, scalar; unbiased divides by n - 1 (TRL, verl), else by n (Ziegler et al.)."""
    squares = _shield(x - masked_mean(x, mask), mask).square().sum()
    return squares / (mask.sum() - int(unbiased)).clamp(min=1)


def whiten(x: Tensor, mask: Tensor, keep_mean: bool = False, unbiased: bool = True) -> Tensor:
    """x scaled to variance 1 and, unless keep_mean, mean 0 over the mask; 0 outside it; shape of x.

    (x - mean) / sqrt(var + 1e-8), once per rollout batch: Huang et al. (2023), "reward and advantage whitening".
    """
    mean = masked_mean(x, mask)
    scaled = (x - mean) * torch.rsqrt(masked_var(x, mask, unbiased) + 1e-8)
    return _shield(scaled + mean if keep_mean else scaled, mask)


def kl_per_token(logps: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Drift from the reference in nats, (b, t); unbiased over the policy's own replies, single values may be negative.

    The "k1" estimator of Schulman, "Approximating KL divergence" (2020): log policy - log reference.
    """
    return _shield(logps - reference, mask)


def k2(logps: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Half the squared log-ratio in nats, (b, t), never negative and biased; for display only.

    Schulman (2020). In the reward it would pay for distance both ways: its mean is not the KL that PPO must pay for.
    """
    return kl_per_token(logps, reference, mask).square() / 2


def k3(logps: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """exp(-d) - 1 + d with d = log policy - log reference, in nats, (b, t); unbiased, never negative; display only.

    Schulman (2020). Never in the reward: the policy gradient drops the term E[grad k3], which is not 0 as it is for k1,
    and PPO then collapses as if there were no penalty (Liu et al., arXiv 2510.01555; tests/test_mutants.py).
    """
    d = kl_per_token(logps, reference, mask)
    return torch.expm1(-d) + d


def token_rewards(logps: Tensor, reference: Tensor, score: Tensor, mask: Tensor, kl_weight: float) -> Tensor:
    """Reward per token, (b, t), 0 outside the mask: -kl_weight * k1, and the score (b,) at the last real token.

    Ziegler et al. (2019), eq. 2, with the score on the end-of-reply token as in OpenRLHF `compute_reward`;
    TRL puts it one slot later. Higher is better; in units of the score.
    """
    penalty = -kl_weight * kl_per_token(logps, reference, mask)
    is_last = mask.bool() & (mask.long().flip(-1).cumsum(-1).flip(-1) == 1)  # one real token from here to the end
    return torch.where(is_last, penalty + score.unsqueeze(-1), penalty)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> tuple[Tensor, Tensor]:
    """Advantages and returns, both (b, t), 0 outside the mask, in units of the reward; the value beyond the end is 0.

    Schulman et al., "High-dimensional continuous control using GAE" (2016), eq. 16, from the last token back:
    delta[t] = r[t] + gamma V[t+1] - V[t];  A[t] = delta[t] + gamma lam A[t+1];  return = A + V.
    values[:, t] is that of the state before token t.
    """
    rewards, values = _shield(rewards, mask), _shield(values, mask)
    advantage = following = torch.zeros_like(values[:, 0])
    columns: list[Tensor] = []
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * following - values[:, t]
        advantage, following = delta + gamma * lam * advantage, values[:, t]
        columns.append(advantage)
    advantages = torch.stack(columns[::-1], dim=1)
    return _shield(advantages, mask), _shield(advantages + values, mask)


class PolicyLoss(NamedTuple):
    """What one policy update did; only `loss` carries gradient."""

    loss: Tensor  # scalar; minimise
    ratio: Tensor  # (b, t) new / old probability; 1 outside the mask
    clipped: Tensor  # (b, t) bool; the clipped branch is strictly the larger, so the token gives no gradient
    approx_kl: Tensor  # scalar, nats per token, KL(old, new) by k3; divided by total, so micro-batches add up


def policy_loss(
    logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2, total: Total = None
) -> PolicyLoss:
    """Clipped surrogate, per token max(-A ratio, -A clip(ratio, 1 - clip, 1 + clip)); all inputs (b, t).

    Schulman et al., "Proximal policy optimization algorithms" (2017), eq. 7, negated. With `total`, the tokens of the
    whole optimiser step, micro-batch losses and gradients add up to the same sum however the step is cut.
    """
    advantages = _shield(advantages, mask)
    log_ratio = _shield(logps - old_logps, mask).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio = log_ratio.exp()
    free, held = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    drift = (torch.expm1(log_ratio) - log_ratio).detach()
    loss, approx_kl = _per_token(torch.maximum(free, held), mask, total), _per_token(drift, mask, total)
    return PolicyLoss(loss, ratio.detach(), held > free, approx_kl)


class ValueLoss(NamedTuple):
    """What one value update did; only `loss` carries gradient."""

    loss: Tensor  # scalar; minimise
    clipped: Tensor  # scalar share of tokens held by the clip; divided by total, so micro-batches add up


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float | None = 0.2, total: Total = None
) -> ValueLoss:
    """Half the squared error to the returns, the worse of free and held within clip of the old value; inputs (b, t).

    OpenAI baselines' ppo2 and Ziegler et al. (2019). `clip` is in units of the value; None or 0 leaves it out.
    """
    error = _shield(values - returns, mask).square()
    if not clip:
        return ValueLoss(_per_token(error, mask, total) / 2, error.new_zeros(()))
    old_values = _shield(old_values, mask)
    held = _shield(old_values + (values - old_values).clamp(-clip, clip) - returns, mask).square()
    share = _per_token((held > error).to(error.dtype), mask, total)
    return ValueLoss(_per_token(torch.maximum(error, held), mask, total) / 2, share)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """1 - Var(returns - values) / Var(returns), scalar; 1 is perfect, below 0 is worse than the mean of the returns.

    0 where the returns do not vary. As in OpenAI baselines and Stable-Baselines3.
    """
    spread = masked_var(returns, mask)
    share = 1 - masked_var(returns - values, mask) / torch.where(spread > 0, spread, 1)
    return torch.where(spread > 0, share, 0)


def aggregate(loss: Tensor, mask: Tensor, how: Aggregation) -> Tensor:
    """One scalar from a loss per token (b, t): every token alike, or every reply alike; empty replies do not count.

    The names are verl's (`agg_loss`); seq_mean_token_mean is GRPO's (Shao et al. 2024), token_mean DAPO's and ours.
    """
    loss, lengths = _shield(loss, mask), mask.sum(-1)
    replies = (lengths > 0).sum().clamp(min=1)
    match how:
        case "token_mean":
            return _per_token(loss, mask, None)
        case "seq_mean_token_mean":
            return (loss.sum(-1) / lengths.clamp(min=1)).sum() / replies
        case "seq_mean_token_sum":
            return loss.sum() / replies
    raise RecipeError(f"no aggregation '{how}'; use token_mean, seq_mean_token_mean or seq_mean_token_sum")


def adaptive_kl(kl_weight: float, kl: float, target: float, horizon: float, episodes: int) -> float:
    """The next KL weight, within [1e-4, 10]; kl and target in nats per reply, horizon in replies.

    Ziegler et al. (2019), section 2.2: weight *= 1 + clip(kl / target - 1, +-0.2) episodes / horizon. A negative
    estimate is noise or a sampling bug and leaves the weight alone: lowering it then would run away.
    """
    if kl < 0:
        return kl_weight
    error = min(max(kl / target - 1, -0.2), 0.2)
    return min(max(kl_weight * (1 + error * episodes / horizon), 1e-4), 10.0)


def pair_loss(chosen: Tensor, rejected: Tensor, margin: Tensor | float = 0.0, label: Tensor | float = 1.0) -> Tensor:
    """Mean over pairs, in nats, of -log sigmoid(chosen - rejected - margin); scores (b,), equal scores cost ln 2.

    Bradley & Terry (1952); margin as in Llama 2 (Touvron et al. 2023), eq. 2. `label` is the probability that the
    chosen reply is the better one, 0.5 for a tie; either side has to win by the margin.
    """
    gap = chosen - rejected
    return -(label * logsigmoid(gap - margin) + (1 - label) * logsigmoid(-gap - margin)).mean()


def all_pairs_loss(scores: Tensor, ranks: Tensor, margin: float = 0.0, label: float = 1.0, with_ties: bool = False) -> Tensor:
    """Mean pair loss in nats over the pairs of one prompt's replies; scores (k,), ranks (k,) long.

    A lower rank is better, equal is a tie, -1 is unranked; unranked replies form no pair, tied ones only `with_ties`, labelled
    0.5 and without margin; no pair costs 0. Margin and label of the strict pairs as in `pair_loss`.
    Ouyang et al., "InstructGPT" (2022), eq. 1: all pairs of a prompt are one batch element.
    """
    is_ranked = (ranks >= 0) & (ranks >= 0)[:, None]
    better, worse = torch.nonzero((ranks[:, None] < ranks) & is_ranked, as_tuple=True)
    one, other = torch.nonzero(((ranks[:, None] == ranks) & is_ranked).triu(1), as_tuple=True)
    count = len(better) + with_ties * len(one)
    strict = pair_loss(scores[better], scores[worse], margin, label) * len(better) if len(better) else scores.sum() * 0
    tied = pair_loss(scores[one], scores[other], 0.0, 0.5) * len(one) if with_ties and len(one) else scores.sum() * 0
    return (strict + tied) / max(count, 1)


def plackett_luce_loss(scores: Tensor, ranks: Tensor) -> Tensor:
    """Negative log-likelihood in nats of one prompt's ranking; scores (k,), ranks (k,) long, lower is better.

    sum over k of logsumexp(scores not yet placed) - scores[k]: Plackett (1975), Luce (1959). Unranked replies (-1)
    count as losers to every ranked one. The model has no ties: use `all_pairs_loss` for them.
    """
    ranked = ranks[ranks >= 0]
    if len(ranked.unique()) < len(ranked):
        raise RecipeError(f"ranks {ranks.tolist()} hold a tie, which Plackett-Luce cannot express; use the pairs loss")
    ordered = torch.cat([scores[ranks >= 0][ranked.argsort()], scores[ranks < 0]])
    unplaced = ordered.flip(0).logcumsumexp(0).flip(0)
    return (unplaced - ordered)[: len(ranked)].sum()


def wilson(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval (low, high) for a share of successes out of n; (0, 1) when n is 0. Wilson (1927)."""
    if n == 0:
        return 0.0, 1.0
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), successes / n
    centre = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def best_of_n_kl(n: int) -> float:
    """Nats (an upper bound) from one sample to the best of n: ln n - (n - 1) / n. Stiennon et al. (2020), app. G.3."""
    return math.log(n) - (n - 1) / n


def tilted(reward: Tensor, reference: Tensor, kl_weight: float) -> Tensor:
    """The policy that KL-regularised RL converges to, probabilities (..., n): reference * exp(reward / kl_weight) / Z.

    reference (..., n) are probabilities. Ziegler et al. (2019), eq. 3; Rafailov et al., "DPO" (2023), eq. 4.
    """
    return (reference.log() + reward / kl_weight).softmax(-1)


def best_objective(reward: Tensor, reference: Tensor, kl_weight: float) -> Tensor:
    """The objective E[reward] - kl_weight KL that `tilted` attains: kl_weight log Z, (...), in units of the reward."""
    return kl_weight * (reference.log() + reward / kl_weight).logsumexp(-1)


def exact_kl(policy: Tensor, reference: Tensor) -> Tensor:
    """KL(policy, reference) in nats, (...), of two tables of probabilities (..., n); 0 log 0 is 0."""
    return torch.special.xlogy(policy, policy / reference).sum(-1)


def _tempered(logits: Tensor, temperature: float) -> Tensor:
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return precise if temperature == 1 else precise / temperature


def _shield(x: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask.bool(), x, 0)  # not x * mask: NaN * 0 is NaN


def _per_token(x: Tensor, mask: Tensor, total: Total) -> Tensor:
    return _shield(x, mask).sum() / (mask.sum().clamp(min=1) if total is None else total)
