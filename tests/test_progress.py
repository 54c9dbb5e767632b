"""Progress: a bar where it can be redrawn, a line now and then where it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench import progress
from workbench.records import Run

RUNNING = Run("ppo-1", "ppo", "{}", "running", "", 0, 0.0, 0.0, None, 1, 60, None, 0, 2.0, "", "", {})


def test_a_log_gets_a_line_per_change_of_state_and_one_each_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 29.0, 30.0, 31.0, 32.0, 33.0, 34.0])
    show = progress.lines(now=lambda: next(clock))
    for step in (1, 2, 3, 4):
        show(replace(RUNNING, step=step))
    show(replace(RUNNING, step=60, state="done"))
    written = capsys.readouterr().err
    assert [line.split(",")[0] for line in written.splitlines()] == ["ppo-1 running step 1/60", "ppo-1 running step 3/60", "ppo-1 done step 60/60"]


def test_what_is_no_terminal_is_never_redrawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "can_redraw", lambda: False)
    show, count = progress.bar("ppo-1"), progress.counter("rows")
    for step in range(1, 50):
        show(replace(RUNNING, step=step))
        count(step, 49)
    found = capsys.readouterr()
    assert "\r" not in found.out + found.err and found.err.count("\n") == 1
