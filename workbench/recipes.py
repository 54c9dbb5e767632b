"""The recipes: each knob, its meaning and its limits, written once.

Forms, command-line flags, checks and the record of a run all come from these classes. No torch here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import ClassVar

from workbench import rewards
from workbench.errors import RecipeError
from workbench.feedback_recipes import JudgeRecipe, ReviseRecipe
from workbench.knobs import DEFAULT_MODEL, PRECISIONS, Recipe, check, check_divides, kind_of, knob, largest_divisor

__all__ = ["DEFAULT_MODEL", "RECIPES", "DoubtRecipe", "EvaluateRecipe", "JudgeRecipe", "PpoRecipe", "Recipe", "ReplyRecipe", "ReviseRecipe", "RewardRecipe", "SftRecipe",
           "check", "check_divides", "from_json", "kind_of", "knob", "largest_divisor"]


@dataclass(frozen=True, kw_only=True)
class SftRecipe(Recipe):
    """Supervised fine-tuning: imitate the assistant's side of demonstrations."""

    stage: ClassVar[str] = "sft"
    title: ClassVar[str] = "SFT"

    model: str = knob(DEFAULT_MODEL, "base model: its short name, a local folder, or a hub name", kind="model", shapes=True)
    corpus: str = knob("customer-service", "demonstrations to imitate", kind="corpus:demonstrations")
    steps: int = knob(48, "optimiser steps", low=1, high=100_000)
    batch: int = knob(16, "demonstrations per step", low=1, high=1024)
    lr: float = knob(5e-4, "peak learning rate of the adapter", low=0.0, high=1.0, live=True)
    rank: int = knob(16, "size of the LoRA adapter", low=1, high=256, shapes=True)
    max_tokens: int = knob(320, "longest conversation kept, in tokens", low=16, high=32_768)
    seed: int = knob(0, "makes the run repeatable", low=0)
    start_from: str = knob("", "adapter to continue from; empty starts afresh", kind="adapter", advanced=True, shapes=True)
    alpha: int = knob(32, "strength of the LoRA adapter; alpha / rank scales it", low=1, high=1024, advanced=True, shapes=True)
    layers: int = knob(0, "uppermost layers that are adapted, 0 for all; below them nothing is trained, nor computed twice", low=0, advanced=True, shapes=True)
    dropout: float = knob(0.0, "share of the adapter's inputs dropped while training; 0.05 is usual on a GPU, slow on a CPU", low=0.0, high=0.9, advanced=True)
    warmup: float = knob(0.05, "share of the steps with a rising learning rate", low=0.0, high=1.0, advanced=True)
    micro_batch: int = knob(8, "demonstrations in memory at once; changes memory, not results", low=1, advanced=True)
    held_out: float = knob(0.1, "share of the prompts kept aside to measure eval_loss", low=0.0, high=0.9, advanced=True)
    eval_every: int = knob(20, "steps between two looks at the held-out rows and samples", low=1, advanced=True)
    save_every: int = knob(20, "steps between two checkpoints", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
    max_grad: float = knob(1.0, "gradients longer than this are shortened to it", low=0.0, advanced=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_divides("micro_batch", min(self.micro_batch, self.batch), "batch", self.batch)


@dataclass(frozen=True, kw_only=True)
class ReplyRecipe(Recipe):
    """Sample k replies to each prompt, for people (or the simulated annotator) to rank."""

    stage: ClassVar[str] = "replies"
    title: ClassVar[str] = "Replies to rank"

    adapters: str = knob(help="adapters that answer, comma between them", kind="adapter")
    prompts: str = knob("customer-service", "opening prompts", kind="corpus:prompts")
    count: int = knob(150, "how many prompts", low=1, high=100_000)
    k: int = knob(4, "replies per prompt", low=2, high=8)
    reply_tokens: int = knob(56, "longest reply, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "above 1 more varied, below 1 more careful", low=0.05, high=5.0)
    annotator: str = knob("person", "who ranks: a person on the Preferences tab, or the pack's scoring rule",
                          choices=("person", "simulated"))
    seed: int = knob(0, "makes the run repeatable", low=0)
    batch: int = knob(64, "replies written at once", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)


@dataclass(frozen=True, kw_only=True)
class RewardRecipe(Recipe):
    """Learn from rankings what people prefer: a scalar score for every reply."""

    stage: ClassVar[str] = "reward"
    title: ClassVar[str] = "Reward model"

    sft: str = knob(help="the SFT adapter it starts from and is calibrated on", kind="run:sft", shapes=True)
    preferences: str = knob("rankings", "rankings: this lab's own, or a corpus of preferences", kind="corpus:preferences")
    prompts: str = knob("customer-service", "prompts whose SFT replies set score 0 and spread 1", kind="corpus:prompts")
    epochs: int = knob(2, "times through the rankings", low=1, high=100)
    batch: int = knob(8, "prompts per step, each with all its replies", low=1, high=1024)
    lr: float = knob(5e-4, "peak learning rate", low=0.0, high=1.0, live=True)
    loss: str = knob("pairs", "pairs: every strict pair of a prompt; pairs_and_ties: tied replies are drawn together too; plackett_luce: the ranking as a whole",
                     choices=("pairs", "pairs_and_ties", "plackett_luce"))
    seed: int = knob(0, "makes the run repeatable", low=0)
    margin: float = knob(0.0, "score by which the better reply should lead per grade of strength (slightly 1, clearly 2, much 3); 0 asks for none",
                         low=0.0, high=10.0, advanced=True)
    curve: int = knob(0, "points of a learning curve: learns again from a half of the rankings, a quarter and so on; one costs half the training again,"
                      " more at most as much again", low=0, high=6, advanced=True)
    bootstrap: bool = knob(False, "draw the training prompts again with replacement, by the seed, so that the members of an ensemble differ", advanced=True)
    centre: float = knob(0.01, "pull of the scores towards 0", low=0.0, high=1.0, advanced=True)
    held_out: float = knob(0.2, "share of the prompts kept aside to measure accuracy", low=0.01, high=0.9, advanced=True)
    calibration: int = knob(64, "prompts answered to calibrate the score", low=2, high=10_000, advanced=True)
    reply_tokens: int = knob(56, "longest reply while calibrating; use PPO's", low=4, high=4096, advanced=True)
    temperature: float = knob(0.7, "sampling temperature while calibrating; use PPO's", low=0.05, high=5.0, advanced=True)
    max_tokens: int = knob(512, "longest conversation scored, in tokens", low=16, high=32_768, advanced=True)
    warmup: float = knob(0.05, "share of the steps with a rising learning rate", low=0.0, high=1.0, advanced=True)
    micro_batch: int = knob(16, "replies in memory at once; changes memory, not results", low=1, advanced=True)
    eval_every: int = knob(10, "steps between two looks at the held-out rankings", low=1, advanced=True)
    save_every: int = knob(20, "steps between two checkpoints", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
    max_grad: float = knob(1.0, "gradients longer than this are shortened to it", low=0.0, advanced=True)


@dataclass(frozen=True, kw_only=True)
class PpoRecipe(Recipe):
    """Raise a learned reward while staying near the SFT policy."""

    stage: ClassVar[str] = "ppo"
    title: ClassVar[str] = "PPO"

    sft: str = knob(help="the SFT adapter: where the policy starts and what it stays near", kind="run:sft", shapes=True)
    reward: str = knob(help="what scores the replies: a reward run, min(reward-1, reward-2), rule:PACK, or a sum like 0.8*reward-1 + rule:PACK",
                       kind="reward", shapes=True)
    prompts: str = knob("customer-service", "prompts to practise on", kind="corpus:prompts")
    steps: int = knob(24, "rounds of answering and learning", low=1, high=100_000)
    batch: int = knob(16, "replies per step", low=2, high=4096)
    lr: float = knob(2e-4, "peak learning rate of the policy", low=0.0, high=1.0, live=True)
    kl_weight: float = knob(0.05, "reward given up per nat of drift from the SFT policy", low=0.0, high=1000.0, live=True)
    reply_tokens: int = knob(56, "longest reply, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "sampling temperature, used in every log-probability", low=0.05, high=5.0, advanced=True, live=True)
    epochs: int = knob(1, "times each batch of replies is learned from", low=1, high=32, advanced=True)
    minibatch: int = knob(4, "replies per update; must divide the batch", low=1, advanced=True)
    micro_batch: int = knob(4, "replies in memory at once; changes memory, not results", low=1, advanced=True)
    value: str = knob("own", "own: the value model has an adapter of its own; shared: only a head on the policy, half the work",
                      choices=("own", "shared"), advanced=True, shapes=True)
    value_lr: float = knob(1e-4, "peak learning rate of the value model", low=0.0, high=1.0, advanced=True, live=True)
    clip: float = knob(0.2, "how far a token's probability may move before it stops counting", low=0.01, high=1.0, advanced=True)
    lam: float = knob(0.95, "GAE lambda: 1 trusts returns, 0 trusts the value model", low=0.0, high=1.0, advanced=True)
    target_kl: float = knob(0.05, "an update that moves further than 1.5 times this ends early (nats per token)",
                            low=0.0, high=10.0, advanced=True, live=True)
    no_end_penalty: float = knob(1.0, "taken off a reply that never ends", low=0.0, high=100.0, advanced=True, live=True)
    length_penalty: float = knob(0.0, "taken off a reply's score for each of its tokens, so that length alone does not pay", low=0.0, high=10.0,
                                 advanced=True, live=True)
    sample_every: int = knob(5, "steps between two looks at the fixed prompts, and two checkpoints", low=1, advanced=True)
    look_replies: int = knob(8, "held-out prompts answered at each look, and as many texts, choices and harmless questions read for what is forgotten",
                             low=1, high=1024, advanced=True)
    gold: str = knob("", "a second reward run, never trained on, to judge held-out replies; empty: the pack's rule", kind="run:reward", advanced=True)
    record: float = knob(0.25, "share of each step's replies kept token by token, for the heatmap; 0 keeps none", low=0.0, high=1.0, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
    seed: int = knob(0, "makes the run repeatable", low=0, advanced=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        rewards.parse(self.reward)
        check_divides("minibatch", self.minibatch, "batch", self.batch)
        check_divides("micro_batch", min(self.micro_batch, self.minibatch), "minibatch", self.minibatch)


@dataclass(frozen=True, kw_only=True)
class EvaluateRecipe(Recipe):
    """Compare two adapters on held-out prompts: win rate, gold score, drift, length, perplexity."""

    stage: ClassVar[str] = "evaluate"
    title: ClassVar[str] = "Held-out comparison"

    a: str = knob(help="the adapter that is hoped to be better", kind="adapter")
    b: str = knob(help="the adapter it is compared with", kind="adapter")
    prompts: str = knob("customer-service", "held-out prompts", kind="corpus:prompts")
    annotator: str = knob("simulated", "who judges: the pack's scoring rule, or a person later on the Compare tab",
                          choices=("person", "simulated"))
    count: int = knob(64, "how many prompts", low=1, high=100_000)
    reply_tokens: int = knob(56, "longest reply, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "sampling temperature of both", low=0.05, high=5.0)
    seed: int = knob(0, "makes the run repeatable", low=0)
    batch: int = knob(32, "replies written at once", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)


@dataclass(frozen=True, kw_only=True)
class DoubtRecipe(Recipe):
    """Least sure first: a reward model reads the replies that wait, and what it doubts most is ranked first."""

    stage: ClassVar[str] = "doubt"
    title: ClassVar[str] = "Least sure first"

    reward: str = knob(help="the reward run that reads them", kind="run:reward")
    count: int = knob(500, "how many waiting comparisons at most, oldest first", low=1, high=100_000)
    max_tokens: int = knob(512, "longest conversation read, in tokens; a longer one keeps its place", low=16, high=32_768, advanced=True)
    micro_batch: int = knob(16, "replies in memory at once; changes memory, not results", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)


RECIPES: dict[str, type[Recipe]] = {r.stage: r for r in (SftRecipe, ReplyRecipe, RewardRecipe, PpoRecipe, EvaluateRecipe, JudgeRecipe, ReviseRecipe,
                                                       DoubtRecipe)}


def from_json(stage: str, text: str) -> Recipe:
    """The recipe of a run's row. Raises RecipeError for an unknown stage or knob."""
    if stage not in RECIPES:
        raise RecipeError(f"stage {stage!r} is unknown; there are {', '.join(RECIPES)}")
    known = {f.name for f in fields(RECIPES[stage])}
    values = json.loads(text)
    if strange := set(values) - known:
        raise RecipeError(f"{RECIPES[stage].__name__} has no knob {', '.join(sorted(strange))}; it has {', '.join(sorted(known))}")
    return RECIPES[stage](**values)
