"""Forms: every knob has a control, the defaults make the default recipe, and mistakes are told in words."""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from apps import forms
from workbench.errors import RecipeError
from workbench.lab import Lab
from workbench.recipes import RECIPES, PpoRecipe, Recipe, RewardRecipe, SftRecipe


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def form_of(lab: Lab, recipe: type[Recipe]) -> forms.Form:
    with gr.Blocks():
        return forms.Form(lab, recipe)


def values_of(form: forms.Form, **changes: Any) -> list[Any]:
    """What the browser would send: the controls' values, whole numbers as it likes."""
    return [changes.get(knob.name, control.value) for knob, control in zip(form.knobs, form.controls, strict=True)]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_knob_has_its_control_with_its_help(lab: Lab, recipe: type[Recipe]) -> None:
    form = form_of(lab, recipe)
    assert [control.label for control in form.controls] == [knob.name for knob in form.knobs]
    assert {knob.name for knob in form.knobs} == {knob.name for knob in recipe.knobs()}
    assert all(knob.metadata["help"].count("*") < 2 for knob in recipe.knobs()), "two stars are Markdown to the browser"
    assert all(control.info == knob.metadata["help"] for knob, control in zip(form.knobs, form.controls, strict=True))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_an_untouched_form_is_the_default_recipe(lab: Lab, recipe: type[Recipe]) -> None:
    form = form_of(lab, recipe)
    needed = {knob.name: "sft-1" for knob in recipe.knobs() if knob.default is MISSING}
    assert form.recipe(values_of(form, **needed)) == recipe(**needed)


def test_at_most_eight_knobs_are_in_view(lab: Lab) -> None:
    with gr.Blocks() as blocks:
        forms.Form(lab, PpoRecipe)
    folded = next(b for b in blocks.blocks.values() if isinstance(b, gr.Accordion))
    hidden = [b for b in blocks.blocks.values() if isinstance(b, gr.Number | gr.Dropdown) and is_inside(b, folded)]
    assert len(PpoRecipe.knobs()) - len(hidden) <= forms.VISIBLE


def is_inside(block: Any, outer: Any) -> bool:
    while block is not None:
        if block is outer:
            return True
        block = block.parent
    return False


@pytest.mark.parametrize(("knob", "value", "told"), [
    ("steps", 0, "between 1 and 100000"), ("steps", 1.5, "must be a int"), ("steps", None, "steps is empty"), ("lr", -1, "between 0.0 and 1.0"),
    ("precision", "fp8", "choose one of"), ("micro_batch", 7, "does not divide")])
def test_a_mistake_names_the_knob_and_its_limits(lab: Lab, knob: str, value: Any, told: str) -> None:
    form = form_of(lab, SftRecipe)
    with pytest.raises(RecipeError, match=told) as fault:
        form.recipe(values_of(form, **{knob: value}))
    assert knob in str(fault.value)
    message, code = form.preview(*values_of(form, **{knob: value}))
    assert message.visible and code.startswith("# ")


def test_whole_numbers_from_a_browser_are_whole(lab: Lab) -> None:
    form = form_of(lab, SftRecipe)
    assert form.recipe(values_of(form, steps=12.0)).steps == 12


def test_queued_runs_can_be_chosen_and_the_newest_comes_first(lab: Lab) -> None:
    for _ in range(2):
        lab.store.add_run("sft", SftRecipe().to_json(), total=1)
    form = form_of(lab, PpoRecipe)
    control = form.controls[[knob.name for knob in form.knobs].index("sft")]
    assert control.choices == [("sft-2 (queued)", "sft-2"), ("sft-1 (queued)", "sft-1")] and control.value == "sft-2"


def test_a_missing_run_is_explained_in_its_place(lab: Lab) -> None:
    form = form_of(lab, PpoRecipe)
    control = form.controls[[knob.name for knob in form.knobs].index("reward")]
    assert control.choices[0] == ("none yet: Reward model comes first", "") and control.value == ""


def test_rewards_are_suggested_and_a_formula_may_be_typed(lab: Lab) -> None:
    for sft in ("sft-1", "sft-2", "sft-2"):
        lab.store.add_run("reward", RewardRecipe(sft=sft).to_json(), total=1)
    form = form_of(lab, PpoRecipe)
    knob, control = next((knob, control) for knob, control in form.references() if knob.name == "reward")
    assert [value for _, value in control.choices][:4] == ["reward-3", "reward-2", "reward-1", "min(reward-2, reward-3)"]
    assert "rule:customer-service" in [value for _, value in control.choices] and control.allow_custom_value
    assert form.chosen(knob, "0.5*reward-1 - length", form.choices(knob)) == "0.5*reward-1 - length", "a refresh keeps what was typed"


def test_a_refresh_keeps_what_can_be_kept(lab: Lab) -> None:
    form = form_of(lab, SftRecipe)
    fresh = form.refresh(*[control.value for _, control in form.references()])
    assert [each.value for each in fresh] == [control.value for _, control in form.references()]


def test_copy_as_python_makes_the_same_recipe(lab: Lab) -> None:
    form = form_of(lab, SftRecipe)
    _, code = form.preview(*values_of(form, steps=7, seed=3))
    assert "from workbench import Lab, SftRecipe" in code and str(lab.home) in code
    assert eval(SftRecipe(steps=7, seed=3).as_python()) == SftRecipe(steps=7, seed=3)
    assert "SftRecipe(steps=7, seed=3)" in code


def test_a_message_shows_a_value_as_it_is() -> None:
    assert forms.plain("<img src=x> [a](b) *c*") == r"\<img src=x\> \[a\]\(b\) \*c\*"


def test_prompts_default_to_what_this_lab_used_last(lab: Lab) -> None:
    assert forms.lately(lab, "customer-service") == "customer-service"
    lab.store.add_run("sft", SftRecipe(corpus="creative-writing").to_json(), 1)
    assert forms.lately(lab, "customer-service") == "creative-writing", "the pack that it imitates"
    lab.store.add_run("ppo", PpoRecipe(sft="sft-1", reward="reward-1", prompts="code-helper").to_json(), 1)
    assert forms.lately(lab, "customer-service") == "code-helper"
