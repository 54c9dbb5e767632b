"""PPO: practise against the reward model, while a KL cost keeps the policy near SFT."""

from __future__ import annotations

import gradio as gr

from apps import forms, live
from apps.page import Page
from workbench.lab import Lab
from workbench.recipes import PpoRecipe


def build(lab: Lab, page: Page) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            gr.Markdown("**A new run: practise for reward.** The policy answers, the reward model scores, PPO "
                        "learns. Higher `kl_weight` keeps it nearer to SFT.")
            forms.build(lab, page, PpoRecipe, "ppo")
        with gr.Column(scale=2, min_width=420):
            live.build(lab, "ppo")
