"""Corpora: named rows of one of four shapes, from a domain pack, an import of the lab, or the lab's own rankings. No torch.

Importing files of other formats is the business of formats/; this file knows only our own rows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from workbench import packs, principled
from workbench.errors import CorpusError, DiskFull
from workbench.records import Messages
from workbench.store import Store

SHAPES = ("demonstrations", "prompts", "preferences", "texts")
RANKINGS = "rankings"  # the name of the corpus made of the lab's own judgements
AI_FEEDBACK = "ai-feedback"  # of the one made of what models judged by a constitution
BOTH = "rankings-and-ai-feedback"  # people's rankings, and the models' where nobody ranked
EDGE = "edge"  # a pack's red-team and edge prompts, which nothing is trained on; of an import, all its prompts
FROM = {"prompts": ("prompts", "demonstrations", "preferences"), EDGE: ("prompts",)}  # imported shapes that give another
JUDGED = (RANKINGS, AI_FEEDBACK, BOTH)


@dataclass(frozen=True)
class Demonstration:
    """A conversation whose assistant turns are to be imitated; ends with the assistant."""

    messages: Messages
    source: str = ""  # where a person wrote it: the comparison and the annotator; empty where that is said of the whole corpus


@dataclass(frozen=True)
class Prompt:
    """A conversation that waits for a reply; ends with the user."""

    messages: Messages


@dataclass(frozen=True)
class Preference:
    """k replies to one prompt, ranked best first with ties together; a partial ranking leaves some out."""

    prompt: Messages
    replies: list[str]
    ranking: list[list[int]]
    annotator: str = ""
    comparison: int = 0  # of this lab; 0 for an imported row
    shown: list[int] = field(default_factory=list)  # the order in which the replies were shown; empty where nobody wrote it down
    strength: float = 0.0  # how much better: 1 slightly, 2 clearly, 3 much; 0 unsaid
    certainty: float = 1.0  # how likely each reply is better than the next, where a judge says so; 0.5 is a coin


@dataclass(frozen=True)
class Text:
    text: str


Row = Demonstration | Prompt | Preference | Text
ROWS: dict[str, type] = {"demonstrations": Demonstration, "prompts": Prompt, "preferences": Preference, "texts": Text}
AnyRow = TypeVar("AnyRow", Demonstration, Prompt, Preference, Text)


def prompt_key(row: Row) -> str:
    """What two rows of the same prompt share: rows are split by prompt, never by row."""
    match row:
        case Demonstration(messages):
            first = next((m["content"] for m in messages if m["role"] == "user"), messages[0]["content"])
        case Prompt(messages):
            first = json.dumps([m for m in messages if m["role"] != "system"])
        case Preference(prompt):
            first = json.dumps([m for m in prompt if m["role"] != "system"])
        case Text(text):
            first = text
    return hashlib.sha256(first.encode()).hexdigest()


def split(rows: Sequence[AnyRow], held_out: float) -> tuple[list[AnyRow], list[AnyRow]]:
    """Train and held-out rows by a hash of the prompt: stable when rows are added, and no prompt is on both sides."""
    train: list[AnyRow] = []
    kept: list[AnyRow] = []
    for row in rows:
        (kept if int(prompt_key(row)[:8], 16) / 0xFFFFFFFF < held_out else train).append(row)
    return train, kept


def split_rankings(rows: Sequence[Preference], held_out: float) -> tuple[list[Preference], list[Preference]]:
    """As `split`, but of two prompts one is always held out (the last): a hash splits a handful unevenly."""
    train, kept = split(rows, held_out)
    if rows and not (train and kept):
        key = prompt_key(rows[-1])
        train, kept = [row for row in rows if prompt_key(row) != key], [row for row in rows if prompt_key(row) == key]
    return train, kept


def folder(home: Path) -> Path:
    return home / "corpora"


def save(home: Path, name: str, rows: Iterable[Row]) -> None:
    """Writes rows as one JSONL file: all of them or, when something fails on the way, none."""
    target = folder(home) / f"{name}.jsonl"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
    except OSError as fault:
        raise DiskFull(f"cannot save {name!r} in {target.parent}: {fault.strerror or fault}; make room and import again") from fault
    finally:
        part.unlink(missing_ok=True)


def load(home: Path, name: str, shape: str) -> list[Any]:
    target = folder(home) / f"{name}.jsonl"
    try:
        with target.open(encoding="utf-8") as lines:
            return [ROWS[shape](**json.loads(line)) for line in lines]
    except (TypeError, ValueError, OSError) as fault:
        raise CorpusError(f"the corpus {name!r} cannot be read from {target}: {fault}; import it again") from fault


def from_rankings(store: Store) -> list[Preference]:
    """The lab's own judgements that order at least two replies, a row for each annotator; repeats are no labels of their own.

    Held-out comparisons are left out: their prompts measure, so they must not train.
    """
    judged = [c for c in store.comparisons("state='judged' and kind<>'evaluation'") if not c.settings.get("is_held_out")]
    return [Preference(c.prompt, [r.text for r in c.replies], j.ranking, j.annotator or j.source, c.id, j.shown, j.strength)
            for c in judged for j in c.judgements if len(j.ranking) > 1]


def from_verdicts(store: Store, is_ranked_too: bool = False) -> list[Preference]:
    """What models judged by a constitution, a row per pair of replies with how certain the judge is.

    Held-out comparisons are left out as they are for people; those that people ranked as well, unless `is_ranked_too`.
    """
    found = {c.id: c for c in store.comparisons("kind='ranking'") if not c.settings.get("is_held_out") and (is_ranked_too or c.state != "judged")}
    rows = []
    for verdict in principled.read(store):
        if asked := found.get(verdict.comparison):
            for a, b, chance in verdict.chances:
                better, worse = (a, b) if chance >= 0.5 else (b, a)
                if max(a, b) < len(asked.replies) and asked.replies[a].text.strip() != asked.replies[b].text.strip():
                    rows.append(Preference(asked.prompt, [asked.replies[better].text, asked.replies[worse].text], [[0], [1]], verdict.judge,
                                           asked.id, certainty=max(chance, 1 - chance)))
    return rows


def check_rankings(rows: Sequence[Preference]) -> None:
    """Raises CorpusError with the reason when no reward model can be learned from these rankings, however it is tried."""
    if len({prompt_key(r) for r in rows}) < 2:
        raise CorpusError("all rankings are of one prompt; rank replies to other prompts too, so that some can be held out")
    if all(len(row.ranking) < 2 for row in rows):
        raise CorpusError(f"all replies tie in every one of the {len(rows)} rankings; a reward model needs some that are better than others")


def rows(store: Store, name: str, shape: str, held_out: bool = False) -> list[Any]:
    """The rows of a corpus. Raises CorpusError when the name is unknown, the shape differs, or nothing is in it.

    `held_out` picks the held-out side of a pack's prompts; imported prompts are split by hash, a fifth held out.
    """
    found = _find(store, name, shape, held_out)
    if not found:
        what = {RANKINGS: "no ranking yet: rank some replies on the Preferences tab", BOTH: "no ranking yet, by people or by a model",
                AI_FEEDBACK: "no model has judged anything yet: start AI feedback on the Preferences tab"}.get(name, f"no {shape} in {name!r}")
        raise CorpusError(f"{what}; nothing to work with")
    return found


def _find(store: Store, name: str, shape: str, held_out: bool) -> list[Any]:
    if name in JUDGED and shape == "preferences":
        return {RANKINGS: lambda: from_rankings(store), AI_FEEDBACK: lambda: from_verdicts(store, True),
                BOTH: lambda: from_rankings(store) + from_verdicts(store)}[name]()
    if name in packs.names():
        return _from_pack(packs.load(name), name, shape, held_out)
    entry = next((e for e in store.corpora() if e.name == name), None)
    if entry is None:
        there = ", ".join(packs.names() + [e.name for e in store.corpora()] + [*JUDGED])
        raise CorpusError(f"no corpus {name!r}; there are {there}. Import a file on the Data tab or with `workbench import FILE`")
    found = load(store.path.parent, name, entry.shape)
    if shape == entry.shape:
        return split(found, 0.2)[int(held_out)] if shape == "prompts" else found
    if shape == EDGE and entry.shape == "prompts":
        return found
    if shape == "prompts" and entry.shape in ("demonstrations", "preferences"):
        return split(_unique([as_prompt(row) for row in found]), 0.2)[int(held_out)]
    raise CorpusError(f"{name!r} holds {entry.shape}, not {shape}; choose another corpus")


def _from_pack(pack: packs.Pack, name: str, shape: str, held_out: bool) -> list[Any]:
    makers: dict[str, Callable[[], list[Any]]] = {
        "demonstrations": lambda: [Demonstration(m) for m in pack.demonstrations()],
        "prompts": lambda: [Prompt(m) for m in pack.prompts("held_out" if held_out else "train")],
        "texts": lambda: [Text(t) for t in pack.texts()],
        EDGE: lambda: [Prompt(row["messages"]) for row in pack.edge()],
    }
    if shape not in makers:
        raise CorpusError(f"the pack {name!r} has no {shape}; rank replies on the Preferences tab and use {RANKINGS!r}")
    return makers[shape]()


def as_prompt(row: Row) -> Prompt:
    """The opening of a demonstration or preference, up to where the assistant speaks first or replies."""
    if isinstance(row, Preference):
        return Prompt(row.prompt)
    assert isinstance(row, Demonstration)
    first = next(i for i, m in enumerate(row.messages) if m["role"] == "assistant")
    return Prompt(row.messages[:first])


def _unique(prompts: list[Prompt]) -> list[Prompt]:
    return list({prompt_key(p): p for p in prompts}.values())
