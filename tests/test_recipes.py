"""Knobs: wrong values are refused with the value and the limit."""

from __future__ import annotations

import pytest

from workbench import recipes
from workbench.errors import RecipeError
from workbench.recipes import RECIPES, PpoRecipe, ReplyRecipe, RewardRecipe, SftRecipe


@pytest.mark.parametrize(("make", "message"), [
    (lambda: SftRecipe(steps=0), "steps is 0; it must be between 1 and 100000"),
    (lambda: SftRecipe(lr="fast"), "lr is 'fast'; it must be a float"),
    (lambda: SftRecipe(steps=True), "steps is True; it must be a int"),
    (lambda: SftRecipe(lr=float("nan")), "lr is nan"),
    (lambda: SftRecipe(precision="int3"), "choose one of auto, bf16, fp32, nf4"),
    (lambda: SftRecipe(batch=16, micro_batch=5), "micro_batch 5 does not divide batch 16; try 4"),
    (lambda: PpoRecipe(sft="sft-1", reward="reward-1", batch=16, minibatch=6), "minibatch 6 does not divide batch 16; try 4"),
    (lambda: PpoRecipe(sft="", reward="reward-1"), "sft is empty; name the SFT adapter"),
    (lambda: RewardRecipe(sft="sft-1", loss="hinge"), "choose one of pairs, pairs_and_ties, plackett_luce"),
])
def test_a_bad_knob_is_named_with_its_value_and_limits(make, message):
    with pytest.raises(RecipeError, match=message.replace("(", r"\(")):
        make()


def test_a_recipe_survives_the_trip_through_json():
    recipe = PpoRecipe(sft="sft-1", reward="reward-2", kl_weight=0.1)
    assert recipes.from_json("ppo", recipe.to_json()) == recipe


def test_an_unknown_knob_or_stage_is_named():
    with pytest.raises(RecipeError, match="no knob speed"):
        recipes.from_json("sft", '{"speed": 3}')
    with pytest.raises(RecipeError, match="stage 'dpo' is unknown"):
        recipes.from_json("dpo", "{}")


def test_a_recipe_as_python_names_only_what_was_changed():
    assert SftRecipe(steps=5).as_python() == "SftRecipe(steps=5)"
    assert eval(SftRecipe(steps=5).as_python()) == SftRecipe(steps=5)


def test_a_recipe_knows_what_it_needs():
    assert PpoRecipe(sft="sft-1", reward="reward-1").needs() == ["sft-1", "reward-1"]
    assert ReplyRecipe(adapters="sft-1, ppo-2,base").needs() == ["sft-1", "ppo-2"]


@pytest.mark.parametrize("recipe", RECIPES.values())
def test_every_knob_is_explained_and_at_most_eight_are_in_the_foreground(recipe):
    assert all(each.metadata["help"] for each in recipe.knobs())
    assert sum(not each.metadata["advanced"] for each in recipe.knobs()) <= 9
    assert len(recipe.knobs()) <= 25


def test_less_memory_is_half_the_micro_batch_that_still_divides():
    recipe = PpoRecipe(sft="sft-1", reward="reward-1", batch=12, minibatch=12, micro_batch=12)
    found = []
    while recipe := recipe.with_less_memory():
        found.append(recipe.micro_batch)
    assert found == [6, 3, 1]


def test_less_memory_counts_what_is_held_and_not_what_was_asked():
    assert SftRecipe(batch=4, micro_batch=8).with_less_memory().micro_batch == 2
    assert ReplyRecipe(adapters="base").with_less_memory() is None
