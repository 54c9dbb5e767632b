"""PPO: what goes wrong while it learns. Baselines are the first step, where the policy is still the SFT model."""

from __future__ import annotations

from workbench.doctor.ppo_looks import ENOUGH, FOOLED, FORGETS, REFUSES, gold_rises
from workbench.doctor.rule import Case, Rule, Sign, at_least, at_most, either, times
from workbench.doctor.shared import GRADIENT_LEAPS, NOT_FINITE
from workbench.doctor.trace import WINDOW, Trace

LARGE_UPDATE = 0.1  # nats per token that one update may move
MANY_CLIPPED = 0.3  # share of the tokens
LOST = 25.0  # nats per reply
NEARLY_CERTAIN = 0.3  # share of the entropy at the start
PRICED = 0.75  # share of what a token earns that it must cost


def planned_updates(case: Case) -> float:
    return case.recipe.epochs * case.recipe.batch / case.recipe.minibatch


def steps_too_large(case: Case) -> Sign | None:
    trace, planned = case.present("lr", "epochs", "target_kl"), case.begun("batch", "minibatch", "epochs")
    rows = dict(trace.points("approx_kl"))
    shares, ratios, done = dict(trace.points("clipfrac")), dict(trace.points("ratio_max")), dict(trace.points("updates"))
    odd = [step for step in rows if rows[step] > LARGE_UPDATE or shares.get(step, 0) > MANY_CLIPPED
           or ratios.get(step, 0) > 10 or (step >= planned and done.get(step, 99) < planned_updates(case) / 2)]
    if not odd:
        return None
    recent = [step for step in odd if step > trace.steps - WINDOW]
    worst = max(odd, key=lambda step: rows[step])
    figures = {"approx_kl": rows[worst], "clipfrac": shares.get(worst, 0.0), "ratio_max": ratios.get(worst, 0.0), "steps like this": len(odd)}
    return Sign(odd[0], figures, "warn" if len(recent) >= 2 or len(odd) >= 4 or rows[worst] > 1 else "info")


def steps_too_small(case: Case) -> Sign | None:
    if planned_updates(case) <= 1 or not case.trace.has("approx_kl", "clipfrac", count=8):
        return None
    since = case.trace.since("approx_kl", lambda nats: abs(nats) < 3e-5, count=8)
    if since is None or case.trace.recent("clipfrac", 8) > 0.001:
        return None
    return Sign(since, {"approx_kl": case.trace.recent("approx_kl", 8), "clipfrac": case.trace.recent("clipfrac", 8)})


def too_far(case: Case) -> Sign | None:
    trace = case.present("lr", "kl_weight")
    since = trace.first_when("kl_seq", lambda nats: nats > LOST)
    if since is None and trace.has("kl_tok") and trace.last("kl_tok") > 0.5:
        since = trace.since("kl_seq", lambda nats: nats > 10, count=2)
    return Sign(since, {"kl_seq": trace.last("kl_seq"), "kl_tok": trace.last("kl_tok") or 0.0}) if since is not None else None


def below_zero(case: Case) -> Sign | None:
    errors, drift = dict(case.trace.points("kl_se")), dict(case.trace.points("kl_seq"))
    low = {step: kl for step, kl in drift.items() if kl < min(-0.02, -2.5 * errors.get(step, 0.0))}
    twice = [step for step in low if step + 1 in low]
    deep = [step for step, kl in low.items() if kl < -1.0]
    if not twice and not deep:
        return None
    since = min(twice + deep)
    return Sign(since, {"kl_seq": drift[since], "kl_se": errors.get(since, 0.0)})


def is_priced(case: Case, trace: Trace) -> bool:
    """Whether a token costs about what it earns, so that padding gains nothing."""
    in_force = case.begun("length_penalty") <= case.trace.steps
    return in_force and trace.has("length_slope") and 0 < PRICED * trace.typical("length_slope") <= case.recipe.length_penalty


