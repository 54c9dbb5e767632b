"""A reward at work: the models of its text as roles, and what its parts make of replies. The text itself is read by workbench.rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from workbench import functions, packs, rewards
from workbench.annotator import Annotator
from workbench.engine.backbone import Backbone
from workbench.functions import Score
from workbench.records import Messages
from workbench.rewards import ENSEMBLES, Term


class Said(NamedTuple):
    """b replies as rules and functions read them; tokens (b,) counts each, longest is the room they had."""

    prompts: Sequence[Messages]
    texts: Sequence[str]
    tokens: Tensor
    longest: int


class Reward:
    """The parts of a reward, ready to judge; models are asked by whoever holds the backbone."""

    def __init__(self, text: str) -> None:
        self.terms, self.runs = rewards.parse(text), rewards.runs(text)
        self.rules: dict[str, Annotator] = {name: packs.load(name).annotator() for name in rewards.rules(text)}
        self.functions: dict[str, Score] = {name: functions.named(name) for name in rewards.functions(text)}

    @property
    def reads_text(self) -> bool:
        return bool(self.rules or self.functions)

    def parts(self, by_run: Mapping[str, Tensor], said: Said) -> list[tuple[Term, Tensor]]:
        """Every term with its unweighted scores (b,); `by_run` has what each reward run says."""
        return [(term, self.part(term, by_run, said)) for term in self.terms]

    def part(self, term: Term, by_run: Mapping[str, Tensor], said: Said) -> Tensor:
        if term.kind == "run":
            return by_run[term.names[0]]
        if term.kind in ENSEMBLES:
            return combine(term, torch.stack([by_run[name] for name in term.names]))
        if term.kind == "length":
            return said.tokens.float() / said.longest
        [name] = term.names
        if term.kind == "rule":
            found = self.rules[name].scores(said.prompts, said.texts)
        else:
            found = [functions.score(name, self.functions[name], prompt, text) for prompt, text in zip(said.prompts, said.texts, strict=True)]
        return torch.tensor(found, dtype=torch.float32, device=said.tokens.device)

    def total(self, by_run: Mapping[str, Tensor], said: Said) -> Tensor:
        """The reward (b,) of replies; one run alone passes unchanged."""
        if [(term.kind, term.weight) for term in self.terms] == [("run", 1.0)]:
            return by_run[self.runs[0]]
        return sum(term.weight * scores for term, scores in self.parts(by_run, said))


def combine(term: Term, scores: Tensor) -> Tensor:
    """What an ensemble makes of its members' scores (m, b): worst case, mean, or mean less `doubt` times variance.

    Coste et al., "Reward model ensembles help mitigate overoptimization" (2024), eqs. 3 to 5; the variance divides by m.
    """
    match term.kind:
        case "min":
            return scores.min(0).values
        case "mean":
            return scores.mean(0)
    return scores.mean(0) - term.doubt * scores.var(0, correction=0)


def load(text: str, backbone: Backbone, adapters: Path, roles: Mapping[str, str]) -> None:
    """Loads the runs of a reward as the roles that they are given, and what its functions need.

    Raises AdapterError when a run is missing or of another base, RecipeError when a function is not allowed or not there.
    """
    for run, role in roles.items():
        backbone.load(role, adapters / run)
    for name in rewards.functions(text):
        functions.reach(adapters.parent, name)
