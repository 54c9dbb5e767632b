"""A few rollouts of a step as plain rows, token by token: what a person reads to see where drift and reward sit in a text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.corpus import Prompt
from workbench.chat import Chat
from workbench.engine.rollout import Rollout, Rows
from workbench.records import RolloutRow


def texts(chat: Chat, rows: Rows) -> list[str]:
    """Replies as a person reads them."""
    return [chat.text(tokens(rows, place)) for place in range(len(rows.ids))]


def tokens(rows: Rows, place: int) -> list[int]:
    return rows.take(slice(place, place + 1)).said().tolist()


def rows(chat: Chat, prompts: Sequence[Prompt], rollout: Rollout, golds: Sequence[float], share: float, step: int) -> list[RolloutRow]:
    """The first replies of the batch (`golds` is empty or as long), which is in random order already; at least one unless the share is 0.

    Reads what the step has computed anyway: no forward pass, no random number, so training is the same with or without.
    """
    count = math.ceil(share * len(prompts))
    return [row(chat, prompt, rollout, place, step, golds[place] if golds else None) for place, prompt in enumerate(prompts[:count])]


def row(chat: Chat, prompt: Prompt, rollout: Rollout, place: int, step: int, gold: float | None) -> RolloutRow:
    said = rollout.mask[place].bool()
    ids = tokens(rollout.rows, place)
    figures = {name: getattr(rollout, name)[place][said].float().tolist() for name in ("logps", "reference", "values", "returns", "advantages", "rewards")}
    return RolloutRow(step, place, prompt.messages, chat.pieces(ids), ids, float(rollout.raw_score[place]), gold,
                      "ended" if rollout.ended[place] else "cut", **figures)
