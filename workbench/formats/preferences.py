"""Preferences of two replies: pairs of chosen and rejected, and judged pairs, from the records of each format.

A judgement that puts nothing above anything (a tie, annotators who cancel out) is refused with that reason: it trains nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence

from workbench.corpus import Preference, Row
from workbench.formats.demonstrations import PROMPTS, earlier_turns, instruction
from workbench.formats.turns import (
    HUMAN,
    Notes,
    Record,
    Unusable,
    as_question,
    check_order,
    conversation,
    is_turns,
    number,
    prompt_of,
    split_reply,
    text_of,
    transcript,
)
from workbench.records import Messages

TIE = "a tie: no reply is preferred"


def pair(prompt: Messages, chosen: str, rejected: str, annotator: str = "") -> list[Row]:
    if chosen == rejected:
        raise Unusable("identical pair: chosen and rejected are the same text")
    return [Preference(as_question(prompt), [chosen, rejected], [[0], [1]], annotator)]


# --- pairs of chosen and rejected


def hh(record: Record, notes: Notes) -> list[Row]:
    """HH-RLHF: two whole transcripts that must agree up to the last assistant turn."""
    sides = [transcript(text_of(record.get(side), side)) for side in ("chosen", "rejected")]
    for turns, side in zip(sides, ("chosen", "rejected")):
        if not turns or turns[-1]["role"] != "assistant":
            raise Unusable(f"{side} does not end with the assistant")
        if not turns[-1]["content"]:
            raise Unusable("empty reply")
    if sides[0][:-1] != sides[1][:-1]:
        raise Unusable("chosen and rejected have different prompts")
    return pair(conversation(sides[0][:-1], notes, record.get("system")), sides[0][-1]["content"], sides[1][-1]["content"])


def implicit(record: Record, notes: Notes) -> list[Row]:
    """TRL without a prompt column: what chosen and rejected share at their beginning is the prompt."""
    if is_turns(record.get("chosen")):
        (before, chosen), (also, rejected) = (split_reply(record.get(side), side, notes) for side in ("chosen", "rejected"))
        if before != also:
            raise Unusable("chosen and rejected have different prompts")
        if not before:
            raise Unusable("no prompt before the reply")
        check_order(before)
        return pair(before, chosen, rejected)
    chosen, rejected = (split_reply(record.get(side), side, notes)[1] for side in ("chosen", "rejected"))
    if chosen == rejected:
        raise Unusable("identical pair: chosen and rejected are the same text")
    shared = os.path.commonprefix([chosen, rejected])
    cut = max(shared.rfind(" "), shared.rfind("\n")) + 1  # replies begin with a whole word
    if not shared[:cut].strip():
        raise Unusable("no prompt: chosen and rejected share no beginning")
    if not (chosen[cut:].strip() and rejected[cut:].strip()):
        raise Unusable("empty reply")
    return pair(prompt_of(shared[:cut], notes), chosen[cut:].strip(), rejected[cut:].strip())


def explicit(record: Record, notes: Notes) -> list[Row]:
    """TRL with a prompt, and LLaMA-Factory's conversations: replies as texts, single turns or whole conversations."""
    (before, chosen), (also, rejected) = (split_reply(record.get(side), side, notes) for side in ("chosen", "rejected"))
    if before != also:
        raise Unusable("chosen and rejected have different prompts")
    if before:  # UltraFeedback repeats the prompt inside both sides; that copy may carry a system turn as well
        check_order(before)
        check_same_prompt(record, before)
        return pair(before, chosen, rejected)
    turns = next((record[key] for key in ("conversations", "messages", *PROMPTS) if is_turns(record.get(key))), None)
    if record.get("history") and not turns:
        turns = [*earlier_turns(record), {"role": "user", "content": instruction(record)}]
    return pair(prompt_of(turns or instruction(record), notes, record.get("system")), chosen, rejected)


def check_same_prompt(record: Record, before: Messages) -> None:
    """Raises Unusable unless the prompt's column and the turns inside both sides have a user's text in common (a template may stand around it)."""
    given = next((record[key] for key in (*PROMPTS, "conversations", "messages") if record.get(key)), "")
    told = " ".join(json.dumps(given, ensure_ascii=False).split())
    said = [" ".join(json.dumps(turn["content"], ensure_ascii=False)[1:-1].split()) for turn in before if turn["role"] == "user"]
    if given and not any(text in told or told[1:-1] in text for text in said):
        raise Unusable("the prompt is not the one inside chosen and rejected")


def better_first(record: Record, notes: Notes) -> list[Row]:
    """LLaMA-Factory's older rankings: `output` lists the replies, the better first."""
    found = record.get("output")
    replies = [text_of(each, "output") for each in (found if isinstance(found, list) else [found])]
    if len(replies) != 2 or not all(replies):
        raise Unusable(f"output holds {sum(map(bool, replies))} replies; two are wanted, the better first")
    notes["pairs without a mark: the first reply in output was read as the better, as LLaMA-Factory has it"] += 1
    return pair(conversation([*earlier_turns(record), {"role": "user", "content": instruction(record)}], notes, record.get("system")), *replies)


# --- judged pairs


