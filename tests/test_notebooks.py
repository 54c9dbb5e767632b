"""The notebooks: clean as committed, and the five in order carry a fresh lab from demonstrations to a run that is mended."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pandas
import pytest

from benchmarks.notebook import said, with_preset
from workbench.live import CURVES

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
ABSOLUTE = re.compile(r"""(?:^|[\s"'(=`])(?:/[A-Za-z][\w.-]*/|[A-Za-z]:\\)""", re.MULTILINE)
SMALL = {  # what is put after the cell tagged "parameters", as papermill does
    "01_sft": "MODEL, STEPS, MAX_TOKENS = {model!r}, 3, 2000",
    "02_reward": "PROMPTS, REPLIES, REPLY_TOKENS = 12, 3, 12",
    "03_ppo": "STEPS, BATCH, HAND_STEPS = 3, 4, 2",
    "04_compare": "PROMPTS, QUESTIONS = 6, 2",
    "05_when_it_goes_wrong": "STEPS, BATCH, LONGEST = 6, 4, 12",
}
BY_HAND = {"MY_RANKING = []": "MY_RANKING = [[2], [0, 1]]", 'MY_CHOICE = ""': 'MY_CHOICE = "B"'}  # what a person would fill in


def read(file: Path) -> nbformat.NotebookNode:
    return nbformat.read(file, as_version=nbformat.NO_CONVERT)


def stem(file: Path) -> str:
    return file.stem


def outputs(notebook: nbformat.NotebookNode, id: str) -> list[nbformat.NotebookNode]:
    return next(cell.outputs for cell in notebook.cells if cell.id == id)


def text(notebook: nbformat.NotebookNode, id: str) -> str:
    return said(next(cell for cell in notebook.cells if cell.id == id))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=stem)
def test_a_notebook_is_valid_and_clean(file):
    notebook = read(file)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1
    assert not ABSOLUTE.search("\n".join(cell.source for cell in notebook.cells))
    assert max(cell.source.count("\n") for cell in code) < 15, "a cell is read at one look"


def test_there_are_five_and_each_names_the_next():
    assert [file.stem for file in NOTEBOOKS] == list(SMALL)
    for file, after in pairwise(NOTEBOOKS):
        assert after.name in read(file).cells[-1].source


@pytest.mark.parametrize("file", NOTEBOOKS[1:], ids=stem)
def test_on_a_fresh_lab_a_later_notebook_says_where_to_begin(file, home, monkeypatch):
    monkeypatch.setenv("WORKBENCH_LAB", str(home))
    cells = {cell.id: cell.source for cell in read(file).cells}
    with pandas.option_context("display.max_colwidth", 50), pytest.raises(LookupError, match="Run .*01_sft.ipynb.* first"):
        exec(cells["setup"] + "\n" + cells["before"], {})


def small(file: Path, model: str) -> nbformat.NotebookNode:
    """A notebook with small knobs, and with the blanks filled in."""
    notebook = with_preset(read(file), SMALL[file.stem].format(model=model))
    for cell in notebook.cells:
        for blank, filled in BY_HAND.items():
            cell.source = cell.source.replace(blank, filled)
    return notebook


@pytest.fixture
def execute(tiny, tmp_path, monkeypatch):
    """Runs a notebook on a lab of the test's own; the kernel and its worker inherit this environment."""
    from nbclient import NotebookClient

    monkeypatch.setenv("WORKBENCH_LAB", str(tmp_path / "lab"))
    monkeypatch.setenv("WORKBENCH_IDLE_SECONDS", "20")  # one worker for all five: starting it is the slowest part
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    return lambda file: NotebookClient(small(file, tiny), timeout=120, kernel_name="python3",
                                       resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.slow
def test_all_five_run_in_order(execute):
    done = {file.stem: execute(file) for file in NOTEBOOKS}
    for name, id in (("01_sft", "watch"), ("02_reward", "replies"), ("02_reward", "own-replies"), ("02_reward", "reward"), ("03_ppo", "watch")):
        [output] = outputs(done[name], id)
        assert CURVES in output.data and "done" in output.data["text/plain"], f"{name} {id}: one figure, the last"
    assert "evaluate-1 done" in text(done["04_compare"], "evaluate")
    assert "base: " in text(done["01_sft"], "ask") and "sft-1: " in text(done["01_sft"], "ask")
    assert "'judged': 13, 'ready': 4" in text(done["02_reward"], "own-judge")
    assert "95 % interval" in text(done["02_reward"], "accuracy")
    assert re.search(r"^1 reward \S+ KL 0\.0\n2 reward ", text(done["03_ppo"], "hand"))
    assert "'n': 7" in text(done["04_compare"], "votes"), "six of the table and one by hand"
    assert "ppo-1, sft-1" in text(done["04_compare"], "next-recipe")
    assert "longer_wins" in text(done["05_when_it_goes_wrong"], "bias")
    assert re.search(r"kl_weight +0\.005 +0\.05", text(done["05_when_it_goes_wrong"], "cure"))
    assert "ppo-3 done" in text(done["05_when_it_goes_wrong"], "watch") and "forked at step 3" in text(done["05_when_it_goes_wrong"], "compare")
