"""Spreadsheets' CSV is read as its writer meant it, and disarmed formulas come back as they were."""


import pytest
from hypothesis import given
from hypothesis import strategies as some

from workbench.corpus import Demonstration, Prompt, Text
from workbench.errors import CorpusError
from workbench.formats import read
from workbench.formats.tables import FORMULA, armed, disarm


@pytest.fixture
def put(tmp_path):
    def write(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_semicolons_a_sep_line_a_mark_and_utf16(put):
    hi = Demonstration([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, you!"}])
    for content in ("prompt;reply\r\nHi;Hello, you!\r\n", "sep=;\r\nprompt;reply\r\nHi;Hello, you!\r\n",
                    "\ufeffprompt;reply\nHi;Hello, you!", "prompt\treply\nHi\tHello, you!\n".encode("utf-16")):
        assert read(put(content)).rows == [hi]


def test_empty_rows_and_columns_are_left_out_and_lines_still_count(put):
    found = read(put('sep=,\n\nprompt,note,,\nHi,1,,\n,,,\n"two\nlines",2,,\nshort\n'))
    assert [row.messages[0]["content"] for row in found.rows] == ["Hi", "two\nlines"]
    assert [(r.line, r.reason) for r in found.rejected] == [(8, "1 fields where the header has 4")]
    assert found.notes == ["1 empty rows of the table were left out", "columns not used: note"]


def test_turns_in_a_cell_are_turns(put):
    for cell in ('[{""role"": ""user"", ""content"": ""Hi""}]', "[{'role': 'user', 'content': 'Hi'}]"):  # JSON, and what pandas writes
        assert read(put(f'prompt\n"{cell}"\n')).rows == [Prompt([{"role": "user", "content": "Hi"}])]
    assert "look like turns but are neither" in " ".join(read(put("prompt\n\"[{'role': 'user'} {'role': 'b'}]\"\n")).notes)


def test_a_disarmed_cell_is_armed_again_and_told(put):
    found = read(put('text\n\'=1+1\nplain\n'))
    assert found.rows == [Text("=1+1"), Text("plain")] and "1 cells began with ' before a formula sign" in found.notes[0]


@given(some.text(alphabet="'ab" + FORMULA))
def test_arming_undoes_disarming(text):
    assert armed(disarm(text)) == text
    assert not disarm(text).startswith(tuple(FORMULA))


def test_huge_rows_are_refused_by_line_and_long_replies_are_not(put):
    found = read(put("prompt,reply\nHi," + "a" * 200_000 + "\nHo," + "b" * 1_000_000 + "\n"))
    assert len(found.rows) == 1
    assert [(r.line, r.reason) for r in found.rejected] == [(3, "1,000,002 characters, more than the 1,000,000 that a row may have; split it")]


def test_a_few_broken_bytes_spoil_their_rows_and_no_others(put):
    lines = "prompt,reply\ncafé,é\nnaïve,ï\nbad,X\n".encode().replace(b"X", b"\xe9")
    found = read(put(lines))
    assert [row.messages[0]["content"] for row in found.rows] == ["café", "naïve"]
    assert [(r.line, r.reason) for r in found.rejected] == [(4, "reply holds bytes that are not UTF-8")]
    assert found.rejected[0].text.isprintable() and "1 lines hold bytes that are not UTF-8" in found.notes[0]


@pytest.mark.parametrize(("content", "message"), [
    (b"\x28\xb5\x2f\xfdabc", "zstandard"), (b"BZh91AY", "bzip2"), (b"\x80\x04\x95abc", "pickle, which could run code"),
    (bytes(range(1, 256)) * 9, "binary file"), ("prompt".encode("utf-32"), "as UTF-32 does"), (b"PK\x03\x04abc", "save the sheet as CSV")])
def test_what_is_no_text_is_named(put, content, message):
    with pytest.raises(CorpusError, match=message):
        read(put(content))


def test_two_columns_of_one_name_are_refused(put):
    with pytest.raises(CorpusError, match="two columns are called 'prompt'"):
        read(put("prompt,prompt\na,b\n"))
