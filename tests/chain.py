"""A whole chain on the tiny base through a real worker process, small enough for a test."""

from __future__ import annotations

from workbench import Lab

SMALL = {
    "sft": {"steps": 3, "batch": 4, "micro_batch": 4, "eval_every": 3, "save_every": 2, "rank": 4, "max_tokens": 2000},
    "replies": {"count": 10, "k": 3, "reply_tokens": 12, "temperature": 1.0},
    "reward": {"epochs": 1, "batch": 4, "calibration": 4, "reply_tokens": 12, "max_tokens": 2000},
    "ppo": {"steps": 3, "batch": 4, "minibatch": 2, "micro_batch": 2, "reply_tokens": 12, "sample_every": 2, "look_replies": 2, "temperature": 1.0},
    "evaluate": {"count": 6, "reply_tokens": 12},
}


def knobs(model: str) -> dict[str, dict[str, object]]:
    """The demo's knobs for the tiny base, in fp32 so that equal means equal."""
    found = {stage: {**values, "precision": "fp32"} for stage, values in SMALL.items()}
    found["sft"]["model"] = model
    return found


def run_demo(lab: Lab, model: str) -> list[str]:
    """The names of the finished runs."""
    runs = lab.demo(**knobs(model))
    return [lab.wait(run.id, progress=lambda run: None).id for run in runs]
