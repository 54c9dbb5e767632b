"""The bar on every tab: the current run, how it does, and the buttons that pause, resume and stop it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps import live, pipeline, verbs
from apps.page import panel, public
from workbench.lab import Lab
from workbench.records import LIVE, Run

# Per stage the two numbers that say most, under names short enough for one line.
SHOWN = {"sft": {"loss": "loss", "eval_loss": "held-out"}, "replies": {"tokens_per_second": "tokens/s"},
         "reward": {"loss": "loss", "eval_accuracy": "accuracy"}, "ppo": {"score": "score", "kl_seq": "KL"},
         "judge": {"flips": "flips", "sureness": "sureness"}, "revise": {"changed": "changed", "tokens_per_second": "tokens/s"}}


def build(lab: Lab) -> gr.HTML:
    """Draws the bar; it looks every other second."""

    @public
    def look(question: dict[str, Any]) -> dict[str, Any]:
        runs = lab.list_runs()
        run = pipeline.current(runs)
        return {"run": describe(lab, run) if run else None, "queued": sum(r.state == "queued" for r in runs)}

    return panel("run_bar", look, verbs.act_on(lab), elem_id="run-bar")


def describe(lab: Lab, run: Run) -> dict[str, Any]:
    found = {key: value for _, key, value in lab.store.metrics(run.id, max(-1, run.step - 50)) if value is not None}
    numbers = [(title, found[key]) for key, title in SHOWN.get(run.stage, {}).items() if key in found]
    return {"id": run.id, "tab": pipeline.TAB_OF.get(run.stage, run.stage), "state": live.state_of(run),
            "step": run.step, "total": run.total, "eta": run.eta_seconds, "numbers": numbers, "trouble": live.trouble(run),
            "warned": pipeline.warned(lab, run.id, run.step, run.state), "is_live": run.state in LIVE, "can_resume": run.state in verbs.RESUMABLE}
