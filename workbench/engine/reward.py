"""The reward model: an adapter and a scalar head that learn to order replies as people did."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench import corpus
from workbench.corpus import Preference, Prompt
from workbench.engine import maths, sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import batch_at, generator, pad, parts
from workbench.engine.rollout import closed, last_scores, score_replies
from workbench.engine.step import State, Step, gathered, picked
from workbench.engine.stepper import Stepper
from workbench.engine.vitals import rank_correlation
from workbench.errors import CorpusError
from workbench.probes import PROBES
from workbench.recipes import RewardRecipe

LEAVES = "reward"


class Ranked(NamedTuple):
    """The replies to one prompt as rows of tokens, with the rank of each: lower is better, -1 was left out."""

    rows: list[list[int]]
    ranks: list[int]
    words: list[int]  # length of each reply in tokens


def inputs(recipe: RewardRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"rows": find(recipe.preferences, "preferences"), "prompts": find(recipe.prompts, "prompts")}


def load(recipe: RewardRecipe, backbone: Backbone, adapters: Path) -> None:
    """The reward adapter starts as a copy of the SFT adapter; the SFT policy itself is needed to calibrate."""
    backbone.load("sft", adapters / recipe.sft)
    backbone.copy("reward", of="sft")
    backbone.add_head("reward", recipe.seed)


def train(recipe: RewardRecipe, backbone: Backbone, rows: Sequence[Preference], prompts: Sequence[Prompt],
          state: State | None = None) -> Generator[Step, RewardRecipe | None, None]:
    """One Step per batch of prompts, and a last one that calibrates; a recipe sent in holds from the next one on.

    Raises CorpusError when there is nothing to learn.
    """
    learned, kept = encode(backbone, rows, recipe)
    steps = math.ceil(len(learned) * recipe.epochs / recipe.batch)
    stepper = Stepper(backbone, "reward", recipe.lr, steps, recipe.warmup, recipe.max_grad)
    if state:
        backbone.set_tensors("reward", picked(state.tensors, "reward"))
        stepper.set_tensors(picked(state.tensors, "stepper"))
    summary: dict[str, Any] = {"rankings": len(learned), "held_out": len(kept), "longer_wins": longer_wins(kept)}
    for index in range(state.step + 1 if state else 1, steps + 1):
        numbers = learn(backbone, stepper, batch_at(learned, index - 1, recipe.batch, recipe.seed), recipe)
        if index in (1, steps) or index % recipe.eval_every == 0:
            numbers |= look(backbone, kept, recipe)
            summary |= {key: numbers[key] for key in numbers if key.startswith("eval_")}
        recipe = (yield Step(
            index, steps + 1, numbers, is_checkpoint=index % recipe.save_every == 0, summary=dict(summary),
            state=lambda at=index: State(at, gathered(reward=backbone.tensors("reward"), stepper=stepper.tensors()), {}))) or recipe
        stepper.lr = recipe.lr
    probed = probe(backbone, kept, recipe)
    summary |= look(backbone, kept, recipe) | probed  # of the raw scores, as at every look before: calibration rescales them
    mean, spread = calibrate(backbone, prompts, recipe)
    numbers = {"raw_mean": mean, "raw_sd": spread} | probed
    yield Step(steps + 1, steps + 1, numbers, summary=summary | numbers,
               note="calibrated: the SFT policy's replies score 0 on average, with a spread of 1")


def encode(backbone: Backbone, rows: Sequence[Preference], recipe: RewardRecipe) -> tuple[list[Ranked], list[Ranked]]:
    """Train and held-out rankings as tokens, split by prompt. Raises CorpusError with the reason when one side is empty."""
    train_rows, kept_rows = corpus.split(rows, recipe.held_out)
    if len({corpus.prompt_key(r) for r in rows}) < 2:
        raise CorpusError("all rankings are of one prompt; rank replies to other prompts too, so that some can be held out")
    if not kept_rows or not train_rows:  # a hash splits a handful unevenly
        key = corpus.prompt_key(rows[-1])
        kept_rows = [r for r in rows if corpus.prompt_key(r) == key]
        train_rows = [r for r in rows if corpus.prompt_key(r) != key]
    learned, kept = ([e for row in part if (e := ranked(backbone, row, recipe.max_tokens))] for part in (train_rows, kept_rows))
    if not learned or not kept:
        raise CorpusError(f"of {len(rows)} rankings none is usable on the {'training' if not learned else 'held-out'} side: replies must differ in rank and"
                          f" fit in max_tokens {recipe.max_tokens}; rank more, or raise max_tokens")
    return learned, kept


def ranked(backbone: Backbone, row: Preference, longest: int) -> Ranked | None:
    """None when nothing can be learned: all replies tie, are the same, or do not fit."""
    prompt = backbone.chat.prompt(row.prompt)
    replies = [backbone.chat.reply(text) for text in row.replies]
    rank_of = {place: rank for rank, group in enumerate(row.ranking) for place in group}
    fitting = [i for i, reply in enumerate(replies) if len(prompt) + len(reply) <= longest]
    found = Ranked([prompt + replies[i] for i in fitting], [rank_of.get(i, -1) for i in fitting], [len(replies[i]) for i in fitting])
    known = {r for r in found.ranks if r >= 0}
    return found if len(known) > 1 and len({tuple(r) for r in found.rows}) > 1 else None


def learn(backbone: Backbone, stepper: Stepper, batch: Sequence[Ranked], recipe: RewardRecipe) -> dict[str, float]:
    """One optimiser step. All pairs of a prompt are one element: each prompt weighs the same."""
    loss, right, pairs, margin = 0.0, 0.0, 0, 0.0
    with backbone.role("reward", train=True):
        for part in by_replies(batch, recipe.micro_batch):
            each = scores_of(backbone, part)
            part_loss = sum(prompt_loss(s, item, recipe) for s, item in zip(each, part, strict=True)) / len(batch)
            part_loss.backward()
            loss += float(part_loss.detach())
            for gap in gaps([s.detach() for s in each], part):
                right, pairs, margin = right + (gap > 0) + 0.5 * (gap == 0), pairs + 1, margin + gap
        rate = stepper.rate()
        grad_norm = stepper.step()
    return {"loss": loss, "accuracy": right / max(pairs, 1), "margin": margin / max(pairs, 1), "lr": rate, "grad_norm": grad_norm}


def by_replies(batch: Sequence[Ranked], micro_batch: int) -> Iterator[list[Ranked]]:
    """Whole prompts, as many as keep their replies within the micro-batch (one prompt at least)."""
    part: list[Ranked] = []
    for item in batch:
        if part and sum(len(i.rows) for i in part) + len(item.rows) > micro_batch:
            yield part
            part = []
        part.append(item)
    yield part


def scores_of(backbone: Backbone, part: Sequence[Ranked]) -> list[Tensor]:
    """The raw scores of each prompt's replies, all of a part in one forward."""
    ids, attention = (t.to(backbone.device) for t in pad([row for item in part for row in item.rows]))
    return list(last_scores(backbone, "reward", ids, attention).split([len(item.rows) for item in part]))


