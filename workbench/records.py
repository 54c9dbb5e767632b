"""What the store hands out: frozen snapshots of rows, as they were when read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Messages = list[dict[str, str]]  # [{"role": "user", "content": "..."}], oldest first

LIVE = ("queued", "running")
OVER = ("paused", "done", "stopped", "failed", "lost")


@dataclass(frozen=True)
class Run:
    """A recipe being carried out, as it was when read."""

    id: str
    stage: str
    recipe: str
    state: str
    wish: str
    round: int
    created: float
    started: float | None
    ended: float | None
    step: int
    total: int
    step_at: float | None
    saved_step: int
    stepping: float
    note: str
    error: str
    summary: Mapping[str, Any]
    parent: str = ""  # the run that this one was forked from
    parent_step: int = 0

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at the mean pace of this attempt; None before the first step."""
        if self.state != "running" or not self.stepping or self.total <= self.step:
            return None
        return self.stepping * (self.total - self.step)


@dataclass(frozen=True)
class Change:
    """A knob that changed while its run went on (origin "live"), or where the run left its parent ("fork")."""

    run: str
    knob: str
    old: Any  # a number, text or truth, whatever the knob takes
    new: Any
    asked: float
    step: int | None  # the first step that it applies to; None until the worker begins that step
    origin: str


@dataclass(frozen=True)
class Reply:
    adapter: str
    text: str
    tokens: int
    is_finished: bool
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One prompt, k replies, perhaps a judgement (ranking best first, ties together, indices into replies)."""

    id: int
    kind: str  # chat, ranking or evaluation
    run: str
    round: int
    prompt: Messages
    settings: Mapping[str, Any]
    shown: list[int]  # the order in which the replies are shown, drawn by lot
    state: str  # waiting, writing, ready, judged, skipped, bad, failed
    ranking: list[list[int]] | None
    source: str  # human, simulated or import
    annotator: str
    rubric: str
    seconds: float | None
    created: float
    judged: float | None
    error: str
    replies: list[Reply]


@dataclass(frozen=True)
class CorpusEntry:
    name: str
    shape: str
    format: str
    source: str
    usable: int
    rejected: int
    notes: str
    created: float
