"""Plausible bugs in the engine are caught: with one planted, the real stage on the toy model fails a claim it else passes.

`pytest -m mutants` runs these and those of test_mutants.py, and prints which bug was caught by what.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch

from tests import bugs
from tests import bugs_learning as slips
from tests import claims as hold
from tests import claims_learning as learn
from tests import claims_thrift as thrift
from tests.bugs import Plant, answers, around, dropout_on
from tests.bugs_learning import relabelled
from workbench.engine import layout, maths, ppo, rollout, sampling, scoring, sft, streams, trunk
from workbench.engine.backbone import Backbone, Head
from workbench.engine.rollout import Rows
from workbench.engine.stepper import Stepper
from workbench.engine.trunk import Cache
from workbench.errors import WorkbenchError

pytestmark = pytest.mark.mutants


class Bug(NamedTuple):
    """What is wrong, how to make it so, the claim that must notice, and the model on which it shows."""

    what: str
    plant: Plant
    caught_by: Callable[[str], None]
    family: str = "tiny"


def instead(owner: object, name: str, wrong: object) -> Plant:
    return lambda patch: patch.setattr(owner, name, wrong)


ROLES = [
    Bug("dropout left on", dropout_on(False, "policy"), hold.the_first_drift_is_0),
    Bug("dropout on while training", dropout_on(True, "policy"), hold.the_first_ratio_is_1),
    Bug("dropout on while training the value", dropout_on(True, "value"), hold.nothing_is_left_to_chance_in_an_update),
    Bug("dropout on while training the reward", dropout_on(True, "reward"), learn.the_reward_run_moves_its_adapter_and_head_alone),
    Bug("reference is the base, not the SFT adapter", around(ppo, "score_tokens", bugs.reference_is_the_base), hold.the_first_drift_is_0),
    Bug("policy starts fresh, not as a copy", around(Backbone, "copy", bugs.policy_not_copied), hold.the_first_drift_is_0),
    Bug("roles switched between forward and backward", bugs.roles_switched_before_backward, hold.only_policy_and_value_move),
    Bug("value's optimiser holds the policy", around(Stepper, "__init__", bugs.optimiser_of_the_wrong_role), hold.only_policy_and_value_move),
    Bug("value head copied without its calibration", instead(Head, "fold", bugs.head_copied_without_its_calibration), hold.the_value_starts_as_the_reward),
]
READING = [
    Bug("positions counted from the padding", around(Backbone, "hidden", bugs.positions_counted_from_the_padding),
        hold.log_probabilities_are_those_of_the_row_alone, "tiny_gpt2"),
    Bug("positions counted from the padding (values)", around(Backbone, "hidden", bugs.positions_counted_from_the_padding),
        hold.values_are_those_of_the_state_before_each_token, "tiny_gpt2"),
    Bug("attention mask missing", bugs.attention_mask_missing, hold.log_probabilities_are_those_of_the_row_alone),
    Bug("attention mask missing (absolute positions)", bugs.attention_mask_missing,
        hold.log_probabilities_are_those_of_the_row_alone, "tiny_gpt2"),
    Bug("score read without the closing end of turn", around(scoring, "score_replies", bugs.score_without_closing_end),
        hold.scores_are_read_at_the_closing_end_of_turn),
    Bug("score read at the last token that is not pad", around(rollout, "last_scores", bugs.last_place_by_token),
        hold.scores_are_read_at_the_closing_end_of_turn),
    Bug("score read in the last column", instead(rollout, "last_scores", bugs.last_column), hold.scores_are_read_at_the_closing_end_of_turn),
    Bug("value read one token late", around(ppo, "credit", bugs.values_one_token_late), hold.values_are_those_of_the_state_before_each_token),
]
REPLIES = [
    Bug("end of turn left out of the mask", answers(bugs.end_not_in_the_mask), hold.every_reply_ends_with_its_first_stop),
    Bug("mask from ids != pad", around(ppo, "closed", bugs.mask_from_the_pad_token), hold.every_reply_ends_with_its_first_stop),
    Bug("mask beyond the end", answers(bugs.mask_beyond_the_end), hold.every_reply_ends_with_its_first_stop),
    Bug("only one of several stops ends a reply", answers(bugs.only_one_stop_counts), hold.every_reply_ends_with_its_first_stop),
    Bug("the model's top_k leaks into generation", around(sampling, "pick", bugs.top_k), hold.replies_are_pure_samples_of_the_softmax),
    Bug("temperature forgotten in generation", around(sampling, "answer", bugs.temperature_forgotten_in_generation),
        hold.replies_are_pure_samples_of_the_softmax),
    Bug("sampled at another temperature than scored", around(sampling, "answer", bugs.temperature_forgotten_in_generation),
        hold.generation_and_training_agree_on_log_probabilities),
    Bug("temperature forgotten in the update", around(Backbone, "read", bugs.temperature_forgotten_in_the_update), hold.the_first_ratio_is_1),
    Bug("old log-probabilities taken from the decoder", bugs.old_logps_of_the_decoder, hold.the_first_ratio_is_1),
]
CREDIT = [
    Bug("sign of the KL flipped", around(maths, "kl_per_token", lambda real, a, b, mask: real(b, a, mask)), hold.rewards_are_credited_as_worked_by_hand),
    Bug("drift averaged over the reply", around(maths, "kl_per_token", bugs.kl_per_token_mean), hold.rewards_are_credited_as_worked_by_hand),
    Bug("k3 in the reward", around(maths, "token_rewards", bugs.k3_in_the_reward), hold.rewards_are_credited_as_worked_by_hand),
    Bug("score on the first token", around(maths, "token_rewards", bugs.score_on_the_first_token), hold.rewards_are_credited_as_worked_by_hand),
    Bug("score in the last column", around(maths, "token_rewards", bugs.score_on_the_last_column), hold.rewards_are_credited_as_worked_by_hand),
    Bug("returns discounted", instead(maths, "gae", partial(maths.gae, gamma=0.5)), hold.rewards_are_credited_as_worked_by_hand),
    Bug("penalty on replies that end", around(ppo, "shaped_score", lambda real, score, ended, *rest: real(score, ~ended, *rest)),
        hold.rewards_are_credited_as_worked_by_hand),
    Bug("advantages not whitened", instead(maths, "whiten", lambda x, mask: x), hold.rewards_are_credited_as_worked_by_hand),
    Bug("KL over padding", bugs.kl_over_padding, hold.drift_counts_every_real_token_once),
]
UPDATE = [
    Bug("GAE runs into the padding", around(maths, "gae", bugs.blind_to_the_mask), hold.rewards_are_credited_as_worked_by_hand),
    Bug("whitened together with the padding", around(maths, "whiten", bugs.blind_to_the_mask), hold.rewards_are_credited_as_worked_by_hand),
    Bug("advantages not masked", bugs.advantages_not_masked, hold.what_stands_after_the_end_influences_nothing),
    Bug("whitened per micro-batch", around(maths, "policy_loss", bugs.whitened_per_micro_batch), hold.the_micro_batch_changes_no_number),
    Bug("policy loss is a mean per micro-batch", around(maths, "policy_loss", bugs.mean_per_micro_batch), hold.the_micro_batch_changes_no_number),
    Bug("value loss is a mean per micro-batch", around(maths, "value_loss", bugs.mean_per_micro_batch), hold.the_micro_batch_changes_no_number),
    Bug("sign of the policy loss flipped", around(maths, "policy_loss", bugs.minimises_the_reward), hold.an_update_makes_the_better_reply_likelier),
]
LEARNING = [
    Bug("SFT trains on the prompt", relabelled(lambda e: [0] + [1] * (len(e.ids) - 1)), learn.sft_trains_the_answers_and_their_ends),
    Bug("SFT does not train the end of turn", relabelled(slips.without_end_of_turn), learn.sft_trains_the_answers_and_their_ends),
    Bug("SFT's mask is one token late", relabelled(lambda e: [0, *e.mask[:-1]]), learn.sft_trains_the_answers_and_their_ends),
    Bug("SFT loss is a mean per micro-batch", around(sft, "target_logps", slips.sft_mean_per_micro_batch), learn.sft_weighs_every_token_alike),
    Bug("rankings read upside down", around(maths, "all_pairs_loss", slips.ranks_upside_down), learn.the_reward_model_learns_who_was_ranked_first),
    Bug("reward head starts large", around(Backbone, "add_head", slips.head_starts_large), learn.the_reward_model_starts_at_ln_2),
    Bug("calibration leaves the spread out", around(Head, "calibrate", slips.calibrated_on_the_mean_alone), learn.calibrated_scores_have_mean_0_and_spread_1),
    Bug("calibrated on top of the last calibration", instead(Head, "calibrate", slips.calibrated_on_top), learn.calibrated_scores_have_mean_0_and_spread_1),
]
RESUME = [
    Bug("resume forgets the optimiser (SFT)", instead(Stepper, "set_tensors", slips.optimiser_forgotten), learn.sft_resumes_bit_for_bit),
    Bug("resume forgets the optimiser (reward)", instead(Stepper, "set_tensors", slips.optimiser_forgotten), learn.the_reward_run_resumes_bit_for_bit),
    Bug("resume forgets the optimiser (PPO)", instead(Stepper, "set_tensors", slips.optimiser_forgotten), learn.ppo_resumes_bit_for_bit),
    Bug("resume starts the schedule afresh", around(Stepper, "set_tensors", slips.schedule_forgotten), learn.sft_resumes_bit_for_bit),
    Bug("resume forgets the value head", around(Backbone, "set_tensors", slips.head_forgotten), learn.ppo_resumes_bit_for_bit),
    Bug("dropout not seeded by the step", instead(torch, "manual_seed", lambda seed: None), learn.sft_resumes_bit_for_bit),
    Bug("replies not seeded by the step", slips.chance_goes_on, learn.ppo_resumes_bit_for_bit),
    Bug("rows taken from the start again", slips.rows_from_the_start_again, learn.ppo_resumes_bit_for_bit),
]
FAST = [
    Bug("positions counted from the padding (decoder)", around(streams, "layout_of", slips.positions_packed_from_the_padding),
        hold.generation_and_training_agree_on_log_probabilities),
    Bug("common beginning read one token too far", around(layout, "beginning", slips.beginning_read_too_far),
        hold.log_probabilities_are_those_of_the_row_alone),
    Bug("common beginning unseen by the rows", around(trunk, "attend", slips.beginning_unseen), thrift.a_common_beginning_learns_from_every_row),
    Bug("common beginning learns from one row only", slips.beginning_learns_from_the_first_row, thrift.a_common_beginning_learns_from_every_row),
    Bug("adapter of another role fused", slips.adapter_kept_for_the_next_role, hold.log_probabilities_are_those_of_the_row_alone),
    Bug("fused adapter kept from before the update", slips.adapter_kept_from_before_the_update, learn.ppo_resumes_bit_for_bit),
    Bug("a row dropped from the cache leaves its keys behind", around(Cache, "keep", slips.keys_of_the_neighbour),
        hold.generation_and_training_agree_on_log_probabilities),
    Bug("temperature forgotten in reading", around(Backbone, "read", lambda real, self, states, ids, *_: real(self, states, ids)),
        hold.log_probabilities_are_those_of_the_row_alone),
    Bug("lower states of another batch", slips.lower_states_of_the_first_batch, thrift.lower_states_change_no_number),
    Bug("lower states of other rows", around(Rows, "take", slips.lower_states_of_the_first_rows), thrift.lower_states_change_no_number),
    Bug("lower states of a layer that is adapted", around(Backbone, "below", slips.one_layer_too_many), thrift.lower_states_change_no_number),
    Bug("shared value: no gradient reaches the head", around(Backbone, "role", bugs.head_left_frozen), thrift.with_a_shared_value_only_policy_and_head_move),
    Bug("shared value: loss is a mean per micro-batch", around(maths, "value_loss", bugs.mean_per_micro_batch),
        thrift.with_a_shared_value_the_micro_batch_changes_no_number),
]
BUGS = [*ROLES, *READING, *REPLIES, *CREDIT, *UPDATE, *LEARNING, *RESUME, *FAST]


@pytest.mark.parametrize("bug", BUGS, ids=[bug.what.replace(" ", "_") for bug in BUGS])
def test_a_planted_bug_is_caught(bug, request, monkeypatch, record_property):
    model = request.getfixturevalue(bug.family)
    bug.plant(monkeypatch)
    with pytest.raises((AssertionError, WorkbenchError)):
        bug.caught_by(model)
    record_property("mutant", (bug.what, bug.caught_by.__name__))
