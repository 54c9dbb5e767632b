"""Compare: ask two adapters the same, watch both answer, vote, and see who wins."""

from __future__ import annotations

import gradio as gr

from apps.page import STATIC, Page, panel, public, told
from apps.talk import Talk, messages, pair_of
from workbench import packs
from workbench.lab import Lab

SHOW = "(number) => document.dispatchEvent(new CustomEvent('wb-asked', { detail: number }))"
EXAMPLES = 40  # more would make the list slower to read than a question to write


def build(lab: Lab, page: Page) -> None:
    pack, talk = pack_of(lab), Talk(lab)
    left_name, right_name = pair_of(lab.adapters())
    with gr.Row(equal_height=True):
        left = gr.Dropdown(["base", *lab.adapters()], value=left_name, label="Left", elem_id="compare-left")
        right = gr.Dropdown(["base", *lab.adapters()], value=right_name, label="Right", elem_id="compare-right")
        temperature = gr.Slider(0.05, 2.0, 0.7, step=0.05, label="Temperature", info="lower is more careful", elem_id="compare-temperature")
        length = gr.Slider(8, 512, 96, step=8, label="Longest reply", info="in tokens", elem_id="compare-length")
    with gr.Row(equal_height=True):
        question = gr.Textbox(label="Question", placeholder="Ask both the same ... (Enter sends, Shift+Enter makes a new line)",
                              lines=1, max_lines=6, scale=5, elem_id="compare-question")
        send = gr.Button("Send", variant="primary", scale=0, min_width=110, elem_id="compare-send")
    with gr.Accordion("Example questions and system message", open=False):
        example = gr.Dropdown(examples(pack), value=None, label="Held-out prompts of the pack that was imitated last", elem_id="compare-example")
        system = gr.Textbox(pack.system, label="System message", lines=2, elem_id="compare-system",
                            info="what the assistant is told first; the pack's models were trained with this one")
    thread, number = gr.Textbox(visible="hidden", elem_id="compare-thread"), gr.Textbox(visible="hidden")
    verbs = [talk.talk_look, talk.talk_stop, talk.talk_vote, talk.talk_tally, talk.talk_earlier]
    panel("compare", *map(public, verbs), css_template=(STATIC / "compare.css").read_text(encoding="utf-8"))

    def ask(question: str, system: str, thread: str, left: str, right: str, temperature: float, length: float) -> tuple[str, str, str]:
        asked = lab.ask(messages(lab, system, question, thread), [left, right], temperature=temperature, reply_tokens=int(length))
        return str(asked.id), "", ""

    for sent in (send.click, question.submit):
        asked = sent(told(ask), [question, system, thread, left, right, temperature, length], [number, question, thread],
                     show_progress="hidden")
        asked.success(None, number, None, js=SHOW, show_progress="hidden")
    example.input(lambda text: text, example, question, show_progress="hidden")
    gr.on([page.tab["compare"].select, page.blocks.load], lambda *chosen: refresh(lab, *chosen), [left, right, system], [left, right, system, example],
          show_progress="hidden")


def examples(pack: packs.Pack) -> list[str]:
    return [prompt[-1]["content"] for prompt in pack.prompts("held_out")[:EXAMPLES]]


def pack_of(lab: Lab) -> packs.Pack:
    """The pack that the newest SFT run imitated; the default where there is none."""
    corpus = next((lab.recipe(run.id).corpus for run in reversed(lab.list_runs()) if run.stage == "sft"), packs.DEFAULT)
    return packs.load(corpus if corpus in packs.names() else packs.DEFAULT)


def refresh(lab: Lab, left: str, right: str, system: str) -> list[object]:
    """What was trained since the page was made, and the pack it is about; what a person chose or wrote stays."""
    names, pack = ["base", *lab.adapters()], pack_of(lab)
    untouched = {left, right} == {"base"}
    is_written = system not in {packs.load(name).system for name in packs.names()}
    return [*(gr.Dropdown(names, value=best if untouched or old not in names else old)
              for best, old in zip(pair_of(names[1:]), (left, right), strict=True)),
            system if is_written else pack.system, gr.Dropdown(examples(pack), value=None)]
