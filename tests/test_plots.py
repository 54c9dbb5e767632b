"""Charts and metrics: everything a stage draws is explained, and figures can be made of anything a run logs."""

from __future__ import annotations

import pandas
import pytest

from tests.traces import HEALTHY, LAST, LOOKS
from workbench import plots
from workbench.recipes import RECIPES


def test_every_chart_and_tile_shows_metrics_that_are_explained() -> None:
    shown = {key for charts in plots.CHARTS.values() for chart in charts for key in chart.keys}
    shown |= {key for tiles in plots.TILES.values() for key in tiles} | {key for keys in plots.HEADLINE.values() for key in keys}
    assert shown <= set(plots.METRICS)
    for metric in plots.METRICS.values():
        assert metric.help.endswith(".") and metric.healthy and metric.unit and metric.role in plots.COLOURS, metric.title


def test_every_stage_has_its_charts() -> None:
    assert set(plots.CHARTS) == set(plots.TILES) == set(RECIPES)


def test_colours_keep_their_meaning_and_two_lines_of_a_chart_differ() -> None:
    assert plots.colour("score") == plots.COLOURS["reward"] and plots.colour("kl_seq") == plots.COLOURS["kl"]
    for charts in plots.CHARTS.values():
        for chart in charts:
            lines = [key for key in chart.keys if key not in (chart.band or ())]
            assert len({plots.colour(key, chart.keys) for key in lines}) == len(lines), chart.title


@pytest.mark.parametrize("stage", RECIPES)
def test_a_figure_can_be_made_before_anything_is_logged(stage: str) -> None:
    assert len(plots.figure(stage, pandas.DataFrame()).data) == 0


def test_a_figure_has_the_runs_curves_without_gaps_and_keeps_the_zoom() -> None:
    frame = pandas.DataFrame({"loss": [3.0, 2.0, None], "eval_loss": [None, 2.5, None], "strange": [1, 2, 3]}, index=[1, 2, 3])
    figure = plots.figure("sft", frame, title="sft-1")
    assert [(line.name, list(line.x), list(line.y)) for line in figure.data] == [("Loss", [1, 2], [3.0, 2.0]), ("Held-out loss", [2], [2.5])]
    assert figure.layout.uirevision == "sft-1" and figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_everything_that_a_finding_can_quote_from_the_log_is_explained() -> None:
    assert {key for stage in HEALTHY for key in (*HEALTHY[stage], *LOOKS[stage], *LAST[stage])} <= set(plots.METRICS)


def test_a_changed_knob_is_a_thin_line_with_a_label_on_every_chart() -> None:
    frame = pandas.DataFrame({"score": [0.0, 1.0], "kl_seq": [0.0, 2.0]}, index=[1, 2])
    plain, marked = plots.figure("ppo", frame), plots.figure("ppo", frame, marks={2: "kl_weight 0.1"})
    charts = {(trace.xaxis, trace.yaxis) for trace in marked.data}
    assert not plain.layout.shapes and len(marked.layout.shapes) == len(charts) > 1
    assert {(shape.x0, shape.x1) for shape in marked.layout.shapes} == {(2, 2)}
    assert [note.text for note in marked.layout.annotations].count("kl_weight 0.1") == len(charts)
    assert not plots.figure("ppo", frame[[]], marks={2: "kl_weight 0.1"}).layout.shapes


def test_a_chart_shows_its_healthy_band_near_the_curve_and_the_interval_as_a_shade() -> None:
    frame = pandas.DataFrame({"kl_seq": [0.0, 4.0, 10.0], "reply_tokens": [30.0, 31.0, 90.0], "similarity": [0.1, 0.2, 0.1]}, index=[1, 2, 3])
    bands = [line for line in plots.figure("ppo", frame).data if line.name == "healthy"]
    assert [(list(band.x), list(band.y)) for band in bands] == [([1, 3, 3, 1], [-1.0, -1.0, 12.0, 12.0]), ([1, 3, 3, 1], [15.0, 15.0, 45.0, 45.0])]
    shades = pandas.DataFrame({"eval_accuracy": [0.7, 0.8], "eval_accuracy_low": [0.6, 0.7], "eval_accuracy_high": [0.8, 0.9]}, index=[1, 2])
    drawn = {line.name: line for line in plots.figure("reward", shades).data}
    low, high = (drawn[plots.METRICS[f"eval_accuracy_{side}"].title] for side in ("low", "high"))
    assert (low.line.width, high.line.width, low.fill, high.fill) == (0, 0, None, "tonexty")


def test_a_chart_of_several_curves_names_them_in_their_colours() -> None:
    frame = pandas.DataFrame({"score": [0.1, 0.2], "reward": [0.0, 0.1], "reply_tokens": [20.0, 21.0]}, index=[1, 2])
    titles = {note.text for note in plots.figure("ppo", frame).layout.annotations}
    [several] = [each for each in titles if each.startswith("Reward<br>")]
    assert several.count("<span") == 2 and ">Score<" in several and "Reply length" in titles
