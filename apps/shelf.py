"""What the data panel asks: which corpora there are, their rows a page at a time, and rows changed by hand, as plain text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from apps.opened import KEPT_OPEN, Opened
from apps.ranking import page_of
from workbench import bundled, corpus, inspection, library, packs, trash
from workbench.corpus import Demonstration, Preference, Prompt, Row, Text
from workbench.errors import CorpusError, NotFound
from workbench.lab import Lab
from workbench.recipes import DEFAULT_MODEL
from workbench.spelling import chat_of

LONGEST = 20_000  # characters of a text shown; the corpus keeps the rest
MOST_TOKENS = 4_000  # of a sequence shown
JUDGED = {corpus.RANKINGS: "judged in this lab", corpus.AI_FEEDBACK: "judged by a model"}

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
    taken_out: int = 0  # rows that can be put back


@dataclass(frozen=True)
class Shelf:
    """The server side of the data panel. Each method for it takes one dict and gives one back."""

    lab: Lab
    open: dict[str, tuple[tuple[Any, ...], Opened]] = field(default_factory=dict, repr=False)

    def shelf_list(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"books": [asdict(book) for book in self.books()]}

    def shelf_rows(self, question: dict[str, Any]) -> dict[str, Any]:
        """A page of the rows that pass the filter and hold the words searched for, oldest first (copies together)."""
        opened = self.opened(str(question["key"]))
        numbers = opened.numbers(str(question.get("filter") or ""), cut_asked(question, opened))
        sought = str(question.get("search") or "").strip().lower()
        if sought:
            numbers = [number for number in numbers if sought in text_of(opened.rows[number - 1]).lower()]
        found, page, pages = page_of(numbers, int(question.get("page") or 0))
        kept = set(opened.held_out)
        marks = [{"twin": opened.twins.get(number, 0), "is_held_out": number in kept} for number in found]
        return {"rows": [{**shown(number, opened.rows[number - 1]), **mark} for number, mark in zip(found, marks)], "page": page, "pages": pages,
                "total": len(numbers)}

    def shelf_look(self, question: dict[str, Any]) -> dict[str, Any]:
        """What may be wrong with a corpus, which rows are held out, and how long they are; the first look takes a moment."""
        opened = self.opened(str(question["key"]))
        cut = cut_asked(question, opened)
        filters = [{"name": p.name, "title": p.title, "about": p.about, "rows": len(p.numbers), "extra": len(p.extra)} for p in opened.problems(cut)]
        prompts = len({corpus.prompt_key(opened.rows[number - 1]) for number in opened.held_out})
        return {"filters": filters, "held_out": len(opened.held_out), "held_out_prompts": prompts, "rows": len(opened.rows), "cut": cut, "stamp": opened.stamp,
                "unit": "tokens" if opened.chat else "words", "model": opened.model, "lengths": opened.histogram(cut)}

    def shelf_tokens(self, question: dict[str, Any]) -> dict[str, Any]:
        """The row as the model reads it: every token's text, and which are trained; for a ranking once for each reply, best first."""
        number = int(question["number"])
        row, opened = self._seen(question, number), self.opened(str(question["key"]))
        if opened.chat is None:
            raise NotFound(f"the tokenizer of {opened.model} is not on this machine yet; it comes with the first run, and tokens are shown from then on")
        spelt = inspection.spelt(opened.chat, row)
        places = {reply["index"] - len(row.prompt): reply["place"] for reply in ranked(row)} if isinstance(row, Preference) else {}
        order = sorted(spelt, key=lambda each: (places.get(each.place) or len(spelt) + 1, each.place))
        return {"model": opened.model, "cut": cut_asked(question, opened), "sequences": [
            {"place": places.get(each.place, 0), "tokens": len(each.encoded.ids), "trained": sum(each.encoded.mask), "mask": each.encoded.mask[:MOST_TOKENS],
             "pieces": opened.chat.pieces(each.encoded.ids[:MOST_TOKENS], with_marks=True)} for each in order]}

    def shelf_edit(self, question: dict[str, Any]) -> dict[str, Any]:
        """Gives one text of a row another wording, if the row is still what the person saw."""
        name, number, place = imported(question), int(question["number"]), int(question["place"])
        texts = library.texts_of(self._seen(question, number))
        if not 0 <= place < len(texts):
            raise NotFound(f"row {number} has no text {place}; its texts are 0 to {len(texts) - 1}")
        self.lab.edit_row(name, number, [*texts[:place], str(question["text"]), *texts[place + 1:]])
        return {}

    def shelf_drop(self, question: dict[str, Any]) -> dict[str, Any]:
        """Takes out a row, if it is still what the person saw, or those that a problem is about, if the corpus is."""
        name = imported(question)
        if question.get("filter"):
            opened = self.opened(str(question["key"]))
            if opened.stamp != question["stamp"]:
                raise CorpusError(f"{name} was changed elsewhere meanwhile; nothing was done. The rows are shown as they are now")
            gone = next((each.extra for each in opened.problems(cut_asked(question, opened)) if each.name == question["filter"]), [])
        else:
            gone = [int(question["number"])]
            self._seen(question, gone[0])
        self.lab.drop_rows(name, gone)
        return {"gone": len(gone)}

    def shelf_restore(self, question: dict[str, Any]) -> dict[str, Any]:
        """Puts back what was taken out last."""
        self.lab.restore_rows(imported(question))
        return {}

    def _seen(self, question: dict[str, Any], number: int) -> Row:
        rows = self.opened(str(question["key"])).rows
        if not 1 <= number <= len(rows) or mark_of(rows[number - 1]) != question["mark"]:
            raise CorpusError(f"row {number} was changed or moved elsewhere meanwhile; nothing was done. The rows are shown as they are now")
        return rows[number - 1]

    def books(self) -> list[Book]:
        """Everything there is to learn from: imports first, then what was judged in the lab, then the packs."""
        imported = [Book(f"import:{e.name}", e.name, "imported", e.shape, e.usable, e.rejected, e.notes, True, trash.size(self.lab.home, e.name))
                    for e in self.lab.store.corpora()]
        counts = {name: len(self.rows(f"judged:{name}")) for name in JUDGED}
        own = [Book(f"judged:{name}", name, said, "preferences", counts[name]) for name, said in JUDGED.items() if counts[name]]
        return imported[::-1] + own + [book for name in packs.names() for book in self._pack(name)]

    def _pack(self, name: str) -> list[Book]:
        keys = {part: f"{part}:{name}" for part in PARTS}
        return [Book(keys[part], name, said, shape, len(self.opened(keys[part]).rows)) for part, (shape, said) in PARTS.items()]

    def opened(self, key: str) -> Opened:
        """A corpus with what was worked out about it, which is kept while rows, model and tokenizer stay the same."""
        stamp = self._stamp(key)
        before = self.open.get(key)
        if before and stamp and before[0] == stamp:
            return before[1]
        rows, model = self.rows(key), self.lab.base_model
        if before and before[1].rows == rows and before[1].model == model and before[1].chat:
            return before[1]
        made = Opened(rows, shape_behind(key, rows), model, next((each.chat for _, each in self.open.values() if each.model == model and each.chat), None)
                      or chat_of(model))
        for old in list(self.open)[: max(0, len(self.open) - KEPT_OPEN)]:
            self.open.pop(old, None)
        self.open[key] = (stamp, made)
        return made

    def _stamp(self, key: str) -> tuple[Any, ...]:
        """What changes when a corpus does; empty where only its rows tell."""
        part, _, name = key.partition(":")
        told = (self.lab.base_model, (bundled.models_folder() / DEFAULT_MODEL).exists())
        if part == "import":
            try:
                file = (corpus.folder(self.lab.home) / f"{library.named(name)}.jsonl").stat()
            except (OSError, CorpusError):
                return ()
            return (*told, file.st_mtime_ns, file.st_size)
        return told if part in PARTS and name in packs.names() else ()

    def rows(self, key: str) -> list[Row]:
        """All rows behind a key of `books`. Raises NotFound for any other."""
        part, _, name = key.partition(":")
        if part == "judged" and name == corpus.RANKINGS:
            return list(corpus.from_rankings(self.lab.store))
        if part == "judged" and name == corpus.AI_FEEDBACK:
            return list(corpus.from_verdicts(self.lab.store, True))
        if part == "import":
            entry = next((e for e in self.lab.store.corpora() if e.name == name), None)
            if entry:
                return list(corpus.load(self.lab.home, name, entry.shape))
        elif name in packs.names() and part in PARTS:
            return list(self.lab.rows(name, PARTS[part][0], held_out=part == "held_out"))
        raise NotFound(f"no corpus {key!r}; reload the page")


def shape_behind(key: str, rows: Sequence[Row]) -> str:
    """The shape of the rows; held-out prompts of a pack are split already, so they count as none that a stage would split."""
    kind = next((shape for shape, made in corpus.ROWS.items() if rows and isinstance(rows[0], made)), "texts")
    return "texts" if key.startswith(("prompts:", "held_out:")) else kind


def cut_asked(question: dict[str, Any], opened: Opened) -> int:
    """The cut-off that the person set, in tokens, or the recipe's own; 0 where length leaves nothing out."""
    return min(max(int(question.get("cut") or 0), 0), 10**6) or inspection.cut_of(opened.shape)


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


def shown(number: int, row: Row) -> dict[str, Any]:
    """A row for the list and, when chosen, for the conversation beside it."""
    said = [turn for turn in turns(row) if turn["role"] != "system"] or turns(row)
    return {"number": number, "mark": mark_of(row), "title": said[0]["content"][:200], "words": len(text_of(row).split()),
            "turns": [{"role": t["role"], "content": t["content"][:LONGEST]} for t in turns(row)], "ranked": ranked(row),
            "is_whole": all(len(text) <= LONGEST for text in library.texts_of(row))}
