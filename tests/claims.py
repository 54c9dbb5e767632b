"""What must hold of PPO on any model, as claims: each takes a model and asserts.

They pass on the engine (test_properties.py) and fail when a bug is planted in it (test_engine_mutants.py). The numbers in
brackets are those of the reference notes' properties, P1 to P17.
"""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import Tensor

from tests.roles import PPO, PROMPTS, digests, replies_of, stir, with_four_roles
from workbench.engine import ppo, sampling, scoring
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator
from workbench.engine.rollout import Rollout, closed
from workbench.engine.sampling import Replies
from workbench.engine.stepper import Stepper
from workbench.recipes import PpoRecipe

ASKED = [[5, 6, 7, 8], [9], [10, 11]]
SAID = [[20, 21, 22], [23, 0, 24, 25, 26], [27, 28]]  # the 0 is a word like any other, though padding is written as 0 too
CUT_OFF = 1  # the row that reached the limit; the others end with their stop
TEMPERATURE = 0.7
FIXED = PPO.replace(batch=3, minibatch=3, micro_batch=3, epochs=1, temperature=TEMPERATURE, no_end_penalty=0.25)
T = torch.tensor


def fixed_replies(backbone: Backbone, prompt_padding: int = 0, reply_padding: int = 0) -> Replies:
    said = [row if place == CUT_OFF else [*row, backbone.chat.end_of_turn] for place, row in enumerate(SAID)]
    return replies_of(ASKED, said, [place != CUT_OFF for place in range(3)], 4 + prompt_padding, 5 + reply_padding)


def collected(backbone: Backbone, replies: Replies | None = None, recipe: PpoRecipe = FIXED) -> tuple[Rollout, dict[str, float]]:
    """A real rollout, of the given replies if any."""
    batch = (PROMPTS * recipe.batch)[: recipe.batch]
    if replies is None:
        return ppo.collect(backbone, batch, recipe, 1)
    with mock.patch.object(sampling, "answer", lambda *args, **kwargs: replies):
        return ppo.collect(backbone, batch, recipe, 1)


def improved(backbone: Backbone, rollout: Rollout, recipe: PpoRecipe = FIXED) -> dict[str, float]:
    policy, value = Stepper(backbone, "policy", recipe.lr, 100, 0.0), Stepper(backbone, "value", recipe.value_lr, 100, 0.0)
    return ppo.improve(backbone, policy, value, rollout, recipe, 1)


def moved(model: str, precision: str = "fp32") -> Backbone:
    """Four roles of which no two speak alike."""
    found = with_four_roles(model, precision)
    for seed, role in enumerate(("policy", "reward", "value")):
        stir(found, role, seed)
    return found


@torch.no_grad()
def alone(backbone: Backbone, role: str, row: list[int]) -> Tensor:
    """Hidden states (t, d) of one row without any padding."""
    with backbone.role(role):
        return backbone.hidden(T([row]), torch.ones(1, len(row), dtype=torch.long))[0]


@torch.no_grad()
def logps_alone(backbone: Backbone, role: str, prompt: list[int], said: list[int], temperature: float = TEMPERATURE) -> Tensor:
    logits = backbone.logits(alone(backbone, role, prompt + said)[len(prompt) - 1 : -1]) / temperature
    return torch.log_softmax(logits, -1)[torch.arange(len(said)), said]


def near(found: Tensor, expected: Tensor, within: float = 1e-4) -> None:
    torch.testing.assert_close(found, expected, rtol=within, atol=within)


# --- the start


def the_first_drift_is_0(model: str) -> None:
    """P1: the reference is where the policy starts."""
    for precision in ("fp32", "bf16"):
        assert next(ppo.train(PPO, with_four_roles(model, precision), PROMPTS)).numbers["kl_seq"] == 0.0


def the_first_ratio_is_1(model: str) -> None:
    """P2: old and new log-probabilities come from the same path."""
    for precision in ("fp32", "bf16"):
        recipe = PPO.replace(temperature=TEMPERATURE)
        first = next(ppo.train(recipe, with_four_roles(model, precision), PROMPTS)).numbers["first_ratio_dev"]
        assert first == 0.0 if precision == "fp32" else first < 2e-3


