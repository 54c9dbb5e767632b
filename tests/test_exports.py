"""What is written can be read again without loss, in every format, and no spreadsheet runs it."""

import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.corpus import Demonstration, Preference, Prompt, Text
from workbench.errors import CorpusError, DiskFull
from workbench.formats import read
from workbench.formats.exports import FORMATS, write
from workbench.formats.tables import FORMULA

TEXTS = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | some.sampled_from(
    ["=1+1", "'=x", "-", "@a", "\tx", ' "quoted", and\r\nmore ', '[{"role": "user", "content": "x"}]', '[{"from": 1}]', "'[{", "[{", "null", "[]"])
ASKED = some.builds(lambda system, texts, last: [
    *([{"role": "system", "content": system}] if system is not None else []),
    *({"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts[: len(texts) // 2 * 2])),
    {"role": "user", "content": last}], some.none() | TEXTS, some.lists(TEXTS, max_size=3), TEXTS)


@some.composite
def preferences(draw):
    replies = draw(some.lists(TEXTS, min_size=2, max_size=4))
    order = draw(some.permutations(range(len(replies))))[: draw(some.integers(2, len(replies)))]
    cut = draw(some.integers(1, len(order) - 1))
    return Preference(draw(ASKED), replies, [list(order[:cut]), *([place] for place in order[cut:])], draw(some.sampled_from(["", "ann"])),
                      shown=draw(some.just([]) | some.permutations(range(len(replies))).map(list)),
                      strength=draw(some.sampled_from([0.0, 1.0, 3.0])), certainty=draw(some.sampled_from([0.5, 1.0])))


CORPORA = [some.lists(some.builds(Text, TEXTS), min_size=1, max_size=3), some.lists(some.builds(Prompt, ASKED), min_size=1, max_size=3),
           some.lists(ASKED.flatmap(lambda asked: TEXTS.map(lambda text: Demonstration([*asked, {"role": "assistant", "content": text}]))),
                      min_size=1, max_size=3),
           some.lists(preferences(), min_size=1, max_size=3)]


@pytest.mark.parametrize("format", [*FORMATS, "csv.gz"])
@settings(max_examples=60, deadline=None)
@given(rows=some.one_of(CORPORA))
def test_what_is_written_comes_back(tmp_path_factory, format, rows):
    path = tmp_path_factory.getbasetemp() / f"rows.{format}"
    write(path, rows)
    found = read(path)
    assert found.rows == rows and not found.rejected and found.format.startswith("our own export")
    assert not path.with_name(f".{path.name}.part").exists()


@given(rows=some.one_of(CORPORA))
@settings(max_examples=60, deadline=None)
def test_no_cell_of_a_csv_is_a_formula(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "formulas.csv"
    write(path, rows)
    with path.open(encoding="utf-8", newline="") as lines:
        assert not [cell for line in csv.reader(lines) for cell in line if cell.startswith(tuple(FORMULA))]


ASK = [{"role": "user", "content": "Hi"}]
RANKED = Preference(ASK, ["a", "b", "c", "d"], [[2], [0, 1]], "ann")


def test_the_lines_are_trls(tmp_path):
    path = tmp_path / "a.jsonl"
    assert write(path, [RANKED]) == 2
    first = json.loads(path.read_text().splitlines()[0])
    assert (first["prompt"], first["chosen"], first["rejected"]) == (ASK, [{"role": "assistant", "content": "c"}], [{"role": "assistant", "content": "a"}])


def test_a_line_edited_against_its_ranking_is_refused_and_the_others_stay(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, [RANKED])
    path.write_text(path.read_text().replace('"content": "c"', '"content": "x"', 1))
    found = read(path)
    assert found.rows == [RANKED] and "not in the order that ranking gives" in found.rejected[0].reason


@pytest.mark.parametrize(("rows", "name", "message"), [
    ([Text("a")], "a.docx", "no format to write"),
    ([Text("a\0")], "a.csv", "NUL character in its text"),
    ([Preference(ASK, ["a", "b"], [[0, 1]])], "a.jsonl", "row 1 puts no reply above another"),
])
def test_what_cannot_be_written_is_an_error_and_no_file(tmp_path, rows, name, message):
    with pytest.raises(CorpusError, match=message):
        write(tmp_path / name, rows)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DiskFull, match="cannot write .*nowhere"):
        write(tmp_path / "nowhere" / "a.jsonl", [Text("a")])
