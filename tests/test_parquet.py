"""Parquet goes in and out with nested turns, and damage is an error of ours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.corpus import Demonstration, Preference
from workbench.errors import CorpusError
from workbench.formats import files, parquet, read

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}


def test_nested_turns_are_read(tmp_path):
    parquet.write(tmp_path / "a.parquet", [{"messages": [USER, BOT]}])
    found = read(tmp_path / "a.parquet")
    assert found.rows == [Demonstration([USER, BOT])] and found.format == "messages (parquet)"


def test_the_content_decides_not_the_name_and_refusals_count_rows_from_one(tmp_path):
    parquet.write(tmp_path / "a.data", [{"prompt": "Hi", "chosen": "a", "rejected": other} for other in ("b", "a")])
    found = read(tmp_path / "a.data")
    assert found.rows == [Preference([USER], ["a", "b"], [[0], [1]])] and [r.line for r in found.rejected] == [2]


def test_a_cut_file_and_one_that_unpacks_too_large_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    parquet.write(path, [{"text": "long " * 1000}] * 400)
    monkeypatch.setattr(files, "LARGEST_BYTES", 1 << 20)
    with pytest.raises(CorpusError, match="more than 1 MB"):
        read(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorpusError, match="damaged Parquet"):
        read(path)


@settings(max_examples=60, deadline=None)
@given(spots=some.lists(some.tuples(some.integers(4, 5000), some.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_give_rows_or_an_error_of_ours(tmp_path_factory, spots):
    path = tmp_path_factory.getbasetemp() / "flipped.parquet"
    parquet.write(path, [{"prompt": [USER], "chosen": "a", "rejected": f"b{n}"} for n in range(9)])
    data = bytearray(path.read_bytes())
    for place, value in spots:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        found = read(path)
    except CorpusError as fault:
        assert str(fault)
    else:
        assert found.rows or found.rejected
