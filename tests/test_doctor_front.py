"""The doctor where people meet it: the lab's verb, the command line, the page, and the worker that ends a hopeless run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from apps import live, pipeline, run_bar
from tests.traces import trace
from workbench import Lab, PpoRecipe, SftRecipe
from workbench.__main__ import main
from workbench.engine import stages
from workbench.engine.step import Step
from workbench.engine.worker import Worker
from workbench.errors import Unhealthy
from workbench.recipes import Recipe, RewardRecipe

PPO = PpoRecipe(sft="sft-1", reward="reward-1", steps=15)


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Lab:
    """A lab whose reward run is done and no worker starts."""
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)
    found = Lab(tmp_path / "lab")
    found.store.add_run("sft", SftRecipe().to_json(), 1)
    found.store.add_run("reward", RewardRecipe(sft="sft-1").to_json(), 1)
    for name in ("sft-1", "reward-1"):
        found.store.set_state(name, "done", ("queued",))
    return found


def steps_of(**changes) -> list[dict[str, float | None]]:
    found: dict[int, dict[str, float | None]] = {}
    for step, key, value in trace("ppo", 15, **changes):
        found.setdefault(step, {})[key] = value
    return list(found.values())


def logged(lab: Lab, recipe: Recipe = PPO, **changes) -> str:
    """A finished PPO run with the trace of a healthy one, changed."""
    run = lab.store.add_run(recipe.stage, recipe.to_json(), 15)
    for index, numbers in enumerate(steps_of(**changes), start=1):
        lab.store.log(run.id, index, 15, numbers)
    lab.store.set_state(run.id, "done", ("queued",))
    return run.id


def test_the_lab_finds_nothing_in_a_healthy_run_and_names_what_it_finds_in_a_sick_one(lab: Lab) -> None:
    assert lab.doctor(logged(lab)) == []
    assert [finding.rule for finding in lab.doctor(logged(lab, approx_kl=0.4))] == ["D-30"]
    lab.store.summarise("reward-1", {"eval_accuracy": 0.5})
    assert [finding.rule for finding in lab.doctor(logged(lab))] == ["D-08"], "PPO leans on what the reward run found out"


def test_a_number_that_is_none_survives_the_store_as_a_gap_and_is_found(lab: Lab) -> None:
    [found] = lab.doctor(logged(lab, policy_loss=lambda t: float("nan") if t == 4 else 0.0))
    assert (found.rule, found.since, found.severity) == ("D-32", 4, "warn")


def test_the_command_line_tells_it_in_words_and_in_json(lab: Lab, capsys) -> None:
    name = logged(lab, approx_kl=0.4)
    assert main(["doctor", name, "--lab", str(lab.home)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("The steps are too large, since step 1.\n") and "lr 0.0002 -> 6.7e-05" in told
    assert main(["doctor", name, "--json", "--lab", str(lab.home)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["findings"][0]["remedy"]["lr"] == pytest.approx(6.7e-5) and found["step"] == 15
    main(["doctor", logged(lab), "--lab", str(lab.home)])
    told = capsys.readouterr().out
    assert told.startswith("Healthy: ") and "15 steps found nothing wrong.\n  The score went from" in told


def test_the_page_gets_findings_when_something_is_new_and_only_then(lab: Lab) -> None:
    name = logged(lab, approx_kl=0.4)
    first = live.news(lab, lab.run(name), "", -1, "ppo")["health"]
    assert first["worst"] == "warn" and first["findings"][0]["changes"][0] == "lr 0.0002 -> 6.7e-05"
    assert json.dumps(first)
    assert live.news(lab, lab.run(name), name, 15, "ppo")["health"] is None
    assert live.news(lab, lab.run(logged(lab)), "", -1, "ppo")["health"]["findings"] == []


def test_every_list_of_runs_says_that_the_doctor_warns(lab: Lab) -> None:
    sick, well = (lab.run(logged(lab, **traits)) for traits in ({"approx_kl": 0.4}, {}))
    assert pipeline.headline(lab, sick).endswith("  ·  1 warning") and "warning" not in pipeline.headline(lab, well)
    assert run_bar.describe(lab, sick)["warned"] == "1 warning" and not run_bar.describe(lab, well)["warned"]


def test_a_healthy_run_is_called_so_and_on_what_grounds(lab: Lab) -> None:
    name = logged(lab)
    found = live.health(lab, lab.run(name))
    assert found["worst"] == "well" and found["verdict"].startswith("Healthy: ")
    assert found["grounds"] == lab.grounds(name) and "The drift from SFT is" in " ".join(found["grounds"])


def carried_out(lab: Lab, monkeypatch, **changes) -> tuple[Worker, str]:
    """A run of a stage that only logs, through the worker's own life of a run."""

    def begin(*rest: object) -> Iterator[Step]:
        for index, numbers in enumerate(steps_of(**changes), start=1):
            yield Step(index, 15, numbers)

    worker = Worker(lab.home)
    monkeypatch.setattr(stages, "begin", begin)
    monkeypatch.setattr(worker, "check_needs", lambda run: None)
    monkeypatch.setattr(worker, "backbone_for", lambda model, precision: None)
    monkeypatch.setattr(worker, "leave_adapter", lambda run, step, summary: None)
    monkeypatch.setattr(worker, "answer_one", lambda between_steps=False: False)
    run = lab.store.add_run("ppo", PPO.to_json(), 15)
    worker.carry_out(lab.store.claim())
    return worker, run.id


def test_a_run_that_cannot_come_to_anything_is_ended_at_its_first_step_with_the_reason(lab: Lab, monkeypatch) -> None:
    _, name = carried_out(lab, monkeypatch, score_sd=0.0)
    run = lab.run(name)
    assert (run.state, run.step) == ("failed", 1)
    assert run.error.startswith("The reward says the same of every reply at step 1 (D-09: spread of scores 0")
    assert "Train the reward model again" in run.error


def test_a_run_that_is_only_ill_goes_on(lab: Lab, monkeypatch) -> None:
    _, name = carried_out(lab, monkeypatch, approx_kl=0.4, eos_rate=0.1, same_replies=0.9)
    assert (lab.run(name).state, lab.run(name).step) == ("done", 15)


def test_a_look_between_steps_reads_a_few_steps_however_long_the_run(lab: Lab, monkeypatch) -> None:
    worker = Worker(lab.home)
    name = logged(lab, score_sd=0.0)
    asked: list[int] = []
    honest = worker.store.metrics
    monkeypatch.setattr(worker.store, "metrics", lambda run, after: asked.append(after) or honest(run, after))
    worker.check_health(lab.run(name), PPO, 15)
    with pytest.raises(Unhealthy):
        worker.check_health(lab.run(name), PPO, 1)
    assert min(asked) == -9 and max(asked) == 5


def test_stages_without_rules_are_not_judged(lab: Lab) -> None:
    assert live.health(lab, SimpleNamespace(stage="evaluate")) is None
