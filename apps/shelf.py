"""What the data panel asks: which corpora there are, their rows a page at a time, and rows changed by hand, as plain text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from apps.ranking import page_of
from workbench import corpus, library, packs
from workbench.corpus import Demonstration, Preference, Prompt, Row, Text
from workbench.errors import CorpusError, NotFound
from workbench.lab import Lab

LONGEST = 20_000  # characters of a text shown; the corpus keeps the rest

PARTS = {  # of a pack: the shape of the rows, and what they are for
    "demonstrations": ("demonstrations", "to imitate (SFT)"), "prompts": ("prompts", "to practise on (rankings, PPO)"),
    "held_out": ("prompts", "kept for comparisons"), "texts": ("texts", "to measure forgetting"),
}


@dataclass(frozen=True)
class Book:
    """A corpus on the shelf: one shape of a pack, an import, or the lab's own rankings."""

    key: str
    name: str
    part: str
    shape: str
    rows: int
    rejected: int = 0
    notes: str = ""
    can_edit: bool = False


@dataclass(frozen=True)
class Shelf:
    """The server side of the data panel. Each method for it takes one dict and gives one back."""

    lab: Lab

    def shelf_list(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"books": [asdict(book) for book in self.books()]}

    def shelf_rows(self, question: dict[str, Any]) -> dict[str, Any]:
        """A page of the rows that hold the words searched for, oldest first; with `twins` those that occur more than once, together."""
        rows = self.rows(str(question["key"]))
        groups = library.duplicates(rows)
        first = {number: group[0] for group in groups for number in group}
        numbers = [number for group in groups for number in group] if question.get("twins") else list(range(1, len(rows) + 1))
        sought = str(question.get("search") or "").strip().lower()
        if sought:
            numbers = [number for number in numbers if sought in text_of(rows[number - 1]).lower()]
        found, page, pages = page_of(numbers, int(question.get("page") or 0))
        return {"rows": [{**shown(number, rows[number - 1]), "twin": first.get(number, 0)} for number in found], "page": page, "pages": pages,
                "total": len(numbers), "copies": len(first) - len(groups)}

    def shelf_edit(self, question: dict[str, Any]) -> dict[str, Any]:
        """Gives one text of a row another wording, if the row is still what the person saw."""
        name, number, place = imported(question), int(question["number"]), int(question["place"])
        texts = library.texts_of(self._seen(question, number))
        if not 0 <= place < len(texts):
            raise NotFound(f"row {number} has no text {place}; its texts are 0 to {len(texts) - 1}")
        self.lab.edit_row(name, number, [*texts[:place], str(question["text"]), *texts[place + 1:]])
        return {}

    def shelf_drop(self, question: dict[str, Any]) -> dict[str, Any]:
        """Takes a row out, if it is still what the person saw."""
        name, number = imported(question), int(question["number"])
        self._seen(question, number)
        self.lab.drop_rows(name, [number])
        return {}

    def _seen(self, question: dict[str, Any], number: int) -> Row:
        rows = self.rows(str(question["key"]))
        if not 1 <= number <= len(rows) or mark_of(rows[number - 1]) != question["mark"]:
            raise CorpusError(f"row {number} was changed or moved elsewhere meanwhile; nothing was done. The rows are shown as they are now")
        return rows[number - 1]

    def books(self) -> list[Book]:
        """Everything there is to learn from: imports first, then the lab's rankings, then the packs."""
        imported = [Book(f"import:{e.name}", e.name, "imported", e.shape, e.usable, e.rejected, e.notes, True) for e in self.lab.store.corpora()]
        judged = self.lab.ranking_counts().get("judged", 0)
        own = [Book("rankings", corpus.RANKINGS, "judged in this lab", "preferences", len(self.rows("rankings")))] if judged else []
        verdicts = len(self.rows(corpus.AI_FEEDBACK)) if self.lab.verdicts() else 0
        own += [Book(corpus.AI_FEEDBACK, corpus.AI_FEEDBACK, "judged by a model", "preferences", verdicts)] if verdicts else []
        return imported[::-1] + own + [book for name in packs.names() for book in self._pack(name)]

    def _pack(self, name: str) -> list[Book]:
        keys = {part: f"{part}:{name}" for part in PARTS}
        return [Book(keys[part], name, said, shape, len(self.rows(keys[part]))) for part, (shape, said) in PARTS.items()]

    def rows(self, key: str) -> list[Row]:
        """All rows behind a key of `books`. Raises NotFound for any other."""
        part, _, name = key.partition(":")
        if key == "rankings":
            return list(corpus.from_rankings(self.lab.store))
        if key == corpus.AI_FEEDBACK:
            return list(corpus.from_verdicts(self.lab.store, is_ranked_too=True))
        if part == "import":
            entry = next((e for e in self.lab.store.corpora() if e.name == name), None)
            if entry:
                return list(corpus.load(self.lab.home, name, entry.shape))
        elif name in packs.names() and part in PARTS:
            return list(self.lab.rows(name, PARTS[part][0], held_out=part == "held_out"))
        raise NotFound(f"no corpus {key!r}; reload the page")


def turns(row: Row) -> list[dict[str, str]]:
    match row:
        case Demonstration(messages) | Prompt(messages) | Preference(messages):
            return messages
        case Text(text):
            return [{"role": "text", "content": text}]


def ranked(row: Row) -> list[dict[str, Any]]:
    """The replies of a preference, best first, each with its place; 0 stands for not ranked."""
    if not isinstance(row, Preference):
        return []
    places = {reply: place for place, group in enumerate(row.ranking, start=1) for reply in group}
    order = sorted(range(len(row.replies)), key=lambda reply: places.get(reply, len(row.replies) + 1))
    return [{"place": places.get(reply, 0), "text": row.replies[reply][:LONGEST], "index": len(row.prompt) + reply} for reply in order]


def mark_of(row: Row) -> str:
    """What tells a row from any other that could stand in its place."""
    return hashlib.sha256(repr(row).encode()).hexdigest()[:16]


def imported(question: dict[str, Any]) -> str:
    """The name behind the key of an import. Raises CorpusError for a pack or the lab's own rankings."""
    part, _, name = str(question["key"]).partition(":")
    if part != "import":
        raise CorpusError("only imported rows can be changed; export this corpus and import the file under another name")
    return name


def text_of(row: Row) -> str:
    replies = row.replies if isinstance(row, Preference) else []
    return "\n".join([*(turn["content"] for turn in turns(row) if turn["role"] != "system"), *replies])


def word_counts(rows: Sequence[Row]) -> list[int]:
    return [len(text_of(row).split()) for row in rows]


def shown(number: int, row: Row) -> dict[str, Any]:
    """A row for the list and, when chosen, for the conversation beside it."""
    said = [turn for turn in turns(row) if turn["role"] != "system"] or turns(row)
    return {"number": number, "mark": mark_of(row), "title": said[0]["content"][:200], "words": len(text_of(row).split()),
            "turns": [{"role": t["role"], "content": t["content"][:LONGEST]} for t in turns(row)], "ranked": ranked(row),
            "is_whole": all(len(text) <= LONGEST for text in library.texts_of(row))}
