"""Findings in words: for the terminal, for a run's error, and as plain records for the browser and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from workbench import plots
from workbench.doctor.examine import RULES, Finding
from workbench.recipes import Recipe


def headline(stage: str, findings: Sequence[Finding], steps: int) -> str:
    """One line over all findings."""
    if stage not in RULES:
        return "The doctor looks at SFT, reward and PPO runs only."
    if not steps:
        return "No step yet to look at."
    span = f"{steps} step" + ("s" if steps != 1 else "")
    worst = [f for f in findings if f.severity != "info"]
    if not worst:
        return f"Nothing wrong seen in {span}."
    more = f", and {len(worst) - 1} more" if len(worst) > 1 else ""
    return f"{worst[0].title}, since step {worst[0].since}{more}."


def as_record(finding: Finding, recipe: Recipe) -> dict[str, Any]:
    """A finding as plain data, its figures named and its remedy beside the present values."""
    return {**asdict(finding), "figures": dict(finding.figures), "named": named(finding.figures), "symptoms": list(finding.symptoms),
            "changes": changes(finding, recipe)}


def named(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(label(key), short(value)) for key, value in figures.items()]


def label(key: str) -> str:
    metric = plots.METRICS.get(key)
    return metric.title.lower() if metric else key.replace("_", " ")


def changes(finding: Finding, recipe: Recipe) -> list[str]:
    return [f"{knob} {short(getattr(recipe, knob))} -> {short(value)}" for knob, value in finding.remedy.items()]


def short(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:g}"


def as_lines(finding: Finding, recipe: Recipe) -> list[str]:
    """A finding for a terminal."""
    figures = ", ".join(f"{name} {value}" for name, value in named(finding.figures))
    lines = [f"{finding.severity.upper()}  {finding.title} ({finding.rule}, since step {finding.since}{', heuristic' if finding.is_heuristic else ''})",
             f"      seen:   {figures}", f"      means:  {finding.meaning}", f"      remedy: {finding.advice}"]
    if told := changes(finding, recipe):
        lines.append(f"      knobs:  {', '.join(told)}")
    if finding.symptoms:
        lines.append(f"      explains: {'; '.join(finding.symptoms)}")
    return lines


def reason(finding: Finding, recipe: Recipe) -> str:
    """A finding as the error of a run that it ended: what, the figures, the remedy."""
    figures = ", ".join(f"{name} {value}" for name, value in named(finding.figures))
    knobs = f" Knobs: {', '.join(told)}." if (told := changes(finding, recipe)) else ""
    return f"{finding.title} at step {finding.since} ({finding.rule}: {figures}). {finding.meaning} {finding.advice}{knobs}"
