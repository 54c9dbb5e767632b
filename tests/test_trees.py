"""Open Assistant's trees give a ranking at every question, whether a tree or a message stands on a line."""

import json

import pytest

from workbench.corpus import Preference
from workbench.formats import read

USER = {"role": "user", "content": "Hi"}


@pytest.fixture
def put(tmp_path):
    def write(rows):
        path = tmp_path / "a.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    return write


def said(role, content):
    return {"role": role, "content": content}


def test_oasst_ranks_siblings_at_every_depth(put):
    def reply(text, rank, *children):
        return {"role": "assistant", "text": text, "rank": rank, "replies": list(children)}

    deep = {"role": "prompter", "text": "More", "rank": None, "replies": [reply("c", 1), reply("d", 0), reply("e", None)]}
    tree = {"message_tree_id": "1", "prompt": {"role": "prompter", "text": "Hi", "replies": [reply("a", 0, deep), reply("b", 1)]}}
    assert read(put([tree])).rows == [
        Preference([USER], ["a", "b"], [[0], [1]]),
        Preference([USER, said("assistant", "a"), said("user", "More")], ["c", "d"], [[1], [0]])]


def test_oasst_a_message_a_line_is_the_same_tree(put):
    def message(name, parent, role, text, rank=None):
        return {"message_id": name, "parent_id": parent, "role": role, "text": text, "rank": rank}

    rows = [message("b", "q", "assistant", "b", 1), message("q", None, "prompter", "Hi"), message("a", "q", "assistant", "a", 0),
            message("m", "a", "prompter", "More"), message("c", "m", "assistant", "c", 1), message("d", "m", "assistant", "d", 0)]
    assert read(put(rows)).rows == [
        Preference([USER], ["b", "a"], [[1], [0]]),
        Preference([USER, said("assistant", "a"), said("user", "More")], ["c", "d"], [[1], [0]])]


def test_messages_without_rivals_are_refused_one_by_one(put):
    found = read(put([{"message_id": "a", "parent_id": None, "role": "prompter", "text": "x"}, {"message_id": "b", "parent_id": "a", "role": "assistant", "text": "y", "rank": 0}]))
    assert [(r.line, r.reason) for r in found.rejected] == [(1, "no ranked replies"), (2, "no ranked replies")]


def test_messages_that_run_in_a_circle_are_refused(put):
    circle = [{"message_id": "a", "parent_id": "b", "role": "assistant", "text": "x"}, {"message_id": "b", "parent_id": "a", "role": "prompter", "text": "y"}]
    replies = [{"message_id": name, "parent_id": "b", "role": "assistant", "text": name, "rank": rank} for rank, name in enumerate("cd")]
    found = read(put(circle + replies))
    assert not found.rows and {r.reason for r in found.rejected} == {"the messages' parents run in a circle"}
