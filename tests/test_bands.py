"""Healthy bands: of charted metrics, with a reason, and such that a healthy run stays inside."""

from __future__ import annotations

import pytest

from tests.traces import HEALTHY, trace
from workbench.bands import BANDS
from workbench.metrics import METRICS
from workbench.plots import CHARTS

UNBOUNDED = {  # metrics on a chart for which no source names limits: what is healthy about them is said in words
    "loss", "eval_loss", "token_accuracy", "grad_norm", "tokens_per_second", "eval_accuracy_low", "eval_accuracy_high", "reward", "gold", "held_gold",
    "seconds_generate", "seconds_score", "seconds_update", "seconds_look", "similarity", "flips", "first_letter", "letters", "sureness", "changed", "doubt",
}


def test_every_metric_on_a_chart_has_a_band_or_is_known_to_have_none():
    charted = {key for charts in CHARTS.values() for chart in charts for key in chart.keys}
    assert charted <= set(BANDS) | UNBOUNDED and not set(BANDS) & UNBOUNDED and set(BANDS) <= set(METRICS)


def test_a_band_has_a_side_and_a_reason():
    for band in BANDS.values():
        assert band.why and band.of in ("", "times", "plus") and (band.low is not None or band.high is not None)
        assert band.low is None or band.high is None or band.low < band.high


def test_limits_are_absolute_or_move_with_where_the_run_began():
    assert BANDS["kl_seq"].limits(99.0) == (-1.0, 12.0)
    assert BANDS["reply_tokens"].limits(30.0) == (15.0, 45.0)
    assert BANDS["refusal_rate"].limits(0.25) == (None, pytest.approx(0.35))


@pytest.mark.parametrize("key", sorted(set(BANDS) & set(HEALTHY["ppo"])))
def test_a_healthy_run_ends_within_its_bands(key):
    values = [value for _, name, value in trace("ppo") if name == key]
    low, high = BANDS[key].limits(values[0])
    assert (low is None or low <= values[-1]) and (high is None or values[-1] <= high)
