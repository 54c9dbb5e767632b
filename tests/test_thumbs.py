"""Thumbs become rankings only where one prompt has both kinds; which way a judgement points is asked, never guessed."""

import json

import pytest

from workbench.corpus import Demonstration, Preference
from workbench.errors import CorpusError
from workbench.formats import read

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}


@pytest.fixture
def put(tmp_path):
    def write(rows, name="a.jsonl"):
        path = tmp_path / name
        path.write_text(rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows)))
        return path

    return write


def thumb(reply, label, prompt="Hi"):
    return {"prompt": prompt, "completion": reply, "label": label}


def refusals(found):
    return [(r.line, r.reason) for r in found.rejected]


def test_a_liked_and_a_disliked_reply_make_a_ranking_and_the_others_are_refused_by_line(put):
    found = read(put([thumb("good", True), thumb("alone", True, "Ho"), thumb("bad", False), thumb("fine", True), thumb("worse", False, "Hm")]))
    assert found.rows == [Preference([USER], ["good", "fine", "bad"], [[0, 1], [2]])] and found.shape == "preferences"
    assert refusals(found) == [(2, "only liked replies to this prompt: nothing to compare with"),
                               (5, "only disliked replies to this prompt: nothing to compare with")]
    assert "1: liked replies have nothing to be compared with; --shape demonstrations imitates them" in found.notes


def test_the_liked_can_be_imitated_when_the_user_says_so(put):
    found = read(put([thumb("Hello!", True), thumb("bad", False)]), shape="demonstrations")
    assert found.rows == [Demonstration([USER, BOT])] and refusals(found) == [(2, "disliked: not to be imitated")]


def test_a_reply_both_liked_and_disliked_is_a_contradiction(put):
    found = read(put([thumb("same", True), thumb("same", False), thumb("good", True), thumb("bad", False)]))
    assert found.rows == [Preference([USER], ["good", "bad"], [[0], [1]])]
    assert [line for line, reason in refusals(found) if "contradiction" in reason] == [1, 2]


@pytest.mark.parametrize("row", [
    {"messages": [USER, BOT], "label": True},
    {"prompt": [USER], "completion": [BOT], "label": True},
    {"instruction": "Hi", "input": "", "output": "Hello!", "kto_tag": True},
    {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}], "kto_tag": True},
    {"prompt": "Hi", "completion": "Hello!", "liked": 1},
])
def test_the_same_thumb_in_many_formats(put, row):
    assert read(put([row]), shape="demonstrations").rows == [Demonstration([USER, BOT])]


def test_taskmaster_rewards_leave_calls_out_and_compare_only_the_same_context(put):
    def row(generation, reward, api="menu"):
        context = [{"role": "agent", "text": "Welcome"}, {"role": "user", "text": "Hi"}, {"role": "agent", "api": {api: {}}}, {"role": "api", "response": {}}]
        return {"conversation_id": "1", "context": json.dumps(context), "generation": json.dumps({"role": "agent", **generation}), "reward": reward}

    found = read(put([row({"text": "good"}, 1.0), row({"text": "bad"}, 0.0), row({"api": {"order": {}}}, 1.0), row({"text": "bad"}, 0.0, "price")]))
    assert found.rows == [Preference([USER], ["good", "bad"], [[0], [1]])]
    assert refusals(found) == [(3, "the judged reply is a call of the shop's system, not text"),
                               (4, "only disliked replies to this prompt: nothing to compare with")]


# --- open meanings


SCORED = "prompt,reply,score\nHi,a,5\nHi,b,1\nHi,c,3\n"


def test_a_score_beside_replies_is_asked_about(put):
    with pytest.raises(CorpusError, match="'score' .1, 3, 5. may judge the replies.*score=score where a higher number is better.*rank=score"):
        read(put(SCORED, "a.csv"))


@pytest.mark.parametrize(("meaning", "ranking"), [("score", [[0], [2], [1]]), ("rank", [[1], [2], [0]])])
def test_the_mapping_says_which_way_is_better(put, meaning, ranking):
    found = read(put(SCORED, "a.csv"), {"prompt": "prompt", "reply": "reply", meaning: "score"})
    assert found.rows == [Preference([USER], ["a", "b", "c"], ranking)] and "was read as the best" in found.notes[0]


def test_every_reply_can_be_imitated_whatever_the_score(put):
    found = read(put(SCORED, "a.csv"), shape="demonstrations")
    assert len(found.rows) == 3 and "score may judge these rows; every row is imitated, whatever it says there" in found.notes


def test_zeros_and_ones_are_no_thumbs_until_the_user_says_which(put):
    path = put("prompt,reply,label\nHi,a,1\nHi,b,0\n", "a.csv")
    with pytest.raises(CorpusError, match="liked=label, and for a bad one, ,disliked=label"):
        read(path)
    assert read(path, {"prompt": "prompt", "reply": "reply", "liked": "label"}).rows[0].ranking == [[0], [1]]
    assert read(path, {"prompt": "prompt", "reply": "reply", "disliked": "label"}).rows[0].replies == ["b", "a"]


def test_a_shape_the_file_cannot_have_is_refused_with_those_it_can(put):
    with pytest.raises(CorpusError, match="cannot be read as texts, only as demonstrations or preferences"):
        read(put([thumb("a", True)]), shape="texts")
    with pytest.raises(CorpusError, match="no shape 'songs'"):
        read(put([thumb("a", True)]), shape="songs")


def test_the_file_is_told_why_it_was_read_so(put):
    assert read(put([thumb("a", True), {}])).why == "1 of the first 2 records have a reply and a label true or false"
