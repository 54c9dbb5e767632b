"""Rows by name and shape, split by prompt, saved whole or not at all."""

from __future__ import annotations

import pytest

from workbench import corpus
from workbench.corpus import Demonstration, Preference, Prompt
from workbench.errors import CorpusError, DiskFull
from workbench.records import CorpusEntry
from workbench.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "lab.db")


def talk(question: str, answer: str) -> Demonstration:
    return Demonstration([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])


def imported(store, name, shape, rows):
    corpus.save(store.path.parent, name, rows)
    store.add_corpus(CorpusEntry(name, shape, "test", "test", len(rows), 0, "", 0.0))


def test_rows_of_one_prompt_fall_on_one_side_and_stay_there():
    rows = [talk(f"question {i % 40}", f"answer {i}") for i in range(200)]
    train, kept = corpus.split(rows, 0.3)
    assert len(train) + len(kept) == 200 and kept
    assert not {corpus.prompt_key(r) for r in train} & {corpus.prompt_key(r) for r in kept}
    assert corpus.split(rows + [talk("one more", "x")], 0.3)[1][: len(kept)] == kept


def test_saved_rows_come_back_as_they_were(store):
    rows = [Preference([{"role": "user", "content": "q"}], ["a", "b"], [[1], [0]], "ann")]
    imported(store, "mine", "preferences", rows)
    assert corpus.rows(store, "mine", "preferences") == rows


def test_a_failing_save_leaves_the_old_corpus(store):
    imported(store, "mine", "prompts", [Prompt([{"role": "user", "content": str(i)}]) for i in range(5)])

    def broken():
        yield Prompt([{"role": "user", "content": "new"}])
        raise OSError("disk")

    with pytest.raises(DiskFull, match="cannot save 'mine'.*disk; make room"):
        corpus.save(store.path.parent, "mine", broken())
    assert len(corpus.load(store.path.parent, "mine", "prompts")) == 5
    assert [path.name for path in corpus.folder(store.path.parent).iterdir()] == ["mine.jsonl"]


def test_demonstrations_and_preferences_can_serve_as_prompts_without_repeats(store):
    imported(store, "talks", "demonstrations", [talk(f"q{i % 30}", f"a{i}") for i in range(60)])
    train, kept = corpus.rows(store, "talks", "prompts"), corpus.rows(store, "talks", "prompts", held_out=True)
    assert len(train) + len(kept) == 30 and kept
    assert all(p.messages[-1]["role"] == "user" for p in train + kept)


def test_the_wrong_shape_or_name_is_an_error_that_helps(store):
    imported(store, "talks", "demonstrations", [talk("q", "a")])
    with pytest.raises(CorpusError, match="'talks' holds demonstrations, not preferences"):
        corpus.rows(store, "talks", "preferences")
    with pytest.raises(CorpusError, match="no corpus 'talk'; there are customer-service, .*talks, rankings"):
        corpus.rows(store, "talk", "prompts")


def test_a_damaged_corpus_says_to_import_it_again(store):
    imported(store, "talks", "demonstrations", [talk("q", "a")])
    (store.path.parent / "corpora" / "talks.jsonl").write_text("{broken")
    with pytest.raises(CorpusError, match="import it again"):
        corpus.rows(store, "talks", "demonstrations")


def test_held_out_comparisons_never_become_training_rankings(store):
    row = {"prompt": [{"role": "user", "content": "q"}], "shown": [0, 1], "state": "judged", "ranking": [[0], [1]],
           "replies": [{"adapter": "a", "text": "x"}, {"adapter": "b", "text": "y"}]}
    store.add_comparisons([{**row, "kind": kind} for kind in ("ranking", "chat", "evaluation")])
    store.add_comparisons([{**row, "kind": "ranking", "settings": {"is_held_out": True}}])  # a comparison that a person judged
    assert len(corpus.rows(store, "rankings", "preferences")) == 2
