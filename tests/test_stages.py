"""What the stages refuse, driven by hand on a tiny base; what they do is in test_properties.py and test_learning.py."""

from __future__ import annotations

import pytest

from tests.roles import DEMONSTRATIONS, PROMPTS, rankings, ready_for_reward
from workbench.corpus import Preference
from workbench.engine import reward, sft
from workbench.engine.backbone import Backbone
from workbench.errors import CorpusError
from workbench.recipes import RewardRecipe, SftRecipe


def test_demonstrations_that_are_all_too_long_are_an_error_with_a_cure(tiny):
    backbone = Backbone(tiny, "fp32")
    recipe = SftRecipe(model=tiny, max_tokens=16)
    sft.load(recipe, backbone, None)
    with pytest.raises(CorpusError, match="longer than max_tokens 16; the shortest has"):
        next(sft.train(recipe, backbone, DEMONSTRATIONS))


def test_rankings_of_one_prompt_cannot_train_a_reward_model(tiny):
    backbone = ready_for_reward(tiny)
    with pytest.raises(CorpusError, match="all rankings are of one prompt"):
        next(reward.train(RewardRecipe(sft="sft-1"), backbone, rankings()[:1], PROMPTS))


def test_rankings_that_all_tie_are_refused_with_the_reason(tiny):
    backbone = ready_for_reward(tiny)
    tied = [Preference(p.messages, ["a", "b"], [[0, 1]]) for p in PROMPTS]
    with pytest.raises(CorpusError, match="all replies tie in every one of the 6 rankings"):
        next(reward.train(RewardRecipe(sft="sft-1"), backbone, tied, PROMPTS))
