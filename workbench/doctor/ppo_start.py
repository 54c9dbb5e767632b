"""PPO: what must hold before the first update. Most of these stop a run, since nothing it learns could be trusted."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, stdev

from workbench import rewards
from workbench.doctor.reward import doubt_of
from workbench.doctor.rule import Case, Rule, Sign, at_least, either, to
from workbench.doctor.shared import NO_GRADIENT, no_gradient

ONLY_NOISE = 5.0  # standard errors; few steps estimate them roughly


def is_exact(case: Case) -> bool:
    """Whether sums in another order may differ by next to nothing; bf16 and NF4 round far more coarsely."""
    return case.recipe.precision == "fp32"


def changing_odds(case: Case) -> Sign | None:
    allowed = 0.01 if is_exact(case) else 0.15
    since = case.trace.first_when("first_ratio_dev", lambda off: off > allowed)
    if since is None:
        return None
    return Sign(since, {"first_ratio_dev": max(case.trace.values("first_ratio_dev")), "allowed": allowed})


def other_sampler(case: Case) -> Sign | None:
    allowed = 1e-3 if is_exact(case) else 0.1  # healthy runs of the default model in bf16 show 0.04
    since = case.trace.first_when("generation_mismatch", lambda nats: nats > allowed)
    if since is None:
        return None
    return Sign(since, {"generation_mismatch": max(case.trace.values("generation_mismatch")), "allowed": allowed})


def drift_at_start(case: Case) -> Sign | None:
    kl, kl3 = case.trace.at_start("kl_seq"), case.trace.at_start("kl3_seq")
    allowed = 1e-3 if is_exact(case) else 0.05
    if kl is None or max(abs(kl), kl3 or 0.0) <= allowed:
        return None
    return Sign(1, {"kl_seq": kl, "kl3_seq": kl3 or 0.0, "allowed": allowed})


def too_likely(case: Case) -> Sign | None:
    """On pure samples the surprise equals the entropy on average; a sampler that drops unlikely tokens falls short of it."""
    trace = case.trace
    if not trace.has("entropy", "surprise", count=5):
        return None
    gaps = [entropy - surprise for entropy, surprise in zip(trace.values("entropy"), trace.values("surprise"), strict=False)]
    gap, error = fmean(gaps), stdev(gaps) / len(gaps) ** 0.5
    if gap < ONLY_NOISE * error or gap < 0.05 * fmean(trace.values("entropy")):
        return None
    return Sign(trace.points("surprise")[0][0], {"entropy": fmean(trace.values("entropy")), "surprise": fmean(trace.values("surprise")),
                                                 "standard error of the gap": error})


def score_depends_on_padding(case: Case) -> Sign | None:
    gap, allowed = case.trace.at_start("score_gap"), 0.01 if is_exact(case) else 0.3
    return Sign(1, {"score_gap": gap, "allowed": allowed}) if gap is not None and gap > allowed else None


def end_not_counted(case: Case) -> Sign | None:
    since = case.trace.first_when("end_counted", lambda share: share < 1.0)
    return Sign(since, {"end_counted": min(case.trace.values("end_counted"))}) if since is not None else None


def says_the_same_of_all(case: Case) -> Sign | None:
    spread, same = case.trace.at_start("score_sd"), case.trace.at_start("same_replies")
    if spread is None or spread >= 1e-3 or (same is not None and same > 0.9):
        return None
    return Sign(1, {"score_sd": spread, "score": case.trace.at_start("score") or 0.0})


def is_calibrated(reward: str) -> bool:
    """Whether a reward is on the scale of reward models; rules, functions and lengths have the scale they have."""
    terms = rewards.parse(reward)
    return all(term.kind in ("run", *rewards.ENSEMBLES) for term in terms) and sum(abs(term.weight) for term in terms) <= 1


def off_the_scale(case: Case) -> Sign | None:
    score = case.trace.at_start("score")
    return Sign(1, {"score": score}) if score is not None and abs(score) > 3 and is_calibrated(case.recipe.reward) else None


def judge_knows_nothing(case: Case) -> Sign | None:
    found = {key: case.reward[key] for key in ("eval_accuracy", "eval_accuracy_low", "eval_accuracy_high") if case.reward.get(key) is not None}
    doubt = doubt_of(**found) if "eval_accuracy" in found else None
    return Sign(1, found, "stop" if found.get("eval_accuracy_high", 1.0) < 0.5 else doubt) if doubt else None


def since(case: Case, knob: str) -> int:
    """The step from which a knob has had its present value; the last one while that waits for the next."""
    return min(case.begun(knob), case.trace.steps)


def no_leash(case: Case) -> Sign | None:
    drift = case.trace.last("kl_seq")
    return Sign(since(case, "kl_weight"), {"kl_weight": 0.0, "kl_seq": drift}) if case.recipe.kl_weight == 0 and drift is not None else None


def value_stands_still(case: Case) -> Sign | None:
    insight = case.trace.last("explained_variance")
    return Sign(since(case, "value_lr"), {"value_lr": 0.0, "explained_variance": insight}) if case.recipe.value_lr == 0 and insight is not None else None


def too_few_replies(case: Case) -> Sign | None:
    """By arithmetic alone: scores are calibrated to a spread of 1, and the spread of two or three seen ones is luck."""
    batch = case.recipe.batch
    return Sign(1, {"batch": batch, "standard error of the score": batch**-0.5}) if batch < 8 and case.trace.has("score") else None


def judge_likes_silence(case: Case) -> Sign | None:
    share = case.reward.get("beats_empty")
    return Sign(1, {"beats_empty": share}) if share is not None and share < 0.8 else None


def learner_without_gradient(case: Case) -> Sign | None:
    since = case.trace.since("value_grad_norm", lambda length: length == 0.0)
    return no_gradient(case) or (Sign(since, {"value_grad_norm": 0.0}) if since is not None and case.recipe.value_lr > 0 else None)


def frozen_moves(case: Case) -> Sign | None:
    count = case.trace.at_start("frozen_moved")
    return Sign(1, {"frozen_moved": count}) if count else None


DURING = ("D-20", "D-21", "D-22", "D-23", "D-24", "D-25", "D-26", "D-27", "D-28", "D-29", "D-30", "D-31", "D-33", "D-34", "D-35", "D-36", "D-38")

RULES = (
    Rule(id="D-03", title="The same reply gets other probabilities when it is read again", severity="stop", sees=changing_odds, is_heuristic=False,
         meaning="Before the first update nothing has changed, so every word must have the same probability when a reply is read a second time. It has not: chance is "
                 "at work while learning (dropout left on), or the two readings are different computations.",
         advice="Switch dropout off in every role and take the old log-probabilities by the path that training takes; no knob mends this.",
         explains=("D-01", "D-02", "D-53", *DURING)),
    Rule(id="D-02", title="Replies are not drawn from the policy that is trained", severity="stop", sees=other_sampler, is_heuristic=False,
         meaning="The probability of a word while it was written differs from its probability while it is learned from, so PPO corrects a model that did not write "
                 "this. The sampler cuts or bends the odds (top-k, top-p, a penalty, another temperature), or positions and padding differ.",
         advice="Sample with the plain distribution at the temperature of the recipe: no top-k, no top-p, no penalties.",
         explains=("D-53", *DURING)),
    Rule(id="D-01", title="The policy starts away from its reference", severity="stop", sees=drift_at_start, is_heuristic=False,
         meaning="The policy begins as a copy of the SFT model, so its drift from it must be 0 at the first step. It is not, so the reference is another model: "
                 "the bare base instead of the SFT adapter, or an adapter that was not copied.",
         advice="Check that reference and policy both name the same SFT run, and that its adapter is active while the reference is read.",
         explains=("D-21", *DURING)),
    Rule(id="D-53", title="The replies are likelier than pure chance allows", severity="warn", sees=too_likely,
         meaning="Words drawn by the policy's own odds should surprise it exactly as much as its entropy says, and these surprise it less. The sampler seems to leave "
                 "unlikely words out, so PPO never learns about what the policy would really say.",
         advice="Look for top-k, top-p or a lower temperature in the sampler, and remove it.", explains=DURING),
    Rule(id="D-06", title="A reply's score depends on its neighbours", severity="stop", sees=score_depends_on_padding, is_heuristic=False,
         meaning="The same reply was scored in the batch and by itself, with different results. The reward model reads padding instead of the reply's last "
                 "token, so its scores mean nothing.",
         advice="Read the score at the last real token, found by the attention mask; no knob mends this.", explains=DURING),
    Rule(id="D-07", title="The end of a reply is taken for padding", severity="stop", sees=end_not_counted, is_heuristic=False,
         meaning="Replies that ended by themselves do not have their end-of-turn token among the tokens that are learned from. The policy then can never learn "
                 "when to stop, and the reward sits on the wrong token.",
         advice="Take masks from lengths and never from token ids; use a padding token that is not a stop token.", explains=DURING),
    Rule(id="D-09", title="The reward says the same of every reply", severity="stop", sees=says_the_same_of_all, is_heuristic=False,
         meaning="Scores of different replies do not differ, so no reply is better than another. PPO would follow nothing but rounding noise.",
         advice="Train the reward model again, with rankings in which replies really differ, and look at its held-out accuracy first.",
         explains=("D-05", *DURING)),
    replace(NO_GRADIENT, sees=learner_without_gradient),
    Rule(id="D-55", title="A model that should stand still has changed", severity="stop", sees=frozen_moves, is_heuristic=False,
         meaning="PPO trains the policy and the value model only; reference, reward model and base are what they are measured against. After the first updates one "
                 "of those three was no longer the same, so drift and scores mean nothing from here on.",
         advice="Look for an optimiser that was given tensors of another role; no knob mends this.", explains=DURING),
    Rule(id="D-08", title="The reward model is not clearly better than a coin", severity="warn", sees=judge_knows_nothing,
         meaning="On rankings that it had never seen, the reward model picked the better reply hardly more often than chance would, or on too few to tell. PPO "
                 "would then chase its mistakes.",
         advice="Rank more replies, or clearer ones, and train the reward model again before PPO.", explains=("D-22", "D-29")),
    Rule(id="D-10", title="The reward model likes silence", severity="info", sees=judge_likes_silence,
         meaning="On many held-out prompts the reward model scored an empty reply as high as the best one. The policy may learn that saying nothing pays.",
         advice="Rank some very short or empty replies low and train the reward model again; meanwhile watch the length of replies.", explains=("D-24",)),
    Rule(id="D-54", title="The scores are off their scale", severity="warn", sees=off_the_scale,
         meaning="The SFT model's replies should score 0 on average with a spread of 1, and these are more than three spreads away. The reward model was "
                 "calibrated on other replies: another SFT run, other prompts, another length or temperature.",
         advice="Train the reward model with the SFT run, prompts, reply_tokens and temperature that PPO uses.", explains=("D-34",)),
    Rule(id="D-50", title="Nothing holds the policy near SFT", severity="warn", sees=no_leash, is_heuristic=False,
         meaning="With kl_weight 0 drifting away from the SFT model costs nothing. The policy is then free to find whatever fools the reward model, and its "
                 "language usually decays.",
         advice="Give drift a price.", changes={"kl_weight": either(0.05, 1.0)}, explains=("D-20", "D-22", "D-24", "D-26", "D-27", "D-35", "D-36")),
    Rule(id="D-51", title="The value model does not learn", severity="warn", sees=value_stands_still, is_heuristic=False,
         meaning="With value_lr 0 the value model never learns what rewards to expect. Every update then treats luck as merit, and progress is slow and noisy.",
         advice="Give the value model a learning rate, about half to five times the policy's.", changes={"value_lr": either(1e-4, 1.0)},
         explains=("D-28", "D-29")),
    Rule(id="D-52", title="Too few replies per step", severity="warn", sees=too_few_replies,
         meaning="So few replies are averaged that the mean score of a step is mostly luck. The policy learns from that luck and wanders.",
         advice="Raise the batch; memory depends on micro_batch only.", changes={"batch": at_least(16), "minibatch": to(4), "micro_batch": to(4)},
         explains=DURING + ("D-53",)),
)
