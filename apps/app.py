"""Puts the page together: sidebar, run bar, and the tabs in pipeline order. Knows no stage by itself."""

from __future__ import annotations

import gradio as gr

from apps import (
    compare_tab,
    data_tab,
    overview_tab,
    ppo_tab,
    preferences_tab,
    reward_tab,
    run_bar,
    runs_tab,
    sft_tab,
    sidebar,
)
from apps.page import TABS, Page
from workbench.lab import Lab

BUILDERS = {
    "overview": overview_tab, "data": data_tab, "sft": sft_tab, "preferences": preferences_tab,
    "reward": reward_tab, "ppo": ppo_tab, "compare": compare_tab, "runs": runs_tab,
}


def build(lab: Lab) -> gr.Blocks:
    """The whole app for one lab; `serve` puts it on a port."""
    with gr.Blocks(title="RLHF Workbench", analytics_enabled=False, fill_width=True) as blocks:
        sidebar.build(lab)
        run_bar.build(lab)
        selected = gr.Textbox(visible="hidden", elem_id="selected-run", container=False)
        with gr.Tabs(elem_id="tabs"):
            page = Page(lab, selected, blocks)
            for name, label in TABS.items():
                with gr.Tab(label, id=name, elem_id=f"tab-{name}") as tab:
                    page.tab[name] = tab
                    BUILDERS[name].build(lab, page)
                tab.select(None, js=f"() => wb.noteTab('{name}')", show_progress="hidden")
        selected.change(None, selected, js="(run) => wb.noteRun(run)", show_progress="hidden")
    return blocks
