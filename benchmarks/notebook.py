"""Runs a notebook for real on a lab, with other presets, and prints what its cells say.

    python -m benchmarks.notebook 05_when_it_goes_wrong --lab LAB --preset "STEPS, LONGEST = 14, 64" --out executed.ipynb

The lab needs what the notebook builds on (a demo's lab has it for 04 and 05). What the notebook makes stays in the lab: give it a copy.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


def with_preset(notebook: nbformat.NotebookNode, preset: str) -> nbformat.NotebookNode:
    """The notebook with one more cell after its parameters."""
    [at] = [place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(preset))
    return notebook


def said(cell: nbformat.NotebookNode) -> str:
    """What a cell printed and showed, as text; warnings of libraries are left out."""
    texts = [each.get("text") or each.get("data", {}).get("text/plain", "") for each in cell.get("outputs", []) if each.get("name") != "stderr"]
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts if text)


def run(file: Path, lab: Path, preset: str, timeout: float) -> nbformat.NotebookNode:
    """The executed notebook. Raises CellExecutionError when a cell fails."""
    os.environ |= {"WORKBENCH_LAB": str(lab.resolve()), "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    begun = time.perf_counter()

    def tell(cell: nbformat.NotebookNode, cell_index: int, **rest: object) -> None:
        if cell.cell_type == "code":
            print(f"## {cell.get('id')}, after {time.perf_counter() - begun:.0f} s\n{said(cell)}", flush=True)

    notebook = with_preset(nbformat.read(file, as_version=nbformat.NO_CONVERT), preset)
    return NotebookClient(notebook, timeout=timeout, kernel_name="python3", on_cell_executed=tell, on_cell_error=tell,
                          resources={"metadata": {"path": str(lab)}}).execute()


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("notebook", choices=sorted(file.stem for file in (ROOT / "notebooks").glob("*.ipynb")))
    asked.add_argument("--lab", type=Path, required=True)
    asked.add_argument("--preset", default="", help="Python put after the cell of the parameters")
    asked.add_argument("--timeout", type=float, default=3600, help="seconds that one cell may take")
    asked.add_argument("--out", type=Path, help="where the executed notebook is written")
    options = asked.parse_args()
    done = run(ROOT / "notebooks" / f"{options.notebook}.ipynb", options.lab, options.preset, options.timeout)
    if options.out:
        nbformat.write(done, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
