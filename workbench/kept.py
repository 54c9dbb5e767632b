"""The checkpoints that are kept of a run, besides the last: where a fork can begin. Folders and links only; no torch.

`checkpoints/ppo-1` is always the last one and the only one that a save writes to. Before the next takes its place it is linked
as `checkpoints/ppo-1@12`, which costs no writing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import LabError

# A PPO checkpoint of the default model is 118 MB, one of SFT or the reward model 59 MB: at most 0.9 GB for a run.
KEPT = 8


def last_of(home: Path, run: str) -> Path:
    return home / "checkpoints" / run


def folder(home: Path, run: str, step: int) -> Path:
    return home / "checkpoints" / f"{run}@{step}"


def steps(home: Path, run: str) -> list[int]:
    """The steps whose checkpoints are there, in order."""
    return sorted({*shelved(home, run), *filter(None, [step_of(last_of(home, run))])})


def shelved(home: Path, run: str) -> list[int]:
    found = (place.name.partition("@")[2] for place in (home / "checkpoints").glob(f"{run}@*"))
    return sorted(int(step) for step in found if step.isdigit())


def step_of(place: Path) -> int | None:
    """The step of a checkpoint, or None where there is no whole one."""
    try:
        return int(json.loads((place / "state.json").read_text())["step"])
    except FileNotFoundError:
        return None


def shelve(home: Path, run: str, spared: int | None = None) -> None:
    """Keeps the last checkpoint before the next one takes its place; of too many, one from where they are densest goes, never the spared."""
    last = last_of(home, run)
    step = step_of(last)
    if step is None:
        return
    if not folder(home, run, step).exists():
        link(last, folder(home, run, step))
    there = shelved(home, run)
    while len(there) >= KEPT:  # the next one counts as well
        there.remove(gone := crowded(there, spared))
        shutil.rmtree(folder(home, run, gone), ignore_errors=True)


def crowded(there: Sequence[int], spared: int | None = None) -> int:
    """The step, neither first nor last nor the spared one, whose neighbours are nearest to each other."""
    places = [place for place in range(1, len(there) - 1) if there[place] != spared]
    return there[min(places, key=lambda place: there[place + 1] - there[place - 1])]


def hand_over(home: Path, run: str, step: int, to: str) -> None:
    """Gives another run a checkpoint to go on from. Raises LabError when it is no longer there."""
    for source in (folder(home, run, step), last_of(home, run), folder(home, run, step)):  # a save may shelve it meanwhile
        target = last_of(home, to)
        with contextlib.suppress(FileNotFoundError):
            if step_of(source) == step:
                link(source, target)
                # The last one only ever moves on: if the step, linked after the tensors, is right, so are they.
                if step_of(target) == step:
                    return
                shutil.rmtree(target)
    raise LabError(f"the checkpoint of {run} at step {step} is gone; it has those of steps {', '.join(map(str, steps(home, run)))}")


def link(source: Path, target: Path) -> None:
    """A second name for a checkpoint, whole or not there; a copy where the disk knows no links."""
    for leftover in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a process that was killed
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        for name in ("state.safetensors", "state.json"):
            try:
                os.link(source / name, part / name)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(source / name, part / name)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def forget(home: Path, run: str) -> None:
    """Removes every checkpoint of a run."""
    for place in (last_of(home, run), *(folder(home, run, step) for step in shelved(home, run))):
        shutil.rmtree(place, ignore_errors=True)
