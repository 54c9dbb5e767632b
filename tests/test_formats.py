"""Every format is recognised from its content, every refused row has its reason."""

import gzip
import json

import pytest

from workbench.corpus import Demonstration, Preference, Prompt, Text
from workbench.errors import CorpusError
from workbench.formats import files, read

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}


@pytest.fixture
def put(tmp_path):
    """Writes a file: bytes and text as they are, a list as a JSON array, or as lines where the name says so."""

    def write(name, content):
        path = tmp_path / name
        if isinstance(content, (list, dict)):
            lines = name.endswith("l")
            content = "\n".join(json.dumps(row) for row in content) if lines else json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def said(role, content):
    return {"role": role, "content": content}


def one(path, **columns):
    found = read(path, columns or None)
    assert len(found.rows) == 1, found
    return found.rows[0]


def reasons(path):
    return [r.reason for r in read(path).rejected]


# --- demonstrations, prompts, texts


def test_sharegpt_with_a_system_text(put):
    row = {"system": "Be kind.", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": " Hello! "}]}
    assert one(put("a.jsonl", [row])) == Demonstration([said("system", "Be kind."), USER, BOT])


def test_turns_after_the_last_reply_are_dropped_and_told(put):
    found = read(put("a.jsonl", [{"messages": [USER, BOT, said("user", "Bye")]}]))
    assert found.rows == [Demonstration([USER, BOT])] and "dropped" in " ".join(found.notes)


CALL = '{"name": "weather", "arguments": {"city": "Oslo"}}'
TALK = Demonstration([USER, said("assistant", CALL), said("tool", "rain"), BOT])


def test_sharegpt_with_tools_keeps_the_call_as_the_assistants_and_the_answer_as_the_tools(put):
    turns = [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": CALL}, {"from": "observation", "value": "rain"}, {"from": "gpt", "value": "Hello!"}]
    found = read(put("a.jsonl", [{"conversations": turns, "tools": "[]"}]))
    assert found.rows == [TALK] and "1: calls of tools are imitated as the text they are in the file" in found.notes and "columns not used: tools" in found.notes


def test_tool_calls_of_openai_kind_become_the_text_of_the_call(put):
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]
    turns = [USER, {"role": "assistant", "content": None, "tool_calls": calls}, {"role": "tool", "tool_call_id": "1", "content": "rain"}, BOT]
    found = read(put("a.jsonl", [{"messages": turns}]))
    assert found.rows == [TALK] and "1: calls of tools were written as JSON text, a call a line" in found.notes
    unanswered = read(put("b.jsonl", [{"messages": turns[:3]}]))
    assert unanswered.rows == [Demonstration(TALK.messages[:2])] and "dropped" in " ".join(unanswered.notes)


def test_typed_parts_become_text(put):
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "value": "lo!"}]
    assert one(put("a.jsonl", [{"messages": [USER, said("assistant", parts)]}])) == Demonstration([USER, BOT])


@pytest.mark.parametrize(("turns", "reason"), [
    ([USER], "no assistant turn"),
    ([USER, said("assistant", " ")], "empty reply"),
    ([said("user", ""), BOT], "turn 1 (user) is empty"),
    ([BOT], "role order: the assistant speaks first"),
    ([USER, USER, BOT], "role order: two user turns in a row"),
    ([USER, said("system", "x"), BOT], "role order: a system turn that is not the first"),
    ([USER, said("tool", "42"), BOT], "role order: a tool's answer that the assistant did not ask for"),
    ([USER, BOT, said("tool", "42"), USER, BOT], "role order: the user speaks before the assistant has read the tool's answer"),
    ([USER, {"role": "assistant", "tool_calls": [{"function": "weather"}]}, said("tool", "42"), BOT], "turn 2 calls a tool without a name"),
    ([USER, said("wizard", "42"), BOT], "turn 2 has the unknown role 'wizard'"),
    ([USER, said("assistant", [{"type": "image_url"}])], "turn 2 has a part of type 'image_url'; only text can be used"),
    ([said("user", "\ud800"), BOT], "turn 1 holds half a character (a lone surrogate)"),
])
def test_unusable_conversations_are_refused_with_the_reason(put, turns, reason):
    found = read(put("a.jsonl", [{"messages": [USER, BOT]}, {"messages": turns}]))
    assert [(r.line, r.reason) for r in found.rejected] == [(2, reason)] and len(found.rows) == 1


