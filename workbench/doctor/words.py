"""Findings in words: for the terminal, for a run's error, and as plain records for the browser and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from workbench import plots
from workbench.doctor.examine import RULES, Finding
from workbench.recipes import Recipe

WIDTH = 110  # of a line in a terminal
YOUNG = 10  # steps before which slow trends cannot show


class Figure(NamedTuple):
    """A number that raised a rule, as a person reads it."""

    name: str
    value: str  # with its unit
    about: str  # what it is and what is normal; empty for what has no chart


def headline(stage: str, findings: Sequence[Finding], steps: int) -> str:
    """One line over all findings."""
    if stage not in RULES:
        return "The doctor looks at SFT, reward and PPO runs only."
    if not steps:
        return "No step yet to look at."
    worst = [f for f in findings if f.severity != "info"]
    if not worst:
        return healthy(len(RULES[stage]), bool(findings), steps)
    more = f", and {len(worst) - 1} more" if len(worst) > 1 else ""
    return f"{worst[0].title}, since step {worst[0].since}{more}."


def healthy(checks: int, has_hints: bool, steps: int) -> str:
    span = f"{steps} step" + ("s" if steps != 1 else "")
    later = " What grows slowly takes ten steps to show." if steps < YOUNG else ""
    return f"Healthy: {checks} checks of {span} found nothing {'worse than a hint' if has_hints else 'wrong'}.{later}"


def as_record(finding: Finding, recipe: Recipe) -> dict[str, Any]:
    """A finding as plain data, its figures named and its remedy beside the present values."""
    return {**asdict(finding), "figures": dict(finding.figures), "named": [list(each) for each in named(finding.figures)],
            "symptoms": list(finding.symptoms), "changes": changes(finding, recipe)}


def named(figures: Mapping[str, float]) -> list[Figure]:
    """A figure is called by its metric, perhaps with words behind: "loss at the start"."""
    found = []
    for key, value in figures.items():
        head, _, rest = key.partition(" ")
        metric = plots.METRICS.get(head.rstrip(":"))
        if metric is None:
            found.append(Figure(key.replace("_", " "), short(value), ""))
        else:
            is_count = head.endswith(":")
            found.append(Figure(f"{lowered(metric.title)}{':' if is_count else ''} {rest}".strip(), short(value) if is_count else measured(value, metric),
                                f"{metric.help} Normal: {lowered(metric.healthy)}"))
    return found


def lowered(title: str) -> str:
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def measured(value: float, metric: plots.Metric) -> str:
    """With its unit; shares as percentages."""
    if metric.help.startswith("Share "):
        return f"{100 * value:.3g} %"
    return f"{short(value)} {metric.unit}".strip()


def changes(finding: Finding, recipe: Recipe) -> list[str]:
    return [f"{knob} {short(getattr(recipe, knob))} -> {short(value)}" for knob, value in finding.remedy.items()]


def short(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:g}"


def seen(finding: Finding) -> str:
    return ", ".join(f"{each.name} {each.value}" for each in named(finding.figures))


def as_lines(finding: Finding, recipe: Recipe) -> list[str]:
    """A finding for a terminal."""
    told = {"seen": seen(finding), "means": finding.meaning, "remedy": finding.advice, "knobs": ", ".join(changes(finding, recipe)),
            "explains": "; ".join(finding.symptoms)}
    first = f"{finding.severity.upper()}  {finding.title} ({finding.rule}, since step {finding.since}{', heuristic' if finding.is_heuristic else ''})"
    rest = [textwrap.wrap(f"{name + ':':<10}{text}", WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 16) for name, text in told.items() if text]
    return [first, *(line for lines in rest for line in lines)]


def reason(finding: Finding, recipe: Recipe) -> str:
    """A finding as the error of a run that it ended: what, the figures, the remedy."""
    knobs = f" Knobs: {', '.join(told)}." if (told := changes(finding, recipe)) else ""
    return f"{finding.title} at step {finding.since} ({finding.rule}: {seen(finding)}). {finding.meaning} {finding.advice}{knobs}"
