"""SFT: teach the model to answer like the demonstrations."""

from __future__ import annotations

import gradio as gr

from apps import forms, live
from apps.page import Page
from workbench.lab import Lab
from workbench.recipes import SftRecipe


def build(lab: Lab, page: Page) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            gr.Markdown("**A new run: imitate demonstrations.** A small adapter learns to answer like the rows "
                        "of a corpus. Everything after it builds on this.")
            forms.build(lab, page, SftRecipe, "sft")
        with gr.Column(scale=2, min_width=420):
            live.build(lab, "sft")