def the_value_starts_as_the_reward(model: str) -> None:
    """The value head is a folded copy: on the whole reply it says what the reward model says."""
    backbone = with_four_roles(model)
    backbone.heads["reward"].calibrate(0.3, 0.02)
    backbone.add_head("value", seed=0, copy_of="reward")
    state = alone(backbone, "value", [5, 6, 7])
    near(backbone.heads["value"](state), backbone.heads["reward"](alone(backbone, "reward", [5, 6, 7])))


# --- a rollout


def log_probabilities_are_those_of_the_row_alone(model: str) -> None:
    """P3, P4, P15: whatever the padding on either side, and at the sampling temperature."""
    backbone = moved(model)
    for padding in (0, 1, 4, 9):
        replies = fixed_replies(backbone, padding, padding)
        rollout, _ = collected(backbone, replies)
        for row, prompt in enumerate(ASKED):
            said = replies.tokens(row)
            for found, role in ((rollout.logps, "policy"), (rollout.reference, "sft")):
                near(found[row, : len(said)], logps_alone(backbone, role, prompt, said))
                assert not found[row, len(said) :].any()


def values_are_those_of_the_state_before_each_token(model: str) -> None:
    """P3: and the one before the first token is the prompt's."""
    backbone = moved(model)
    for padding in (0, 1, 4, 9):
        replies = fixed_replies(backbone, padding, padding)
        rollout, _ = collected(backbone, replies)
        for row, prompt in enumerate(ASKED):
            said = replies.tokens(row)
            states = alone(backbone, "value", prompt + said)[len(prompt) - 1 : -1]
            near(rollout.values[row, : len(said)], backbone.heads["value"](states), 1e-3)


def scores_are_read_at_the_closing_end_of_turn(model: str) -> None:
    """P3, P4, P15: of every reply, also of one that was cut off, whatever the padding and the temperature."""
    backbone = moved(model)
    stop = backbone.chat.end_of_turn
    rows = [prompt + said + [stop] for prompt, said in zip(ASKED, SAID, strict=True)]
    expected = torch.stack([backbone.heads["reward"](alone(backbone, "reward", row)[-1]) for row in rows])
    expected = expected.clamp(-5, 5) - T([0.0, 0.25, 0.0])
    for temperature, padding in ((0.7, 0), (0.7, 9), (2.0, 1)):
        recipe = FIXED.replace(temperature=temperature)
        near(collected(backbone, fixed_replies(backbone, padding, padding), recipe)[0].score, expected, 1e-3)


def drift_counts_every_real_token_once(model: str) -> None:
    """P5: kl_seq is the mean over replies of the summed log-ratio, kl_tok that sum over the number of tokens."""
    backbone = moved(model)
    replies = fixed_replies(backbone, reply_padding=4)
    numbers = collected(backbone, replies)[1]
    rows = [(prompt, replies.tokens(row)) for row, prompt in enumerate(ASKED)]
    sums = torch.stack([(logps_alone(backbone, "policy", *row) - logps_alone(backbone, "sft", *row)).sum() for row in rows])
    assert numbers["kl_seq"] == pytest.approx(float(sums.mean()), abs=1e-4)
    assert numbers["kl_tok"] == pytest.approx(float(sums.sum()) / sum(len(said) for _, said in rows), abs=1e-4)


def every_reply_ends_with_its_first_stop(model: str) -> None:
    """P13, P17: the stop counts as a token, any stop will do, and only a reply without one pays the penalty."""
    backbone = with_four_roles(model)
    backbone.chat.stops = sorted({*range(3, 250, 23), backbone.chat.end_of_turn})
    backbone.heads["reward"].linear.weight.data.zero_()
    recipe = PPO.replace(batch=192, minibatch=192, micro_batch=192, reply_tokens=24, temperature=5.0, no_end_penalty=0.5)
    rollout, _ = collected(backbone, recipe=recipe)
    ids = rollout.rows.ids[:, -rollout.mask.shape[1] - 1 : -1]
    is_stop = torch.isin(ids, T(backbone.chat.stops))
    for row, stops in enumerate(is_stop):
        places = stops.nonzero().flatten().tolist()
        length = places[0] + 1 if places else recipe.reply_tokens
        assert rollout.mask[row].tolist() == [1] * length + [0] * (len(stops) - length)
        assert bool(rollout.ended[row]) == bool(places)
        near(rollout.score[row], T(0.0 if places else -0.5))
    assert ((ids == 0) & rollout.mask.bool()).any(), "a reply must say token 0 for this to mean anything"


