"""Judged corpora as their authors published them: which way their figures point is known from their pages, and said in a note."""

import json

import pytest

from workbench.corpus import Demonstration, Preference
from workbench.errors import CorpusError
from workbench.formats import read

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}
PAIR = Preference([USER], ["a", "b"], [[0], [1]])


@pytest.fixture
def bring(tmp_path):
    def write(*rows, **options):
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return read(path, **options)

    return write


def steered(reply, helpfulness, prompt="Hi"):
    return {"prompt": prompt, "response": reply, "helpfulness": helpfulness, "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 2}


def test_helpsteer_ranks_the_replies_of_a_prompt_by_helpfulness(bring):
    found = bring(steered("a", 4), steered("b", 1), steered("alone", 3, "Ho"))
    assert found.rows == [PAIR] and [(r.line, r.reason) for r in found.rejected] == [(3, "fewer than two different replies to rank")]
    assert "3: replies were ranked by helpfulness, the highest best" in found.notes


def test_helpsteer_prompts_of_several_turns_become_turns(bring):
    before = "Hi\n<extra_id_1>Assistant\na\n<extra_id_1>User\nMore"
    [row] = bring(steered("x", 4, before), steered("y", 0, before)).rows
    assert row.prompt == [USER, BOT, {"role": "user", "content": "More"}]


def test_helpsteer_can_be_imitated_when_asked(bring):
    assert bring(steered("a", 4), shape="demonstrations").rows == [Demonstration([USER, BOT])]


def test_helpsteer_preferences_keep_their_strength(bring):
    row = {"prompt": "Hi", "response_1": "a", "response_2": "b"}
    found = bring(row | {"preference_strength": -3}, row | {"preference_strength": 1}, row | {"preference_strength": 0}, row | {"preference_strength": 9})
    assert [(r.ranking, r.strength) for r in found.rows] == [([[0], [1]], 3), ([[1], [0]], 1)]
    assert [r.reason for r in found.rejected] == ["a tie: no reply is preferred", "preference_strength is 9; it must be between -3 and 3"]
    [third] = bring({"context": [USER], "response1": "a", "response2": "b", "overall_preference": -2}).rows
    assert (third.prompt, third.ranking, third.strength) == ([USER], [[0], [1]], 2)


COMPARED = {"info": {"id": "1", "title": "Cat", "post": "It ran.", "subreddit": "pets"}, "summaries": [{"text": "a"}, {"text": "b"}], "choice": 1, "worker": "w"}
RATED = {"info": {"id": "1", "post": "It ran."}, "summary": {"text": "a", "axes": {"overall": 7, "accuracy": 7}}}


def test_summaries_that_people_compared(bring):
    found = bring(COMPARED, COMPARED | {"choice": 2}, COMPARED | {"summaries": [{"text": "a"}]})
    assert found.rows == [Preference([{"role": "user", "content": "SUBREDDIT: r/pets\n\nTITLE: Cat\n\nPOST: It ran.\n\nTL;DR:"}], ["a", "b"], [[1], [0]], "w")]
    assert [r.reason for r in found.rejected] == ["choice is 2; it must be 0 or 1", "summaries holds 1 text; two are wanted"]
    news = bring(COMPARED | {"info": {"article": "Rain."}}).rows[0]
    assert news.prompt[0]["content"] == "ARTICLE: Rain.\n\nTL;DR:"


def test_summaries_that_people_rated_are_ranked_by_the_overall_rating(bring):
    [row] = bring(RATED, RATED | {"summary": {"text": "b", "axes": {"overall": 2}}}).rows
    assert (row.replies, row.ranking) == (["a", "b"], [[0], [1]])


ELSEWHERE = [
    {"history": "Hi", "human_ref_A": "a", "human_ref_B": "b", "labels": 1, "score_A": 3, "score_B": 2},
    {"question": {"full_text": "Hi"}, "answer_0": "a", "answer_1": "b", "score_0": 0.5, "score_1": -0.5},
    {"input": {"messages": [USER]}, "preferred_output": [BOT], "non_preferred_output": [{"role": "assistant", "content": "b"}]},
    {"qid": 1, "question": "Hi", "response_j": "a", "response_k": "b"},
    {"prompt": "Hi", "responses": ["a", "b"], "scores": [2, 1]},
    {"prompt": "Hi", "responses": ["a", "b"], "ranks": [1, 2]},
    {"prompt": "Hi", "chosen": json.dumps([USER, BOT]), "rejected": json.dumps([USER, {"role": "assistant", "content": "b"}])},
]


@pytest.mark.parametrize("row", ELSEWHERE)
def test_pairs_of_many_corpora(bring, row):
    [found] = bring(row).rows
    assert (found.prompt, found.replies, found.ranking) == (PAIR.prompt, PAIR.replies, PAIR.ranking)


def test_scores_that_are_not_one_a_reply_are_refused(bring):
    found = bring({"prompt": "Hi", "responses": ["a", "b"], "scores": [2, 1]}, {"prompt": "Hi", "responses": ["a", "b"], "scores": [2]})
    assert [r.reason for r in found.rejected] == ["2 replies but 1 scores"]


def test_a_score_of_two_values_is_asked_about_as_a_number(bring):
    with pytest.raises(CorpusError, match="score=score where a higher number is better, ,rank=score where it is worse"):
        bring({"prompt": "Hi", "response": "a", "score": 1}, {"prompt": "Hi", "response": "b", "score": 5})


def test_a_missing_vote_is_no_vote(bring):
    row = {"instruction": "Hi", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": "", "annotator3": None}
    assert bring(row).rows == [Preference([USER], ["a", "b"], [[0], [1]], "majority of 1")]


def test_a_prompt_that_is_not_the_prompt_inside_chosen_is_refused(bring):
    sides = {"chosen": [USER, BOT], "rejected": [USER, {"role": "assistant", "content": "b"}]}
    found = bring({"prompt": "Hi", **sides}, {"prompt": "<|user|>Hi<|assistant|>", **sides}, {"prompt": "Another", **sides})
    assert len(found.rows) == 2 and [(r.line, r.reason) for r in found.rejected] == [(3, "the prompt is not the one inside chosen and rejected")]


def test_several_texts_are_not_run_together_into_one(bring):
    found = bring({"prompt": "Hi"}, {"prompt": ["Hi", "Ho"]})
    assert [r.reason for r in found.rejected] == ["prompt is a list of 2 texts; one text is wanted"]


def test_words_that_judge_are_asked_about_and_can_be_named(bring):
    rows = [{"prompt": "Hi", "completion": text, "verdict": word} for text, word in (("a", "fine"), ("b", "Poor"), ("c", "good"), ("d", ""))]
    with pytest.raises(CorpusError, match=r"the column 'verdict' \(Poor, fine, good\) may judge the replies.*liked=verdict:Poor \(several with \| between\)"):
        bring(*rows)
    found = bring(*rows, columns={"prompt": "prompt", "reply": "completion", "liked": "verdict:good|fine"})
    assert found.rows == [Preference([USER], ["a", "c", "b"], [[0, 1], [2]])] and [(r.line, r.reason) for r in found.rejected] == [(4, "liked is empty")]


def test_two_replies_beside_a_prompt_are_asked_about(bring):
    rows = [{"prompt": "Hi", "response_a": "a", "response_b": "b", "choice": word} for word in ("A", "B", "tie", "0")]
    with pytest.raises(CorpusError, match="'response_a' and 'response_b' look like two replies to one prompt, and which is better is open"):
        bring(*rows)
    assert bring(*rows, shape="prompts").shape == "prompts"
    columns = {"prompt": "prompt", "first": "response_a", "second": "response_b"}
    found = bring(*rows, columns=columns | {"better": "choice"})
    assert [row.ranking for row in found.rows] == [[[0], [1]], [[1], [0]]]
    assert [r.reason.split(";")[0] for r in found.rejected] == ["a tie: no reply is preferred", "better is '0'"]
    assert [row.ranking for row in bring(rows[3], rows[0], columns=columns | {"better": "choice:0"}).rows] == [[[0], [1]], [[1], [0]]]


def test_multiple_choice_is_no_pair(bring):
    assert bring({"question": "Hi", "ans0": "a", "ans1": "b", "ans2": "c"}).shape == "prompts"
