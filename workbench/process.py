"""Starting the worker process, and knowing whether it lives: the kernel's lock is the only witness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import filelock

from workbench.errors import LabError
from workbench.recipes import Recipe
from workbench.store import Store

# Threads that wait for each other must soon sleep: spinning, they starve when a browser wants a core (docs/log.md). And compiled
# kernels of tensor sizes that will not come again need not be kept: with packed rows sizes seldom do.
SETTINGS = {"GOMP_SPINCOUNT": "5000", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128"}
LOST = "the worker process ended without a word (killed, out of memory, or the machine restarted)"


def is_alive(home: Path) -> bool:
    """Whether a worker of this lab holds the lock."""
    try:
        with filelock.FileLock(home / "worker.lock", timeout=0):
            return False
    except filelock.Timeout:
        return True


def sweep(store: Store, home: Path) -> None:
    """A run that says "running" while the kernel holds no lock has lost its worker: say so."""
    if not store.has_running():
        return
    try:
        with filelock.FileLock(home / "worker.lock", timeout=0):
            store.sweep(LOST)
    except filelock.Timeout:
        pass


def ensure(store: Store, home: Path) -> None:
    """Starts the worker if something waits and none is there. Cheap, idempotent, safe to call from anywhere."""
    sweep(store, home)
    if store.has_work() and not is_alive(home):
        variables = {**SETTINGS, **os.environ}
        with (home / "worker.log").open("ab") as log:
            subprocess.Popen([sys.executable, "-m", "workbench.engine.worker", str(home)], stdin=subprocess.DEVNULL,
                             stdout=log, stderr=log, env=variables, start_new_session=True)
        _await_lock(store, home)


def measure(home: Path, recipe: Recipe, steps: int) -> float:
    """Peak memory in bytes of a few steps of a recipe. Raises LabError with what the process said when it fails."""
    command = [sys.executable, "-m", "workbench.engine.probe", str(home), recipe.stage, recipe.to_json(), str(steps)]
    done = subprocess.run(command, env={**SETTINGS, **os.environ}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"the steps could not be taken: {(done.stderr.strip().splitlines() or ['it was killed, perhaps for memory'])[-1]}")
    return float(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def _await_lock(store: Store, home: Path) -> None:
    # A second caller must find the lock taken, or it would start a second worker that only waits.
    for _ in range(100):
        if is_alive(home) or not store.has_work():
            return
        time.sleep(0.05)
