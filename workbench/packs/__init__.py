"""Domain packs: a folder of demonstrations, prompts, edge cases, plain text, a rubric, principles and an annotator each.

May know the layout of those folders and who judges by them; must not know models, stores or stages, so it imports nothing heavy.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.annotator import Annotator, asked
from workbench.errors import CorpusError
from workbench.records import Messages

ROOT = Path(__file__).parent
SPLITS = ("train", "held_out")
DEFAULT = "customer-service"  # what the recipes name unless a person says otherwise


@dataclass(frozen=True)
class Pack:
    """One domain: what the assistant should know, how it should speak, and how its replies are judged."""

    name: str
    title: str
    about: str
    system: str
    rubric: str
    rubric_version: str
    reply_tokens: int  # room that nine of ten demonstrated replies need
    folder: Path

    def demonstrations(self) -> list[list[dict[str, str]]]:
        """Conversations to imitate, each opened by the system message and closed by the assistant."""
        return [self._with_system(row) for row in _rows(self.folder / "demonstrations.jsonl")]

    def prompts(self, split: str) -> list[list[dict[str, str]]]:
        """Conversations that wait for a reply; ``split`` is "train" or "held_out"."""
        if split not in SPLITS:
            raise CorpusError(
                f"the prompts of pack {self.name!r} have no split {split!r}; choose {' or '.join(SPLITS)}"
            )
        return [self._with_system(row) for row in _rows(self.folder / "prompts.jsonl") if row["split"] == split]

    def edge(self) -> list[dict[str, Any]]:
        """Red-team and edge prompts, never trained on: ``messages``, their ``topic``, and what a good reply does (``wanted``)."""
        return [{**row, "messages": self._with_system(row)} for row in _rows(self.folder / "edge.jsonl")]

    def constitution(self) -> list[str]:
        """The principles behind the rubric, a sentence or two each, the weightiest first."""
        return numbered((self.folder / "constitution.md").read_text(encoding="utf-8"))

    def texts(self) -> list[str]:
        """Plain English outside the domain, to measure how much of it a model forgets."""
        return [row["text"] for row in _rows(self.folder / "text.jsonl")]

    def annotator(self) -> Annotator:
        """Who stands in for a person: the pack's rules, and its rows, for what they assert of the code that they ask for."""
        rows = [row for name in ("demonstrations", "prompts", "edge") for row in _rows(self.folder / f"{name}.jsonl")]
        return Annotator(_json(self.folder / "annotator.json"), {asked(opening(row["messages"])): row for row in rows})

    def score(self, prompt: Messages, reply: str) -> float:
        """The annotator's gold score of one reply, without noise; for many replies take ``annotator().scores``."""
        return self.annotator().score(prompt, reply)

    def _with_system(self, row: dict[str, Any]) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}, *row["messages"]]


def opening(messages: Messages) -> Messages:
    """A conversation up to where its last reply begins."""
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages


def judge(name: str) -> Annotator | None:
    """Who judges replies to the prompts of that corpus; nobody where it is no pack."""
    return load(name).annotator() if name in names() else None


def names() -> list[str]:
    """Names of the packs that come with the workbench, the default first, the others in alphabetical order."""
    return sorted(_folders(), key=lambda name: (name != DEFAULT, name))


def load(name: str) -> Pack:
    """The pack of that name; its rows are read when asked for."""
    folders = _folders()
    if name not in folders:
        raise CorpusError(f"there is no pack {name!r}; there is {', '.join(names()) or 'none at all'}")
    folder = folders[name]
    card = _json(folder / "pack.json")
    return Pack(
        name=card["name"],
        title=card["title"],
        about=card["about"],
        system=card["system"],
        rubric=(folder / "rubric.md").read_text(encoding="utf-8"),
        rubric_version=card["rubric_version"],
        reply_tokens=card["reply_tokens"],
        folder=folder,
    )


def numbered(page: str) -> list[str]:
    """The items of a numbered list, each on one line."""
    items = re.findall(r"^\d+\.\s+(.+?)(?=^\d+\.\s|\n\s*\n|\Z)", page, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(item.split()) for item in items]


def _folders() -> dict[str, Path]:
    # A pack is called what its card says: folder names cannot hold a hyphen and stay importable.
    return {_json(card)["name"]: card.parent for card in ROOT.glob("*/pack.json")}


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CorpusError(f"{path} is not valid JSON ({error}); correct it there") from error


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"line {number} of {path} is not valid JSON ({error}); correct or delete it") from error
