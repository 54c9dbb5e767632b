"""The reward model: an adapter and a scalar head that learn to order replies as people did."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench import agreement
from workbench.corpus import Preference, Prompt
from workbench.engine import sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import batch_at, generator, pad, parts, permutation
from workbench.engine.rankings import Ranked, encode, learn, look, steps_of
from workbench.engine.rollout import closed, last_scores, score_replies
from workbench.engine.step import State, Step, gathered, picked
from workbench.engine.stepper import Stepper
from workbench.probes import PROBES
from workbench.recipes import RewardRecipe

LEAVES = "reward"
TRIAL = "smaller"  # the role that learns from a smaller share of the rankings
LEAST = 4  # rankings; what is learned from fewer says nothing


def inputs(recipe: RewardRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"rows": find(recipe.preferences, "preferences"), "prompts": find(recipe.prompts, "prompts")}


def load(recipe: RewardRecipe, backbone: Backbone, adapters: Path) -> None:
    """The reward adapter starts as a copy of the SFT adapter; the SFT policy itself is needed to calibrate."""
    backbone.load("sft", adapters / recipe.sft)
    backbone.copy("reward", of="sft")
    backbone.add_head("reward", recipe.seed)


@dataclass
class Task:
    """What the acts of a run share: the rankings as tokens, and the summary that grows."""

    recipe: RewardRecipe
    backbone: Backbone
    learned: list[Ranked]
    kept: list[Ranked]
    prompts: Sequence[Prompt]
    summary: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def smaller(self) -> list[list[Ranked]]:
        """The shares of the training rankings that the learning curve learns from: the last is a half, each other half of the next."""
        order = permutation(len(self.learned), self.recipe.seed, 13)
        sizes = [len(order) // 2 ** (self.recipe.curve - at) for at in range(self.recipe.curve)]
        return [[self.learned[at] for at in order[:size]] for size in sizes if size >= LEAST]

    @cached_property
    def steps(self) -> int:
        return steps_of(self.learned, self.recipe)

    @cached_property
    def total(self) -> int:
        return self.steps + 1 + sum(steps_of(part, self.recipe) for part in self.smaller)


def train(recipe: RewardRecipe, backbone: Backbone, rows: Sequence[Preference], prompts: Sequence[Prompt],
          state: State | None = None) -> Generator[Step, RewardRecipe | None, None]:
    """One Step per batch of prompts, one that calibrates, and those of the learning curve; a recipe sent in holds from the next on.

    Raises CorpusError when there is nothing to learn.
    """
    task = Task(recipe, backbone, *encode(backbone, rows, recipe), prompts)
    task.summary |= {"rankings": len(task.learned), "held_out": len(task.kept), "ceiling": agreement.ceiling(agreement.of_preferences(rows))._asdict(),
                     **(state.numbers if state else {})}
    if state:
        backbone.set_tensors("reward", picked(state.tensors, "reward"))
    yield from order(task, state)                         # 1. learn who was preferred
    if not state or state.step <= task.steps:
        yield settle(task)                                # 2. try to fool it, and fix its scale
    yield from curve(task, state.step if state else 0)    # 3. would more labels help?


def order(task: Task, state: State | None) -> Generator[Step, RewardRecipe | None, None]:
    """One Step per batch of prompts."""
    recipe, backbone = task.recipe, task.backbone
    stepper = Stepper(backbone, "reward", recipe.lr, task.steps, recipe.warmup, recipe.max_grad)
    if state and (kept := picked(state.tensors, "stepper")):
        stepper.set_tensors(kept)
    for index in range(state.step + 1 if state else 1, task.steps + 1):
        numbers, seen = learn(backbone, stepper, batch_at(task.learned, index - 1, recipe.batch, recipe.seed), recipe), []
        if index in (1, task.steps) or index % recipe.eval_every == 0:
            found, seen = look(backbone, "reward", task.kept, recipe)
            numbers |= found
            task.summary |= {key: found[key] for key in found if key.startswith("eval_")}
        recipe = (yield Step(
            index, task.total, numbers, is_checkpoint=index % recipe.save_every == 0, summary=dict(task.summary), held_out=seen,
            state=lambda at=index: State(at, gathered(reward=backbone.tensors("reward"), stepper=stepper.tensors()), dict(task.summary)))) or recipe
        stepper.lr = recipe.lr


def settle(task: Task) -> Step:
    """Probes the raw scores, then sets their mean and spread by the SFT policy's own replies."""
    recipe, backbone = task.recipe, task.backbone
    probed = probe(backbone, task.kept, recipe)
    found, seen = look(backbone, "reward", task.kept, recipe)  # of the raw scores, as at every look before: calibration rescales them
    mean, spread = calibrate(backbone, task.prompts, recipe)
    numbers = {"raw_mean": mean, "raw_sd": spread} | probed
    task.summary |= found | numbers
    few = f"; no learning curve: a half of {len(task.learned)} rankings says nothing" if recipe.curve and not task.smaller else ""
    return Step(task.steps + 1, task.total, numbers | (point(task.learned, found) if task.smaller else {}), summary=dict(task.summary), held_out=seen,
                note=f"calibrated: the SFT policy's replies score 0 on average, with a spread of 1{few}", state=kept_as(task, task.steps + 1), is_checkpoint=bool(task.smaller))


def curve(task: Task, done: int) -> Iterator[Step]:
    """The same training on smaller shares, each from the start; a share that was cut short begins again."""
    recipe, backbone, first = task.recipe, task.backbone, task.steps + 1
    for part in task.smaller:
        steps = steps_of(part, recipe)
        if first + steps > done:
            backbone.copy(TRIAL, of="sft")
            backbone.add_head(TRIAL, recipe.seed)
            stepper = Stepper(backbone, TRIAL, recipe.lr, steps, recipe.warmup, recipe.max_grad)
            for index in range(1, steps + 1):
                learn(backbone, stepper, batch_at(part, index - 1, recipe.batch, recipe.seed), recipe)
                is_last = index == steps
                yield Step(first + index, task.total, point(part, look(backbone, TRIAL, task.kept, recipe)[0]) if is_last else {},
                           summary=dict(task.summary), note=f"learning curve: {len(part)} of {len(task.learned)} rankings", is_checkpoint=is_last,
                           state=kept_as(task, first + index) if is_last else None)
            backbone.drop(TRIAL)
        first += steps


def kept_as(task: Task, step: int) -> Callable[[], State]:
    """A checkpoint of the finished reward model: whatever comes after does not touch it."""
    return lambda: State(step, gathered(reward=task.backbone.tensors("reward")), dict(task.summary))


def point(learned: Sequence[Ranked], found: dict[str, float]) -> dict[str, float]:
    """A point of the learning curve."""
    return {"curve_rankings": float(len(learned)), "curve_accuracy": found["eval_accuracy"], "curve_low": found["eval_accuracy_low"],
            "curve_high": found["eval_accuracy_high"]}


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
