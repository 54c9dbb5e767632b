"""What only the user can say: which column means what, and which way a judgement points. Nothing here guesses; it asks, with an example."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import CorpusError
from workbench.formats.demonstrations import PROMPTS, REPLIES
from workbench.formats.raw import Records, excerpt
from workbench.formats.thumbs import BAD, GOOD

MEANINGS = ("prompt", "reply", "chosen", "rejected", "text", "messages", "system", "rank", "score", "liked", "disliked", "prompt_id",
            "first", "second", "better")
LOOKED_AT = 50  # records that vote on the format
FEW = 12  # a column with more different words than this is no judgement
JUDGING = {"score", "scores", "rating", "ratings", "stars", "reward", "label", "labels", "vote", "votes", "upvotes", "grade", "like", "thumb", "thumbs",
           "quality", "verdict", "judgement", "judgment", "annotation", "good", "bad", "correct", "acceptable", "accepted", "helpful", "harmful",
           "toxic", "toxicity", "safe", "preference", "helpfulness", "correctness", "coherence", "harmlessness", "honesty", "choice", "winner", "better"}
NUMBERED = re.compile(r"(.*?)[ _-]?([0-9a-h]|left|right|chosen|rejected)")
Items = Sequence[tuple[int, dict[str, Any]]]


def renamed(items: Items, columns: Mapping[str, str], name: str) -> list[tuple[int, dict[str, Any]]]:
    """The records with only the mapped columns, under the names of their meanings. Raises CorpusError for a bad mapping."""
    if strange := [meaning for meaning in columns if meaning not in MEANINGS]:
        raise CorpusError(f"a column cannot mean {', '.join(strange)!r}; the meanings are {', '.join(MEANINGS)}")
    there = seen(items)
    wanted = [(meaning, *column_and_words(column, there)) for meaning, column in columns.items()]
    if missing := [column for _, column, _ in wanted if column not in there]:
        raise CorpusError(f"{name} has no column {', '.join(missing)!r}; it has {', '.join(there) or 'none'}")
    return [(line, {meaning: meant(item[column], words) for meaning, column, words in wanted if column in item}) for line, item in items]


def column_and_words(asked: str, there: Sequence[str]) -> tuple[str, list[str]]:
    """A column's name in small letters and, from "label:good|fine", the words that count as yes."""
    column, _, words = asked.strip().rpartition(":")
    if asked.strip().lower() in there or not column:
        return asked.strip().lower(), []
    return column.strip().lower(), [word.strip().lower() for word in words.split("|")]


def meant(value: Any, words: Sequence[str]) -> Any:
    """A cell as it is or, where words count as yes, whether it is one of them; an empty cell stays empty."""
    return str(value).strip().lower() in words if words and value not in (None, "") else value


def judging(items: Items, uses: Sequence[str]) -> dict[str, list[object]]:
    """The columns that seem to judge: named so, not read, and of numbers or of a few different words; with their values."""
    found = {}
    for column in [each for each in seen(items) if each not in uses and JUDGING & set(re.split(r"[^a-z]+", each))]:
        values = [item[column] for _, item in items[:1000] if item.get(column) not in (None, "")]
        kinds = {str(value)[:40] for value in values}
        if len(kinds) > 1 and (len(kinds) <= FEW or all(is_number(value) for value in values)):
            found[column] = values
    return found


