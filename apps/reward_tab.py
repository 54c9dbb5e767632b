"""Reward: learn from rankings what people prefer."""

from __future__ import annotations

import gradio as gr

from apps import forms, live
from apps.page import STATIC, Page, panel, public
from apps.scratchpad import Scratchpad
from apps.worth import Worth
from workbench.lab import Lab
from workbench.recipes import RewardRecipe


def build(lab: Lab, page: Page) -> None:
    worth, style = Worth(lab), (STATIC / "worth.css").read_text(encoding="utf-8")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            gr.Markdown("**Learn what is preferred.** From the rankings a model learns to score any "
                        "reply. Its held-out accuracy says how far to trust it.")
            forms.build(lab, page, RewardRecipe, "reward")
        with gr.Column(scale=2, min_width=420):
            panel("worth", public(worth.worth_said), css_template=style)
            live.build(lab, "reward")
            panel("probes", public(worth.worth_said))
            pad = Scratchpad(lab)
            panel("scratchpad", public(pad.pad_choices), public(pad.pad_try), public(pad.pad_look), css_template=style)
            panel("evidence", public(worth.worth_figures), public(worth.worth_again), css_template=style, head=live.PLOTLY)
