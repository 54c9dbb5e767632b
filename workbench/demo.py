"""The demo: the recipes of a pack's chain, queued one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench import packs
from workbench.recipes import EvaluateRecipe, PpoRecipe, Recipe, ReplyRecipe, RewardRecipe, SftRecipe
from workbench.records import Run

Knobs = Mapping[str, Mapping[str, Any]]  # by stage, what differs from the defaults
Start = Callable[[Recipe], Run]

FAST: Knobs = {"sft": {"layers": 8}, "ppo": {"value": "shared"}}  # less time; docs/results.md shows what it costs


def merged(first: Knobs, second: Knobs) -> Knobs:
    """Both; where they disagree the second one counts."""
    return {stage: {**first.get(stage, {}), **second.get(stage, {})} for stage in {*first, *second}}


def room(pack: str) -> Knobs:
    """Replies as long as the pack's own, in every stage that writes or scores them."""
    return {stage: {"reply_tokens": packs.load(pack).reply_tokens} for stage in ("replies", "reward", "ppo", "evaluate")}


def until_ranking(start: Start, seed: int, judge: str, pack: str, knobs: Knobs) -> list[Run]:
    """SFT and replies. Raises CorpusError when there is no such pack."""
    name, knobs = packs.load(pack).name, merged(room(pack), knobs)
    sft = start(SftRecipe(corpus=name, seed=seed).replace(**knobs.get("sft", {})))
    return [sft, start(ReplyRecipe(adapters=sft.id, prompts=name, annotator=judge, seed=seed).replace(**knobs.get("replies", {})))]


def after_ranking(start: Start, sft: str, corpus: str, seed: int, knobs: Knobs) -> list[Run]:
    """Reward model, PPO and held-out comparison, on the prompts of the pack that `sft` imitated."""
    prompts = corpus if corpus in packs.names() else packs.DEFAULT
    knobs = merged(room(prompts), knobs)
    reward = start(RewardRecipe(sft=sft, prompts=prompts, seed=seed).replace(**knobs.get("reward", {})))
    ppo = start(PpoRecipe(sft=sft, reward=reward.id, prompts=prompts, seed=seed).replace(**knobs.get("ppo", {})))
    return [reward, ppo, start(EvaluateRecipe(a=ppo.id, b=sft, prompts=prompts, seed=seed).replace(**knobs.get("evaluate", {})))]
