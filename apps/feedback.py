"""AI feedback on the Preferences tab: a model that judges by a constitution, one that rewrites by it, and the constitution itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from apps import forms
from apps.page import STATIC, Page, panel, public, told
from workbench import constitution
from workbench.agreement import Vote, verdicts
from workbench.agreement_words import figure
from workbench.errors import CorpusError
from workbench.feedback import Judge
from workbench.lab import Lab
from workbench.packs import DEFAULT
from workbench.recipes import JudgeRecipe, ReviseRecipe
from workbench.records import LIVE, Comparison, Revision, Verdict

EXAMPLES = 6
PAGE_ROWS = 5
LONGEST = 2000  # letters of a text shown


def build(lab: Lab, page: Page) -> None:
    """Three parts side by side as tabs; their panels look only while they are seen."""
    counsel, style = Counsel(lab), (STATIC / "feedback.css").read_text(encoding="utf-8")
    with gr.Tabs():
        with gr.Tab("Judge by a constitution", elem_id="feedback-judge"), gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=290):
                gr.Markdown("**A model as annotator.** It reads a conversation, two replies and one principle, and names the better reply. "
                            "Its verdicts stand beside yours, never in their place.")
                forms.build(lab, page, JudgeRecipe, "preferences")
            with gr.Column(scale=2, min_width=420):
                panel("judges", public(counsel.judges_look), css_template=style)
        with gr.Tab("Critique and revise", elem_id="feedback-revise"), gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=290):
                gr.Markdown("**Demonstrations from hard prompts.** The model answers, finds fault with its reply by a principle, and rewrites it. "
                            "You read the revisions and keep the good ones.")
                forms.build(lab, page, ReviseRecipe, "preferences")
            with gr.Column(scale=2, min_width=420):
                panel("revisions", public(counsel.revisions_look), public(counsel.revisions_keep), css_template=style)
        with gr.Tab("Constitution", elem_id="feedback-constitution"):
            editor(lab, page)


def editor(lab: Lab, page: Page) -> None:
    """The principles, to be read and changed; this lab keeps its own copy."""
    gr.Markdown("**The principles a model judges and rewrites by.** Number them, one or two sentences each, the weightiest first; short and "
                "concrete ones work best. Your changes are kept in this lab; the pack's own text can always be had back.")
    with gr.Row(equal_height=True):
        name = gr.Dropdown(lab.constitutions(), value=DEFAULT, label="Constitution of", elem_id="constitution-name", scale=2)
        save = gr.Button("Save in this lab", variant="primary", elem_id="constitution-save", scale=1)
        reset = gr.Button("Back to the pack's text", elem_id="constitution-reset", scale=1)
    text = gr.Textbox(lines=12, max_lines=30, show_label=False, elem_id="constitution-text")
    said = gr.Markdown(elem_id="constitution-said")

    def open_it(name: str) -> tuple[str, str]:
        return lab.constitution(name), state_of(lab, name)

    def keep(name: str, text: str) -> str:
        found = lab.set_constitution(name, text or "")
        return f"Saved: {len(found)} principles. Runs that start from now on judge by them; what was judged before may be judged anew."

    def back(name: str) -> tuple[str, str]:
        return lab.reset_constitution(name), state_of(lab, name)

    name.change(told(open_it), name, [text, said], show_progress="hidden")
    page.blocks.load(told(open_it), name, [text, said], show_progress="hidden")
    save.click(told(keep), [name, text], said, show_progress="hidden")
    reset.click(told(back), name, [text, said], show_progress="hidden")


def state_of(lab: Lab, name: str) -> str:
    whose = "This lab's own copy" if constitution.is_edited(lab.home, name) else "The pack's text"
    count = len(constitution.principles(lab.home, name))
    return f"{whose}: {count} principle{'s' if count > 1 else ''}."


@dataclass(frozen=True)
class Counsel:
    """The server side of the panels of AI feedback. Each method takes one dict and gives one back."""

    lab: Lab

    def judges_look(self, question: dict[str, Any]) -> dict[str, Any]:
        """Every model that judged, with its agreement with people, what to beware of, and some of its verdicts."""
        ready = self.lab.ranking_counts()
        return {"judges": [self._judge(each) for each in self.lab.judges()], "live": self._live("judge"), "to_judge": sum(ready.values())}

    def revisions_look(self, question: dict[str, Any]) -> dict[str, Any]:
        """The runs that rewrote, newest first, and a page of what the wanted one, else the newest, wrote."""
        runs = [run.id for run in reversed(self.lab.list_runs()) if run.stage == "revise"]
        wanted = str(question.get("run") or "")[:80]
        name = wanted if wanted in runs else runs[0] if runs else ""
        found = self.lab.revisions(name) if name else []
        pages = max(1, -(-len(found) // PAGE_ROWS))
        page = min(max(0, int(question.get("page") or 0)), pages - 1)
        rows = [row(at, each) for at, each in list(enumerate(found))[page * PAGE_ROWS:(page + 1) * PAGE_ROWS]]
        return {"runs": runs, "run": name, "rows": rows, "page": page, "pages": pages, "total": len(found), "live": self._live("revise"),
                "kept": next((e.usable for e in self.lab.store.corpora() if e.name == name), 0)}

    def revisions_keep(self, question: dict[str, Any]) -> dict[str, Any]:
        """Makes a corpus of a run's revisions but for those that were taken out."""
        name, out = str(question["run"])[:80], {int(place) for place in question["out"]}
        places = [at for at in range(len(self.lab.revisions(name))) if at not in out]
        if not places:
            raise CorpusError("every revision was taken out; leave at least one in")
        entry = self.lab.keep_revisions(name, places=places)
        return {"name": entry.name, "usable": entry.usable}

    def _live(self, stage: str) -> list[dict[str, Any]]:
        return [{"id": run.id, "state": run.state, "step": run.step, "total": run.total, "eta": run.eta_seconds}
                for run in self.lab.list_runs() if run.stage == stage and run.state in LIVE]

    def _judge(self, judge: Judge) -> dict[str, Any]:
        asked = {c.id: c for c in self.lab.store.comparisons("kind='ranking'")}
        people: dict[Any, list[Vote]] = {}
        for vote in self.lab.votes():
            people.setdefault(vote.item, []).extend([vote] if vote.source == "human" else [])
        rows = [example(verdict, asked[verdict.comparison], people.get(verdict.comparison, [])) for verdict in self.lab.verdicts(judge.name)
                if verdict.comparison in asked and all(b < len(asked[verdict.comparison].replies) for _, b, _ in verdict.chances)]
        rows.sort(key=lambda each: ({"differs": 0, "agrees": 1}.get(each["people"], 2), -each["chance"]))
        kappa = "" if judge.kappa is None else f"kappa {judge.kappa:.2f}"
        plain = {name: getattr(judge, name) for name in ("name", "constitution", "judged", "flips", "first", "letters", "warnings")}
        return {**plain, "people": figure(judge.people), "shared": judge.people.n, "kappa": kappa, "examples": rows[:EXAMPLES]}


def row(place: int, found: Revision) -> dict[str, Any]:
    turns = [{"principle": turn.principle, "critique": turn.critique[:LONGEST], "revision": turn.revision[:LONGEST]} for turn in found.turns]
    return {"place": place, "prompt": found.prompt[-1]["content"][:LONGEST], "draft": found.draft[:LONGEST], "final": found.final[:LONGEST], "turns": turns}


def example(verdict: Verdict, comparison: Comparison, people: Sequence[Vote]) -> dict[str, Any]:
    """The pair of replies on which a judge is surest, and whether most people say so too."""
    a, b, chance = max(verdict.chances, key=lambda each: abs(each[2] - 0.5))
    better, worse = (a, b) if chance >= 0.5 else (b, a)
    said = sum(verdicts(vote.ranking).get((better, worse), 0) for vote in people)
    return {"id": comparison.id, "prompt": comparison.prompt[-1]["content"][:LONGEST], "better": comparison.replies[better].text[:LONGEST],
            "worse": comparison.replies[worse].text[:LONGEST], "chance": max(chance, 1 - chance),
            "people": "agrees" if said > 0 else "differs" if said < 0 else ""}
