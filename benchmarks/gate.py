"""How a participant speaks with the benchmark: one line in starts one iteration, one line of JSON out ends it.

Runs in every environment, ours and the peers', so it may use nothing but the standard library and torch.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch


def read_task() -> dict[str, Any]:
    """The task, written by tasks.py; the last argument of a participant names its file."""
    return json.loads(Path(sys.argv[-1]).read_text())


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def now() -> float:
    """Seconds, once the device has done all that was asked of it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_mb() -> float:
    """The most memory held so far: the device's where there is one, else this process's (VmHWM)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


class Gate:
    """Standard input and output of a participant; whatever libraries print goes to the log instead."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        versions = {name: importlib.metadata.version(name) for name in ("torch", *packages)}
        self.hello = {"versions": versions, "threads": torch.get_num_threads()}
        self.is_ready = False

    def wait(self) -> None:
        """Returns when the next iteration is to begin; leaves the process when there is none."""
        if not self.is_ready:
            self.is_ready = True
            self._say(self.hello)
        gc.collect()
        if not sys.stdin.readline():
            raise SystemExit

    def tell(self, **numbers: float) -> None:
        self._say({**numbers, "peak_mb": peak_mb()})

    def _say(self, message: dict[str, Any]) -> None:
        self.answers.write(json.dumps(message) + "\n")
        self.answers.flush()