def prompt_loss(scores: Tensor, item: Ranked, recipe: RewardRecipe) -> Tensor:
    """The loss of one prompt; the centring term holds the mean score near 0 (Eisenstein et al. 2023, for pairs)."""
    ranks = torch.tensor(item.ranks, device=scores.device)
    known = ranks >= 0
    tied = len(set(ranks[known].tolist())) < int(known.sum())
    loss = maths.plackett_luce_loss if recipe.loss == "plackett_luce" and not tied else maths.all_pairs_loss
    return loss(scores, ranks) + recipe.centre * (2 * scores.mean()) ** 2


def gaps(each: Sequence[Tensor], part: Sequence[Ranked]) -> Iterator[float]:
    """Score of the better reply less that of the worse, over all strict pairs."""
    for scores, item in zip(each, part, strict=True):
        for i, better in enumerate(item.ranks):
            for j, worse in enumerate(item.ranks):
                if 0 <= better < worse:
                    yield float(scores[i] - scores[j])


@torch.no_grad()
def look(backbone: Backbone, kept: Sequence[Ranked], recipe: RewardRecipe) -> dict[str, float]:
    """Held-out loss and accuracy with its 95 % interval; the interval counts prompts, since pairs of one prompt are kin."""
    loss, found, per_prompt, told = 0.0, [], [], []
    with backbone.role("reward"):
        for part in by_replies(kept, recipe.micro_batch):
            each = scores_of(backbone, part)
            told += each
            loss += sum(float(prompt_loss(s, item, recipe)) for s, item in zip(each, part, strict=True)) / len(kept)
            for scores, item in zip(each, part, strict=True):
                here = list(gaps([scores], [item]))
                per_prompt.append(sum((g > 0) + 0.5 * (g == 0) for g in here) / len(here))
                found += here
    accuracy = sum(per_prompt) / len(per_prompt)
    low, high = maths.wilson(accuracy * len(per_prompt), len(per_prompt))
    ece = float(maths.expected_calibration_error(torch.tensor(found, dtype=torch.float64)))
    lengths = torch.tensor([float(words) for item in kept for words in item.words])
    return {"eval_loss": loss, "eval_accuracy": accuracy, "eval_accuracy_low": low, "eval_accuracy_high": high, "eval_ece": ece,
            "longer_wins": longer_wins(kept), "length_score": rank_correlation(lengths, torch.cat(told))}


