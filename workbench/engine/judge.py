"""AI feedback: a model says which of two replies keeps to a principle better; both orders and several principles averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from workbench import feedback
from workbench.engine.backbone import Backbone
from workbench.engine.batches import pad, parts, permutation
from workbench.engine.step import State, Step
from workbench.errors import ModelError
from workbench.recipes import JudgeRecipe
from workbench.records import Comparison

LEAVES = ""
AT_ONCE = 4  # comparisons per step: a step is what a stop waits for


class Answer(NamedTuple):
    """What a judge answered: the chance of the letter A against B, and that of either letter against every other word."""

    first: float
    letters: float


def inputs(recipe: JudgeRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"principles": find(recipe.constitution, "principles"), "comparisons": find(recipe.constitution, "comparisons")}


def load(recipe: JudgeRecipe, backbone: Backbone, adapters: Path) -> None:
    for name in recipe.needs():
        backbone.load(name, adapters / name)


def train(recipe: JudgeRecipe, backbone: Backbone, comparisons: Sequence[Comparison], principles: Sequence[str],
          state: State | None = None) -> Iterator[Step]:
    """One Step per handful of comparisons, carrying verdicts. Trains nothing.

    `comparisons` are those that this judge has not judged yet, so a run that goes on is given only what was left.
    """
    groups, done = list(parts(comparisons, AT_ONCE)), state.step if state else 0
    for index, group in enumerate(groups, start=done + 1):
        rows = [row for each in group if (row := judge(recipe, backbone, each, principles)) is not None]
        yield Step(
            index, done + len(groups), numbers=numbers(rows), verdicts=rows, is_checkpoint=True, state=lambda at=index: State(at, {}, {}),
            note=f"{left} of {len(group)} comparisons are longer than max_tokens and were left out" if (left := len(group) - len(rows)) else "",
            summary={"judge": feedback.judge_name(recipe.judge), "constitution": feedback.stamp(recipe, list(principles)),
                     "principles": list(principles), "parameters": sum(p.numel() for p in backbone.base.parameters())})


def judge(recipe: JudgeRecipe, backbone: Backbone, comparison: Comparison, principles: Sequence[str]) -> dict[str, Any] | None:
    """The verdict on one comparison; None where a question is too long to be read."""
    texts = [reply.text for reply in comparison.replies]
    drawn = [principles[i] for i in permutation(len(principles), recipe.seed, comparison.id)[:recipe.principles]]
    pairs = feedback.pairs(len(texts))
    orders = [(a, b, principle) for x, y in pairs for principle in drawn for a, b in ((x, y), (y, x))]
    asked = [backbone.chat.prompt(feedback.question(comparison.prompt, texts[a], texts[b], principle)) for a, b, principle in orders]
    if max(map(len, asked)) > recipe.max_tokens:
        return None
    said = answers(recipe, backbone, asked)
    both = [(said[at].first, 1 - said[at + 1].first) for at in range(0, len(said), 2)]  # the chance of the pair's first reply, in either order
    means = [feedback.both_orders(*each) for each in both]
    chances = [(*pair, math.fsum(means[at * len(drawn):(at + 1) * len(drawn)]) / len(drawn)) for at, pair in enumerate(pairs)]
    return {"comparison": comparison.id, "judge": feedback.judge_name(recipe.judge), "constitution": feedback.stamp(recipe, list(principles)),
            "chances": chances, "ranking": feedback.borda(len(texts), chances), "flips": mean([float(feedback.is_flip(*each)) for each in both]),
            "first": mean([each.first for each in said]), "letters": mean([each.letters for each in said])}


@torch.no_grad()
def answers(recipe: JudgeRecipe, backbone: Backbone, asked: Sequence[Sequence[int]]) -> list[Answer]:
    """The judge's answer to each question (a list of tokens), in the order they were asked. Raises ModelError for one that is no number."""
    letters = [backbone.chat.tokens(letter)[0] for letter in feedback.LETTERS]
    found: dict[int, Answer] = {}
    with backbone.role(recipe.judge):
        for part in parts(sorted(range(len(asked)), key=lambda at: len(asked[at])), recipe.batch):
            ids, mask = (each.to(backbone.device) for each in pad([asked[at] for at in part]))
            last = torch.zeros_like(mask, dtype=torch.bool)
            last[torch.arange(len(part), device=mask.device), mask.sum(1) - 1] = True
            logps = torch.log_softmax(backbone.logits(backbone.states(ids, mask, last)).float(), -1)[:, letters]
            for at, first, either in zip(part, logps.softmax(-1)[:, 0].tolist(), logps.exp().sum(-1).tolist(), strict=True):
                found[at] = Answer(first, either)
    if not all(math.isfinite(each.first) for each in found.values()):
        raise ModelError(f"the judge {recipe.judge} answers with what is not a number; choose another precision or another judge")
    return [found[at] for at in range(len(asked))]


def numbers(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of a handful of verdicts: how they were reached and how sure they are."""
    if not rows:
        return {}
    sure = [abs(2 * chance - 1) for row in rows for *_, chance in row["chances"]]
    return {"flips": mean([row["flips"] for row in rows]), "first_letter": mean([row["first"] for row in rows]),
            "letters": mean([row["letters"] for row in rows]), "sureness": mean(sure)}


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
