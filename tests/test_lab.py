"""The verbs without a worker: what is refused, with which words, and what is kept."""

from __future__ import annotations

import pytest

from workbench import Lab, PpoRecipe, ReplyRecipe, RewardRecipe, SftRecipe, checks, packs
from workbench.annotator import Annotator
from workbench.errors import AdapterError, CorpusError, LabError, ModelError, NotFound


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)
    return Lab(tmp_path / "lab")


def ranking_item(lab, k=3, **changes):
    replies = [{"adapter": "sft-1", "text": f"reply {i}"} for i in range(k)]
    [number] = lab.store.add_comparisons([{"kind": "ranking", "prompt": [{"role": "user", "content": "hi"}], "shown": list(range(k)),
                                           "state": "ready", "replies": replies, **changes}])
    return number


def test_start_returns_at_once_with_an_id(lab):
    run = lab.start(SftRecipe())
    assert (run.id, run.state) == ("sft-1", "queued")
    assert lab.recipe("sft-1") == SftRecipe()


@pytest.mark.parametrize(("recipe", "error", "message"), [
    (SftRecipe(model="no-such-model"), ModelError, "no model 'no-such-model'"),
    (SftRecipe(corpus="nothing"), CorpusError, "no corpus 'nothing'; there are .*customer-service"),
    (ReplyRecipe(adapters="sft-9"), AdapterError, "no adapter 'sft-9'"),
    (RewardRecipe(sft="sft-1"), CorpusError, "no ranking yet: rank some replies"),
    (RewardRecipe(sft="sft-1", preferences="customer-service"), CorpusError, "has no preferences"),
    (PpoRecipe(sft="sft-1", reward="sft-1"), AdapterError, "sft-1 is a run of sft; here a run of reward is needed"),
])
def test_what_cannot_work_is_refused_before_it_is_queued(lab, recipe, error, message):
    lab.start(SftRecipe())
    with pytest.raises(error, match=message):
        lab.start(recipe)
    assert len(lab.list_runs()) == 1


def test_a_folder_without_safetensors_is_refused(lab, tmp_path):
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytest_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="only safetensors are loaded"):
        lab.start(SftRecipe(model=str(tmp_path / "pickled")))


def test_a_chain_can_be_queued_before_its_first_run_is_done(lab):
    assert [run.id for run in lab.demo()] == ["sft-1", "replies-1", "reward-1", "ppo-1", "evaluate-1"]
    assert {lab.recipe(name).prompts for name in ("replies-1", "reward-1", "ppo-1", "evaluate-1")} == {"customer-service"}
    assert lab.recipe("ppo-1").needs() == ["sft-1", "reward-1"]


def test_a_demo_of_another_pack_is_about_that_pack_and_a_fast_one_learns_less(lab):
    lab.demo(pack="careful-advice", fast=True, sft={"steps": 5})
    assert (lab.recipe("sft-1").corpus, lab.recipe("sft-1").layers, lab.recipe("sft-1").steps) == ("careful-advice", 8, 5)
    assert {lab.recipe(name).prompts for name in ("replies-1", "reward-1", "ppo-1", "evaluate-1")} == {"careful-advice"}
    assert lab.recipe("ppo-1").value == "shared"
    assert {lab.recipe(name).reply_tokens for name in ("replies-1", "reward-1", "ppo-1", "evaluate-1")} == {packs.load("careful-advice").reply_tokens}
    with pytest.raises(CorpusError, match="there is no pack 'cooking'"):
        lab.demo(pack="cooking")


def test_a_queued_run_can_be_stopped_or_paused_and_resumed(lab):
    lab.start(SftRecipe())
    assert lab.pause("sft-1").state == "paused"
    assert lab.resume("sft-1").state == "queued"
    assert lab.stop("sft-1").state == "stopped"
    with pytest.raises(LabError, match="sft-1 is stopped; only a running or queued run can be told to pause"):
        lab.pause("sft-1")