@torch.no_grad()
def probe(backbone: Backbone, kept: Sequence[Ranked], recipe: RewardRecipe) -> dict[str, float]:
    """Per probe the share of held-out prompts whose best reply scores above what the probe makes of it; ties count half."""
    said = []
    for item in kept:
        best = min((i for i in range(len(item.rows)) if item.ranks[i] >= 0), key=lambda i, item=item: item.ranks[i])
        said.append((item.rows[best][: -item.words[best]], item.rows[best][-item.words[best] :]))

    def scores(replies: Sequence[list[int]]) -> Tensor:
        rows = [(prompt + reply)[: recipe.max_tokens] for (prompt, _), reply in zip(said, replies, strict=True)]
        return torch.cat([last_scores(backbone, "reward", *(t.to(backbone.device) for t in pad(part))) for part in parts(rows, recipe.micro_batch)])

    with backbone.role("reward"):
        plain = scores([reply for _, reply in said])
        texts = [backbone.chat.text(reply) for _, reply in said]
        changed = {name: scores([backbone.chat.reply(each.alter(text)) for text in texts]) for name, each in PROBES.items()}
    return {f"beats_{name}": float(((plain > found).double() + 0.5 * (plain == found).double()).mean()) for name, found in changed.items()}


def longer_wins(kept: Sequence[Ranked]) -> float:
    """Accuracy of the rule that the longer reply is better: a reward model no better than this has learned length."""
    found = list(gaps([torch.tensor(item.words, dtype=torch.float64) for item in kept], kept))
    return sum((g > 0) + 0.5 * (g == 0) for g in found) / max(len(found), 1)


def calibrate(backbone: Backbone, prompts: Sequence[Prompt], recipe: RewardRecipe) -> tuple[float, float]:
    """Sets the head so that the SFT policy's samples score mean 0, sd 1; returns the raw mean and sd.

    Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences", section 2: so that the KL weight always
    has the same meaning.
    """
    backbone.heads["reward"].calibrate(0.0, 1.0)
    rows = [backbone.chat.prompt(p.messages) for p in batch_at(prompts, 0, recipe.calibration, recipe.seed)]
    found = []
    for index, part in enumerate(parts(rows, 64)):
        with backbone.role("sft"):
            replies = sampling.answer(backbone, part, recipe.reply_tokens, recipe.temperature, generator(recipe.seed, 11, index))
        found.append(score_replies(backbone, "reward", closed(replies, backbone.chat.end_of_turn), recipe.micro_batch))
    raw = torch.cat(found)
    mean, spread = float(raw.mean()), max(float(raw.std()), 1e-6)
    backbone.heads["reward"].calibrate(mean, spread)
    return mean, spread
