"""Where the lab stands, stage by stage, in words: what the sidebar and the overview show. No Gradio."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from workbench import plots, rounds
from workbench.lab import Lab
from workbench.records import LIVE, Run

ABOUT = {
    "data": "Demonstrations to imitate and prompts to practise on: from a domain pack, or your own file.",
    "sft": "Supervised fine-tuning: a small adapter learns to answer like the demonstrations.",
    "preferences": "The model answers each prompt several times; you say which reply is better.",
    "reward": "A reward model learns from your rankings to score any reply the way you would.",
    "ppo": "The policy practises: it answers, is scored, and learns, while a KL cost keeps it near SFT.",
    "compare": "The new policy beside the old one, on prompts neither has seen.",
}
TITLES = {"data": "Data", "sft": "SFT", "preferences": "Preferences", "reward": "Reward", "ppo": "PPO", "compare": "Compare"}
TAB_OF = {"replies": "preferences", "judge": "preferences", "revise": "preferences", "evaluate": "runs"}  # where a stage's name is not its tab's
STAGE_OF = {"sft": "sft", "preferences": "replies", "reward": "reward", "ppo": "ppo", "compare": "evaluate"}


@dataclass(frozen=True)
class Stage:
    """One stage's state: empty, ready, queued, running, paused, done, stale, failed."""

    id: str
    title: str
    state: str
    text: str  # a few words for the sidebar
    headline: str = ""  # its most telling number
    run: str = ""
    about: str = ""


def stages(lab: Lab) -> list[Stage]:
    runs = lab.list_runs()
    newest = {tab: newest_of(runs, stage) for tab, stage in STAGE_OF.items()}
    return [data(lab), *(one(lab, tab, newest, runs) for tab in STAGE_OF)]


def current(runs: list[Run]) -> Run | None:
    """The run that runs, else the next in the queue, else the one that was last at work."""
    for state in ("running", "queued"):
        if found := [r for r in runs if r.state == state]:
            return found[0]
    return max(runs, key=lambda r: r.ended or r.created, default=None)


def newest_of(runs: list[Run], stage: str) -> Run | None:
    """The run that speaks for a stage: the one that runs, else the newest."""
    of_stage = [run for run in runs if run.stage == stage]
    return next((run for run in of_stage if run.state == "running"), of_stage[-1] if of_stage else None)


def data(lab: Lab) -> Stage:
    names = {name for shape in ("demonstrations", "prompts", "preferences") for name in lab.corpora(shape)} - {"rankings"}
    return Stage("data", "Data", "ready" if names else "empty", f"{len(names)} {'corpus' if len(names) == 1 else 'corpora'}", about=ABOUT["data"])


def one(lab: Lab, tab: str, newest: dict[str, Run | None], runs: list[Run]) -> Stage:
    """The state of a stage that runs make; preferences count people's rankings as well."""
    run = newest[tab]
    state, text = progress(run) if run else (("ready", "ready") if is_ready(lab, tab) else ("empty", "not yet"))
    why = rounds.stale(lab.store, run, runs) if run and state == "done" else ""
    if why:
        state, text = "stale", "out of date"
    if tab == "preferences" and (counts := lab.ranking_counts()):
        ranked, waiting = counts.get("judged", 0), counts.get("ready", 0)
        if state not in ("running", "queued"):
            state, text = ("ready" if waiting else "done"), f"{ranked} ranked"
        return Stage(tab, TITLES[tab], state, text, f"{waiting} wait for you" if waiting else "", run.id if run else "", ABOUT[tab])
    about = f"{why[0].upper()}{why[1:]}. Run it again to use that." if why else ABOUT[tab]
    return Stage(tab, TITLES[tab], state, text, headline(lab, run) if run else "", run.id if run else "", about)


def progress(run: Run) -> tuple[str, str]:
    if run.state in LIVE:
        state = "queued" if run.state == "queued" else "running"
        return state, f"{run.step}/{run.total}" if state == "running" and run.total else state
    return ("failed", run.state) if run.state in ("failed", "lost") else (run.state if run.state == "paused" else "done", run.state)


def is_ready(lab: Lab, tab: str) -> bool:
    """Whether a stage that never ran has what it needs."""
    match tab:
        case "reward":
            return bool(lab.adapters("sft")) and lab.ranking_counts().get("judged", 0) > 0
        case "ppo":
            return bool(lab.adapters("reward"))
        case "compare" | "preferences":
            return bool(lab.adapters())
    return True


def headline(lab: Lab, run: Run) -> str:
    """A run's most telling number, in words, and how much the doctor warns of; empty before there is one."""
    return "  ·  ".join(filter(None, [telling(lab, run), warned(lab, run.id, run.step, run.state)]))


@functools.lru_cache(maxsize=512)
def warned(lab: Lab, name: str, step: int, state: str) -> str:
    """How many warnings the doctor has for a run as it stands at that step."""
    count = sum(finding.severity != "info" for finding in lab.doctor(name))
    return f"{count} warning{'s' if count > 1 else ''}" if count else ""


def telling(lab: Lab, run: Run) -> str:
    """The number alone."""
    if run.stage == "evaluate":
        rate = run.summary.get("win_rate")
        return f"preferred {rate:.0%}" if isinstance(rate, int | float) and math.isfinite(rate) else ""
    found = {key: value for _, key, value in lab.store.metrics(run.id, max(-1, run.step - 50)) if value is not None}
    for key in plots.HEADLINE.get(run.stage, ()):
        if key in found:
            return f"{plots.METRICS[key].title.lower()} " + (f"{found[key]:.0%}" if "accuracy" in key else figure(found[key]))
    return ""


def figure(value: float) -> str:
    """A number as short as it can be read: 2.47, 30.9, 1,204."""
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"
