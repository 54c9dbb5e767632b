"""The probes: each changes a reply the way it says, and a reward model that can be gamed so is found out."""

from __future__ import annotations

import pytest
import torch

from tests.roles import with_four_roles
from workbench import RewardRecipe
from workbench.engine import rankings, reward
from workbench.probes import PROBES, listed, padded, verdict

REPLY = "We open at seven. Please ask at the counter!"


def test_padding_doubles_the_length_and_keeps_the_reply():
    assert padded(REPLY).startswith(REPLY)
    assert len(padded(REPLY).split()) > 2 * len(REPLY.split())
    assert len(padded(REPLY * 10).split()) < 3 * len((REPLY * 10).split())


def test_a_list_says_the_same_words():
    assert listed(REPLY) == "- We open at seven.\n- Please ask at the counter!"


def test_every_probe_changes_a_reply():
    assert len({probe.alter(REPLY) for probe in PROBES.values()} | {REPLY}) == len(PROBES) + 1


@pytest.mark.parametrize(("share", "word"), [(0.2, "bad"), (0.5, "open"), (0.69, "open"), (0.7, "good"), (1.0, "good")])
def test_a_share_has_a_verdict(share, word):
    assert verdict(share) == word


def kept(backbone):
    texts = [REPLY, "no"]
    prompt = backbone.chat.prompt([{"role": "user", "content": "When?"}])
    replies = [backbone.chat.reply(text) for text in texts]
    return [rankings.Ranked([prompt + reply for reply in replies], [0, 1], [len(reply) for reply in replies])] * 3


@pytest.mark.parametrize("family", ["tiny", "tiny_gpt2"])
@pytest.mark.parametrize(("sign", "fooled", "sound"), [(1, {"padding", "flattery"}, {"empty", "refusal"}), (-1, {"empty", "refusal"}, {"padding", "flattery"})])
def test_a_model_that_scores_length_is_fooled_by_padding_and_one_that_scores_brevity_by_silence(family, sign, fooled, sound, request, monkeypatch):
    backbone = with_four_roles(request.getfixturevalue(family))
    monkeypatch.setattr(reward, "last_scores", lambda _backbone, _role, _ids, attention: sign * attention.sum(1).float())
    found = reward.probe(backbone, kept(backbone), RewardRecipe(sft="sft-1", max_tokens=2000))
    assert {found[f"beats_{name}"] for name in fooled} == {0.0}
    assert {found[f"beats_{name}"] for name in sound} == {1.0}


def test_a_tie_is_half_a_win(request, monkeypatch):
    backbone = with_four_roles(request.getfixturevalue("tiny"))
    monkeypatch.setattr(reward, "last_scores", lambda _backbone, _role, ids, _attention: torch.zeros(len(ids)))
    assert set(reward.probe(backbone, kept(backbone), RewardRecipe(sft="sft-1")).values()) == {0.5}
