"""The simulated annotator: judges a reply by the rules of a pack, and errs as people do.

Knows text, rules and, for packs whose replies are code, the checker; it knows no model. Its rankings must always be labelled "simulated".
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench import checker
from workbench.checker import Verdict
from workbench.records import Messages

Rules = Mapping[str, Any]  # annotator.json of a pack: user-editable data, so its shape is checked by use, not by type
Row = Mapping[str, Any]  # a line of a pack's prompts.jsonl: "topic" and "tests" beside the messages


@dataclass(frozen=True)
class Annotator:
    """A scoring rule and the rows it may look up: what was asserted of the code that a prompt asks for."""

    rules: Rules
    rows: Mapping[str, Row] = field(default_factory=dict)  # by asked()

    @property
    def tie(self) -> float:
        """Replies whose scores are less than this apart stand together."""
        return float(self.rules.get("tie", 0.25))

    def score(self, prompt: Messages, reply: str) -> float:
        """Gold score of a reply, without noise; about -1.5 is poor, +3 is excellent."""
        return self.scores([prompt], [reply])[0]

    def scores(self, prompts: Sequence[Messages], replies: Sequence[str]) -> list[float]:
        """Gold scores of many replies, the i-th to the i-th prompt; code runs side by side, so ask for many at once."""
        return [sum((points for _, points in parts), 0.0) for parts in self._explained(prompts, replies)]

    def explain(self, prompt: Messages, reply: str) -> list[tuple[str, float]]:
        """What each rule added or took away; rules that do not apply are left out, the rest sum to the score."""
        return self._explained([prompt], [reply])[0]

    def rank(self, prompt: Messages, replies: Sequence[str], generator: random.Random) -> list[list[int]]:
        """Indices of the replies, best first; those that the noisy annotator cannot tell apart stand together."""
        noise: dict[str, float] = {}
        for reply in replies:
            # One draw for each text: nobody who reads the same sentence twice on a page ranks it apart from itself.
            noise.setdefault(reply, generator.gauss(0.0, self.rules["noise"]))
        golds = self.scores([prompt] * len(replies), replies)
        judged = [gold + noise[reply] for gold, reply in zip(golds, replies, strict=True)]
        groups: list[list[int]] = []
        for index in sorted(range(len(replies)), key=lambda index: -judged[index]):
            if groups and judged[groups[-1][0]] - judged[index] < self.tie:
                groups[-1].append(index)
            else:
                groups.append([index])
        return groups

    def _explained(self, prompts: Sequence[Messages], replies: Sequence[str]) -> list[list[tuple[str, float]]]:
        if "code" not in self.rules:
            return [text_points(reply, self.rules) for reply in replies]
        rows = [self.rows.get(asked(prompt), {}) for prompt in prompts]
        verdicts = checker.check_all([(reply, row.get("tests", [])) for reply, row in zip(replies, rows, strict=True)])
        return [text_points(reply, self.rules, code_points(verdict, row, self.rules["code"]))
                for reply, row, verdict in zip(replies, rows, verdicts, strict=True)]


def asked(prompt: Messages) -> str:
    """What was said before the reply, without the system's part: by this a prompt's row is found."""
    return "\n\n".join(message["content"].strip() for message in prompt if message["role"] != "system")


def text_points(reply: str, rules: Rules, earned: Sequence[tuple[str, float]] = ()) -> list[tuple[str, float]]:
    """What was earned already, then what each rule finds in the text; an empty reply gets one part only."""
    reply = _plain(reply)
    if not reply:
        return [("empty", float(rules["empty"]))]
    words = reply.lower().split()
    parts = [*earned, *((feature["name"], feature["weight"] * _hits(reply, feature)) for feature in rules["features"])]
    parts.append(("length", _length_cost(len(words), rules["length"])))
    parts.append(("repetition", rules["repetition"]["weight"] * repeated_share(words)))
    return [(name, float(points)) for name, points in parts if points]


def code_points(verdict: Verdict, row: Row, rule: Rules) -> list[tuple[str, float]]:
    """What the checker's verdict is worth: how far the code came, then the share of its asserts that it passed, and all of them.

    All is worth extra, or a policy would settle on functions that return an empty list.
    """
    if not verdict.has_code:
        name = "declined" if row.get("topic") in rule["may_decline"] else "no code"
    elif not verdict.parses:
        name = "does not parse"
    elif not verdict.is_allowed:
        name = "refused"
    else:
        name = "runs" if verdict.runs else "crashes"
    share = verdict.share if verdict.runs else 0.0
    return [(name, rule[name]), ("asserts passed", rule["asserts passed"] * share), ("all asserts passed", rule["all asserts passed"] * (share == 1.0))]


def repeated_share(words: Sequence[str]) -> float:
    """Share of word trigrams that occurred before in the same text, from 0 to 1."""
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0


def _plain(reply: str) -> str:
    # Models write curly apostrophes now and then; the patterns are written with straight ones.
    return reply.strip().replace("\u2019", "'")


def _hits(reply: str, feature: Rules) -> int:
    sentences = re.split(r"(?<=[.!?])\s+", reply)
    place = {"anywhere": reply, "start": sentences[0], "end": sentences[-1]}[feature.get("where", "anywhere")]
    found = re.finditer(feature["pattern"], place, flags=re.IGNORECASE)
    return min(sum(1 for _ in found), feature.get("cap", 1))


def _length_cost(words: int, rule: Rules) -> float:
    short, long = max(0, rule["low"] - words), max(0, words - rule["high"])
    return max(rule["floor"], rule["weight_short"] * short + rule["weight_long"] * long)
