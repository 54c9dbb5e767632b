"""The data panel's answers: filters, lengths, tokens, what is taken out and put back."""

from __future__ import annotations

import json

import pytest

from apps import data_tab
from apps.opened import Opened, nice
from apps.shelf import Shelf
from tests import toy_words
from workbench.corpus import Text
from workbench.errors import CorpusError, NotFound
from workbench.formats import read
from workbench.lab import Lab

KEY = {"key": "import:pairs"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return toy_words.make(tmp_path_factory.mktemp("model"))


@pytest.fixture
def shelf(tmp_path, monkeypatch, model):
    """A lab of the toy model with an import: its second row occurs again as the fourth, its third is long."""
    monkeypatch.setattr(Lab, "base_model", model)
    lab = Lab(tmp_path / "lab")
    rows = [("p", "good", "bad"), ("q", "yes", "no"), ("r", "long " * 150, "short"), ("q", "yes", "no")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": p, "chosen": c, "rejected": r}) for p, c, r in rows))
    lab.import_rows(path)
    return Shelf(lab)


def filters(shelf, **question):
    return {each["name"]: (each["rows"], each["extra"]) for each in shelf.shelf_look({**KEY, **question})["filters"]}


def first(shelf, number=1):
    return {**KEY, "number": number, "mark": shelf.shelf_rows(KEY)["rows"][number - 1]["mark"]}


def test_a_problem_is_a_filter_and_the_cut_off_is_the_persons(shelf):
    assert filters(shelf) == {"long": (1, 1), "copies": (2, 1), "cut": (1, 1)}
    assert filters(shelf, cut=100_000) == {"copies": (2, 1), "cut": (1, 1)}
    assert [row["number"] for row in shelf.shelf_rows({**KEY, "filter": "long"})["rows"]] == [3]
    assert shelf.shelf_rows({**KEY, "filter": "long", "cut": 100_000})["total"] == 0
    assert [row["number"] for row in shelf.shelf_rows({**KEY, "filter": "copies", "search": "yes"})["rows"]] == [2, 4]


def test_all_rows_of_a_prompt_are_on_one_side(shelf):
    rows = shelf.shelf_rows(KEY)["rows"]
    assert rows[1]["is_held_out"] == rows[3]["is_held_out"]
    look = shelf.shelf_look(KEY)
    assert look["held_out"] == sum(row["is_held_out"] for row in rows) == shelf.shelf_rows({**KEY, "filter": "held_out"})["total"] > 0
    assert shelf.shelf_look({"key": "held_out:customer-service"})["held_out"] == 0  # these were split by the pack


def test_lengths_are_counted_in_tokens_to_the_longest_row(shelf):
    look = shelf.shelf_look(KEY)
    assert look["unit"] == "tokens" and sum(look["lengths"]["bars"]) == look["rows"] == look["lengths"]["measured"] == 4
    assert look["lengths"]["over"] == 1 and len(look["lengths"]["bars"]) * look["lengths"]["width"] > look["lengths"]["longest"] > 750


def test_a_row_is_shown_token_by_token_best_reply_first(shelf):
    told = shelf.shelf_tokens(first(shelf))
    best, worst = told["sequences"]
    assert "".join(best["pieces"]) == "<|im_start|>user\np<|im_end|>\n<|im_start|>assistant\ngood<|im_end|>"
    assert "".join(piece for piece, m in zip(worst["pieces"], worst["mask"]) if m) == "bad<|im_end|>" and (best["place"], worst["place"]) == (1, 2)
    with pytest.raises(CorpusError, match="changed or moved elsewhere"):
        shelf.shelf_tokens({**first(shelf), "number": 2})


def test_without_the_tokenizer_words_are_counted_and_the_page_says_so(shelf, monkeypatch, tmp_path):
    monkeypatch.setattr(Lab, "base_model", str(tmp_path))
    look = shelf.shelf_look(KEY)
    assert look["unit"] == "words" and "long" not in filters(shelf)
    with pytest.raises(NotFound, match="not on this machine yet"):
        shelf.shelf_tokens(first(shelf))


def test_copies_are_taken_out_together_and_put_back(shelf):
    seen = shelf.shelf_look(KEY)["stamp"]
    assert shelf.shelf_drop({**KEY, "filter": "copies", "stamp": seen}) == {"gone": 1}
    assert "copies" not in filters(shelf) and shelf.books()[0].taken_out == 1
    with pytest.raises(CorpusError, match="changed elsewhere meanwhile; nothing was done"):
        shelf.shelf_drop({**KEY, "filter": "long", "stamp": seen})
    assert shelf.shelf_restore(KEY) == {} and filters(shelf)["copies"] == (2, 1) and shelf.books()[0].taken_out == 0
    with pytest.raises(NotFound, match="nothing was taken out"):
        shelf.shelf_restore(KEY)


def test_an_open_corpus_follows_what_changes_elsewhere(shelf):
    shelf.shelf_look(KEY)
    shelf.lab.edit_row("pairs", 1, ["p", "changed", "bad"])
    assert shelf.shelf_rows({**KEY, "search": "changed"})["total"] == 1
    assert shelf.opened("import:pairs") is shelf.opened("import:pairs")


@pytest.mark.parametrize("format", ["jsonl", "json", "csv", "parquet"])
def test_the_open_corpus_is_written_as_a_file(shelf, format):
    path = data_tab.exported(shelf, "import:pairs", format)
    assert path.name == f"pairs.{format}" and read(path).rows == shelf.rows("import:pairs")
    assert len(read(data_tab.exported(shelf, "held_out:customer-service", format)).rows) == len(shelf.rows("held_out:customer-service"))


def test_waiting_is_shown_after_two_seconds_with_the_time_to_go(monkeypatch):
    clock, told = iter([0.0, 1.0, 10.0]), []
    monkeypatch.setattr(data_tab.time, "monotonic", lambda: next(clock))
    show = data_tab.waiting(lambda part, desc, unit: told.append((part, desc)))
    show(500, 2000), show(1000, 2000)
    assert told == [((1000, 2000), "Reading, 0:10 to go")]


def test_bars_have_round_widths():
    assert [nice(width) for width in (0.2, 1, 1.5, 3, 7, 12, 99)] == [1, 1, 2, 5, 10, 20, 100]
    assert Opened([], "texts", "m", None).histogram(0)["bars"] == [] and Opened([Text("")], "texts", "m", None).histogram(0)["bars"] == [1]
