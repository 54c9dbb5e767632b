"""Turns and texts as other tools write them, made into our messages; whatever cannot be is refused with its reason."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from workbench.records import Messages


class Unusable(Exception):
    """A row, or a part of one, that cannot be used; its text is the reason."""


Record = Mapping[str, Any]
Notes = Counter[str]  # what happened to how many rows, told to the user at the end

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user", "customer": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "agent": "assistant",
    "function_call": "assistant", "tool_call": "assistant", "tool_calls": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "function_response": "tool", "tool_response": "tool", "ipython": "tool", "api": "tool",
}
CALLS = ("function_call", "tool_call", "tool_calls")  # as roles, and as fields of an assistant's turn
CALLED = "calls of tools are imitated as the text they are in the file"
WRITTEN = "calls of tools were written as JSON text, a call a line"
HUMAN = "\n\nHuman:"
DROPPED = "conversations did not end with a reply; the turns after the last reply were dropped"
UNWEIGHTED = "assistant turns have loss_weight 0 in the file; they are imitated like the others"


def text_of(value: object, what: str) -> str:
    """The text of a field: a string, a number, or a list of typed parts. Raises Unusable for anything else."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        if len(value) > 1 and all(isinstance(part, str) for part in value):
            raise Unusable(f"{what} is a list of {len(value)} texts; one text is wanted")
        value = "".join(part_text(part, what) for part in value)
    if not isinstance(value, str):
        raise Unusable(f"{what} is a {type(value).__name__}, not a text")
    check_letters(value, what)
    return value.strip()


def check_letters(text: str, what: str) -> None:
    """Raises Unusable for what cannot be saved: bytes that were no UTF-8 (kept as U+DC80 to U+DCFF) and halves of characters."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        is_byte = any("\udc80" <= letter <= "\udcff" for letter in text)
        raise Unusable(f"{what} holds bytes that are not UTF-8" if is_byte else f"{what} holds half a character (a lone surrogate)") from fault


def who(annotator: object) -> str:
    """The name of an annotator, short and fit to be saved, whatever the file has there."""
    return "" if annotator is None else str(annotator)[:80].encode("utf-8", "replace").decode()


def part_text(part: object, what: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        kind = part.get("type", "text")
        found = part.get("text", part.get("value"))
        if kind in ("text", "input_text", "output_text") and isinstance(found, str):
            return found
        raise Unusable(f"{what} has a part of type {str(kind)[:40]!r}; only text can be used")
    raise Unusable(f"{what} has a part that is a {type(part).__name__}, not a text")


def field(record: Record, *names: str) -> str:
    """The text of the first of these columns that the row has and that is not empty. Raises Unusable when none is."""
    for name in names:
        if found := text_of(record.get(name), name):
            return found
    there = [name for name in names if name in record]
    raise Unusable(f"{there[0]} is empty" if there else f"no {names[0]}")


def number(value: object, what: str) -> float:
    try:
        found = float(value)  # type: ignore[arg-type]  # whatever it is, the except says so
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise Unusable(f"{what} is {str(value)[:40]!r}, not a number")
    return found


def is_turns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and ("from" in value[0] or "role" in value[0])


def message(turn: object, place: int, notes: Notes) -> dict[str, str]:
    """One of our messages from a turn of ShareGPT ({from, value}) or OpenAI ({role, content}) kind."""
    if not isinstance(turn, dict):
        raise Unusable(f"turn {place} is a {type(turn).__name__}, not an object with a role")
    said = turn.get("role", turn.get("from"))
    role = ROLES.get(said.lower()) if isinstance(said, str) else None
    if role is None:
        raise Unusable(f"turn {place} has the unknown role {str(said)[:40]!r}")
    content = text_of(turn.get("content", turn.get("value")), f"turn {place}")
    if role == "assistant" and turn.get("tool_calls"):
        content = "\n".join(filter(None, [content, *called(turn["tool_calls"], place)]))
        notes[WRITTEN] += 1
    notes[CALLED] += str(said).lower() in CALLS
    if not content:
        raise Unusable("empty reply" if role == "assistant" else f"turn {place} ({role}) is empty")
    if role == "assistant" and turn.get("loss_weight") == 0:
        notes[UNWEIGHTED] += 1
    return {"role": role, "content": content}


def called(calls: object, place: int) -> list[str]:
    """The calls of a turn of OpenAI kind, each as the JSON of its name and arguments."""
    made = []
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not (isinstance(function, dict) and isinstance(function.get("name"), str)):
            raise Unusable(f"turn {place} calls a tool without a name")
        given = function.get("arguments")
        try:
            given = json.loads(given) if isinstance(given, str) else given
        except (ValueError, RecursionError):
            pass  # not JSON: the text itself is what the model said
        made.append(json.dumps({"name": function["name"], "arguments": given}, ensure_ascii=False))
        check_letters(made[-1], f"turn {place}")
    return made


def conversation(turns: object, notes: Notes, system: object = None) -> Messages:
    """Our messages from a list of turns, in a proper order. Raises Unusable."""
    if not isinstance(turns, list) or not turns:
        raise Unusable("no turns")
    messages = [message(turn, place, notes) for place, turn in enumerate(turns, start=1)]
    if before := text_of(system, "system"):
        messages.insert(0, {"role": "system", "content": before})
    check_order(messages)
    return messages


FOLLOWS = {"": ("user",), "user": ("assistant",), "assistant": ("user", "tool"), "tool": ("assistant", "tool")}


def check_order(messages: Messages) -> None:
    """Raises Unusable unless the order is: perhaps the system, then user and assistant in turn, who may hear tools before going on."""
    spoken = [turn["role"] for turn in messages[messages[0]["role"] == "system":]]
    for before, role in zip(["", *spoken], spoken):
        if role not in FOLLOWS[before]:
            raise Unusable(f"role order: {disorder(before, role)}")


def disorder(before: str, role: str) -> str:
    if role == "system":
        return "a system turn that is not the first"
    if before == role:
        return f"two {role} turns in a row"
    if role == "tool":
        return "a tool's answer that the assistant did not ask for"
    return "the user speaks before the assistant has read the tool's answer" if before == "tool" else "the assistant speaks first"


def as_question(messages: Messages) -> Messages:
    """The same messages, checked to wait for a reply."""
    if not messages or messages[-1]["role"] != "user":
        raise Unusable("the prompt does not end with the user")
    return messages


def with_reply(prompt: Messages, reply: str) -> Messages:
    return [*prompt, {"role": "assistant", "content": reply}]


def asked(text: str, system: object = None) -> Messages:
    """A user's single question, perhaps after a system text."""
    before = text_of(system, "system")
    head = [{"role": "system", "content": before}] if before else []
    return [*head, {"role": "user", "content": text}]


