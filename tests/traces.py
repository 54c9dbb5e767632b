"""Synthetic metrics for the doctor: a healthy run of each stage, and changes that make it sick."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from workbench.doctor.trace import Row

Value = float | None | Callable[[int], float | None]


def wave(step: int) -> float:
    """Noise that is the same in every run, between -1 and 1."""
    return math.sin(12.9898 * step) * 0.6 + math.sin(78.233 * step) * 0.4


HEALTHY: dict[str, dict[str, Value]] = {
    "sft": {
        "loss": lambda t: 2.0 + 1.2 * math.exp(-t / 12) + 0.05 * wave(t), "grad_norm": lambda t: 0.6 + 0.1 * wave(t), "ends_trained": 1.0,
        "token_accuracy": lambda t: min(0.5, 0.3 + 0.005 * t), "lr": 1e-4,
    },
    "reward": {
        "loss": lambda t: 0.69 - 0.005 * min(t, 40) + 0.05 * wave(t), "accuracy": lambda t: 0.6 + 0.1 * wave(t), "margin": lambda t: 0.02 * t,
        "grad_norm": lambda t: 1.0 + 0.3 * wave(t), "lr": 1e-4,
    },
    "ppo": {
        "score": lambda t: 0.08 * t + 0.15 * wave(t), "reward": lambda t: 0.06 * t + 0.15 * wave(t), "gold": lambda t: 1.0 + 0.03 * t + 0.05 * wave(t),
        "score_sd": lambda t: 1.0 + 0.1 * wave(t), "kl_seq": lambda t: min(0.25 * (t - 1), 6.0), "kl3_seq": lambda t: min(0.24 * (t - 1), 5.9), "kl_se": 0.2,
        "kl_tok": lambda t: 0.009 * (t - 1), "entropy": lambda t: 1.2 - 0.3 * min(t, 40) / 40 + 0.03 * wave(t), "surprise": lambda t: 1.2 - 0.3 * min(t, 40) / 40 + 0.09 * wave(3 * t),
        "reply_tokens": lambda t: 28 + wave(t), "eos_rate": 1.0, "generation_mismatch": 0.004, "first_ratio_dev": 0.0, "score_gap": 0.01,
        "length_score": lambda t: 0.2 * wave(t), "same_replies": 0.0, "distinct2": 0.8, "score_clipped": 0.0, "end_counted": 1.0,
        "explained_variance": lambda t: min(0.4, -0.3 + 0.05 * t), "value_loss": lambda t: 0.8 * math.exp(-t / 10) + 0.2, "policy_loss": lambda t: 0.01 * wave(t),
        "clipfrac": lambda t: 0.05 + 0.02 * wave(t), "approx_kl": lambda t: 0.01 + 0.004 * wave(t), "ratio_max": lambda t: 2.0 + 0.5 * wave(t),
        "grad_norm": lambda t: 1.0 + 0.2 * wave(t), "value_grad_norm": lambda t: 2.0 + 0.3 * wave(t), "value_clipfrac": 0.1, "updates": 4.0,
        "frozen_moved": 0.0,
        "seconds_generate": 3.0, "seconds_score": 1.0, "seconds_update": 4.0,
    },
}
LOOKS: dict[str, dict[str, Value]] = {  # logged at the first step and every tenth
    "sft": {"eval_loss": lambda t: 2.4 + 0.8 * math.exp(-t / 12), "eos_rate": lambda t: 0.3 if t == 1 else 1.0, "reply_tokens": 30.0},
    "reward": {
        "eval_accuracy": lambda t: min(0.75, 0.5 + 0.01 * t), "eval_accuracy_low": lambda t: min(0.62, 0.35 + 0.01 * t), "eval_accuracy_high": 0.9,
        "eval_loss": lambda t: 0.69 - 0.004 * t, "eval_ece": 0.06, "longer_wins": 0.52, "length_score": 0.1,
    },
    "ppo": {"text_perplexity": lambda t: 55 + 0.02 * t, "refusal_rate": lambda t: 0.125 if t == 10 else 0.0},
}
LAST: dict[str, dict[str, Value]] = {"sft": {}, "reward": {"raw_sd": 1.1, "raw_mean": 0.2, "beats_empty": 0.97, "beats_padding": 0.9, "beats_flattery": 0.8}, "ppo": {}}
FIRST_ONLY = {"score_gap", "frozen_moved"}


def trace(stage: str, steps: int = 40, **changes: Value) -> list[Row]:
    """The rows of a healthy run with some metrics replaced; a function gets the step."""
    rows: list[Row] = []

    def add(step: int, metrics: Mapping[str, Value]) -> None:
        for key in metrics:
            value = changes.get(key, metrics[key])
            rows.append((step, key, value(step) if callable(value) else value))

    for step in range(1, steps + 1):
        add(step, {key: value for key, value in HEALTHY[stage].items() if step == 1 or key not in FIRST_ONLY})
        if step == 1 or step % 10 == 0:
            add(step, LOOKS[stage])
    if LAST[stage] and steps >= 30:  # a shorter one still goes on
        add(steps + 1, LAST[stage])
    return rows
