"""Shared fixtures: a tiny base on disk, a lab in a fresh folder, a worker that leaves soon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["OMP_NUM_THREADS"] = "1"  # the tiny base is quicker on one thread, and workers inherit it


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny Llama-like model."""
    from tests import toy

    return toy.make(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model with absolute positions."""
    from tests import toy

    return toy.make(tmp_path_factory.mktemp("models") / "tiny-gpt2", "gpt2")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a lab whose worker leaves as soon as nothing waits."""
    monkeypatch.setenv("WORKBENCH_IDLE_SECONDS", "2")
    return tmp_path / "lab"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After `pytest -m mutants`: which bug was caught by what."""
    if config.getoption("markexpr") != "mutants":
        return
    caught = [value for report in terminalreporter.getreports("passed") for key, value in report.user_properties if key == "mutant"]
    width = max((len(bug) for bug, _ in caught), default=3)
    terminalreporter.section(f"{len(caught)} bugs planted and caught")
    for bug, check in [("bug", "caught by"), *caught]:
        terminalreporter.write_line(f"{bug:<{width}} | {check}")
