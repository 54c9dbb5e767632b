"""Metrics reach other trackers step by step, and none of those is needed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from workbench import Lab, SftRecipe
from workbench.errors import LabError


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.store.add_run("sft", SftRecipe().to_json(), 3)
    for step in (1, 2, 3):
        lab.store.log("sft-1", step, 3, {"loss": 3.0 - step, "eval_loss": float("nan")})
    return lab


class Told(ModuleType):
    """A tracker that writes down what it is told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.heard: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.heard.append((name, args[0] if args else kwargs))


@pytest.mark.parametrize(("to", "verb", "last"), [("trackio", "log", "finish"), ("wandb", "log", "finish"), ("mlflow", "log_metrics", "end_run")])
def test_every_step_is_told_once_and_gaps_are_left_out(to, verb, last, lab, monkeypatch):
    tracker = Told(to)
    monkeypatch.setitem(sys.modules, to, tracker)
    assert lab.mirror("sft-1", to) == 3
    assert [said for name, said in tracker.heard if name == verb] == [{"loss": 2.0}, {"loss": 1.0}, {"loss": 0.0}]
    assert tracker.heard[-1][0] == last


def test_following_ends_with_the_run(lab, monkeypatch):
    tracker = Told("trackio")
    monkeypatch.setitem(sys.modules, "trackio", tracker)
    lab.stop("sft-1")
    assert lab.mirror("sft-1", "trackio", follow=True) == 3


def test_a_tracker_that_is_not_there_is_named_with_the_cure(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(LabError, match="pip install wandb"):
        lab.mirror("sft-1", "wandb")
    with pytest.raises(LabError, match="no mirror 'csv'; there are tensorboard"):
        lab.mirror("sft-1", "csv")


def test_tensorboard_reads_what_was_written_and_a_second_copy_replaces_the_first(lab, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):
        lab.mirror("sft-1", "tensorboard", tmp_path / "tb")
    found = accumulator.EventAccumulator(str(tmp_path / "tb" / "sft-1"))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(1, 2.0), (2, 1.0), (3, 0.0)]
