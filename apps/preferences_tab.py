"""Preferences: the ranking desk, where its replies come from, and what was judged so far."""

from __future__ import annotations

import gradio as gr

from apps.page import STATIC, Page, panel, public, told
from apps.ranking import Desk
from workbench.lab import Lab
from workbench.recipes import ReplyRecipe

DEFAULTS = {knob.name: knob.default for knob in ReplyRecipe.knobs()}
SIMULATED = ("The simulated annotator is a scoring rule of the pack with noise, not a person. It is there to try the whole way "
             "through in minutes; its judgements are stored and shown as **simulated**.")

LOOK_AGAIN = "() => ['wb-bring-back', 'wb-judged'].forEach(name => document.dispatchEvent(new CustomEvent(name)))"


def build(lab: Lab, page: Page) -> None:
    desk, style = Desk(lab), (STATIC / "ranking.css").read_text(encoding="utf-8")
    panel("ranking", public(desk.rank_next), public(desk.rank_save), public(desk.rank_undo), public(desk.rank_hold), css_template=style)
    with gr.Accordion("Get replies to rank", open=True):
        more(lab, page)
    with gr.Accordion("Past judgements", open=False):
        panel("judgements", public(desk.rank_past), public(desk.rank_undo), css_template=style)


def more(lab: Lab, page: Page) -> None:
    """The form that asks for replies, and the simulated annotator for the impatient."""
    with gr.Row(equal_height=True):
        adapters = gr.Dropdown(choices(lab), value=newest(lab), multiselect=True, label="Who answers", elem_id="rank-adapters")
        prompts = gr.Dropdown(lab.corpora("prompts"), value=DEFAULTS["prompts"], label="Prompts")
        count = gr.Number(DEFAULTS["count"], label="How many prompts", precision=0, minimum=1)
        k = gr.Slider(2, 8, DEFAULTS["k"], step=1, label="Replies per prompt")
    with gr.Row():
        write = gr.Button("Write replies", variant="primary", elem_id="rank-write")
        simulate = gr.Button("Let the simulated annotator rank the rest", elem_id="rank-simulate")
    told_what = gr.Markdown(SIMULATED)

    def begin(adapters: list[str], prompts: str, count: float, k: float) -> str:
        run = lab.start(ReplyRecipe(adapters=",".join(adapters), prompts=prompts, count=int(count), k=int(k), seed=fresh_seed(lab)))
        return f"{run.id} is queued: {int(k)} replies to each of {int(count)} prompts. They appear above by themselves."

    def rank_rest() -> str:
        return f"The simulated annotator ranked {lab.judge_simulated()} items; see them under Past judgements."

    write.click(told(begin), [adapters, prompts, count, k], told_what, show_progress="hidden")
    simulate.click(told(rank_rest), None, told_what).then(None, js=LOOK_AGAIN, show_progress="hidden")
    gr.on([page.tab["preferences"].select, page.blocks.load], lambda: refresh(lab), None, [adapters, prompts], show_progress="hidden")


def fresh_seed(lab: Lab) -> int:
    """Another seed for each batch of replies, or the same prompts would be answered in the same words again."""
    return sum(run.stage == ReplyRecipe.stage for run in lab.list_runs())


def choices(lab: Lab) -> list[str]:
    return ["base", *lab.adapters()]


def newest(lab: Lab) -> list[str]:
    """The policy most worth ranking: the newest trained one, else the base model."""
    return [choices(lab)[-1]]


def refresh(lab: Lab) -> tuple[gr.Dropdown, gr.Dropdown]:
    """What was trained or imported since the page was made."""
    return gr.Dropdown(choices(lab), value=newest(lab)), gr.Dropdown(lab.corpora("prompts"))
