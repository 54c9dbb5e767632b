"""Rankings as tokens: what of them can be learned, the losses, and a look at those kept aside. Shared by a reward run's acts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench import corpus, trust
from workbench.corpus import Preference
from workbench.engine import maths
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator, pad
from workbench.engine.rollout import last_scores
from workbench.engine.stepper import Stepper
from workbench.errors import CorpusError
from workbench.recipes import RewardRecipe
from workbench.records import HeldOut


class Ranked(NamedTuple):
    """The replies to one prompt as rows of tokens, with the rank of each: lower is better, -1 was left out."""

    rows: list[list[int]]
    ranks: list[int]
    words: list[int]  # length of each reply in tokens
    source: Preference = Preference([], [], [])
    places: Sequence[int] = ()  # which of the source's replies these are


def encode(backbone: Backbone, rows: Sequence[Preference], recipe: RewardRecipe) -> tuple[list[Ranked], list[Ranked]]:
    """Train and held-out rankings as tokens, split by prompt. Raises CorpusError with the reason when one side is empty."""
    corpus.check_rankings(rows)
    found = [[ranked(backbone, row, recipe.max_tokens) for row in part] for part in corpus.split_rankings(rows, recipe.held_out)]
    learned, kept = ([each for each in part if isinstance(each, Ranked)] for part in found)
    if not learned or not kept:
        why = Counter(each for part in found for each in part if isinstance(each, str))
        said = "; ".join(f"in {count} {reason}" for reason, count in why.most_common())
        raise CorpusError(f"of {len(rows)} rankings none is usable on the {'training' if not learned else 'held-out'} side ({said}): replies must differ in rank"
                          f" and fit in max_tokens {recipe.max_tokens}; rank more, or raise max_tokens")
    return drawn_again(learned, recipe.seed) if recipe.bootstrap else learned, kept


def drawn_again(learned: Sequence[Ranked], seed: int) -> list[Ranked]:
    """A bootstrap: as many prompts as there are, drawn with replacement, each with all its rankings."""
    prompts: dict[str, list[Ranked]] = {}
    for each in learned:
        prompts.setdefault(corpus.prompt_key(each.source), []).append(each)
    groups = list(prompts.values())
    return [each for at in torch.randint(len(groups), (len(groups),), generator=generator(seed, 17)) for each in groups[int(at)]]


def ranked(backbone: Backbone, row: Preference, longest: int) -> Ranked | str:
    """The ranking as tokens, or why nothing can be learned from it."""
    prompt = backbone.chat.prompt(row.prompt)
    replies = [backbone.chat.reply(text) for text in row.replies]
    rank_of = {place: rank for rank, group in enumerate(row.ranking) for place in group}
    fitting = [i for i, reply in enumerate(replies) if len(prompt) + len(reply) <= longest]
    found = Ranked([prompt + replies[i] for i in fitting], [rank_of.get(i, -1) for i in fitting], [len(replies[i]) for i in fitting], row, fitting)
    if len(fitting) < 2:
        return "the replies are too long"
    if len({r for r in found.ranks if r >= 0}) < 2:
        return "all replies tie"
    return found if len({tuple(r) for r in found.rows}) > 1 else "the replies are the same"


def learn(backbone: Backbone, stepper: Stepper, batch: Sequence[Ranked], recipe: RewardRecipe) -> dict[str, float]:
    """One optimiser step of the stepper's role. All pairs of a prompt are one element: each prompt weighs the same."""
    loss, right, pairs, margin = 0.0, 0.0, 0, 0.0
    with backbone.role(stepper.role, train=True):
        for part in by_replies(batch, recipe.micro_batch):
            each = scores_of(backbone, stepper.role, part)
            part_loss = sum(prompt_loss(s, item, recipe) for s, item in zip(each, part, strict=True)) / len(batch)
            part_loss.backward()
            loss += float(part_loss.detach())
            for gap in gaps([s.detach() for s in each], part):
                right, pairs, margin = right + trust.right(gap), pairs + 1, margin + gap
        rate = stepper.rate()
        grad_norm = stepper.step()
    return {"loss": loss, "accuracy": right / max(pairs, 1), "margin": margin / max(pairs, 1), "lr": rate, "grad_norm": grad_norm}