def paid_by_length(case: Case) -> Sign | None:
    trace = case.present("kl_weight", "length_penalty")
    # The ranks of a handful say nothing.
    if not trace.has("length_score", "reply_tokens", count=3) or case.recipe.batch < 8 or is_priced(case, trace):
        return None
    # At its worst: replies that have all grown to the limit no longer differ in length.
    link, start = trace.highest("length_score"), case.trace.early("reply_tokens", 1)
    growth = trace.recent("reply_tokens", 3) / max(start, 1.0)
    if not (link > 0.8 or (link > 0.5 and growth > 1.5)):
        return None
    since = trace.first_when("length_score", lambda value: value > 0.5) or trace.steps
    figures = {"length_score": link, "reply_tokens": trace.recent("reply_tokens", 3), "reply_tokens at the start": start}
    # Where a judge that PPO never sees likes the longer replies better as well, length is not all that is paid for.
    price = {"length_penalty": max(0.0, trace.highest("length_slope", 3))} if trace.has("length_slope") else {}
    return Sign(since, figures, "info" if link <= 0.8 and gold_rises(case.trace) else "warn", price)


def ever_shorter(case: Case) -> Sign | None:
    trace = case.trace
    start, ended = trace.at_start("reply_tokens"), trace.at_start("eos_rate")
    if start is None or ended is None or ended < 0.5 or start < 4 or not trace.has("reply_tokens", count=4):
        return None
    since = trace.since("reply_tokens", lambda tokens: tokens < 0.5 * start, count=3)
    return Sign(since, {"reply_tokens": trace.recent("reply_tokens", 3), "reply_tokens at the start": start}) if since is not None else None


def never_ends(case: Case) -> Sign | None:
    trace = case.trace
    if not trace.has("eos_rate", "reply_tokens", count=3) or trace.recent("eos_rate", 3) >= 0.9:
        return None
    share = trace.recent("eos_rate", 3)
    since = trace.since("eos_rate", lambda rate: rate < 0.95) or trace.steps
    return Sign(since, {"eos_rate": share, "reply_tokens": trace.recent("reply_tokens", 3)}, "warn" if share < 0.7 else "info")


def one_answer(case: Case) -> Sign | None:
    trace, start = case.trace, case.trace.at_start("entropy")
    if start is not None and start > 0.05 and trace.has("entropy", count=3) and trace.typical("entropy", 3) < NEARLY_CERTAIN * start:
        since = trace.since("entropy", lambda nats: nats < NEARLY_CERTAIN * start) or trace.steps
        return Sign(since, {"entropy": trace.typical("entropy", 3), "entropy at the start": start, "same_replies": trace.last("same_replies") or 0.0})
    if trace.has("same_replies", count=3) and trace.recent("same_replies", 3) > 0.5:
        since = trace.since("same_replies", lambda share: share > 0.5) or trace.steps
        return Sign(since, {"same_replies": trace.recent("same_replies", 3), "entropy": trace.last("entropy") or 0.0})
    return None


def gibberish(case: Case) -> Sign | None:
    trace, start = case.trace, case.trace.at_start("entropy")
    if start is None or start < 0.05 or not trace.has("entropy", count=4) or trace.typical("entropy", 3) < 1.5 * start:
        return None
    since = trace.since("entropy", lambda nats: nats > 1.5 * start) or trace.steps
    return Sign(since, {"entropy": trace.typical("entropy", 3), "entropy at the start": start})


def value_lost(case: Case) -> Sign | None:
    trace = case.trace
    if not trace.has("explained_variance", "value_loss", count=ENOUGH):
        return None
    insight, losses = trace.typical("explained_variance"), trace.values("value_loss")
    if since := trace.since("value_clipfrac", lambda share: share > 0.5, count=WINDOW):
        return Sign(since, {"value_clipfrac": trace.typical("value_clipfrac"), "explained_variance": insight})
    best = min(sum(losses[i:i + WINDOW]) / WINDOW for i in range(len(losses) - WINDOW + 1))
    if not (insight < -0.5 or (insight < 0 and trace.typical("value_loss") > 3 * best)):
        return None
    since = trace.since("explained_variance", lambda share: share < 0) or trace.steps
    return Sign(since, {"explained_variance": insight, "value_loss": trace.typical("value_loss"), "best value loss": best})


