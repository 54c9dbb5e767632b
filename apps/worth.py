"""What the Reward tab asks about a reward model: what it is worth in words, and the figures behind the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.live import choose
from workbench import trust
from workbench.errors import LabError
from workbench.lab import Lab
from workbench.probes import PROBES
from workbench.probes import verdict as probe_verdict
from workbench.records import HeldOut, Run
from workbench.trust import Trust
from workbench.verdict import percent, ruler, verdict

BARS = 24  # of the histogram
DOTS = 600  # of the scatter
WORDS = {"good": "holds", "open": "unsure", "bad": "fooled"}
TEACH = ("A reward model is worth what it gets right on rankings it never saw. When the first one is trained, this says in words how far "
         "to trust it, beside what your labels allow.")


@dataclass(frozen=True)
class Worth:
    """The server side of the panels about a reward model. Each method takes one dict and gives one back."""

    lab: Lab

    def worth_said(self, question: dict[str, Any]) -> dict[str, Any]:
        """The verdict, and how each try to fool the model went; short, so that it can be asked often."""
        run = self._run(question)
        if run is None or not self.lab.held_out_rows(run.id):
            return {"run": run.id if run else "", "worst": "", "headline": waiting(run), "said": [], "probes": [], "note": ""}
        found = self.lab.trust(run.id)
        told = verdict(found)
        return {"run": run.id, "worst": told.worst, "headline": told.headline, "said": told.said, "over": run.is_over,
                "probes": [length_row(found), *probe_rows(run)], "note": note(run)}

    def worth_figures(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the charts and tables draw."""
        run = self._run(question)
        rows = self.lab.held_out_rows(run.id) if run else []
        if run is None or not rows:
            return {"run": ""}
        found, scale = self.lab.trust(run.id), (run.summary.get("raw_mean") or 0.0, run.summary.get("raw_sd") or 1.0)
        return {"run": run.id, "over": run.is_over, "margins": histogram([gap for row in rows for gap in row.margins()]), "bins": [list(each) for each in found.bins],
                "ece": found.ece, "dots": dots(rows, *scale), "link": found.length.link, "curve": self.lab.curve_points(run.id),
                "rankings": run.summary.get("rankings", 0), "annotators": [annotator(each) for each in self.lab.reliability(run.id)],
                "worst": [disagreement(self.lab, each) for each in trust.disagreements(rows)]}

    def worth_again(self, question: dict[str, Any]) -> dict[str, Any]:
        """Sends a comparison back to the ranking desk: what this annotator made of it is taken back; what others did stays."""
        number = int(question["comparison"])
        found = self.lab.store.comparison(number)
        if found.kind != "ranking":
            raise LabError(f"comparison {number} ({found.kind}) is not of the ranking desk; judge it where it was asked")
        if found.state != "ready":
            self.lab.undo_judgement(number, str(question.get("annotator") or ""))
        return {"comparison": number}

    def _run(self, question: dict[str, Any]) -> Run | None:
        return choose(self.lab.list_runs(), "reward", str(question.get("run", ""))[:80])


def waiting(run: Run | None) -> str:
    if run is None:
        return TEACH
    if run.is_over:
        return f"{run.id} ended before anybody looked at its held-out rankings; run it again to learn what it is worth."
    return f"{run.id} is learning; its first look at the held-out rankings will be here in a moment."


def note(run: Run) -> str:
    count = run.summary.get("held_out", 0)
    few = " With few prompts they are rough." if count < 50 else ""
    return f"Shares of {count} held-out prompts on which the good reply scored above the changed one.{few}"


def probe_rows(run: Run) -> list[dict[str, Any]]:
    """How the model did on each probe, in shares of its held-out prompts."""
    return [{"title": each.title, "about": each.about, "share": share, "figure": percent(share), "verdict": (found := probe_verdict(share)), "word": WORDS[found]}
            for name, each in PROBES.items() if (share := run.summary.get(f"beats_{name}")) is not None]


def length_row(found: Trust) -> dict[str, Any]:
    """Whether it measures length rather than worth: the one probe that changes no reply."""
    length = found.length
    link, is_linked = length.link or 0.0, abs(length.link or 0.0) > 0.5
    state = "bad" if length.has_learned_it else "open" if is_linked else "good"
    about = f"scores follow length; \"the {'longer' if link >= 0 else 'shorter'} wins\" is right on {percent(ruler(found))}"
    return {"title": "Length", "about": about, "share": abs(link), "figure": f"{link:+.2f}", "verdict": state,
            "word": {"good": "holds", "open": "unsure", "bad": "has learned length"}[state]}


def histogram(values: Sequence[float], bars: int = BARS) -> dict[str, Any]:
    """Middles and counts of equal bars around 0; what lies far out is counted in the outermost."""
    if not values:
        return {"at": [], "count": [], "width": 1.0}
    reach = max(sorted(map(abs, values))[int(0.98 * (len(values) - 1))], 1e-3)
    width, counts = 2 * reach / bars, [0] * bars
    for value in values:
        counts[min(bars - 1, max(0, int((value + reach) / width)))] += 1
    return {"at": [round((place + 0.5) * width - reach, 6) for place in range(bars)], "count": counts, "width": width}


def dots(rows: Sequence[HeldOut], mean: float, spread: float) -> dict[str, list[Any]]:
    """Length and calibrated score of held-out replies, evenly thinned; `best` where nobody ranked another above."""
    found = [(n, round((score - mean) / spread, 4), rank == 0) for row in rows for n, score, rank in zip(row.lengths, row.scores, row.ranks, strict=True)
             if score == score]
    found = found[:: -(-len(found) // DOTS)] if found else []
    return {name: [each[at] for each in found] for at, name in enumerate(("tokens", "score", "best"))}


def annotator(found: Any) -> dict[str, Any]:
    """A line of the table: what is known in words, what is not as a dash."""
    side = "–"
    if found.side is not None:
        sure = abs(found.side) > 1.96 * found.error
        side = f"prefers the {'first' if found.side > 0 else 'last'} shown" if sure else "none seen"
    return {"name": found.name or "nobody named", "prompts": found.accuracy.n, "agrees": percent(found.accuracy.rate),
            "low": found.accuracy.low, "high": found.accuracy.high, "reliability": found.reliability, "side": side}


def disagreement(lab: Lab, found: trust.Disagreement) -> dict[str, Any]:
    row = found.row
    again = lab.store.comparisons("id=? and kind='ranking' and state='judged'", row.comparison) if row.comparison else []
    return {"prompt": row.prompt[-1]["content"], "better": row.replies[found.better], "worse": row.replies[found.worse], "claimed": percent(found.claimed),
            "annotator": row.annotator, "comparison": row.comparison if again else 0}
