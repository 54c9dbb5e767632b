"""Plotly figures of several runs: their curves over each other, and reward against drift; and of one run's proxy against its gold. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.metrics import COLOURS, METRICS
from workbench.overdone import Overdone
from workbench.plots import compared, rgba

RUNS = ("#2f74d0", "#e0812b", "#2f9e63", "#7a5cc8", "#c2477f", "#3aa6b9", "#a08a2c", "#6b7685")  # lines of several runs on one chart
ROOT = "drift from SFT: root of KL per reply"

Series = Mapping[str, Mapping[int, float]]  # metric -> step -> value


def overlay(stage: str, runs: Mapping[str, Series]) -> Any:
    """A chart for each curve by which runs of a stage are compared, with a line per run."""
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    charts = [(title, key) for title, key in compared(stage) if any(key in series for series in runs.values())]
    rows = max(1, (len(charts) + 1) // 2)
    shown = make_subplots(rows=rows, cols=2, subplot_titles=[title for title, _ in charts], vertical_spacing=0.28 / rows)
    for place, (_, key) in enumerate(charts):
        for at, (name, series) in enumerate(runs.items()):
            values = series.get(key, {})
            line = graph_objects.Scatter(x=list(values), y=list(values.values()), name=name, legendgroup=name, showlegend=place == 0,
                                         mode="lines", line={"color": rgba(RUNS[at % len(RUNS)]), "width": 1.5})
            shown.add_trace(line, row=place // 2 + 1, col=place % 2 + 1)
    return laid_out(shown, "", "", " ".join(runs)).update_layout(height=90 + 230 * rows)


def frontier(runs: Mapping[str, Series], best: Sequence[tuple[int, float, float]] = (), root: bool = True, reward: str = "score") -> Any:
    """Reward against drift, a point per step and a line per run; `best` is (n, nats, reward) of best-of-n, drawn as the reference.

    Drift is the root of the KL per reply, as in Gao et al., or the plain KL. Steps without both numbers are left out.
    """
    from plotly import graph_objects

    scale = math.sqrt if root else float
    shown = graph_objects.Figure()
    for place, (name, series) in enumerate(runs.items()):
        line = frontier_line(series, reward)
        colour = rgba(RUNS[place % len(RUNS)])
        shown.add_trace(graph_objects.Scatter(
            x=[scale(max(kl, 0.0)) for _, kl, _ in line], y=[value for _, _, value in line], text=[step for step, _, _ in line], name=name,
            mode="lines+markers", line={"color": colour, "width": 1}, marker={"color": colour, "size": 5},
            hovertemplate="step %{text}: %{y:.3g} at %{x:.3g}"))
    if best:
        grey = rgba(COLOURS["reference"])
        shown.add_trace(graph_objects.Scatter(
            x=[scale(kl) for _, kl, _ in best], y=[value for _, _, value in best], text=[n for n, _, _ in best], name="best of n",
            mode="lines+markers", line={"color": grey, "dash": "dash"}, marker={"color": grey, "size": 4}, hovertemplate="best of %{text}: %{y:.3g}"))
    return laid_out(shown, ROOT if root else "KL per reply (nats)", METRICS[reward].title, " ".join(runs))


def frontier_line(series: Series, reward: str = "score") -> list[tuple[int, float, float]]:
    """(step, KL per reply, reward) of the steps that have both."""
    drift = series.get("kl_seq", {})
    return [(step, drift[step], value) for step, value in series.get(reward, {}).items() if step in drift]


def gold(found: Overdone, name: str = "") -> Any:
    """Gains of the held-out looks over the first, proxy and gold, over the root of the KL; a star where gold is highest."""
    from plotly import graph_objects

    shown = graph_objects.Figure()

    def line(x: Sequence[float], y: Sequence[float], title: str, **look: Any) -> None:
        shown.add_trace(graph_objects.Scatter(x=x, y=y, name=title, **look))

    if found.fit:
        line([*found.fit.grid, *found.fit.grid[::-1]], [*found.fit.high, *found.fit.low[::-1]], "95 % of the fit", fill="toself", hoverinfo="skip",
             fillcolor=rgba(COLOURS["policy"] + "22"), line={"width": 0}, mode="lines")
        line(found.fit.grid, found.fit.curve, "d(α - β ln d)", mode="lines", line={"color": rgba(COLOURS["policy"]), "dash": "dot"})
    if found.looks:
        line([look.d for look in found.looks], [look.proxy - found.looks[0].proxy for look in found.looks], "proxy (sd)", mode="lines+markers",
             text=[look.step for look in found.looks], line={"color": rgba(COLOURS["reward"])}, hovertemplate="step %{text}: %{y:.3g}")
    if found.judged:
        gains = [look.gold - found.judged[0].gold for look in found.judged]
        line([look.d for look in found.judged], gains, "gold (points)", mode="markers", text=[look.step for look in found.judged],
             error_y={"array": [look.error for look in found.judged], "thickness": 1}, hovertemplate="step %{text}: %{y:.3g}",
             marker={"color": rgba(COLOURS["policy"]), "size": [15 if look.step == found.star else 7 for look in found.judged],
                     "symbol": ["star" if look.step == found.star else "circle" for look in found.judged]})
    return laid_out(shown, ROOT, "gain over SFT, held out", name)



def laid_out(shown: Any, x: str, y: str, revision: str) -> Any:
    # A transparent ground and a lasting uirevision: it sits on light and dark pages, and an update keeps the zoom.
    shown.update_layout(xaxis_title=x, yaxis_title=y, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": "#6b7685"},
                        uirevision=revision, margin={"l": 60, "r": 20, "t": 30, "b": 50}, height=420)
    return shown.update_xaxes(gridcolor="rgba(128,128,128,0.2)", rangemode="tozero").update_yaxes(gridcolor="rgba(128,128,128,0.2)")
