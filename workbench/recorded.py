"""What a lab says of recorded rollouts: the part of its verbs that reads single replies of a PPO run, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench import frames, loggingboard, rollouts
from workbench.errors import NotFound
from workbench.records import Messages, RolloutRow
from workbench.store import Store


class Recorded:
    """Verbs of a Lab; see lab.py."""

    store: Store

    def rollouts(self, name: str, step: int | None = None) -> Any:
        """A data frame with a row per recorded rollout: step, place, prompt (last user turn), reply, score, gold, reward, kl, tokens, finish."""
        return frames.of_rollouts(self.rollout_heads(name, step))

    def rollout_tokens(self, name: str, step: int, place: int = 0) -> Any:
        """A data frame with a row per token of one rollout: piece, id, logp, reference, kl, value, return, advantage, reward, shift."""
        return frames.of_tokens(self.rollout(name, step, place))

    def rollout(self, name: str, step: int, place: int = 0) -> RolloutRow:
        """One rollout with the figures of every token. Raises NotFound."""
        found = rollouts.read(self.store, self.store.run(name).id, step, place)
        if not found:
            there = ", ".join(map(str, rollouts.steps(self.store, name)[:20])) or "none"
            raise NotFound(f"{name} has no recorded rollout {place} of step {step}; recorded steps: {there}")
        return found[0]

    def rollout_rows(self, name: str, step: int | None = None) -> list[RolloutRow]:
        return rollouts.read(self.store, self.store.run(name).id, step)

    def rollout_heads(self, name: str, step: int | None = None) -> list[dict[str, Any]]:
        """Recorded rollouts without their tokens."""
        return rollouts.heads(self.store, self.store.run(name).id, step)

    def rollout_steps(self, name: str) -> list[int]:
        return rollouts.steps(self.store, self.store.run(name).id)

    def samples_at(self, name: str, step: int) -> list[dict[str, Any]]:
        """The replies to the fixed held-out prompts at one step: place, prompt (messages), reply and record (figures)."""
        return self.store.samples(self.store.run(name).id, step - 1, step)

    def recorded_again(self, name: str, prompt: Messages, step: int) -> list[int]:
        """The other steps at which a reply to the same prompt was recorded."""
        return [each for each in rollouts.steps_of(self.store, self.store.run(name).id, prompt) if each != step]

    def write_rollouts(self, name: str, path: str | Path) -> int:
        """Writes a run's rollouts as RLLoggingBoard's JSONL; returns how many. Raises CorpusError."""
        return loggingboard.write(self.rollout_rows(name), Path(path))

    def read_rollouts(self, path: str | Path) -> list[RolloutRow]:
        """Reads rollouts from RLLoggingBoard's JSONL, ours or any trainer's. Raises CorpusError with the line."""
        return loggingboard.read(Path(path))
