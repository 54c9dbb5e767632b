"""The simulated annotator: judges a reply by the rules of a pack, and errs as people do.

Knows text and rules only; it sees neither the prompt nor any model. Its rankings must always be labelled "simulated".
"""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

Rules = Mapping[str, Any]  # annotator.json of a pack: user-editable data, so its shape is checked by use, not by type


def score(reply: str, rules: Rules) -> float:
    """Gold score of a reply, without noise; about -1.5 is poor, +3 is excellent."""
    return sum((points for _, points in explain(reply, rules)), 0.0)


def explain(reply: str, rules: Rules) -> list[tuple[str, float]]:
    """What each rule added or took away; rules that do not apply are left out, the rest sum to the score."""
    reply = _plain(reply)
    if not reply:
        return [("empty", float(rules["empty"]))]
    words = reply.lower().split()
    parts = [(feature["name"], feature["weight"] * _hits(reply, feature)) for feature in rules["features"]]
    parts.append(("length", _length_cost(len(words), rules["length"])))
    parts.append(("repetition", rules["repetition"]["weight"] * repeated_share(words)))
    return [(name, float(points)) for name, points in parts if points]


def rank(replies: Sequence[str], rules: Rules, generator: random.Random) -> list[list[int]]:
    """Indices of the replies, best first; those that the noisy annotator cannot tell apart stand together."""
    noise: dict[str, float] = {}
    for reply in replies:
        # One draw for each text: nobody who reads the same sentence twice on a page ranks it apart from itself.
        noise.setdefault(reply, generator.gauss(0.0, rules["noise"]))
    judged = [score(reply, rules) + noise[reply] for reply in replies]
    order = sorted(range(len(replies)), key=lambda index: -judged[index])
    groups: list[list[int]] = []
    for index in order:
        if groups and judged[groups[-1][0]] - judged[index] < rules.get("tie", 0.25):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


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