def test_alpaca_with_input_and_history(put):
    row = {"instruction": "Add", "input": "2 3", "output": "5", "history": [["Hi", "Hello!"]]}
    assert one(put("a.json", [row])) == Demonstration([USER, BOT, said("user", "Add\n\n2 3"), said("assistant", "5")])


def test_dolly_context_belongs_to_the_question(put):
    row = one(put("a.jsonl", [{"instruction": "Sum up", "context": "Long story", "response": "Short", "category": "summary"}]))
    assert row.messages[0]["content"] == "Sum up\n\nLong story"


def test_taskmaster_dialogues_keep_what_was_said(put):
    spoken = [("assistant", "Welcome"), ("user", "Hi"), ("assistant", "Hello!"), ("assistant", "Tea?")]
    calls = {"annotations": [{"name": "api_call", "value": "get_menu"}]}
    found = read(put("a.json", [{"conversation_id": "1", "utterances": [{"speaker": who, "text": text, **calls} for who, text in spoken]}]))
    assert found.rows == [Demonstration([USER, said("assistant", "Hello!\nTea?")])]
    assert "greetings" in found.notes[1] and "joined" in found.notes[0] and "only the system knew" in found.notes[2]


def test_prompt_and_completion_as_text_or_turns(put):
    assert one(put("a.jsonl", [{"prompt": "Hi", "completion": "Hello!"}])) == Demonstration([USER, BOT])
    assert one(put("b.jsonl", [{"prompt": [USER], "completion": [BOT]}])) == Demonstration([USER, BOT])
    assert one(put("c.csv", "Question,Answer\nHi,Hello!\n")) == Demonstration([USER, BOT])


def test_seed_tasks_give_one_row_an_instance(put):
    row = {"instruction": "Add", "instances": [{"input": "1 1", "output": "2"}, {"input": "1 2", "output": ""}]}
    found = read(put("a.jsonl", [row]))
    assert len(found.rows) == 1 and [r.reason for r in found.rejected] == ["empty reply"]


def test_prompts_under_any_usual_name(put):
    for name in ("prompt", "instruction", "question"):
        assert one(put(f"{name}.jsonl", [{name: "Hi"}])) == Prompt([USER])
    assert one(put("turns.jsonl", [{"turns": ["Hi", "Again"]}])) == Prompt([USER])


def test_plain_text_is_a_document_a_line(put):
    found = read(put("a.txt", "one\n\ntwo\r\n"))
    assert found.rows == [Text("one"), Text("two")] and found.notes == ["1 blank lines left out"]


def test_text_that_is_not_utf8_is_read_with_a_note(put):
    found = read(put("a.txt", "caf\xe9 \u2019s".encode("cp1252")))
    assert found.rows == [Text("café ’s")] and "cp1252" in found.notes[0]


# --- preferences


def hh(*turns):
    return "".join(f"\n\n{('Human', 'Assistant')[place % 2]}: {text}" for place, text in enumerate(turns))


def test_hh_splits_on_the_last_reply(put):
    row = {"chosen": hh("Hi", "Hello!", "Help", "Sure"), "rejected": hh("Hi", "Hello!", "Help", "No")}
    assert one(put("a.jsonl", [row])) == Preference([USER, BOT, said("user", "Help")], ["Sure", "No"], [[0], [1]])


def test_hh_pairs_with_different_prompts_are_refused(put):
    good = {"chosen": hh("Hi", "a"), "rejected": hh("Hi", "b")}
    bad = [{"chosen": hh("Hi", "a"), "rejected": hh("Ho", "b")}, {"chosen": hh("Hi", "a"), "rejected": hh("Hi", "a")},
           {"chosen": hh("Hi", ""), "rejected": hh("Hi", "a")}]
    assert reasons(put("a.jsonl", [good, *bad])) == [
        "chosen and rejected have different prompts", "identical pair: chosen and rejected are the same text", "empty reply"]


PAIR = Preference([USER], ["Hello!", "Go"], [[0], [1]])
BAD = said("assistant", "Go")


