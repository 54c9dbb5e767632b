"""Recorded rollouts in the database: they come out as they went in, are rewound with the run, and older labs learn of them."""

from __future__ import annotations

import math
import sqlite3

import pytest

from tests.toy_rollouts import row
from workbench import rollouts
from workbench.schema import FIRST
from workbench.store import Store


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "lab.db")
    found.add_run("ppo", "{}", 3)
    return found


def test_a_rollout_comes_out_as_it_went_in(store):
    emoji = row(2, 0, pieces=["né ", "", "", "😀", "\n\n日本", ""])
    rollouts.add(store, "ppo-1", [emoji, row(2, 1, finish="cut", gold=None)])
    assert rollouts.read(store, "ppo-1", 2) == [emoji, row(2, 1, finish="cut", gold=None)]
    assert rollouts.read(store, "ppo-1", 2, 1) == [row(2, 1, finish="cut", gold=None)]
    assert emoji.reply == "né 😀\n\n日本" and rollouts.read(store, "ppo-1", 7) == []


def test_the_list_has_every_rollouts_sums_without_its_tokens(store):
    rollouts.add(store, "ppo-1", [row(1, 0), row(1, 1, score=2.0)])
    first, second = rollouts.heads(store, "ppo-1", 1)
    assert (first["score"], second["score"], first["tokens"], first["finish"], first["reply"]) == (1.0, 2.0, 3, "ended", "a cat")
    assert first["kl"] == pytest.approx(sum(row(1, 0).kl)) and first["reward"] == pytest.approx(sum(row(1, 0).rewards))
    assert "figures" not in first and rollouts.heads(store, "ppo-1") == [first, second]


def test_what_is_not_finite_survives(store):
    rollouts.add(store, "ppo-1", [row(1, 0, score=math.nan, values=[math.nan, math.inf, 0.0])])
    [found] = rollouts.read(store, "ppo-1")
    assert math.isnan(found.score) and math.isnan(found.values[0]) and found.values[1] == math.inf


def test_an_empty_reply_is_a_rollout_too(store):
    nothing = row(1, 0, pieces=[""], ids=[257], **{name: [0.0] for name in rollouts.FIGURES})
    rollouts.add(store, "ppo-1", [nothing])
    assert rollouts.read(store, "ppo-1") == [nothing]


def test_rewinding_and_deleting_a_run_takes_its_rollouts_along(store):
    for step in (1, 2, 3):
        rollouts.add(store, "ppo-1", [row(step, 0)])
    store.rewind("ppo-1", 2)
    assert rollouts.steps(store, "ppo-1") == [1, 2]
    store.delete_run("ppo-1")
    assert rollouts.steps(store, "ppo-1") == []


def test_a_rollout_recorded_twice_is_kept_once(store):
    rollouts.add(store, "ppo-1", [row(1, 0)])
    rollouts.add(store, "ppo-1", [row(1, 0, score=5.0)])
    assert [each.score for each in rollouts.read(store, "ppo-1")] == [5.0]


def test_a_lab_of_the_first_schema_is_brought_up_and_keeps_its_runs(tmp_path):
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.executescript(FIRST + "pragma user_version=1;")
        old.execute("insert into runs(id, number, stage, recipe, state, created) values('ppo-1', 1, 'ppo', '{}', 'done', 1.0)")
    for _ in range(2):
        store = Store(tmp_path / "old.db")
        rollouts.add(store, "ppo-1", [row(1, 0)])
        assert store.run("ppo-1").state == "done" and rollouts.steps(store, "ppo-1") == [1]


def test_fifty_six_tokens_take_less_than_two_kilobytes():
    count = 56
    figures = {name: [math.sin(place * 12.9898 + at) * 7 for place in range(count)] for at, name in enumerate(rollouts.FIGURES)}
    assert len(rollouts.pack(row(1, 0, pieces=["ab "] * count, ids=list(range(count)), **figures))) < 2000
