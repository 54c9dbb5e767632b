"""Recipe class -> controls, values -> recipe. The form knows no stage: names, help and limits come from the knobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field
from typing import Any

import gradio as gr

from apps.page import Page
from workbench import packs
from workbench.errors import RecipeError, WorkbenchError
from workbench.lab import Lab
from workbench.plan import free_bytes
from workbench.recipes import DEFAULT_MODEL, RECIPES, Recipe, kind_of
from workbench.records import LIVE
from workbench.rewards import worst_case

FREE = ("model", "reward")  # kinds of knobs whose choices are only suggestions
MEMBERS = 4  # newest reward models that the suggested ensemble asks
VISIBLE = 8  # the rest is under Advanced: nobody reads a wall of knobs


class Form:
    """The controls of one recipe class, drawn where it is made."""

    def __init__(self, lab: Lab, recipe: type[Recipe]) -> None:
        self.lab, self.kind = lab, recipe
        self.knobs = sorted(recipe.knobs(), key=is_advanced)
        plain = [knob for knob in self.knobs if not is_advanced(knob)][:VISIBLE]
        self.controls: list[Any] = []
        with gr.Column(elem_classes=["wb-form"]):
            self.draw(plain)
            with gr.Accordion("Advanced", open=False):
                self.draw(self.knobs[len(plain):])

    def draw(self, knobs: Sequence[Field]) -> None:
        """Names and choices over the full width, numbers two in a row: the stylesheet's business, since every box of Gradio's takes time to build."""
        self.controls += [self.control(knob) for knob in knobs]

    def control(self, knob: Field) -> Any:
        """One control; its label is the knob's name in Python, its note the knob's meaning."""
        meta, default = knob.metadata, None if knob.default is MISSING else knob.default
        shared = {"label": knob.name, "info": meta["help"], "min_width": 120}
        if is_number(knob):
            return gr.Number(default, elem_classes=["wb-half"], **shared)
        if kind_of(knob) is bool:
            return gr.Checkbox(bool(default), **shared)
        if meta["choices"]:
            return gr.Dropdown(list(meta["choices"]), value=default, filterable=False, **shared)
        if meta["kind"]:
            found = self.choices(knob)
            default = lately(self.lab, default) if meta["kind"] == "corpus:prompts" else default
            return gr.Dropdown(found, value=self.chosen(knob, default, found), multiselect=is_many(knob),
                               allow_custom_value=meta["kind"] in FREE, **shared)
        return gr.Textbox(default or "", **shared)

    def choices(self, knob: Field) -> list[tuple[str, str]]:
        """What a knob may refer to now: corpora, models, or runs, queued ones too, newest first."""
        kind, _, of = knob.metadata["kind"].partition(":")
        if kind == "corpus":
            return [(name, name) for name in self.lab.corpora(of)]
        if kind == "constitution":
            return [(name, name) for name in self.lab.constitutions()]
        if kind == "model":
            used = [self.lab.recipe(run.id).to_json() for run in self.lab.list_runs() if run.stage == "sft"]
            return [(name, name) for name in dict.fromkeys([DEFAULT_MODEL, *re.findall(r'"model": "([^"]+)"', " ".join(used))])]
        if kind == "reward":
            return rewards_of(self.lab)
        ready = self.lab.adapters(of)
        wanted = (of,) if of else ("sft", "ppo")
        runs = [run for run in reversed(self.lab.list_runs()) if run.stage in wanted and (run.id in ready or run.state in (*LIVE, "paused"))]
        named = [(run.id if run.id in ready else f"{run.id} ({run.state})", run.id) for run in runs]
        if knob.default == "":
            return [("none: start afresh", ""), *named]
        return named + ([] if of else [("base (no adapter)", "base")]) or [lacking(of)]

    def chosen(self, knob: Field, value: Any, found: Sequence[tuple[str, str]]) -> Any:
        """The value if it can still be chosen, else the first choice (the newest run)."""
        there = [name for _, name in found]
        if is_many(knob):
            return [each for each in (value or []) if each in there] or there[:1]
        if value in there or (value and knob.metadata["kind"] in FREE):
            return value
        return there[0] if there else None

    def references(self) -> list[tuple[Field, Any]]:
        return [(knob, control) for knob, control in zip(self.knobs, self.controls, strict=True) if knob.metadata["kind"]]

    def refresh(self, *values: Any) -> Any:
        """New choices for every control that refers to runs or corpora; values are kept where they can be.

        A kept value is not sent back: it would undo what a quick person chose in the meantime.
        """
        new = []
        for (knob, _), value in zip(self.references(), values, strict=True):
            found = self.choices(knob)
            chosen = self.chosen(knob, value, found)
            new.append(gr.Dropdown(choices=found) if chosen == value else gr.Dropdown(choices=found, value=chosen))
        return new[0] if len(new) == 1 else new

    def recipe(self, values: Sequence[Any]) -> Recipe:
        """The recipe that the controls spell. Raises RecipeError that names the knob and its limits."""
        return self.kind(**{knob.name: as_value(knob, value) for knob, value in zip(self.knobs, values, strict=True)})

    def preview(self, *values: Any) -> tuple[Any, str]:
        """What is wrong with the values, if anything, and the same call in Python."""
        try:
            return gr.Markdown(visible=False), as_script(self.lab, self.recipe(values))
        except RecipeError as fault:
            is_lacking = any(knob.default is MISSING and not value for knob, value in zip(self.knobs, values, strict=True))
            return gr.Markdown(plain(str(fault)), visible=not is_lacking), "# " + str(fault).replace("\n", " ")

    def starts(self, button: gr.Button, act: Callable[[Recipe], tuple[str, str]], outputs: Sequence[Any]) -> None:
        """Lets a button act on the form's recipe: `act` gives the run to show and what to say, `outputs` are message and selected run."""
        def begin(*values: Any) -> tuple[Any, Any]:
            try:
                run, said = act(self.recipe(values))
            except WorkbenchError as fault:
                return gr.Markdown(plain(str(fault)), visible=True), gr.skip()
            return gr.Markdown(said, visible=bool(said)), run

        button.click(begin, self.controls, outputs, show_progress="hidden")

    def memory(self, *values: Any) -> str:
        """What the run would need at its peak, beside what is free; empty while that cannot be said."""
        try:
            needed = self.lab.plan(self.recipe(values)).total
        except WorkbenchError:
            return ""
        free = free_bytes()
        hint = "" if needed < free else " It may not fit: lower micro_batch or the number of tokens."
        return f"About {needed / 1e9:.1f} GB of memory at its peak; {free / 1e9:.0f} GB are free.{hint}"


