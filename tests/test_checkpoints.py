"""Checkpoints: whole or not there, wherever a save is cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.engine import checkpoints
from workbench.engine.step import State


class Killed(BaseException):
    """What SIGKILL is to a process: nothing of it runs afterwards."""


class Disk:
    """Counts what a save does to the disk, and dies in place of the operation with a given number."""

    def __init__(self, patch: pytest.MonkeyPatch, dies_at: int) -> None:
        self.done, self.dies_at = 0, dies_at
        for owner, name in ((os, "fsync"), (Path, "rename"), (Path, "write_text")):
            patch.setattr(owner, name, self.counting(getattr(owner, name)))
        patch.setattr(shutil, "rmtree", self.counting(shutil.rmtree, self.half_removed))

    def counting(self, real: Callable[..., Any], when_cut: Callable[..., None] = lambda *args: None) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.done += 1
            if self.done == self.dies_at:
                when_cut(*args)
            if self.done >= self.dies_at:
                raise Killed
            return real(*args, **kwargs)

        return wrapped

    def half_removed(self, folder: Path, **kwargs: Any) -> None:
        for file in sorted(folder.glob("*.safetensors")):
            file.unlink()


def state(step: int) -> State:
    return State(step, {"w": torch.full((3,), float(step))}, {})


def dies(folder: Path, step: int, at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    with monkeypatch.context() as patch:
        Disk(patch, at)
        try:
            checkpoints.save(folder, state(step))
        except Killed:
            return True
    return False


def read(folder: Path) -> int:
    """The step of the checkpoint, whose tensors must be of that step too."""
    found = checkpoints.load(folder)
    assert found is not None and found.tensors["w"].tolist() == [float(found.step)] * 3
    return found.step


def test_a_save_cut_anywhere_twice_over_leaves_the_last_checkpoint_or_the_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # counted, not waited for
    cuts = 0
    for first in range(1, 11):
        for second in range(1, 11):
            folder = tmp_path / f"{first}-{second}" / "run"
            checkpoints.save(folder, state(1))
            was_cut = dies(folder, 2, first, monkeypatch)
            held = read(folder)
            assert held in ((1, 2) if was_cut else (2,))
            was_cut_again = dies(folder, 3, second, monkeypatch)
            assert read(folder) in ((held, 3) if was_cut_again else (3,))
            checkpoints.save(folder, state(4))
            assert read(folder) == 4
            assert [p.name for p in folder.parent.iterdir()] == ["run"], "what killed saves left is cleared by the next"
            cuts += was_cut and was_cut_again
    assert cuts > 25, "saves must be cut in many places for this to mean anything"


def test_a_state_is_read_as_it_was_written(tmp_path):
    written = State(7, {"a/b|c": torch.randn(2, 3), "done": torch.tensor(4)}, {"x": 0.5})
    checkpoints.save(tmp_path / "run", written)
    found = checkpoints.load(tmp_path / "run")
    assert (found.step, found.numbers) == (7, {"x": 0.5})
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in written.tensors.items())
    assert checkpoints.load(tmp_path / "another") is None
