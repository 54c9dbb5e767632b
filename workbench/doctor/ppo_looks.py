"""PPO: rewards that are gamed, as a held-out judge shows it. Baselines are the SFT policy's."""

from __future__ import annotations

from workbench.doctor.rule import Case, Rule, Sign, either
from workbench.doctor.trace import WINDOW, Trace

ENOUGH = 10  # steps before a slow trend is judged


def gold_error(trace: Trace) -> float:
    """Standard error of the held-out rule's gain from its first three steps to the last few."""
    return trace.noise("gold") * (1 / 3 + 1 / WINDOW) ** 0.5


def gold_rises(trace: Trace) -> bool:
    return trace.has("gold", count=WINDOW + 3) and trace.recent("gold") - trace.early("gold", 3) > 3 * gold_error(trace)


def fooled(case: Case) -> Sign | None:
    return never_better(case.trace) or past_its_best(case.trace)


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


FOOLED = Rule(
    id="D-22", title="The score rises and the held-out judge disagrees", severity="warn", sees=fooled,
    meaning="The reward model likes the replies ever more while a judge that PPO never learns from does not. The policy is learning the reward model's mistakes "
            "instead of better replies.",
    advice="Use the checkpoint at which the held-out judge was best, rank replies of the present policy, and train the reward model on them.",
    changes={"kl_weight": either(0.05, 2.0)}, goes_back=True, explains=("D-20", "D-34"))