def alpaca_eval(record: Record, notes: Notes) -> list[Row]:
    """AlpacaEval annotations: preference 1 or 2 (or between them, a probability), 0 for a tie."""
    first, second = (split_reply(record.get(key), key, notes)[1] for key in ("output_1", "output_2"))
    verdict = number(record.get("preference"), "preference")
    if not (verdict == 0 or 1 <= verdict <= 2):
        raise Unusable(f"preference is {verdict:g}; it must be 1 or 2, or 0 for a tie")
    prompt = prompt_of(instruction(record), notes)
    judge = text_of(record.get("annotator"), "annotator")
    return judged_pair(prompt, (first, second), 0 if verdict in (0, 1.5) else 1 if verdict < 1.5 else 2, judge)


def panda_lm(record: Record, notes: Notes) -> list[Row]:
    """PandaLM: what most of the annotators say, each 1, 2 or 0 for a tie."""
    votes = Counter(number(record[key], key) for key in record if re.fullmatch(r"annotator\d+", key) and record[key] not in (None, ""))
    if not votes or set(votes) - {0, 1, 2}:
        raise Unusable("the annotators' votes must be 1, 2 or 0 for a tie")
    replies = tuple(split_reply(record.get(key), key, notes)[1] for key in ("response1", "response2"))
    return judged_pair(prompt_of(instruction(record), notes), replies, int(majority(votes, notes)), f"majority of {votes.total()}")


def majority(votes: Counter[float], notes: Notes) -> float:
    """The verdict with most votes. Raises Unusable when two verdicts have equally many."""
    (verdict, count), *others = votes.most_common()
    if others and others[0][1] == count:
        raise Unusable("the annotators disagree: no verdict has most votes")
    if others:
        notes["rows whose annotators were not of one mind: the majority was taken, ties included"] += 1
    return verdict


VERDICTS = {1: ("1", "1.0", "a", "first", "left", "model_a", "true"), 2: ("2", "2.0", "b", "second", "right", "model_b", "false"),
            0: ("tie", "both", "equal", "same", "neither", "draw")}


def first_or_second(record: Record, notes: Notes) -> list[Row]:
    """Two replies and which is better, in words that leave no doubt; a 0 does, as it may be the first or a tie."""
    replies = [split_reply(record.get(key), key, notes)[1] for key in ("first", "second")]
    said = str(record.get("better", "")).strip().lower()
    verdict = next((each for each, words in VERDICTS.items() if said in words), None)
    if verdict is None:
        raise Unusable(f"better is {said[:40]!r}; it must say 1, 2, a, b, first, second, left, right or tie (better=COLUMN:WORD names what means the first)")
    return judged_pair(prompt_of(instruction(record), notes, record.get("system")), replies, verdict, "")


def arena(record: Record, notes: Notes) -> list[Row]:
    """Arena battles: two conversations and a winner (model_a, model_b, tie)."""
    sides = [split_reply(record.get(key), key, notes) for key in ("conversation_a", "conversation_b")]
    if sides[0][0] != sides[1][0]:
        raise Unusable("the two conversations differ before the last reply")
    check_order(sides[0][0] or [{"role": "assistant", "content": ""}])
    winner = text_of(record.get("winner"), "winner")
    verdict = {"model_a": 1, "model_b": 2}.get(winner, 0)
    if not verdict and not winner.startswith(("tie", "both_bad")):
        raise Unusable(f"winner is {winner[:40]!r}; it must be model_a, model_b or tie")
    return judged_pair(sides[0][0], (sides[0][1], sides[1][1]), verdict, text_of(record.get("judge"), "judge"))


def arena_votes(record: Record, notes: Notes) -> list[Row]:
    """Arena battles as a table: prompt and responses are JSON lists, a text a turn, and three columns say who won."""
    prompts, *sides = (said_in(record.get(key), key) for key in ("prompt", "response_a", "response_b"))
    if not (len(prompts) == len(sides[0]) == len(sides[1])) or sides[0][:-1] != sides[1][:-1]:
        raise Unusable("the two conversations differ before the last reply" if len(sides[0]) == len(sides[1]) else "one side has more turns")
    turns = [turn for asked, replied in zip(prompts, sides[0]) for turn in ({"role": "user", "content": asked}, {"role": "assistant", "content": replied})]
    votes = [number(record.get(key), key) for key in ("winner_model_a", "winner_model_b", "winner_tie")]
    if sorted(votes) != [0, 0, 1]:
        raise Unusable(f"the winner is open: {votes} for a, b and a tie")
    prompt = conversation(turns[:-1], notes) if turns else []
    return judged_pair(prompt, [side[-1].strip() for side in sides], {0: 1, 1: 2, 2: 0}[votes.index(1)], "")


def said_in(value: object, what: str) -> list[str]:
    """The texts of a JSON list, which tables hold as a string."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    texts = [text_of(each, what) for each in found] if isinstance(found, list) else []
    if not texts or not all(texts):
        raise Unusable(f"{what} is not a list of texts, or one of them is empty")
    return texts


def judged_pair(prompt: Messages, replies: Sequence[str], verdict: int, annotator: str) -> list[Row]:
    """A pair by its verdict: 1, 2, or 0 for a tie. The replies keep their order."""
    if replies[0] == replies[1]:
        raise Unusable("identical pair: both replies are the same text")
    if verdict == 0:
        raise Unusable(TIE)
    return [Preference(as_question(prompt), list(replies), [[0], [1]] if verdict == 1 else [[1], [0]], annotator)]


def is_transcript(value: object) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("Human:") and HUMAN[2:] in value and "\n\nAssistant:" in value
