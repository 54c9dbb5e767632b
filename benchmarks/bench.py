"""`make bench`: runs the parts that were asked for and writes benchmarks/results/DATE-KIND.md, with a JSON file beside it.

A part that is measured again the same day replaces its older figures; the others stay.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import floor, tasks
from benchmarks.arena import ROOT, Entry, compete
from benchmarks.gate import device
from benchmarks.page import TITLES, page
from workbench.demo import FAST
from workbench.recipes import DEFAULT_MODEL

# Ours, one line per way of running PPO: a name for the tables and what differs in its task. The first is the default: every layer
# adapted, and a value model with an adapter of its own.
PRESETS: list[tuple[str, dict[str, Any]]] = [
    ("ours", {}),
    ("ours, value shared", {"recipe": FAST["ppo"]}),
    ("ours, fast", {**FAST["sft"], "recipe": FAST["ppo"]}),
]
PPO_PEER = Entry("TRL 1.12", "ppo", ["benchmarks.peer_ppo"])
GROWTH = (0.5, 1, 2, 4)  # times the batch, times the reply's length
SHARED = ("batch", "reply_tokens", "epochs", "rank", "precision", "temperature", "stops")  # of a task, kept with its figures


class Bench:
    """The flags, and one method per part, each returning what the page needs."""

    def __init__(self, flags: argparse.Namespace) -> None:
        self.flags = flags
        self.presets = [(name, changes) for name, changes in PRESETS if name in flags.presets]

    def task(self, **changes: Any) -> dict[str, Any]:
        flags = self.flags
        sizes = {"batch": flags.batch, "reply_tokens": flags.reply_tokens, "epochs": flags.epochs}
        return tasks.make(flags.model, {**sizes, **changes})

    def about(self, task: dict[str, Any]) -> dict[str, Any]:
        return {key: task[key] for key in SHARED} | {"prompt_tokens": tasks.mean_prompt_tokens(task)}

    def contest(self, entries: Sequence[Entry], task: dict[str, Any], rounds: int = 0) -> dict[str, Any]:
        return compete(entries, task, self.flags.warmups, rounds or self.flags.rounds) | {"task": self.about(task)}

    def ppo(self, stops: bool = False) -> dict[str, Any]:
        entries = [Entry(name, "ours", ["benchmarks.ours", "ppo"], changes) for name, changes in self.presets]
        return self.contest([PPO_PEER, *entries], self.task(stops=stops))

    def stops(self) -> dict[str, Any]:
        return self.ppo(stops=True)

    def step(self, stage: str, rows: str) -> dict[str, Any]:
        peer = Entry("TRL 1.16", "current", ["benchmarks.peer_trainers", stage])
        return self.contest([peer, Entry("ours", "ours", ["benchmarks.ours", stage])], self.task()) | {"rows": rows}

    def sft(self) -> dict[str, Any]:
        return self.step("sft", f"{tasks.SFT_ROWS} demonstrations at once, the assistant's tokens learned")

    def reward(self) -> dict[str, Any]:
        return self.step("reward", f"{tasks.REWARD_PAIRS} pairs at once")

    def growth(self) -> dict[str, Any]:
        """A fresh process for every size, so that each peak is its own."""
        name, changes = self.presets[0]
        axes: dict[str, dict[str, Any]] = {}
        for axis, least in (("batch", 2), ("reply_tokens", 4)):
            sizes = [max(least, round(getattr(self.flags, axis) * times)) for times in GROWTH]
            axes[axis.replace("_", " ")] = {str(size): self.alone(name, changes, axis, size) for size in sizes}
        return {"axes": axes, "preset": name, "task": self.about(self.task(epochs=1))}

    def alone(self, name: str, changes: dict[str, Any], axis: str, size: int) -> list[Any]:
        entry = Entry(f"{name}, {axis} {size}", "ours", ["benchmarks.ours", "ppo"], changes)
        return self.contest([entry], self.task(epochs=1, **{axis: size}))["laps"][entry.name]

    def floor(self) -> dict[str, Any]:
        task = self.task()
        model, about = floor.sizes(task["model"]), self.about(task)
        rows = round(task["batch"] * (about["prompt_tokens"] + task["reply_tokens"]))
        return {"sizes": model._asdict(), "rates": floor.measure(model, rows, device())._asdict(), "rows": rows, "task": about}


def machine() -> dict[str, Any]:
    """What was measured on: its kind in a few words, never its name on a network."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        name = f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"name": name, "cores": os.cpu_count(), "memory_gb": memory, "system": f"{platform.system()}, Python {platform.python_version()}"}


def commit() -> str:
    """The commit that was measured; a plus where files differed from it."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "workbench", "benchmarks/*.py")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def command_of(part: str, words: Sequence[str]) -> str:
    """The command that measures one part alone, with the other flags as they were given."""
    kept = [word for at, word in enumerate(words) if not word.startswith("--only") and not (at and words[at - 1] == "--only")]
    return f"make bench ARGS={shlex.quote(shlex.join(['--only', part, *kept]))}"


def write(folder: Path, date: str, part: str, found: dict[str, Any]) -> Path:
    """Puts a part's figures with those of the same day and machine, and makes the page anew."""
    about = machine()
    stem = f"{date}-{re.sub('[^a-z0-9]+', '-', about['name'].lower()).strip('-')}"
    record, target = folder / f"{stem}.json", folder / f"{stem}.md"
    results = json.loads(record.read_text()) if record.exists() else {"parts": {}}
    results["machine"] = about
    results["parts"][part] = found
    results = json.loads(json.dumps(results))
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(results, indent=1) + "\n")
    target.write_text(page(results))
    return target


def flags_from(words: Sequence[str] | None) -> argparse.Namespace:
    names = [name for name, _ in PRESETS]
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--only", default=",".join(TITLES), help=f"parts, comma between them: {', '.join(TITLES)}")
    parser.add_argument("--rounds", type=int, default=3, help="measured iterations of each (default 3)")
    parser.add_argument("--warmups", type=int, default=1, help="iterations before that which do not count (default 1)")
    parser.add_argument("--preset", dest="presets", action="append", choices=names, help="only this way of ours; may be repeated")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="base model of everyone: the bundled one or a folder")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--reply-tokens", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the page")
    flags = parser.parse_args(words)
    flags.only, flags.presets = flags.only.split(","), flags.presets or names
    if unknown := set(flags.only) - set(TITLES):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(TITLES)}")
    return flags


def main(words: Sequence[str]) -> None:
    flags = flags_from(words)
    bench, date = Bench(flags), datetime.date.today().isoformat()
    for part in flags.only:
        print(f"{TITLES[part]}:", flush=True)
        origin = {"command": command_of(part, words), "date": date, "commit": commit()}
        found = getattr(bench, part)() | origin
        target = write(flags.results, date, part, found)
    print(target.read_text())
    print(f"written to {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
