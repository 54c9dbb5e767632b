"""PPO: rewards that are gamed and skills that are forgotten, as a held-out judge and held-out texts show it. Baselines are the SFT policy's."""

from __future__ import annotations

from workbench.doctor.rule import Case, Rule, Sign, either, times
from workbench.doctor.trace import WINDOW, Trace

ENOUGH = 10  # steps before a slow trend is judged
LOOKS = 4  # looks at held-out prompts before they are


def gold_error(trace: Trace) -> float:
    """Standard error of the held-out rule's gain from its first three steps to the last few."""
    return trace.noise("gold") * (1 / 3 + 1 / WINDOW) ** 0.5


def gold_rises(trace: Trace) -> bool:
    return trace.has("gold", count=WINDOW + 3) and trace.recent("gold") - trace.early("gold", 3) > 3 * gold_error(trace)


def fooled(case: Case) -> Sign | None:
    return never_better(case.trace) or past_its_best(case.trace) or fooled_at_looks(case.trace)


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


def fooled_at_looks(trace: Trace) -> Sign | None:
    if not trace.has("held_score", "held_gold", count=LOOKS):
        return None
    gain, gold = (trace.recent(key, 2) - trace.early(key, 1) for key in ("held_score", "held_gold"))
    if gain < 1.0 or gold > 0:
        return None
    peak = max(trace.points("held_gold"), key=lambda point: point[1])
    return Sign(peak[0], {"held_score gain": gain, "held_gold gain": gold})


def forgets(case: Case) -> Sign | None:
    """Text that has nothing to do with the task has become a tenth more surprising, or questions are answered wrong that were not."""
    worse = [sign for sign in (lasting(case.trace, "text_perplexity", factor=1.1), lasting(case.trace, "choice_accuracy", less=0.25)) if sign]
    return Sign(min(sign.since for sign in worse), {key: value for sign in worse for key, value in sign.figures.items()}) if worse else None


def refuses(case: Case) -> Sign | None:
    return lasting(case.trace, "refusal_rate", less=-0.15)


def lasting(trace: Trace, key: str, factor: float = 1.0, less: float = 0.0) -> Sign | None:
    """Beyond a bound since two looks at least: above the first times a factor, or below it by so much (above it where that is negative)."""
    start = trace.at_start(key)
    if start is None:
        return None
    bound, is_above = factor * start - less, factor > 1 or less < 0
    since = trace.since(key, lambda value: value > bound if is_above else value < bound, count=2)
    return Sign(since, {key: trace.recent(key, 2), f"{key} of the SFT model": start}) if since is not None else None


FOOLED = Rule(
    id="D-22", title="The score rises and the held-out judge disagrees", severity="warn", sees=fooled,
    meaning="The reward model likes the replies ever more while a judge that PPO never learns from does not. The policy is learning the reward model's mistakes "
            "instead of better replies.",
    advice="Use the checkpoint at which the held-out judge was best, rank replies of the present policy, and train the reward model on them.",
    changes={"kl_weight": either(0.05, 2.0)}, explains=("D-20", "D-34", "D-35"))

RULES = (
    Rule(id="D-35", title="It forgets what it could before", severity="warn", sees=forgets,
         meaning="Text and questions that have nothing to do with the rewards are handled clearly worse than by the SFT model. The reward is being paid for with "
                 "general ability, the so-called alignment tax.",
         advice="Make drift dearer, and use an earlier checkpoint.", changes={"kl_weight": either(0.05, 2.0), "lr": times(0.5)}),
    Rule(id="D-36", title="It refuses harmless questions", severity="warn", sees=refuses,
         meaning="Harmless questions that the SFT model answered are now turned down. The reward model probably likes refusals, or was only taught which replies "
                 "are bad.",
         advice="Rank refusals of harmless questions low and train the reward model again; until then make drift dearer.", changes={"kl_weight": either(0.05, 2.0)}),
)
