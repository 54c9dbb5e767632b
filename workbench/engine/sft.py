"""Supervised fine-tuning: imitate the assistant's side of demonstrations."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Any

import torch

from workbench import corpus
from workbench.corpus import Demonstration
from workbench.engine import sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import batch_at, generator, parts
from workbench.chat import Encoded
from workbench.engine.reading import loss_on, target_logps
from workbench.engine.step import Sample, State, Step, gathered, picked
from workbench.engine.stepper import Stepper
from workbench.errors import CorpusError
from workbench.recipes import SftRecipe

LEAVES = "policy"
SAMPLES = 3


def inputs(recipe: SftRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"rows": find(recipe.corpus, "demonstrations")}


def load(recipe: SftRecipe, backbone: Backbone, adapters: Path) -> None:
    """A fresh adapter, or the one to continue from."""
    if recipe.start_from:
        backbone.load("policy", adapters / recipe.start_from)
        backbone.heads.pop("policy", None)
    else:
        backbone.add("policy", recipe.rank, recipe.alpha, recipe.dropout, recipe.seed, recipe.layers)


def train(recipe: SftRecipe, backbone: Backbone, rows: Sequence[Demonstration], state: State | None = None) -> Generator[Step, SftRecipe | None, None]:
    """One Step per optimiser step; a recipe sent in holds from the next one on. Raises CorpusError when no row can be learned from."""
    learned, kept = corpus.split(rows, recipe.held_out)
    learned, examples, dropped = encode(backbone, learned or kept, recipe.max_tokens)
    kept, held_out, _ = encode(backbone, kept, recipe.max_tokens) if kept else ([], [], 0)
    stepper = Stepper(backbone, "policy", recipe.lr, recipe.steps, recipe.warmup, recipe.max_grad)
    if state:
        backbone.set_tensors("policy", picked(state.tensors, "policy"))
        stepper.set_tensors(picked(state.tensors, "stepper"))
    for index in range(state.step + 1 if state else 1, recipe.steps + 1):
        start = time.perf_counter()
        torch.manual_seed(recipe.seed * 1_000_003 + index)  # dropout is a function of (seed, step)
        batch = batch_at(examples, index - 1, recipe.batch, recipe.seed)
        numbers = learn(backbone, stepper, batch, recipe.micro_batch)
        numbers["ends_trained"] = ends_trained(batch, backbone.chat.stops)
        numbers["tokens_per_second"] = sum(len(e.ids) for e in batch) / (time.perf_counter() - start)
        samples: list[Sample] = []
        if index in (1, recipe.steps) or index % recipe.eval_every == 0:
            if held_out:
                numbers["eval_loss"] = loss_on(backbone, "policy", held_out, recipe.micro_batch)
            samples = speak(backbone, recipe, (kept or learned)[:SAMPLES], numbers)
        recipe = (yield Step(
            index, recipe.steps, numbers, samples=samples, is_checkpoint=index % recipe.save_every == 0,
            state=lambda at=index: State(at, gathered(policy=backbone.tensors("policy"), stepper=stepper.tensors()), {}),
            note=f"{dropped} conversations are longer than {recipe.max_tokens} tokens and were left out" if dropped else "",
            summary={"loss": numbers["loss"], "eval_loss": numbers.get("eval_loss"), "rows": len(examples), "left_out": dropped})) or recipe
        stepper.lr = recipe.lr


def encode(backbone: Backbone, rows: Sequence[Demonstration], longest: int) -> tuple[list[Demonstration], list[Encoded], int]:
    """The rows that fit with their tokens, and how many did not."""
    pairs = [(row, backbone.chat.conversation(row.messages)) for row in rows]
    fitting = [(row, encoded) for row, encoded in pairs if len(encoded.ids) <= longest]
    if not fitting:
        shortest = min(len(e.ids) for _, e in pairs)
        raise CorpusError(f"all {len(pairs)} conversations are longer than max_tokens {longest}; the shortest has {shortest}, raise max_tokens")
    return [row for row, _ in fitting], [encoded for _, encoded in fitting], len(pairs) - len(fitting)


def learn(backbone: Backbone, stepper: Stepper, batch: Sequence[Encoded], micro_batch: int) -> dict[str, float]:
    """One optimiser step; the loss is a mean over the trained tokens of the whole batch, whatever the micro-batch."""
    total = sum(sum(e.mask) for e in batch)
    by_length = sorted(batch, key=lambda e: len(e.ids))
    loss, right = 0.0, 0
    with backbone.role("policy", train=True):
        for part in parts(by_length, micro_batch):
            logps, is_right = target_logps(backbone, part)
            part_loss = -logps.sum() / total
            part_loss.backward()
            loss, right = loss + float(part_loss.detach()), right + int(is_right.sum())
        rate = stepper.rate()
        grad_norm = stepper.step()
    return {"loss": loss, "token_accuracy": right / total, "lr": rate, "grad_norm": grad_norm}


def ends_trained(batch: Sequence[Encoded], stops: Collection[int]) -> float:
    """Share of the conversations whose end of turn is among the trained tokens: without it no reply ever stops."""
    return sum(any(m and i in stops for i, m in zip(e.ids, e.mask, strict=True)) for e in batch) / len(batch)


def speak(backbone: Backbone, recipe: SftRecipe, rows: Sequence[Demonstration], numbers: dict[str, float]) -> list[Sample]:
    """Replies to the first prompts of the held-out rows, with the same random numbers each time."""
    prompts = [corpus.as_prompt(row).messages for row in rows]
    with backbone.role("policy"):
        replies = sampling.answer(backbone, [backbone.chat.prompt(p) for p in prompts], 64, 0.7, generator(recipe.seed, 7))
    texts = [backbone.chat.text(replies.tokens(row)) for row in range(len(prompts))]
    lengths = replies.mask.sum(1).float()
    numbers |= {"eos_rate": float(replies.ended.float().mean()), "reply_tokens": float(lengths.mean())}
    return [Sample(p, t, {"tokens": int(n)}) for p, t, n in zip(prompts, texts, lengths, strict=True)]


