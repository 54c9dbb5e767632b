"""What the compare panel asks: two replies as they grow, a vote on them, the tally so far, earlier questions.

A pane is a place on the screen: in blind mode the order drawn by lot, else the order in which the adapters were named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.ranking import annotator_of
from workbench.errors import LabError
from workbench.lab import Lab
from workbench.records import Comparison, Messages

CHOICES = {"first": [[0], [1]], "second": [[1], [0]], "tie": [[0, 1]]}
EARLIER = 20  # questions kept in view below the panes
GROWING = ("waiting", "writing")


def order(comparison: Comparison, blind: bool) -> list[int]:
    """The reply behind each pane."""
    return comparison.shown if blind else list(range(len(comparison.replies)))


def choice_of(comparison: Comparison, blind: bool) -> str:
    """The vote as the panes show it: first, second, tie, bad, other (a longer ranking) or nothing yet."""
    if comparison.state == "bad":
        return "bad"
    if comparison.state != "judged" or not comparison.ranking:
        return ""
    pane = {reply: place for place, reply in enumerate(order(comparison, blind))}
    groups = [sorted(pane[reply] for reply in group) for group in comparison.ranking]
    return next((name for name, wanted in CHOICES.items() if groups == wanted), "other")


def view(comparison: Comparison, blind: bool) -> dict[str, Any]:
    """A comparison as its reader may see it: in blind mode without names until there is a vote."""
    vote = choice_of(comparison, blind)
    replies = [comparison.replies[place] for place in order(comparison, blind)]
    return {
        "number": comparison.id, "state": comparison.state, "error": comparison.error, "prompt": comparison.prompt, "vote": vote,
        "panes": [{"name": r.adapter if vote or not blind else "", "text": r.text, "tokens": r.tokens, "finished": r.is_finished}
                  for r in replies],
        "cut": comparison.settings.get("reply_tokens", 0),
    }


def messages(lab: Lab, system: str, question: str, thread: str = "") -> Messages:
    """What is asked: a new conversation, or one that goes on from a reply; `thread` is NUMBER:PANE:BLIND, set by the panel."""
    asked = {"role": "user", "content": question.strip()}
    if not thread:
        return [{"role": "system", "content": system.strip()}, asked] if system.strip() else [asked]
    number, pane, blind = (int(part) for part in thread.split(":"))
    before = lab.store.comparison(number)
    reply = before.replies[order(before, bool(blind))[pane]].text
    return [*before.prompt, {"role": "assistant", "content": reply}, asked]


def pair_of(names: Sequence[str]) -> tuple[str, str]:
    """Left and right to begin with: the newest SFT against the newest PPO, or what there is against the base model."""
    sft, ppo = ([n for n in names if n.startswith(stage)] for stage in ("sft-", "ppo-"))
    left = sft[-1] if ppo and sft else "base"
    return left, (ppo or sft or ["base"])[-1]


@dataclass(frozen=True)
class Talk:
    """The server side of the compare panel. Each method takes one dict and gives one back."""

    lab: Lab

    def talk_look(self, question: dict[str, Any]) -> dict[str, Any]:
        """A comparison as it stands; without a number the newest, so that a reload shows what was there."""
        number = int(question.get("number") or 0)
        found = [self.lab.store.comparison(number)] if number else self._chats(1)
        if not found:
            return {"number": 0, "trained": bool(self.lab.adapters())}
        growing = found[0].state in GROWING
        running = [r.id for r in self.lab.list_runs() if r.state == "running"] if growing else []
        return {**view(found[0], bool(question.get("blind"))), "busy": running[:1]}

    def talk_stop(self, question: dict[str, Any]) -> dict[str, Any]:
        self.lab.hush(int(question["number"]))
        return self.talk_look(question)

    def talk_vote(self, question: dict[str, Any]) -> dict[str, Any]:
        """Stores a vote, or takes it back; refuses one on replies that are still written or judged already."""
        number, choice, blind = int(question["number"]), str(question["choice"]), bool(question.get("blind"))
        found = self.lab.store.comparison(number)
        if found.kind != "chat" or len(found.replies) != 2 or found.state not in (("judged", "bad") if choice == "undo" else ("ready",)):
            raise LabError(f"comparison {number} is {found.state}; a vote needs two finished replies that nobody judged yet")
        if choice == "undo":
            self.lab.undo_judgement(number)
        elif choice == "bad":
            self.lab.judge_bad(number, annotator=annotator_of(question))
        else:
            ranking = [[order(found, blind)[pane] for pane in group] for group in CHOICES[choice]]
            how = "blind" if blind and not question.get("named") else "names shown"
            self.lab.judge(number, ranking, annotator=annotator_of(question), rubric=f"compare, {how}")
        return self.talk_look(question)

    def talk_tally(self, question: dict[str, Any]) -> dict[str, Any]:
        """The running win rate of the two behind a comparison: the second named against the first."""
        names = [r.adapter for r in self.lab.store.comparison(int(question["number"])).replies]
        if len(names) != 2 or names[0] == names[1]:
            return {"n": 0}
        return {"a": names[1], "b": names[0], **self.lab.win_rate(names[1], names[0])}

    def talk_earlier(self, question: dict[str, Any]) -> dict[str, Any]:
        """The last questions, newest first."""
        return {"rows": [view(c, bool(question.get("blind"))) for c in self._chats(EARLIER)]}

    def _chats(self, limit: int) -> list[Comparison]:
        return self.lab.store.comparisons("kind='chat'", newest=True, limit=limit)