def flat(case: Case) -> Sign | None:
    trace = case.trace
    if not trace.has("score", count=30):
        return None
    gain, error = trace.recent("score") - trace.early("score"), trace.noise("score") * (2 / WINDOW) ** 0.5
    return Sign(1, {"gain in score": gain, "standard error": error}) if gain < 2 * error and gain < 0.3 else None


def at_the_limit(case: Case) -> Sign | None:
    if not case.trace.has("score_clipped", count=3) or case.trace.recent("score_clipped", 3) <= 0.1:
        return None
    since = case.trace.since("score_clipped", lambda share: share > 0) or case.trace.steps
    return Sign(since, {"score_clipped": case.trace.recent("score_clipped", 3), "score": case.trace.last("score") or 0.0})


def all_alike(case: Case) -> Sign | None:
    since = case.trace.since("score_sd", lambda spread: spread < 0.05, count=3)
    return Sign(since, {"score_sd": case.trace.recent("score_sd", 3)}) if since is not None else None


def slow_to_write(case: Case) -> Sign | None:
    parts = ("seconds_generate", "seconds_score", "seconds_update")
    if not case.trace.has(*parts, count=3):
        return None
    times_spent = [case.trace.typical(part) for part in parts]
    share = times_spent[0] / max(sum(times_spent), 1e-9)
    return Sign(1, {"share of the time": share, "seconds_generate": times_spent[0]}) if share > 0.85 else None


