"""PPO on a task small enough to solve on paper: 3 words, replies of 2, every reply's score and optimum known.

Built from `workbench.engine.maths` alone, with tables where a model would be. `run` takes the reward assembly and the
advantage estimate as arguments, so a test can put broken ones in their place.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from workbench.engine import maths

WORDS = 3
EPOCHS = 4
SEEDS = (0, 2, 3)  # whose optimum is far from certain of one reply: with a nearly certain one, bugs pass unnoticed


class Bandit:
    """Nine replies (a, b) with random scores, and a reference; a table row for the start and one after each a."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)
        first, second = torch.randn(2, WORDS, WORDS, generator=self.generator, dtype=torch.float64)
        self.scores = first[:, :1] + second  # the first word matters by itself: a discount must show
        self.reference = torch.randn(1 + WORDS, WORDS, generator=self.generator, dtype=torch.float64)

    def sample(self, logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Replies (count, 2), and the table rows (count, 2) they were sampled from."""
        first = torch.multinomial(logits[0].softmax(0), count, replacement=True, generator=self.generator)
        second = torch.multinomial(logits[1 + first].softmax(-1), 1, generator=self.generator).squeeze(1)
        return torch.stack([first, second], 1), torch.stack([torch.zeros_like(first), 1 + first], 1)

    def gap(self, logits: Tensor, kl_weight: float) -> float:
        """Exact KL in nats from the policy to the closed-form optimum."""
        best = maths.tilted(self.scores.flatten(), chances(self.reference), kl_weight)
        return maths.exact_kl(chances(logits), best).item()

    def drift(self, logits: Tensor) -> float:
        """Exact KL in nats from the policy to the reference."""
        return maths.exact_kl(chances(logits), chances(self.reference)).item()


def chances(logits: Tensor) -> Tensor:
    """Probability (9,) of every reply under a table of logits."""
    rows = logits.softmax(-1)
    return (rows[0].unsqueeze(1) * rows[1:]).flatten()


def run(seed: int, kl_weight: float = 1.0, updates: int = 60, **parts: Callable[..., Any]) -> float:
    """Nats between the policy that PPO reached and the optimum."""
    bandit = Bandit(seed)
    return bandit.gap(learn(bandit, kl_weight, updates, **parts), kl_weight)


def learn(
    bandit: Bandit,
    kl_weight: float,
    updates: int,
    assemble: Callable[..., Tensor] = maths.token_rewards,
    estimate: Callable[..., tuple[Tensor, Tensor]] = maths.gae,
) -> Tensor:
    """The table of logits after PPO, 256 replies per update."""
    logits = bandit.reference.clone().requires_grad_()
    values = torch.zeros(1 + WORDS, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logits, values], lr=0.15, eps=1e-5)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=updates)
    mask = torch.ones(256, 2)
    for _ in range(updates):
        with torch.no_grad():
            replies, rows = bandit.sample(logits, len(mask))
            old_logps, old_values = maths.token_logps(logits[rows], replies), values[rows]
            reference = maths.token_logps(bandit.reference[rows], replies)
            rewards = assemble(old_logps, reference, bandit.scores[replies[:, 0], replies[:, 1]], mask, kl_weight)
            advantages, returns = estimate(rewards, old_values, mask)
            advantages = maths.whiten(advantages, mask)
        for _ in range(EPOCHS):
            optimiser.zero_grad()
            policy = maths.policy_loss(maths.token_logps(logits[rows], replies), old_logps, advantages, mask)
            value = maths.value_loss(values[rows], old_values, returns, mask, clip=None)
            (policy.loss + value.loss).backward()
            optimiser.step()
        schedule.step()
    return logits.detach()
