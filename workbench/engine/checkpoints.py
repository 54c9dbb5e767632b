"""Folders that are whole or not there, and checkpoints: a State as one safetensors file and one JSON."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from workbench.engine.step import State
from workbench.errors import DiskFull


def save(folder: Path, state: State) -> None:
    """Raises DiskFull, leaving the previous checkpoint as it was."""

    def write(part: Path) -> None:
        save_file({name: t.contiguous().cpu() for name, t in state.tensors.items()}, part / "state.safetensors")
        (part / "state.json").write_text(json.dumps({"step": state.step, "numbers": dict(state.numbers)}))

    write_whole(folder, write)


def load(folder: Path) -> State | None:
    """The last whole checkpoint, or None; a save that was cut short between its two renames is taken up."""
    for place in (folder, folder.with_name(f".old-{folder.name}")):
        if (place / "state.json").exists():
            about = json.loads((place / "state.json").read_text())
            return State(about["step"], load_file(place / "state.safetensors"), about["numbers"])
    return None


def write_whole(folder: Path, write: Any) -> None:
    """Fills a temporary folder by write(path), syncs it to disk and renames it, so that `folder` is whole or not there.

    Raises DiskFull, leaving what was there before as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a save that was killed
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        write(part)
        for file in part.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        old = folder.with_name(f".old-{folder.name}")
        if folder.exists():  # else a save was cut between its renames, and the old one is the only one
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except Exception as fault:  # safetensors wraps the disk's error in an exception of its own
        if "No space left" in str(fault) or getattr(fault, "errno", 0) == 28:
            free = shutil.disk_usage(folder.parent).free / 1e6
            raise DiskFull(f"no room to save {folder.name} in {folder.parent} ({free:.0f} MB free); free some room and resume") from fault
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