def open_question(kind: str, uses: Sequence[str], items: Items, name: str) -> str:
    """What to ask when a column beside prompt and reply seems to judge the replies, or two replies stand beside a prompt; "" when none does."""
    if kind == "prompts" and (sides := two_texts(items, uses)):
        there = seen(items)
        start = f"--columns prompt={next(each for each in PROMPTS if each in there)}"
        return (f"{name}: {sides[0]!r} and {sides[1]!r} look like two replies to one prompt, and which is better is open. Please say: "
                f"{start},chosen={sides[0]},rejected={sides[1]} where the first always is; {start},first={sides[0]},second={sides[1]},better=COLUMN "
                "where a column says 1, 2 or tie (COLUMN:a|b names the words that mean the first); or --shape prompts to take the prompts alone")
    columns = judging(items, uses) if kind == "prompt and completion" else {}
    if not columns:
        return ""
    column, values = next(iter(columns.items()))
    kinds, there = sorted({str(value)[:40] for value in values}), seen(items)
    start = f"--columns prompt={next(each for each in PROMPTS if each in there)},reply={next(each for each in REPLIES if each in there)}"
    answers = f"to imitate every reply whatever it says, --shape demonstrations or {start}"
    if len(kinds) == 2 and {each.lower() for each in kinds} <= set(GOOD + BAD):
        answers += f"; if it says 1 or true for a good reply, {start},liked={column}, and for a bad one, ,disliked={column}"
    elif all(is_number(value) for value in values):
        answers += f"; to rank the replies of a prompt, {start},score={column} where a higher number is better, ,rank={column} where it is worse"
    else:
        answers += f"; to set good replies above the others, name the words that mean good: {start},liked={column}:{kinds[0]} (several with | between)"
    others = f", like {', '.join(list(columns)[1:])}," if len(columns) > 1 else ""
    return f"{name}: the column {column!r} ({excerpt(', '.join(kinds[:4]), 60)}){others} may judge the replies, and which way is open. Please say: {answers}"


def two_texts(items: Items, uses: Sequence[str]) -> tuple[str, str] | None:
    """Two unread columns of texts whose names differ in 1 and 2 (or a and b, left and right), where there is no third."""
    texts = [each for each in seen(items) if each not in uses and all(isinstance(item.get(each, ""), str) for _, item in items[:LOOKED_AT])]
    stems: dict[str, list[str]] = {}
    for each in texts:
        if match := NUMBERED.fullmatch(each):
            stems.setdefault(match[1], []).append(each)
    found = [names for names in stems.values() if len(names) == 2 and not any(is_number(item.get(names[0])) for _, item in items[:LOOKED_AT])]
    return (found[0][0], found[0][1]) if found else None


def is_number(value: object) -> bool:
    try:
        return not isinstance(value, (bool, list, dict)) and float(value) == float(value)  # type: ignore[arg-type]  # the except says so
    except (TypeError, ValueError, OverflowError):
        return False


def wrong_shape(shape: str, others: Sequence[str], name: str) -> str:
    return f"{name} cannot be read as {shape}, only as {' or '.join(others)}; leave the shape out or choose that one"


def unknown(records: Records, columns: Mapping[str, str] | None, name: str) -> str:
    """What to say when no format fits: the columns that are there, and an example of a mapping."""
    if not records.items:
        reasons = "; ".join(f"line {r.line}: {r.reason}" for r in records.rejected[:3])
        return f"{name} holds no row with columns ({reasons or 'only a header'}); rows are objects, table lines or lines of text"
    if columns:
        return (f"{name}: {', '.join(columns)} alone make no row. Map prompt and reply, or prompt, chosen and rejected, "
                "or prompt, reply and rank (1 is best) or score (the highest is best) or liked, or prompt, first, second and better, or prompt, or messages, or text")
    there = seen(records.items)
    example = dict(zip(("prompt", "reply"), wordiest(records.items, there))) or {"prompt": "a"}
    typed = ",".join(f"{meaning}={column}" for meaning, column in example.items())
    return (f"{name} has no format that is known here; its columns are {', '.join(there) or 'none'}. Say what they mean, for example "
            f"--columns {typed} (in Python columns={json.dumps(example, ensure_ascii=False)}); the meanings are {', '.join(MEANINGS)}")


def wordiest(items: Items, columns: Sequence[str]) -> list[str]:
    """The one or two columns with the most words, in the file's order: an example with them is likely to be of use."""
    words = {each: sum(len(re.findall(r"[^\W\d_]{2,}\s", str(item.get(each, ""))[:2000])) for _, item in items[:LOOKED_AT]) for each in columns}
    best = sorted(columns, key=lambda each: -words[each])[:2]
    return [each for each in columns if each in best and 2 * words[each] >= words[best[0]]]


def seen(items: Items) -> list[str]:
    """The columns of the records, in the order of their first appearance."""
    return list(dict.fromkeys(str(key) for _, item in items[:1000] for key in item))
