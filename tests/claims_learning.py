"""What must hold of SFT, of the reward model and of resuming on any model, as claims; see claims.py."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from unittest import mock

import pytest
import torch

from tests.roles import (
    DEMONSTRATIONS,
    PPO,
    PROMPTS,
    REWARD,
    SFT,
    digest,
    digests,
    numbers_of,
    rankings,
    ready_for_reward,
    replies_of,
    stir,
    with_four_roles,
)
from workbench.corpus import Demonstration, Preference
from workbench.engine import maths, ppo, reward, sft
from workbench.engine.backbone import Backbone
from workbench.engine.looks import Aside
from workbench.engine.rollout import closed, score_replies
from workbench.engine.step import State, Step
from workbench.recipes import RewardRecipe, SftRecipe

Begin = Callable[[State | None], Iterator[Step]]
UNEVEN = [*DEMONSTRATIONS[:3], Demonstration([{"role": "user", "content": "Say much"}, {"role": "assistant", "content": "Much and much more than that"}])]
TALK = Demonstration([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Bye"},
                      {"role": "assistant", "content": "So long"}])


def first_step(model: str, rows: list[Demonstration], micro_batch: int = 1) -> dict[str, float]:
    backbone = Backbone(model, "fp32")
    recipe = SFT.replace(model=model, batch=len(rows), micro_batch=micro_batch, held_out=0.0, eval_every=100)
    sft.load(recipe, backbone, None)
    stir(backbone, "policy")
    return next(sft.train(recipe, backbone, rows)).numbers


# --- SFT


def sft_trains_the_answers_and_their_ends(model: str) -> None:
    """P20: the loss of the first step is that of the assistant's words and ends of turn, worked token by token."""
    backbone = Backbone(model, "fp32")
    sft.load(SFT.replace(model=model), backbone, None)
    stir(backbone, "policy")
    before, mark = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", backbone.chat.tokenizer.convert_tokens_to_ids("<|im_end|>")
    ids: list[int] = []
    trained: list[int] = []
    for text, question, answer in (("", "Hi", "Hello"), ("\n", "Bye", "So long")):
        ids += backbone.chat.tokens(text + before.format(question))
        words = [*backbone.chat.tokens(answer), mark]
        trained += range(len(ids), len(ids) + len(words))
        ids += words
    assert len(trained) == len("Hello") + len("So long") + 2
    with torch.no_grad(), backbone.role("policy"):
        logits = backbone.logits(backbone.hidden(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)))[0]
    logps = torch.log_softmax(logits[:-1], -1)[torch.arange(len(ids) - 1), ids[1:]]
    expected = -float(logps[[place - 1 for place in trained]].mean())
    assert first_step(model, [TALK])["loss"] == pytest.approx(expected, abs=1e-4)


def sft_weighs_every_token_alike(model: str) -> None:
    """P12: loss and gradient are those of the whole step, whatever the micro-batch."""
    whole = first_step(model, UNEVEN, 4)
    for size in (1, 2):
        part = first_step(model, UNEVEN, size)
        assert [part[k] for k in ("loss", "grad_norm")] == pytest.approx([whole[k] for k in ("loss", "grad_norm")], rel=1e-5)


def sft_moves_its_adapter_alone(model: str) -> None:
    """P8"""
    backbone = ready_for_reward(model)
    recipe = SFT.replace(model=model)
    sft.load(recipe, backbone, None)
    before = digests(backbone)
    next(sft.train(recipe, backbone, DEMONSTRATIONS))
    after = digests(backbone)
    assert {name for name in before if before[name] != after[name]} == {"policy"}


# --- the reward model


def first_look(model: str, rows: list[Preference], **changes: object) -> dict[str, float]:
    recipe = REWARD.replace(batch=6, centre=0.0, **changes)
    return next(reward.train(recipe, ready_for_reward(model), rows, PROMPTS)).numbers


def the_reward_model_starts_at_ln_2(model: str) -> None:
    """P6: and two replies that score alike cost exactly that."""
    assert first_look(model, rankings())["loss"] == pytest.approx(math.log(2), abs=0.05)
    backbone = ready_for_reward(model)
    alike = replies_of([[5, 6]] * 2, [[7, 8]] * 2, [False] * 2)
    scores = score_replies(backbone, "reward", closed(alike, backbone.chat.end_of_turn), 2)
    assert float(maths.pair_loss(scores[:1], scores[1:])) == pytest.approx(math.log(2), abs=1e-7)


def the_order_of_replies_changes_no_number(model: str) -> None:
    """P6, P12: neither of the candidates, nor of the prompts in a batch, nor the micro-batch; swapping good and bad swaps right and wrong."""
    plain = first_look(model, rankings())
    turned = [Preference(p.prompt, p.replies[::-1], [[3], [2], [1], [0]]) for p in rankings()]
    for rows, changes in ((turned, {}), (rankings(), {"seed": 5}), (rankings(), {"micro_batch": 4})):
        with mock.patch.object(Backbone, "add_head", lambda self, role, seed, real=Backbone.add_head: real(self, role, 0)):
            other = first_look(model, rows, **changes)
        assert [other[k] for k in ("loss", "accuracy", "grad_norm", "eval_loss")] == pytest.approx(
            [plain[k] for k in ("loss", "accuracy", "grad_norm", "eval_loss")], rel=1e-3)
    worst_first = [Preference(p.prompt, p.replies, [[3], [2], [1], [0]]) for p in rankings()]
    assert first_look(model, worst_first)["accuracy"] == pytest.approx(1 - plain["accuracy"], abs=1e-6)


