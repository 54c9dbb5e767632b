"""What annotation tools export: Label Studio (pairwise and ranker) and Argilla (rankings and labels) -> preferences.

Neither export says which text a "left" or a "response-1" is; where the names in the file tell, they are followed and the user
is told so, and where they do not, the row is refused. Numbers given to a reply (ratings, stars) order nothing here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.corpus import Row
from workbench.formats.preferences import judged_pair, majority
from workbench.formats.rankings import ranked
from workbench.formats.turns import Notes, Record, Unusable, number, prompt_of, text_of, who

ASKING = ("prompt", "instruction", "question", "query", "conversation", "chat", "messages", "dialogue", "context", "input", "text")
SIDE = re.compile(r"(.*?)[ _-]?(1|2|a|b|left|right)")
FIRST, SECOND = ("1", "a", "left"), ("2", "b", "right")
Texts = Mapping[str, Any]


def question_of(texts: Texts, notes: Notes) -> list[dict[str, str]]:
    name = next((key for wanted in ASKING for key in texts if key.lower() == wanted and texts[key]), None)
    if name is None:
        raise Unusable(f"no prompt among {', '.join(texts)[:100] or 'nothing'}")
    return prompt_of(texts[name], notes)


def squash(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


# --- Label Studio


def is_label_studio(record: Record) -> bool:
    return isinstance(record.get("data"), dict) and any(isinstance(record.get(key), list) for key in ("annotations", "completions"))


def label_studio(record: Record, notes: Notes) -> Iterator[Row | Unusable]:
    """A task with its annotations: pairwise choices by majority, rankers one row an annotator."""
    if not is_label_studio(record):
        raise Unusable("no data with annotations")
    texts: Texts = record["data"]
    votes: Counter[float] = Counter()
    sides: tuple[str, str] | None = None
    rankings: list[tuple[list[str], str]] = []
    for annotation in record.get("annotations") or record.get("completions") or []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []:
            value = result.get("value")
            if isinstance(value, dict) and value.get("selected") in ("left", "right"):
                sides = sides or two_sides(texts, notes, result.get("to_name"))
                votes[1 if value["selected"] == "left" else 2] += 1
            elif isinstance(value, dict) and "ranker" in value:
                rankings.append((order_of(value["ranker"]), who(annotation.get("completed_by"))))
    if sides:
        yield from judged_pair(question_of(texts, notes), [text_of(texts[side], side) for side in sides], int(majority(votes, notes)),
                               f"majority of {votes.total()}")
    for order, annotator in rankings:
        yield ranked(question_of(texts, notes), places_of(order, listed(texts)), notes, annotator)
    if not sides and not rankings:
        yield Unusable("no annotation that chooses or ranks (cancelled ones do not count)")


def two_sides(texts: Texts, notes: Notes, tags: object = None) -> tuple[str, str]:
    """The names of the left and the right text: those the annotation points to, else two names that differ in 1 and 2 (or a and b)."""
    named = [tag.strip() for tag in tags.split(",")] if isinstance(tags, str) else []
    if len(named) == 2 and all(tag in texts for tag in named):
        return named[0], named[1]
    found: dict[tuple[str, int], dict[bool, str]] = {}
    for key in texts:
        if match := SIDE.fullmatch(key.lower()):
            scale = (FIRST + SECOND).index(match[2]) % 3
            found.setdefault((match[1], scale), {})[match[2] in FIRST] = key
    both = [pair for pair in found.values() if len(pair) == 2]
    if len(both) != 1:
        raise Unusable(f"the file does not say which texts were left and right; it has {', '.join(texts)[:100]}")
    left, right = both[0][True], both[0][False]
    notes[f"rows where {left!r} was taken for the left text and {right!r} for the right one: the file does not say"] += 1
    return left, right


def order_of(ranker: object) -> list[str]:
    """The ids of a ranker, best first. Raises Unusable for several buckets: the file does not say which is better."""
    if isinstance(ranker, dict):
        named = [key for key in ranker if key != "_"] or list(ranker)
        if len(named) != 1:
            raise Unusable(f"sorted into {', '.join(map(str, named))[:80] or 'nothing'}: the file does not say which of them is better")
        ranker = ranker[named[0]]
    if not isinstance(ranker, list):
        raise Unusable("the ranker holds no list")
    return [str(each) for each in ranker]


def listed(texts: Texts) -> dict[str, str]:
    """The items that a ranker ordered, by id."""
    for value in texts.values():
        if isinstance(value, list) and value and all(isinstance(each, dict) and "id" in each for each in value):
            return {str(each["id"]): text_of(each.get("body") or each.get("text") or each.get("title"), "item") for each in value}
    raise Unusable("no list of items with ids to rank")


def places_of(order: Sequence[str], items: Mapping[str, str]) -> list[tuple[str, float | None]]:
    if strange := [each for each in order if each not in items]:
        raise Unusable(f"the ranking names {strange[0][:40]!r}, which is none of the items")
    return [(text, order.index(name) if name in order else None) for name, text in items.items()]


def short_choice(record: Record) -> str:
    """The left or right in a row of Label Studio's JSON-MIN or CSV export; "" where there is none."""
    for value in record.values():
        chosen = value.get("selected") if isinstance(value, dict) else value
        if chosen in ("left", "right"):
            return str(chosen)
    return ""


