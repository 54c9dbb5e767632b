"""PPO: rewards that are gamed, and what is forgotten for them, as looks at held-out rows show it. Baselines are the SFT policy's."""

from __future__ import annotations

import math

from workbench.doctor.rule import Case, Rule, Sign, either, times
from workbench.doctor.trace import WINDOW, Trace

ENOUGH = 10  # steps before a slow trend is judged
FEW_QUESTIONS = 8  # below so many a share says little


def gold_error(trace: Trace) -> float:
    """Standard error of the held-out rule's gain from its first three steps to the last few."""
    return trace.noise("gold") * (1 / 3 + 1 / WINDOW) ** 0.5


def gold_rises(trace: Trace) -> bool:
    return trace.has("gold", count=WINDOW + 3) and trace.recent("gold") - trace.early("gold", 3) > 3 * gold_error(trace)


def fooled(case: Case) -> Sign | None:
    if case.trace.has("gold"):
        return never_better(case.trace) or past_its_best(case.trace)
    return worse_at_looks(case.trace)


def never_better(trace: Trace) -> Sign | None:
    if not trace.has("score", "gold", count=ENOUGH):
        return None
    gain, gold = trace.recent("score") - trace.early("score", 3), trace.recent("gold") - trace.early("gold", 3)
    error = gold_error(trace)
    if gain < 1.0 or gold > error:
        return None
    peak = max(trace.points("gold"), key=lambda point: point[1])
    return Sign(peak[0], {"score gain": gain, "gold gain": gold, "standard error of the held-out rule": error})


def past_its_best(trace: Trace) -> Sign | None:
    """The held-out rule rose, and has fallen since, while the score went on rising."""
    if not trace.has("score", "gold", count=2 * ENOUGH):
        return None
    means = [sum(trace.values("gold")[i:i + WINDOW]) / WINDOW for i in range(len(trace.points("gold")) - WINDOW + 1)]
    best = means.index(max(means))
    fall, error = means[best] - means[-1], trace.noise("gold") * (2 / WINDOW) ** 0.5
    gain = trace.recent("score") - sum(trace.values("score")[best:best + WINDOW]) / WINDOW
    if fall < 4 * error or gain < 0.3:  # the best of many windows is partly luck
        return None
    return Sign(trace.points("gold")[best + WINDOW - 1][0], {"score gain since its best": gain, "gold loss since its best": fall,
                                                            "standard error of the held-out rule": error})


def worse_at_looks(trace: Trace) -> Sign | None:
    """Where only looks are judged, as by a second reward model: gold below its best at two looks in a row, by more than chance, and a score that rose since."""
    looks, errors, scores = trace.points("held_gold"), dict(trace.points("held_gold_se")), dict(trace.points("held_score"))
    if len(looks) < 4:
        return None
    (at, best), (first, _), (last, gold) = max(looks[:-2], key=lambda look: look[1]), *looks[-2:]
    error = math.hypot(errors.get(at, 0.0), errors.get(last, 0.0))
    gain = scores.get(last, 0.0) - scores.get(at, 0.0)
    if gain < 0.3 or any(best - value <= 2 * math.hypot(errors.get(at, 0.0), errors.get(step, 0.0)) for step, value in looks[-2:]):
        return None
    return Sign(first, {"score gain since its best": gain, "gold loss since its best": best - gold, "standard error of the held-out rule": error})


def forgets_language(case: Case) -> Sign | None:
    """Two looks in a row: the same texts are read each time, so what they show is no luck of the draw."""
    trace, start = case.trace, case.trace.at_start("text_perplexity")
    since = trace.since("text_perplexity", lambda now: now > 1.1 * start, count=2) if start else None
    if since is None:
        return None
    worst = min(trace.values("text_perplexity")[-2:])
    return Sign(since, {"text_perplexity": trace.last("text_perplexity"), "text_perplexity at the start": start}, "warn" if worst > 1.25 * start else "info")


def refuses_more(case: Case) -> Sign | None:
    start = case.trace.at_start("refusal_rate")
    since = case.trace.since("refusal_rate", lambda now: now >= start + 0.25, count=2) if start is not None else None
    if since is None:
        return None
    severity = "warn" if case.recipe.look_replies >= FEW_QUESTIONS else "info"  # of four, one more is a quarter
    return Sign(since, {"refusal_rate": case.trace.last("refusal_rate"), "refusal_rate at the start": start}, severity)


FORGETS = Rule(
    id="D-35", title="It forgets plain language", severity="info", sees=forgets_language,
    meaning="Plain sentences of another domain surprise the policy a tenth more than they surprised the SFT model, or more. What it learns for reward it pays for "
            "elsewhere (the alignment tax).",
    advice="Make drift dearer or learn more slowly, and use an earlier checkpoint if language elsewhere matters to you.",
    changes={"lr": times(0.5), "kl_weight": either(0.05, 2.0)})

REFUSES = Rule(
    id="D-36", title="It refuses harmless questions", severity="warn", sees=refuses_more,
    meaning="At two looks in a row the share of harmless questions it turned down was 25 points or more above the SFT model's. The reward seems to pay for refusing, whatever is "
            "asked.",
    advice="Ask what the reward model makes of a refusal and of a plain answer, and rank some of both before the next run.", changes={"kl_weight": either(0.05, 2.0)},
    goes_back=True)

FOOLED = Rule(
    id="D-22", title="The score rises and the held-out judge disagrees", severity="warn", sees=fooled,
    meaning="The reward model likes the replies ever more while a judge that PPO never learns from does not. The policy is learning the reward model's mistakes "
            "instead of better replies.",
    advice="Use the checkpoint at which the held-out judge was best, rank replies of the present policy, and train the reward model on them.",
    changes={"kl_weight": either(0.05, 2.0)}, goes_back=True, explains=("D-20", "D-34"))
