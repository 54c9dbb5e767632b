"""What scores a reply, as one line of text: a reward run, several at once, a pack's rule, a function, length, or a weighted sum.

    reward-1                                     one reward model
    min(reward-1, reward-2)                      an ensemble's worst case; mean(...) its average
    uwo(0.5, reward-1, reward-2)                 its mean less 0.5 times its variance (Coste et al. 2024, "UWO")
    0.8*reward-1 + 0.2*rule:customer-service     a pack's scoring rule or checker
    reward-1 - 0.3*length                        tokens, as a share of the longest reply allowed
    my_module:score                              a Python function score(prompt, reply) -> number, allowed in this lab by name

Reward models score SFT's replies 0 on average with a spread of 1; the other parts have the scale they have. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.errors import RecipeError

ENSEMBLES = ("min", "mean", "uwo")
DOUBT = 0.5  # what a uwo gives up per unit of variance unless told otherwise
TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<rule>rule:[a-z]+(?:-[a-z]+)*)|(?P<function>[A-Za-z_][\w.]*:[A-Za-z_]\w*)"
                   r"|(?P<run>[a-z]+-\d+)|(?P<word>[a-z]+)|(?P<mark>[-+*(),]))")
EXAMPLES = 'write for example "reward-1", "min(reward-1, reward-2)" or "0.8*reward-1 + 0.2*rule:customer-service"'


@dataclass(frozen=True)
class Term:
    """One part of a reward: weight times what `kind` makes of `names`."""

    weight: float
    kind: str  # run, min, mean, uwo, rule, function or length
    names: tuple[str, ...] = ()
    doubt: float = 0.0  # of a uwo

    def __str__(self) -> str:
        inside = ", ".join(([f"{self.doubt:g}"] if self.kind == "uwo" else []) + list(self.names))
        return f"{self.kind}({inside})" if self.kind in ENSEMBLES else f"rule:{inside}" if self.kind == "rule" else inside or self.kind


def worst_case(runs: Iterable[str]) -> str:
    """The text of an ensemble that goes by its strictest member."""
    return str(Term(1.0, "min", tuple(runs)))


class Reader:
    """Reads a reward from left to right; every fault names the place."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def peek(self) -> re.Match[str] | None:
        found = TOKEN.match(self.text, self.at)
        if found is None and self.text[self.at:].strip():
            raise self.fault(f"{self.text[self.at:].strip()[:20]!r} is not understood")
        return found

    def take(self, *kinds: str) -> str | None:
        """The next token if it is of one of these kinds or is one of these marks."""
        found = self.peek()
        if found is None or not (found.lastgroup in kinds or found[found.lastgroup] in kinds):
            return None
        self.at = found.end()
        return found[found.lastgroup]

    def need(self, mark: str) -> None:
        if self.take(mark) is None:
            raise self.fault(f"a {mark!r} is missing {self.where()}")

    def where(self) -> str:
        rest = self.text[self.at:].strip()
        return f"before {rest[:20]!r}" if rest else "at its end"

    def fault(self, what: str) -> RecipeError:
        return RecipeError(f"the reward {self.text!r} cannot be read: {what}; {EXAMPLES}")


def parse(text: str) -> list[Term]:
    """The weighted parts of a reward. Raises RecipeError that names the place."""
    reader, found = Reader(text), []
    sign = -1.0 if reader.take("-") else 1.0
    while True:
        found.append(term(reader, sign))
        mark = reader.take("+", "-")
        if mark is None:
            break
        sign = -1.0 if mark == "-" else 1.0
    if reader.peek() is not None:
        raise reader.fault(f"a + or - is missing {reader.where()}")
    return found


def term(reader: Reader, sign: float) -> Term:
    weight = sign
    if (number := reader.take("number")) is not None:
        weight *= float(number)
        reader.need("*")
    for kind in ("run", "rule", "function"):
        if (name := reader.take(kind)) is not None:
            return Term(weight, kind, (name.removeprefix("rule:"),))
    word = reader.take("word")
    if word == "length":
        return Term(weight, "length")
    if word in ENSEMBLES:
        return Term(weight, word, *members(reader, word))
    raise reader.fault(f"{word!r} is no reward" if word else f"a reward is missing {reader.where()}")


def members(reader: Reader, kind: str) -> tuple[tuple[str, ...], float]:
    """What stands between the brackets of an ensemble."""
    reader.need("(")
    doubt = 0.0
    if kind == "uwo":
        number = reader.take("number")
        doubt = DOUBT if number is None else float(number)
        if number is not None:
            reader.need(",")
    names = []
    while True:
        name = reader.take("run")
        if name is None:
            raise reader.fault(f"a reward run is missing {reader.where()}")
        names.append(name)
        if reader.take(",") is None:
            break
    reader.need(")")
    if len(set(names)) < 2:
        raise reader.fault(f"{kind}({', '.join(names)}) needs at least two different runs")
    return tuple(names), doubt


def runs(text: str) -> list[str]:
    """The reward runs that a reward asks, in order, each once."""
    return list(dict.fromkeys(name for each in parse(text) if each.kind in ("run", *ENSEMBLES) for name in each.names))


def functions(text: str) -> list[str]:
    """The Python functions that a reward calls."""
    return [name for each in parse(text) if each.kind == "function" for name in each.names]


def rules(text: str) -> list[str]:
    """The packs whose rule a reward asks."""
    return [name for each in parse(text) if each.kind == "rule" for name in each.names]
