"""What a model will make of rows, and what may be wrong with them: token by token, row by row. No torch: the tokenizer is spelling.py's.

A problem is a filter: the rows that have it, and which of them one would take out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

from workbench import corpus, library
from workbench.chat import Chat, Encoded
from workbench.corpus import Demonstration, Preference, Prompt, Row, Text
from workbench.errors import CorpusError
from workbench.formats.remarks import PLACEHOLDER
from workbench.recipes import RewardRecipe, SftRecipe

MEASURED = 5_000  # rows whose tokens are counted; of a larger corpus so many, evenly spread
CUTS = {"demonstrations": SftRecipe, "preferences": RewardRecipe}  # whose max_tokens leaves out what is longer
HELD_OUT = {"prompts": 0.2}  # a corpus of prompts is split once for all stages; the other shares are recipes' knobs
WORDY = 12  # words from which a reply that stops without a full stop looks cut off
ENDS = tuple(".!?…\"'”’)]}`*:;。！？」』>|")
MOJIBAKE = re.compile("�|Ã[\x80-¿]|â€|Â[\xa0-¿]")


class Spelt(NamedTuple):
    """A sequence of tokens as a stage reads it; `place` is the reply's in a preference's list of replies."""

    encoded: Encoded
    place: int = 0


@dataclass(frozen=True)
class Problem:
    """Something that may be wrong with rows: their numbers (from 1), and which of them to take out to be rid of it."""

    name: str
    title: str
    about: str
    numbers: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)


# --- as tokens


def spelt(chat: Chat, row: Row) -> list[Spelt]:
    """The sequences that a row becomes: one, or one a reply. The mask is 1 on what is trained (imitated, or compared)."""
    match row:
        case Demonstration(messages):
            return [Spelt(chat.conversation(messages))]
        case Prompt(messages):
            prompt = chat.prompt(messages)
            return [Spelt(Encoded(prompt, [0] * len(prompt)))]
        case Text(text):
            ids = chat.tokens(text)
            return [Spelt(Encoded(ids, [0] * len(ids)))]
        case Preference():
            prompt = chat.prompt(row.prompt)
            replies = [chat.reply(text) for text in row.replies]
            return [Spelt(Encoded(prompt + reply, [0] * len(prompt) + [1] * len(reply)), place) for place, reply in enumerate(replies)]


def length_of(chat: Chat | None, row: Row) -> int:
    """A row's length: its longest sequence in tokens, or in words where no tokenizer is on this machine."""
    if chat is None:
        return sum(len(text.split()) for text in library.texts_of(row))
    return max(len(each.encoded.ids) for each in spelt(chat, row))


def lengths(chat: Chat | None, rows: Sequence[Row]) -> dict[int, int]:
    """Length by row number, for all rows or an even spread of `MEASURED` of them. A row the template refuses has none."""
    step = max(1, -(-len(rows) // MEASURED))
    found = {}
    for place in range(0, len(rows), step):
        try:
            found[place + 1] = length_of(chat, rows[place])
        except CorpusError:
            continue
    return found


def cut_of(shape: str) -> int:
    """The tokens beyond which a stage leaves out what it is given, by default; 0 where none does."""
    recipe = CUTS.get(shape)
    return next(knob.default for knob in recipe.knobs() if knob.name == "max_tokens") if recipe else 0


def held_out(rows: Sequence[Row], shape: str) -> list[int]:
    """The numbers of the rows that measure and never train, by default. All rows of a prompt are on one side."""
    recipe = CUTS.get(shape)
    share = next(knob.default for knob in recipe.knobs() if knob.name == "held_out") if recipe else HELD_OUT.get(shape, 0.0)
    divide: Callable[..., Any] = corpus.split_rankings if shape == "preferences" else corpus.split
    kept = {corpus.prompt_key(row) for row in divide(rows, share)[1]} if share else set()
    return [number for number, row in enumerate(rows, start=1) if corpus.prompt_key(row) in kept]


# --- problems


def problems(rows: Sequence[Row], chat: Chat | None, measured: dict[int, int], cut: int) -> list[Problem]:
    """Everything that may be wrong with rows, worst first; only what some row has."""
    groups = library.duplicates(rows)
    long = [number for number, length in measured.items() if cut and chat and length > cut]
    marks = [text for text in chat.tokenizer.get_added_vocab() if len(text) > 2] if chat else []
    opposed = contradictions(rows)
    part = f", of {len(measured):,} measured" if len(measured) < len(rows) else ""
    found = [
        Problem("long", f"longer than {cut:,} tokens{part}", "what does not fit is left out of training; raise max_tokens, or take them out", long, long),
        Problem("copies", "copies", "say the same as another row but for spaces and capitals; taking them out keeps the first of each",
                [number for group in groups for number in group], [number for group in groups for number in group[1:]]),
        Problem("opposed", "contradict each other", "order the same two replies to the same prompt in both ways; both orders are learnt", opposed, opposed),
        *(Problem(name, title, about, numbers, numbers) for name, title, about, numbers in by_text(rows, marks)),
    ]
    return [each for each in found if each.numbers]


def by_text(rows: Sequence[Row], marks: Sequence[str]) -> Iterable[tuple[str, str, str, list[int]]]:
    """The problems that show in a row's own texts."""
    mark = re.compile("|".join(map(re.escape, marks))) if marks else None
    checks = [
        ("marks", "hold the model's own marks", "a text with <|im_end|> or the like ends turns where nobody meant it",
         lambda row: mark is not None and any(mark.search(text) for text in library.texts_of(row))),
        ("empty", "hold an empty text", "a reply or turn without a word", lambda row: not all(text.strip() for text in library.texts_of(row))),
        ("broken", "hold broken letters", "bytes were read in the wrong encoding before they came here, as Ã© for é",
         lambda row: any(MOJIBAKE.search(text) for text in library.texts_of(row))),
        ("placeholders", "hold placeholders", "such as {{name}}; fill them in, or the model says them", lambda row: any(map(PLACEHOLDER.search, library.texts_of(row)))),
        ("cut", "may be cut off", f"a reply of more than {WORDY} words stops without a full stop", is_cut),
    ]
    for name, title, about, has in checks:
        yield name, title, about, [number for number, row in enumerate(rows, start=1) if has(row)]


def is_cut(row: Row) -> bool:
    """Whether a reply to be learnt from seems to end in the middle of a sentence: the last one, or the one ranked best."""
    match row:
        case Demonstration(messages):
            said = [messages[-1]["content"]]
        case Preference():
            said = [row.replies[place] for place in row.ranking[0]]
        case _:
            return False
    return any(len(text.split()) > WORDY and not text.rstrip().endswith(ENDS) for text in said)


def contradictions(rows: Sequence[Row]) -> list[int]:
    """The numbers of the rankings that order two replies to a prompt in another way than a different row does."""
    orders: dict[tuple[str, str, str], list[int]] = {}
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Preference):
            prompt = json.dumps(row.prompt)
            pairs = {(row.replies[a], row.replies[b]) for better, worse in combinations(row.ranking, 2) for a in better for b in worse}
            for better, worse in pairs:
                orders.setdefault((prompt, better, worse), []).append(number)
    return sorted({number for (prompt, better, worse), numbers in orders.items() if (prompt, worse, better) in orders for number in numbers})
