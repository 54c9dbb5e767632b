"""What must hold where PPO spares itself work, as claims: a value head on the policy's states, and layers that are computed

once because no role adapts them. See claims.py.
"""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from tests.claims import ASKED, FIXED, TEMPERATURE, collected, fixed_replies, improved, logps_alone, near
from tests.claims_learning import Begin, resumes_bit_for_bit
from tests.roles import DEMONSTRATIONS, PPO, PROMPTS, SFT, digests, stir, with_four_roles
from workbench.engine import ppo, sft
from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad
from workbench.engine.layout import layout_of
from workbench.engine.looks import Aside

SHARED = PPO.replace(value="shared")
UPPER = FIXED.replace(micro_batch=1)


def moved(model: str, layers: int = 0, value: str = "own") -> Backbone:
    found = with_four_roles(model, layers=layers, value=value)
    for seed, role in enumerate(found.roles()[1:]):
        stir(found, role, seed)
    return found


# --- one trunk for policy and value


def with_a_shared_value_the_first_ratio_is_1(model: str) -> None:
    """P2"""
    backbone = with_four_roles(model, value="shared")
    assert next(ppo.train(SHARED.replace(temperature=TEMPERATURE), backbone, PROMPTS)).numbers["first_ratio_dev"] == 0.0


def with_a_shared_value_only_policy_and_head_move(model: str) -> None:
    """P8: there is no third adapter, and the head that moves is not the reward's."""
    for lr, value_lr, movers in ((1e-3, 1e-3, {"policy", "value"}), (1e-3, 0.0, {"policy"}), (0.0, 1e-3, {"value"})):
        backbone = with_four_roles(model, value="shared")
        assert set(backbone.roles()) == {"sft", "policy", "reward"}
        before = digests(backbone)
        next(ppo.train(SHARED.replace(lr=lr, value_lr=value_lr), backbone, PROMPTS))
        after = digests(backbone)
        assert {name for name in before if before[name] != after[name]} == movers


def with_a_shared_value_the_micro_batch_changes_no_number(model: str) -> None:
    """P12: in the joint loss too."""
    found = []
    for size in (4, 2, 1):
        backbone = moved(model, value="shared")
        recipe = SHARED.replace(minibatch=4, micro_batch=4, epochs=1)
        rollout, _ = collected(backbone, recipe=recipe)
        assert len(set(rollout.mask.sum(1).tolist())) > 1, "replies must differ in length for this to mean anything"
        found.append(improved(backbone, rollout, recipe.replace(micro_batch=size)))
    for numbers in found[1:]:
        assert numbers == pytest.approx(found[0], rel=1e-4, abs=1e-5)


def shared_run(model: str) -> tuple[Backbone, Begin, list[str]]:
    backbone = with_four_roles(model, value="shared")
    return backbone, lambda state: ppo.train(SHARED, backbone, PROMPTS, Aside(PROMPTS[:2]), state=state), ["policy", "value"]


def with_a_shared_value_ppo_resumes_bit_for_bit(model: str) -> None:
    """P18"""
    resumes_bit_for_bit(shared_run, model)


# --- lower layers that no role adapts


def lower_states_change_no_number(model: str) -> None:
    """Computed once for all roles or in each forward anew: the same scores, the same update; and those of the row alone."""
    other = fixed_replies(moved(model))
    other = other._replace(ids=torch.where((other.mask > 0) & (other.ids < 200), other.ids + 30, other.ids))
    once, anew = moved(model, layers=1), moved(model, layers=1)
    for replies in (fixed_replies(once), other):
        mine, _ = collected(once, replies, UPPER)
        assert (mine.rows.lower is not None) == once.is_fast()
        with mock.patch.object(Backbone, "below", lambda *args: None):
            theirs, _ = collected(anew, replies, UPPER)
        for name in ("logps", "reference", "values", "advantages", "returns", "score"):
            near(getattr(mine, name), getattr(theirs, name), 1e-5)
        said = replies.tokens(1)
        near(mine.logps[1, : len(said)], logps_alone(once, "policy", ASKED[1], said))
        assert improved(once, mine, UPPER) == pytest.approx(improved(anew, theirs, UPPER), rel=1e-3, abs=1e-5)


def upper_run(model: str) -> tuple[Backbone, Begin, list[str]]:
    backbone = with_four_roles(model, layers=1)
    return backbone, lambda state: ppo.train(PPO, backbone, PROMPTS, Aside(PROMPTS[:2]), state=state), ["policy", "value"]


def upper_sft_run(model: str) -> tuple[Backbone, Begin, list[str]]:
    backbone, recipe = Backbone(model, "fp32"), SFT.replace(model=model, layers=1)
    sft.load(recipe, backbone, None)
    return backbone, lambda state: sft.train(recipe, backbone, DEMONSTRATIONS, state=state), ["policy"]


def with_upper_layers_alone_each_run_resumes_bit_for_bit(model: str) -> None:
    """P18"""
    resumes_bit_for_bit(upper_sft_run, model)
    resumes_bit_for_bit(upper_run, model)


# --- a common beginning, computed once


def a_common_beginning_learns_from_every_row(model: str) -> None:
    """P19: the gradient of rows that begin alike is the sum of their own."""
    rows = [[256, 40, 41, 42, 43], [256, 40, 41, 50, 51, 52, 53], [256, 40, 41, 60]]
    assert layout_of(*pad(rows)).shared == 3

    def gradient(*parts: list[list[int]]) -> list[torch.Tensor]:
        backbone = moved(model)
        with backbone.role("policy", train=True):
            for part in parts:
                ids, mask = pad(part, left=True)
                backbone.states(ids, mask, mask.bool()).square().sum().backward()
            return [p.grad for _, p in backbone.named_parameters("policy")]

    for together, alone in zip(gradient(rows), gradient(*([row] for row in rows)), strict=True):
        near(together, alone, 1e-4 * float(alone.abs().max() + 1))


THRIFT_CLAIMS = [
    with_a_shared_value_the_first_ratio_is_1, with_a_shared_value_only_policy_and_head_move,
    with_a_shared_value_the_micro_batch_changes_no_number, with_a_shared_value_ppo_resumes_bit_for_bit, lower_states_change_no_number,
    with_upper_layers_alone_each_run_resumes_bit_for_bit, a_common_beginning_learns_from_every_row,
]  # fmt: skip
