"""The benchmark without its peers: our participants run, counts are right, and a page says what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import bench, floor, ours, tasks
from benchmarks.arena import Entry, Lap, compete
from benchmarks.page import page

SMALL = {"batch": 2, "reply_tokens": 4, "epochs": 1, "sft_rows": 2, "reward_pairs": 2}
ONE_LAYER = floor.Sizes(layer=[(2, 3)], layers=1, width=2, vocabulary=5, query_width=2, key_width=1)


class ShortGate:
    """Lets one iteration through and keeps what is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def wait(self) -> None:
        if self.told:
            raise SystemExit

    def tell(self, **numbers: float) -> None:
        self.told.append(numbers)


@pytest.fixture(scope="module")
def task(tiny: str) -> dict[str, Any]:
    return tasks.make(tiny, SMALL)


@pytest.mark.parametrize(("run", "parts"), [(ours.run_ppo, {"generate", "score", "update", "total"}), (ours.run_sft, {"total"}),
                                            (ours.run_reward, {"total"})])
def test_our_participants_tell_of_every_part(task, run, parts):
    gate = ShortGate()
    with pytest.raises(SystemExit):
        run(task, gate)
    [told] = gate.told
    assert set(told) == parts | {"tokens"}
    assert all(seconds > 0 for seconds in told.values())


def test_replies_of_fixed_length_have_that_length(task):
    gate = ShortGate()
    with pytest.raises(SystemExit):
        ours.run_ppo(task, gate)
    assert gate.told[0]["tokens"] == 2 * 4


def test_a_better_reply_follows_its_own_prompt(task):
    pair = task["pairs"][0]
    assert pair["chosen"] != pair["rejected"]
    assert pair["chosen"][-1] == pair["rejected"][-1] == task["end_of_turn"]


def test_a_participant_that_fails_says_why(task):
    with pytest.raises(SystemExit, match="no_such_module"):
        compete([Entry("broken", "ours", ["benchmarks.no_such_module"])], task, 0, 1)


def test_counts_can_be_checked_on_paper():
    assert (ONE_LAYER.trunk, ONE_LAYER.head, ONE_LAYER.adapter(rank=1)) == (6, 10, 5)
    assert floor.forward(ONE_LAYER, tokens=1, context=1, rank=1) == 2 * (6 + 5) + 4 * 2
    small = {"batch": 1, "reply_tokens": 1, "rank": 1, "epochs": 1}
    parts = floor.parts(ONE_LAYER, small, prompt_tokens=1, trunks=1)
    assert parts["generate"].operations == 2 * (22 + 8) + 2 * 10
    assert parts["score"].operations == 3 * 2 * (22 + 8) + 2 * 20
    assert parts["update"].operations == 2 * 2 * (22 + 8) + 2 * 5 * 2 + 2 * 20


def test_a_second_trunk_costs_a_second_update():
    small = {"batch": 4, "reply_tokens": 8, "rank": 2, "epochs": 3}
    one, two = (floor.parts(ONE_LAYER, small, 10, trunks)["update"].operations for trunks in (1, 2))
    assert one < two < 2 * one


def test_a_part_takes_what_is_slower_calculating_or_fetching():
    assert floor.seconds(floor.Work(operations=10, bytes=3), floor.Rates(operations=5, bytes=1)) == 3


def test_rates_are_measured(tiny):
    rates = floor.measure(floor.sizes(tiny), 8, torch.device("cpu"), copied=2**16, least=0.0)
    assert rates.operations > 0 and rates.bytes > 0


def test_a_command_measures_one_part_with_the_other_flags():
    assert bench.command_of("sft", ["--only", "ppo,sft", "--rounds", "5"]) == "make bench ARGS='--only sft --rounds 5'"
    assert bench.command_of("ppo", ["--only=ppo,sft"]) == "make bench ARGS='--only ppo'"


def canned() -> dict[str, dict[str, Any]]:
    """Figures of every part as they stand in a record."""
    about = {"versions": {"torch": "2.13.0"}, "threads": 2}
    task = {"batch": 16, "reply_tokens": 64, "epochs": 4, "rank": 16, "precision": "bf16", "temperature": 0.7, "stops": False, "prompt_tokens": 80.0}
    laps = {"TRL": [Lap(8, 2, 30, 40, 1024, 10240), Lap(8, 2, 50, 60, 1024, 11264)], "ours": [Lap(2, 1, 7, 10, 1024, 2048)] * 2}
    contest = {"laps": laps, "about": {"TRL": about, "ours": about}, "task": task}
    growth = {"axes": {"batch": {"8": [Lap(total=1.0)], "16": [Lap(total=4.0)]}}, "preset": "ours", "task": task}
    rates = {"sizes": ONE_LAYER._asdict(), "rates": {"operations": 1e6, "bytes": 1e6}, "rows": 2304, "task": task}
    parts = {"ppo": contest, "stops": contest, "sft": {**contest, "rows": "16 demonstrations"}, "reward": {**contest, "rows": "8 pairs"},
             "growth": growth, "floor": rates}
    return {name: {**part, "command": f"make bench ARGS='--only {name}'", "date": "2026-11-24", "commit": "abc1234"} for name, part in parts.items()}


def test_the_page_has_medians_ratios_with_spread_and_exponents(tmp_path: Path):
    for name, part in canned().items():
        target = bench.write(tmp_path, "2026-11-24", name, part)
    text = target.read_text()
    assert "| TRL | 8.00 | 2.00 | 40.00 | 50.00 | 1024 | 11.0 |" in text
    assert "**5.00** (4.00 - 6.00)" in text
    assert "| 16 | 0.00 | 0.00 | 0.00 | 4.00 | 2.00 | 0.0 |" in text
    assert text.count("make bench ARGS=") == text.count("\n## ") == 6


def test_a_part_measured_again_replaces_only_itself(tmp_path: Path):
    parts = canned()
    bench.write(tmp_path, "2026-11-24", "ppo", parts["ppo"])
    bench.write(tmp_path, "2026-11-24", "sft", parts["sft"])
    target = bench.write(tmp_path, "2026-11-24", "sft", {**parts["sft"], "rows": "32 demonstrations"})
    assert "32 demonstrations" in target.read_text() and "One PPO iteration" in target.read_text()
    assert page({"machine": bench.machine(), "parts": {}}).startswith("# Benchmark")
