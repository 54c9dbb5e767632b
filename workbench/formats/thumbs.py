"""Single replies that somebody liked or disliked: KTO, TRL unpaired, Taskmaster's rewards.

A thumb alone says nothing about another reply. Where one prompt has both a liked and a disliked reply they make a ranking;
the others are refused with that reason, or imitated where they are liked and the user asks for demonstrations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.corpus import Demonstration, Preference, Row
from workbench.formats.demonstrations import PROMPTS, REPLIES, earlier_turns, instruction
from workbench.formats.turns import (
    Notes,
    Record,
    Unusable,
    as_question,
    conversation,
    is_turns,
    prompt_of,
    split_reply,
    text_of,
    with_reply,
)
from workbench.records import Messages

LABELS = ("label", "kto_tag", "liked", "disliked")
GOOD, BAD = ("true", "1", "1.0", "yes", "good", "up", "liked"), ("false", "0", "0.0", "no", "bad", "down", "disliked")
ALONE = "replies to this prompt: nothing to compare with"


class Thumb(NamedTuple):
    """One reply and whether it was liked; thumbs of the same key are about the same question."""

    key: str
    prompt: Messages
    reply: str
    is_liked: bool


def is_verdict(value: object) -> bool:
    """Whether a label can only mean liked or disliked: 0 and 1 are open, as labels count classes too."""
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false"))


def is_thumb(record: Record) -> bool:
    has_reply = any(is_turns(record.get(key)) for key in ("messages", "conversations")) or (
        any(key in record for key in PROMPTS) and any(key in record for key in REPLIES))
    return has_reply and (any(is_verdict(record.get(key)) for key in LABELS) or "liked" in record or "disliked" in record)


def verdict(record: Record) -> bool:
    name = next((key for key in reversed(LABELS) if key in record), "")  # a mapped column before a label that was in the file
    if not name:
        raise Unusable("no label")
    said = str(record[name]).strip().lower()
    if said not in GOOD + BAD:
        raise Unusable(f"{name} is {said[:40]!r}, neither true nor false" if said else f"{name} is empty")
    return (said in GOOD) != (name == "disliked")


def thumb(record: Record, notes: Notes) -> list[Thumb]:
    """KTO and TRL unpaired: a prompt, a reply and a label; or a conversation whose last reply the label judges."""
    is_liked = verdict(record)
    turns = next((record[key] for key in ("messages", "conversations") if is_turns(record.get(key))), None)
    before, reply = split_reply(turns or next((record[key] for key in REPLIES if key in record), None), "reply", notes)
    if before:
        prompt = as_question(conversation(before, notes, record.get("system")))
    else:
        given = next((record[key] for key in PROMPTS if is_turns(record.get(key))), None)
        if record.get("history") and not given:
            given = [*earlier_turns(record), {"role": "user", "content": instruction(record)}]
        prompt = prompt_of(given or instruction(record), notes, record.get("system"))
    return [Thumb(json.dumps(prompt), prompt, reply, is_liked)]


def reward(record: Record, notes: Notes) -> list[Thumb]:
    """Taskmaster's rewards: a dialogue and a reply as JSON inside strings, 1 for good and 0 for bad."""
    said = unpacked(record.get("generation"), "generation", dict)
    if "api" in said:
        raise Unusable("the judged reply is a call of the shop's system, not text")
    if record.get("reward") not in (0, 1):
        raise Unusable(f"reward is {str(record.get('reward'))[:40]!r}; it must be 1 or 0")
    turns = unpacked(record.get("context"), "context", list)
    spoken = [turn for turn in turns if isinstance(turn, dict) and "text" in turn]
    if len(spoken) < len(turns):
        notes["judged dialogues call the shop's system; the calls and answers are not part of the prompt"] += 1
    if spoken and spoken[0].get("role") == "agent":
        notes["opening greetings of the agent were left out (a conversation begins with the user)"] += 1
        spoken = spoken[1:]
    prompt = as_question(conversation([{"role": turn.get("role"), "content": turn["text"]} for turn in spoken], notes))
    reply = text_of(said.get("text"), "generation")
    if not reply:
        raise Unusable("empty reply")
    return [Thumb(json.dumps(turns), prompt, reply, record["reward"] == 1)]  # the same calls, too: else it was another question


def unpacked(value: object, what: str, kind: type) -> Any:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise Unusable(f"{what} is not the JSON of a {kind.__name__}")
    return found


def compared(thumbs: Sequence[tuple[int, Thumb]], notes: Notes) -> Iterator[tuple[int, Row | Unusable]]:
    """The thumbs on one question as a ranking, liked above disliked; refusals line by line where there is none."""
    groups: dict[str, list[tuple[int, Thumb]]] = {}
    for line, each in thumbs:
        groups.setdefault(each.key, []).append((line, each))
    for group in groups.values():
        votes: dict[str, set[bool]] = {}
        for _, each in group:
            votes.setdefault(each.reply, set()).add(each.is_liked)
        clear = [reply for reply, said in votes.items() if len(said) == 1]
        liked = [reply for reply in clear if True in votes[reply]]
        disliked = [reply for reply in clear if False in votes[reply]]
        can_compare = bool(liked and disliked)
        if can_compare:
            places = [list(range(len(liked))), list(range(len(liked), len(clear)))]
            yield group[0][0], Preference(group[0][1].prompt, liked + disliked, places)
            notes["thumbs were joined into the rankings: liked above disliked, of the same prompt"] += sum(e.reply in clear for _, e in group)
        for line, each in group:
            if each.reply not in clear:
                yield line, Unusable("a contradiction: the same reply to the same prompt is both liked and disliked")
            elif not can_compare:
                yield line, Unusable(f"only {'liked' if each.is_liked else 'disliked'} {ALONE}")
                notes["liked replies have nothing to be compared with; --shape demonstrations imitates them"] += int(each.is_liked)


def imitated(thumbs: Sequence[tuple[int, Thumb]], notes: Notes) -> Iterator[tuple[int, Row | Unusable]]:
    """The liked replies as demonstrations."""
    for line, each in thumbs:
        yield line, Demonstration(with_reply(each.prompt, each.reply)) if each.is_liked else Unusable("disliked: not to be imitated")
