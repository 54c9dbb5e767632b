"""The life of a run in a real worker process: done, talked to, killed, resumed, paused, failed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests import chain
from workbench import Lab, PpoRecipe, RewardRecipe, SftRecipe
from workbench.engine import worker
from workbench.errors import LabError, RunFailed
from workbench.recipes import ReplyRecipe

pytestmark = pytest.mark.slow


def until(claim: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def quiet(run) -> None:
    pass


def worker_pid(lab: Lab) -> int:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "workbench.engine.worker" in command and str(lab.home) in command:
                return int(folder.name)
    raise AssertionError("no worker process")


@pytest.fixture(scope="module")
def lab(tiny, tmp_path_factory):
    """A lab in which the whole chain has run once."""
    os.environ["WORKBENCH_IDLE_SECONDS"] = "5"
    found = Lab(tmp_path_factory.mktemp("worker") / "lab")
    chain.run_demo(found, tiny)
    return found


def long_ppo(lab: Lab) -> PpoRecipe:
    return PpoRecipe(sft="sft-1", reward="reward-1", **{**chain.SMALL["ppo"], "steps": 30, "sample_every": 4, "precision": "fp32"})


@pytest.fixture(scope="module")
def whole(lab):
    """The long run as it ends when nothing comes between."""
    return lab.wait(lab.start(long_ppo(lab)).id, quiet).id


def weights(lab: Lab, name: str) -> dict[str, bytes]:
    tensors = load_file(lab.home / "adapters" / name / "adapter_model.safetensors")
    return {key: value.numpy().tobytes() for key, value in tensors.items()}


def test_the_chain_runs_from_demonstrations_to_a_held_out_table(lab):
    assert list(lab.runs().index) == ["sft-1", "replies-1", "reward-1", "ppo-1", "evaluate-1"]
    assert set(lab.runs().state) == {"done"}
    table = lab.summary("evaluate-1")
    assert 0 <= table["low"] <= table["win_rate"] <= table["high"] <= 1
    assert table["n"] == 6 and table["judge"] == "simulated" and table["perplexity_a"] > 1
    assert lab.win_rate("ppo-1", "sft-1")["n"] == 6
    assert lab.metrics("ppo-1").loc[1, ["kl_seq", "first_ratio_dev"]].tolist() == [0.0, 0.0]
    assert lab.ranking_counts() == {"judged": 10}
    assert {"prompt", "reply", "score"} <= set(lab.samples("ppo-1").columns)
    assert lab.rollouts("ppo-1").step.tolist() == [1, 2, 3] and not lab.rollout_tokens("ppo-1", 1).kl.any()


def test_two_adapters_and_the_base_answer_the_same_question(lab):
    asked = lab.ask("Hello?", ["sft-1", "ppo-1", "base"], reply_tokens=8, seed=3)
    answered = lab.answer(asked.id, 90)
    assert answered.state == "ready"
    assert [r.adapter for r in answered.replies] == ["sft-1", "ppo-1", "base"]
    assert all(0 < r.tokens <= 8 for r in answered.replies)
    lab.judge(answered, [[1], [0, 2]])
    assert lab.win_rate("ppo-1", "sft-1")["n"] == 7


def test_a_typed_reply_is_scored_by_the_worker_also_while_a_run_trains(lab):
    alone = lab.score("Hello?", "Good day", "reward-1", 90)
    assert len(alone.trace) == len(alone.pieces) + 1 and alone.trace[-1] == pytest.approx(alone.score, abs=1e-4)
    busy = lab.start(long_ppo(lab).replace(steps=5000, sample_every=5000, record=0.0))
    until(lambda: lab.run(busy.id).step >= 1)
    mixed = lab.score("Hello?", "Good day", "2*reward-1 + rule:customer-service", 90)
    assert lab.run(busy.id).state == "running", "between two of its steps"
    assert dict((name, says) for name, _, says in mixed.parts)["reward-1"] == pytest.approx(alone.score, abs=1e-4)
    lab.stop(busy.id)
    lab.wait(busy.id, quiet)


def test_a_killed_run_says_so_the_queue_goes_on_and_resume_ends_bit_for_bit(lab, whole):
    killed, behind = lab.start(long_ppo(lab)), lab.start(SftRecipe(model=lab.recipe("sft-1").model, **{**chain.SMALL["sft"], "precision": "fp32"}))
    until(lambda: lab.run(killed.id).step >= 9)
    os.kill(worker_pid(lab), signal.SIGKILL)
    until(lambda: lab.run(killed.id).state == "lost", 10)
    lost = lab.run(killed.id)
    assert "ended without a word" in lost.error and "Resume goes on from there" in lost.error
    assert lost.saved_step >= 8
    assert lab.wait(behind.id, quiet).state == "done"
    lab.resume(killed.id)
    assert lab.wait(killed.id, quiet).state == "done"
    assert weights(lab, killed.id) == weights(lab, whole) and lab.rollout_rows(killed.id) == lab.rollout_rows(whole)
    columns = [c for c in lab.metrics(whole).columns if "second" not in c]
    assert lab.metrics(killed.id)[columns].equals(lab.metrics(whole)[columns])


def test_pause_keeps_everything_and_resume_ends_bit_for_bit(lab, whole):
    run = lab.start(long_ppo(lab))
    until(lambda: lab.run(run.id).step >= 5)
    lab.pause(run.id)
    until(lambda: lab.run(run.id).state == "paused")
    assert lab.run(run.id).saved_step == lab.run(run.id).step < 30
    assert run.id in lab.adapters(), "a paused policy can be talked to"
    lab.resume(run.id)
    assert lab.wait(run.id, quiet).state == "done"
    assert run.id != whole and weights(lab, run.id) == weights(lab, whole)


def test_stop_saves_the_adapter(lab):
    run = lab.start(long_ppo(lab))
    until(lambda: lab.run(run.id).step >= 2)
    lab.stop(run.id)
    assert lab.wait(run.id, quiet).state == "stopped"
    assert run.id in lab.adapters()


def test_a_run_whose_forerunner_failed_says_which_and_why(lab, tiny):
    bad = lab.start(SftRecipe(model=tiny, max_tokens=16, precision="fp32"))
    after = lab.start(ReplyRecipe(adapters=bad.id, count=2))
    with pytest.raises(RunFailed, match="longer than max_tokens 16"):
        lab.wait(bad.id, quiet)
    with pytest.raises(RunFailed, match=f"it needs {bad.id}, which is failed"):
        lab.wait(after.id, quiet)


def test_a_full_disk_fails_the_run_with_a_cure_and_keeps_what_was_saved(lab, tiny, monkeypatch):
    """A worker whose disk takes no checkpoint, on a real small file system if there is one to be had."""
    from workbench.engine import checkpoints
    from workbench.engine.worker import Worker
    from workbench.errors import DiskFull

    small = Lab(lab.home.parent / "full")
    run = small.store.add_run("sft", SftRecipe(model=tiny, **{**chain.SMALL["sft"], "steps": 6, "precision": "fp32"}).to_json(), 6)
    real = checkpoints.save_file
    calls = []

    def full(*args):
        calls.append(args)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(*args)

    monkeypatch.setattr(checkpoints, "save_file", full)
    worker = Worker(small.home)
    worker.carry_out(small.store.claim())
    failed = small.run(run.id)
    assert failed.state == "failed" and "free some room and resume" in failed.error
    assert checkpoints.load(small.home / "checkpoints" / run.id).step == failed.saved_step == 2
    assert issubclass(DiskFull, Exception)
    monkeypatch.setattr(checkpoints, "save_file", real)
    small.store.set_state(run.id, "queued", ("failed",))
    worker.carry_out(small.store.claim())
    assert small.run(run.id).state == "done"


def test_a_run_killed_after_its_last_step_leaves_its_adapter_when_resumed(lab, tiny, monkeypatch):
    from workbench.engine.worker import Worker

    other = Lab(lab.home.parent / "late")
    run = other.store.add_run("sft", SftRecipe(model=tiny, **{**chain.SMALL["sft"], "steps": 2, "precision": "fp32"}).to_json(), 2)
    worker = Worker(other.home)

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(worker, "leave_adapter", killed)
        worker.carry_out(other.store.claim())
    other.find_lost()
    assert other.run(run.id).state == "lost" and other.run(run.id).saved_step == 2
    other.store.set_state(run.id, "queued", ("lost",))
    worker.carry_out(other.store.claim())
    assert other.run(run.id).state == "done" and other.adapters() == [run.id]


def test_a_question_that_breaks_fails_alone_and_says_why(lab, monkeypatch):
    from workbench.engine import talk
    from workbench.engine.worker import Worker

    def broken(*args):
        raise RuntimeError("the decoder broke")

    other = Lab(lab.home.parent / "asking")
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)
    monkeypatch.setattr(talk, "answer", broken)
    asked = other.ask("Hi", ["base"])
    worker = Worker(other.home)
    monkeypatch.setattr(worker, "backbone_for", lambda model, precision: None)
    assert worker.answer_one()
    with pytest.raises(LabError, match="the decoder broke"):
        other.answer(asked.id)


def test_a_reward_run_trains_on_what_a_person_ranked(lab):
    replies = lab.start(ReplyRecipe(adapters="sft-1", count=6, k=3, reply_tokens=8, annotator="person", temperature=1.0, precision="fp32"))
    lab.wait(replies.id, quiet)
    waiting = lab.to_rank(limit=100)
    assert len(waiting) == 6
    for item in waiting:
        lab.judge(item, [[2], [0, 1]], annotator="ann")
    assert lab.to_rank() == []
    reward = lab.start(RewardRecipe(sft="sft-1", **{**chain.SMALL["reward"], "precision": "fp32"}))
    assert lab.wait(reward.id, quiet).state == "done"


def test_members_of_an_ensemble_differ_and_ppo_practises_with_their_worst_case(lab):
    made = [run.id for run in lab.ensemble(RewardRecipe(sft="sft-1", **{**chain.SMALL["reward"], "precision": "fp32"}), members=2)]
    assert all(lab.wait(name, quiet).state == "done" for name in made)
    first, second = (lab.held_out(name) for name in made)
    assert first.reply.tolist() == second.reply.tolist() and first.score.tolist() != second.score.tolist()
    ppo = lab.wait(lab.start(long_ppo(lab).replace(reward=f"min({', '.join(made)})", steps=1)).id, quiet)
    assert ppo.state == "done" and lab.metrics(ppo.id).loc[1, "kl_seq"] == 0


def test_out_of_memory_halves_the_micro_batch_says_so_and_goes_on(lab, tiny, monkeypatch):
    from workbench.engine import sft
    from workbench.engine.worker import Worker

    small = Lab(lab.home.parent / "small-memory")
    knobs = {**chain.SMALL["sft"], "model": tiny, "precision": "fp32"}
    runs = [small.store.add_run("sft", SftRecipe(**{**knobs, "micro_batch": size}).to_json(), 3) for size in (4, 2)]
    worker, real, tried = Worker(small.home), sft.learn, []

    def learn(backbone, stepper, batch, micro_batch):
        tried.append(micro_batch)
        if micro_batch > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99999999999 bytes")
        return real(backbone, stepper, batch, micro_batch)

    notes, log = [], small.store.__class__.log
    monkeypatch.setattr(small.store.__class__, "log", lambda self, *rest: (notes.append(rest[4]), log(self, *rest))[1])
    monkeypatch.setattr(sft, "learn", learn)
    for _ in runs:
        worker.carry_out(small.store.claim())
    assert tried == [4, 2, 2, 2, 2, 2, 2]
    assert {small.run(run.id).state for run in runs} == {"done"}
    assert weights(small, runs[0].id) == weights(small, runs[1].id)
    assert all("micro_batch 4; going on with 2" in note for note in notes[:3]) and notes[3:] == ["", "", ""]


def test_out_of_memory_with_nothing_left_to_halve_ends_the_run_with_the_cure(lab, tiny, monkeypatch):
    from workbench.engine import sft
    from workbench.engine.worker import Worker

    small = Lab(lab.home.parent / "no-memory")
    run = small.store.add_run("sft", SftRecipe(**{**chain.SMALL["sft"], "model": tiny, "precision": "fp32"}).to_json(), 3)

    def learn(*args):
        raise MemoryError("no room")

    monkeypatch.setattr(sft, "learn", learn)
    Worker(small.home).carry_out(small.store.claim())
    assert small.run(run.id).state == "failed" and "lower micro_batch" in small.run(run.id).error


def test_a_worker_that_never_waits_still_takes_what_is_queued(tmp_path, monkeypatch):
    alone = Lab(tmp_path / "lab")
    reward, ppo = (alone.store.add_run(recipe.stage, recipe.to_json(), 1).id
                   for recipe in (RewardRecipe(sft="sft-1"), PpoRecipe(sft="sft-1", reward="reward-1")))
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(worker.Worker, "check_needs", refused)
    worker.Worker(alone.home).live()
    assert [(alone.run(name).state, alone.run(name).error) for name in (reward, ppo)] == [("failed", "not today")] * 2


def refused(self, run):
    raise LabError("not today")
