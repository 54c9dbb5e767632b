"""Where items to rank come from: written ahead, a corpus again, what the reward model doubts."""

from __future__ import annotations

import json

import pytest

from apps.ranking import Desk
from workbench import desk
from workbench.errors import CorpusError
from workbench.lab import Lab
from workbench.recipes import ReplyRecipe
from workbench.records import Doubt
from workbench.supply import FEW, MORE

ASKED = [{"role": "user", "content": "Are you open?"}]
ROW = {"kind": "ranking", "prompt": ASKED, "shown": [0, 1], "state": "ready", "replies": [{"adapter": "base", "text": "a"}, {"adapter": "base", "text": "b"}]}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)  # these claims are about rows; nobody needs to work
    return Lab(tmp_path / "lab")


def ended(lab, state="done"):
    [run] = [run for run in lab.store.runs() if run.state == "queued"]
    lab.store.set_state(run.id, state, ("queued",))
    return run.id


def test_more_is_written_before_the_desk_is_empty_and_never_twice(lab):
    recipe = ReplyRecipe(adapters="base", count=150, k=2)
    lab.start(recipe)
    ended(lab)
    lab.write_ahead(recipe)
    numbers = lab.store.add_comparisons([ROW] * (FEW + 1))
    assert lab.keep_ahead() is None, "enough is left"
    state = Desk(lab).rank_save({"id": numbers[0], "choice": "skip"})
    assert lab.keep_ahead() is None and state["to_do"] == FEW and not state["writing"]
    state = Desk(lab).rank_save({"id": numbers[1], "choice": "skip"})
    [run] = state["writing"]
    assert "base answers 20 more prompts by itself" in state["ahead"]
    queued = lab.recipe(run["id"])
    assert (queued.count, queued.k, queued.seed) == (MORE, 2, 1), "other words than the first batch"
    assert lab.keep_ahead() is None, "one is on its way"


def test_writing_ahead_can_be_ended_and_ends_itself_when_it_fails(lab):
    recipe = ReplyRecipe(adapters="base", count=3)
    lab.write_ahead(recipe)
    assert lab.written_ahead() == recipe
    assert Desk(lab).rank_ahead({})["ahead"] == "" and lab.keep_ahead() is None
    lab.write_ahead(recipe)
    assert lab.keep_ahead().stage == "replies"
    ended(lab, "failed")
    assert lab.keep_ahead() is None and lab.written_ahead() is None


def test_a_corpus_is_ranked_again_blind_and_no_row_twice(lab, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"p{at}", "chosen": f"good {at}", "rejected": f"bad {at}"}) for at in range(12)))
    lab.import_rows(path)
    assert [lab.rank_again("pairs", 8), lab.rank_again("pairs", 8)] == [8, 4]
    found = lab.to_rank(limit=100)
    assert {c.prompt[-1]["content"] for c in found} == {f"p{at}" for at in range(12)} and {tuple(c.shown) for c in found} == {(0, 1), (1, 0)}
    with pytest.raises(CorpusError, match="no more rows to rank: 12 of 12"):
        lab.rank_again("pairs")
    lab.judge(found[0], [[1], [0]], annotator="ada")
    [own] = lab.rows("rankings", "preferences")
    assert (own.annotator, own.ranking) == ("ada", [[1], [0]]) and len(lab.rows("pairs", "preferences")) == 12


def test_only_imports_are_ranked_again(lab):
    with pytest.raises(CorpusError, match="judged itself"):
        lab.rank_again("rankings")
    with pytest.raises(CorpusError, match="no corpus"):
        lab.rank_again("nowhere")


def test_a_reward_model_is_not_asked_about_nothing(lab):
    with pytest.raises(CorpusError, match="nothing waits to be ranked"):
        lab.doubt("reward-1")


def test_the_most_doubtful_comes_first(lab):
    numbers = lab.store.add_comparisons([ROW] * 3)
    desk.set_doubts(lab.store, [Doubt(numbers[1], 0.1, [2.0, 0.0]), Doubt(numbers[2], 0.25, [0.5, 0.5])])
    assert [reply.record for reply in lab.store.comparison(numbers[1]).replies] == [{"score": 2.0}, {"score": 0.0}]
    seen = []
    for _ in numbers:
        handed = lab.hand_out("ada")
        seen.append(handed.comparison.id)
        lab.judge(handed.comparison, [[0], [1]], annotator="ada")
    assert seen == [numbers[2], numbers[1], numbers[0]]
