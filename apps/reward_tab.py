"""Reward: learn from rankings what people prefer."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps import forms, live
from apps.page import Page, panel, public
from workbench.lab import Lab
from workbench.probes import PROBES, verdict
from workbench.recipes import RewardRecipe

WORDS = {"good": "holds", "open": "unsure", "bad": "fooled"}


def build(lab: Lab, page: Page) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            gr.Markdown("**Learn what is preferred.** From the rankings a model learns to score any "
                        "reply. Its held-out accuracy says how far to trust it.")
            forms.build(lab, page, RewardRecipe, "reward")
        with gr.Column(scale=2, min_width=420):
            live.build(lab, "reward")

            @public
            def look(_: dict[str, Any]) -> dict[str, Any]:
                return probes(lab)

            panel("probes", look)


def probes(lab: Lab) -> dict[str, Any]:
    """How the newest finished reward model did on each probe, in words and shares of its held-out prompts."""
    run = next((run for run in reversed(lab.list_runs()) if run.stage == "reward" and f"beats_{next(iter(PROBES))}" in run.summary), None)
    if run is None:
        return {"probes": [], "said": "", "note": "When a reward model is done, it is shown here whether padding, lists, flattery or a refusal would fool it."}
    rows = [{"title": each.title, "about": each.about, "share": share, "verdict": (found := verdict(share)), "word": WORDS[found]}
            for name, each in PROBES.items() if (share := run.summary.get(f"beats_{name}")) is not None]
    fooled = [row["title"].lower() for row in rows if row["verdict"] == "bad"]
    return {"probes": rows, "said": f"{run.id}: " + (f"fooled by {', '.join(fooled)}" if fooled else "nothing tried fools it on most prompts"),
            "note": f"Shares of {run.summary.get('held_out', 0)} held-out prompts on which the good reply scored above the changed one. With few prompts they are rough."}
