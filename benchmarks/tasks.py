"""What every participant is given: the model's folder, sizes and seeds, and rows as tokens, so that nobody tokenises.

The rows come from the customer-service pack. All numbers that a peer and we must share are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench import packs
from workbench.engine import models
from workbench.chat import Chat
from workbench.recipes import DEFAULT_MODEL

PACK = "customer-service"
LORA = {"rank": 16, "alpha": 32}
SFT_ROWS, REWARD_PAIRS = 16, 8


def make(model: str = DEFAULT_MODEL, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A task as plain JSON; `changes` replace sizes, for example {"batch": 8}.

    `stops` false means that every reply has exactly `reply_tokens` tokens. `recipe` holds knobs that only we have.
    """
    tokenizer = models.load_tokenizer(model)
    chat, pack = Chat(tokenizer), packs.load(PACK)
    prompts = [{"messages": m, "ids": chat.prompt(m)} for m in pack.prompts("train")]
    conversations = [chat.conversation(m) for m in pack.demonstrations()]
    return {
        "model": models.folder_of(model), "pack": PACK, "precision": "bf16", **LORA, "seed": 0,
        "batch": 16, "reply_tokens": 64, "temperature": 0.7, "epochs": 4, "stops": False, "recipe": {},
        "end_of_turn": chat.end_of_turn, "pad": filler(tokenizer), "prompts": prompts,
        "demonstrations": [{"ids": e.ids, "mask": e.mask} for e in conversations], "sft_rows": SFT_ROWS,
        "pairs": pairs(chat, pack.demonstrations()), "reward_pairs": REWARD_PAIRS, **(changes or {}),
    }


def filler(tokenizer: Any) -> int:
    """A padding token that no prompt holds: TRL's PPO trainer hides every token that equals it, the end of turn too."""
    return tokenizer.unk_token_id if tokenizer.unk_token_id is not None else 0


def pairs(chat: Chat, demonstrations: list[list[dict[str, str]]]) -> list[dict[str, list[int]]]:
    """A written ranking for each demonstration: its own last reply is better than that of the next demonstration."""
    found = []
    for own, other in zip(demonstrations, demonstrations[1:] + demonstrations[:1], strict=True):
        prompt = chat.prompt(own[:-1])
        better, worse = (chat.reply(row[-1]["content"]) for row in (own, other))
        found.append({"chosen": prompt + better, "rejected": prompt + worse})
    return found


def turn(rows: list[Any], index: int, size: int) -> list[Any]:
    """The rows of iteration `index` (from 0), in the pack's order and round again at its end."""
    return [rows[place % len(rows)] for place in range(index * size, (index + 1) * size)]


def mean_prompt_tokens(task: Mapping[str, Any]) -> float:
    return sum(len(p["ids"]) for p in task["prompts"]) / len(task["prompts"])
