"""Rollouts as JSONL in the format of RLLoggingBoard, written and read: other tools show ours, the lab reads theirs.

Its keys (https://github.com/HarderThenHarder/RLLoggingBoard, README, section 2.1): prompt, response, response_tokens, logprobs,
ref_logprobs, values, token_rewards, reward (the reward model's score) and step. Ours beside them, so that nothing is lost:
messages, token_ids, advantages, returns, gold, finish_reason and place. It derives kl by itself and stumbles over a key of that name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import CorpusError
from workbench.records import Messages, RolloutRow

LISTS = {"logprobs": "logps", "ref_logprobs": "reference", "values": "values", "token_rewards": "rewards", "advantages": "advantages",
         "returns": "returns"}
NEEDED = ("prompt", "response_tokens", "logprobs", "ref_logprobs", "step")


def write(rows: Iterable[RolloutRow], path: Path) -> int:
    """One line per rollout; returns how many."""
    count = 0
    try:
        with path.open("w", encoding="utf-8") as out:
            for count, row in enumerate(rows, start=1):
                out.write(json.dumps(as_line(row), ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as fault:
        raise CorpusError(f"cannot write {path}: {fault.strerror}; choose a folder you may write to") from fault
    return count


def as_line(row: RolloutRow) -> dict[str, Any]:
    lists = {name: [finite(value) for value in getattr(row, mine)] for name, mine in LISTS.items()}
    return {"prompt": as_text(row.prompt), "response": row.reply, "response_tokens": row.pieces, **lists, "reward": finite(row.score),
            "step": row.step, "place": row.place, "messages": row.prompt, "token_ids": row.ids, "gold": row.gold, "finish_reason": row.finish}


def as_text(messages: Messages) -> str:
    """A single question as it is; a longer conversation with the speakers' names."""
    return messages[0]["content"] if len(messages) == 1 else "\n".join(f"{m['role']}: {m['content']}" for m in messages)


def finite(value: float) -> float | None:
    """JSON has no NaN or infinity; null says "no figure"."""
    return value if math.isfinite(value) else None


def read(path: Path) -> list[RolloutRow]:
    """The rollouts of a file by whatever trainer; figures that it does not have are NaN. Raises CorpusError with the line."""
    rows: list[RolloutRow] = []
    number = 1
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(as_row(json.loads(line), len(rows)))
    except OSError as fault:
        raise CorpusError(f"cannot read {path}: {fault.strerror}") from fault
    except (KeyError, TypeError, ValueError) as fault:
        raise CorpusError(f"{path}, line {number}: {reason(fault)}; a rollout is a JSON object with {', '.join(NEEDED)}") from fault
    return rows


def reason(fault: Exception) -> str:
    return f"there is no {fault.args[0]}" if isinstance(fault, KeyError) else str(fault)


def as_row(line: Mapping[str, Any], place: int) -> RolloutRow:
    """Figures end where the log-probabilities end: padding after a reply has none."""
    if not isinstance(line, dict):
        raise TypeError("this is no JSON object")
    line = {name: value for name, value in line.items() if value is not None}  # null says that it is not there
    if missing := [name for name in NEEDED if name not in line]:
        raise KeyError(missing[0])
    count = min(len(line["response_tokens"]), len(line["logprobs"]))
    lists = {mine: numbers(line, name, count) for name, mine in LISTS.items()}
    messages = [{key: str(turn[key]) for key in ("role", "content")} for turn in line.get("messages", [])]
    ids = [int(token) for token in line.get("token_ids", [])][:count]
    return RolloutRow(int(line["step"]), int(line.get("place", place)), messages or [{"role": "user", "content": str(line["prompt"])}],
                      [str(piece) for piece in line["response_tokens"][:count]], ids + [-1] * (count - len(ids)), number(line.get("reward")),
                      number(line["gold"]) if "gold" in line else None, str(line.get("finish_reason", "")), **lists)


def numbers(line: Mapping[str, Any], name: str, count: int) -> list[float]:
    found = [number(value) for value in line.get(name, [])[:count]]
    if name in ("logprobs", "ref_logprobs") and (len(found) < count or any(value > 0.01 for value in found)):
        raise ValueError(f"{name} must be a log-probability, at most 0, for each of the {count} tokens")
    return found + [math.nan] * (count - len(found))


def number(value: Any) -> float:
    return math.nan if value is None else float(value)
