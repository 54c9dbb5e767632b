"""The reward model: what goes wrong while learning the order of replies, and what its last look says about it."""

from __future__ import annotations

from dataclasses import replace

from workbench.doctor.rule import Case, Rule, Severity, Sign, at_most, times, to
from workbench.doctor.sft import LOSS_CLIMBS
from workbench.doctor.shared import GRADIENT_LEAPS, NO_GRADIENT, NOT_FINITE
from workbench.doctor.trace import WINDOW
from workbench.probes import PROBES, verdict
from workbench.trust import has_learned_length

GOOD_JUDGE = 0.7  # people agree with each other about so often
LOOKS = 3  # looks at the held-out rankings before a run that still goes on is judged


def is_ripe(case: Case) -> bool:
    """Whether it is late enough to judge accuracy: the run is calibrated, or was looked at a few times."""
    return case.trace.has("eval_accuracy") and (case.trace.has("raw_sd") or case.trace.has("eval_accuracy", count=LOOKS + 1))


def last_look(case: Case) -> dict[str, float]:
    keys = ("eval_accuracy", "eval_accuracy_low", "eval_accuracy_high")
    return {key: value for key in keys if (value := case.trace.last(key)) is not None}


def doubt_of(eval_accuracy: float, eval_accuracy_low: float = 0.0, eval_accuracy_high: float = 1.0) -> Severity | None:
    """Whether an accuracy may be a coin's, with its interval: a warning where even the upper end is no good judge, else too few were asked."""
    if eval_accuracy >= 0.55 and eval_accuracy_low > 0.5:
        return None
    return "warn" if eval_accuracy < 0.55 or eval_accuracy_high < GOOD_JUDGE else "info"


def a_coin(case: Case) -> Sign | None:
    """Judged when the run is over: an accuracy that still rises says nothing."""
    look = last_look(case)
    doubt = doubt_of(**look) if case.trace.has("eval_accuracy", "raw_sd") else None
    return Sign(case.trace.points("eval_accuracy")[-1][0], look, doubt) if doubt else None


def one_score(case: Case) -> Sign | None:
    spread = case.trace.last("raw_sd")
    return Sign(case.trace.steps, {"spread of the raw scores": spread}) if spread is not None and spread < 1e-3 else None


def no_better_than_empty(case: Case) -> Sign | None:
    share = case.trace.last("beats_empty")
    return Sign(case.trace.steps, {"beats_empty": share}) if share is not None and share < 0.8 else None


def gamed(case: Case) -> Sign | None:
    """A probe that wins on most prompts; the empty reply has a rule of its own."""
    shares = {f"beats_{name}": share for name in PROBES if name != "empty" and (share := case.trace.last(f"beats_{name}")) is not None}
    found = {key: share for key, share in shares.items() if verdict(share) == "bad"}
    return Sign(case.trace.steps, found) if found else None


def only_length(case: Case) -> Sign | None:
    link, rule = case.trace.last("length_score"), case.trace.last("longer_wins")
    if link is None or rule is None or not is_ripe(case) or case.trace.last("eval_accuracy") < 0.55:
        return None
    accuracy = case.trace.last("eval_accuracy")
    if not has_learned_length(link, rule, accuracy):
        return None
    return Sign(case.trace.points("length_score")[-1][0], {"length_score": link, "longer_wins": rule, "eval_accuracy": accuracy})


def worse_than_at_first(case: Case) -> Sign | None:
    """A coin's loss is what training starts from; batches are noisy, so only a mean above it counts."""
    start = case.trace.at_start("loss")
    if start is None or not case.trace.has("loss", count=2 * WINDOW) or case.trace.recent("loss") < 1.15 * start:
        return None
    return Sign(case.trace.since("loss", lambda loss: loss > start) or case.trace.steps, {"loss": case.trace.recent("loss"), "loss at the start": start})


