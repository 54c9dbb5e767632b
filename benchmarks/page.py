"""The results as a page: numbers in, Markdown out; measures nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import floor
from benchmarks.arena import Lap

PARTS = ("generate", "score", "update", "total")
TITLES = {
    "ppo": "One PPO iteration, replies of fixed length", "stops": "One PPO iteration, replies end where they end",
    "sft": "One SFT step", "reward": "One reward-model step", "growth": "Growth of an iteration", "floor": "Floor",
}


def page(results: Mapping[str, Any]) -> str:
    """The whole page. Every section names the command that made its figures, its date and the commit."""
    machine = results["machine"]
    about = (f"{machine['cores']} cores, {machine['memory_gb']:.0f} GB, {machine['system']}. Medians; a ratio is taken round by round, its least and "
             "greatest value in brackets. Every lap is in the JSON file beside this page.")
    lines = [f"# Benchmark: {machine['name']}", "", about]
    for part, title in TITLES.items():
        if part in results["parts"]:
            found = results["parts"][part]
            lines += ["", f"## {title}", "", f"`{found['command']}` ({found['date']}, commit {found['commit']})", ""]
            lines += SECTIONS[part](found, results["parts"])
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def laps_of(found: Mapping[str, Any]) -> dict[str, list[Lap]]:
    return {name: [Lap(*lap) for lap in laps] for name, laps in found["laps"].items()}


def middle(laps: Sequence[Lap], field: str) -> float:
    return median(getattr(lap, field) for lap in laps)


def peak_gb(laps: Sequence[Lap]) -> float:
    return max(lap.peak_mb for lap in laps) / 1024


def ratio(ours: Sequence[Lap], theirs: Sequence[Lap], field: str) -> str:
    """Theirs over ours, round by round: the median and its spread."""
    found = [getattr(b, field) / getattr(a, field) for a, b in zip(ours, theirs, strict=True)]
    return f"**{median(found):.2f}** ({min(found):.2f} - {max(found):.2f})"


def versions(found: Mapping[str, Any]) -> str:
    said = (f"{name}: " + ", ".join(f"{package} {version}" for package, version in about["versions"].items()) + f", {about['threads']} threads"
            for name, about in found["about"].items())
    return "; ".join(said) + "."


def geometry(found: Mapping[str, Any]) -> str:
    task = found["task"]
    epochs = "1 epoch" if task["epochs"] == 1 else f"{task['epochs']} epochs"
    return (f"{task['batch']} prompts of {task['prompt_tokens']:.0f} tokens on average x {task['reply_tokens']} new tokens, {epochs}, one minibatch, "
            f"LoRA r={task['rank']} on all linear layers, {task['precision']}, temperature {task['temperature']}.")


def ppo_section(found: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    """Seconds of everyone, then how many times as long the first (the peer) takes as each of the others."""
    laps = laps_of(found)
    rows = [[name, *(f"{middle(each, part):.2f}" for part in PARTS), f"{median(lap.tokens for lap in each):.0f}", f"{peak_gb(each):.1f}"]
            for name, each in laps.items()]
    (peer, theirs), *rest = laps.items()
    rows += [[f"{peer} / {name}", *(ratio(ours, theirs, part) for part in PARTS), "", f"{peak_gb(theirs) / peak_gb(ours):.2f}"] for name, ours in rest]
    return [geometry(found), "", *table(["", "generate s", "score s", "update s", "total s", "reply tokens", "peak GB"], rows), "", versions(found)]


def step_section(found: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    laps = laps_of(found)
    rows = [[name, f"{middle(each, 'total'):.2f}", f"{median(lap.tokens / lap.total for lap in each):.0f}", f"{peak_gb(each):.1f}"]
            for name, each in laps.items()]
    (peer, theirs), *rest = laps.items()
    rows += [[f"{peer} / {name}", ratio(ours, theirs, "total"), "", f"{peak_gb(theirs) / peak_gb(ours):.2f}"] for name, ours in rest]
    return [f"{found['rows']}; LoRA r={found['task']['rank']} on all linear layers, {found['task']['precision']}, no packing, no recomputation.", "",
            *table(["", "seconds a step", "tokens/s", "peak GB"], rows), "", versions(found)]


def growth_section(found: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    """An exponent of 1 means that twice the work takes twice the time."""
    lines = [f"Preset {found['preset']!r}, {found['task']['epochs']} epoch; the exponent is log2 of a total over the one above: 1 is in proportion."]
    for axis, rows in found["axes"].items():
        cells, before = [], None
        for size, row in rows.items():
            laps = [Lap(*lap) for lap in row]
            total = middle(laps, "total")
            exponent = f"{math.log2(total / before):.2f}" if before else ""
            cells.append([size, *(f"{middle(laps, part):.2f}" for part in PARTS), exponent, f"{peak_gb(laps):.1f}"])
            before = total
        lines += ["", *table([axis, "generate s", "score s", "update s", "total s", "exponent", "peak GB"], cells)]
    return lines


def floor_section(found: Mapping[str, Any], every: Mapping[str, Any]) -> list[str]:
    """What the fixed-length iteration needs at least, and how many times that everyone took."""
    model, rates, task = floor.Sizes(**found["sizes"]), floor.Rates(**found["rates"]), found["task"]
    laps = laps_of(every["ppo"]) if "ppo" in every and every["ppo"]["task"] == task else {}
    measured = (f"Measured: {rates.operations / 1e12:.2f} T bf16 operations/s over a layer's products with {found['rows']} rows, "
                f"{rates.bytes / 1e9:.1f} GB/s copying. A part's floor is its operations or its bytes at those rates, whichever takes longer. ")
    lines = [measured + geometry(found)]
    for trunks, words in ((2, "value on an adapter of its own: two trunks"), (1, "value on the policy's trunk")):
        parts = floor.parts(model, task, task["prompt_tokens"], trunks)
        least = {name: floor.seconds(work, rates) for name, work in parts.items()}
        works = {**parts, "total": floor.Work(*(sum(column) for column in zip(*parts.values(), strict=True)))}
        least["total"] = sum(least.values())
        rows = [[name, f"{work.operations / 1e12:.2f}", f"{work.bytes / 1e9:.1f}", f"{least[name]:.2f}",
                 *(f"{middle(each, name) / least[name]:.1f}" for each in laps.values())] for name, work in works.items()]
        lines += ["", *table([words, "T operations", "GB", "floor s", *(f"{name} / floor" for name in laps)], rows)]
    return lines if laps else [*lines, "", "No iteration of this geometry has been measured yet."]


SECTIONS = {"ppo": ppo_section, "stops": ppo_section, "sft": step_section, "reward": step_section, "growth": growth_section,
            "floor": floor_section}
