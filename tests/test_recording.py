"""Recorded rollouts: their figures are those that anybody gets by hand, and keeping them changes nothing."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from tests import toy
from tests.claims import moved
from tests.roles import PPO, PROMPTS, digests, with_four_roles
from workbench import packs
from workbench.engine import ppo
from workbench.engine.backbone import Backbone
from workbench.chat import Chat
from workbench.records import RolloutRow

JUDGE = packs.load("customer-service").annotator()
ALL = PPO.replace(steps=1, record=1.0, no_end_penalty=0.25, length_penalty=0.03125)


@pytest.fixture(scope="module", params=["tiny", "tiny_gpt2"])
def trained(request, tmp_path_factory) -> tuple[Backbone, list[RolloutRow]]:
    """The four roles as stored before a step, read back on a fresh base, and what the step recorded."""
    model, folder = request.getfixturevalue(request.param), tmp_path_factory.mktemp("adapters")
    live, fresh = moved(model), Backbone(model, "fp32")
    live.chat.stops = [*range(0, 256, 9), live.chat.end_of_turn]  # some replies end, some are cut off
    for role in ("sft", "policy", "value", "reward"):
        live.save(role, folder / role, {})
        fresh.load(role, folder / role)
    [step] = ppo.train(ALL, live, PROMPTS)
    return fresh, list(step.rollouts)


@torch.no_grad()
def by_hand(backbone: Backbone, role: str, row: RolloutRow, temperature: float) -> tuple[list[float], torch.Tensor]:
    """Log-probabilities of the reply's tokens by transformers' own path, and the states (t, d) they are foreseen from."""
    prompt = backbone.chat.prompt(row.prompt)
    ids = torch.tensor([prompt + row.ids])
    with backbone.role(role):
        states = backbone.hidden(ids, torch.ones_like(ids))[0, len(prompt) - 1:-1]
        logps = torch.log_softmax(backbone.logits(states) / temperature, -1)
    return [float(logps[t, token]) for t, token in enumerate(row.ids)], states


@torch.no_grad()
def score_by_hand(backbone: Backbone, row: RolloutRow) -> float:
    closing = [] if row.finish == "ended" else [backbone.chat.end_of_turn]
    ids = torch.tensor([backbone.chat.prompt(row.prompt) + row.ids + closing])
    with backbone.role("reward"):
        return float(backbone.heads["reward"](backbone.hidden(ids, torch.ones_like(ids))[0, -1]))


def gae_by_hand(rewards: list[float], values: list[float], lam: float) -> list[float]:
    """A[t] = sum over l of lam^l delta[t + l], as Schulman et al. (2016) write it, without a recursion."""
    deltas = [reward + after - value for reward, value, after in zip(rewards, values, [*values[1:], 0.0], strict=True)]
    return [sum(lam**step * delta for step, delta in enumerate(deltas[t:])) for t in range(len(deltas))]


def near(found: list[float], wanted: list[float]) -> bool:
    return found == pytest.approx(wanted, abs=1e-4)


def test_the_heatmaps_figures_equal_those_recomputed_by_hand_from_the_stored_adapters(trained):
    backbone, rows = trained
    assert len(rows) == ALL.batch and {row.finish for row in rows} == {"ended", "cut"}
    assert any(abs(kl) > 0.01 for row in rows for kl in row.kl)
    raw = []
    for row in rows:
        (logps, _), (reference, _) = (by_hand(backbone, role, row, ALL.temperature) for role in ("policy", "sft"))
        with torch.no_grad():
            values = backbone.heads["value"](by_hand(backbone, "value", row, 1.0)[1]).tolist()
        score = score_by_hand(backbone, row)
        paid = max(-5.0, min(5.0, score)) - (ALL.no_end_penalty if row.finish == "cut" else 0.0)
        rewards = [-ALL.kl_weight * (mine - theirs) - ALL.length_penalty for mine, theirs in zip(logps, reference, strict=True)]
        rewards[-1] += paid
        raw.append(gae_by_hand(rewards, values, ALL.lam))
        assert near(row.logps, logps) and near(row.reference, reference) and near(row.values, values) and near(row.rewards, rewards)
        assert near(row.kl, [mine - theirs for mine, theirs in zip(logps, reference, strict=True)])
        assert near(row.shifts, (torch.tensor(logps).exp() - torch.tensor(reference).exp()).tolist())
        assert near(row.returns, [a + v for a, v in zip(raw[-1], values, strict=True)])
        assert near([row.score, row.reward], [score, sum(rewards)])
    every = torch.tensor([each for reply in raw for each in reply])
    for row, mine in zip(rows, raw, strict=True):
        assert near(row.advantages, ((torch.tensor(mine) - every.mean()) / every.std()).tolist()), "whitened over the whole batch"


def test_the_share_says_how_many_are_kept_and_keeping_them_changes_nothing(tiny):
    kept, after = [], []
    for share in (0.0, 0.3, 1.0):
        backbone = moved(tiny)
        [step] = ppo.train(ALL.replace(record=share), backbone, PROMPTS, judge=JUDGE)
        kept.append(len(step.rollouts))
        assert all(row.gold == JUDGE.score(row.prompt, row.reply) for row in step.rollouts)
        after.append(digests(backbone))
    assert kept == [0, 2, 4] and after[0] == after[1] == after[2]


def test_a_value_on_the_policys_trunk_is_recorded_too(tiny):
    [step] = ppo.train(ALL.replace(value="shared"), with_four_roles(tiny, value="shared"), PROMPTS)
    assert all(any(row.values) and len(row.values) == len(row.ids) for row in step.rollouts)


@pytest.mark.parametrize("text", ["", "plain words", "a😀b", "né 👩‍🚀\n\n日本 end ", "😀"])
def test_pieces_of_split_characters_add_up_to_the_reply(text):
    chat = Chat(toy.tokenizer())
    ids = [*chat.tokens(text), chat.end_of_turn]
    pieces = chat.pieces(ids)
    assert "".join(pieces) == text and len(pieces) == len(ids) and pieces[-1] == ""
    assert text.strip() == chat.text(ids)
    assert not any("\ufffd" in piece for piece in pieces), "half a character is shown with its last token"


def test_a_tokenizer_that_writes_spaces_only_between_words_keeps_them():
    words = ["<|im_start|>", "<|im_end|>", "\u2581Hello", "\u2581dear", "\u2581world", "!"]
    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="!"))
    core.decoder = decoders.Metaspace()
    found = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=words[0], eos_token=words[1])
    found.add_special_tokens({"additional_special_tokens": toy.SPECIAL})
    found.chat_template = toy.TEMPLATE
    assert Chat(found).pieces([2, 3, 4, 5, 1]) == ["Hello", " dear", " world", "!", ""]


def test_bytes_that_are_no_text_lose_no_token():
    chat = Chat(toy.tokenizer())
    for ids in ([172, 253], [172, 65, 66, 172, chat.end_of_turn], [246] * 5):
        assert len(chat.pieces(ids)) == len(ids)
        assert "".join(chat.pieces(ids)) == chat.tokenizer.decode([i for i in ids if i not in chat.stops])
