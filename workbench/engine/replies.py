"""Replies to rank: k samples per prompt by one or several adapters, judged at once where the annotator is simulated."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench import packs
from workbench.annotator import Annotator
from workbench.corpus import Prompt
from workbench.engine import sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator, parts, permutation
from workbench.engine.step import State, Step
from workbench.recipes import ReplyRecipe

LEAVES = ""


def inputs(recipe: ReplyRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"prompts": find(recipe.prompts, "prompts"), "judge": packs.judge(recipe.prompts) if recipe.annotator == "simulated" else None}


def load(recipe: ReplyRecipe, backbone: Backbone, adapters: Path) -> None:
    for name in recipe.needs():
        backbone.load(name, adapters / name)


def train(recipe: ReplyRecipe, backbone: Backbone, prompts: Sequence[Prompt], judge: Annotator | None = None,
          state: State | None = None) -> Iterator[Step]:
    """One Step per handful of prompts, carrying finished comparisons. Trains nothing."""
    picked = [prompts[i % len(prompts)] for i in permutation(max(recipe.count, len(prompts)), recipe.seed)[: recipe.count]]
    groups = list(parts(picked, max(1, recipe.batch // recipe.k)))
    for index in range(state.step + 1 if state else 1, len(groups) + 1):
        start = time.perf_counter()
        rows = write(recipe, backbone, groups[index - 1], index)
        tokens = [reply["tokens"] for row in rows for reply in row["replies"]]
        ended = [reply["finished"] for row in rows for reply in row["replies"]]
        if judge:
            for place, row in enumerate(rows):
                rank(row, judge, random.Random(f"{recipe.seed} {index} {place}"))
        yield Step(
            index, len(groups), comparisons=rows, is_checkpoint=True, state=lambda at=index: State(at, {}, {}),
            numbers={"reply_tokens": sum(tokens) / len(tokens), "eos_rate": sum(ended) / len(ended),
                     "tokens_per_second": sum(tokens) / (time.perf_counter() - start)},
            summary={"comparisons": recipe.count, "annotator": recipe.annotator})


def write(recipe: ReplyRecipe, backbone: Backbone, prompts: Sequence[Prompt], index: int) -> list[dict[str, Any]]:
    """One comparison per prompt; the k places are dealt to the adapters in turn."""
    names = [name.strip() for name in recipe.adapters.split(",")]
    answers: list[list[dict[str, Any]]] = [[] for _ in prompts]
    for which, name in enumerate(names):
        share = len(range(which, recipe.k, len(names)))
        rows = [backbone.chat.prompt(p.messages) for p in prompts for _ in range(share)]
        if rows:
            with backbone.role(name):
                replies = sampling.answer(backbone, rows, recipe.reply_tokens, recipe.temperature, generator(recipe.seed, index, which))
            for row in range(len(rows)):
                tokens = replies.tokens(row)
                answers[row // share].append({"adapter": name, "text": backbone.chat.text(tokens), "tokens": len(tokens),
                                              "finished": bool(replies.ended[row])})
    settings = {"temperature": recipe.temperature, "reply_tokens": recipe.reply_tokens, "prompts": recipe.prompts}
    return [{"kind": "ranking", "prompt": p.messages, "settings": settings, "state": "ready", "replies": found,
             "shown": permutation(recipe.k, recipe.seed, index, place)} for place, (p, found) in enumerate(zip(prompts, answers, strict=True))]


def rank(row: dict[str, Any], judge: Annotator, chance: random.Random) -> None:
    """The simulated annotator's judgement, marked as what it is."""
    ranking = judge.rank(row["prompt"], [reply["text"] for reply in row["replies"]], chance)
    row |= {"ranking": ranking, "state": "judged", "source": "simulated", "annotator": "simulated"}