PAIRS = [
    {"prompt": "Hi", "chosen": "Hello!", "rejected": "Go"},
    {"prompt": [USER], "chosen": [BOT], "rejected": [BAD]},
    {"prompt": "Hi", "chosen": [USER, BOT], "rejected": [USER, BAD]},
    {"chosen": [USER, BOT], "rejected": [USER, BAD]},
    {"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello!"}, "rejected": {"from": "gpt", "value": "Go"}},
    {"instruction": "Hi", "output_1": "Hello!", "output_2": "Go", "preference": 1},
    {"instruction": "Hi", "input": "", "response1": "Hello!", "response2": "Go", "annotator1": 1, "annotator2": 2, "annotator3": 1},
    {"conversation_a": [USER, BOT], "conversation_b": [USER, BAD], "winner": "model_a"},
    {"prompt": '["Hi"]', "response_a": '["Hello!"]', "response_b": '["Go"]', "winner_model_a": "1", "winner_model_b": "0", "winner_tie": "0"},
    {"prompt": "Hi", "answers": [{"answer": "Hello!", "rank": 1}, {"answer": "Go", "rank": 2}]},
    {"prompt": "\n\nHuman: Hi\n\nAssistant: ", "answers": [{"answer": "Hello!", "rank": 1}, {"answer": "Go", "rank": 2}]},
    {"instruction": "Hi", "completions": [{"response": "Hello!", "overall_score": 9.5}, {"response": "Go", "overall_score": 2}]},
    {"prompt": "Hi", "prompt_id": "1", "chosen": [USER, BOT], "rejected": [USER, BAD], "messages": [USER, BOT], "score_chosen": 8.0},
    {"instruction": "Hi", "input": "", "chosen": "Hello!", "rejected": "Go"},
    {"instruction": "Hi", "input": "", "output": ["Hello!", "Go"]},
]


@pytest.mark.parametrize("row", PAIRS)
def test_the_same_pair_in_many_formats(put, row):
    found = one(put("a.jsonl", [row]))
    assert (found.prompt, found.replies, found.ranking) == (PAIR.prompt, PAIR.replies, PAIR.ranking)


def test_implicit_prompt_of_texts_is_what_they_share(put):
    row = one(put("a.jsonl", [{"chosen": "The sky is blue.", "rejected": "The sky is bluish."}]))
    assert row == Preference([said("user", "The sky is")], ["blue.", "bluish."], [[0], [1]])


def test_ties_and_contradicting_annotators_are_refused(put):
    base = {"instruction": "Hi", "response1": "a", "response2": "b"}
    votes = [(1, 1, 0), (0, 0, 1), (0, 1, 2)]
    path = put("a.json", [base | {f"annotator{n}": v for n, v in enumerate(row, start=1)} for row in votes])
    assert reasons(path) == ["a tie: no reply is preferred", "the annotators disagree: no verdict has most votes"]
    assert reasons(put("b.json", [{"instruction": "Hi", "output_1": "a", "output_2": "b", "preference": 0}])) == ["a tie: no reply is preferred"]


def test_rankings_with_a_reply_a_line_are_gathered_with_ties(put):
    lines = ["prompt_id,prompt,model,response,rank", "1,Hi,x,worst,3", '2,Ho,x,"only\none",1', "1,Hi,y,good,1", "1,Hi,z,also good,1"]
    found = read(put("a.csv", "\n".join(lines)))
    assert found.rows == [Preference([USER], ["worst", "good", "also good"], [[1, 2], [0]])]
    assert [(r.line, r.reason) for r in found.rejected] == [(3, "fewer than two different replies to rank")]


def test_six_verdicts_make_a_ranking_or_contradict(put):
    row = {"question": "Hi"} | {f"prediction {n}": f"reply {n}" for n in (1, 2, 3, 4)}
    found = read(put("a.json", [row | {"preference": [1, 1, 1, 0, 1, 1]}, row | {"preference": [1, 2, 1, 1, 1, 1]}]))
    assert found.rows[0].ranking == [[0], [1, 2], [3]] and "contradict" in found.rejected[0].reason


def test_a_ranking_may_leave_replies_out(put):
    found = read(put("a.csv", "prompt,reply,rank\nHi,a,2\nHi,b,\nHi,c,1\n"))
    assert found.rows == [Preference([USER], ["a", "b", "c"], [[2], [0]])] and "1: rankings are partial: some of their replies have no rank" in found.notes


def test_one_bad_line_does_not_spoil_a_ranking(put):
    found = read(put("a.csv", "prompt,reply,rank\nHi,a,2\nHi,b,first\nHi,c,1\n"))
    assert found.rows == [Preference([USER], ["a", "c"], [[1], [0]])]
    assert [(r.line, r.reason) for r in found.rejected] == [(3, "rank is 'first', not a number")]


