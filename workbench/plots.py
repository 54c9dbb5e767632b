"""What every metric means, which charts a stage has, and their Plotly figure. No torch; knows data frames, not runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Chart:
    title: str
    keys: tuple[str, ...]
    about: str  # what to look for, for somebody who sees it for the first time
    band: tuple[str, str] | None = None  # two of the keys that bound an interval, drawn as a shade
    is_main: bool = True  # the others are folded away below the samples
    span: tuple[float, float] | None = None  # a fixed vertical range: a share that moves by a hundredth must not look like a cliff


def lr(title: str = "Learning rate") -> Metric:
    return Metric(title, "", "Size of the optimiser's steps, by schedule.", "Rises for a moment, then falls to zero.", "reference")


METRICS: dict[str, Metric] = {
    "loss": Metric("Loss", "nats", "How surprised the model is by what it should learn.",
                   "Falls fast, then flattens. A jump up means the learning rate is too high.", "policy"),
    "eval_loss": Metric("Held-out loss", "nats", "The same loss on rows that are never trained on.",
                        "Falls with the training loss. When it turns up, the model begins to memorise.", "reference"),
    "token_accuracy": Metric("Token accuracy", "", "Share of the next tokens guessed exactly.",
                             "Rises slowly. Close to 1 means that it has learned the rows by heart.", "policy"),
    "lr": lr(),
    "grad_norm": Metric("Gradient length", "", "Length of the gradient before it is shortened.",
                        "Steady, mostly below a few times the limit. Spikes that grow are a warning.", "reference"),
    "value_grad_norm": Metric("Value gradient length", "", "Length of the value model's gradient before it is shortened.",
                              "Steady. Large at first, while the value model learns what rewards look like.", "value"),
    "tokens_per_second": Metric("Tokens per second", "1/s", "Tokens processed in a second.", "Steady; a drop means another program competes.",
                                "reference"),
    "eos_rate": Metric("Replies that end", "", "Share of the replies that finish by themselves before the limit.",
                       "Near 1. Near 0 means that replies are cut off: raise reply_tokens, or train SFT longer.", "policy"),
    "reply_tokens": Metric("Reply length", "tokens", "Mean length of the replies.",
                           "Roughly steady. A steady climb while reward climbs is a sign of padding for reward.", "policy"),
    "seconds": Metric("Seconds per step", "s", "Time a step took.", "Steady.", "reference"),
    "accuracy": Metric("Training accuracy", "", "Share of the training pairs in which the preferred reply scores higher.",
                       "Above 0.5 and rising; far above the held-out accuracy means overfitting.", "reference"),
    "eval_accuracy": Metric("Held-out accuracy", "", "Share of unseen pairs in which the preferred reply scores higher.",
                            "0.65 to 0.8 is good: people agree with each other only about 7 times in 10. 0.5 is a coin.", "reward"),
    "eval_accuracy_low": Metric("Lower end of 95%", "", "The held-out accuracy is likely above this.", "Above 0.5.", "reward"),
    "eval_accuracy_high": Metric("Upper end of 95%", "", "The held-out accuracy is likely below this.", "More rankings narrow it.", "reward"),
    "margin": Metric("Margin", "", "Mean difference in score between the better and the worse reply of a pair.",
                     "Rises from 0 to about 1. Ever larger margins without better accuracy are overconfidence.", "reward"),
    "score_sd": Metric("Spread of scores", "", "Standard deviation of the scores; 1 on the SFT model's replies.", "Near 1.", "reference"),
    "longer_wins": Metric("Longer reply is better", "", "Share of the unseen pairs in which the longer reply is the preferred one.",
                          "Well below the held-out accuracy; else the reward model may have learned no more than length.", "kl"),
    "reward": Metric("Net reward", "", "Mean score, less the penalties for length and for not ending, less what the drift from the SFT model costs. PPO raises this.",
                     "Rises, then flattens.", "reward"),
    "score": Metric("Score", "", "Mean score of the replies. 0 is what SFT got, 1 is one spread better.",
                    "Rises above 0. Very high with odd samples means that the reward model is being fooled.", "reward"),
    "gold": Metric("Held-out rule", "", "A judge that PPO never sees, for packs that have one.",
                   "Rises with the score. When it falls while the score rises, stop: that is reward hacking.", "policy"),
    "kl_seq": Metric("KL per reply", "nats", "How far the policy has drifted from the SFT model, summed over a reply.",
                     "Starts at 0, grows slowly; 1 to 10 is usual. Dips below 0 are sampling noise.", "kl"),
    "kl3_seq": Metric("KL per reply (k3)", "nats", "A second estimate of the same drift, which is never negative.",
                      "Close to the other estimate. Far apart means few replies dominate.", "reference"),
    "kl_tok": Metric("KL per token", "nats", "The drift, per token.", "Below about 0.1.", "kl"),
    "entropy": Metric("Entropy", "nats", "How undecided the policy is about the next token.",
                      "Falls slowly. A dive to 0 means that it says the same to everyone.", "policy"),
    "clipfrac": Metric("Clipped tokens", "", "Share of tokens whose probability moved too far to count.",
                       "0.01 to 0.2. Above 0.3 lower the learning rate; always 0 raise it.", "kl"),
    "approx_kl": Metric("KL of one update", "nats", "How far one round of updates moves the policy.", "Below the target_kl knob.", "kl"),
    "explained_variance": Metric("Value model's insight", "", "Share of the differences in reward that the value model foresees.",
                                 "Rises from below 0 towards 1. Stuck below 0 means noisy updates.", "value"),
    "policy_loss": Metric("Policy loss", "", "PPO's surrogate loss.", "Small and noisy around 0; it does not need to fall.", "policy"),
    "value_loss": Metric("Value loss", "", "Error of the value model.", "Falls, then follows the spread of the rewards.", "value"),
    "ratio_max": Metric("Largest ratio", "", "Largest change of a token's probability in this step.", "Below about 5.", "kl"),
    "first_ratio_dev": Metric("First ratio off 1", "", "Before any update the ratio must be exactly 1.", "0. Anything else is a bug.", "warn"),
    "generation_mismatch": Metric("Generation mismatch", "nats", "Difference between log-probabilities while writing and while learning.",
                                  "Near 0.", "warn"),
    "surprise": Metric("Surprise", "nats", "How unlikely the policy found the tokens it sampled.", "Equal to the entropy, but for noise.", "reference"),
    "length_score": Metric("Length and score", "", "Rank correlation of a reply's length with its score.",
                           "Well below 0.5. Near 1 the reward pays for length alone.", "kl"),
    "length_slope": Metric("Pay per token", "spreads", "How much the score rises with each further token of a reply, by a line fitted to the batch.",
                           "Near 0. As a length_penalty it is what makes length alone no longer pay.", "kl"),
    "same_replies": Metric("Repeated replies", "", "Share of the replies that another reply of the batch equals.", "Near 0.", "warn"),
    "distinct2": Metric("Distinct pairs of tokens", "", "Share of neighbouring token pairs that occur once in the batch.",
                        "Falls slowly. A dive means that replies repeat themselves or each other.", "policy"),
    "score_clipped": Metric("Scores at the limit", "", "Share of the scores beyond five spreads, where they are cut off.", "Near 0.", "warn"),
    "score_gap": Metric("Score when read alone", "", "How much a score changes when its reply is scored outside the batch.", "0 but for rounding.", "warn"),
    "frozen_moved": Metric("Frozen models that moved", "", "How many of base, reference and reward model the first updates changed.", "0.", "warn"),
    "value_clipfrac": Metric("Clipped values", "", "Share of tokens whose value moved too far to count.", "Below 0.5.", "value"),
    "end_counted": Metric("Ends that count", "", "Share of the ended replies whose end of turn is learned from.", "Exactly 1.", "warn"),
    "ends_trained": Metric("Ends that are trained", "", "Share of the demonstrations whose end of turn is learned from.", "Exactly 1.", "warn"),
    **{f"beats_{name}": Metric(f"Best reply beats {probe.title.lower()}", "", f"Share of the held-out prompts whose best reply scores above the same prompt's when {probe.about}.",
                               f"At least {GREEN:.1f}; below {RED:.1f} this is a way to game it.", "reward") for name, probe in PROBES.items()},
    "curve_rankings": Metric("Rankings learned from", "", "How many rankings this point of the learning curve learned from.", "More than before.", "reference"),
    "curve_accuracy": Metric("Accuracy from so many", "", "Held-out accuracy of a model that learned from so many rankings.",
                             "Still rising: more rankings would help.", "reward"),
    "curve_low": Metric("Accuracy from so many, low", "", "Lower end of its 95 % interval.", "Above 0.5.", "reference"),
    "curve_high": Metric("Accuracy from so many, high", "", "Upper end of its 95 % interval.", "Near the accuracy: many prompts were held out.", "reference"),
    "eval_ece": Metric("Calibration error", "", "How far the claimed certainty is from the held-out accuracy.",
                       "Below 0.1; rough when few rankings are held out.", "warn"),
    "raw_sd": Metric("Spread before calibration", "", "Standard deviation of the raw scores of SFT's replies.", "Well above 0.", "reference"),
    "raw_mean": Metric("Mean before calibration", "", "Mean of the raw scores of SFT's replies.", "Anything; calibration takes it off.", "reference"),
    "kl_se": Metric("Error of the drift", "nats", "Standard error of the KL per reply.", "Small beside the drift itself.", "reference"),
    "updates": Metric("Updates", "", "Updates done with one batch of replies.", "As many as planned; fewer means that a step went too far.", "reference"),
    "seconds_generate": Metric("Seconds writing", "s", "Time spent on replies.", "The largest part.", "policy"),
    "seconds_score": Metric("Seconds scoring", "s", "Time spent on rewards and references.", "Small.", "reward"),
    "flips": Metric("Answers that flip", "", "Share of a judge's answers that change when the two replies swap places.",
                    "Near 0. From 0.25 on it looks at the place more than at the text.", "warn"),
    "first_letter": Metric("First reply named", "", "How likely the judge names the reply that stands first; averaging both orders takes that out.",
                           "Near 0.5.", "reference"),
    "letters": Metric("Answers with a letter", "", "Probability that the judge answers with A or B and nothing else.",
                      "Near 1. Below 0.5 it hardly understands the question.", "policy"),
    "sureness": Metric("Sureness", "", "How far its averaged chances lie from a coin toss: 0 undecided, 1 certain.",
                       "Above 0.1; near 0 its labels say nothing.", "reward"),
    "changed": Metric("Replies changed", "", "Share of the replies that their last revision differs from.",
                      "Near 1. Near 0 the model repeats itself instead of rewriting.", "reward"),
    "seconds_update": Metric("Seconds learning", "s", "Time spent on updates.", "Steady.", "value"),
}

SHARE = (-0.02, 1.04)

CHARTS: dict[str, list[Chart]] = {
    "sft": [
        Chart("Loss", ("loss", "eval_loss"), "Both should fall together. Blue is what it trains on, grey what it never sees."),
        Chart("Token accuracy", ("token_accuracy",), "How often the next word of the demonstration was its first guess.", span=SHARE),
        Chart("Replies that end", ("eos_rate",), "A good assistant stops by itself.", span=SHARE),
        Chart("Gradient length", ("grad_norm",), "Calm is good."),
    ],
    "replies": [
        Chart("Tokens per second", ("tokens_per_second",), "How fast replies are being written."),
        Chart("Reply length", ("reply_tokens",), "Mean length of the replies that you will rank."),
    ],
    "reward": [
        Chart("Held-out accuracy", ("eval_accuracy", "eval_accuracy_low", "eval_accuracy_high", "accuracy"),
              "Green is the one that counts, with its 95% interval. It should leave 0.5 behind.", ("eval_accuracy_low", "eval_accuracy_high"), span=SHARE),
        Chart("Loss", ("loss", "eval_loss"), "0.69 is a coin toss; both should fall below it."),
        Chart("Margin", ("margin",), "How much higher the preferred reply scores."),
        Chart("Gradient length", ("grad_norm",), "Calm is good."),
    ],
    "ppo": [
        Chart("Reward", ("score", "reward", "gold"), "Score (green) should rise; the held-out rule (blue) should follow it."),
        Chart("Drift from the SFT model", ("kl_seq", "kl3_seq"), "Starts at 0. The price of reward: slow growth is healthy."),
        Chart("Reply length", ("reply_tokens",), "A steady climb means padding for reward."),
        Chart("Replies that end", ("eos_rate",), "Should stay near 1.", span=SHARE),
        Chart("Entropy", ("entropy",), "A dive to 0 means the same answer to everyone.", is_main=False),
        Chart("Clipped tokens and KL of one update", ("clipfrac", "approx_kl"), "Are the steps the right size?", is_main=False),
        Chart("Value model's insight", ("explained_variance",), "Should climb above 0.", is_main=False),
        Chart("Where the time goes", ("seconds_generate", "seconds_score", "seconds_update"), "Seconds per step.", is_main=False),
    ],
    "evaluate": [],
    "judge": [
        Chart("Answers that flip", ("flips",), "Low is good: the text decides, not the place.", span=SHARE),
        Chart("Sureness", ("sureness",), "How far its labels are from a coin toss.", span=SHARE),
    ],
    "revise": [
        Chart("Replies changed", ("changed",), "How many replies the critique really changed.", span=SHARE),
        Chart("Reply length", ("reply_tokens",), "Mean length of the revisions."),
    ],
}

TILES: dict[str, tuple[str, ...]] = {
    "sft": ("loss", "eval_loss", "token_accuracy", "eos_rate", "reply_tokens"),
    "replies": ("reply_tokens", "eos_rate", "tokens_per_second"),
    "reward": ("eval_accuracy", "accuracy", "loss", "eval_loss", "margin"),
    "ppo": ("score", "kl_seq", "reward", "reply_tokens", "eos_rate", "entropy"),
    "evaluate": (),
    "judge": ("flips", "first_letter", "letters", "sureness"),
    "revise": ("changed", "reply_tokens", "tokens_per_second"),
}

HEADLINE = {"sft": ("eval_loss", "loss"), "reward": ("eval_accuracy", "accuracy"), "ppo": ("score", "reward"), "replies": ("reply_tokens",), "judge": ("flips",), "revise": ("changed",)}


def colour(key: str, among: tuple[str, ...] = ()) -> str:
    """A metric's colour; where its role is taken by an earlier one of the chart, a paler shade of it."""
    role = METRICS[key].role
    taken = sum(1 for other in among[:among.index(key)] if METRICS[other].role == role) if key in among else 0
    return COLOURS[role] + ("" if not taken else "80")


