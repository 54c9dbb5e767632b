"""Knobs that change while a run goes on, and forks, in the engine: recorded, repeated, and exact to the bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import chain
from tests.roles import DEMONSTRATIONS, PPO, PROMPTS, REWARD, SFT, digest, rankings, ready_for_reward, with_four_roles
from tests.test_worker import until, worker_pid
from workbench import Lab, PpoRecipe, changes, kept
from workbench.engine import checkpoints, ppo, reward, sft, stages
from workbench.engine.backbone import Backbone
from workbench.engine.stepper import Stepper
from workbench.engine.worker import Worker


def weights(lab: Lab, name: str) -> dict[str, bytes]:
    tensors = load_file(lab.home / "adapters" / name / "adapter_model.safetensors")
    return {key: value.numpy().tobytes() for key, value in tensors.items()}


def curves(lab: Lab, name: str, after: int = 0) -> dict[tuple[int, str], float | None]:
    return {(step, key): value for step, key, value in lab.store.metrics(name, after) if "second" not in key}


# --- the stages, driven by hand


def test_a_recipe_that_is_sent_in_holds_from_the_next_step_on(tiny):
    changed = PPO.replace(kl_weight=1.0, lr=5e-4, value_lr=0.0)
    plain = list(ppo.train(PPO, with_four_roles(tiny), PROMPTS))
    steps = stages.steered(ppo.train(PPO, with_four_roles(tiny), PROMPTS), lambda index: changed if index == 3 else PPO)
    steered = list(steps)
    for before, after in zip(plain[:2], steered[:2], strict=True):
        assert [(k, v) for k, v in before.numbers.items() if "second" not in k] == [(k, v) for k, v in after.numbers.items() if "second" not in k]
    then, now = plain[2].numbers, steered[2].numbers
    assert now["score"] == then["score"], "the policy is the same when the step begins"
    assert now["reward"] - then["reward"] == pytest.approx((0.02 - 1.0) * now["kl_seq"])
    assert now["lr"] == then["lr"] / 2


def test_a_learning_rate_that_changes_keeps_its_place_in_the_schedule(tiny):
    backbone = Backbone(tiny, "fp32")
    backbone.add("policy", 4, 8, 0.0, seed=0)
    one, other = (Stepper(backbone, "policy", 1e-3, 40, warmup=0.1) for _ in range(2))
    for done in range(40):
        one.done = other.done = done
        if done == 10:
            other.lr = 3e-3
        assert other.rate() == pytest.approx(one.rate() * (3 if done >= 10 else 1))


@pytest.mark.parametrize("stage", ["sft", "reward"])
def test_the_learning_rate_of_every_stage_can_change(stage, tiny):
    def begin():
        if stage == "sft":
            backbone = Backbone(tiny, "fp32")
            recipe = SFT.replace(model=tiny)
            sft.load(recipe, backbone, None)
            return recipe, sft.train(recipe, backbone, DEMONSTRATIONS)
        return REWARD, reward.train(REWARD, ready_for_reward(tiny), rankings(), PROMPTS)

    recipe, plain = begin()
    rates = [step.numbers.get("lr") for step in plain]
    recipe, steps = begin()
    turned = [step.numbers.get("lr") for step in stages.steered(steps, lambda index: recipe.replace(lr=recipe.lr * 4) if index >= 2 else recipe)]
    assert turned[0] == rates[0] and turned[1] == pytest.approx(4 * rates[1])
    assert len(turned) == len(rates)


def test_a_run_resumed_anywhere_with_the_same_changes_ends_bit_for_bit(tiny):
    def recipe_at(index: int) -> PpoRecipe:
        return PPO.replace(kl_weight=0.5, lr=2e-3) if index >= 3 else PPO.replace(temperature=0.8) if index == 2 else PPO

    def weights_of(backbone: Backbone) -> str:
        return digest(t for role in ("policy", "value") for t in backbone.tensors(role).values())

    backbone = with_four_roles(tiny)
    states = []
    for step in stages.steered(ppo.train(recipe_at(1), backbone, PROMPTS), recipe_at):
        state = step.state()
        states.append(state._replace(tensors={name: t.clone() for name, t in state.tensors.items()}))
    ended = weights_of(backbone)
    assert ended != weights_of(with_four_roles(tiny))
    for state in states[:-1]:
        torch.manual_seed(5)
        backbone = with_four_roles(tiny)
        list(stages.steered(ppo.train(recipe_at(state.step + 1), backbone, PROMPTS, state=state), recipe_at))
        assert weights_of(backbone) == ended, f"resumed after step {state.step}"


# --- the worker


@pytest.fixture(scope="module")
def lab(tiny, tmp_path_factory) -> Lab:
    """A lab with an SFT and a reward run, carried out in this process."""
    found = Lab(tmp_path_factory.mktemp("steered") / "lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lab, "ensure_worker", lambda self: None)
        found.demo(**chain.knobs(tiny))
        for _ in range(3):
            Worker(found.home).carry_out(found.store.claim())
        for run in found.store.runs()[3:]:
            found.store.set_state(run.id, "stopped", ("queued",))
    return found


@pytest.fixture
def here(lab, monkeypatch) -> Lab:
    """The lab, where no process of its own takes up a run."""
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)
    monkeypatch.setattr("workbench.process.sweep", lambda store, home: None)
    return lab


def recipe(**knobs) -> PpoRecipe:
    return PpoRecipe(sft="sft-1", reward="reward-1", **{**chain.SMALL["ppo"], "steps": 9, "sample_every": 3, "precision": "fp32", **knobs})


def carried_out(lab: Lab, name: str) -> str:
    run = lab.store.claim()
    assert run.id == name
    Worker(lab.home).carry_out(run)
    assert lab.store.run(name).state == "done", lab.store.run(name).error
    return name


def told_at(lab: Lab, monkeypatch, moments: dict[int, dict[str, float]]) -> None:
    """Somebody changes knobs while these steps are logged."""
    real = type(lab.store).log

    def log(self, name, step, *rest):
        real(self, name, step, *rest)
        if step in moments:
            lab.change(name, **moments.pop(step))

    monkeypatch.setattr(type(lab.store), "log", log)


def test_a_change_is_taken_up_by_the_worker_at_the_next_step_and_marked(here, monkeypatch):
    with monkeypatch.context() as patch:
        told_at(here, patch, {4: {"kl_weight": 0.5, "lr": 1e-3}})
        name = carried_out(here, here.start(recipe()).id)
    assert [(c.knob, c.step) for c in changes.of(here.store, name)] == [("kl_weight", 5), ("lr", 5)]
    same = here.start(recipe())
    changes.add(here.store, same.id, {"kl_weight": (0.05, 0.5), "lr": (2e-4, 1e-3)}, step=5)
    carried_out(here, same.id)
    assert curves(here, name) == curves(here, same.id) and weights(here, name) == weights(here, same.id)
    plain = carried_out(here, here.start(recipe()).id)
    assert weights(here, plain) != weights(here, name)
    assert {k: v for k, v in curves(here, plain).items() if k[0] <= 4} == {k: v for k, v in curves(here, name).items() if k[0] <= 4}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("when", ["before it is stamped", "between stamp and step", "steps later"])
def test_a_run_killed_around_a_change_loses_neither_and_ends_bit_for_bit(when, here, monkeypatch):
    whole = here.start(recipe())
    changes.add(here.store, whole.id, {"kl_weight": (0.05, 0.5), "lr": (2e-4, 1e-3)}, step=6)
    carried_out(here, whole.id)
    name = here.start(recipe()).id
    real = Worker.turned

    def turned(self, run, recipe, step):
        if step == 6 and when == "before it is stamped":
            raise Killed
        found = real(self, run, recipe, step)
        if (step, when) in ((6, "between stamp and step"), (8, "steps later")):
            raise Killed
        return found

    with monkeypatch.context() as patch:
        told_at(here, patch, {5: {"kl_weight": 0.5, "lr": 1e-3}})
        patch.setattr(Worker, "turned", turned)
        with pytest.raises(Killed):
            Worker(here.home).carry_out(here.store.claim())
    here.store.sweep("killed")
    assert here.store.run(name).saved_step == (6 if when == "steps later" else 3)
    here.resume(name)
    if when == "before it is stamped":  # it waits still, and is taken up by the first step after the checkpoint
        assert [c.step for c in changes.of(here.store, name)] == [None, None]
        carried_out(here, name)
        assert [c.step for c in changes.of(here.store, name)] == [4, 4]
        return
    carried_out(here, name)
    assert [c.step for c in changes.of(here.store, name)] == [6, 6]
    assert curves(here, name) == curves(here, whole.id) and weights(here, name) == weights(here, whole.id)


def test_a_fork_without_a_change_ends_bit_for_bit_where_its_parent_ends(here):
    parent = here.start(recipe())
    changes.add(here.store, parent.id, {"kl_weight": (0.05, 0.5)}, step=2)
    changes.add(here.store, parent.id, {"lr": (2e-4, 1e-3)}, step=8)
    carried_out(here, parent.id)
    assert here.kept_steps(parent.id) == [3, 6, 9]
    for step in (3, 6):
        made = carried_out(here, here.fork(parent.id, step=step).id)
        assert curves(here, made) == curves(here, parent.id) and weights(here, made) == weights(here, parent.id)


def test_a_fork_is_its_parent_up_to_the_step_and_goes_its_own_way_after_it(here):
    parent = carried_out(here, here.start(recipe()).id)
    made = carried_out(here, here.fork(parent, step=6, kl_weight=2.0, lr=1e-3).id)
    mine, theirs = curves(here, made), curves(here, parent)
    assert {k: v for k, v in mine.items() if k[0] <= 6} == {k: v for k, v in theirs.items() if k[0] <= 6}
    assert mine[7, "score"] == theirs[7, "score"] and mine[7, "reward"] != theirs[7, "reward"]
    assert mine[8, "kl_seq"] != theirs[8, "kl_seq"] and weights(here, made) != weights(here, parent)
    assert here.rollout_rows(made, 6) == here.rollout_rows(parent, 6) != [] and here.rollout_steps(made) == list(range(1, 10))
    longer = carried_out(here, here.fork(made, step=6, steps=12, batch=2).id)
    assert here.store.run(longer).step == 12


def test_sft_and_reward_runs_fork_too(here, tiny):
    for start in (chain.knobs(tiny)["sft"], None):
        parent = here.start(here.recipe("sft-1").replace(steps=6, save_every=2) if start else here.recipe("reward-1").replace(epochs=3, save_every=1))
        carried_out(here, parent.id)
        step = here.kept_steps(parent.id)[0]
        made = carried_out(here, here.fork(parent.id, step=step).id)
        assert weights(here, made) == weights(here, parent.id)


def test_a_fork_whose_checkpoint_never_came_says_so_instead_of_starting_over(here):
    parent = carried_out(here, here.start(recipe()).id)
    made = here.fork(parent)
    assert made.parent_step == 6, "the last step after which something is left to do"
    kept.forget(here.home, made.id)
    Worker(here.home).carry_out(here.store.claim())
    assert here.store.run(made.id).state == "failed" and "never copied" in here.store.run(made.id).error
    assert here.store.run(made.id).error.endswith("fork again")


def test_many_checkpoints_are_thinned_to_a_bounded_number_spread_over_the_run(here):
    name = carried_out(here, here.start(recipe(steps=24, sample_every=1, reply_tokens=4)).id)
    there = here.kept_steps(name)
    assert len(there) <= kept.KEPT and (there[0], there[-1]) == (1, 24)
    assert max(b - a for a, b in pairwise(there)) <= 8
    assert checkpoints.load(kept.folder(here.home, name, there[3])).step == there[3]


@pytest.mark.slow
def test_a_change_survives_kill_9_of_a_real_worker(lab, monkeypatch):
    monkeypatch.setenv("WORKBENCH_IDLE_SECONDS", "1")
    name = lab.start(recipe(steps=24)).id
    until(lambda: lab.run(name).step >= 4)
    lab.change(name, kl_weight=0.5, temperature=0.9)
    until(lambda: changes.of(lab.store, name)[0].step is not None)
    stamp = changes.of(lab.store, name)[0].step
    until(lambda: lab.run(name).step >= stamp + 1)
    os.kill(worker_pid(lab), signal.SIGKILL)
    until(lambda: lab.run(name).state == "lost", 10)
    lab.resume(name)
    assert lab.wait(name, lambda run: None).state == "done"
    assert [c.step for c in changes.of(lab.store, name)] == [stamp, stamp]
    whole = lab.store.add_run("ppo", recipe(steps=24).to_json(), 24)
    changes.add(lab.store, whole.id, {"kl_weight": (0.05, 0.5), "temperature": (1.0, 0.9)}, step=stamp)
    lab.ensure_worker()
    lab.wait(whole.id, lambda run: None)
    assert weights(lab, name) == weights(lab, whole.id) and curves(lab, name) == curves(lab, whole.id)


# A worker of its own process; a person changes two knobs before step 6, and it is killed when they are stamped and the step has not begun.
KILLED_BETWEEN = """
import os, signal
from workbench.engine import worker
from workbench.lab import Lab
real = worker.Worker.turned
def turned(self, run, recipe, step):
    if step == 6:
        Lab(self.home).change(run.id, kl_weight=0.5, lr=1e-3)
    found = real(self, run, recipe, step)
    if step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
