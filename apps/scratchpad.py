"""What the scratchpad asks: which rewards there are, the score of what was typed, and how it grows token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.forms import rewards_of
from workbench import packs, rewards
from workbench.errors import NotFound, RecipeError
from workbench.lab import Lab
from workbench.records import Messages, Scored

REPLIES = 2


@dataclass(frozen=True)
class Scratchpad:
    """The server side of the scratchpad. Each method takes one dict and gives one back."""

    lab: Lab

    def pad_choices(self, _: dict[str, Any]) -> dict[str, Any]:
        """Rewards to choose from, and a prompt to begin with."""
        found = [{"title": title, "value": value} for title, value in rewards_of(self.lab, is_ready=True) if value]
        return {"rewards": found, "prompt": packs.load(packs.DEFAULT).prompts("held_out")[0][-1]["content"], "hasModel": bool(self.lab.adapters("reward"))}

    def pad_try(self, question: dict[str, Any]) -> dict[str, Any]:
        """Asks for the scores of what was typed; what the same pad asked before is dropped."""
        reward, replies = str(question["reward"]), question["replies"]
        if not isinstance(replies, list) or not 1 <= len(replies) <= REPLIES or not all(isinstance(each, str) for each in replies):
            raise ValueError("one reply or two")
        trial = self.lab.try_out(prompt_of(self.lab, reward, str(question["prompt"])), replies, reward, str(question["pad"])[:40])
        return {"trial": trial.id}

    def pad_look(self, question: dict[str, Any]) -> dict[str, Any]:
        """What is known of a trial; `gone` when something newer was typed."""
        try:
            trial = self.lab.trial(int(question["trial"]))
        except NotFound:
            return {"state": "gone", "answers": [], "why": ""}
        return {"state": trial.state, "answers": [answer(each) for each in trial.answers], "why": trial.error or self._why_wait(bool(trial.answers))}

    def _why_wait(self, is_begun: bool) -> str:
        if is_begun:
            return ""
        running = next((run for run in self.lab.list_runs() if run.state == "running"), None)
        return f"waits for the present step of {running.id}" if running else "the worker loads the model"


def answer(found: Scored) -> dict[str, Any]:
    return {"score": round(found.score, 4), "parts": [[name, weight, round(says, 4)] for name, weight, says in found.parts], "pieces": found.pieces,
            "trace": [round(value, 4) for value in found.trace]}


def prompt_of(lab: Lab, reward: str, typed: str) -> Messages:
    """The typed prompt under the system message that the reward's own prompts had."""
    asked = {"role": "user", "content": typed.strip()}
    system = system_of([lab.recipe(name).prompts for name in known_runs(lab, reward)] + rewards.rules(reward))
    return [{"role": "system", "content": system}, asked] if system else [asked]


def known_runs(lab: Lab, reward: str) -> list[str]:
    """The reward runs that a text names, where they are of that stage. Raises RecipeError."""
    stages = {run.id: run.stage for run in lab.store.runs()}
    if strange := [name for name in rewards.runs(reward) if stages.get(name) != "reward"]:
        raise RecipeError(f"{', '.join(strange)} is no reward run; there are {', '.join(lab.adapters('reward')) or 'none yet'}")
    return rewards.runs(reward)


def system_of(sources: Sequence[str]) -> str:
    """The system message of the first source that is a pack."""
    return next((packs.load(name).system for name in sources if name in packs.names()), "")
