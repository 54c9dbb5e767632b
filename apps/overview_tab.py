"""Overview: where the lab stands, what to do next, the demo, and the outcome of the newest held-out comparison."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apps import live, pipeline
from apps.page import Page, panel, public
from workbench import packs, results
from workbench.lab import Lab
from workbench.records import LIVE
from workbench.rounds import Round, Rung

PYTHON = "from workbench import Lab\n\nlab = Lab({home!r})\nfor run in lab.demo():\n    lab.wait(run.id)"
LADDER = 12  # newest models and rounds that are shown
ENOUGH = 20  # rankings from which a reward model of the demo can learn something


def build(lab: Lab, page: Page) -> None:
    choices = [{"name": pack.name, "title": pack.title, "about": pack.about} for pack in map(packs.load, packs.names())]

    @public
    def look(question: dict[str, Any]) -> dict[str, Any]:
        runs = lab.list_runs()
        judged = next((run for run in reversed(runs) if run.stage == "evaluate" and run.state == "done"), None)
        stages = pipeline.stages(lab)
        return {"packs": choices, "stages": [asdict(stage) for stage in stages], "is_empty": not runs, "next": next_step(lab, stages),
                "python": PYTHON.format(home=str(lab.home)), "result": results.read(judged, lab.recipe(judged.id)) if judged else None,
                "ladder": [rung(each) for each in reversed(lab.ladder())][:LADDER], "rounds": [told_round(each) for each in reversed(lab.rounds())][:LADDER]}

    @public
    def demo(question: dict[str, Any]) -> dict[str, Any]:
        return {"runs": [run.id for run in lab.demo(judge=str(question["judge"]), pack=str(question["pack"])[:80])]}

    @public
    def go_on(question: dict[str, Any]) -> dict[str, Any]:
        return {"runs": [run.id for run in lab.demo_rest(str(question["sft"])[:80])]}

    panel("overview", look, demo, go_on)
    live.build(lab, picks=False, is_now=True)


def rung(each: Rung) -> list[str]:
    """A model of the ladder as cells: name, round, gold, win rate with its interval, KL, length, tax, staleness."""
    def number(value: float | None, form: str) -> str:
        return form.format(value) if value is not None else "–"

    rate = f"{each.win_rate:.0%} ({each.low:.0%} to {each.high:.0%}, {each.votes})" if each.votes else "–"
    return [each.adapter, str(each.round), number(each.gold, "{:.2f}"), rate, number(each.kl_seq, "{:.1f}"), number(each.reply_tokens, "{:.0f}"),
            number(each.tax, "{:+.1%}"), each.stale]


def told_round(each: Round) -> dict[str, Any]:
    ranked = ", ".join([*(f"{count} {source}" for source, count in each.rankings.items()), *(f"the corpus {name}" for name in each.imported)]) or "none yet"
    return {"number": each.number, "runs": each.runs, "rankings": ranked, "warnings": each.warnings}


def next_step(lab: Lab, stages: list[pipeline.Stage]) -> dict[str, str]:
    """The one thing to do now: a title, why, and a button that opens a tab or goes on with the demo."""
    runs, counts, at = lab.list_runs(), lab.ranking_counts(), {stage.id: stage for stage in stages}
    ranked, waiting = counts.get("judged", 0), counts.get("ready", 0)
    # Rankings wait for a person even while another run is at work.
    if waiting and ranked < ENOUGH:
        return tell("Rank some replies", f"{ranked} ranked, {waiting} wait. From about {ENOUGH} on a reward model can learn what you like.",
                    "Rank replies", "preferences")
    if busy := next((run for run in runs if run.state == "running"), None):
        tab = pipeline.TAB_OF.get(busy.stage, busy.stage)
        return tell(f"{busy.id} is running", "Watch it learn. You may close this page: runs go on without it.", "Watch", tab)
    if any(run.state in LIVE for run in runs):
        return tell("The queue is about to start", "The worker takes a moment to load the model.", "See the queue", "runs")
    if bad := next((stage for stage in stages if stage.state == "failed"), None):
        return tell(f"{bad.run} did not finish", "Its tab says why. Resume goes on from the last checkpoint.", "See what happened", bad.id)
    if ranked >= ENOUGH and at["reward"].state == "ready":
        return {**tell("Go on with the demo", f"{ranked} rankings are enough. Next: reward model, PPO, and a held-out comparison, in one go.",
                       "Go on with the demo", "reward"), "sft": lab.adapters("sft")[-1]}
    for tab, title, why in ORDER:
        if at[tab].state in ("ready", "stale"):
            return tell(title, why, "Open " + at[tab].title, tab)
    return tell("Talk to what you trained", "Ask both models the same and vote blind. Votes become rankings for the next round.", "Compare", "compare")


ORDER = (
    ("sft", "Train the SFT adapter", "It is what everything else builds on. The preset values suit the demo's corpus."),
    ("preferences", "Collect preferences", "Let the SFT model answer each prompt several times, then rank its replies."),
    ("reward", "Train the reward model", "It learns from the rankings."),
    ("ppo", "Practise with PPO", "The policy learns what the reward model likes, near the SFT model."),
)


def tell(title: str, why: str, button: str, tab: str) -> dict[str, str]:
    return {"title": title, "why": why, "button": button, "tab": tab, "sft": ""}
