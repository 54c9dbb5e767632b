"""The held-out comparison: win rate, gold score, drift, length and perplexity of one adapter against another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from workbench import packs
from workbench.annotator import Annotator
from workbench.corpus import Prompt
from workbench.engine import maths, sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator, parts, permutation
from workbench.engine.reading import perplexity
from workbench.engine.rollout import closed, score_tokens
from workbench.engine.sampling import Replies
from workbench.engine.step import State, Step
from workbench.recipes import EvaluateRecipe

LEAVES = ""


def inputs(recipe: EvaluateRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    texts = packs.load(recipe.prompts).texts() if recipe.prompts in packs.names() else []
    return {"prompts": find(recipe.prompts, "prompts", True), "judge": packs.judge(recipe.prompts), "texts": texts}


def load(recipe: EvaluateRecipe, backbone: Backbone, adapters: Path) -> None:
    for name in recipe.needs():
        backbone.load(name, adapters / name)


def train(recipe: EvaluateRecipe, backbone: Backbone, prompts: Sequence[Prompt], judge: Annotator | None = None,
          texts: Sequence[str] = (), state: State | None = None) -> Iterator[Step]:
    """One Step per handful of prompts, carrying finished comparisons; the last carries the table. Trains nothing."""
    chosen = [prompts[i] for i in permutation(len(prompts), recipe.seed)[: recipe.count]]
    groups = list(parts(chosen, recipe.batch))
    is_simulated = judge is not None and recipe.annotator == "simulated"
    rows: list[dict[str, Any]] = []
    for index, group in enumerate(groups, start=1):
        found = compare(recipe, backbone, group, index)
        if judge:
            weigh(found, judge, is_simulated)
        rows += found
        is_last = index == len(groups)
        summary = table(recipe, rows, is_simulated) if is_last else {}
        if is_last:
            for which in ("a", "b"):
                summary[f"perplexity_{which}"] = perplexity(backbone, getattr(recipe, which), texts) if texts else None
        yield Step(index, len(groups), {"prompts": float(len(rows))}, comparisons=[stored(row) for row in found], summary=summary)


def compare(recipe: EvaluateRecipe, backbone: Backbone, group: Sequence[Prompt], index: int) -> list[dict[str, Any]]:
    """Both adapters answer the same prompts with the same random numbers; a's drift from b is measured on a's own words."""
    prompts = [backbone.chat.prompt(p.messages) for p in group]
    said: list[Replies] = []
    for name in (recipe.a, recipe.b):
        with backbone.role(name):
            said.append(sampling.answer(backbone, prompts, recipe.reply_tokens, recipe.temperature, generator(recipe.seed, index, 3)))
    read = closed(said[0], backbone.chat.end_of_turn)
    own, other = (score_tokens(backbone, name, read, 8, recipe.temperature).logps for name in (recipe.a, recipe.b))
    drift = maths.kl_per_token(own, other, read.mask).sum(1).tolist()
    rows = []
    for place, prompt in enumerate(group):
        replies = []
        for name, answers in zip((recipe.a, recipe.b), said, strict=True):
            tokens = answers.tokens(place)
            replies.append({"adapter": name, "text": backbone.chat.text(tokens), "tokens": len(tokens), "finished": bool(answers.ended[place]), "record": {}})
        settings = {"temperature": recipe.temperature, "reply_tokens": recipe.reply_tokens, "prompts": recipe.prompts, "is_held_out": True}
        rows.append({"kind": "ranking", "prompt": prompt.messages, "replies": replies, "shown": permutation(2, recipe.seed, index, place), "state": "ready",
                     "settings": settings, "drift": drift[place]})
    return rows


def weigh(rows: Sequence[dict[str, Any]], judge: Annotator, is_simulated: bool) -> None:
    """Adds the scoring rule's gold score to each reply and, where it stands in for a person, its judgement."""
    replies = [(row["prompt"], reply) for row in rows for reply in row["replies"]]
    golds = judge.scores([prompt for prompt, _ in replies], [reply["text"] for _, reply in replies])
    for (_, reply), gold in zip(replies, golds, strict=True):
        reply["record"]["gold"] = gold
    if is_simulated:
        for row in rows:
            row |= {"kind": "evaluation", "state": "judged", "source": "simulated", "annotator": "simulated", "ranking": order(row["replies"], judge.tie)}


def order(replies: Sequence[Mapping[str, Any]], tie: float) -> list[list[int]]:
    """The scoring rule's own order of two replies, without noise; closer than `tie` is a tie."""
    gap = replies[0]["record"]["gold"] - replies[1]["record"]["gold"]
    return [[0, 1]] if abs(gap) < tie else [[0], [1]] if gap > 0 else [[1], [0]]


def stored(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "drift"}


def table(recipe: EvaluateRecipe, rows: Sequence[Mapping[str, Any]], is_simulated: bool) -> dict[str, Any]:
    """The figures of a comparison; win rate counts a tie as half, its 95 % interval is Wilson's."""
    count = len(rows)
    found: dict[str, Any] = {"a": recipe.a, "b": recipe.b, "n": count, "judge": recipe.annotator, "kl_seq": sum(r["drift"] for r in rows) / count}
    for which, name in enumerate("ab"):
        found[f"reply_tokens_{name}"] = sum(r["replies"][which]["tokens"] for r in rows) / count
        found[f"eos_rate_{name}"] = sum(r["replies"][which]["finished"] for r in rows) / count
    if is_simulated:
        golds = [torch.tensor([r["replies"][which]["record"]["gold"] for r in rows], dtype=torch.float64) for which in (0, 1)]
        wins = sum(r["ranking"] == [[0], [1]] for r in rows)
        ties = sum(r["ranking"] == [[0, 1]] for r in rows)
        low, high = maths.wilson(wins + ties / 2, count)
        gain = golds[0] - golds[1]
        found |= {
            "wins": wins, "ties": ties, "losses": count - wins - ties, "win_rate": (wins + ties / 2) / count, "low": low, "high": high,
            "gold_a": float(golds[0].mean()), "gold_b": float(golds[1].mean()), "gold_sd_b": float(golds[1].std()),
            "gold_gain": float(gain.mean()), "gold_gain_se": float(gain.std()) / math.sqrt(count),
            "gold_gain_sd": float(gain.mean() / golds[1].std())}
    return found
