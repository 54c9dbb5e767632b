"""A held-out comparison in words and figures. Pure: a summary in, rows out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from workbench.recipes import Recipe
from workbench.records import Run


def read(run: Run, recipe: Recipe) -> dict[str, Any] | None:
    """What an evaluation found, for a page; None while there is nothing."""
    if not run.summary:
        return None
    simulated = getattr(recipe, "annotator", "") == "simulated"
    found = measured(run.summary)
    return {"id": run.id, "verdict": verdict(found), "heads": ["", named(found, "a"), named(found, "b")], "rows": rows(found),
            "judge": "Judged by a simulated annotator: the pack's scoring rule, which stands in for a person. Not a human judgement."
            if simulated else "Judged by people."}


def measured(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary without the figures that nobody could measure: empty, infinite or not a number."""
    return {key: value for key, value in summary.items() if value is not None and not (isinstance(value, float) and not math.isfinite(value))}


def named(found: Mapping[str, Any], side: str) -> str:
    return str(found.get(side, side.upper()))


def verdict(found: Mapping[str, Any]) -> str:
    """One sentence that says who won, and whether it could be chance."""
    a, b, rate = named(found, "a"), named(found, "b"), found.get("win_rate")
    if rate is None:
        return f"{a} beside {b} on prompts neither was trained on."
    low, high = found.get("low", 0.0), found.get("high", 1.0)
    of = f" of {found['n']} held-out prompts" if found.get("n") else " of the held-out prompts"
    start = f"{a} is preferred to {b} on {rate:.0%}{of} (95% interval {low:.0%} to {high:.0%})"
    if low > 0.5:
        return f"{start}: better, and unlikely by chance."
    if high < 0.5:
        return f"{start}: worse, and unlikely by chance. Lower the KL cost or look at the samples for what went wrong."
    return f"{start}: too close to call. More prompts or more training would tell."


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Label, figure of a, figure of b; only what was measured."""
    told, second = [], named(found, "b")

    def tell(label: str, form: str, a: str, b: str = "") -> None:
        if found.get(a) is not None or found.get(b) is not None:
            told.append([label, *(form.format(found[key]) if found.get(key) is not None else "" for key in (a, b))])

    if found.get("win_rate") is not None:
        told.append(["Preferred", f"{found['win_rate']:.0%}", f"{1 - found['win_rate']:.0%}"])
    tell("Scoring rule, mean", "{:.2f}", "gold_a", "gold_b")
    tell("Scoring rule, spread (sd)", "{:.2f}", "gold_sd_a", "gold_sd_b")
    tell(f"Scoring rule, gain in sd of {second}", "{:+.2f}", "gold_gain_sd")
    tell(f"Drift from {second} (KL, nats per reply)", "{:.2f}", "kl_seq")
    tell("Reply length (tokens)", "{:.1f}", "reply_tokens_a", "reply_tokens_b")
    tell("Perplexity on plain text (lower is better)", "{:.1f}", "perplexity_a", "perplexity_b")
    return told
