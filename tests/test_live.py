"""The live plot of a notebook: what it draws, how often, and what it does without a kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench import Lab, SftRecipe, live
from workbench.errors import RunFailed


@pytest.fixture
def lab(home) -> Lab:
    return Lab(home)


@pytest.fixture
def run(lab, monkeypatch):
    """A run in the store that no worker will ever touch."""
    monkeypatch.setattr("workbench.process.ensure", lambda store, home: None)
    return lab.start(SftRecipe(steps=9))


def test_only_news_is_drawn_about_once_a_second_and_always_the_last(lab, run):
    shown, now = [], [0.0]
    draw = live.drawer(lab, shown.append, clock=lambda: now[0])
    going = replace(run, state="running")
    for seconds, snapshot in ((0.0, run), (2.0, run), (2.1, replace(going, step=1)), (2.2, replace(going, step=2)), (2.9, replace(going, step=3)),
                              (3.2, replace(going, step=4)), (3.3, replace(going, step=9, state="done"))):
        now[0] = seconds
        draw(snapshot)
    assert [each["text/plain"] for each in shown] == [
        "sft-1 queued step 0/9", "sft-1 running step 1/9", "sft-1 running step 4/9", "sft-1 done step 9/9"]


def test_the_figure_says_where_the_run_stands_and_has_no_upload_button(lab, run):
    assert set(live.bundle(lab, run)) == {"text/plain"}, "nothing to draw before the first step"
    lab.store.log(run.id, 1, 9, {"loss": 3.0})
    found = live.bundle(lab, replace(run, state="running", step=1, stepping=30.0))
    figure = found[live.CURVES]
    assert figure["layout"]["title"]["text"] == found["text/plain"] == "sft-1 running step 1/9, 4:00 to go"
    assert figure["config"]["showSendToCloud"] is False
    assert figure["layout"]["uirevision"] == "sft-1"
    assert [line["name"] for line in figure["data"]] == ["Loss"]


def test_without_a_kernel_it_waits_with_the_progress_bar_and_raises_the_same(lab, run):
    assert not live.has_kernel()
    lab.stop(run.id)
    assert live.watch(lab, run.id).state == "stopped"
    other = lab.start(SftRecipe(steps=9))
    lab.store.set_state(other.id, "failed", ("queued",), "the cat sat on the keyboard")
    with pytest.raises(RunFailed, match="the cat sat"):
        live.watch(lab, other.id)
