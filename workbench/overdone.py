"""Over-optimisation: whether the score that PPO raises still means anything, told from held-out looks. No torch.

The proxy is the reward model's score, gold is what a judge says that PPO never learns from, both on held-out prompts; drift is
the root of the KL per reply. Gains are over the first look, which shows the SFT model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from workbench import best, curves, frontier
from workbench.records import Run
from workbench.store import Store

KEYS = ("held_score", "held_gold", "held_gold_se", "held_kl", *(f"{prefix}{n}" for prefix in ("best_of_", "gold_best_of_") for n in frontier.SIZES))


@dataclass(frozen=True)
class Look:
    """The means of one look at held-out prompts."""

    step: int
    kl: float  # nats per reply
    proxy: float
    gold: float | None
    error: float  # standard error of gold

    @property
    def d(self) -> float:
        return math.sqrt(max(self.kl, 0.0))


@dataclass(frozen=True)
class Overdone:
    """A run's looks, its starred step, Gao et al.'s curve through its gold gains, and best-of-n as (n, nats, reward)."""

    looks: list[Look]
    star: int | None
    fit: frontier.Fit | None
    best_of: list[tuple[int, float, float]]
    gold_best_of: list[tuple[int, float, float]]

    @property
    def judged(self) -> list[Look]:
        return [look for look in self.looks if look.gold is not None]

    def gains(self) -> list[tuple[float, float]]:
        """(d, gain in gold) of each look after the first."""
        return [(look.d, look.gold - self.judged[0].gold) for look in self.judged[1:]]


def read(store: Store, home: Path, run: Run) -> Overdone:
    """What is known so far of a PPO run."""
    series = curves.series(store, run.id, KEYS)
    golds, errors, drift = (series.get(key, {}) for key in ("held_gold", "held_gold_se", "held_kl"))
    looks = [Look(step, drift[step], proxy, golds.get(step), errors.get(step, 0.0)) for step, proxy in series.get("held_score", {}).items() if step in drift]
    found = Overdone(looks, best.step_of(store, home, run), None, frontier.reference(series), frontier.reference(series, "gold_best_of_"))
    return Overdone(looks, found.star, frontier.fit(found.gains()), found.best_of, found.gold_best_of)


def told(found: Overdone) -> str:
    """Whether it is over-optimised, in words, with the figures."""
    if not found.looks:
        return "No look at held-out prompts has been judged yet: the first step brings one, and every sample_every steps after it."
    if not found.judged:
        return ("Only the reward model itself judges here, so over-optimisation cannot be seen. Practise on a pack's prompts, which bring a rule, "
                "or name a second reward run in the knob gold.")
    first, last = found.judged[0], found.judged[-1]
    top = next((look for look in found.judged if look.step == found.star), None)
    if len(found.judged) < 3 or top is None:
        return f"Gold is {first.gold:.2f} before practice{'' if last is first else f' and {last.gold:.2f} at step {last.step}'}. A few more looks will tell."
    risen = f"from {first.gold:.2f} before practice to {top.gold:.2f} at step {top.step}"
    fallen, error = top.gold - last.gold, math.hypot(top.error, last.error)
    if fallen > 2 * error and last.proxy > top.proxy and top.gold > first.gold:
        return (f"Over-optimised: gold rose {risen} and has fallen to {last.gold:.2f} at step {last.step}, while the proxy is "
                f"{last.proxy - top.proxy:+.2f} since. Compare begins with step {top.step} (starred); fork from there with a higher kl_weight.")
    if last.gold < first.gold - 2 * math.hypot(first.error, last.error):
        return f"Practice makes it worse: gold was {first.gold:.2f} before and is {last.gold:.2f} at step {last.step}. The reward model pays for the wrong thing."
    if top.gold - first.gold < 2 * math.hypot(first.error, top.error):
        return f"No clear gain in gold yet: {risen}, within twice its error of {math.hypot(first.error, top.error):.2f}."
    what = f"as the proxy fell by {top.proxy - last.proxy:.2f}" if fallen > 2 * error else f"no clear fall (error {error:.2f})"
    state = "and is there now" if top is last else f"and is {last.gold:.2f} at step {last.step}, {what}"
    return f"Gold follows the proxy: it rose {risen} (starred) {state}.{turning(found.fit)}"


def turning(fit: frontier.Fit | None) -> str:
    """Where the fitted curve peaks, if its interval has an upper end: else the peak may lie anywhere."""
    if fit is None or fit.peak is None or fit.peak_high is None or not fit.has_turned:
        return ""
    return f" The fitted curve peaks at a KL of {fit.peak ** 2:.1f} nats (95 %: {(fit.peak_low or 0.0) ** 2:.1f} to {fit.peak_high ** 2:.1f})."
