"""Asks every rule of a stage, and puts causes before their symptoms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.doctor import ppo_course, ppo_start, reward, sft
from workbench.doctor.rule import SEVERITIES, Case, Rule, Severity
from workbench.doctor.trace import WINDOW, Row, Trace
from workbench.recipes import Recipe

# In each stage's list causes stand before what they cause, so that the order of the list breaks ties.
RULES: dict[str, tuple[Rule, ...]] = {"sft": sft.RULES, "reward": reward.RULES, "ppo": ppo_start.RULES + ppo_course.RULES}


@dataclass(frozen=True)
class Finding:
    """Something wrong with a run, with the figures that say so."""

    rule: str
    severity: Severity
    title: str
    since: int  # step
    figures: Mapping[str, float]
    meaning: str
    advice: str
    remedy: Mapping[str, Any]  # knob -> value for the next run's recipe
    is_heuristic: bool
    goes_back: bool = False
    symptoms: tuple[str, ...] = ()  # titles of findings that this one explains


def examine(stage: str, recipe: Recipe, rows: Iterable[Row], reward: Mapping[str, Any] | None = None,
            held: Mapping[str, int] | None = None) -> list[Finding]:
    """What is wrong with a run, worst and likeliest cause first; an empty list when nothing is.

    `rows` are (step, metric, value) as the store gives them, None for a value that was not finite. `reward` is the
    summary of the reward run that a PPO run leans on, `held` the step from which a knob has had its present value where
    that is not the first: the worst step of a run is looked for among those.
    """
    case = Case(recipe, Trace(rows), reward or {}, held or {})
    found = [(rule, finding) for rule in RULES.get(stage, ()) if (finding := ask(rule, case))]
    return sorted(folded(found), key=lambda finding: SEVERITIES.index(finding.severity))


def ask(rule: Rule, case: Case) -> Finding | None:
    sign = rule.sees(case)
    if sign is None:
        return None
    return Finding(rule.id, sign.severity or rule.severity, rule.title, sign.since, dict(sign.figures), rule.meaning, rule.advice,
                   rule.remedy(case.recipe, sign.knobs), rule.is_heuristic, rule.goes_back)


def folded(found: list[tuple[Rule, Finding]]) -> list[Finding]:
    """Findings whose cause is found as well, and began no later, are told as its symptoms; a mere hint explains nothing worse."""
    symptoms: dict[str, list[Finding]] = {}
    hidden: set[str] = set()
    for rule, cause in found:
        for _, other in found:
            is_led_to = other.rule in rule.explains and cause.since <= other.since + WINDOW and (cause.severity != "info" or other.severity == "info")
            if is_led_to and not hidden & {other.rule, cause.rule}:
                hidden.add(other.rule)
                symptoms.setdefault(cause.rule, []).append(other)
    return [with_symptoms(finding, symptoms.get(finding.rule, [])) for _, finding in found if finding.rule not in hidden]


def with_symptoms(cause: Finding, symptoms: Sequence[Finding]) -> Finding:
    """As grave as the gravest of what it led to."""
    worst = min((each.severity for each in (cause, *symptoms)), key=SEVERITIES.index)
    return replace(cause, severity=worst, symptoms=tuple(each.title for each in symptoms))


def halting(stage: str, recipe: Recipe, rows: Iterable[Row], reward: Mapping[str, Any] | None = None,
            held: Mapping[str, int] | None = None) -> Finding | None:
    """The finding that makes going on pointless, if there is one."""
    return next((finding for finding in examine(stage, recipe, rows, reward, held) if finding.severity == "stop"), None)
