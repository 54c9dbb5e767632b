"""Exact resume under fire: every training stage is killed with SIGKILL again and again, and ends as if nothing had been.

The workers are real (lock, sweep, claim, checkpoints, adapters); they are forked from a process that has imported torch, so
that a kill costs a fraction of a second.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import chain
from workbench import Lab

pytestmark = pytest.mark.slow
Moment = Callable[[], bool]
KNOBS = {
    "sft": {"steps": 14, "save_every": 1, "eval_every": 5, "dropout": 0.1, "rank": 64},
    "reward": {"epochs": 4, "batch": 2, "save_every": 1, "eval_every": 3},
    "ppo": {"steps": 14, "sample_every": 1},
}


class Forge:
    """Makes workers of one lab, and ends them."""

    def __init__(self, lab: Lab, model: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "tests.forks", str(lab.home), model], cwd=Path(__file__).parents[1],
                                        env={**os.environ, "WORKBENCH_IDLE_SECONDS": "0.1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdout.readline() == "ready\n"

    def worker(self) -> int:
        self.process.stdin.write("\n")
        return int(self.process.stdout.readline())

    def left(self) -> int:
        """How the worker ended: 0, or less the signal that killed it."""
        assert self.has_left(60), "the worker hangs"
        return int(self.process.stdout.readline())

    def has_left(self, seconds: float = 0.0) -> bool:
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def kill(self, when: Moment) -> bool:
        """Starts a worker and kills it at the first sight of the moment; False when it was done before."""
        worker, begun = self.worker(), time.monotonic()
        while not when():
            assert time.monotonic() - begun < 60, "the worker hangs"
            if self.has_left():
                return self.left() != 0
        os.kill(worker, signal.SIGKILL)
        return self.left() == -signal.SIGKILL

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="module")
def lab(tiny, tmp_path_factory) -> Lab:
    return Lab(tmp_path_factory.mktemp("kills") / "lab")


@pytest.fixture(scope="module")
def forge(lab, tiny) -> Iterator[Forge]:
    """With it, every stage has run once without a kill: sft-1, reward-1, ppo-1."""
    patch = pytest.MonkeyPatch()
    patch.setattr(Lab, "ensure_worker", lambda self: None)
    found = Forge(lab, tiny)
    knobs = chain.knobs(tiny)
    lab.demo(**{stage: {**values, **KNOBS.get(stage, {})} for stage, values in knobs.items()})
    found.worker()
    assert found.left() == 0 and set(lab.runs().state) == {"done"}, lab.runs()[["state", "error"]]
    yield found
    found.close()
    patch.undo()


def after(seconds: float) -> Moment:
    begun = time.monotonic()
    return lambda: time.monotonic() - begun > seconds


def at_step(lab: Lab, run: str, step: int, seconds: float) -> Moment:
    """Somewhere in the step after this one."""
    reached: list[float] = []

    def is_now() -> bool:
        if not reached and lab.store.run(run).step >= step:
            reached.append(time.monotonic())
        return bool(reached) and time.monotonic() - reached[0] > seconds

    return is_now


def while_writing(folder: Path, run: str) -> Moment:
    """The temporary folder of a save is there."""
    known = set(os.listdir(folder))
    return lambda: any(name.startswith(f".{run}-") and name not in known for name in os.listdir(folder))


def moments(lab: Lab, run: str, chance: random.Random) -> Iterator[tuple[str, Moment]]:
    """Seven moments in random order, then one while the finished adapter is written."""
    kinds = ["early"] + ["step"] * 3 + ["save"] * 3
    chance.shuffle(kinds)
    for kind in kinds:
        if kind == "early":
            yield kind, after(chance.uniform(0, 0.3))
        elif kind == "step":
            yield kind, at_step(lab, run, lab.store.run(run).saved_step + 1, chance.uniform(0, 0.03))
        else:
            yield kind, while_writing(lab.home / "checkpoints", run)
    yield "adapter", while_writing(lab.home / "adapters", run)


def left_behind(lab: Lab) -> set[str]:
    return {p.name for part in ("checkpoints", "adapters") for p in (lab.home / part).iterdir() if p.name.startswith(".")}


def kill_often(lab: Lab, forge: Forge, run: str, seed: int) -> list[str]:
    """The kinds of the kills that struck, "cut" among them for each save that was found half done."""
    struck = []
    for kind, moment in moments(lab, run, random.Random(seed)):
        before = left_behind(lab)
        if not forge.kill(moment):
            break
        struck.append(kind)
        if left_behind(lab) - before:
            struck.append("cut")
        if lab.run(run).state == "lost":
            lab.resume(run)
    return struck


def files(lab: Lab, run: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (lab.home / "adapters" / run).iterdir() if p.suffix == ".safetensors"}


@pytest.mark.parametrize("stage", ["sft", "reward", "ppo"])
def test_a_run_killed_seven_times_ends_bit_for_bit_where_the_whole_one_ends(stage, lab, forge):
    """P18: at least 7 kills per stage, 21 in all, some of them in the middle of a save."""
    whole = f"{stage}-1"
    run = lab.start(lab.recipe(whole)).id
    struck = kill_often(lab, forge, run, seed=len(stage))
    forge.worker()
    assert forge.left() == 0 and lab.run(run).state == "done", lab.run(run).error
    assert len(struck) - struck.count("cut") >= 7 and "cut" in struck, struck
    assert files(lab, run) == files(lab, whole)
    columns = [c for c in lab.metrics(whole).columns if "second" not in c]
    assert lab.metrics(run)[columns].equals(lab.metrics(whole)[columns])
    assert lab.samples(run).equals(lab.samples(whole)) and lab.rollout_rows(run) == lab.rollout_rows(whole)
    assert not left_behind(lab), "what killed saves left behind is cleared by the next one"
