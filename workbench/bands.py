"""Where a metric should lie: the green band of its chart, and what the limits come from. Numbers only.

Limits marked "heuristic" are this project's own starting values, like those of the doctor; the others name who uses them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """Limits of what is healthy, None where a side is open; relative to the run's first value where `of` says so."""

    low: float | None
    high: float | None
    why: str
    of: str = ""  # "": as they are; "times": times the first value; "plus": added to it

    def limits(self, first: float) -> tuple[float | None, float | None]:
        """The band of a run whose metric began at `first`."""
        move = {"": lambda edge: edge, "times": lambda edge: edge * first, "plus": lambda edge: edge + first}[self.of]
        return tuple(None if edge is None else move(edge) for edge in (self.low, self.high))  # type: ignore[return-value]


DRIFT = "twice the target of 6 nats of Ziegler et al. 2019; below -1 TRL 0.11 warns of wrong log-probabilities"

BANDS: dict[str, Band] = {
    "kl_seq": Band(-1.0, 12.0, DRIFT), "kl3_seq": Band(0.0, 12.0, DRIFT), "held_kl": Band(-1.0, 12.0, DRIFT),
    "kl_tok": Band(-0.05, 0.5, "above, a run is given up; heuristic"),
    "approx_kl": Band(-0.02, 0.1, "more in one update and the clipped objective no longer holds; heuristic"),
    "clipfrac": Band(0.0, 0.3, "above, most of an update is thrown away; heuristic"),
    "value_clipfrac": Band(0.0, 0.5, "above, the value model moves further than its clip lets count; heuristic"),
    "ratio_max": Band(0.0, 10.0, "TRL 0.11 skips a batch whose mean ratio is above 10"),
    "explained_variance": Band(0.0, 1.0, "below 0 the value model is worse than guessing the mean; Stable-Baselines3's convention"),
    "score": Band(-0.5, 5.0, "SFT scores 0, and PPO cuts scores off at 5 spreads"),
    "held_score": Band(-0.5, 5.0, "SFT scores 0, and PPO cuts scores off at 5 spreads"),
    "score_sd": Band(0.05, None, "less spread leaves nothing to learn from; heuristic"),
    "score_clipped": Band(0.0, 0.1, "more scores at the limit and the reward is saturated; heuristic"),
    "length_score": Band(-1.0, 0.5, "above, length itself is paid for (Singhal et al. 2023); heuristic"),
    "reply_tokens": Band(0.5, 1.5, "half as much again suggests padding, half as much collapse; heuristic", "times"),
    "eos_rate": Band(0.9, 1.0, "fewer replies that end by themselves and scores are of torsos; heuristic"),
    "entropy": Band(0.3, 1.5, "below a third of the start replies collapse, above one and a half they turn to noise; heuristic", "times"),
    "same_replies": Band(0.0, 0.5, "half of them repeated is one answer to everybody; heuristic"),
    "distinct1": Band(0.6, None, "a fall by more means that replies become one; heuristic", "times"),
    "distinct2": Band(0.6, None, "a fall by more means that replies become one; heuristic", "times"),
    "generation_mismatch": Band(0.0, 0.05, "above, what was sampled is not what is scored; heuristic for bf16"),
    "first_ratio_dev": Band(0.0, 0.01, "before any update the ratio is exactly 1"),
    "score_gap": Band(0.0, 0.01, "padding must not change a score; N+ implementation details use the same tolerance"),
    "text_perplexity": Band(None, 1.1, "a tenth more on held-out text; heuristic", "times"),
    "choice_accuracy": Band(-0.25, None, "two of eight sentences less; heuristic", "plus"),
    "refusal_rate": Band(None, 0.1, "ten points more than SFT; heuristic", "plus"),
    "accuracy": Band(0.5, 0.95, "0.5 is a coin; above 0.95 it learns the rankings by heart"),
    "eval_accuracy": Band(0.55, 1.0, "below 0.55 it knows next to nothing; people agree with each other on 0.6 to 0.75"),
    "eval_ece": Band(0.0, 0.1, "claims and hits apart by more is overconfidence; heuristic"),
    "margin": Band(0.0, None, "the preferred reply must score higher on average"),
}