def the_reward_model_learns_who_was_ranked_first(model: str) -> None:
    """The sign of everything, end to end: better replies come to score higher."""
    steps = list(reward.train(REWARD.replace(epochs=12, lr=1e-2), ready_for_reward(model), rankings(), PROMPTS))
    assert steps[-1].summary["eval_accuracy"] > 0.9


def calibrated_scores_have_mean_0_and_spread_1(model: str) -> None:
    """P7: on the very replies they were calibrated on, and calibrating twice is calibrating once."""
    backbone, asked = ready_for_reward(model), []

    def noted(*args):
        asked.append(args)
        return score_replies(*args)

    recipe = REWARD.replace(calibration=32)
    with mock.patch.object(reward, "score_replies", noted):
        first = reward.calibrate(backbone, PROMPTS, recipe)
    scores = score_replies(*asked[0])
    assert float(scores.mean()) == pytest.approx(0, abs=1e-4) and float(scores.std()) == pytest.approx(1, abs=1e-4)
    assert reward.calibrate(backbone, PROMPTS, recipe) == pytest.approx(first, rel=1e-5)


def the_reward_run_moves_its_adapter_and_head_alone(model: str) -> None:
    """P8: and dropout is off: two runs after different random numbers end alike (P14)."""
    ends = []
    for seed in (1, 2):
        backbone = ready_for_reward(model)
        before = digests(backbone)
        torch.manual_seed(seed)
        steps = list(reward.train(REWARD, backbone, rankings(), PROMPTS))
        ends.append((digests(backbone), numbers_of(steps)))
        assert {name for name in before if before[name] != ends[-1][0][name]} == {"reward"}
    assert ends[0] == ends[1]


# --- exact resume


def sft_run(model: str) -> tuple[Backbone, Begin, list[str]]:
    backbone, recipe = Backbone(model, "fp32"), SftRecipe(**{**vars(SFT), "model": model, "dropout": 0.1})
    sft.load(recipe, backbone, None)
    return backbone, lambda state: sft.train(recipe, backbone, DEMONSTRATIONS, state=state), ["policy"]


def reward_run(model: str) -> tuple[Backbone, Begin, list[str]]:
    backbone, recipe = ready_for_reward(model), RewardRecipe(**vars(REWARD))
    return backbone, lambda state: reward.train(recipe, backbone, rankings(), PROMPTS, state=state), ["reward"]


def ppo_run(model: str) -> tuple[Backbone, Begin, list[str]]:
    backbone = with_four_roles(model)
    return backbone, lambda state: ppo.train(PPO, backbone, PROMPTS, Aside(PROMPTS[:2]), state=state), ["policy", "value"]


def copied(state: State) -> State:
    return State(state.step, {name: tensor.clone() for name, tensor in state.tensors.items()}, dict(state.numbers))


def resumes_bit_for_bit(setting: Callable[[str], tuple[Backbone, Begin, list[str]]], model: str) -> None:
    """P18: left after any step and taken up in a new process, a run ends where the uninterrupted one ends."""

    def weights() -> str:
        return digest(t for role in roles for t in backbone.tensors(role).values())

    def disturb() -> None:  # a new process knows nothing of the old one's random numbers
        torch.manual_seed(99)
        random.seed(99)

    backbone, begin, roles = setting(model)
    whole, states = [], []
    for step in begin(None):
        whole.append(step)
        states.append(copied(step.state()) if step.state else None)
    ended = weights()
    for at, state in enumerate(states, start=1):
        if state is not None:
            disturb()
            backbone, begin, roles = setting(model)
            assert numbers_of(list(begin(state))) == numbers_of(whole[at:])
            assert weights() == ended


def sft_resumes_bit_for_bit(model: str) -> None:
    resumes_bit_for_bit(sft_run, model)


def the_reward_run_resumes_bit_for_bit(model: str) -> None:
    resumes_bit_for_bit(reward_run, model)


def ppo_resumes_bit_for_bit(model: str) -> None:
    resumes_bit_for_bit(ppo_run, model)


LEARNING_CLAIMS = [
    sft_trains_the_answers_and_their_ends, sft_weighs_every_token_alike, sft_moves_its_adapter_alone, the_reward_model_starts_at_ln_2,
    the_order_of_replies_changes_no_number, the_reward_model_learns_who_was_ranked_first, calibrated_scores_have_mean_0_and_spread_1,
    the_reward_run_moves_its_adapter_and_head_alone, sft_resumes_bit_for_bit, the_reward_run_resumes_bit_for_bit, ppo_resumes_bit_for_bit,
]  # fmt: skip