worker.Worker.turned = turned
worker.main()
"""


def test_kill_9_of_a_process_between_a_change_and_its_step_loses_neither(here):
    until(lambda: not here.worker_is_alive(), 60)  # the worker of the test before would take the run
    name = here.start(recipe()).id
    died = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, here.home], env={**os.environ, "WORKBENCH_IDLE_SECONDS": "1"}, check=False, timeout=300)
    assert died.returncode == -signal.SIGKILL
    here.store.sweep("killed")
    lost = here.store.run(name)
    assert (lost.state, lost.step, [(c.knob, c.step) for c in changes.of(here.store, name)]) == ("lost", 5, [("kl_weight", 6), ("lr", 6)])
    here.resume(name)
    carried_out(here, name)
    whole = here.start(recipe())
    changes.add(here.store, whole.id, {"kl_weight": (0.05, 0.5), "lr": (2e-4, 1e-3)}, step=6)
    carried_out(here, whole.id)
    assert curves(here, name) == curves(here, whole.id) and weights(here, name) == weights(here, whole.id)


def test_folders_of_checkpoints_are_whole_or_not_there(tmp_path: Path):
    home = tmp_path
    (home / "checkpoints").mkdir()
    assert kept.steps(home, "ppo-1") == [] and kept.step_of(kept.last_of(home, "ppo-1")) is None
    kept.shelve(home, "ppo-1")
    assert list((home / "checkpoints").iterdir()) == []
    assert kept.crowded([1, 5, 6, 7, 20]) in (5, 6)
