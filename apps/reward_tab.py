"""Reward: learn from rankings what people prefer."""

from __future__ import annotations

import gradio as gr

from apps import forms, live
from apps.page import Page
from workbench.lab import Lab
from workbench.recipes import RewardRecipe


def build(lab: Lab, page: Page) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            gr.Markdown("**Learn what is preferred.** From the rankings a model learns to score any "
                        "reply. Its held-out accuracy says how far to trust it.")
            forms.build(lab, page, RewardRecipe, "reward")
        with gr.Column(scale=2, min_width=420):
            live.build(lab, "reward")