def overfit(case: Case) -> Sign | None:
    looks = case.trace.points("eval_accuracy")
    if len(looks) < 3 or not case.trace.has("accuracy", "eval_loss") or case.trace.recent("accuracy") < 0.95:
        return None
    best_step, best = max(looks, key=lambda look: look[1])
    losses = case.trace.values("eval_loss")
    if looks[-1][1] > best - 0.05 and losses[-1] < 1.1 * min(losses):
        return None
    return Sign(best_step, {"accuracy": case.trace.recent("accuracy"), "eval_accuracy": looks[-1][1], "best held-out accuracy": best, "eval_loss": losses[-1]})


def too_sure(case: Case) -> Sign | None:
    error = case.trace.last("eval_ece")
    if error is None or error <= 0.1 or not is_ripe(case):
        return None
    return Sign(case.trace.points("eval_ece")[-1][0], {"eval_ece": error}, "warn" if error > 0.25 else "info")


RULES = (
    NOT_FINITE,
    NO_GRADIENT,
    Rule(id="D-09", title="It says the same of every reply", severity="stop", sees=one_score, is_heuristic=False,
         meaning="The raw scores of the SFT model's replies do not differ. Calibrating such a model would blow rounding noise up to full scale, and PPO would chase it.",
         advice="Lower the learning rate, and look whether the rankings hold a preference that can be learned at all.", changes={"lr": times(1 / 3)},
         explains=("D-08", "D-10", "D-43")),
    replace(LOSS_CLIMBS, sees=worse_than_at_first),
    Rule(id="D-43", title="It has learned length", severity="warn", sees=only_length,
         meaning="Its scores follow the length of a reply so closely that the rule \"the longer wins\" (or the shorter) would do as well. PPO against it will only "
                 "change how long replies are.",
         advice="Rank replies of similar length, or prefer the short one where both are good, then train again.", changes={"epochs": at_most(1)},
         explains=("D-08", "D-10", "D-42", "D-44")),
    Rule(id="D-42", title="It learns the rankings by heart", severity="warn", sees=overfit,
         meaning="It orders nearly all pairs it trains on, and gets worse on pairs it never sees. What it learned beyond that point is memory, not taste.",
         advice="Go through the rankings fewer times, more gently, or rank replies to more prompts.", changes={"epochs": at_most(1), "lr": times(0.5)},
         explains=("D-44", "D-08", "D-33")),
    Rule(id="D-08", title="It is not clearly better than a coin", severity="warn", sees=a_coin,
         meaning="On rankings that it never saw, it picks the better reply about as often as chance, or too few were held out to tell. PPO would chase its mistakes.",
         advice="Rank more prompts; if the accuracy stays near one half, the rankings may contradict each other.", changes={"epochs": times(2)},
         explains=("D-10", "D-33", "D-44")),
    Rule(id="D-10", title="An empty reply scores as high as a good one", severity="info", sees=no_better_than_empty,
         meaning="The best-ranked reply should beat saying nothing on nearly every prompt, and often does not. The policy may learn that silence pays, or the model "
                 "reads another chat format than it was trained on.",
         advice="Rank some very short or empty replies low, so that it learns what they are worth."),
    Rule(id="D-11", title="It can be gamed", severity="info", sees=gamed,
         meaning="A change that adds nothing to a reply, or takes its answer away, raises its score on most held-out prompts. PPO finds such ways and takes them.",
         advice="Rank some replies of that kind low, so that it learns what they are worth, then train again."),
    Rule(id="D-44", title="It is surer than it is right", severity="warn", sees=too_sure,
         meaning="Where it claims to be 90 % sure it is right far less often, measured on held-out pairs. The order of replies can still be good; the size of the "
                 "differences cannot be trusted.",
         advice="Train less, or pull the scores towards 0; with few held-out rankings this figure is rough.", changes={"epochs": at_most(1), "centre": to(0.03)}),
    GRADIENT_LEAPS,
)
