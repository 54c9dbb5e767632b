"""The database: short transactions, frozen snapshots, several processes at once."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from workbench import changes, judgements, schema
from workbench.errors import DiskFull, LabError, NotFound
from workbench.records import Judgement
from workbench.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "lab.db")


def comparison(**other):
    return {"kind": "ranking", "prompt": [{"role": "user", "content": "hi"}], "shown": [1, 0], "state": "ready",
            "replies": [{"adapter": "sft-1", "text": "a"}, {"adapter": "ppo-1", "text": "b"}], **other}


def test_runs_are_numbered_by_stage(store):
    assert [store.add_run(stage, "{}", 0).id for stage in ("sft", "ppo", "sft")] == ["sft-1", "ppo-1", "sft-2"]


def test_the_oldest_queued_run_is_claimed_first_and_only_once(store):
    first, second = store.add_run("sft", "{}", 0), store.add_run("sft", "{}", 0)
    assert [store.claim().id, store.claim().id, store.claim()] == [first.id, second.id, None]


def test_a_late_writer_does_not_overwrite_a_state(store):
    run = store.add_run("sft", "{}", 0)
    store.claim()
    assert store.set_state(run.id, "done", ("running",))
    assert not store.set_state(run.id, "failed", ("running",), "too late")
    assert store.run(run.id).state == "done"


def test_a_number_that_is_not_finite_becomes_a_gap(store):
    run = store.add_run("sft", "{}", 0)
    store.log(run.id, 1, 10, {"loss": float("nan"), "lr": float("inf"), "accuracy": 0.5})
    assert store.metrics(run.id) == [(1, "accuracy", 0.5), (1, "loss", None), (1, "lr", None)]


def test_a_summary_has_null_where_there_is_no_figure(store):
    run = store.add_run("evaluate", "{}", 0)
    store.summarise(run.id, {"gold_gain_sd": float("inf"), "n": 1})
    assert store.run(run.id).summary == {"gold_gain_sd": None, "n": 1}


def test_metrics_can_be_read_after_a_step(store):
    run = store.add_run("sft", "{}", 0)
    for step in (1, 2, 3):
        store.log(run.id, step, 3, {"loss": step})
    assert store.metrics(run.id, after=2) == [(3, "loss", 3.0)]


def test_rewinding_forgets_what_came_after_the_checkpoint(store):
    run = store.add_run("replies", "{}", 0)
    for step in (1, 2):
        store.log(run.id, step, 2, {"loss": step})
        store.add_samples(run.id, step, [([{"role": "user", "content": "q"}], "r", {})])
        store.add_comparisons([comparison(run=run.id, settings={"step": step})])
    store.rewind(run.id, 1)
    assert [row[0] for row in store.metrics(run.id)] == [1]
    assert [row["step"] for row in store.samples(run.id)] == [1]
    assert len(store.comparisons()) == 1 and store.run(run.id).step == 1


def test_a_judgement_is_stored_and_can_be_taken_back(store):
    [number] = store.add_comparisons([comparison()])
    made = judgements.put(store, Judgement(number, "ann", "judged", [[1], [0]], [1, 0], seconds=4.0))
    assert store.comparison(number).ranking == [[1], [0]] and store.count_comparisons("ranking") == {"judged": 1}
    judgements.remove(store, [made.id])
    assert store.comparison(number).judgements == [] and store.count_comparisons("ranking") == {"ready": 1}


def test_sweeping_marks_running_runs_as_lost_and_says_from_where_to_resume(store):
    run = store.add_run("sft", "{}", 0)
    store.claim()
    store.mark_saved(run.id, 4)
    assert store.sweep("it died") == [run.id]
    assert store.run(run.id).state == "lost" and "last checkpoint is of step 4" in store.run(run.id).error


def test_unknown_names_are_errors_that_list_what_there_is(store):
    store.add_run("sft", "{}", 0)
    with pytest.raises(NotFound, match="no run 'sft-9'; there are: sft-1"):
        store.run("sft-9")


def test_two_threads_write_at_once_and_nothing_is_lost(store):
    def write(key: str) -> None:
        for step in range(50):
            store.log("sft-1", step, 50, {key: step})

    store.add_run("sft", "{}", 0)
    threads = [threading.Thread(target=write, args=(key,)) for key in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.metrics("sft-1")) == 150


def test_a_full_disk_is_an_error_with_a_cure(store):
    with pytest.raises(DiskFull, match="free some room"), store.write():
        raise sqlite3.OperationalError("database or disk is full")


def test_a_database_of_a_newer_workbench_is_refused(tmp_path):
    with Store(tmp_path / "lab.db").write() as db:
        db.execute("pragma user_version=99")
    with pytest.raises(LabError, match="newer workbench"):
        Store(tmp_path / "lab.db")


def test_a_lab_of_an_older_workbench_is_brought_up_to_date_with_all_it_holds(tmp_path):
    with sqlite3.connect(tmp_path / "lab.db", isolation_level=None) as db:
        db.executescript(schema.FIRST)
        db.execute("insert into runs(id, number, stage, recipe, state, created) values('sft-1', 1, 'sft', '{}', 'done', 0.0)")
        db.execute("insert into metrics values('sft-1', 'loss', 1, 2.0)")
        db.execute("insert into comparisons(kind, prompt, shown, state, ranking, source, annotator, seconds, created, judged)"
                   " values('ranking', '[]', '[1, 0]', 'judged', '[[1], [0]]', 'human', 'ada', 4.0, 1.0, 2.0)")
        db.execute("insert into comparisons(kind, prompt, shown, state, created) values('ranking', '[]', '[0, 1]', 'ready', 1.0)")
        db.execute("pragma user_version=1")
    for _ in range(2):
        store = Store(tmp_path / "lab.db")
        [kept] = judgements.read(store)
        assert (kept.comparison, kept.annotator, kept.ranking, kept.shown, kept.seconds, kept.created) == (1, "ada", [[1], [0]], [1, 0], 4.0, 2.0)
        assert [each.state for each in store.comparisons()] == ["judged", "ready"]
        assert store.metrics("sft-1") == [(1, "loss", 2.0)] and changes.of(store, "sft-1") == []
        assert (store.run("sft-1").state, store.run("sft-1").parent, store.run("sft-1").parent_step) == ("done", "", 0)
    changes.add(store, "sft-1", {"lr": (1e-3, 1e-4)})
    assert changes.of(store, "sft-1")[0].new == 1e-4


def test_deleting_a_run_takes_its_changes_along(store):
    run = store.add_run("sft", "{}", 0)
    changes.add(store, run.id, {"lr": (1e-3, 1e-4)})
    store.delete_run(run.id)
    assert changes.of(store, run.id) == []