def test_a_run_that_others_came_from_cannot_be_deleted(lab):
    lab.demo()
    lab.stop("sft-1")
    with pytest.raises(LabError, match="sft-1 is what replies-1, reward-1, ppo-1, evaluate-1 came from"):
        lab.delete("sft-1")
    lab.stop("evaluate-1")
    lab.delete("evaluate-1")
    with pytest.raises(NotFound):
        lab.run("evaluate-1")


@pytest.mark.parametrize("ranking", [[], [[]], [[0], [0]], [[0], [7]], [["a"]], [[0], []]])
def test_a_ranking_that_is_none_is_refused(lab, ranking):
    number = ranking_item(lab)
    with pytest.raises(CorpusError, match="is not an order of the 3 replies"):
        lab.judge(number, ranking)
    assert lab.store.comparison(number).state == "ready"


def test_rankings_become_preferences_and_can_be_taken_back(lab):
    number = ranking_item(lab)
    lab.judge(number, [[2], [0, 1]], annotator="ann")
    [row] = lab.rows("rankings", "preferences")
    assert (row.ranking, row.replies[2], row.annotator) == ([[2], [0, 1]], "reply 2", "ann")
    lab.undo_judgement(number)
    assert lab.to_rank()[0].id == number


def test_all_bad_and_skipped_are_kept_but_train_nothing(lab):
    lab.judge_bad(ranking_item(lab))
    lab.skip(ranking_item(lab))
    assert lab.ranking_counts() == {"bad": 1, "skipped": 1}
    with pytest.raises(CorpusError, match="no ranking yet"):
        lab.rows("rankings", "preferences")


def test_the_simulated_annotator_ranks_what_waits_and_says_that_it_did(lab):
    number = ranking_item(lab)
    assert lab.judge_simulated() == 1
    assert (lab.store.comparison(number).source, lab.store.comparison(number).annotator) == ("simulated", "simulated")


def test_every_item_is_judged_by_the_pack_that_its_prompt_came_from(lab, monkeypatch):
    def rank(judge, *_):
        judged.append(judge.rules["about"])
        return [[0], [1, 2]]

    judged: list[str] = []
    monkeypatch.setattr(Annotator, "rank", rank)
    for name in ("creative-writing", "customer-service", "my-file"):
        ranking_item(lab, settings={"prompts": name})
    assert lab.judge_simulated() == 3
    about = {name: packs.load(name).annotator().rules["about"] for name in packs.names()}
    assert judged == [about["creative-writing"], about["customer-service"], about["customer-service"]]


def test_no_pack_of_that_name_judges_nothing(lab):
    ranking_item(lab)
    with pytest.raises(CorpusError, match="no pack 'tea-house'"):
        lab.judge_simulated("tea-house")
    assert lab.ranking_counts() == {"ready": 1}


def test_a_question_must_be_one(lab):
    with pytest.raises(CorpusError, match="must not be empty"):
        lab.ask("  ", ["base"])
    with pytest.raises(AdapterError, match="no adapter 'ppo-3'"):
        lab.ask("hi", ["ppo-3"])
    with pytest.raises(AdapterError, match="name at least one adapter"):
        lab.ask("hi", [])


def test_an_imported_file_becomes_a_corpus_and_a_bad_one_changes_nothing(lab, tmp_path):
    good, bad = tmp_path / "talks.jsonl", tmp_path / "bad.jsonl"
    good.write_text('{"prompt": "Hi", "completion": "Hello"}\n{"prompt": "Bye", "completion": ""}\n')
    bad.write_text('{"prompt": "Hi", "completion": ""}\n')
    entry = lab.import_rows(good)
    assert (entry.name, entry.shape, entry.usable, entry.rejected) == ("talks", "demonstrations", 1, 1)
    assert "talks" in lab.corpora("demonstrations") and "talks" in lab.corpora("prompts")
    with pytest.raises(CorpusError, match="no usable row"):
        lab.import_rows(bad)
    assert [e.name for e in lab.store.corpora()] == ["talks"]


def test_a_lab_in_a_place_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="choose a folder you may write to"):
        Lab(tmp_path / "file" / "lab")


def test_the_base_alone_may_answer_too(lab):
    run = lab.start(ReplyRecipe(adapters="base"))
    assert checks.root_model(lab.store, run.id) == "smollm2-135m"
