"""Reward: learn from rankings what people prefer."""

from __future__ import annotations

import gradio as gr

from apps import forms, live
from apps.page import STATIC, Page, panel, public
from apps.scratchpad import Scratchpad
from apps.worth import Worth
from workbench.lab import Lab
from workbench.recipes import Recipe, RewardRecipe
from workbench.rewards import worst_case
from workbench.scored import MEMBERS


def build(lab: Lab, page: Page) -> None:
    worth, style = Worth(lab), (STATIC / "worth.css").read_text(encoding="utf-8")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            gr.Markdown("**A new run: learn what is preferred.** From the rankings a model learns to score any "
                        "reply. Its held-out accuracy says how far to trust it.")
            ensemble(lab, page, forms.build(lab, page, RewardRecipe, "reward"))
        with gr.Column(scale=2, min_width=420):
            panel("worth", public(worth.worth_said), css_template=style)
            live.build(lab, "reward")
            panel("probes", public(worth.worth_said))
            pad = Scratchpad(lab)
            panel("scratchpad", public(pad.pad_choices), public(pad.pad_try), public(pad.pad_look), css_template=style)
            panel("evidence", public(worth.worth_figures), public(worth.worth_again), css_template=style, head=live.PLOTLY)


def ensemble(lab: Lab, page: Page, form: forms.Form) -> None:
    """A button beside the form that trains three models by its knobs, and says what PPO can make of them."""
    with gr.Accordion("Or an ensemble", open=False):
        gr.Markdown(f"{MEMBERS} reward models by the knobs above, each with a seed and a draw of the rankings of its own. Where they disagree, "
                    "the rankings do not say what is right: PPO can take the worst case, and gains little from what one of them happens to like.", elem_classes=["wb-note"])
        told = gr.Markdown(visible=False, elem_classes=["wb-note"])
        start = gr.Button(f"Start {MEMBERS} reward models", elem_id="start-ensemble")

    def begin(recipe: Recipe) -> tuple[str, str]:
        made = lab.ensemble(recipe, MEMBERS)
        return made[0].id, f"Queued. On the PPO tab choose the reward `{worst_case(run.id for run in made)}`."

    form.starts(start, begin, [told, page.selected])
