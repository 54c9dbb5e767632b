"""Every number a stage logs: its title, unit, meaning, what good looks like, and the colour of its role."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.frontier import SIZES
from workbench.probes import GREEN, PROBES, RED

# Colours keep their meaning everywhere: reward green, KL orange, reference grey, policy blue.
COLOURS = {
    "reward": "#2f9e63", "kl": "#e0812b", "reference": "#8a94a3", "policy": "#2f74d0", "warn": "#c05621", "value": "#7a5cc8",
}


@dataclass(frozen=True)
class Metric:
    """One number a stage logs: how it is called, what it means, and what good looks like."""

    title: str
    unit: str
    help: str
    healthy: str
    role: str  # a key of COLOURS


def lr(title: str = "Learning rate") -> Metric:
    return Metric(title, "of the gradient", "Size of the optimiser's steps, by schedule.", "Rises for a moment, then falls to zero.", "reference")


METRICS: dict[str, Metric] = {
    "loss": Metric("Loss", "nats", "How surprised the model is by what it should learn.",
                   "Falls fast, then flattens. A jump up means the learning rate is too high.", "policy"),
    "eval_loss": Metric("Held-out loss", "nats", "The same loss on rows that are never trained on.",
                        "Falls with the training loss. When it turns up, the model begins to memorise.", "reference"),
    "token_accuracy": Metric("Token accuracy", "share", "Share of the next tokens guessed exactly.",
                             "Rises slowly. Close to 1 means that it has learned the rows by heart.", "policy"),
    "lr": lr(),
    "grad_norm": Metric("Gradient length", "length", "Length of the gradient before it is shortened.",
                        "Steady, mostly below a few times the limit. Spikes that grow are a warning.", "reference"),
    "value_grad_norm": Metric("Value gradient length", "length", "Length of the value model's gradient before it is shortened.",
                              "Steady. Large at first, while the value model learns what rewards look like.", "value"),
    "tokens_per_second": Metric("Tokens per second", "1/s", "Tokens processed in a second.", "Steady; a drop means another program competes.",
                                "reference"),
    "eos_rate": Metric("Replies that end", "share", "Share of the replies that finish by themselves before the limit.",
                       "Near 1. Near 0 means that replies are cut off: raise reply_tokens, or train SFT longer.", "policy"),
    "reply_tokens": Metric("Reply length", "tokens", "Mean length of the replies.",
                           "Roughly steady. A steady climb while reward climbs is a sign of padding for reward.", "policy"),
    "seconds": Metric("Seconds per step", "s", "Time a step took.", "Steady.", "reference"),
    "accuracy": Metric("Training accuracy", "share", "Share of the training pairs in which the preferred reply scores higher.",
                       "Above 0.5 and rising; far above the held-out accuracy means overfitting.", "reference"),
    "eval_accuracy": Metric("Held-out accuracy", "share", "Share of unseen pairs in which the preferred reply scores higher.",
                            "0.65 to 0.8 is good: people agree with each other only about 7 times in 10. 0.5 is a coin.", "reward"),
    "eval_accuracy_low": Metric("Lower end of 95%", "share", "The held-out accuracy is likely above this.", "Above 0.5.", "reward"),
    "eval_accuracy_high": Metric("Upper end of 95%", "share", "The held-out accuracy is likely below this.", "More rankings narrow it.", "reward"),
    "margin": Metric("Margin", "sd", "Mean difference in score between the better and the worse reply of a pair.",
                     "Rises from 0 to about 1. Ever larger margins without better accuracy are overconfidence.", "reward"),
    "score_sd": Metric("Spread of scores", "sd", "Standard deviation of the scores; 1 on the SFT model's replies.", "Near 1.", "reference"),
    "longer_wins": Metric("Longer reply is better", "share", "Share of the unseen pairs in which the longer reply is the preferred one.",
                          "Well below the held-out accuracy; else the reward model may have learned no more than length.", "kl"),
    "reward": Metric("Net reward", "sd", "Mean score, less the penalties for length and for not ending, less what the drift from the SFT model costs. PPO raises this.",
                     "Rises, then flattens.", "reward"),
    "score": Metric("Score", "sd", "Mean score of the replies. 0 is what the SFT model's replies get on average, 1 is one standard deviation (sd) of theirs better.",
                    "Rises above 0. Very high with odd samples means that the reward model is being fooled.", "reward"),
    "gold": Metric("Gold, practice", "points", "What a judge that PPO never learns from makes of the replies it practises on: the pack's rule.",
                   "Rises with the score. When it falls while the score rises, stop: that is reward hacking.", "policy"),
    "kl_seq": Metric("KL per reply", "nats", "How far the policy has drifted from the SFT model: the log of how many times likelier it finds its replies than SFT would, on average. 1 nat is 2.7 times, 7 nats are 1,100 times.",
                     "Starts at 0, grows slowly; 1 to 10 is usual. Dips below 0 are sampling noise.", "kl"),
    "kl3_seq": Metric("KL, k3 estimate", "nats", "A second estimate of the same drift (Schulman's k3), which is never negative.",
                      "Close to the other estimate. Far apart means few replies dominate.", "reference"),
    "kl_tok": Metric("KL per token", "nats", "The drift, per token.", "Below about 0.1.", "kl"),
    "entropy": Metric("Entropy", "nats", "How undecided the policy is about the next token.",
                      "Falls slowly. A dive to 0 means that it says the same to everyone.", "policy"),
    "clipfrac": Metric("Clipped tokens", "share", "Share of tokens whose probability moved too far to count.",
                       "0.01 to 0.2. Above 0.3 lower the learning rate; always 0 raise it.", "kl"),
    "approx_kl": Metric("KL of one update", "nats", "How far one round of updates moves the policy.", "Below the target_kl knob.", "kl"),
    "explained_variance": Metric("Value model's insight", "share", "Share of the differences in reward that the value model foresees.",
                                 "Rises from below 0 towards 1. Stuck below 0 means noisy updates.", "value"),
    "policy_loss": Metric("Policy loss", "advantage", "PPO's surrogate loss.", "Small and noisy around 0; it does not need to fall.", "policy"),
    "value_loss": Metric("Value loss", "sd squared", "Error of the value model.", "Falls, then follows the spread of the rewards.", "value"),
    "ratio_max": Metric("Largest ratio", "times", "Largest change of a token's probability in this step.", "Below about 5.", "kl"),
    "first_ratio_dev": Metric("First ratio off 1", "times", "Before any update the ratio must be exactly 1.", "0. Anything else is a bug.", "warn"),
    "generation_mismatch": Metric("Generation mismatch", "nats", "Difference between log-probabilities while writing and while learning.",
                                  "Near 0.", "warn"),
    "surprise": Metric("Surprise", "nats", "How unlikely the policy found the tokens it sampled.", "Equal to the entropy, but for noise.", "reference"),
    "length_score": Metric("Length and score", "correlation", "Rank correlation of a reply's length with its score.",
                           "Well below 0.5. Near 1 the reward pays for length alone.", "kl"),
    "length_slope": Metric("Pay per token", "sd", "How much the score rises with each further token of a reply, by a line fitted to the batch.",
                           "Near 0. As a length_penalty it is what makes length alone no longer pay.", "kl"),
    "frozen_moved": Metric("Frozen models that moved", "models", "How many of base, reference and reward model the first updates changed.", "0.", "warn"),
    "value_clipfrac": Metric("Clipped values", "share", "Share of tokens whose value moved too far to count.", "Below 0.5.", "value"),
    "same_replies": Metric("Repeated replies", "share", "Share of the replies that another reply of the batch equals.", "Near 0.", "warn"),
    "distinct2": Metric("Distinct pairs of tokens", "share", "Share of neighbouring token pairs that occur once in the batch.",
                        "Falls slowly. A dive means that replies repeat themselves or each other.", "policy"),
    "score_clipped": Metric("Scores at the limit", "share", "Share of the scores beyond five spreads, where they are cut off.", "Near 0.", "warn"),
    "score_gap": Metric("Score when read alone", "sd", "How much a score changes when its reply is scored outside the batch.", "0 but for rounding.", "warn"),
    "end_counted": Metric("Ends that count", "share", "Share of the ended replies whose end of turn is learned from.", "Exactly 1.", "warn"),
    "ends_trained": Metric("Ends that are trained", "share", "Share of the demonstrations whose end of turn is learned from.", "Exactly 1.", "warn"),
    **{f"beats_{name}": Metric(f"Best reply beats {probe.title.lower()}", "share", f"Share of the held-out prompts whose best reply scores above the same prompt's when {probe.about}.",
                               f"At least {GREEN:.1f}; below {RED:.1f} this is a way to game it.", "reward") for name, probe in PROBES.items()},
    "curve_rankings": Metric("Rankings learned from", "rankings", "How many rankings this point of the learning curve learned from.", "More than before.", "reference"),
    "curve_accuracy": Metric("Accuracy from so many", "share", "Held-out accuracy of a model that learned from so many rankings.",
                             "Still rising: more rankings would help.", "reward"),
    "curve_low": Metric("Accuracy from so many, low", "share", "Lower end of its 95 % interval.", "Above 0.5.", "reference"),
    "curve_high": Metric("Accuracy from so many, high", "share", "Upper end of its 95 % interval.", "Near the accuracy: many prompts were held out.", "reference"),
    "eval_ece": Metric("Calibration error", "share", "How far the claimed certainty is from the held-out accuracy.",
                       "Below 0.1; rough when few rankings are held out.", "warn"),
    "raw_sd": Metric("Spread before calibration", "raw score", "Standard deviation of the raw scores of SFT's replies.", "Well above 0.", "reference"),
    "raw_mean": Metric("Mean before calibration", "raw score", "Mean of the raw scores of SFT's replies.", "Anything; calibration takes it off.", "reference"),
    "kl_se": Metric("Error of the drift", "nats", "Standard error of the KL per reply.", "Small beside the drift itself.", "reference"),
    "updates": Metric("Updates", "updates", "Updates done with one batch of replies.", "As many as planned; fewer means that a step went too far.", "reference"),
    "seconds_generate": Metric("Seconds writing", "s", "Time spent on replies.", "The largest part.", "policy"),
    "seconds_score": Metric("Seconds scoring", "s", "Time spent on rewards and references.", "Small.", "reward"),
    "doubt": Metric("Doubt", "p (1 - p)", "Mean over the pairs of replies; p is the chance that the first is better.",
                    "Falls from round to round; 0.25 is a coin toss.", "warn"),
    "flips": Metric("Answers that flip", "share", "Share of a judge's answers that change when the two replies swap places.",
                    "Near 0. From 0.25 on it looks at the place more than at the text.", "warn"),
    "first_letter": Metric("First reply named", "share", "How likely the judge names the reply that stands first; averaging both orders takes that out.",
                           "Near 0.5.", "reference"),
    "letters": Metric("Answers with a letter", "share", "Probability that the judge answers with A or B and nothing else.",
                      "Near 1. Below 0.5 it hardly understands the question.", "policy"),
    "sureness": Metric("Sureness", "share", "How far its averaged chances lie from a coin toss: 0 undecided, 1 certain.",
                       "Above 0.1; near 0 its labels say nothing.", "reward"),
    "changed": Metric("Replies changed", "share", "Share of the replies that their last revision differs from.",
                      "Near 1. Near 0 the model repeats itself instead of rewriting.", "reward"),
    "seconds_update": Metric("Seconds learning", "s", "Time spent on updates.", "Steady.", "value"),
    "distinct1": Metric("Distinct tokens", "share", "Share of a batch's tokens that differ from each other.", "Falls slowly.", "reference"),
    "similarity": Metric("Overlap of replies", "share", "What two replies of a batch have in common, on average: pairs of tokens in both of those in either.",
                         "Low and steady. A climb means that every question gets much the same answer.", "kl"),
    "held_score": Metric("Held-out score", "sd", "The reward model's score on held-out prompts: the proxy that PPO raises.",
                         "Rises above 0; judged only together with the gold score.", "reward"),
    "held_gold": Metric("Gold, held-out", "points", "What the same judge, or a second reward model, makes of replies to prompts that are never practised on. The star is its best step.",
                        "Rises with the held-out score. Falling while that rises is over-optimisation: go back to the starred step.", "policy"),
    "held_gold_se": Metric("Error of the gold", "points", "Standard error of the held-out gold score.", "Small beside the gain.", "reference"),
    "held_kl": Metric("Held-out KL", "nats", "Drift from the SFT model per reply, on held-out prompts.", "As the KL per reply.", "kl"),
    "text_perplexity": Metric("Perplexity of plain text", "tokens", "Among how many next tokens the policy hesitates in English of another domain.",
                              "Where it began. A tenth more means that practice costs it its English.", "reference"),
    "choice_accuracy": Metric("Common knowledge", "share", "Share of simple sentences that it ends with the right one of four words.",
                              "Where it began; few sentences, so one or two more or less say nothing.", "policy"),
    "refusal_rate": Metric("Refusals of harmless questions", "share", "Share of harmless questions that only sound dangerous which it turns down, by a rule of words.",
                           "Near 0, and not more than where it began.", "warn"),
    "seconds_look": Metric("Seconds looking", "s", "Time spent on held-out prompts and what is forgotten, at a look.", "Small beside the steps between two looks.", "reference"),
    **{f"best_of_{n}": Metric(f"Best of {n}", "sd", f"What the best of {n} SFT replies by score would earn.", "The reference that PPO is held against.", "reference")
       for n in SIZES},
    **{f"gold_best_of_{n}": Metric(f"Best of {n}, gold", "points", f"Gold score of the best of {n} SFT replies by score.", "Rises with n; else the score picks the wrong ones.", "reference")
       for n in SIZES},
}
