"""Demonstrations, prompts and plain texts, from the records of each format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.corpus import Demonstration, Prompt, Row, Text
from workbench.formats.turns import (
    DROPPED,
    Notes,
    Record,
    Unusable,
    as_question,
    asked,
    conversation,
    field,
    is_turns,
    message,
    prompt_of,
    split_reply,
    text_of,
    with_reply,
)

PROMPTS = ("prompt", "instruction", "question", "query")
REPLIES = ("completion", "reply", "response", "answer", "output")


def chat(record: Record, notes: Notes) -> list[Row]:
    """ShareGPT ({from, value}) and OpenAI ({role, content}) conversations."""
    turns = next((record[key] for key in ("messages", "conversations", "conversation") if key in record), None)
    messages = conversation(turns, notes, record.get("system"))
    if not any(m["role"] == "assistant" for m in messages):
        raise Unusable("no assistant turn")
    last = max(place for place, turn in enumerate(messages) if turn["role"] == "assistant")
    notes[DROPPED] += last + 1 < len(messages)
    return [Demonstration(messages[: last + 1])]


def instruction(record: Record) -> str:
    """The question of a row: Alpaca's instruction with its input below it (Dolly calls it context), or whatever column asks."""
    given = text_of(record.get("input") or record.get("context"), "input")
    wanted = field(record, *PROMPTS)
    return f"{wanted}\n\n{given}" if given else wanted


def earlier_turns(record: Record) -> list[dict[str, Any]]:
    """The `history` that LLaMA-Factory adds to a row, [user, assistant] pairs, as turns. Raises Unusable."""
    turns: list[dict[str, Any]] = []
    history = record.get("history") or []
    for pair in history if isinstance(history, list) else [history]:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise Unusable("history is not a list of [user, assistant] pairs")
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return turns


def alpaca(record: Record, notes: Notes) -> list[Row]:
    """Alpaca rows, with the `system` and `history` that LLaMA-Factory adds."""
    turns = [*earlier_turns(record), {"role": "user", "content": instruction(record)}, {"role": "assistant", "content": record.get("output")}]
    return [Demonstration(conversation(turns, notes, record.get("system")))]


def self_instruct(record: Record, notes: Notes) -> Iterator[Row | Unusable]:
    """Seed tasks: one instruction with several {input, output} instances, each a demonstration."""
    instances = record.get("instances")
    if not isinstance(instances, list) or not instances:
        raise Unusable("no instances")
    for instance in instances:
        if not isinstance(instance, dict):
            yield Unusable("an instance is not an object")
            continue
        try:
            yield from alpaca({**instance, "instruction": record.get("instruction")}, notes)
        except Unusable as reason:
            yield reason


def taskmaster(record: Record, notes: Notes) -> list[Row]:
    """Taskmaster dialogues: what was said; the calls of the shop's system that stand beside it cannot be shown to a model."""
    spoken = record.get("utterances")
    if not isinstance(spoken, list) or not all(isinstance(each, dict) for each in spoken):
        raise Unusable("utterances are not a list of objects")
    turns: list[dict[str, str]] = []
    for place, each in enumerate(spoken, start=1):
        turn = message({"role": each.get("speaker"), "content": each.get("text")}, place, notes)
        if turns and turns[-1]["role"] == turn["role"]:
            notes["turns were joined to the one before, by the same speaker"] += 1
            turns[-1]["content"] += "\n" + turn["content"]
        else:
            turns.append(turn)
    if turns and turns[0]["role"] == "assistant":
        notes["opening greetings of the assistant were left out (a conversation begins with the user)"] += 1
        turns = turns[1:]
    made = chat({"messages": turns}, notes)
    if any(each.get("annotations") or each.get("segments") for each in spoken):
        notes["dialogues carry calls of a shop's system or labels, which are not text and were left out; "
              "replies may state what only the system knew"] += 1
    return made


def completion(record: Record, notes: Notes) -> list[Row]:
    """A prompt and one reply, as texts or as turns."""
    value = next((record[key] for key in PROMPTS if is_turns(record.get(key))), None)
    prompt = prompt_of(value or instruction(record), notes, record.get("system"))
    found = next((record[key] for key in REPLIES if key in record), None)
    between, reply = split_reply(found, "reply", notes)
    if between and between != prompt:
        raise Unusable("the reply's turns do not go on from the prompt")
    return [Demonstration(with_reply(prompt, reply))]


def prompt(record: Record, notes: Notes) -> list[Row]:
    """A question that waits for a reply."""
    value = next((record[key] for key in PROMPTS if is_turns(record.get(key))), None)
    return [Prompt(prompt_of(value or instruction(record), notes, record.get("system")))]


def first_turn(record: Record, notes: Notes) -> list[Row]:
    """MT-bench questions: the later turns need the reply to the first, so only the first can be a prompt."""
    turns = record.get("turns")
    text = text_of(turns[0], "turn 1") if isinstance(turns, list) and turns else ""
    if not text:
        raise Unusable("no turns")
    if len(turns) > 1:
        notes["later turns of the same question were left out"] += 1
    return [Prompt(as_question(asked(text, record.get("system"))))]


def text(record: Record, notes: Notes) -> list[Row]:
    found = text_of(record.get("text", record.get("document")), "text")
    if not found:
        raise Unusable("no text")
    return [Text(found)]
