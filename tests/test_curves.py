"""Reading a few curves of a long run: extremes kept, ends complete, looks found."""

from __future__ import annotations

import pytest

from workbench import curves
from workbench.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    found = Store(tmp_path / "lab.db")
    found.add_run("ppo", "{}", 100)
    for step in range(1, 101):
        found.log("ppo-1", step, 100, {"score": 9.0 if step == 42 else step / 100, "kl_seq": float("nan") if step == 3 else 1.0, "other": 0.0})
    return found


def test_series_leave_out_what_was_not_finite_and_what_was_not_asked(store):
    found = curves.series(store, "ppo-1", ["score", "kl_seq", "never"])
    assert set(found) == {"score", "kl_seq"} and len(found["score"]) == 100 and 3 not in found["kl_seq"]
    assert (3, "kl_seq", None) in curves.recent(store, "ppo-1", ["kl_seq"], 0), "a page draws a gap"
    assert curves.recent(store, "ppo-1", ["score"], 98) == [(99, "score", 0.99), (100, "score", 1.0)]


def test_a_thinned_curve_keeps_extremes_at_their_own_steps(store):
    found = curves.thinned(store, "ppo-1", "score", 100, 20)
    assert len(found) <= 22 and (42, 9.0) in found and found[0] == (1, 0.01) and found[-1] == (100, 1.0)
    assert curves.thinned(store, "ppo-1", "score", 100, 500) == [(step, 9.0 if step == 42 else step / 100) for step in range(1, 101)]


def test_the_ends_of_a_run_hold_every_metric_once(store):
    found = curves.ends(store, "ppo-1", 100, 5, 10)
    assert {row[0] for row in found} == {1, 2, 3, 4, 5, *range(91, 101)} and len(found) == 45
    assert sorted(curves.ends(store, "ppo-1", 100, 60, 60), key=str) == sorted(store.metrics("ppo-1"), key=str), "ends that meet are the whole"


def test_looks_are_found_by_step(store):
    for step in (1, 5, 10):
        store.add_samples("ppo-1", step, [([{"role": "user", "content": "a"}], "b", {})] * 3)
    assert curves.looked(store, "ppo-1") == [1, 5, 10] and curves.looked(store, "ppo-1", 5) == [10] and curves.looked(store, "sft-1") == []


def test_the_outermost_values_are_the_first_and_the_last_that_were_finite(store):
    assert curves.outermost(store, "ppo-1", "score") == (0.01, 1.0)
    assert curves.outermost(store, "ppo-1", "never") is None
    store.log("ppo-1", 101, 101, {"score": float("nan"), "once": 2.0})
    assert curves.outermost(store, "ppo-1", "score") == (0.01, 1.0)
    assert curves.outermost(store, "ppo-1", "once") is None, "one value has no course"