def transcript(text: str) -> list[dict[str, str]]:
    """The turns of an HH transcript ("\\n\\nHuman: ... \\n\\nAssistant: ..."), not yet checked; the last may be empty."""
    pieces = re.split(r"(?:^|\n\n)(Human|Assistant):", text)
    if pieces[0].strip():
        raise Unusable("the transcript begins with words of nobody")
    return [{"role": "user" if who == "Human" else "assistant", "content": said.strip()} for who, said in zip(pieces[1::2], pieces[2::2])]


def prompt_of(value: object, notes: Notes, system: object = None) -> Messages:
    """The messages of a prompt given as a text, an HH transcript or a list of turns. Raises Unusable."""
    if is_turns(value):
        return as_question(conversation(value, notes, system))
    text = text_of(value, "prompt")
    if not text:
        raise Unusable("the prompt is empty")
    if text.startswith("Human:") and "\n\nAssistant:" in text:
        turns = transcript(text)
        return as_question(conversation(turns[:-1] if not turns[-1]["content"] else turns, notes, system))
    return asked(text, system)


def split_reply(value: object, what: str, notes: Notes) -> tuple[Messages, str]:
    """What stands before a reply, and the reply: from a text, a single turn, or a conversation that ends with it."""
    turns = [value] if isinstance(value, dict) else value
    if is_turns(turns):
        messages = [message(turn, place, notes) for place, turn in enumerate(turns, start=1)]  # type: ignore[arg-type]
        if messages[-1]["role"] != "assistant":
            raise Unusable(f"{what} does not end with the assistant")
        return messages[:-1], messages[-1]["content"]
    reply = text_of(value, what)
    if not reply:
        raise Unusable("empty reply")
    return [], reply
