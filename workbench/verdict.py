"""What the figures of a reward model mean, in words: one headline, then what stands behind it."""

from __future__ import annotations

from typing import NamedTuple

from workbench.agreement import Ceiling, Share
from workbench.trust import Trust

SURE = 0.15  # calibration error above which claimed certainty is not to be taken at its word
FEW = 200  # pairs below which a calibration error is rough


class Verdict(NamedTuple):
    """worst is "good", "open" or "bad"."""

    worst: str
    headline: str
    said: list[str]


def verdict(found: Trust) -> Verdict:
    """The first thing that is wrong makes the headline; the rest is said below it."""
    is_coin = found.accuracy.rate is not None and (found.accuracy.low or 0.0) <= 0.5
    said = [ceiling_line(found.ceiling), *length_lines(found), *calibration_lines(found)]
    if found.fooled:
        said.append(f"Fooled by {', '.join(found.fooled)}: PPO will find that out.")
    if found.accuracy.rate is None:
        return Verdict("bad", "Nothing was held out, so nobody can say what it is worth.", [])
    if is_coin:
        return Verdict("bad", coin_line(found.accuracy), said)
    if found.length.has_learned_it:
        which = "the longer" if (found.length.link or 0) > 0 else "the shorter"
        return Verdict("bad", f"It has learned length: a ruler would do. {right_on(found.accuracy)}, and the rule \"{which} wins\" on "
                              f"{percent(ruler(found))}; its scores follow length ({found.length.link:+.2f} of 1).", said)
    is_beaten = (found.length.longer_wins.rate or 0) > found.accuracy.rate
    return Verdict("open" if found.fooled or found.ece > SURE or is_beaten else "good", f"{right_on(found.accuracy)}: {room(found)}.", said)


def percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.0f} %"


def span(low: float | None, high: float | None) -> str:
    """An interval of shares, in per cent."""
    return f"{100 * (low or 0):.0f} to {100 * (high or 0):.0f}"


def right_on(share: Share) -> str:
    """Accuracy with its interval, as every sentence says it."""
    return f"Right on {percent(share.rate)} of {share.n} held-out prompts ({span(share.low, share.high)})"


def coin_line(share: Share) -> str:
    seen = f"right on {percent(share.rate)} of {share.n} held-out prompts ({span(share.low, share.high)})"
    if (share.high or 0) < 0.5:
        return f"Worse than a coin: {seen}. Worthless as a reward; look whether the rankings are read the right way round."
    if (share.rate or 0) > 0.6:
        return f"Perhaps no better than a coin: {seen}, which chance alone can give. Worthless as a reward until more labels say otherwise."
    return f"No better than a coin: {seen}. Worthless as a reward; collect more labels, or check them."


def room(found: Trust) -> str:
    """The accuracy beside what the labels allow."""
    best = found.ceiling.rate
    if best is None:
        return "better than a coin"
    if (found.accuracy.low or 0) > best:
        return "more than the labels' own noise allows; look for the same replies on both sides"
    if (found.accuracy.rate or 0) >= best - 0.03:
        return "about as good as these labels allow"
    return "room to grow" if (found.accuracy.high or 0) < best else "better than a coin, perhaps as good as these labels allow"


def ceiling_line(ceiling: Ceiling) -> str:
    if ceiling.rate is None:
        return f"How good it could get is unknown: {ceiling.why}."
    return f"{ceiling.why[0].upper()}{ceiling.why[1:]}: labels that noisy can be matched on {percent(ceiling.rate)} at most, by anybody."


def ruler(found: Trust) -> float | None:
    """The accuracy of the rule that goes by length alone, the way round that the scores go."""
    rate = found.length.longer_wins.rate
    return rate if rate is None or (found.length.link or 0) >= 0 else 1 - rate


def length_lines(found: Trust) -> list[str]:
    rule, shorter = found.length.longer_wins, found.length.on_shorter
    if rule.rate is None:
        return []
    more = ", more often than the model" if rule.rate > (found.accuracy.rate or 0) else ""
    line = f"The rule \"the longer wins\" is right on {percent(rule.rate)}{more}"
    if shorter.rate is None:
        return [line + ". No held-out ranking prefers a shorter reply, so length and quality cannot be told apart here."]
    return [line + f"; where the shorter reply was preferred, the model is right on {percent(shorter.rate)} of {shorter.n} prompts."]


def calibration_lines(found: Trust) -> list[str]:
    pairs = sum(each.n for each in found.bins)
    if not pairs:
        return []
    rough = f" (rough: {pairs} pairs)" if pairs < FEW else ""
    claimed = sum(each.n * each.claimed for each in found.bins) / pairs
    true = sum(each.n * each.right for each in found.bins) / pairs
    if found.ece <= SURE:
        return [f"When it is sure it is right about as often as it claims: off by {percent(found.ece)} on average{rough}."]
    which = "It is surer than it is right" if claimed > true else "It is right more often than it dares to say"
    return [f"{which}: off by {percent(found.ece)} on average{rough}. Trust the order of its scores, not their size."]