def is_label_studio_short(record: Record) -> bool:
    return "annotation_id" in record and bool(short_choice(record))


def label_studio_short(record: Record, notes: Notes) -> list[Row]:
    chosen = short_choice(record)
    if not chosen:
        raise Unusable("neither left nor right was chosen")
    replies = [text_of(record[side], side) for side in two_sides(record, notes)]
    return judged_pair(question_of(record, notes), replies, 1 if chosen == "left" else 2, text_of(record.get("annotator"), "annotator"))


# --- Argilla


def is_argilla(record: Record) -> bool:
    return isinstance(record.get("fields"), dict) and isinstance(record.get("responses"), (dict, list))


def is_answers(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and {"user_id", "value"} <= value[0].keys()


def is_argilla_flat(record: Record) -> bool:
    return any(key.endswith(".responses") or is_answers(value) for key, value in record.items())


def argilla(record: Record, notes: Notes) -> list[Row]:
    """A record: fields, and what each annotator answered to each question."""
    if not is_argilla(record):
        raise Unusable("no fields with responses")
    answers: dict[str, list[tuple[Any, str]]] = {}
    responses = record["responses"]
    if isinstance(responses, dict):  # since version 2: {question: [{value, user_id}]}
        given = [(name, each) for name, many in responses.items() if isinstance(many, list) for each in many if isinstance(each, dict)]
    else:  # before: [{user_id, status, values: {question: {value}}}]
        given = [(name, {**each, **inner}) for each in responses if isinstance(each, dict) and isinstance(each.get("values"), dict)
                 for name, inner in each["values"].items() if isinstance(inner, dict)]
    for name, each in given:
        if each.get("status") in (None, "submitted"):
            answers.setdefault(name, []).append((each.get("value"), who(each.get("user_id"))))
    return judged(record["fields"], answers, notes)


def argilla_flat(record: Record, notes: Notes) -> list[Row]:
    """A record whose fields are columns, its answers under NAME.responses or in a column of {user_id, value, status}."""
    answers: dict[str, list[tuple[Any, str]]] = {}
    for key, value in record.items():
        if is_answers(value):
            answers[key] = [(each.get("value"), who(each.get("user_id"))) for each in value
                            if isinstance(each, dict) and each.get("status") in (None, "submitted")]
        elif key.endswith(".responses") and isinstance(value, list):
            states = record.get(f"{key}.status")
            states = states if isinstance(states, list) and len(states) == len(value) else [None] * len(value)
            answers[key] = [(each, "") for each, state in zip(value, states) if state in (None, "submitted")]
    texts = {key: value for key, value in record.items() if isinstance(value, (str, list)) and key not in answers and "." not in key}
    return judged(texts, answers, notes)


def judged(texts: Texts, answers: Mapping[str, Sequence[tuple[Any, str]]], notes: Notes) -> list[Row]:
    """Rankings one row an annotator; choices of one of two texts by majority."""
    names = {squash(name): name for name in texts}
    rows: list[Row] = []
    for many in answers.values():
        votes: Counter[float] = Counter()
        chosen: dict[str, float] = {}
        for value, annotator in many:
            places = ranks_in(value)
            if places and all(squash(name) in names for name, _ in places):
                replies = [(text_of(texts[names[squash(name)]], name), rank) for name, rank in places]
                rows.append(ranked(question_of(texts, notes), replies, notes, annotator))
            elif isinstance(value, str) and squash(value) in names:
                votes[chosen.setdefault(names[squash(value)], len(chosen) + 1)] += 1
        if votes:
            verdict = majority(votes, notes)
            best = next(name for name, place in chosen.items() if place == verdict)
            pair = next((sorted(each) for each in pairs_of(texts) if best in each), None)
            if pair is None:
                raise Unusable(f"{best!r} was chosen, but there is no second text beside it")
            rows += judged_pair(question_of(texts, notes), [text_of(texts[name], name) for name in pair], 1 + pair.index(best), f"majority of {votes.total()}")
    if not rows:
        raise Unusable(f"no submitted answer orders the texts {', '.join(texts)[:80]}; ratings of single replies and suggestions are not used")
    return rows


def pairs_of(texts: Texts) -> list[tuple[str, ...]]:
    stems: dict[str, list[str]] = {}
    for name in texts:
        if match := SIDE.fullmatch(name.lower()):
            stems.setdefault(match[1], []).append(name)
    return [tuple(names) for names in stems.values() if len(names) == 2]


def ranks_in(value: object) -> list[tuple[str, float]]:
    """(name, rank) from a ranking as [name, ...], [{value, rank}, ...] or {value: [...], rank: [...]}; nothing for any other answer."""
    if isinstance(value, dict) and isinstance(value.get("value"), list) and isinstance(value.get("rank"), list):
        value = [{"value": name, "rank": rank} for name, rank in zip(value["value"], value["rank"])]
    if not isinstance(value, list) or len(value) < 2:
        return []
    if all(isinstance(each, str) for each in value):
        return [(each, float(place)) for place, each in enumerate(value)]
    if all(isinstance(each, dict) and "value" in each and "rank" in each for each in value):
        return [(str(each["value"]), number(each["rank"], "rank")) for each in value]
    return []
