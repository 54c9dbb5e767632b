"""Knobs that change on the way, forks and sweeps, as rows: what is refused, what is recorded, and from which step it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import Lab, SftRecipe, changes, checks, kept
from workbench.errors import CorpusError, LabError, NotFound, RecipeError
from workbench.recipes import PpoRecipe, RewardRecipe

PPO = PpoRecipe(sft="sft-1", reward="reward-1", steps=30)


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Lab:
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)
    return Lab(tmp_path / "lab")


@pytest.fixture
def ppo(lab) -> str:
    """A PPO run at work, that has come from two runs which are done."""
    for stage, recipe in (("sft", SftRecipe()), ("reward", RewardRecipe(sft="sft-1"))):
        run = lab.store.add_run(stage, recipe.to_json(), 10)
        lab.store.set_state(run.id, "done", ("queued",))
        (lab.home / "adapters" / run.id).mkdir()
        (lab.home / "adapters" / run.id / "adapter_config.json").write_text("{}")
    name = lab.store.add_run("ppo", PPO.to_json(), 30).id
    lab.store.claim()
    return name


@pytest.fixture(autouse=True)
def unswept(monkeypatch) -> None:
    monkeypatch.setattr("workbench.process.sweep", lambda store, home: None)


def taken(lab: Lab, name: str, step: int) -> list[tuple[str, object, int]]:
    return [(each.knob, each.new, each.step) for each in changes.take(lab.store, name, step)]


def checkpoint(lab: Lab, name: str, *steps: int) -> None:
    """What a worker leaves on the disk at these steps."""
    for step in steps:
        kept.shelve(lab.home, name)
        place = kept.last_of(lab.home, name)
        place.mkdir(exist_ok=True)
        for file, text in (("state.safetensors", f"tensors of {step}"), ("state.json", json.dumps({"step": step, "numbers": {}}))):
            (place / file).unlink(missing_ok=True)  # another file, as a save makes it: what is linked elsewhere stays
            (place / file).write_text(text)
        lab.store.mark_saved(name, step)


def tensors(place: Path) -> str:
    return (place / "state.safetensors").read_text()


# --- live knobs


def test_a_change_waits_for_the_next_step_and_is_stamped_with_it(lab, ppo):
    [change] = lab.change(ppo, kl_weight=0.1)
    assert (change.knob, change.old, change.new, change.step, change.origin) == ("kl_weight", 0.05, 0.1, None, "live")
    assert taken(lab, ppo, 8) == [("kl_weight", 0.1, 8)]
    assert taken(lab, ppo, 9) == [("kl_weight", 0.1, 8)]
    assert taken(lab, ppo, 7) == [], "a step before it does without"
    assert lab.changes(ppo)[["knob", "old", "new", "step"]].values.tolist() == [["kl_weight", 0.05, 0.1, 8]]


def test_the_recipe_of_a_step_has_what_was_changed_up_to_there(lab, ppo):
    lab.change(ppo, kl_weight=0.1)
    changes.take(lab.store, ppo, 4)
    lab.change(ppo, kl_weight=0.2, lr=1e-5)
    changes.take(lab.store, ppo, 9)
    run = lab.run(ppo)
    assert [checks.recipe_at(lab.store, run, step).kl_weight for step in (3, 4, 8, 9)] == [0.05, 0.1, 0.1, 0.2]
    assert lab.recipe(ppo) == PPO, "what it began with stays as it was"


def test_what_waits_already_counts_for_the_next_change(lab, ppo):
    lab.change(ppo, kl_weight=0.1)
    assert lab.recipe_now(ppo).kl_weight == 0.1
    [change] = lab.change(ppo, kl_weight=0.2)
    assert change.old == 0.1
    assert taken(lab, ppo, 5)[-1] == ("kl_weight", 0.2, 5)


def test_a_run_back_at_its_checkpoint_repeats_what_it_was_told_unless_told_otherwise(lab, ppo):
    lab.change(ppo, kl_weight=0.1)
    changes.take(lab.store, ppo, 12)
    lab.change(ppo, temperature=1.0)
    changes.take(lab.store, ppo, 13)
    assert taken(lab, ppo, 11) == [], "at the checkpoint of step 10 nothing was changed"
    assert taken(lab, ppo, 12) == [("kl_weight", 0.1, 12)]
    lab.change(ppo, kl_weight=0.3)
    assert taken(lab, ppo, 11) == [("kl_weight", 0.3, 11)]
    assert taken(lab, ppo, 13) == [("kl_weight", 0.3, 11), ("temperature", 1.0, 13)]


@pytest.mark.parametrize(("knobs", "message"), [
    ({"kl_wait": 0.1}, "PpoRecipe has no knob 'kl_wait'; it has sft, reward"),
    ({"batch": 8}, "batch cannot change while a run goes on; of PPO lr, kl_weight, temperature, value_lr, target_kl, no_end_penalty, length_penalty can; fork"),
    ({"kl_weight": -1.0}, r"kl_weight is -1.0; it must be between 0.0 and 1000.0 \(reward given up"),
    ({"kl_weight": "much"}, "kl_weight is 'much'; it must be a float"),
    ({"kl_weight": 0.05}, "nothing to change: ppo-1 already has kl_weight 0.05"),
    ({}, "nothing to change"),
])
def test_a_change_that_cannot_be_is_refused_with_the_reason(lab, ppo, knobs, message):
    with pytest.raises(RecipeError, match=message):
        lab.change(ppo, **knobs)
    assert changes.of(lab.store, ppo) == []


def test_one_bad_knob_refuses_them_all(lab, ppo):
    with pytest.raises(RecipeError):
        lab.change(ppo, kl_weight=0.1, temperature=99.0)
    assert changes.of(lab.store, ppo) == []


def test_a_run_that_is_over_or_unknown_cannot_be_changed(lab, ppo):
    with pytest.raises(LabError, match="sft-1 is done; only a run that goes on or waits can be changed; fork it instead"):
        lab.change("sft-1", lr=1e-5)
    with pytest.raises(NotFound):
        lab.change("ppo-9", lr=1e-5)


def test_the_doctor_sees_the_knobs_as_they_are_now(lab, ppo):
    for step in range(1, 13):
        lab.store.log(ppo, step, 30, {"approx_kl": 0.4, "kl_seq": 0.0, "score": 0.1 * step, "score_sd": 1.0})
    lab.change(ppo, lr=1e-4)
    remedy = next(f.remedy for f in lab.doctor(ppo) if "lr" in f.remedy)
    assert remedy["lr"] == pytest.approx(3.3e-5)


# --- forks


def test_a_fork_has_its_parents_checkpoint_curves_and_recipe_but_for_what_it_changes(lab, ppo):
    for step in range(1, 9):
        lab.store.log(ppo, step, 30, {"score": float(step)})
        lab.store.add_samples(ppo, step, [([{"role": "user", "content": "hi"}], f"reply {step}", {})])
    checkpoint(lab, ppo, 5)
    made = lab.fork(ppo, kl_weight=0.1)
    assert (made.id, made.state, made.step, made.saved_step, made.parent, made.parent_step) == ("ppo-2", "queued", 5, 5, ppo, 5)
    assert lab.recipe(made.id) == PPO.replace(kl_weight=0.1)
    assert lab.metrics(made.id)["score"].tolist() == [1, 2, 3, 4, 5] and sorted(lab.samples(made.id)["step"]) == [1, 2, 3, 4, 5]
    assert kept.step_of(kept.last_of(lab.home, made.id)) == 5
    assert [(c.knob, c.old, c.new, c.step, c.origin) for c in changes.of(lab.store, made.id)] == [("kl_weight", 0.05, 0.1, 6, "fork")]


def test_a_fork_begins_at_any_step_that_was_kept(lab, ppo):
    checkpoint(lab, ppo, 5, 10, 15)
    assert lab.kept_steps(ppo) == [5, 10, 15]
    made = lab.fork(ppo, step=10)
    assert tensors(kept.last_of(lab.home, made.id)) == "tensors of 10"
    checkpoint(lab, ppo, 20)
    assert tensors(kept.last_of(lab.home, made.id)) == "tensors of 10", "its parent going on does not reach it"
    with pytest.raises(LabError, match="kept no checkpoint of step 7; it has those of steps 5, 10, 15, 20"):
        lab.fork(ppo, step=7)


def test_a_fork_repeats_what_its_parent_was_told_but_for_its_own_knobs(lab, ppo):
    for step, knobs in ((3, {"kl_weight": 0.1}), (12, {"kl_weight": 0.2}), (14, {"temperature": 1.0})):
        lab.change(ppo, **knobs)
        changes.take(lab.store, ppo, step)
    checkpoint(lab, ppo, 10)
    same, other = lab.fork(ppo), lab.fork(ppo, kl_weight=0.4)
    assert taken(lab, same.id, 30) == [("kl_weight", 0.1, 3), ("kl_weight", 0.2, 12), ("temperature", 1.0, 14)]
    assert lab.recipe(same.id).kl_weight == 0.1, "it begins as its parent was at that step"
    assert taken(lab, other.id, 30) == [("kl_weight", 0.1, 3), ("kl_weight", 0.4, 11), ("temperature", 1.0, 14)]


def test_a_fork_survives_its_parent(lab, ppo):
    checkpoint(lab, ppo, 5, 10)
    made = lab.fork(ppo, step=5)
    lab.store.set_state(ppo, "done", ("running",))
    lab.delete(ppo)
    assert tensors(kept.last_of(lab.home, made.id)) == "tensors of 5"
    assert [p.name for p in (lab.home / "checkpoints").iterdir()] == [made.id], "the parent's kept checkpoints are gone with it"


@pytest.mark.parametrize(("knobs", "message"), [
    ({"value": "shared"}, "value cannot change in a fork: the checkpoint fits value own only; start a new run instead"),
    ({"reward": "reward-2"}, "reward cannot change in a fork"),
    ({"kl_weight": -1.0}, "kl_weight is -1.0; it must be between"),
    ({"pace": 1}, "has no knob 'pace'"),
    ({"steps": 5}, "steps is 5, and ppo-1 has taken 5 there"),
    ({"minibatch": 5}, "minibatch 5 does not divide batch 16"),
])
def test_a_fork_that_the_checkpoint_does_not_fit_is_refused_and_leaves_nothing(lab, ppo, knobs, message):
    checkpoint(lab, ppo, 5)
    with pytest.raises(RecipeError, match=message):
        lab.fork(ppo, **knobs)
    assert len(lab.list_runs()) == 3 and len(list((lab.home / "checkpoints").iterdir())) == 1


def test_a_run_without_a_checkpoint_cannot_be_forked_and_the_message_says_what_can(lab, ppo):
    with pytest.raises(LabError, match="no checkpoint to fork from yet; start a new run"):
        lab.fork(ppo, kl_weight=0.1)


# --- sweeps


def test_a_sweep_queues_a_run_per_combination(lab):
    made = lab.sweep(SftRecipe(), lr=[1e-4, 1e-3], rank=[4, 8])
    assert [(lab.recipe(run.id).lr, lab.recipe(run.id).rank) for run in made] == [(1e-4, 4), (1e-4, 8), (1e-3, 4), (1e-3, 8)]


def test_a_sweep_of_a_run_forks_it_once_per_value(lab, ppo):
    checkpoint(lab, ppo, 5)
    made = lab.sweep(ppo, kl_weight=[0.05, 0.1, 0.2])
    assert [(run.parent, lab.recipe(run.id).kl_weight) for run in made] == [(ppo, 0.05), (ppo, 0.1), (ppo, 0.2)]


def test_a_sweep_whose_last_value_cannot_be_used_queues_nothing(lab, ppo):
    checkpoint(lab, ppo, 5)
    before = len(lab.store.runs())
    with pytest.raises(RecipeError, match="has taken 5 there"):
        lab.sweep(ppo, 5, steps=[20, 5])
    with pytest.raises(CorpusError, match="nope"):
        lab.sweep(lab.recipe(ppo), prompts=["customer-service", "nope"])
    assert len(lab.store.runs()) == before


def test_a_change_that_came_too_late_for_a_step_does_not_hold(lab, ppo):
    lab.store.log(ppo, 3, 30, {"score": 0.1})
    lab.change(ppo, kl_weight=0.5)
    assert lab.recipe_now(ppo).kl_weight == 0.5
    assert lab.store.set_state(ppo, "stopped", ("running", "queued")) and lab.recipe_now(ppo).kl_weight == 0.5, "it holds when it is resumed"
    assert lab.store.set_state(ppo, "done", ("stopped",)) and lab.recipe_now(ppo).kl_weight == 0.05 and lab.changes(ppo).empty


@pytest.mark.parametrize(("values", "message"), [
    ({"lr": [1e-4, 2.0]}, "lr is 2.0; it must be between"), ({"pace": [1]}, "no knob 'pace'"), ({}, "a sweep needs a knob"),
    ({"lr": []}, "a sweep needs a knob"), ({"seed": list(range(65))}, "65 runs is too many at once"),
])
def test_a_sweep_with_a_bad_value_queues_nothing(lab, values, message):
    with pytest.raises(RecipeError, match=message):
        lab.sweep(SftRecipe(), **values)
    assert lab.list_runs() == []
