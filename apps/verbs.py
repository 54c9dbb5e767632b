"""What a person can do to a run with a button, wherever the button is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps import steer
from apps.page import public
from workbench.lab import Lab

RESUMABLE = ("paused", "stopped", "failed", "lost")


def act_on(lab: Lab) -> Callable[[Any], dict[str, Any]]:
    """A server function that pauses, resumes, stops, deletes, changes or forks a run, or takes a finding's remedy."""
    verbs: dict[str, Callable[[str], Any]] = {"pause": lab.pause, "resume": lab.resume, "stop": lab.stop, "delete": lab.delete}

    @public
    def act(question: dict[str, Any]) -> dict[str, Any]:
        verb, name = str(question["verb"]), str(question["run"])[:80]
        match verb:
            case "change":
                return steer.change(lab, name, dict(question["knobs"]))
            case "fork":
                return steer.fork(lab, name, {str(knob): str(text) for knob, text in dict(question["knobs"]).items()}, int(question["step"]))
            case "remedy":
                return steer.remedy(lab, name, str(question["rule"]))
        verbs[verb](name)
        return {}

    return act
