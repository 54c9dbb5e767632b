"""A run's curves in a notebook, drawn while it trains. A view of the store: interrupt it and call it again as you like.

Knows a lab and the kernel's display; where there is no kernel it falls back to the progress bar.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from workbench import changes, course, plots, progress
from workbench.lab import Lab
from workbench.records import Run

Bundle = dict[str, Any]  # one output in several mime types; the front end shows the richest it knows
CURVES = "application/vnd.plotly.v1+json"
CONFIG = {"showSendToCloud": False, "displaylogo": False}  # no button that would upload the chart
PAUSE_SECONDS = 1.0


def watch(lab: Lab, name: str) -> Run:
    """Waits for a run like Lab.wait, raising RunFailed likewise, and meanwhile draws its curves as its cell's only output."""
    return lab.wait(name, progress=drawer(lab, replace_output) if has_kernel() else None)


def has_kernel() -> bool:
    """Whether a notebook's kernel runs this; a terminal cannot draw over what it has shown."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def replace_output(content: Bundle) -> None:
    """Shows something in the place of all that the cell showed before.

    Not by a display id: Plotly's renderer for JupyterLab ignores an update to a figure it has drawn. Cleared with
    wait=True the old figure stays until the new one is there, so the page does not jump.
    """
    from IPython.display import clear_output, display

    clear_output(wait=True)
    display(content, raw=True)


def drawer(lab: Lab, show: Callable[[Bundle], None], clock: Callable[[], float] = time.monotonic) -> Callable[[Run], None]:
    """A function that shows a run's snapshots: only news, about one a second, and always the last."""
    drawn: tuple[str, int, str] | None = None
    drawn_at = 0.0

    def draw(run: Run) -> None:
        nonlocal drawn, drawn_at
        news = (run.state, run.step, run.note)
        is_soon = drawn is not None and clock() - drawn_at < PAUSE_SECONDS
        if news == drawn or (is_soon and not run.is_over):
            return
        show(bundle(lab, run))
        drawn, drawn_at = news, clock()

    return draw


def bundle(lab: Lab, run: Run) -> Bundle:
    """The run's figure under a line that says where it stands; the line alone while there is nothing to draw."""
    status = progress.line(run)
    figure = plots.figure(run.stage, lab.metrics(run.id), run.id, course.marks(changes.of(lab.store, run.id)))
    if not figure.data:
        return {"text/plain": status}
    figure.update_layout(title={"text": status, "font": {"size": 14}})
    return {CURVES: {**json.loads(figure.to_json()), "config": CONFIG}, "text/plain": status}
