"""SFT: what goes wrong while imitating demonstrations."""

from __future__ import annotations

from workbench.doctor.rule import Case, Rule, Sign, at_least, times
from workbench.doctor.shared import GRADIENT_LEAPS, NO_GRADIENT, NOT_FINITE

BEST_OF = 3  # steps that are averaged: one batch is noise


def end_untrained(case: Case) -> Sign | None:
    since = case.trace.since("ends_trained", lambda share: share < 0.5)
    return Sign(since, {"ends_trained": case.trace.last("ends_trained")}, "stop" if case.trace.last("ends_trained") == 0 else "warn") if since else None


def never_stops(case: Case) -> Sign | None:
    """The first look is at an untrained adapter and does not count."""
    looks = case.trace.points("eos_rate")[1:]
    if len(looks) < 2 or not case.trace.has("loss") or any(rate >= 0.5 for _, rate in looks[-2:]):
        return None
    return Sign(looks[0][0], {"eos_rate": looks[-1][1], "reply_tokens": case.trace.last("reply_tokens") or 0.0, "loss": case.trace.recent("loss", BEST_OF)})


def loss_climbs(case: Case) -> Sign | None:
    """Leaps above the lowest loss so far, or a mean of a few steps that stays above the best such mean."""
    points, noise = case.trace.points("loss"), case.trace.noise("loss")
    if len(points) < 2 * BEST_OF:
        return None
    low, leaps = points[0][1], []
    for step, loss in points:
        if loss > 1.5 * low and loss > low + 4 * noise:
            leaps.append((step, loss, loss > 1.8 * low))
        low = min(low, loss)
    means = [sum(loss for _, loss in points[i:i + BEST_OF]) / BEST_OF for i in range(len(points) - BEST_OF + 1)]
    best, now = min(means), means[-1]
    stays_up = now > 1.3 * best and now > best + 4 * noise / BEST_OF**0.5
    if len(leaps) < 2 and not any(is_high for *_, is_high in leaps) and not stays_up:
        return None
    since = leaps[0][0] if leaps else points[means.index(best) + BEST_OF - 1][0]
    return Sign(since, {"loss": now, "best loss": best, "highest leap": max([loss for _, loss, _ in leaps], default=now)})


def loss_stands(case: Case) -> Sign | None:
    if not case.trace.has("loss", count=30):
        return None
    start, now = case.trace.early("loss"), case.trace.recent("loss")
    return Sign(1, {"loss": now, "loss at the start": start}) if now > 0.98 * start else None


def by_heart(case: Case) -> Sign | None:
    looks = case.trace.points("eval_loss")
    if len(looks) < 3 or not case.trace.has("loss"):
        return None
    best_step, best = min(looks, key=lambda look: look[1])
    if any(loss < 1.05 * best for _, loss in looks[-2:]) or case.trace.recent("loss") > case.trace.early("loss"):
        return None
    return Sign(best_step, {"eval_loss": looks[-1][1], "best held-out loss": best, "loss": case.trace.recent("loss")})


LOSS_CLIMBS = Rule(
    id="D-45", title="The loss climbs", severity="warn", sees=loss_climbs,
    meaning="The loss was lower before, and a loss that is being trained should not rise. The steps are so large that each undoes what the last one learned.",
    advice="Lower the learning rate.", changes={"lr": times(1 / 3), "warmup": at_least(0.1)}, explains=("D-33", "D-40", "D-41", "D-46", "D-08", "D-42", "D-44"))

RULES = (
    Rule(id="D-47", title="The end of turn is never trained", severity="stop", sees=end_untrained, is_heuristic=False,
         meaning="The token that ends a reply is not among the tokens that are learned, usually because it doubles as padding and is masked away. The model will "
                 "never learn to stop, however low the loss gets.",
         advice="Let the mask come from lengths, and count the end-of-turn token of every assistant turn; no knob mends this.", explains=("D-41",)),
    NOT_FINITE,
    NO_GRADIENT,
    LOSS_CLIMBS,
    Rule(id="D-46", title="The loss does not fall", severity="warn", sees=loss_stands,
         meaning="After thirty steps the loss is where it was, so nothing has been learned. Usually the learning rate is far too low, sometimes the rows are noise.",
         advice="Raise the learning rate; then read a few rows.", changes={"lr": times(3)}, explains=("D-41",)),
    Rule(id="D-40", title="It learns the rows by heart", severity="warn", sees=by_heart,
         meaning="The loss on rows it trains on falls while the loss on rows it never sees has risen by more than 5 %. It memorises instead of learning the style.",
         advice="Stop at the best held-out loss: fewer steps, or a smaller adapter.", changes={"steps": times(0.5), "rank": times(0.5)}),
    Rule(id="D-41", title="Replies do not end", severity="info", sees=never_stops,
         meaning="The replies to the fixed prompts run into the limit of 64 tokens instead of stopping. That is right if your demonstrations are longer than that, "
                 "and else a sign that the end of turn is not learned.",
         advice="Compare with the length of your demonstrations; train longer if they are short.", changes={"steps": times(2)}),
    GRADIENT_LEAPS,
)
