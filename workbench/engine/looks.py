"""A look at the policy between two steps: what it says to held-out prompts, what that earns, what it has forgotten. Trains nothing.

What is found here is never learned from, so it is what over-optimisation is judged by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from workbench import frontier, packs, tax
from workbench.annotator import Annotator
from workbench.chat import Chat
from workbench.corpus import Prompt
from workbench.engine import maths, reading, sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator
from workbench.engine.rollout import closed, score_replies, score_tokens
from workbench.engine.sampling import Replies
from workbench.engine.scoring import rate, reward_roles
from workbench.engine.step import Sample
from workbench.recipes import PpoRecipe
from workbench.tax import Choice

DRAWS = 4  # replies of the SFT policy to each held-out prompt, to reckon what best-of-n would earn


class Aside(NamedTuple):
    """What is kept aside for looks: prompts to answer, and plain text, choices and harmless questions to measure forgetting by."""

    prompts: Sequence[Prompt] = ()
    texts: Sequence[str] = ()
    choices: Sequence[Choice] = ()
    safe: Sequence[str] = ()


NOTHING = Aside()


class Said(NamedTuple):
    """b replies and their figures, a list of b each; gold is empty where nobody judges, kl in nats per reply."""

    texts: list[str]
    tokens: list[int]
    score: list[float]
    gold: list[float]
    kl: list[float]
    told: list[dict[str, Any]]  # of the first few, their tokens with the log-probabilities of the policy and of SFT


def aside(recipe: PpoRecipe, find: Callable[..., list[Any]]) -> Aside:
    """The first few of each, the same in every run."""
    few = recipe.look_replies
    texts = packs.load(recipe.prompts if recipe.prompts in packs.names() else packs.DEFAULT).texts()
    return Aside(find(recipe.prompts, "prompts", True)[:few], texts[:few], tax.choices()[:few], tax.safe()[:few])


def look(backbone: Backbone, recipe: PpoRecipe, aside: Aside, judge: Annotator | None, is_first: bool = False) -> tuple[list[Sample], dict[str, float]]:
    """Samples and figures of the policy as it is now, with the same random numbers each time; the first look also tries best-of-n."""
    if not aside.prompts:
        return [], {}
    start = time.perf_counter()
    said = answer(backbone, recipe, aside.prompts, judge, 7)
    numbers = summary(said) | forgotten(backbone, recipe, aside)
    if is_first:  # the policy still is the SFT model
        draws = [said, *(answer(backbone, recipe, aside.prompts, judge, 7, draw) for draw in range(1, DRAWS))]
        numbers |= frontier.best_of(by_prompt([each.score for each in draws]), by_prompt([each.gold for each in draws]) if said.gold else ())
    return samples(aside.prompts, said), numbers | {"seconds_look": time.perf_counter() - start}


def answer(backbone: Backbone, recipe: PpoRecipe, prompts: Sequence[Prompt], judge: Annotator | None, *seeds: int) -> Said:
    """Replies, scored by the reward model and by the judge: a second reward model where the recipe names one, else the pack's rule."""
    chat = backbone.chat
    replies = speak(backbone, recipe, [chat.prompt(p.messages) for p in prompts], *seeds)
    rows = closed(replies, chat.end_of_turn)
    rows = rows._replace(lower=backbone.below(rows.ids, rows.attention, "policy", "sft", *reward_roles(recipe).values()))
    texts = [chat.text(replies.tokens(row)) for row in range(len(prompts))]
    own, reference = (score_tokens(backbone, role, rows, recipe.micro_batch, recipe.temperature).logps for role in ("policy", "sft"))
    kl = maths.kl_per_token(own, reference, rows.mask).sum(1).tolist()
    told = [token_by_token(chat, replies.tokens(row), own[row], reference[row]) for row in range(math.ceil(recipe.record * len(prompts)))]
    score = rate(backbone, rows, prompts, recipe).tolist()
    if recipe.gold:
        gold = score_replies(backbone, "gold", rows._replace(lower=None), recipe.micro_batch).tolist()
    else:
        gold = judge.scores([p.messages for p in prompts], texts) if judge else []
    return Said(texts, [len(replies.tokens(row)) for row in range(len(prompts))], score, gold, kl, told)


def speak(backbone: Backbone, recipe: PpoRecipe, prompts: Sequence[Sequence[int]], *seeds: int) -> Replies:
    with backbone.role("policy"):
        return sampling.answer(backbone, prompts, recipe.reply_tokens, recipe.temperature, generator(recipe.seed, *seeds))


def token_by_token(chat: Chat, ids: list[int], own: Tensor, reference: Tensor) -> dict[str, Any]:
    """A reply's tokens as text, and what policy and SFT thought of each (t,), for the heatmap."""
    return {"pieces": chat.pieces(ids), "ids": ids, **{name: [round(x, 4) for x in logps[: len(ids)].tolist()] for name, logps in (("logps", own), ("reference", reference))}}


def summary(said: Said) -> dict[str, float]:
    """Means over the held-out prompts, with the standard error of the judge's."""
    numbers = {"held_score": mean(said.score), "held_kl": mean(said.kl)}
    if said.gold:
        spread = sum((gold - mean(said.gold)) ** 2 for gold in said.gold) / max(1, len(said.gold) - 1)
        numbers |= {"held_gold": mean(said.gold), "held_gold_se": (spread / len(said.gold)) ** 0.5}
    return numbers


def forgotten(backbone: Backbone, recipe: PpoRecipe, aside: Aside) -> dict[str, float]:
    """The alignment tax: what practice for reward has cost in plain English, in general knowledge and in willingness to answer."""
    numbers = {}
    if aside.texts:
        numbers["text_perplexity"] = reading.perplexity(backbone, "policy", aside.texts)
    if aside.choices:
        numbers["choice_accuracy"] = reading.choice_accuracy(backbone, "policy", aside.choices)
    if aside.safe:
        chat = backbone.chat
        replies = speak(backbone, recipe, [chat.prompt([{"role": "user", "content": text}]) for text in aside.safe], 8)
        numbers["refusal_rate"] = mean([tax.refuses(chat.text(replies.tokens(row))) for row in range(len(aside.safe))])
    return numbers


def samples(prompts: Sequence[Prompt], said: Said) -> list[Sample]:
    golds = said.gold or [None] * len(prompts)
    figures = [{"score": round(score, 3), "kl": round(kl, 3), "tokens": tokens} | ({} if gold is None else {"gold": round(gold, 3)})
               for score, gold, kl, tokens in zip(said.score, golds, said.kl, said.tokens, strict=True)]
    whole = [{"told": told} for told in said.told] + [{}] * (len(prompts) - len(said.told))
    return [Sample(prompt.messages, text, {**record, **more}) for prompt, text, record, more in zip(prompts, said.texts, figures, whole, strict=True)]


def by_prompt(draws: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    return list(zip(*draws, strict=True))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
