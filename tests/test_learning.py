"""The stages learn what they are for, on a model with relative positions and on one with absolute ones."""

from __future__ import annotations

import random

import pytest

from tests.roles import DEMONSTRATIONS, FAMILIES, PPO, PROMPTS, REWARD, SFT, TALKS, ready_for_reward, with_four_roles
from workbench import agreement, trust
from workbench.corpus import Preference
from workbench.engine import ppo, reward, sampling, scoring, sft
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator
from workbench.engine.step import Step
from workbench.verdict import Verdict, verdict


@pytest.fixture(params=FAMILIES)
def model(request) -> str:
    return request.getfixturevalue(request.param)


def with_flat_value(model: str) -> Backbone:
    found = with_four_roles(model)
    for p in found.heads["value"].parameters():
        p.data.zero_()
    return found


def test_ppo_raises_a_reward_that_counts_a_letter_and_the_value_learns_to_foresee_it(model, monkeypatch):
    """L3, L5"""
    backbone = with_flat_value(model)
    letter = backbone.chat.tokens("e")[0]

    def share(_backbone, _role, rows, _size):
        said = rows.ids[:, -rows.mask.shape[1] - 1 : -1]
        return ((said == letter) * rows.mask).sum(1) / 8 * 10

    monkeypatch.setattr(scoring, "score_replies", share)
    recipe = PPO.replace(steps=18, batch=64, minibatch=32, micro_batch=32, lr=1e-2, value_lr=1e-2, no_end_penalty=0.0, target_kl=0.0, sample_every=1000)
    steps = list(ppo.train(recipe, backbone, PROMPTS))
    scores = [step.numbers["score"] for step in steps]
    assert sum(scores[-3:]) / 3 > 4 * max(scores[0], 0.1)
    assert steps[-1].numbers["explained_variance"] > 0.15


def test_a_huge_kl_weight_keeps_the_policy_where_it_is(model):
    """L4"""
    steps = list(ppo.train(PPO.replace(kl_weight=1000.0, lr=1e-4, steps=6), with_four_roles(model), PROMPTS))
    assert abs(steps[-1].numbers["kl_seq"]) < 0.05


def ranked_by_z(is_shuffled: bool) -> list[Preference]:
    """Random words of six letters; the more often "z" is among them the better, or so it is when the ranks are not shuffled."""
    chance, found = random.Random(0), []
    for place in range(48):
        replies = sorted({"".join(chance.choice("xyz") for _ in range(6)) for _ in range(4)})
        merits = [reply.count("z") for reply in replies]
        if is_shuffled:
            chance.shuffle(merits)
        ranking = [[i for i, merit in enumerate(merits) if merit == each] for each in sorted(set(merits), reverse=True)]
        found.append(Preference([{"role": "user", "content": f"say {place}"}], replies, ranking))
    return found


def learned_from(model: str, rows: list[Preference]) -> Step:
    """The step in which a reward run on these rankings calibrates."""
    recipe = REWARD.replace(epochs=8, lr=1e-2, batch=8, micro_batch=32, held_out=0.25, eval_every=100)
    return list(reward.train(recipe, ready_for_reward(model), rows, PROMPTS))[-1]


def worth(last: Step) -> Verdict:
    return verdict(trust.trust(last.held_out, agreement.Ceiling(**last.summary["ceiling"]), {}))


def test_the_reward_model_learns_an_order_and_nothing_from_shuffled_ranks(model):
    """L6: accuracy on words it never saw, and what is said of it."""
    accuracy, said = {}, {}
    for is_shuffled in (False, True):
        last = learned_from(model, ranked_by_z(is_shuffled))
        accuracy[is_shuffled], said[is_shuffled] = last.summary["eval_accuracy"], worth(last)
    assert accuracy[False] > 0.95 and accuracy[True] < 0.75
    assert said[False].headline.startswith("Right on") and "Worthless as a reward" in said[True].headline and said[True].worst == "bad"


def test_a_reward_model_of_a_planted_length_bias_is_named_in_words(tiny):
    """The longer reply always wins; nothing else differs."""
    chance = random.Random(0)
    rows = [Preference([{"role": "user", "content": f"say {place}"}], replies := ["".join(chance.choice("xyz") for _ in range(n)) for n in chance.sample(range(1, 24), 4)],
                       [[i] for i in sorted(range(4), key=lambda i: -len(replies[i]))]) for place in range(48)]
    last = learned_from(tiny, rows)
    found = worth(last)
    assert found.worst == "bad" and found.headline.startswith("It has learned length: a ruler would do.")
    assert "Right on 9" in found.headline and 'the rule "the longer wins" on 100 %' in found.headline


def test_sft_learns_its_demonstrations_by_heart_and_learns_to_stop(model):
    """L7: judged by what it says, not by the loss."""
    backbone = Backbone(model, "fp32")
    recipe = SFT.replace(model=model, steps=100, batch=4, micro_batch=4, lr=1e-2, held_out=0.0, eval_every=1000, warmup=0.0)
    sft.load(recipe, backbone, None)
    list(sft.train(recipe, backbone, DEMONSTRATIONS))
    with backbone.role("policy"):
        replies = sampling.answer(backbone, [backbone.chat.prompt(d.messages[:1]) for d in DEMONSTRATIONS], 12, 0, generator(0))
    assert [backbone.chat.text(replies.tokens(i)) for i in range(4)] == [b for _, b in TALKS]
    assert bool(replies.ended.all())
