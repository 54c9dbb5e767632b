"""A run or a round as one HTML page that needs nothing else: recipe, lineage, findings, charts, samples, environment.

Pure: snapshots and data frames in, text out. Whatever a person or a model wrote is escaped.
"""

from __future__ import annotations

import html
import importlib.metadata
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any

from workbench import doctor, overdone, plots, plots_drift, progress, results
from workbench.overdone import Overdone
from workbench.recipes import Recipe
from workbench.records import Change, Run
from workbench.rounds import Rung

PACKAGES = ("rlhf-workbench", "torch", "transformers", "peft", "bitsandbytes", "gradio")
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #6b7685; --line: #d9dee6; --ground: #ffffff; --card: #f6f8fa; --bad: #c0392b; --warn: #c05621; --good: #2f9e63 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #98a2b0; --line: #333c48; --ground: #12161c; --card: #1a2029 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 1080px; margin: 32px auto; padding: 0 24px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 20px; margin: 40px 0 4px; border-top: 1px solid var(--line); padding-top: 28px } h3 { font-size: 15px; margin: 24px 0 6px }
.soft { color: var(--soft) } .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; margin: 10px 0 }
.stop { border-left: 4px solid var(--bad) } .warn { border-left: 4px solid var(--warn) } .info { border-left: 4px solid var(--soft) } .well { border-left: 4px solid var(--good) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } td, th { text-align: left; padding: 3px 18px 3px 0; vertical-align: top; border-bottom: 1px solid var(--line) }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px } .reply { white-space: pre-wrap } code { font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap }
"""


@dataclass(frozen=True)
class Part:
    """Everything a page tells of one run."""

    run: Run
    recipe: Recipe  # as it began
    now: Recipe  # with what was changed on the way
    needs: Sequence[str]
    metrics: Any  # a data frame indexed by step, a column per metric
    samples: Sequence[Mapping[str, Any]]
    findings: Sequence[doctor.Finding] = ()
    grounds: Sequence[str] = ()
    changes: Sequence[Change] = ()
    marks: Mapping[int, str] = field(default_factory=dict)
    rung: Rung | None = None  # the model's place on the ladder, where the run left one
    overdone: Overdone | None = None  # of a PPO run


def page(title: str, parts: Sequence[Part], home: str) -> str:
    """The whole page, Plotly's code in it; `home` names the lab."""
    from plotly.offline import get_plotlyjs

    made = time.strftime("%d %B %Y, %H:%M")
    lineage = table(["run", "stage", "state", "steps", "time", "came from"], [facts(part) for part in parts]) if len(parts) > 1 else ""
    return "\n".join([
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{text(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{text(title)}</h1><p class=soft>RLHF Workbench, lab {text(home)}, written {made}</p>", lineage,
        *(section(part) for part in parts), environment(), "</body></html>"])


def section(part: Part) -> str:
    run, recipe = part.run, part.recipe
    return "\n".join(each for each in [
        f"<h2>{text(run.id)} <span class=soft>{text(recipe.title)}</span></h2>",
        f"<p class=soft>{text(recipe.__doc__ or '')}</p><p>{text(state(part))}</p>", health(part), outcome(part), charts(part), gold(part), samples(part),
        "<h3>Knobs that differ from the defaults</h3>", knobs(recipe), history(part),
        f"<h3>The same in Python</h3><div class=card><code>{text(recipe.as_python())}</code></div>"] if each)


def state(part: Part) -> str:
    run, took = part.run, duration(part.run)
    words = [f"{run.state} at step {run.step} of {run.total}" if run.total else run.state, f"round {run.round}"]
    words += [f"{took} long"] if took else []
    words += [f"from {', '.join(part.needs)}"] if part.needs else []
    words += [f"forked from {run.parent} at step {run.parent_step}"] if run.parent else []
    return "; ".join(words) + "." + (f" {run.error}" if run.error else "")


def facts(part: Part) -> list[str]:
    run = part.run
    parent = [f"{run.parent} at step {run.parent_step}"] if run.parent else []
    return [run.id, part.recipe.title, run.state, str(run.step), duration(run), ", ".join([*part.needs, *parent])]


def duration(run: Run) -> str:
    """How long a run took, empty while it goes on."""
    return progress.clock(run.ended - run.started) if run.started and run.ended else ""


def health(part: Part) -> str:
    """The doctor's headline and findings; nothing for a stage without rules."""
    if part.run.stage not in doctor.RULES:
        return ""
    worst = part.findings[0].severity if part.findings else "well"
    cards = [f'<div class="card {worst}"><b>{text(doctor.headline(part.run.stage, part.findings, part.run.step))}</b></div>']
    cards += [f'<div class="card {each.severity}"><code>{text(chr(10).join(doctor.as_lines(each, part.now)))}</code></div>' for each in part.findings]
    grounds = "".join(f"<li>{text(each)}</li>" for each in part.grounds)
    return "<h3>Health</h3>" + "".join(cards) + (f"<ul class=soft>{grounds}</ul>" if grounds else "")


def outcome(part: Part) -> str:
    """A comparison's table, or the figures that a run ended with."""
    if part.run.stage == "evaluate":
        found = results.read(part.run, part.recipe)
        return f"<h3>{text(found['verdict'])}</h3>{table(found['heads'], found['rows'])}<p class=soft>{text(found['judge'])}</p>" if found else ""
    told = [[plots.METRICS[key].title, f"{value:.3g} {plots.METRICS[key].unit}".strip(), plots.METRICS[key].help]
            for key, value in part.run.summary.items() if key in plots.METRICS and isinstance(value, int | float)] + drift(part)
    return f"<h3>What it ended with</h3>{table(['', '', ''], told)}" if told else ""


def drift(part: Part) -> list[list[str]]:
    """How far a policy went from its SFT model, on prompts it never practised on, and what that cost elsewhere; once both were compared."""
    if part.rung is None:
        return []
    told = [("Drift from the SFT model", part.rung.kl_seq, "{:.3g} nats per reply", "KL on held-out prompts; at 0 it speaks as the SFT model does."),
            ("Alignment tax", part.rung.tax, "{:+.1%}", "Change of the perplexity of plain text outside the domain; above +10 % it forgets.")]
    return [[title, form.format(value), about] for title, value, form, about in told if value is not None]


def charts(part: Part) -> str:
    shown = [chart for chart in plots.CHARTS.get(part.run.stage, []) if any(key in part.metrics for key in chart.keys)]
    if not shown:
        return ""
    figure = plots.figure(part.run.stage, part.metrics, marks=part.marks)
    return "<h3>Charts</h3>" + drawn(figure) + table(["chart", "what to look for"], [[chart.title, chart.about] for chart in shown])


def gold(part: Part) -> str:
    """Whether a policy learned its reward model's mistakes: in words, and proxy and gold over drift; nothing where nobody looked."""
    found = part.overdone
    if found is None or not found.looks:
        return ""
    figure = drawn(plots_drift.gold(found, part.run.id)) if found.judged else ""
    return f"<h3>Proxy and gold</h3><p>{text(overdone.told(found))}</p>{figure}"


def drawn(figure: Any) -> str:
    return figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})


