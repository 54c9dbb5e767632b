"""The sidebar: every stage with its state, the queue, and the lab's folder. A click opens the stage's tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps import pipeline
from apps.page import panel, public, sparing
from workbench.lab import Lab


def build(lab: Lab) -> None:
    about = {name: {"title": pipeline.TITLES[name], "about": pipeline.ABOUT[name]} for name in pipeline.TITLES}  # told with the page

    @public
    @sparing
    def look(question: dict[str, Any]) -> dict[str, Any]:
        runs = lab.list_runs()
        queue = [run.id for run in runs if run.state == "queued"]
        return {"stages": [[stage.id, stage.state, stage.text, *([stage.about] if stage.about != about[stage.id]["about"] else [])]
                           for stage in pipeline.stages(lab)], "queue": queue, "home": str(lab.home), "round": lab.round,
                "is_working": any(run.state == "running" for run in runs)}

    with gr.Sidebar(width=224, elem_id="sidebar"):
        panel("sidebar", look, about=about)
