"""The plan of a run's memory: counted from the model's shape, larger where more is held, silent where nothing can be said."""

from __future__ import annotations

import json

import pytest

from workbench import Lab, PpoRecipe, SftRecipe
from workbench.errors import ModelError, NotFound
from workbench.plan import DEFAULT_SHAPE, free_bytes, shape_of


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


def test_the_default_models_numbers_are_counted_right():
    assert DEFAULT_SHAPE.parameters == pytest.approx(134_515_008, rel=1e-3)
    assert DEFAULT_SHAPE.adapter(16, 0) == 4_884_480
    assert DEFAULT_SHAPE.adapter(16, 8) == 4_884_480 * 8 // 30


def test_a_folders_shape_is_read_from_its_config(tiny):
    found = shape_of(tiny)
    assert (found.layers, found.width, found.heads, found.kv_heads, found.head, found.inner, found.vocabulary) == (2, 32, 4, 2, 8, 64, 258)


def test_what_cannot_be_planned_is_said(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "other"}))
    with pytest.raises(ModelError, match="no plan"):
        shape_of(str(tmp_path))
    with pytest.raises(ModelError, match="no plan"):
        shape_of("somebody/something")


@pytest.mark.parametrize("more", [{"micro_batch": 16, "batch": 16}, {"rank": 64}, {"precision": "fp32"}])
def test_what_holds_more_needs_more(lab, more):
    usual = SftRecipe(precision="bf16")
    assert lab.plan(usual.replace(**more)).total > 1.02 * lab.plan(usual).total


@pytest.mark.parametrize("less", [{"micro_batch": 2}, {"layers": 8}, {"precision": "nf4"}])
def test_what_holds_less_needs_less(lab, less):
    usual = SftRecipe(precision="bf16")
    assert lab.plan(usual.replace(**less)).total < 0.98 * lab.plan(usual).total


def test_a_value_on_the_policys_trunk_saves_its_adapter(lab):
    sft = lab.store.add_run("sft", SftRecipe().to_json(), 1)
    own = PpoRecipe(sft=sft.id, reward=sft.id, precision="bf16")
    assert lab.plan(own.replace(value="shared")).parts["optimiser"] == lab.plan(own).parts["optimiser"] / 2


def test_the_parts_add_up_and_nothing_is_measured_unasked(lab):
    found = lab.plan(SftRecipe())
    assert found.total == sum(found.parts.values()) and found.measured == 0
    assert found.lines()[-1].startswith("in all")


def test_a_plan_of_something_that_is_not_there_says_so(lab):
    with pytest.raises(NotFound):
        lab.plan(PpoRecipe(sft="sft-9", reward="reward-9"))


def test_the_machine_has_some_memory_free():
    assert free_bytes() > 1e8


@pytest.mark.slow
def test_a_measured_plan_tells_the_peak_of_real_steps(lab, tiny):
    recipe = SftRecipe(model=tiny, steps=3, batch=4, micro_batch=4, rank=4, max_tokens=2000, precision="fp32")
    found = lab.plan(recipe, measure=2)
    assert 2e8 < found.measured < 4e9
    assert lab.list_runs() == []