def samples(part: Part) -> str:
    """The replies to the fixed prompts, at the first look and at the last."""
    steps = sorted({row["step"] for row in part.samples})
    if not steps:
        return ""
    said = {(row["step"], row["place"]): row for row in part.samples}
    first, last = steps[0], steps[-1]
    cards = []
    for place in sorted(place for step, place in said if step == last):
        sides = [(step, said[step, place]) for step in dict.fromkeys((first, last)) if (step, place) in said]
        cards.append(f'<div class=card><b>{text(sides[-1][1]["prompt"][-1]["content"])}</b><div class=pair>' + "".join(
            f'<div><div class=soft>step {step} {text(numbers(row["record"]))}</div><div class=reply>{text(row["reply"])}</div></div>'
            for step, row in sides) + "</div></div>")
    return "<h3>Samples</h3>" + "".join(cards)


def numbers(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value:.3g}" for key, value in record.items() if isinstance(value, int | float))


def knobs(recipe: Recipe) -> str:
    changed = [[k.name, str(getattr(recipe, k.name)), "" if k.default is MISSING else str(k.default), k.metadata["help"]] for k in recipe.changed()]
    return table(["knob", "value", "default", "meaning"], changed) if changed else "<p class=soft>None.</p>"


def history(part: Part) -> str:
    """Knobs that were changed on the way."""
    told = [[str(each.step) if each.step is not None else "waiting", each.knob, str(each.old), str(each.new), each.origin] for each in part.changes]
    return f"<h3>Changed on the way</h3>{table(['from step', 'knob', 'old', 'new', 'how'], told)}" if told else ""


def environment() -> str:
    found = {name: version for name in PACKAGES if (version := installed(name))}
    rows = [["Python", platform.python_version()], ["system", f"{platform.system()} {platform.machine()}"], *map(list, found.items())]
    return f"<h2>Environment</h2>{table(['', ''], rows)}"


def installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = f"<tr>{''.join(f'<th>{text(cell)}</th>' for cell in head)}</tr>" if any(head) else ""
    return f"<table>{top}{''.join('<tr>' + ''.join(f'<td>{text(cell)}</td>' for cell in row) + '</tr>' for row in rows)}</table>"


def text(words: str) -> str:
    return html.escape(str(words))