def test_rows_that_contradict_each_other_are_told(put):
    rows = [{"prompt": "Hi", "chosen": a, "rejected": b} for a, b in ("xy", "yx", "xz")]
    assert "1 pairs of replies are ordered one way by one row" in " ".join(read(put("a.jsonl", rows)).notes)


def test_disagreeing_annotators_are_counted(put):
    row = {"instruction": "Hi", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 2, "annotator3": 1}
    assert "1: rows whose annotators were not of one mind" in " ".join(read(put("a.json", [row])).notes)


# --- containers, mapping, notes


def test_columns_can_be_mapped(put):
    path = put("a.csv", "goal,target,worse\nHi,Hello!,Go\n")
    assert one(path, prompt="Goal", reply="target") == Demonstration([USER, BOT])
    assert one(path, prompt="goal", chosen="target", rejected="worse") == PAIR
    assert one(path, text="goal") == Text("Hi") and one(path, prompt="goal") == Prompt([USER])


@pytest.mark.parametrize(("columns", "message"), [
    (None, r"its columns are goal, target.*--columns"),
    ({"prompt": "aim"}, "has no column 'aim'; it has goal, target"),
    ({"wish": "goal"}, "cannot mean 'wish'"),
    ({"reply": "goal"}, "alone make no row"),
])
def test_an_unknown_format_says_how_to_map(put, columns, message):
    with pytest.raises(CorpusError, match=message):
        read(put("a.csv", "goal,target\nHi,Hello!\n"), columns)


def test_the_content_decides_not_the_name(put):
    rows = "\n".join(json.dumps({"prompt": "Hi", "completion": text}) for text in "ab")
    assert len(read(put("rows.txt", rows)).rows) == 2
    assert len(read(put("packed.dat", gzip.compress(rows.encode()))).rows) == 2
    assert len(read(put("columns.json", {"prompt": {"0": "Hi", "1": "Ho"}, "reply": {"0": "a", "1": "b"}})).rows) == 2
    assert len(read(put("lists.json", {"prompt": ["Hi", "Ho"], "reply": ["a", "b"]})).rows) == 2
    assert len(read(put("inner.json", {"version": 1, "data": [{"prompt": "Hi"}]})).rows) == 1
    assert read(put("table.txt", "prompt\tcompletion\nHi\tHello!\n")).rows == [Demonstration([USER, BOT])]
    assert read(put("essay.txt", "[1] A footnote, and a prompt, begin this.\n")).shape == "texts"


def test_bad_lines_are_refused_and_counted(put):
    found = read(put("a.jsonl", '{"prompt": "Hi"}\n{"prompt": \n[1]\n{"prompt": ""}\n{"prompt": "Hi"}\n'))
    assert [r.line for r in found.rejected] == [2, 3, 4] and "not valid JSON" in found.rejected[0].reason
    assert "1 rows are copies of earlier ones (kept)" in found.notes
    assert [r.reason for r in read(put("a.csv", "prompt,note\nHi,1\nHo\n")).rejected] == ["1 fields where the header has 2"]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.jsonl", b"", "is empty"),
    ("a.json", b'[{"prompt": "Hi"', "not valid JSON"),
    ("a.json", b"[" * 100_000, "nested too deeply"),
    ("a.gz", gzip.compress(b"hello " * 1000)[:-12], "damaged gzip"),
    ("a.parquet", b"PAR1....", "damaged Parquet"),
    ("a.bin", b"abc\0def", "binary"),
    ("a.json", b"[1, 2]", "holds no row with columns"),
])
def test_files_that_cannot_be_read_say_why(put, name, content, message):
    with pytest.raises(CorpusError, match=message):
        read(put(name, content))


def test_a_missing_file_and_a_gzip_bomb_are_refused(put, tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match="cannot be read"):
        read(tmp_path / "none.jsonl")
    monkeypatch.setattr(files, "LARGEST_BYTES", 1 << 20)
    with pytest.raises(CorpusError, match="more than 1 MB"):
        read(put("bomb.gz", gzip.compress(bytes(2 << 20))))


def test_whoever_waits_is_told_how_far_the_reading_is(put):
    told = []
    read(put("a.jsonl", [{"prompt": str(n)} for n in range(1200)]), progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 1200), (500, 1200), (1000, 1200), (1200, 1200)]
