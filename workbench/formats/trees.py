"""Open Assistant's trees: at every question the ranked replies to it, with the path that leads there. Whole trees, or a message a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.corpus import Preference, Row
from workbench.formats.rankings import ranked
from workbench.formats.turns import Notes, Record, Unusable, as_question, conversation, number, text_of

Message = Mapping[str, Any]


def oasst(record: Record, notes: Notes) -> Iterator[Row | Unusable]:
    """Open Assistant trees: the ranked replies to every question at every depth, each with the path that leads there."""
    root = record.get("prompt")
    if not isinstance(root, dict):
        raise Unusable("no tree: prompt is not a message")
    found, waiting = 0, [(root, [])]
    while waiting:  # not recursive: trees come from files, and files may be deep
        node, path = waiting.pop()
        children = [each for each in node.get("replies") or [] if isinstance(each, dict)] if isinstance(node.get("replies"), list) else []
        here = [*path, {"role": node.get("role"), "content": node.get("text")}]
        waiting += [(each, here) for each in children]
        judged = [each for each in children if each.get("rank") is not None and not each.get("deleted")]
        if len(judged) < 2 or node.get("role") != "prompter":
            continue
        found += 1
        try:
            yield oasst_set(here, judged, notes)
        except Unusable as reason:
            yield reason
    if not found:
        yield Unusable("no ranked replies in this tree")


def oasst_set(path: Sequence[dict[str, Any]], judged: Sequence[dict[str, Any]], notes: Notes) -> Preference:
    replies = [(text_of(each.get("text"), "reply"), number(each["rank"], "rank")) for each in judged]
    if any(each.get("synthetic") for each in judged):
        notes["rankings hold replies written by a model (synthetic)"] += 1
    return ranked(as_question(conversation(path, notes)), replies, notes)


# --- a message a line


def said(record: Record, notes: Notes) -> list[Message]:
    if not isinstance(record.get("message_id"), (str, int)) or not isinstance(record.get("parent_id"), (str, int, type(None))):
        raise Unusable("no message_id, or a parent_id that is none")
    return [record]


def grown(messages: Sequence[tuple[int, Message]], notes: Notes) -> Iterator[tuple[int, Row | Unusable]]:
    """The ranked replies to each question; messages that no ranking needs are only counted, as most are turns of a path."""
    by_id = {message["message_id"]: message for _, message in messages}
    answers: dict[str | int, list[tuple[int, Message]]] = {}
    for line, message in messages:
        if message["parent_id"] in by_id and message.get("rank") not in (None, "") and message.get("deleted") not in (True, "true", "True"):
            answers.setdefault(message["parent_id"], []).append((line, message))
    sets = {parent: judged for parent, judged in answers.items() if len(judged) > 1 and by_id[parent].get("role") == "prompter"}
    notes["messages with a rank have no rival: alone, or not a reply"] += sum(map(len, answers.values())) - sum(map(len, sets.values()))
    for parent, judged in sets.items():
        try:
            yield judged[0][0], oasst_set(path_to(by_id[parent], by_id), [message for _, message in judged], notes)
        except Unusable as reason:
            yield from ((line, reason) for line, _ in judged)
    if not sets:
        yield from ((line, Unusable("no ranked replies")) for line, _ in messages)


def path_to(message: Message, by_id: Mapping[str | int, Message]) -> list[dict[str, Any]]:
    """The turns from the root to a message. Raises Unusable where they run in a circle."""
    path: list[dict[str, Any]] = []
    at: Message | None = message
    while at is not None:
        if len(path) > len(by_id):
            raise Unusable("the messages' parents run in a circle")
        path.append({"role": at.get("role"), "content": at.get("text")})
        at = by_id.get(at["parent_id"]) if at["parent_id"] is not None else None
    return path[::-1]