def rewards_are_credited_as_worked_by_hand(model: str) -> None:
    """Score on the last token, drift at each, returns summed from the end: the same table for every model."""
    said = replies_of([[5], [5]], [[6, 7, 8], [6, 7]], [True, False], width=4)
    logps, reference = T([[-1.0, -2.0, -0.5, 0.0], [-0.7, -1.1, 0.0, 0.0]]), T([[-1.2, -1.5, -0.9, 0.0], [-0.7, -1.6, 0.0, 0.0]])
    values, score = T([[0.5, 0.6, 0.7, 3.0], [0.2, 0.4, 9.0, -2.0]]), T([1.0, -0.5])
    recipe = FIXED.replace(kl_weight=0.1, lam=1.0)
    found = ppo.credit(closed(said, 257), said.ended, logps, reference, values, score, recipe)
    near(found.score, T([1.0, -0.75]), 1e-6)
    near(found.returns, T([[0.99, 1.01, 0.96, 0.0], [-0.80, -0.80, 0.0, 0.0]]), 1e-6)
    raw = (found.returns - values)[found.mask.bool()]
    near(found.advantages[found.mask.bool()], (raw - raw.mean()) / raw.std(), 1e-5)
    assert not found.advantages[~found.mask.bool()].any()
    half = ppo.credit(closed(said, 257), said.ended, logps, reference, values, score, recipe.replace(lam=0.5))
    near(half.returns, T([[0.72, 0.88, 0.96, 0.0], [-0.20, -0.80, 0.0, 0.0]]), 1e-6)


# --- replies


def replies_are_pure_samples_of_the_softmax(model: str) -> None:
    """P16: chi square of the first token over 20,000 draws; the model's own sampling settings are ignored."""
    backbone = moved(model)
    backbone.base.generation_config.top_k = 20
    draws, prompt = 20_000, [5, 6]
    with backbone.role("policy"):
        first = sampling.answer(backbone, [prompt] * draws, 1, TEMPERATURE, generator(1)).ids[:, 0]
    with torch.no_grad():
        expected = torch.softmax(backbone.logits(alone(backbone, "policy", prompt)[-1]) / TEMPERATURE, -1) * draws
    seen = torch.bincount(first, minlength=len(expected)).float()
    often = expected >= 5
    seen, expected = (torch.cat([x[often], x[~often].sum().reshape(1)]) for x in (seen, expected))
    freedom = len(expected) - 1
    chi2 = float(((seen - expected).square() / expected.clamp(min=1e-9)).sum())
    assert chi2 < freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3, "p < 0.001 (Wilson and Hilferty)"


def generation_and_training_agree_on_log_probabilities(model: str) -> None:
    """The distribution that is sampled is the one that is scored, also for rows that go on when others have ended."""
    backbone = moved(model)
    backbone.chat.stops = sorted({*range(3, 250, 23), backbone.chat.end_of_turn})
    rollout, numbers = collected(backbone, recipe=PPO.replace(batch=16, minibatch=16, micro_batch=16, reply_tokens=24, temperature=TEMPERATURE))
    assert len(set(rollout.mask.sum(1).tolist())) > 4, "replies must differ in length for this to mean anything"
    assert numbers["generation_mismatch"] < 1e-4


# --- an update