def by_replies(batch: Sequence[Ranked], micro_batch: int) -> Iterator[list[Ranked]]:
    """Whole prompts, as many as keep their replies within the micro-batch (one prompt at least)."""
    part: list[Ranked] = []
    for item in batch:
        if part and sum(len(i.rows) for i in part) + len(item.rows) > micro_batch:
            yield part
            part = []
        part.append(item)
    yield part


def scores_of(backbone: Backbone, role: str, part: Sequence[Ranked]) -> list[Tensor]:
    """The scores of each prompt's replies, all of a part in one forward; call inside the role."""
    ids, attention = (t.to(backbone.device) for t in pad([row for item in part for row in item.rows]))
    return list(last_scores(backbone, role, ids, attention).split([len(item.rows) for item in part]))


def prompt_loss(scores: Tensor, item: Ranked, recipe: RewardRecipe) -> Tensor:
    """The loss of one prompt; the centring term holds the mean score near 0 (Eisenstein et al. 2023, for pairs).

    Plackett-Luce knows neither ties nor doubt: a ranking that has them is taken as pairs.
    """
    ranks, row = torch.tensor(item.ranks, device=scores.device), item.source
    known = ranks >= 0
    is_plain = len(set(ranks[known].tolist())) == int(known.sum()) and row.certainty == 1
    if recipe.loss == "plackett_luce" and is_plain:
        loss = maths.plackett_luce_loss(scores, ranks)
    else:
        loss = maths.all_pairs_loss(scores, ranks, recipe.margin * row.strength, row.certainty, with_ties=recipe.loss == "pairs_and_ties")
    return loss + recipe.centre * (2 * scores.mean()) ** 2


def gaps(each: Sequence[Tensor], part: Sequence[Ranked]) -> Iterator[float]:
    """Score of the better reply less that of the worse, over all strict pairs."""
    for scores, item in zip(each, part, strict=True):
        for i, better in enumerate(item.ranks):
            for j, worse in enumerate(item.ranks):
                if 0 <= better < worse:
                    yield float(scores[i] - scores[j])


@torch.no_grad()
def look(backbone: Backbone, role: str, kept: Sequence[Ranked], recipe: RewardRecipe) -> tuple[dict[str, float], list[HeldOut]]:
    """Held-out loss and figures, and the rankings with their scores; the interval counts prompts, since pairs of one are kin."""
    loss, rows = 0.0, []
    with backbone.role(role):
        for part in by_replies(kept, recipe.micro_batch):
            for scores, item in zip(scores_of(backbone, role, part), part, strict=True):
                loss += float(prompt_loss(scores, item, recipe)) / len(kept)
                rows.append(held_out(len(rows), item, scores.tolist()))
    found = trust.accuracy(rows)
    length = trust.length(rows, found)
    return {"eval_loss": loss, "eval_accuracy": found.rate, "eval_accuracy_low": found.low, "eval_accuracy_high": found.high,
            "eval_ece": trust.ece([gap for row in rows for gap in row.margins()]), "longer_wins": length.longer_wins.rate,
            "length_score": length.link}, rows


def held_out(place: int, item: Ranked, scores: Sequence[float]) -> HeldOut:
    row = item.source
    sides = [row.shown.index(at) for at in item.places] if row.shown and set(item.places) <= set(row.shown) else []
    return HeldOut(place, row.comparison, row.prompt, [row.replies[at] for at in item.places], list(item.ranks), list(scores), list(item.words),
                   row.annotator, sides, row.strength)


def steps_of(rankings: Sequence[Ranked], recipe: RewardRecipe) -> int:
    return math.ceil(len(rankings) * recipe.epochs / recipe.batch)
