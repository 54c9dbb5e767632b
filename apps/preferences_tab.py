"""Preferences: the ranking desk, where its items come from, and what was judged so far."""

from __future__ import annotations

import gradio as gr

from apps import agreement, feedback
from apps.forms import lately
from apps.page import STATIC, Page, panel, public, told
from apps.ranking import Desk
from workbench import supply
from workbench.lab import Lab
from workbench.recipes import ReplyRecipe

DEFAULTS = {knob.name: knob.default for knob in ReplyRecipe.knobs()}
WHO = "One adapter: several samples of the same policy. Two, such as SFT and PPO: their replies meet, blind."
AGAIN = "Rows of an imported corpus, shown blind in a new order. What its annotators said stays as it is; yours stands beside it."
DOUBT = "A reward model reads everything that waits, and what it is least sure of comes first: there a label teaches most."
SIMULATED = ("The simulated annotator is a scoring rule of the pack with noise, not a person. It is there to try the whole way "
             "through in minutes; its judgements are stored and shown as **simulated**.")

LOOK_AGAIN = "() => ['wb-bring-back', 'wb-judged'].forEach(name => document.dispatchEvent(new CustomEvent(name)))"


def build(lab: Lab, page: Page) -> None:
    desk, style = Desk(lab), (STATIC / "ranking.css").read_text(encoding="utf-8")
    panel("ranking", *map(public, (desk.rank_next, desk.rank_save, desk.rank_undo, desk.rank_hold, desk.rank_ahead)), css_template=style)
    with gr.Accordion("Get items to rank", open=True):
        with gr.Tabs():
            with gr.Tab("From adapters"):
                from_adapters(lab, page)
            with gr.Tab("A corpus again"):
                from_corpus(lab, page)
            with gr.Tab("Least sure first"):
                by_doubt(lab, page)
    with gr.Accordion("Past judgements", open=False):
        panel("judgements", public(desk.rank_past), public(desk.rank_undo), css_template=style)
    with gr.Accordion("Agreement", open=False, elem_id="agreement"):
        panel("agreement", agreement.look_of(lab), css_template=(STATIC / "feedback.css").read_text(encoding="utf-8"))
    with gr.Accordion("AI feedback", open=False, elem_id="ai-feedback"):
        feedback.build(lab, page)


def from_adapters(lab: Lab, page: Page) -> None:
    """Asks for replies; the simulated annotator is there for the impatient."""
    with gr.Row(equal_height=True):
        adapters = gr.Dropdown(choices(lab), value=newest(lab), multiselect=True, label="Who answers", elem_id="rank-adapters")
        prompts = gr.Dropdown(lab.corpora("prompts"), value=lately(lab, DEFAULTS["prompts"]), label="Prompts")
        count = gr.Number(DEFAULTS["count"], label="How many prompts", precision=0, minimum=1)
        k = gr.Slider(2, 8, DEFAULTS["k"], step=1, label="Replies per prompt")
    ahead = gr.Checkbox(True, label=f"Write on by itself when fewer than {supply.FEW} are left, so that nobody waits", elem_id="rank-ahead")
    with gr.Row():
        write = gr.Button("Write replies", variant="primary", elem_id="rank-write")
        both = gr.Button("Choose SFT against PPO", elem_id="rank-both")
        simulate = gr.Button("Let the simulated annotator rank the rest", elem_id="rank-simulate")
    told_what = gr.Markdown(f"{WHO}\n\n{SIMULATED}")

    def begin(adapters: list[str], prompts: str, count: float, k: float, ahead: bool) -> str:
        recipe = ReplyRecipe(adapters=",".join(adapters), prompts=prompts, count=int(count), k=int(k), seed=supply.fresh_seed(lab.store))
        run = lab.start(recipe)
        lab.write_ahead(recipe if ahead else None)
        return f"{run.id} is queued: {int(k)} replies to each of {int(count)} prompts. They appear above by themselves."

    def rank_rest() -> str:
        return f"The simulated annotator ranked {lab.judge_simulated()} items; see them under Past judgements."

    write.click(told(begin), [adapters, prompts, count, k, ahead], told_what, show_progress="hidden")
    both.click(lambda: sft_against_ppo(lab), None, adapters, show_progress="hidden")
    simulate.click(told(rank_rest), None, told_what).then(None, js=LOOK_AGAIN, show_progress="hidden")
    page.fresh("preferences", lambda: (gr.Dropdown(choices(lab), value=newest(lab)), gr.Dropdown(lab.corpora("prompts"), value=lately(lab, DEFAULTS["prompts"]))), [adapters, prompts])


def from_corpus(lab: Lab, page: Page) -> None:
    with gr.Row(equal_height=True):
        name = gr.Dropdown(supply.preferences(lab.store), label="Corpus of preferences", elem_id="rank-corpus")
        count = gr.Number(50, label="How many rows", precision=0, minimum=1)
    again = gr.Button("Rank them again", variant="primary", elem_id="rank-again")
    told_what = gr.Markdown(AGAIN)

    def put(name: str | None, count: float) -> str:
        return f"{lab.rank_again(name or '', int(count))} rows of {name} are on the desk."

    again.click(told(put), [name, count], told_what).then(None, js=LOOK_AGAIN, show_progress="hidden")
    page.fresh("preferences", lambda: offered(supply.preferences(lab.store)), name)


def by_doubt(lab: Lab, page: Page) -> None:
    with gr.Row(equal_height=True):
        reward = gr.Dropdown(lab.adapters("reward"), label="Reward model", elem_id="rank-reward")
    look = gr.Button("Ask what it is least sure of", variant="primary", elem_id="rank-doubt")
    told_what = gr.Markdown(DOUBT)

    def ask(reward: str | None) -> str:
        return f"{lab.doubt(reward or '').id} is queued. When it is done, the most doubtful items come first."

    look.click(told(ask), [reward], told_what, show_progress="hidden")
    page.fresh("preferences", lambda: offered(lab.adapters("reward")), reward)


def choices(lab: Lab) -> list[str]:
    return ["base", *lab.adapters()]


def newest(lab: Lab) -> list[str]:
    """The policy most worth ranking: the newest trained one, else the base model."""
    return [choices(lab)[-1]]


def sft_against_ppo(lab: Lab) -> list[str]:
    """The newest of each; the base model stands in for what was not trained."""
    found = [(lab.adapters(stage) or ["base"])[-1] for stage in ("sft", "ppo")]
    return found if "base" not in found else sorted({"base", *found})


def offered(names: list[str]) -> gr.Dropdown:
    return gr.Dropdown(names, value=names[-1] if names else None)
