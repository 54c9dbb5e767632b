"""The recipes of AI feedback: a model that judges, and one that criticises and rewrites, by a constitution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workbench.knobs import PRECISIONS, Recipe, knob


@dataclass(frozen=True, kw_only=True)
class JudgeRecipe(Recipe):
    """AI feedback: a model ranks replies by a constitution, beside people and never in their place."""

    stage: ClassVar[str] = "judge"
    title: ClassVar[str] = "AI feedback"

    judge: str = knob("base", "adapter that judges, or base: the model without any", kind="adapter")
    constitution: str = knob("customer-service", "principles it judges by: a pack's, or this lab's own copy", kind="constitution")
    which: str = knob("all", "ranked: what people ranked, to see how far it agrees; waiting: what nobody ranked; all: both, ranked first",
                      choices=("all", "ranked", "waiting"))
    count: int = knob(100, "how many comparisons at most", low=1, high=100_000)
    principles: int = knob(3, "principles drawn for each comparison; its answers to them are averaged", low=1, high=50)
    seed: int = knob(0, "makes the draw of principles repeatable", low=0)
    batch: int = knob(16, "questions read at once; changes memory, not results", low=1, advanced=True)
    max_tokens: int = knob(2048, "longest question, in tokens; a comparison with a longer one is left out", low=64, high=131_072, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)


@dataclass(frozen=True, kw_only=True)
class ReviseRecipe(Recipe):
    """Critique and revise: a model answers hard prompts, criticises its replies by a constitution, and rewrites them."""

    stage: ClassVar[str] = "revise"
    title: ClassVar[str] = "Critique and revise"

    adapter: str = knob("base", "adapter that answers, criticises and rewrites", kind="adapter")
    prompts: str = knob("customer-service", "a pack's red-team and edge prompts, or an imported corpus of prompts", kind="corpus:edge")
    constitution: str = knob("customer-service", "principles it criticises by: a pack's, or this lab's own copy", kind="constitution")
    count: int = knob(40, "how many prompts at most", low=1, high=100_000)
    rounds: int = knob(2, "times each reply is criticised and rewritten, each by another principle", low=1, high=4)
    reply_tokens: int = knob(96, "longest reply, in tokens", low=4, high=4096)
    critique_tokens: int = knob(64, "longest critique, in tokens", low=4, high=4096)
    temperature: float = knob(0.7, "above 1 more varied, below 1 more careful", low=0.05, high=5.0)
    seed: int = knob(0, "makes the run repeatable", low=0)
    batch: int = knob(8, "replies written at once", low=1, advanced=True)
    precision: str = knob("auto", "number format of the frozen base", choices=PRECISIONS, advanced=True)
