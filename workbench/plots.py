"""Which charts and tiles a stage has, and Plotly figures of them. No torch; knows data frames, not runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.bands import BANDS
from workbench.metrics import COLOURS, METRICS


@dataclass(frozen=True)
class Chart:
    title: str
    keys: tuple[str, ...]
    about: str  # what to look for, for somebody who sees it for the first time
    band: tuple[str, str] | None = None  # two of the keys that bound an interval, drawn as a shade
    is_main: bool = True  # the others are folded away below the samples
    is_stacked: bool = False  # parts of a whole: each drawn on top of the one before
    span: tuple[float, float] | None = None  # a fixed vertical range: a share that moves by a hundredth must not look like a cliff


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
        Chart("Reward", ("score", "reward", "held_gold", "gold"), "Score is the reward model's opinion, gold that of a judge PPO never learns from. Both should rise."),
        Chart("Drift from the SFT model", ("kl_seq", "kl3_seq"), "KL says, in nats, how far its replies have moved from the SFT model's. Slow growth is healthy."),
        Chart("Reply length", ("reply_tokens",), "A steady climb means padding for reward."),
        Chart("Replies that end", ("eos_rate",), "Should stay near 1.", span=SHARE),
        Chart("Length and score", ("length_score",), "Near 1, the longer replies of a batch get the higher scores whatever they say.", is_main=False),
        Chart("Spread of the scores", ("score_sd",), "At 0 no reply stands out to learn from.", is_main=False),
        Chart("Entropy", ("entropy",), "A dive to 0 means the same answer to everyone.", is_main=False),
        Chart("Distinct pairs and tokens", ("distinct2", "distinct1"), "Falls when replies repeat themselves or each other.", is_main=False, span=SHARE),
        Chart("Sameness of the replies", ("same_replies", "similarity"), "Climbs when every question gets much the same answer.", is_main=False, span=SHARE),
        Chart("Clipped tokens and KL of one update", ("clipfrac", "approx_kl"), "Are the steps the right size?", is_main=False),
        Chart("Value model's insight", ("explained_variance",), "Should climb above 0.", is_main=False),
        Chart("Perplexity of plain text", ("text_perplexity",), "What practice costs elsewhere: should stay where it began.", is_main=False),
        Chart("Common knowledge", ("choice_accuracy",), "Should stay where it began.", is_main=False, span=SHARE),
        Chart("Refusals of harmless questions", ("refusal_rate",), "Should stay where it began.", is_main=False, span=SHARE),
        Chart("Where the time goes", ("seconds_generate", "seconds_score", "seconds_update"), "Seconds per step, one on top of the other.", is_main=False,
              is_stacked=True),
    ],
    "evaluate": [],
    "judge": [
        Chart("Answers that flip", ("flips",), "Low is good: the text decides, not the place.", span=SHARE),
        Chart("Sureness", ("sureness",), "How far its labels are from a coin toss.", span=SHARE),
    ],
    "doubt": [Chart("Doubt", ("doubt",), "0.25: the reward model cannot tell the replies apart; 0: it is sure.")],
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
    "doubt": ("doubt",),
    "revise": ("changed", "reply_tokens", "tokens_per_second"),
}

HEADLINE = {"sft": ("eval_loss", "loss"), "reward": ("eval_accuracy", "accuracy"), "ppo": ("score", "reward"), "replies": ("reply_tokens",), "judge": ("flips",), "revise": ("changed",),
            "doubt": ("doubt",)}


def compared(stage: str) -> list[tuple[str, str]]:
    """(title, metric) of the curves by which runs are compared: the first of each chart, and what a judge says that PPO never learns from."""
    charts = CHARTS.get(stage, [])
    firsts, gold = [(each.title, each.keys[0]) for each in charts], [(METRICS[key].title, key) for each in charts for key in each.keys if key == "held_gold"]
    return [*firsts[:2], *gold, *firsts[2:]]  # right after reward and drift


def colour(key: str, among: tuple[str, ...] = ()) -> str:
    """A metric's colour; where its role is taken by an earlier one of the chart, a paler shade of it."""
    role = METRICS[key].role
    taken = sum(1 for other in among[:among.index(key)] if METRICS[other].role == role) if key in among else 0
    return COLOURS[role] + ("" if not taken else "b0")


def figure(stage: str, frame: Any, title: str = "", marks: Mapping[int, str] | None = None) -> Any:
    """A Plotly figure of a run's main curves; `frame` is indexed by step with a column per metric (Lab.metrics).

    `marks` are steps that get a thin line and a label on every chart: where a knob was changed.
    """
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    charts = [c for c in CHARTS.get(stage, []) if any(key in frame for key in c.keys)]
    rows = max(1, (len(charts) + 1) // 2)
    shown = make_subplots(rows=rows, cols=2, subplot_titles=[headed(c, frame) for c in charts], vertical_spacing=0.28 / rows)
    for place, chart in enumerate(charts):
        if healthy := healthy_part(chart, frame):
            ends = frame.index[[0, -1, -1, 0]]
            shade = graph_objects.Scatter(x=ends, y=[healthy[0], healthy[0], healthy[1], healthy[1]], name="healthy", mode="lines", fill="toself", hoverinfo="skip",
                                          fillcolor=rgba("#2f9e631a"), line={"width": 0})
            shown.add_trace(shade, row=place // 2 + 1, col=place % 2 + 1)
        for key in (k for k in chart.keys if k in frame):
            values = frame[key].dropna()
            line = graph_objects.Scatter(x=values.index, y=values, name=METRICS[key].title, mode="lines+markers" if len(values) < 3 else "lines",
                                         line={"color": rgba(colour(key, chart.keys)), "width": 0 if key in (chart.band or ()) else 2},
                                         fill="tonexty" if key in (chart.band or ())[1:] else None, stackgroup=chart.title if chart.is_stacked else None)
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


def healthy_part(chart: Chart, frame: Any) -> tuple[float, float] | None:
    """The band of a chart's first metric as far as its curves are near it: an axis that showed all of it would flatten them."""
    values = frame[chart.keys[0]].dropna() if chart.keys[0] in frame else ()
    if chart.keys[0] not in BANDS or not len(values):
        return None
    drawn = frame[[key for key in chart.keys if key in frame]]
    least, most = chart.span or (drawn.min().min(), drawn.max().max())
    low, high = BANDS[chart.keys[0]].limits(values.iloc[0])
    room = 0.0 if chart.span else 0.35 * ((most - least) or abs(most) or 1.0)
    edges = max(least - room, -math.inf if low is None else low), min(most + room, math.inf if high is None else high)
    return edges if edges[0] < edges[1] else None


def headed(chart: Chart, frame: Any) -> str:
    """A chart's title; where it has several curves, their names in their colours follow: one legend for all charts would mix them up."""
    drawn = [key for key in chart.keys if key in frame]
    names = [f'<span style="font-size:11px;color:{rgba(colour(key, chart.keys))}">{METRICS[key].title}</span>' for key in drawn]
    return chart.title + ("<br>" + ", ".join(names) if len(names) > 1 else "")


def rgba(hexes: str) -> str:
    """A colour like #rrggbb or #rrggbbaa as Plotly.py takes it."""
    red, green, blue, alpha = (int((hexes[1:] + "ff")[i:i + 2], 16) for i in (0, 2, 4, 6))
    return f"rgba({red},{green},{blue},{alpha / 255:.2f})"
