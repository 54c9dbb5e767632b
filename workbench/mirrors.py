"""A run's metrics copied to a tracker that somebody lives in: TensorBoard, trackio, W&B or MLflow. Written from our rows, never read back.

None of them is needed; each is imported when it is asked for. No torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import LabError
from workbench.records import Run

PACKAGES = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb", "mlflow": "mlflow"}
PROJECT = "rlhf-workbench"


class Mirror(Protocol):
    """Where steps go; `log` gets each step once, in order."""

    def log(self, step: int, numbers: Mapping[str, float], at: float) -> None: ...

    def close(self) -> None: ...


def open_mirror(to: str, run: Run, knobs: Mapping[str, Any], folder: Path) -> Mirror:
    """A mirror of one run. Raises LabError when there is no such tracker, or its package is not installed."""
    if to not in PACKAGES:
        raise LabError(f"no mirror {to!r}; there are {', '.join(PACKAGES)}")
    try:
        package = importlib.import_module(PACKAGES[to])
    except ImportError as fault:
        raise LabError(f"{to} is not installed ({fault}); install it with: pip install {PACKAGES[to]}") from fault
    if to == "tensorboard":
        return TensorBoard(folder / run.id)
    return MlFlow(package, run, knobs) if to == "mlflow" else Wandb(package, run, knobs)


class TensorBoard:
    """An event file in a folder of the run's name; see it with `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        for old in folder.glob("events.out.tfevents.*"):  # a second copy would draw every curve twice
            old.unlink()
        self.writer = EventFileWriter(str(folder))

    def log(self, step: int, numbers: Mapping[str, float], at: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        told = Summary(value=[Summary.Value(tag=key, simple_value=value) for key, value in numbers.items()])
        self.writer.add_event(Event(wall_time=at, step=step, summary=told))

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """W&B, and trackio, which speaks its language."""

    def __init__(self, package: Any, run: Run, knobs: Mapping[str, Any]) -> None:
        self.package = package
        package.init(project=PROJECT, name=run.id, config=dict(knobs))

    def log(self, step: int, numbers: Mapping[str, float], at: float) -> None:
        self.package.log(dict(numbers), step=step)

    def close(self) -> None:
        self.package.finish()


class MlFlow:
    def __init__(self, package: Any, run: Run, knobs: Mapping[str, Any]) -> None:
        self.package = package
        package.set_experiment(PROJECT)
        package.start_run(run_name=run.id)
        package.log_params(dict(knobs))

    def log(self, step: int, numbers: Mapping[str, float], at: float) -> None:
        self.package.log_metrics(dict(numbers), step=step)

    def close(self) -> None:
        self.package.end_run()
