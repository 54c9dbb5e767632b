"""Proximal policy optimisation: raise a learned reward while staying near the SFT policy.

Four roles on one base: "sft" (frozen reference), "policy" (starts as its copy), "reward" (frozen), "value" (starts from it, or
is no more than a head on the policy's states).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from workbench import packs
from workbench.annotator import Annotator
from workbench.corpus import Prompt
from workbench.engine import looks, maths, recording, sampling, scoring
from workbench.engine.backbone import Backbone
from workbench.engine.batches import batch_at, generator, parts, permutation
from workbench.engine.rollout import (
    Rollout,
    Rows,
    closed,
    reply_states,
    scattered,
    score_replies,
    score_states,
    score_tokens,
    shaped_score,
    slices,
    take,
)
from workbench.engine.sampling import Replies
from workbench.engine.looks import NOTHING, Aside
from workbench.engine.scoring import rate, reward_roles
from workbench.engine.step import State, Step, gathered, picked
from workbench.engine.stepper import Stepper
from workbench.engine.vitals import moved, vitals, weighed
from workbench.recipes import PpoRecipe

LEAVES = "policy"
TOLD = ("reward", "score", "kl_seq", "reply_tokens", "gold", "held_score", "held_gold", "text_perplexity", "choice_accuracy", "refusal_rate")
SHARED_VALUE_WEIGHT = 0.1
ROLLOUT_ORDER = 0  # the first epoch takes the replies as they were scored: same micro-batches, so the first ratio is exactly 1


def inputs(recipe: PpoRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"prompts": find(recipe.prompts, "prompts"), "aside": looks.aside(recipe, find), "judge": packs.judge(recipe.prompts)}


def load(recipe: PpoRecipe, backbone: Backbone, adapters: Path) -> None:
    backbone.load("sft", adapters / recipe.sft)
    backbone.copy("policy", of="sft")
    scoring.load(recipe.reward, backbone, adapters, roles := reward_roles(recipe))
    if recipe.gold:
        backbone.load("gold", adapters / recipe.gold)
    first = next(iter(roles.values()), "")
    if recipe.value == "own":
        backbone.copy("value", of=first or "sft")
    backbone.add_head("value", recipe.seed, copy_of=first if recipe.value == "own" else "")


def train(recipe: PpoRecipe, backbone: Backbone, prompts: Sequence[Prompt], aside: Aside = NOTHING,
          judge: Annotator | None = None, state: State | None = None) -> Generator[Step, PpoRecipe | None, None]:
    """One Step per batch of replies. What the `judge` (a pack's scoring rule) says is only watched, never trained on.

    The look of step 1 is taken before it: that is the SFT policy. Every other one shows the policy as its step leaves it, which is
    what the checkpoint of that step holds. A recipe that is sent in holds from the next step on; only its live knobs may differ.
    """
    updates = recipe.steps * recipe.epochs * (recipe.batch // recipe.minibatch)
    policy = Stepper(backbone, "policy", recipe.lr, updates)
    value = Stepper(backbone, "value", recipe.value_lr, updates)
    if state:
        for role in ("policy", "value"):
            backbone.set_tensors(role, picked(state.tensors, role))
        policy.set_tensors(picked(state.tensors, "policy_stepper"))
        value.set_tensors(picked(state.tensors, "value_stepper"))
    for index in range(state.step + 1 if state else 1, recipe.steps + 1):
        samples, seen = looks.look(backbone, recipe, aside, judge, is_first=True) if index == 1 else ([], {})
        batch = batch_at(prompts, index - 1, recipe.batch, recipe.seed)
        rollout, numbers = collect(backbone, batch, recipe, index)                      # 1. answer, score, weigh, credit
        golds = judge.scores([p.messages for p in batch], recording.texts(backbone.chat, rollout.rows)) if judge else []
        numbers |= {"gold": sum(golds) / len(golds)} if golds else {}
        recorded = recording.rows(backbone.chat, batch, rollout, golds, recipe.record, index)
        start = time.perf_counter()
        numbers |= improve(backbone, policy, value, rollout, recipe, index)             # 2. learn from it, a little at a time
        numbers["seconds_update"] = time.perf_counter() - start
        if index > 1 and (index == recipe.steps or index % recipe.sample_every == 0):
            samples, seen = looks.look(backbone, recipe, aside, judge)
        numbers |= seen
        recipe = (yield Step(                                                           # 3. tell, and hear of changed knobs
            index, recipe.steps, numbers, samples=samples, rollouts=recorded, is_checkpoint=index % recipe.sample_every == 0,
            state=lambda at=index: State(at, gathered(
                policy=backbone.tensors("policy"), value=backbone.tensors("value"),
                policy_stepper=policy.tensors(), value_stepper=value.tensors()), {}),
            summary={key: numbers[key] for key in TOLD if key in numbers})) or recipe
        policy.lr, value.lr = recipe.lr, recipe.value_lr


def collect(backbone: Backbone, batch: Sequence[Prompt], recipe: PpoRecipe, index: int) -> tuple[Rollout, dict[str, float]]:
    """Answers a batch of prompts and credits every token of the replies."""
    clock = [time.perf_counter()]
    with backbone.role("policy"):
        replies = sampling.answer(backbone, [backbone.chat.prompt(p.messages) for p in batch], recipe.reply_tokens, recipe.temperature,
                                  generator(recipe.seed, index, 1))
    clock.append(time.perf_counter())
    rows = closed(replies, backbone.chat.end_of_turn)
    roles = ["policy", "sft", *reward_roles(recipe).values(), *(["value"] if recipe.value == "own" else [])]
    rows = rows._replace(lower=backbone.below(rows.ids, rows.attention, *roles))
    own = score_tokens(backbone, "policy", rows, recipe.micro_batch, recipe.temperature, head="value" if recipe.value == "shared" else "")
    reference = score_tokens(backbone, "sft", rows, recipe.micro_batch, recipe.temperature).logps
    values = own.values if recipe.value == "shared" else score_states(backbone, "value", rows, recipe.micro_batch)
    score = rate(backbone, rows, batch, recipe)
    rollout = credit(rows, replies.ended, own.logps, reference, values, score, recipe)
    clock.append(time.perf_counter())
    numbers = describe(rollout, replies, own.entropies, score, recipe) | vitals(replies, rollout.logps, score, backbone.chat.stops)
    if index == 1:
        numbers["score_gap"] = padding_gap(backbone, rows, recipe)
    return rollout, numbers | {"seconds_generate": clock[1] - clock[0], "seconds_score": clock[2] - clock[1]}


def credit(rows: Rows, ended: Tensor, logps: Tensor, reference: Tensor, values: Tensor, score: Tensor, recipe: PpoRecipe) -> Rollout:
    """Rewards per token (KL cost and price at each, the score at the last), then GAE; advantages are whitened over the whole batch.

    The price of length is paid token by token: paid at the end, a value model that does not know it yet would blame the token that ends the reply.
    """
    shaped = shaped_score(score, ended, recipe.no_end_penalty)
    rewards = maths.token_rewards(logps, reference, shaped, rows.mask, recipe.kl_weight) - recipe.length_penalty * rows.mask
    advantages, returns = maths.gae(rewards, values, rows.mask, lam=recipe.lam)
    return Rollout(rows, logps, reference, values, maths.whiten(advantages, rows.mask), returns, shaped, ended, rewards, score)


def describe(rollout: Rollout, replies: Replies, entropies: Tensor, score: Tensor, recipe: PpoRecipe) -> dict[str, float]:
    """The figures of a rollout; kl_seq is in nats per reply, kl_tok in nats per token."""
    kl = maths.kl_per_token(rollout.logps, rollout.reference, rollout.mask)
    kl_seq, tokens = float(kl.sum(1).mean()), float(rollout.mask.sum(1).float().mean())
    mismatch = ((replies.logps - rollout.logps).abs() * rollout.mask).sum() / rollout.mask.sum()
    return {
        "reward": float(rollout.score.mean()) - recipe.kl_weight * kl_seq - recipe.length_penalty * tokens, "score": float(score.mean()), "score_sd": float(score.std()),
        "kl_seq": kl_seq, "kl_se": float(kl.sum(1).std()) / len(kl) ** 0.5, "kl_tok": float(kl.sum() / rollout.mask.sum()),
        "kl3_seq": float(maths.k3(rollout.logps, rollout.reference, rollout.mask).sum(1).mean()),
        "entropy": float(maths.masked_mean(entropies, rollout.mask)), "reply_tokens": tokens,
        "eos_rate": float(rollout.ended.float().mean()), "generation_mismatch": float(mismatch),
        "explained_variance": float(maths.explained_variance(rollout.values, rollout.returns, rollout.mask)),
    }


def padding_gap(backbone: Backbone, rows: Rows, recipe: PpoRecipe) -> float:
    """How much a model's score changes at most when its row is read without padding, which should be by rounding only.

    Asked of the shortest row and of the shortest reply: one has the most padding in all, the other the most on the right.
    """
    role = next(iter(reward_roles(recipe).values()), "")
    if not role:
        return 0.0
    score = score_replies(backbone, role, rows, recipe.micro_batch)
    places = {int(each.argmin()) for each in (rows.attention.sum(1), rows.mask.sum(1))}
    return max(abs(float(score_replies(backbone, role, alone(rows, place), 1)[0] - score[place])) for place in places)


def alone(rows: Rows, place: int) -> Rows:
    """One row without its padding; what closes it is the last real token, said or not."""
    is_real = rows.attention[place].bool()
    count = max(0, int(is_real[-rows.mask.shape[1] - 1 :].sum()) - 1)
    ids, attention = rows.ids[place : place + 1, is_real], rows.attention[place : place + 1, is_real]
    return Rows(ids, attention, attention.new_ones(1, count))


def improve(backbone: Backbone, policy: Stepper, value: Stepper, rollout: Rollout, recipe: PpoRecipe, index: int) -> dict[str, float]:
    """Several passes over a rollout; ends early when one update moved the policy too far. The first step sees to it that only learners move."""
    sums: dict[str, float] = {"ratio_max": 0.0}
    updates, rate = 0, policy.rate()
    frozen = weighed(backbone, "base", "sft", *reward_roles(recipe).values()) if index == 1 else {}
    for rows in passes(recipe, index):
        part = take(rollout, rows)
        numbers = improve_policy(backbone, policy, part, recipe, None if recipe.value == "own" else value)
        if recipe.value == "own":
            numbers |= improve_value(backbone, value, part, recipe)
        if not updates:
            sums["first_ratio_dev"] = numbers["ratio_dev"]
        sums["ratio_max"] = max(sums["ratio_max"], numbers.pop("ratio_max"))
        numbers.pop("ratio_dev")
        updates += 1
        for key, number in numbers.items():
            sums[key] = sums.get(key, 0.0) + number
        if recipe.target_kl and numbers["approx_kl"] > 1.5 * recipe.target_kl:
            break
    told = averaged(sums, updates) | {"lr": rate, "updates": updates}
    return told | {"frozen_moved": moved(frozen, weighed(backbone, *frozen))} if frozen else told


def passes(recipe: PpoRecipe, index: int) -> Iterator[Sequence[int]]:
    """The minibatches of a step as places in its batch, epoch after epoch."""
    for epoch in range(recipe.epochs):
        order = permutation(recipe.batch, recipe.seed, index, 2, epoch) if epoch > ROLLOUT_ORDER else list(range(recipe.batch))
        yield from parts(order, recipe.minibatch)


def averaged(sums: Mapping[str, float], updates: int) -> dict[str, float]:
    return {key: total if key in ("ratio_max", "first_ratio_dev") else total / updates for key, total in sums.items()}


def improve_policy(backbone: Backbone, stepper: Stepper, part: Rollout, recipe: PpoRecipe, shared: Stepper | None = None) -> dict[str, float]:
    """One clipped policy update, normalised by the tokens of the whole minibatch; with `shared`, the value head's too.

    A value head on the policy's trunk adds its loss with a weight of 0.1 (Huang et al. 2023).
    """
    total, told = part.mask.sum(), {}
    numbers = {"policy_loss": 0.0, "clipfrac": 0.0, "approx_kl": 0.0, "ratio_max": 0.0, "ratio_dev": 0.0}
    with backbone.role("policy", train=True, head="value" if shared else ""):
        for where in slices(len(part.score), recipe.micro_batch):
            piece = take(part, where)
            states = reply_states(backbone, piece.rows)
            logps = scattered(backbone.read(states, piece.rows.said(), recipe.temperature).logps, piece.mask)
            found = maths.policy_loss(logps, piece.logps, piece.advantages, piece.mask, recipe.clip, total)
            if shared:
                guessed = loss_of_values(scattered(backbone.heads["value"](states), piece.mask), piece, recipe, total)
                (found.loss + SHARED_VALUE_WEIGHT * guessed.loss).backward()
                told = added(told, guessed)
            else:
                found.loss.backward()
            share = float(piece.mask.sum() / total)
            ratio = found.ratio.detach()[piece.mask.bool()]
            numbers["policy_loss"] += float(found.loss.detach())
            numbers["clipfrac"] += share * float(maths.masked_mean(found.clipped.float(), piece.mask))
            numbers["approx_kl"] += float(found.approx_kl)  # already a share of the minibatch
            numbers["ratio_max"] = max(numbers["ratio_max"], float(ratio.max()))
            numbers["ratio_dev"] = max(numbers["ratio_dev"], float((ratio - 1).abs().max()))
        numbers["grad_norm"] = stepper.step()
        return numbers | (told | {"value_grad_norm": shared.step()} if shared else {})


def loss_of_values(values: Tensor, piece: Rollout, recipe: PpoRecipe, total: Tensor) -> maths.ValueLoss:
    return maths.value_loss(values, piece.values, piece.returns, piece.mask, recipe.clip, total)


def added(told: Mapping[str, float], found: maths.ValueLoss) -> dict[str, float]:
    """Figures of a minibatch with those of one more piece of it; each piece is a share of the whole."""
    return {"value_loss": told.get("value_loss", 0.0) + float(found.loss.detach()),
            "value_clipfrac": told.get("value_clipfrac", 0.0) + float(found.clipped)}


def improve_value(backbone: Backbone, stepper: Stepper, part: Rollout, recipe: PpoRecipe) -> dict[str, float]:
    """One value update on the same replies; a forward and backward of its own, so that the two never share a graph."""
    total, told = part.mask.sum(), {}
    with backbone.role("value", train=True):
        for where in slices(len(part.score), recipe.micro_batch):
            piece = take(part, where)
            values = scattered(backbone.heads["value"](reply_states(backbone, piece.rows)), piece.mask)
            found = loss_of_values(values, piece, recipe, total)
            found.loss.backward()
            told = added(told, found)
        return told | {"value_grad_norm": stepper.step()}
