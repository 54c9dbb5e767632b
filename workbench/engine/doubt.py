"""Least sure first: a reward model scores the replies that wait for a ranking; what it doubts most is ranked first. Trains nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from workbench.corpus import Preference
from workbench.engine.backbone import Backbone
from workbench.engine.batches import parts
from workbench.engine.rankings import Ranked, by_replies, scores_of
from workbench.engine.step import State, Step
from workbench.recipes import DoubtRecipe
from workbench.records import Comparison, Doubt

LEAVES = ""
AT_ONCE = 16  # comparisons per step: a step is what a stop waits for


def inputs(recipe: DoubtRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"comparisons": find("", "waiting")[:recipe.count]}


def load(recipe: DoubtRecipe, backbone: Backbone, adapters: Path) -> None:
    backbone.load("reward", adapters / recipe.reward)


def train(recipe: DoubtRecipe, backbone: Backbone, comparisons: Sequence[Comparison], state: State | None = None) -> Iterator[Step]:
    """One Step per handful of comparisons, carrying doubts. What is longer than max_tokens keeps its place."""
    groups = list(parts(comparisons, AT_ONCE))
    for index in range(state.step + 1 if state else 1, len(groups) + 1):
        encoded = {c.id: rows for c in groups[index - 1] if max(map(len, rows := tokens(backbone, c))) <= recipe.max_tokens}
        found = score(backbone, encoded, recipe.micro_batch) if encoded else []
        told = {"doubt": sum(each.doubt for each in found) / len(found)} if found else {}
        yield Step(index, len(groups), told, state=lambda at=index: State(at, {}, {}), is_checkpoint=True, doubts=found,
                   summary={"comparisons": len(comparisons), "reward": recipe.reward})


def tokens(backbone: Backbone, comparison: Comparison) -> list[list[int]]:
    """Each reply as the reward model was trained to read it."""
    prompt = backbone.chat.prompt(comparison.prompt)
    return [prompt + backbone.chat.reply(reply.text) for reply in comparison.replies]


@torch.no_grad()
def score(backbone: Backbone, encoded: dict[int, list[list[int]]], micro_batch: int) -> list[Doubt]:
    items = [Ranked(rows, [0] * len(rows), [], Preference([], [], [])) for rows in encoded.values()]
    with backbone.role("reward"):
        scores = [each for part in by_replies(items, micro_batch) for each in scores_of(backbone, "reward", part)]
    # Calibrated scores are in standard deviations; a difference of raw ones is the log-odds that the first is better.
    spread = backbone.heads["reward"].spread
    return [Doubt(number, doubt((each * spread).tolist()), each.tolist()) for number, each in zip(encoded, scores, strict=True)]


def doubt(scores: Sequence[float]) -> float:
    """How much the labels of a comparison could teach: p (1 - p) over its pairs, p the chance that the first is better.

    1/4 where the scores are equal, 0 where they are far apart; for a pair, the smaller the difference, the larger.
    """
    pairs = list(combinations(scores, 2))
    return sum(1 / (2 + 2 * math.cosh(min(abs(a - b), 50.0))) for a, b in pairs) / len(pairs)