RULES = (
    NOT_FINITE,
    Rule(id="D-30", title="The steps are too large", severity="warn", sees=steps_too_large,
         meaning="One round of learning changes the policy (the model in training) so much that what was measured before no longer describes it. It then learns "
                 "from stale advice, and its language usually breaks within a few steps.",
         advice="Lower the learning rate first, then learn fewer times from each batch.", changes={"lr": times(1 / 3), "epochs": at_most(1), "target_kl": either(0.02, 1.0)},
         explains=("D-05", "D-20", "D-21", "D-24", "D-25", "D-26", "D-27", "D-28", "D-29", "D-33", "D-35", "D-38", "D-53")),
    Rule(id="D-31", title="The steps are too small", severity="warn", sees=steps_too_small,
         meaning="The updates hardly change the probability of any word, so nothing is being learned. Time passes and the policy stays the SFT model.",
         advice="Raise the learning rate.", changes={"lr": times(3)}, explains=("D-29",)),
    Rule(id="D-23", title="The reward pays for length", severity="warn", sees=paid_by_length,
         meaning="Within a batch the longer replies get the higher scores, nearly whatever they say. The policy will pad, and its score will rise without better "
                 "replies.",
         advice="Train the reward model on rankings whose better replies are not mostly the longer ones; until then make each "
                "token cost what it earns (length_penalty), and raise the price of drift (kl_weight).",
         changes={"kl_weight": either(0.05, 2.0)}, goes_back=True, explains=("D-20", "D-22", "D-25", "D-26", "D-29", "D-34", "D-38")),
    FOOLED,
    Rule(id="D-20", title="The policy has drifted far from SFT", severity="warn", sees=too_far,
         meaning="The drift (how far its odds of each word have moved from the SFT model's) is larger than useful learning needs; beyond about 25 nats per reply "
                 "the text is usually no longer the language SFT taught. Scores there say little, since the reward model has seen nothing like it.",
         advice="Lower the learning rate and make drift dearer; the price alone does not shrink the steps.",
         changes={"lr": times(0.5), "kl_weight": either(0.05, 2.0)}, explains=("D-26", "D-27", "D-35")),
    Rule(id="D-21", title="The drift is below zero", severity="warn", sees=below_zero,
         meaning="Drift is a distance and cannot be negative on average; single steps dip below zero by chance, but not this far. The replies are not pure samples "
                 "of the policy, or padding is counted.",
         advice="Look for sampling settings (top-k, top-p, a minimum length) and dropout; no knob of the recipe mends this."),
    Rule(id="D-26", title="The policy gives one answer to everyone", severity="warn", sees=one_answer,
         meaning="The policy has become nearly certain of every word, or repeats whole replies. It no longer tries anything, so it cannot learn anything either.",
         advice="Fork from an earlier checkpoint with a lower learning rate and a higher price on drift.",
         changes={"lr": times(0.5), "kl_weight": either(0.05, 2.0), "epochs": at_most(1)}, explains=("D-38", "D-29", "D-31")),
    Rule(id="D-27", title="The policy becomes undecided", severity="warn", sees=gibberish,
         meaning="Its entropy, which is how undecided it is about the next word, has grown by half; such text soon reads as gibberish. Updates push it away from "
                 "what it said without pulling it anywhere.",
         advice="Lower the learning rate; if that does not help, look for a reward that punishes everything.", changes={"lr": times(1 / 3)}, explains=("D-25",)),
    Rule(id="D-24", title="The replies shrink", severity="warn", sees=ever_shorter,
         meaning="Replies are less than half as long as the SFT model's. Stopping at once avoids every penalty: either drift or unfinished replies cost too much, or "
                 "the reward likes silence.",
         advice="Make drift cheaper and look at what short replies score.", changes={"kl_weight": times(0.5)}),
    Rule(id="D-25", title="Replies do not end", severity="warn", sees=never_ends,
         meaning="Many replies are cut off at reply_tokens instead of ending by themselves. The reward model then judges fragments.",
         advice="Let replies be longer and make the missing end dearer; if SFT's replies did not end either, train SFT longer.",
         changes={"reply_tokens": times(1.5), "no_end_penalty": either(1.0, 2.0)}),
    Rule(id="D-34", title="Scores hit the limit", severity="warn", sees=at_the_limit,
         meaning="More than a tenth of the replies score beyond five spreads, where scores are cut off. Among those PPO sees no difference any more, and such "
                 "scores are often a sign that the reward model is fooled.",
         advice="Read the best-scored samples; then make drift dearer or train the reward model on such replies.", changes={"kl_weight": either(0.05, 2.0)}),
    Rule(id="D-38", title="All replies score alike", severity="warn", sees=all_alike,
         meaning="The scores within a batch hardly differ, so no reply stands out to learn from. Either the policy repeats itself or the reward model is blind to "
                 "what it says.",
         advice="Raise the temperature in reward model and PPO alike, or practise on more varied prompts; if the policy repeats itself, go back to an earlier checkpoint.", changes={"temperature": at_least(1.0)}, explains=("D-29",)),
    Rule(id="D-28", title="The value model is worse than a constant", severity="warn", sees=value_lost,
         meaning="The value model foresees how much reward a reply will earn, and its guesses are further off than always guessing the mean would be, or leap from "
                 "step to step. It adds noise to every update instead of removing it.",
         advice="Lower its learning rate; if it was very low, raise it instead.", changes={"value_lr": times(1 / 3)}),
    GRADIENT_LEAPS,
    FORGETS,
    REFUSES,
    Rule(id="D-29", title="The score does not move", severity="warn", sees=flat,
         meaning="After thirty steps the score is where it was, within its own noise. Either the steps are too small, or the reward model sees no difference that "
                 "the policy could make.",
         advice="Raise the learning rate or the batch.", changes={"lr": times(3), "batch": times(2)}),
    Rule(id="D-37", title="Nearly all time goes into writing replies", severity="info", sees=slow_to_write,
         meaning="Writing takes most of each step, so learning more from each batch would cost little. Larger batches also write more replies per second.",
         advice="Raise the batch or learn from each batch twice.", changes={"batch": times(2)}),
)
