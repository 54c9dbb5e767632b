"""A progress bar for a run, in a terminal or a notebook, and a line now and then in a log: a view of the run's row."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from workbench.records import Run

WORTH_A_BAR_SECONDS = 2.0
LINE_SECONDS = 30.0  # between two lines in a log


def can_redraw() -> bool:
    """Whether a bar can be drawn over itself: in a terminal or a notebook, not in a file or a pipe."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def line(run: Run) -> str:
    """One line that says where a run stands."""
    eta = f", {clock(run.eta_seconds)} to go" if run.eta_seconds else ""
    steps = f" step {run.step}/{run.total}" if run.total else ""
    return f"{run.id} {run.state}{steps}{eta}" + (f": {run.note}" if run.note else "")


def counter(what: str) -> Callable[[int, int], None]:
    """A function that draws (done, all) with the time to go, once that has taken two seconds; on the standard error, if that can be redrawn."""
    from tqdm.auto import tqdm

    shown = tqdm(desc=what, total=0, delay=WORTH_A_BAR_SECONDS, leave=False, disable=not can_redraw())

    def draw(done: int, total: int) -> None:
        shown.total = total
        shown.update(done - shown.n)
        if done >= total:
            shown.close()

    return draw


def bar(name: str) -> Callable[[Run], None]:
    """A function that draws each snapshot of a run; into a log it writes a line now and then."""
    if not can_redraw():
        return lines()
    from tqdm.auto import tqdm

    shown = tqdm(desc=name, total=None, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {postfix}")

    def draw(run: Run) -> None:
        shown.total, shown.n = run.total or None, run.step
        eta = f"{clock(run.eta_seconds)} to go " if run.eta_seconds else ""
        shown.set_postfix_str(f"{run.state} {eta}{run.note}", refresh=False)
        shown.refresh()
        if run.is_over:
            shown.close()

    return draw


def lines(now: Callable[[], float] = time.monotonic) -> Callable[[Run], None]:
    """A function that writes a snapshot of a run to the standard error: when its state changes, else every half minute."""
    state, written = "", 0.0

    def write(run: Run) -> None:
        nonlocal state, written
        if run.state != state or now() - written >= LINE_SECONDS:
            state, written = run.state, now()
            print(line(run), file=sys.stderr, flush=True)

    return write
