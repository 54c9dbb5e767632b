"""A chain small enough to break twenty times a minute: a tiny random base that learns to say short words.

SFT imitates words of letters a to h, the simulated annotator likes the letter e and not a, PPO follows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import LlamaForCausalLM

from tests import toy
from workbench.annotator import Annotator
from workbench.corpus import Demonstration, Preference, Prompt
from workbench.engine import ppo, reward, sampling, sft
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator
from workbench.engine.step import Step
from workbench.recipes import PpoRecipe, Recipe, RewardRecipe, SftRecipe

LETTERS = "abcdefgh"
PROMPTS = [Prompt([{"role": "user", "content": f"say {a}{b}{c}"}]) for a in LETTERS for b in LETTERS for c in LETTERS[:4]]
JUDGE = Annotator({
    "empty": -1.0, "noise": 0.2, "tie": 0.25, "repetition": {"weight": 0.0},
    "length": {"low": 0, "high": 9, "weight_short": 0.0, "weight_long": 0.0, "floor": 0.0},
    "features": [{"name": "e", "weight": 1.0, "pattern": "e", "cap": 4}, {"name": "a", "weight": -1.0, "pattern": "a", "cap": 4}],
})
SFT = {"steps": 150, "batch": 32, "micro_batch": 32, "lr": 5e-3, "rank": 16, "alpha": 32, "eval_every": 25, "precision": "fp32"}
REWARD = {"epochs": 5, "held_out": 0.3, "batch": 16, "micro_batch": 64, "lr": 3e-3, "calibration": 64, "reply_tokens": 16, "temperature": 1.0, "precision": "fp32",
          "eval_every": 10}
PPO = {"steps": 15, "batch": 32, "minibatch": 8, "micro_batch": 8, "lr": 1e-3, "value_lr": 2e-3, "reply_tokens": 16, "temperature": 1.0,
       "kl_weight": 0.05, "sample_every": 1000, "precision": "fp32"}


def tiny(folder: Path, width: int = 128, scale: float = 3.0) -> str:
    """The tests' tiny base with louder embeddings: a frozen output layer must be able to be sure of a letter."""
    name = toy.make(folder, width=width)
    network = LlamaForCausalLM.from_pretrained(name)
    with torch.no_grad():
        network.get_input_embeddings().weight.mul_(scale)
    network.save_pretrained(name)
    return name


def demonstrations(seed: int, count: int = 1024) -> list[Demonstration]:
    dice = random.Random(seed)
    return [Demonstration([*prompt.messages, {"role": "assistant", "content": "".join(dice.choices(LETTERS, k=dice.randint(3, 8)))}])
            for prompt in dice.choices(PROMPTS, k=count)]


def learn_to_speak(model: str, seed: int, rows: Sequence[Demonstration] | None = None, **knobs: Any) -> tuple[Backbone, list[Step], SftRecipe]:
    """A backbone whose role "policy" has learned the words."""
    recipe = SftRecipe(model=model, seed=seed, **{**SFT, **knobs})
    backbone = Backbone(model, "fp32")
    sft.load(recipe, backbone, Path())
    return backbone, list(sft.train(recipe, backbone, rows or demonstrations(seed))), recipe


def rankings(backbone: Backbone, seed: int, k: int = 4, judge: Any = None) -> list[Preference]:
    """k replies of the role "sft" to every prompt, ranked by the rule with its noise (or by `judge`)."""
    dice, found = random.Random(seed), []
    with backbone.role("sft"):
        replies = sampling.answer(backbone, [backbone.chat.prompt(p.messages) for p in PROMPTS for _ in range(k)], 16, 1.0, generator(seed, 5))
    texts = [backbone.chat.text(replies.tokens(row)) for row in range(len(PROMPTS) * k)]
    for place, prompt in enumerate(PROMPTS):
        mine = texts[place * k : place * k + k]
        found.append(Preference(prompt.messages, mine, judge(mine, dice) if judge else JUDGE.rank(prompt.messages, mine, dice)))
    return found


def learn_to_judge(backbone: Backbone, seed: int, rows: Sequence[Preference], **knobs: Any) -> tuple[list[Step], RewardRecipe]:
    """Adds the role "reward", calibrated on "sft"."""
    recipe = RewardRecipe(sft="sft-1", seed=seed, **{**REWARD, **knobs})
    backbone.copy("reward", of="sft")
    backbone.add_head("reward", seed)
    return list(reward.train(recipe, backbone, rows, PROMPTS)), recipe


def practise(backbone: Backbone, seed: int, breaks: Callable[..., Any], **knobs: Any) -> tuple[list[Step], PpoRecipe]:
    """PPO from fresh copies of "sft" and "reward", broken as `breaks` says; the roles can be used again."""
    recipe = PpoRecipe(sft="sft-1", reward="reward-1", seed=seed, **{**PPO, **knobs})
    backbone.copy("policy", of="sft")
    backbone.copy("value", of="reward")
    backbone.add_head("value", seed, copy_of="reward")
    with breaks(backbone):
        return list(ppo.train(recipe, backbone, PROMPTS, judge=JUDGE)), recipe


class Chain(NamedTuple):
    """What was learned without harm, to be broken in the next stage."""

    backbone: Backbone
    sft: tuple[Recipe, list[Step]]
    reward: tuple[Recipe, list[Step]]


class Host:
    """Runs cases on the toy; what a case does not break is learned once per seed."""

    stages = ("sft", "reward", "ppo")
    patience = 0  # its runs are quick: each goes to its end

    def __init__(self, folder: Path) -> None:
        self.model = tiny(folder / "tiny")
        self.ready: tuple[int, Chain] | None = None

    def chain(self, seed: int) -> Chain:
        if not self.ready or self.ready[0] != seed:
            backbone, said, speaking = learn_to_speak(self.model, seed)
            backbone.copy("sft", of="policy")
            judged, judging = learn_to_judge(backbone, seed, rankings(backbone, seed))
            self.ready = (seed, Chain(backbone, (speaking, said), (judging, judged)))
        return self.ready[1]

    def run(self, case: Any, seed: int) -> tuple[Recipe, list[Step], dict[str, Any]]:
        """The recipe, the steps of a run broken as the case says, and the summary of the reward run that PPO leans on."""
        is_healthy = case.name == "healthy"
        knobs = {name: {"sft": SFT, "reward": REWARD, "ppo": PPO}[case.stage][name] * factor for name, factor in case.times.items()} | case.knobs
        if case.stage == "sft" and not is_healthy:
            with case.breaks(None):
                _, steps, recipe = learn_to_speak(self.model, seed, **knobs)
            return recipe, steps, {}
        chain = self.chain(seed)
        if case.stage == "ppo":
            steps, recipe = practise(chain.backbone, seed, case.breaks, **knobs)
            return recipe, steps, dict(chain.reward[1][-1].summary)
        if is_healthy:
            return *(chain.sft if case.stage == "sft" else chain.reward), {}
        self.ready = None  # its reward role is about to be spoilt
        steps, recipe = learn_to_judge(chain.backbone, seed, rankings(chain.backbone, seed, judge=case.breaks), **knobs)
        return recipe, steps, {}
