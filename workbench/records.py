"""What the store hands out: frozen snapshots of rows, as they were when read."""

from __future__ import annotations

import math
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
class RolloutRow:
    """One reply that PPO learned from, token by token, as it was scored before the step's update.

    The lists run over the reply's tokens, its stop token included. Log-probabilities in nats; values[t] is that of the state
    before token t; advantages are the whitened ones that the policy learned from; gaps of an imported row are NaN.
    """

    step: int
    place: int  # among the recorded ones of its step
    prompt: Messages
    pieces: list[str]  # the text that each token adds: "" for a stop, and for all but the last token of a split character
    ids: list[int]
    score: float  # the reward model's
    gold: float | None  # the pack's scoring rule, where there is one
    finish: str  # ended, cut, or "" where nobody says
    logps: list[float]
    reference: list[float]
    values: list[float]
    returns: list[float]
    advantages: list[float]
    rewards: list[float]

    @property
    def reply(self) -> str:
        return "".join(self.pieces)

    @property
    def kl(self) -> list[float]:
        """Drift per token in nats: log policy - log reference."""
        return [mine - theirs for mine, theirs in zip(self.logps, self.reference, strict=True)]

    @property
    def shifts(self) -> list[float]:
        """How much likelier the policy makes each token than the reference does: exp(log policy) - exp(log reference)."""
        return [math.exp(mine) - math.exp(theirs) for mine, theirs in zip(self.logps, self.reference, strict=True)]

    @property
    def reward(self) -> float:
        """What the reply earned: its score, kept within limits, less the penalties for drift and for not ending."""
        return sum(self.rewards)


@dataclass(frozen=True)
class Verdict:
    """What a model makes of a comparison by a constitution. Indices into its replies, as in a person's ranking."""

    comparison: int
    judge: str  # "judge:" and the adapter
    constitution: str  # its name, version, and how its principles were drawn
    run: str
    ranking: list[list[int]]
    created: float
    chances: list[tuple[int, int, float]]  # how likely the first is better than the second: both orders, all principles averaged
    flips: float = 0.0  # share of its answers that changed with the order of the two replies
    first: float = 0.5  # how likely it names the reply that stands first
    letters: float = 1.0  # probability that its answer is one of the two letters at all


@dataclass(frozen=True)
class Turn:
    """One round of critique and revision."""

    principle: str
    critique: str
    revision: str


@dataclass(frozen=True)
class Revision:
    """A reply that a model criticised and rewrote by principles, round after round."""

    prompt: Messages
    draft: str
    turns: list[Turn]
    topic: str = ""

    @property
    def final(self) -> str:
        """The last rewriting that is not empty, else the draft."""
        return next((turn.revision for turn in reversed(self.turns) if turn.revision.strip()), self.draft)


@dataclass(frozen=True)
class HeldOut:
    """A ranking that a reward run kept aside: what people said of the replies, and what the model says now.

    All lists run over the replies that were scored. Scores are raw: a difference of two is the log-odds that the first is better.
    """

    place: int
    comparison: int  # of this lab; 0 for an imported row
    prompt: Messages
    replies: list[str]
    ranks: list[int]  # lower is better, equal is a tie, -1 was left out
    scores: list[float]
    lengths: list[int]  # in tokens
    annotator: str
    sides: list[int]  # the place at which each reply was shown; empty where nobody wrote it down
    strength: float

    def pairs(self) -> list[tuple[int, int]]:
        """(better, worse) of every strict pair."""
        ranked = [place for place, rank in enumerate(self.ranks) if rank >= 0]
        return [(a, b) for a in ranked for b in ranked if self.ranks[a] < self.ranks[b]]

    def margins(self) -> list[float]:
        """Score of the better reply less that of the worse, per strict pair."""
        return [self.scores[better] - self.scores[worse] for better, worse in self.pairs()]


@dataclass(frozen=True)
class Scored:
    """What a reward makes of a typed reply. trace[k] is the reward of its first k tokens, were it to end there; empty while that is computed."""

    score: float
    parts: list[tuple[str, float, float]]  # each part of the reward: its text, its weight, what it says
    pieces: list[str]  # the text that each token adds
    trace: list[float]


@dataclass(frozen=True)
class Trial:
    """Typed replies that wait for what a reward says of them."""

    id: int
    model: str
    reward: str
    prompt: Messages
    replies: list[str]
    state: str  # waiting, done or failed
    answers: list[Scored]  # one for each reply, as far as they are known
    error: str


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
