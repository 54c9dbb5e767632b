"""Rules that every training stage shares: numbers that are none, gradients that vanish or leap."""

from __future__ import annotations

from statistics import median

from workbench.doctor.rule import Case, Rule, Sign, times
from workbench.doctor.trace import WINDOW

FEWEST, BEFORE = 5, 9  # steps before one that say what is usual
HARMLESS = 1.0  # a gradient up to the usual limit is used as it is, however short the others were
PERSISTENT = 3  # steps in a window with gaps before going on is pointless


def not_finite(case: Case) -> Sign | None:
    gaps = case.present("lr", "precision").gaps
    if not gaps:
        return None
    steps = sorted({step for found in gaps.values() for step in found})
    recent = [step for step in steps if step > case.trace.steps - WINDOW]
    worst = "stop" if len(recent) >= PERSISTENT else "warn"
    return Sign(steps[0], {f"{key}: steps without a number": len(found) for key, found in sorted(gaps.items())[:4]}, worst)


def no_gradient(case: Case) -> Sign | None:
    since = case.trace.since("grad_norm", lambda length: length == 0.0)
    return Sign(since, {"grad_norm": 0.0}) if since is not None and case.recipe.lr > 0 else None


def gradient_leaps(case: Case) -> Sign | None:
    trace = case.present("lr")
    points, lengths = trace.points("grad_norm"), trace.values("grad_norm")
    # A fresh adapter's gradient grows from nearly nothing, so what is usual is what was so just before.
    usual = {at: median(lengths[max(0, at - BEFORE) : at]) for at in range(FEWEST, len(lengths)) if lengths[at] > HARMLESS}
    leaps = [at for at, ordinary in usual.items() if 0 < 10 * ordinary < lengths[at]]
    if not leaps:
        return None
    longest = max(leaps, key=lambda at: lengths[at])
    return Sign(points[leaps[0]][0], {"grad_norm": lengths[longest], "usual length": usual[longest], "leaps": len(leaps)},
                "warn" if len(leaps) >= PERSISTENT else "info")


NOT_FINITE = Rule(
    id="D-32", title="Some numbers are not finite (NaN)", severity="warn", sees=not_finite, is_heuristic=False,
    meaning="A score, loss or gradient was not a number, so that update was skipped and the curve has a gap. When it goes on, the weights themselves are "
            "spoilt and nothing after it can be trusted.",
    advice="Go back to the last checkpoint with a lower learning rate; if it still happens, try precision fp32.",
    changes={"lr": times(0.5)}, explains=("D-33", "D-05"))

NO_GRADIENT = Rule(
    id="D-05", title="The adapter gets no gradient", severity="stop", sees=no_gradient, is_heuristic=False,
    meaning="The gradient, which says how to change the weights, is exactly zero, so no update can change anything. Either nothing is left to learn from "
            "(every reply earns the same), or the adapter is cut off from the loss.",
    advice="Look whether the replies and their scores differ at all; if they do, this is a fault of the program worth reporting.")

GRADIENT_LEAPS = Rule(
    id="D-33", title="The gradient leaps", severity="info", sees=gradient_leaps,
    meaning="Some updates had a gradient (the direction in which to change the weights) more than ten times as long as usual; it is shortened before it is "
            "used. One leap is an odd batch, many are a learning rate that is too high or rows that contradict each other.",
    advice="Nothing to do for a single leap; if they repeat, lower the learning rate.", changes={"lr": times(0.5)})
