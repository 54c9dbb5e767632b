"""Exports of annotation tools are followed where they say which text was meant, and refused where they do not."""

import json

import pytest

from workbench.corpus import Preference
from workbench.formats import read

USER = {"role": "user", "content": "Hi"}


@pytest.fixture
def bring(tmp_path):
    def write(*rows):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(rows))
        return read(path)

    return write


def pairwise(*chosen, data=None, tags="left,right"):
    made = [{"completed_by": n, "was_cancelled": side == "skip", "result": [{"type": "pairwise", "to_name": tags, "value": {"selected": side}}]}
            for n, side in enumerate(chosen)]
    return {"id": 1, "data": data or {"prompt": "Hi", "answer1": "a", "answer2": "b"}, "annotations": made}


def reason(found):
    assert not found.rows
    return found.rejected[0].reason


def test_label_studio_pairs_by_majority_with_cancelled_ones_left_out(bring):
    found = bring(pairwise("right", "skip", "right", "left"))
    assert found.rows == [Preference([USER], ["a", "b"], [[1], [0]], "majority of 3")]
    assert "1: rows where 'answer1' was taken for the left text and 'answer2' for the right one: the file does not say" in found.notes


def test_label_studio_tags_that_are_columns_say_which_side(bring):
    assert bring(pairwise("left", data={"prompt": "Hi", "old": "a", "new": "b"}, tags="new,old")).rows[0].replies == ["b", "a"]


def test_label_studio_sides_that_nobody_names_are_refused(bring):
    assert "does not say which texts were left and right" in reason(bring(pairwise("left", data={"prompt": "Hi", "x": "a", "y": "b"})))
    assert "the annotators disagree" in reason(bring(pairwise("left", "right")))
    assert "no annotation that chooses or ranks" in reason(bring(pairwise("skip")))


def test_label_studio_rankers_order_their_items_and_buckets_do_not(bring):
    items = [{"id": name, "title": name, "body": f"text {name}"} for name in "abc"]

    def row(ranker):
        return {"data": {"prompt": "Hi", "items": items}, "annotations": [{"completed_by": 7, "result": [{"type": "ranker", "value": {"ranker": ranker}}]}]}

    texts = ["text a", "text b", "text c"]
    assert bring(row(["c", "a", "b"])).rows == [Preference([USER], texts, [[2], [0], [1]], "7")]
    assert bring(row({"_": ["a"], "best": ["c", "b"]})).rows == [Preference([USER], texts, [[2], [1]], "7")]
    assert "the file does not say which of them is better" in reason(bring(row({"one": ["a"], "two": ["b", "c"]})))
    assert "names 'x', which is none of the items" in reason(bring(row(["x", "a"])))


@pytest.mark.parametrize("choice", ["left", {"selected": "left"}])
def test_label_studio_short_rows(bring, choice):
    row = {"annotation_id": 3, "annotator": "ann", "prompt": "Hi", "text_a": "a", "text_b": "b", "preference": choice}
    assert bring(row).rows == [Preference([USER], ["a", "b"], [[0], [1]], "ann")]


FIELDS = {"instruction": "Hi", "response-1": "a", "response-2": "b", "response-3": "c"}
ORDER = ["response-2", "response-3", "response-1"]


@pytest.mark.parametrize("row", [
    {"id": "1", "fields": FIELDS, "responses": {"ranking": [{"value": ORDER, "user_id": "u"}]}},
    {"fields": FIELDS, "responses": [{"user_id": "u", "status": "submitted", "values": {
        "ranking": {"value": [{"value": name, "rank": rank} for rank, name in enumerate(ORDER, 1)]}}}]},
    {**FIELDS, "ranking": [{"user_id": "u", "status": "submitted", "value": {"rank": [1, 2, 3], "value": ORDER}}]},
])
def test_argilla_rankings_of_every_version(bring, row):
    assert bring(row).rows == [Preference([USER], ["b", "c", "a"], [[0], [1], [2]], "u")]


def test_argilla_flat_records_count_only_what_was_submitted(bring):
    row = {**FIELDS, "ranking.responses": [ORDER, ORDER[::-1]], "ranking.responses.users": ["u", "v"], "ranking.responses.status": ["submitted", "draft"]}
    assert bring(row).rows == [Preference([USER], ["b", "c", "a"], [[0], [1], [2]])]


def test_argilla_choices_of_one_of_two_texts_by_majority(bring):
    fields = {"prompt": "Hi", "response_a": "x", "response_b": "y"}
    votes = [{"value": name, "user_id": str(n)} for n, name in enumerate(["response_b", "response_a", "response_b"])]
    assert bring({"fields": fields, "responses": {"better": votes}}).rows == [Preference([USER], ["x", "y"], [[1], [0]], "majority of 3")]


def test_argilla_ratings_and_suggestions_order_nothing(bring):
    rated = {"fields": FIELDS, "responses": {"quality": [{"value": 5, "user_id": "u"}]}, "suggestions": {"ranking": {"value": ORDER}}}
    assert "ratings of single replies and suggestions are not used" in reason(bring(rated))
