"""Corpora change whole or not at all: imports, exports, and rows changed by hand."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench import corpus, library, progress
from workbench.corpus import Demonstration, Preference, Text
from workbench.errors import CorpusError, LabError, NotFound
from workbench.lab import Lab
from workbench.store import Store

ASK = [{"role": "user", "content": "Hi"}]


def talk(question, answer):
    return Demonstration([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


@pytest.fixture
def bring(lab, tmp_path):
    def put(rows, name="mine", **options):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return lab.import_rows(path, **options)

    return put


def files(lab):
    return {path.name: path.read_bytes() for path in corpus.folder(lab.home).iterdir() if path.name != ".lock"}


PAIRS = [{"prompt": "Hi", "chosen": "a", "rejected": "b"}, {"prompt": "Ho", "chosen": "c", "rejected": "d"}]


def test_what_is_exported_can_be_imported_again_without_loss(lab, bring, tmp_path):
    bring(PAIRS)
    for name in ("out.jsonl", "out.json", "out.csv", "out.parquet", "out.csv.gz"):
        assert lab.export_rows("mine", tmp_path / name) == 2
        again = lab.import_rows(tmp_path / name, name="again")
        assert (again.usable, again.rejected) == (2, 0)
        assert lab.rows("again", "preferences") == lab.rows("mine", "preferences")


def test_packs_and_the_labs_own_rankings_can_be_exported(lab, tmp_path):
    replies = [{"adapter": "a", "text": text} for text in ("=x", "", "z")]
    [number] = lab.store.add_comparisons([{"kind": "ranking", "prompt": ASK, "shown": [0, 1, 2], "state": "ready", "replies": replies}])
    lab.judge(number, [[2], [0]])
    lab.export_rows("rankings", tmp_path / "r.csv")
    lab.import_rows(tmp_path / "r.csv", name="r")
    [own] = lab.rows("rankings", "preferences")
    assert lab.rows("r", "preferences") == [replace(own, comparison=0)] == [Preference(ASK, ["=x", "", "z"], [[2], [0]], "me", shown=[0, 1, 2])]
    assert lab.export_rows("customer-service", tmp_path / "p.jsonl") == len(lab.rows("customer-service", "demonstrations"))
    assert lab.export_rows("customer-service", tmp_path / "p.txt", format="jsonl", shape="prompts") > 0


def test_nothing_usable_changes_nothing_and_says_what_could_be_done(lab, bring):
    with pytest.raises(CorpusError, match="no usable row among 1 .*nothing to compare with; 1: liked replies .*--shape demonstrations imitates them"):
        bring([{"prompt": "Hi", "completion": "a", "label": True}])
    assert files(lab) == {} and lab.store.corpora() == []
    assert bring([{"prompt": "Hi", "completion": "a", "label": True}], shape="demonstrations").usable == 1


def test_an_import_under_a_used_name_tells_what_it_replaced(lab, bring):
    assert bring(PAIRS).notes == "" and bring(PAIRS[:1]).notes == "in place of the 2 rows that had this name before"


def test_an_import_whose_entry_cannot_be_written_leaves_what_was_there(lab, bring, monkeypatch):
    bring(PAIRS)
    before = files(lab)

    def full(self, entry):
        raise LabError("disk full")

    monkeypatch.setattr(Store, "add_corpus", full)
    for name in ("mine", "new"):
        with pytest.raises(LabError, match="disk full"):
            bring(PAIRS[:1], name=name)
        assert files(lab) == before and lab.store.corpora()[0].usable == 2


@settings(max_examples=60, deadline=None)
@given(content=some.binary(max_size=80) | some.sampled_from([json.dumps(PAIRS).encode(), gzip.compress(json.dumps(PAIRS).encode())]).flatmap(
    lambda good: some.integers(0, len(good)).map(lambda cut: good[:cut])), name=some.sampled_from(["a.json", "a.jsonl", "a.csv", "a.gz", "a.parquet"]))
def test_any_bytes_are_imported_whole_or_not_at_all(tmp_path_factory, content, name):
    lab = Lab(tmp_path_factory.getbasetemp() / "any-lab")
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    before = files(lab), lab.store.corpora()
    try:
        entry = lab.import_rows(path, name="any")
    except CorpusError:
        assert (files(lab), lab.store.corpora()) == before
    else:
        assert entry.usable == len(corpus.load(lab.home, "any", entry.shape)) > 0 and set(files(lab)) == {"any.jsonl"}


def test_a_bar_is_drawn_only_for_an_import_that_takes_long(monkeypatch, capsys):
    def import_of_ten():
        show = progress.counter("rows")
        show(0, 10), show(5, 10), show(10, 10)
        return capsys.readouterr().err

    monkeypatch.setattr(progress, "can_redraw", lambda: True)
    assert import_of_ten() == ""
    monkeypatch.setattr(progress, "WORTH_A_BAR_SECONDS", 0.0)
    assert "rows" in import_of_ten()
    monkeypatch.setattr(progress, "can_redraw", lambda: False)
    assert import_of_ten() == "", "a log is no place for what redraws itself"


# --- by hand


def test_a_row_is_given_new_texts_and_keeps_its_roles_and_ranking(lab, bring):
    bring(PAIRS)
    lab.edit_row("mine", 2, ["Ho!", "better", "worse"])
    assert lab.rows("mine", "preferences")[1] == Preference([{"role": "user", "content": "Ho!"}], ["better", "worse"], [[0], [1]])
    assert "edited by hand: row 2" in lab.store.corpora()[0].notes


@pytest.mark.parametrize(("number", "texts", "message"), [
    (3, ["a", "b", "c"], "has no row 3; its rows are 1 to 2"), (0, ["a", "b", "c"], "has no row 0"), (1, ["a", "b"], "this row has 3 texts, and 2 came"),
    (1, ["a", "b", " "], "may not become empty"), (1, ["a", "b", "b"], "two replies would be the same text")])
def test_an_edit_that_cannot_be_is_refused(lab, bring, number, texts, message):
    bring(PAIRS)
    before = files(lab)
    with pytest.raises((CorpusError, NotFound), match=message):
        lab.edit_row("mine", number, texts)
    assert files(lab) == before


def test_rows_can_be_taken_out_but_not_all(lab, bring):
    bring(PAIRS)
    assert lab.drop_rows("mine", [1]).usable == 1 and lab.rows("mine", "preferences")[0].replies == ["c", "d"]
    with pytest.raises(CorpusError, match="would be empty"):
        lab.drop_rows("mine", [1])


def test_rows_taken_out_can_be_put_back_where_they_were(lab, bring):
    rows = [{"prompt": f"p{n}", "chosen": "a", "rejected": "b"} for n in range(5)]
    bring(rows)
    before = lab.rows("mine", "preferences")
    lab.drop_rows("mine", [2, 4])
    lab.drop_rows("mine", [1])
    assert lab.restore_rows("mine").usable == 3  # the latest act first
    assert lab.restore_rows("mine").usable == 5 and lab.rows("mine", "preferences") == before
    with pytest.raises(NotFound, match="nothing was taken out of 'mine'"):
        lab.restore_rows("mine")


def test_rows_come_back_after_others_were_added_or_edited(lab, bring):
    for n in range(3):
        lab.add_demonstration(f"q{n}", "a")
    lab.drop_rows("my-demonstrations", [2, 3])
    lab.add_demonstration("new", "a")
    lab.edit_row("my-demonstrations", 1, ["q0", "edited"])
    assert lab.restore_rows("my-demonstrations").usable == 4
    assert [row.messages[0]["content"] for row in lab.rows("my-demonstrations", "demonstrations")] == ["q0", "q1", "q2", "new"]


def test_a_new_import_of_that_name_leaves_nothing_to_put_back(lab, bring):
    bring(PAIRS)
    lab.drop_rows("mine", [1])
    bring(PAIRS)
    with pytest.raises(NotFound, match="nothing was taken out"):
        lab.restore_rows("mine")
    assert set(files(lab)) == {"mine.jsonl"}


def test_what_was_taken_out_is_kept_when_it_cannot_be_put_back(lab, bring, monkeypatch):
    bring(PAIRS)
    lab.drop_rows("mine", [1])
    before = files(lab)

    def full(self, entry):
        raise LabError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "add_corpus", full)
        for act in (lambda: lab.restore_rows("mine"), lambda: lab.edit_row("mine", 1, ["x", "y", "z"])):
            with pytest.raises(LabError, match="disk full"):
                act()
            assert files(lab) == before
    assert lab.restore_rows("mine").usable == 2


def test_a_pack_cannot_be_edited_and_says_how_to_make_it_ones_own(lab):
    with pytest.raises(NotFound, match="export it and import the file under another name"):
        lab.edit_row("customer-service", 1, ["a"])


def test_a_written_demonstration_begins_or_joins_a_corpus(lab, bring):
    assert lab.add_demonstration("Hi", " Hello! ").usable == 1
    assert lab.add_demonstration("Ho", "Hey", system="Be brief").usable == 2
    assert lab.rows("my-demonstrations", "demonstrations")[0] == talk("Hi", "Hello!")
    bring(PAIRS)
    for prompt, reply, name, message in (("", "a", "x", "one of them is empty"), ("a", "b", "mine", "holds preferences"), ("a", "b", "rankings", "cannot name")):
        with pytest.raises(CorpusError, match=message):
            lab.add_demonstration(prompt, reply, name)


def test_duplicates_are_found_whatever_their_spaces_and_capitals():
    rows = [talk("Hi", "a b"), talk("Ho", "c"), talk("hi", "a  b"), talk("Ho", "c"), talk("Hi", "other")]
    assert library.duplicates(rows) == [[1, 3], [2, 4]] and library.duplicates([Text("a"), Text("b")]) == []
