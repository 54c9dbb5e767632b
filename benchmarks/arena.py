"""Participants as processes that take turns: one iterates while all others wait for a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from workbench import process

ROOT = Path(__file__).parents[1]
PYTHONS = {  # where each environment of the Makefile has its Python
    "ours": Path(sys.executable),
    "ppo": ROOT / ".venv-bench/ppo/bin/python",
    "current": ROOT / ".venv-bench/current/bin/python",
}
TOLD_LINES = 15


class Lap(NamedTuple):
    """One iteration: seconds of its parts (0 where a stage has none) and in all, tokens, and the process's peak so far."""

    generate: float = 0.0
    score: float = 0.0
    update: float = 0.0
    total: float = 0.0
    tokens: int = 0
    peak_mb: float = 0.0


class Entry(NamedTuple):
    """Who takes part: a name for the table, the environment, the module with its stage, and changes to the task."""

    name: str
    python: str
    module: Sequence[str]
    changes: Mapping[str, Any] = {}


class Participant:
    """A process that has loaded everything and does one iteration per `lap`."""

    def __init__(self, entry: Entry, task: Mapping[str, Any], folder: Path) -> None:
        self.name = entry.name
        place = Path(tempfile.mkdtemp(dir=folder))
        (place / "task.json").write_text(json.dumps({**task, **entry.changes}))
        self.log = place / "log.txt"
        command = [str(PYTHONS[entry.python]), "-m", *entry.module, str(place / "task.json")]
        settings = process.SETTINGS if entry.python == "ours" else {}  # what a worker has
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            env={**settings, **os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
        self.about = self._hear()

    def lap(self) -> Lap:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Lap(**self._hear())

    def _hear(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            said = "\n".join(self.log.read_text(errors="replace").splitlines()[-TOLD_LINES:])
            raise SystemExit(f"{self.name} ended with code {self.process.wait()}; the end of what it said:\n{said}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        """Closes its input, at which it leaves; one that does not is ended."""
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def compete(entries: Sequence[Entry], task: Mapping[str, Any], warmups: int, rounds: int) -> dict[str, Any]:
    """Everyone's laps and versions by name; in each round all have one turn, A B A B."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        there = [stack.enter_context(Participant(entry, task, folder)) for entry in entries]
        laps: dict[str, list[Lap]] = {each.name: [] for each in there}
        for turn in range(warmups + rounds):
            for each in there:
                lap = each.lap()
                print(f"  {'warm-up' if turn < warmups else f'round {turn - warmups + 1}'}: {each.name} {lap.total:.2f} s", flush=True)
                if turn >= warmups:
                    laps[each.name].append(lap)
        return {"laps": laps, "about": {each.name: each.about for each in there}}
