"""Judgements: one per comparison and annotator, kept whole, taken back whole; and what trains on them."""

from __future__ import annotations

import pytest

from workbench import judgements
from workbench.errors import CorpusError, LabError, NotFound
from workbench.lab import Lab
from workbench.records import Judgement

ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Are you open?"}]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)  # these claims are about rows; nobody needs to work
    return Lab(tmp_path / "lab")


def item(lab, state="ready"):
    replies = [{"adapter": "sft-1", "text": text} for text in ("zero", "one", "two")]
    return lab.store.add_comparisons([{"kind": "ranking", "prompt": ASKED, "shown": [2, 0, 1], "state": state, "replies": replies}])[0]


def test_all_that_an_annotator_says_is_kept(lab):
    number = item(lab)
    lab.judge(number, [[2], [0]], annotator="ada", rubric="shop 3", seconds=4.5, strength=2, tags=["safe"], comment="B made it up", ratings=[3, 0, 5])
    [kept] = lab.judgements("ada")
    assert (kept.ranking, kept.shown, kept.strength, kept.tags, kept.comment) == ([[2], [0]], [2, 0, 1], 2, ["safe"], "B made it up")
    assert (kept.rubric, kept.seconds, kept.ratings, kept.source, kept.repeat_of) == ("shop 3", 4.5, [3, 0, 5], "human", None)
    [row] = lab.rows("rankings", "preferences")
    assert (row.strength, row.annotator, row.shown, row.comparison) == (2, "ada", [2, 0, 1], number)


def test_two_annotators_are_two_rows_and_one_annotators_second_thought_replaces_the_first(lab):
    number = item(lab)
    lab.judge(number, [[0], [1]], annotator="ada")
    lab.judge(number, [[1], [0]], annotator="bob")
    lab.judge(number, [[2], [0, 1]], annotator="ada")
    assert sorted((row.annotator, row.ranking) for row in lab.rows("rankings", "preferences")) == [("ada", [[2], [0, 1]]), ("bob", [[1], [0]])]
    assert lab.agreement().people.n == 1


def test_a_vote_never_overwrites_and_the_database_itself_refuses_a_second(lab):
    number = item(lab)
    vote = Judgement(number, "ada", "judged", [[0], [1]], [2, 0, 1])
    assert lab.vote(vote) and not lab.vote(vote)
    with pytest.raises(Exception, match="UNIQUE"), lab.store.write() as db:
        judgements.insert(db, vote, "")
    assert len(lab.judgements()) == 1


def test_a_repeat_measures_its_annotator_and_trains_nothing(lab):
    number = item(lab)
    lab.judge(number, [[0], [1], [2]], annotator="ada")
    [first] = lab.judgements()
    again = Judgement(number, "ada", "judged", [[1], [0], [2]], [1, 0, 2], repeat_of=first.id)
    assert lab.vote(again) and not lab.vote(again)
    assert [row.ranking for row in lab.rows("rankings", "preferences")] == [[[0], [1], [2]]]
    assert lab.agreement().itself.n == 1 and 0 < lab.agreement().itself.rate < 1
    lab.undo_judgement(number, "ada")
    assert lab.judgements() == [] and lab.to_rank()[0].id == number


def test_a_better_reply_stands_first_and_becomes_a_demonstration(lab):
    number = item(lab)
    lab.judge(number, [[1], [0, 2]], annotator="ada", better=" Yes, until six. ")
    assert lab.store.comparison(number).replies[3].text == "Yes, until six."
    [row] = lab.rows("rankings", "preferences")
    assert (row.ranking, row.replies[3]) == ([[3], [1], [0, 2]], "Yes, until six.")
    [demonstration] = lab.rows("my-demonstrations", "demonstrations")
    assert demonstration.messages == [*ASKED, {"role": "assistant", "content": "Yes, until six."}]
    assert demonstration.source == f"comparison {number}, ada"


def test_a_better_reply_goes_when_its_judgement_is_taken_back_and_only_then(lab):
    number, other = item(lab), item(lab)
    lab.judge_bad(number, annotator="ada", better="Yes, until six.")
    lab.judge_bad(other, annotator="ada", better="We are.")
    lab.judge_bad(number, annotator="ada", better="Yes, until seven.")
    assert {row.messages[-1]["content"] for row in lab.rows("my-demonstrations", "demonstrations")} == {"We are.", "Yes, until seven."}
    lab.undo_judgement(number)
    assert len(lab.store.comparison(number).replies) == 3
    assert [row.source for row in lab.rows("my-demonstrations", "demonstrations")] == [f"comparison {other}, ada"]
    lab.undo_judgement(other)
    with pytest.raises(CorpusError, match="no corpus 'my-demonstrations'"):
        lab.rows("my-demonstrations", "demonstrations")


def test_all_bad_with_a_better_reply_is_a_preference(lab):
    lab.judge_bad(item(lab), better="Yes, until six.")
    assert [row.ranking for row in lab.rows("rankings", "preferences")] == [[[3], [0, 1, 2]]]


@pytest.mark.parametrize("notes", [{"strength": 4}, {"tags": ["nice"]}, {"comment": "x" * 20_001}, {"better": "zero"}])
def test_a_note_that_is_none_changes_nothing(lab, notes):
    number = item(lab)
    lab.judge(number, [[0], [1]])
    with pytest.raises(CorpusError):
        lab.judge(number, [[1], [0]], **notes)
    assert lab.store.comparison(number).ranking == [[0], [1]]


def test_a_ranking_counts_more_than_a_skip(lab):
    number = item(lab)
    lab.skip(number, annotator="ada")
    assert lab.store.comparison(number).state == "skipped"
    lab.judge_bad(number, annotator="bob")
    assert lab.store.comparison(number).state == "bad"
    lab.judge(number, [[0], [1]], annotator="cai")
    assert (lab.store.comparison(number).state, lab.store.comparison(number).annotator) == ("judged", "cai")
    lab.undo_judgement(number, "cai")
    assert lab.store.comparison(number).state == "bad"


def test_what_is_not_there_or_not_written_cannot_be_judged(lab):
    with pytest.raises(NotFound):
        lab.vote(Judgement(99, "ada", "skipped", [], []))
    with pytest.raises(LabError, match="is writing; wait"):
        lab.skip(item(lab, "writing"))


def test_a_run_that_is_rewound_leaves_nothing_behind_for_the_next_comparison(lab):
    run = lab.store.add_run("replies", "{}", 0)
    row = {"kind": "ranking", "run": run.id, "prompt": ASKED, "shown": [0, 1], "state": "judged", "ranking": [[0], [1]], "source": "simulated",
           "annotator": "simulated", "settings": {"step": 2}, "replies": [{"adapter": "base", "text": "a"}, {"adapter": "base", "text": "b"}]}
    lab.store.add_comparisons([row])
    lab.store.rewind(run.id, 1)
    assert lab.judgements() == []
    [number] = lab.store.add_comparisons([row])
    assert [len(lab.store.comparison(number).replies), len(lab.judgements())] == [2, 1]