def figure(stage: str, frame: Any, title: str = "", marks: Mapping[int, str] | None = None) -> Any:
    """A Plotly figure of a run's main curves; `frame` is indexed by step with a column per metric (Lab.metrics).

    `marks` are steps that get a thin line and a label on every chart: where a knob was changed.
    """
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    charts = [c for c in CHARTS.get(stage, []) if any(key in frame for key in c.keys)]
    rows = max(1, (len(charts) + 1) // 2)
    shown = make_subplots(rows=rows, cols=2, subplot_titles=[c.title for c in charts], vertical_spacing=0.28 / rows)
    for place, chart in enumerate(charts):
        for key in (k for k in chart.keys if k in frame):
            values = frame[key].dropna()
            line = graph_objects.Scatter(x=values.index, y=values, name=METRICS[key].title, mode="lines+markers" if len(values) < 3 else "lines",
                                         line={"color": rgba(colour(key, chart.keys)), "width": 2})
            shown.add_trace(line, row=place // 2 + 1, col=place % 2 + 1)
    for step, label in (marks or {}).items() if charts else ():
        shown.add_vline(x=step, row="all", col="all", line={"width": 1, "dash": "dot", "color": "#6b7685"},
                        annotation={"text": label, "font": {"size": 9}, "textangle": -90, "xanchor": "left", "yanchor": "top", "y": 1})
    # A transparent ground and a lasting uirevision: it sits on light and dark pages, and an update keeps the zoom.
    shown.update_layout(title=title or None, height=90 + 230 * rows, showlegend=False, paper_bgcolor="rgba(0,0,0,0)", hovermode="x unified",
                        plot_bgcolor="rgba(0,0,0,0)", uirevision=title or stage, margin={"l": 50, "r": 20, "t": 60, "b": 40},
                        font={"color": "#6b7685"})
    shown.update_xaxes(gridcolor="rgba(128,128,128,0.2)", zeroline=False).update_yaxes(gridcolor="rgba(128,128,128,0.2)", zeroline=False)
    return shown


def rgba(hexes: str) -> str:
    """A colour like #rrggbb or #rrggbbaa as Plotly.py takes it."""
    red, green, blue, alpha = (int((hexes[1:] + "ff")[i:i + 2], 16) for i in (0, 2, 4, 6))
    return f"rgba({red},{green},{blue},{alpha / 255:.2f})"
