"""The command that trains on people's published rankings: what it takes, and the line it prints."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import human_sets
from workbench.corpus import Preference
from workbench.spelling import chat_of

WORDS = ("tea", "milk", "cake", "soup", "bread", "jam", "rice", "beans", "fish", "salad", "figs", "plums")


@pytest.fixture
def folder(tmp_path):
    """PandaLM's shape, twelve prompts; the annotators differ now and then."""
    rows = [{"idx": at, "instruction": f"Is there {word}?", "input": "", "response1": "Yes, there is.", "response2": "No.", "annotator1": 1, "annotator2": 1,
             "annotator3": 2 if at % 4 == 0 else 1} for at, word in enumerate(WORDS)]
    (tmp_path / "preferences").mkdir()
    (tmp_path / human_sets.SETS["pandalm"].file).write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path


def test_a_set_is_imported_learned_and_told_in_one_line(tiny, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["human_sets", "--data", str(folder), "--lab", str(tmp_path / "lab"), "--only", "pandalm", "--model", tiny, "--precision", "fp32"])
    human_sets.main()
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].strip("| ").split("|")]
    assert len(cells) == len(human_sets.COLUMNS) and cells[:4] == ["pandalm", "12", "12", "2"]
    assert int(cells[4]) >= 1 and cells[6] == "100 %", "the longer always wins here"
    assert cells[7] == "91 %", "two annotators agree on a third of one row in four and on all of the others: (1 + sqrt(2 * 5/6 - 1)) / 2"


def test_the_budget_is_kept_and_a_prompts_rows_stay_together(tiny):
    chat = chat_of(tiny)
    rows = [Preference([{"role": "user", "content": f"Is there {word}?"}], ["Yes.", "No."], [[0], [1]]) for word in WORDS for _ in range(3)]
    options = type("Options", (), {"tokens": 4 * 3 * human_sets.cost(chat, rows[0]), "seed": 0})
    taken = list(human_sets.drawn(rows, chat, options))
    assert 0 < len(taken) <= 15 and all(taken[at : at + 3] == [taken[at], taken[at] + 1, taken[at] + 2] for at in range(0, len(taken), 3))
    assert list(human_sets.drawn([None, rows[0]], chat, options)) == [1], "what does not fit is never drawn"