def lately(lab: Lab, default: str) -> str:
    """The prompts that this lab's newest run used, or those of the pack that it imitates."""
    there = lab.corpora("prompts")
    used = (getattr(recipe, "prompts", "") or getattr(recipe, "corpus", "") for recipe in (lab.recipe(run.id) for run in reversed(lab.list_runs())))
    return next((name for name in used if name in there), default)


def lacking(stage: str) -> tuple[str, str]:
    """An empty list teaches nobody: it says what is to be done first."""
    return f"none yet: {RECIPES[stage].title} comes first", ""


def rewards_of(lab: Lab, is_ready: bool = False) -> list[tuple[str, str]]:
    """Rewards to choose from, as suggestions: reward models, newest first (`is_ready`: finished ones), an ensemble of them, the packs' rules."""
    ready = lab.adapters("reward")
    runs = [run for run in reversed(lab.list_runs()) if run.stage == "reward" and (run.id in ready or (run.state in (*LIVE, "paused") and not is_ready))]
    named = [(run.id if run.id in ready else f"{run.id} ({run.state})", run.id) for run in runs] or [lacking("reward")]
    alike = [run.id for run in runs if lab.recipe(run.id).sft == lab.recipe(runs[0].id).sft][:MEMBERS]
    ensemble = worst_case(sorted(alike))
    rules = [(f"rule:{name} (the pack's scoring rule)", f"rule:{name}") for name in packs.names()]
    return named + ([(f"{ensemble} (worst case of an ensemble)", ensemble)] if len(alike) > 1 else []) + rules


def build(lab: Lab, page: Page, recipe: type[Recipe], tab: str) -> Form:
    """A form with its Start button and "Copy as Python", kept up to date whenever its tab is opened."""
    form = Form(lab, recipe)
    with gr.Column(elem_classes=["wb-start"]):
        message = gr.Markdown(visible=False, elem_classes=["wb-trouble"])
        memory = gr.Markdown(elem_classes=["wb-note"])
        title = recipe.title if recipe.title.split()[0].isupper() else recipe.title.lower()
        start = gr.Button(f"Start {title}", variant="primary", elem_id=f"start-{recipe.stage}")
    with gr.Accordion("Copy as Python", open=False):
        code = gr.Code(language="python", show_label=False, interactive=False, lines=4, buttons=["copy"], wrap_lines=True, show_line_numbers=False)

    def show(*values: Any) -> tuple[Any, str, str]:
        return *form.preview(*values), form.memory(*values)

    form.starts(start, lambda recipe: (lab.start(recipe).id, ""), [message, page.selected])
    refer = [control for _, control in form.references()]
    for opened in (page.tab[tab].select, page.blocks.load):
        opened(form.refresh, refer, refer, show_progress="hidden").then(show, form.controls, [message, code, memory], show_progress="hidden")
    gr.on([control.change for control in form.controls], show, form.controls, [message, code, memory], show_progress="hidden", trigger_mode="always_last")
    return form


def is_advanced(knob: Field) -> bool:
    return bool(knob.metadata["advanced"])


def is_number(knob: Field) -> bool:
    return kind_of(knob) in (int, float)


def is_many(knob: Field) -> bool:
    # The one knob that names several adapters is a text with commas in Python.
    return knob.name == "adapters"


def as_value(knob: Field, value: Any) -> Any:
    """A control's value as the knob wants it; browsers send 16 as 16.0 and an empty number as None."""
    wanted = kind_of(knob)
    if wanted in (int, float) and value is None:
        raise RecipeError(f"{knob.name} is empty; give a number ({knob.metadata['help']})")
    if wanted is int and isinstance(value, float) and value == int(value):
        return int(value)
    if wanted is str:
        return ", ".join(value) if isinstance(value, list) else str(value or "").strip()
    return value


def as_script(lab: Lab, recipe: Recipe) -> str:
    name = type(recipe).__name__
    return f"from workbench import Lab, {name}\n\nlab = Lab({str(lab.home)!r})\nrun = lab.start({recipe.as_python()})\nlab.wait(run.id)\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, whatever a value or a file name holds."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$&-])", r"\\\1", text)
