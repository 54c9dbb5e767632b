"""What a person can do to a run with a button, wherever the button is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.page import public
from workbench.lab import Lab

RESUMABLE = ("paused", "stopped", "failed", "lost")


def act_on(lab: Lab) -> Callable[[Any], dict[str, Any]]:
    """A server function that pauses, resumes, stops or deletes a run."""
    verbs: dict[str, Callable[[str], Any]] = {"pause": lab.pause, "resume": lab.resume, "stop": lab.stop, "delete": lab.delete}

    @public
    def act(question: dict[str, Any]) -> dict[str, Any]:
        verbs[str(question["verb"])](str(question["run"])[:80])
        return {}

    return act
