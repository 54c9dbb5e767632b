"""How the doctor is held against sabotaged runs: asked after every step, and no longer than it takes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import sabotage
from tests.traces import trace
from workbench.engine.step import Step
from workbench.recipes import PpoRecipe


def test_a_diagnosis_is_waited_for_no_longer_than_until_it_has_stood_for_a_while() -> None:
    recipe = PpoRecipe(sft="sft-1", reward="reward-1")
    taken: list[int] = []

    def steps() -> Iterator[Step]:
        for index in range(1, 16):
            taken.append(index)
            yield Step(index, 15, {key: value for step, key, value in trace("ppo", 15, approx_kl=lambda t: 0.4 if t > 2 else 0.01) if step == index})

    verdict = sabotage.ask("ppo", recipe, steps(), {}, patience=3)
    assert (verdict.first.rule, verdict.at, taken[-1]) == ("D-30", 4, 7), "one odd step is a hint, two are a finding"
    assert sabotage.ask("ppo", recipe, steps(), {}).steps == 15, "without patience a run goes to its end"