def what_stands_after_the_end_influences_nothing(model: str) -> None:
    """P13: neither other words there nor more room for them."""
    found = []
    for junk, padding in ((False, 2), (True, 2), (False, 6)):
        backbone = moved(model)
        replies = fixed_replies(backbone, reply_padding=padding)
        if junk:
            noise = torch.randint(1, 200, replies.ids.shape, generator=generator(1))
            replies = replies._replace(ids=torch.where(replies.mask.bool(), replies.ids, noise))
        rollout, _ = collected(backbone, replies)
        numbers = improved(backbone, rollout)
        kept = {name: getattr(rollout, name)[rollout.mask.bool()] for name in ("logps", "values", "advantages", "returns")}
        found.append((kept, numbers, digests(backbone)))
    plain, soiled, wider = found
    assert all(torch.equal(soiled[0][name], plain[0][name]) for name in plain[0])
    assert soiled[1:] == plain[1:]
    for name in plain[0]:
        near(wider[0][name], plain[0][name], 1e-3)
    assert wider[1] == pytest.approx(plain[1], rel=1e-3, abs=1e-4)


def the_micro_batch_changes_no_number(model: str) -> None:
    """P12: memory differs, results do not; and by P2's second half no first ratio strays beyond 1e-3."""
    found = []
    for size in (4, 2, 1):
        backbone = moved(model)
        recipe = PPO.replace(batch=4, minibatch=4, micro_batch=4, epochs=1, reply_tokens=8)
        rollout, _ = collected(backbone, recipe=recipe)
        assert len(set(rollout.mask.sum(1).tolist())) > 1, "replies must differ in length for this to mean anything"
        found.append(improved(backbone, rollout, recipe.replace(micro_batch=size)))
        assert found[-1]["first_ratio_dev"] < 1e-3
    for numbers in found[1:]:
        assert numbers == pytest.approx(found[0], rel=1e-4, abs=1e-5)


def an_update_makes_the_better_reply_likelier(model: str) -> None:
    """The sign of everything, end to end: the reply with the higher score gains on the one with the lower."""
    backbone = moved(model)
    for p in backbone.heads["value"].parameters():
        p.data.zero_()
    replies = fixed_replies(backbone)
    with mock.patch.object(scoring, "score_replies", lambda *args: T([3.0, 0.0, -3.0])):
        rollout, _ = collected(backbone, replies, FIXED.replace(kl_weight=0.0, no_end_penalty=0.0))

    def lead() -> float:
        best, worst = (logps_alone(backbone, "policy", ASKED[row], replies.tokens(row)).mean() for row in (0, 2))
        return float(best - worst)

    before = lead()
    improved(backbone, rollout, FIXED.replace(lr=5e-3, target_kl=0.0))
    assert lead() > before + 1e-3


def only_policy_and_value_move(model: str) -> None:
    """P8: and each by its own update alone; the base and the frozen roles stay as they are to the last bit."""
    for lr, value_lr, movers in ((1e-3, 1e-3, {"policy", "value"}), (1e-3, 0.0, {"policy"}), (0.0, 1e-3, {"value"})):
        backbone = with_four_roles(model)
        before = digests(backbone)
        next(ppo.train(PPO.replace(lr=lr, value_lr=value_lr), backbone, PROMPTS))
        after = digests(backbone)
        assert {name for name in before if before[name] != after[name]} == movers


def nothing_is_left_to_chance_in_an_update(model: str) -> None:
    """P14: dropout is off, so the same rollout teaches the same to the last bit."""
    found = []
    for seed in (1, 2):
        backbone = with_four_roles(model)
        rollout, _ = collected(backbone, fixed_replies(backbone))
        torch.manual_seed(seed)
        found.append((improved(backbone, rollout), digests(backbone)))
    assert found[0] == found[1]


PPO_CLAIMS = [
    the_first_drift_is_0, the_first_ratio_is_1, the_value_starts_as_the_reward, log_probabilities_are_those_of_the_row_alone,
    values_are_those_of_the_state_before_each_token, scores_are_read_at_the_closing_end_of_turn, drift_counts_every_real_token_once,
    every_reply_ends_with_its_first_stop, rewards_are_credited_as_worked_by_hand, replies_are_pure_samples_of_the_softmax,
    generation_and_training_agree_on_log_probabilities, what_stands_after_the_end_influences_nothing, the_micro_batch_changes_no_number,
    an_update_makes_the_better_reply_likelier, only_policy_and_value_move, nothing_is_left_to_chance_in_an_update,
]  # fmt: skip
