"""No file, however strange, crashes an importer or gives rows that cannot be saved and loaded again."""

import json

from hypothesis import given, settings
from hypothesis import strategies as some

from tests.test_formats import BOT, PAIRS, TALK, USER, hh
from tests.test_published import COMPARED, ELSEWHERE, RATED, steered
from tests.test_tools import FIELDS, ORDER, pairwise
from workbench import corpus
from workbench.errors import CorpusError
from workbench.formats import read

WORDS = ["prompt", "chosen", "rejected", "messages", "conversations", "role", "from", "value", "content", "user", "assistant", "instruction",
         "output", "input", "history", "answers", "rank", "answer", "text", "turns", "instances", "label", "system", "preference", "output_1",
         "output_2", "response1", "response2", "annotator1", "message_tree_id", "replies", "prompter", "type", "prediction 1", "prediction 4",
         "label", "liked", "score", "data", "annotations", "result", "selected", "ranker", "fields", "responses", "user_id", "utterances", "speaker",
         "context", "generation", "reward", "message_id", "parent_id", "workbench_row", "completed_by", "question", "conversation_a", "conversation_b", "winner", "\n\nHuman: a\n\nAssistant: b", "completion", "completions", "score"]
SCALARS = some.none() | some.booleans() | some.integers(-1, 4) | some.floats() | some.text(max_size=5) | some.sampled_from([*WORDS, "\ud800", "\udc80"])
VALUES = some.recursive(SCALARS, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(WORDS), inner, max_size=4), max_leaves=8)
ROWS = some.lists(some.dictionaries(some.sampled_from(WORDS), VALUES, max_size=6), min_size=1, max_size=4)


EXAMPLES = [
    *PAIRS, *ELSEWHERE, COMPARED, RATED, steered("a", 4), {"messages": TALK.messages}, {"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": -3},
    {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": "{}"}}]}, {"role": "tool", "content": "y"}, BOT]},
    {"chosen": hh("Hi", "a"), "rejected": hh("Hi", "b")}, {"messages": [USER, BOT], "system": "s"},
    {"instruction": "Hi", "input": "x", "output": "y", "history": [["a", "b"]]}, {"instruction": "Hi", "instances": [{"input": "", "output": "a"}]},
    {"prompt_id": "1", "prompt": "Hi", "response": "a", "rank": 1}, {"turns": ["a", "b"]},
    {"message_tree_id": "1", "prompt": {"role": "prompter", "text": "Hi", "replies": [{"text": "a", "rank": 0}, {"text": "b", "rank": 1}]}},
    {"question": "Hi", "preference": [1, 1, 1, 1, 1, 1]} | {f"prediction {n}": f"reply {n}" for n in (1, 2, 3, 4)},
    {"messages": [USER, BOT], "label": True}, {"prompt": "Hi", "completion": "a", "label": False}, {"instruction": "Hi", "output": "a", "kto_tag": True},
    {"context": '[{"role": "user", "text": "Hi"}]', "generation": '{"role": "agent", "text": "a"}', "reward": 1.0},
    {"message_id": "1", "parent_id": "1", "role": "prompter", "text": "Hi", "rank": 0}, {"message_id": "2", "parent_id": "1", "role": "assistant", "text": "a"},
    {"prompt": '["Hi"]', "response_a": '["a"]', "response_b": '["b"]', "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0},
    {"workbench_row": 1, "prompt": "Hi", "chosen": "a", "rejected": "b", "replies": ["a", "b"], "ranking": [[0], [1]], "annotator": "x"},
    {"workbench_row": 1, "messages": [USER, BOT]}, {"workbench_row": 2, "prompt": "Hi", "completion": "a"}, {"workbench_row": 1, "text": "Hi"},
    {"utterances": [{"speaker": "user", "text": "Hi"}, {"speaker": "assistant", "text": "a"}]},
    pairwise("left", "right", "right"), {"annotation_id": 1, "prompt": "Hi", "answer1": "a", "answer2": "b", "preference": "left"},
    {"data": {"prompt": "Hi", "items": [{"id": "x", "body": "a"}, {"id": "y", "body": "b"}]},
     "annotations": [{"result": [{"value": {"ranker": ["x", "y"]}}]}]},
    {"fields": FIELDS, "responses": {"ranking": [{"value": ORDER, "user_id": "u"}], "label": [{"value": "response-1", "user_id": "u"}]}},
    {**FIELDS, "ranking": [{"user_id": "u", "status": "submitted", "value": {"rank": [1, 2, 3], "value": ORDER}}]},
    {**FIELDS, "ranking.responses": [ORDER], "ranking.responses.status": ["submitted"]},
]


@some.composite
def spoilt(draw):
    """A good row with a value replaced somewhere inside."""
    row = spot = json.loads(json.dumps(draw(some.sampled_from(EXAMPLES))))
    while True:
        key = draw(some.sampled_from(list(spot) if isinstance(spot, dict) else range(len(spot))))
        if not (isinstance(spot[key], (dict, list)) and spot[key] and draw(some.booleans())):
            break
        spot = spot[key]
    spot[key] = draw(VALUES)
    return row


def holds(folder, name, content):
    """Reads bytes; whatever they are, there are rows that can be saved and loaded again, or refusals, or a CorpusError."""
    path = folder / name
    path.write_bytes(content)
    try:
        found = read(path)
    except CorpusError as fault:
        assert str(fault)
        return
    assert found.rows or found.rejected
    if found.rows:
        corpus.save(folder, "x", found.rows)
        assert corpus.load(folder, "x", found.shape) == found.rows
        assert all(corpus.prompt_key(row) for row in found.rows)


@settings(max_examples=200, deadline=None)
@given(content=some.binary(max_size=200), name=some.sampled_from(["a.json", "a.jsonl", "a.csv", "a.tsv", "a.txt", "a.gz", "a"]))
def test_any_bytes_give_rows_or_an_error_of_ours(tmp_path_factory, content, name):
    holds(tmp_path_factory.getbasetemp(), name, content)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS)
def test_any_records_give_rows_or_an_error_of_ours(tmp_path_factory, rows):
    holds(tmp_path_factory.getbasetemp(), "a.json", json.dumps(rows).encode())


@settings(max_examples=200, deadline=None)
@given(rows=some.lists(spoilt(), min_size=1, max_size=3))
def test_spoilt_rows_give_rows_or_an_error_of_ours(tmp_path_factory, rows):
    holds(tmp_path_factory.getbasetemp(), "a.json", json.dumps(rows).encode())


@settings(max_examples=200, deadline=None)
@given(head=some.sampled_from(["prompt,chosen,rejected", "prompt,reply,rank", "sep=;\nprompt;completion;label", "workbench_row,prompt,completion", "text"]),
       body=some.text(alphabet="a,;\"'\n\r\t=[{}]:01é\x00role", max_size=40), name=some.sampled_from(["a.csv", "a.tsv", "a.txt", "a"]))
def test_any_table_gives_rows_or_an_error_of_ours(tmp_path_factory, head, body, name):
    holds(tmp_path_factory.getbasetemp(), name, f"{head}\n{body}".encode())
