"""Typed replies: scored as PPO would score them, token by token, by the worker, and dropped when something newer is typed."""

from __future__ import annotations

import pytest
import torch

from tests.roles import stir, with_four_roles, with_sft
from workbench import Lab, RewardRecipe, SftRecipe, trials
from workbench.engine import rollout, scratch, talk
from workbench.engine.batches import pad
from workbench.engine.worker import waiting
from workbench.errors import AdapterError, CorpusError, LabError, NotFound, RecipeError

PROMPT = [{"role": "user", "content": "Are you open?"}]
REPLIES = ["Yes, until six.", "No"]


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Lab:
    monkeypatch.setattr("workbench.process.ensure", lambda store, home: None)  # these tests are the worker
    return Lab(tmp_path / "lab")


@pytest.fixture(params=["tiny", "tiny_gpt2"])
def backbone(request, lab):
    """A lab with two finished reward models, and a fresh base."""
    model = request.getfixturevalue(request.param)
    donor = with_four_roles(model)
    runs = [lab.store.add_run("sft", SftRecipe(model=model).to_json(), 1)]
    donor.save("sft", lab.home / "adapters" / "sft-1", {})
    for seed in (5, 6):
        stir(donor, "reward", seed=seed)
        runs.append(lab.store.add_run("reward", RewardRecipe(sft="sft-1").to_json(), 1))
        donor.save("reward", lab.home / "adapters" / runs[-1].id, {})
    for run in runs:
        lab.store.set_state(run.id, "done", ("queued",))
    return with_sft(model)


def alone(backbone, role: str, text: str) -> float:
    """The head's reading of a row without any padding."""
    ids, attention = pad([backbone.chat.prompt(PROMPT) + backbone.chat.reply(text)])
    with backbone.role(role), torch.no_grad():
        return float(rollout.last_scores(backbone, role, ids, attention)[0])


def test_a_typed_reply_is_scored_whole_and_as_if_it_ended_after_each_token(lab, backbone):
    trial = lab.try_out("Are you open?", REPLIES, "reward-1")
    assert trial.state == "waiting" and waiting(lab.store).id == trial.id and lab.store.has_work()
    talk.score(lab.store, backbone, lab.home / "adapters", trial)
    found = lab.trial(trial.id)
    assert found.state == "done" and not lab.store.has_work()
    for text, scored in zip(REPLIES, found.answers, strict=True):
        assert scored.score == pytest.approx(alone(backbone, "reward-1", text), abs=1e-4)
        assert "".join(scored.pieces) == text and len(scored.trace) == len(scored.pieces) + 1
        assert scored.trace[-1] == pytest.approx(scored.score, abs=1e-4) and scored.trace[0] == pytest.approx(alone(backbone, "reward-1", ""), abs=1e-4)
        assert scored.trace[2] == pytest.approx(alone(backbone, "reward-1", text[:2]), abs=1e-4), "the toy's tokens are letters"


def test_a_mixed_reward_tells_its_parts(lab, backbone):
    trial = lab.try_out(PROMPT, REPLIES, "2*min(reward-1, reward-2) + rule:customer-service - 0.5*length")
    talk.score(lab.store, backbone, lab.home / "adapters", trial)
    [first, _] = lab.trial(trial.id).answers
    parts = {name: (weight, says) for name, weight, says in first.parts}
    assert parts["min(reward-1, reward-2)"][1] == pytest.approx(min(alone(backbone, name, REPLIES[0]) for name in ("reward-1", "reward-2")), abs=1e-4)
    assert parts["length"] == (-0.5, pytest.approx((len(REPLIES[0]) + 1) / scratch.ROOM))
    assert first.score == pytest.approx(sum(weight * says for weight, says in parts.values()), abs=1e-4)


def test_what_was_typed_before_is_dropped_and_its_writing_ends(lab, backbone):
    first = lab.try_out(PROMPT, ["Yes"], "reward-1", pad="a")
    other = lab.try_out(PROMPT, ["Yes"], "reward-1", pad="b")
    second = lab.try_out(PROMPT, ["Yes, we"], "reward-1", pad="a")
    with pytest.raises(NotFound, match="something newer took its place"):
        lab.trial(first.id)
    assert waiting(lab.store).id == other.id
    talk.score(lab.store, backbone, lab.home / "adapters", first)
    assert lab.trial(second.id).answers == [] and lab.trial(second.id).state == "waiting"


def test_a_long_reply_is_scored_at_some_of_its_tokens(lab, backbone, monkeypatch):
    monkeypatch.setattr(scratch, "POINTS", 4)
    trial = lab.try_out(PROMPT, ["abcdefghij", ""], "reward-1")
    talk.score(lab.store, backbone, lab.home / "adapters", trial)
    [long, empty] = lab.trial(trial.id).answers
    assert len(long.trace) == 11 and long.trace[1] == pytest.approx((2 * long.trace[0] + long.trace[3]) / 3)
    assert empty.trace == [pytest.approx(empty.score, abs=1e-4)] and empty.pieces == []


@pytest.mark.parametrize(("ask", "error", "fault"), [
    (lambda lab: lab.try_out("  ", ["a"], "reward-1"), CorpusError, "must not be empty"),
    (lambda lab: lab.try_out(PROMPT, ["a" * 20_001], "reward-1"), LabError, "20,001 characters"),
    (lambda lab: lab.try_out(PROMPT, ["a"], "reward-7"), AdapterError, "no adapter 'reward-7'"),
    (lambda lab: lab.try_out(PROMPT, ["a"], "reward-1 +"), RecipeError, "a reward is missing"),
    (lambda lab: lab.try_out(PROMPT, ["a"], "os:system"), RecipeError, "not allowed in this lab"),
])
def test_what_cannot_be_scored_is_refused_before_it_is_queued(lab, ask, error, fault):
    with pytest.raises(error, match=fault):
        ask(lab)
    assert trials.waiting(lab.store) is None


def test_a_prompt_that_is_too_long_fails_with_its_length(lab, backbone):
    trial = lab.try_out("word " * 2000, ["a"], "reward-1")
    with pytest.raises(CorpusError, match="tokens; at most 4000 are scored"):
        talk.score(lab.store, backbone, lab.home / "adapters", trial)


def test_old_trials_are_cleared_away(lab, monkeypatch):
    monkeypatch.setattr(trials, "KEPT", 2)
    made = [trials.add(lab.store, "m", "length", PROMPT, ["a"]) for _ in range(2)]
    trials.write(lab.store, made[0].id, [], "done")
    for _ in range(3):
        trials.add(lab.store, "m", "length", PROMPT, ["a"])
    assert not lab.store.read("select 1 from trials where id=?", made[0].id)
    assert trials.read(lab.store, made[1].id).state == "waiting", "what nobody answered yet stays"
