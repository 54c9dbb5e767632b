"""Rankings of k replies: lists with ranks or scores, one reply a line, and verdicts on all pairs.

A ranking that puts nothing above anything is refused with that reason; one that leaves some replies out is kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from workbench.corpus import Preference, Row
from workbench.formats.demonstrations import PROMPTS, REPLIES, instruction
from workbench.formats.preferences import TIE
from workbench.formats.turns import (
    Notes,
    Record,
    Unusable,
    as_question,
    field,
    is_turns,
    number,
    prompt_of,
    text_of,
)
from workbench.records import Messages

CANDIDATES = ("answers", "completions", "responses", "candidates", "replies")
CANDIDATE_TEXT = ("answer", "response", "text", "content", "output", "completion", "reply")
SCORES = ("overall_score", "score")
FIGURES = {"ranks": "rank", "rank": "rank", "scores": "score"}  # lists beside a list of replies, a figure a reply
LOWEST, HIGHEST = "rankings by `rank`: the lowest number was read as the best", "rankings by score: the highest number was read as the best"


def ranked(prompt: Messages, candidates: Sequence[tuple[str, float | None]], notes: Notes, annotator: str = "") -> Preference:
    """A ranking from (reply, rank); the lowest rank is best, equal ranks tie, None is not ranked. Empty and repeated replies are left out."""
    best: dict[str, float | None] = {}
    for reply, rank in sorted(candidates, key=lambda each: (each[1] is None, each[1] or 0)):
        if not reply:
            notes["empty replies were left out of their rankings"] += 1
        elif reply in best:
            notes["repeated replies were left out of their rankings (the best place was kept)"] += 1
        else:
            best[reply] = rank
    if len(best) < 2:
        raise Unusable("fewer than two different replies to rank")
    replies = [reply for reply in dict.fromkeys(text for text, _ in candidates) if reply in best]
    places = sorted({rank for rank in best.values() if rank is not None})
    if len(places) < 2:
        raise Unusable("fewer than two replies have a rank" if None in best.values() else TIE)
    if None in best.values():
        notes["rankings are partial: some of their replies have no rank"] += 1
    return Preference(as_question(prompt), replies, [[n for n, reply in enumerate(replies) if best[reply] == place] for place in places], annotator)


# --- a list of replies in each row


def candidates(record: Record, notes: Notes) -> list[Row]:
    """Nectar and UltraFeedback: a list of replies with ranks (1 is best) or scores (the highest is best), in objects or in a list beside."""
    found = together(record)
    judged: list[tuple[str, float | None]] = []
    for place, each in enumerate(found, start=1):
        if not isinstance(each, dict):
            raise Unusable(f"reply {place} is not an object with a rank")
        text = next((text_of(each[key], f"reply {place}") for key in CANDIDATE_TEXT if key in each), "")
        judged.append((text, rank_of(each, f" of reply {place}")))
    turns = next((record[key] for key in PROMPTS if is_turns(record.get(key))), None)
    made = ranked(prompt_of(turns or instruction(record), notes, record.get("system")), judged, notes)
    notes[LOWEST if "rank" in found[0] else HIGHEST] += 1
    return [made]


def beside(record: Record) -> tuple[str, str]:
    """The names of a list of texts and of the list of their ranks or scores, where a row has both; else empty."""
    replies = next((key for key in CANDIDATES if isinstance(record.get(key), list) and record[key] and isinstance(record[key][0], str)), "")
    figures = next((key for key in FIGURES if isinstance(record.get(key), list)), "")
    return (replies, figures) if replies and figures else ("", "")


def together(record: Record) -> list[Any]:
    """The replies of a row, each an object with its text and its rank or score. Raises Unusable."""
    replies, figures = beside(record)
    if not replies:
        return next((record[key] for key in CANDIDATES if is_candidates(record.get(key))), [])
    texts, judged = record[replies], record[figures]
    if len(texts) != len(judged):
        raise Unusable(f"{len(texts)} replies but {len(judged)} {figures}")
    return [{"text": text, FIGURES[figures]: figure} for text, figure in zip(texts, judged)]


def is_candidates(value: object) -> bool:
    """Whether a field is a list of replies with ranks or scores (without them there is nothing to learn)."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and any(key in value[0] for key in ("rank", *SCORES))


def rank_of(record: Record, where: str = "") -> float | None:
    """The place of a reply, the lowest being best; None where neither a rank nor a score is given."""
    if record.get("rank") not in (None, ""):
        return number(record["rank"], f"rank{where}")
    score = next((record[key] for key in SCORES if record.get(key) not in (None, "")), None)
    return None if score is None else -number(score, f"score{where}")


# --- one reply a line


class Place(NamedTuple):
    """One line of a ranking: a reply to a prompt and its place."""

    key: str
    prompt: Messages
    reply: str
    rank: float | None


def placed(record: Record, notes: Notes) -> list[Place]:
    turns = next((record[key] for key in PROMPTS if is_turns(record.get(key))), None)
    prompt = prompt_of(turns or instruction(record), notes, record.get("system"))
    reply = text_of(next((record[key] for key in REPLIES if key in record), None), "reply")
    rank = rank_of(record)
    notes[f"lines: {'lowest `rank`' if 'rank' in record else 'highest score'} was read as the best"] += 1
    return [Place(json.dumps([record.get("prompt_id"), prompt], default=str), prompt, reply, rank)]


def gathered(places: Sequence[tuple[int, Place]], notes: Notes) -> Iterator[tuple[int, Row | Unusable]]:
    """The lines of one prompt as one ranking; where there is none, each of its lines is refused."""
    groups: dict[str, list[tuple[int, Place]]] = {}
    for line, place in places:
        groups.setdefault(place.key, []).append((line, place))
    for group in groups.values():
        try:
            yield group[0][0], ranked(group[0][1].prompt, [(place.reply, place.rank) for _, place in group], notes)
        except Unusable as reason:
            yield from ((line, reason) for line, _ in group)


# --- verdicts on all pairs


def finegrained(record: Record, notes: Notes) -> list[Row]:
    """FineGrainedRLHF: all six pairs of four predictions, judged 1, 2 or 0; usable when some ranking agrees with all six."""
    replies = [text_of(record.get(f"prediction {place}"), f"prediction {place}") for place in (1, 2, 3, 4)]
    verdicts = record.get("preference")
    if not isinstance(verdicts, list) or len(verdicts) != 6:
        raise Unusable("preference must hold six verdicts, for the pairs 12, 13, 14, 23, 24, 34")
    lead = [{0: 0, 1: 1, 2: -1}.get(int(number(each, "preference")), 0) for each in verdicts]
    pairs = list(combinations(range(4), 2))
    points = [sum(sign * ((place == a) - (place == b)) for (a, b), sign in zip(pairs, lead)) for place in range(4)]
    # In any order with ties, wins minus losses ranks exactly as the order does; where it does not, there is no order.
    if any((points[a] > points[b]) - (points[a] < points[b]) != sign for (a, b), sign in zip(pairs, lead)):
        raise Unusable("the six verdicts contradict each other (intransitive): no ranking agrees with all of them")
    made = ranked(prompt_of(field(record, "question"), notes), [(reply, -score) for reply, score in zip(replies, points)], notes)
    notes["rows whose passages are not part of the prompt"] += 1
    return [made]
