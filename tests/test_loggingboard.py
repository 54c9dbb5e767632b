"""RLLoggingBoard's JSONL: what is written is read back equal, and what other trainers write is read as far as it goes."""

from __future__ import annotations

import json
import math

import pytest

from tests.toy_rollouts import ASKED, row
from workbench import loggingboard
from workbench.errors import CorpusError

KEYS = {"prompt", "response", "response_tokens", "logprobs", "ref_logprobs", "values", "token_rewards", "reward", "step"}
# As its README shows a line: the padding has a token but no figures.
FOREIGN = {"prompt": "<PAD>Write the next verse.", "response": "Hills, <EOD><PAD>", "response_tokens": ["Hills", ", ", "<EOD>", "<PAD>"],
           "logprobs": [-4.8, -1.0, -0.25], "ref_logprobs": [-4.5, -1.0, -0.5], "values": [-0.6, 0.0, -0.3],
           "token_rewards": [0.1, 0.0, 1.0], "reward": 0.5, "step": 4}


def test_what_is_written_is_read_back_equal(tmp_path):
    rows = [row(1, 0), row(1, 1, finish="cut", gold=None), row(2, 0, pieces=["né ", "", "", "😀", "\n\n日本", ""])]
    assert loggingboard.write(rows, tmp_path / "r.jsonl") == 3
    assert loggingboard.read(tmp_path / "r.jsonl") == rows


def test_a_line_has_the_boards_keys_and_none_that_it_derives(tmp_path):
    line = loggingboard.as_line(row(3, 0))
    assert set(line) >= KEYS and not {"kl", "log_ratio", "probs", "ref_probs", "avg_kl"} & set(line)
    assert line["prompt"] == "system: You run a café.\nuser: Are you open?" and line["reward"] == 1.0 and line["step"] == 3
    assert loggingboard.as_line(row(3, 0, prompt=ASKED[1:]))["prompt"] == "Are you open?"
    assert all(len(line[name]) == len(line["response_tokens"]) for name in ("logprobs", "ref_logprobs", "values", "token_rewards"))


def test_a_file_of_another_trainer_is_read_as_far_as_its_figures_go(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(FOREIGN) + "\n\n" + json.dumps({**FOREIGN, "values": []}))
    first, second = loggingboard.read(tmp_path / "a.jsonl")
    assert first.pieces == ["Hills", ", ", "<EOD>"] and first.kl == pytest.approx([-0.3, 0.0, 0.25]) and first.ids == [-1] * 3
    assert (first.step, first.score, first.finish, first.gold, first.place, second.place) == (4, 0.5, "", None, 0, 1)
    assert first.prompt == [{"role": "user", "content": "<PAD>Write the next verse."}]
    assert all(map(math.isnan, first.advantages)) and all(map(math.isnan, second.values))


def test_null_says_that_a_figure_is_not_there_and_an_id_that_is_missing_is_none(tmp_path):
    line = {"prompt": "Oat milk?", "response_tokens": ["Yes", "."], "logprobs": [-0.5, -0.1], "ref_logprobs": [-0.6, -0.1], "step": 3}
    absent = dict.fromkeys(("values", "messages", "gold", "reward", "finish_reason", "place"))
    (tmp_path / "theirs.jsonl").write_text(json.dumps({**line, **absent, "token_ids": None}) + "\n" + json.dumps({**line, "token_ids": [7]}))
    first, second = loggingboard.read(tmp_path / "theirs.jsonl")
    assert (first.ids, second.ids, first.finish, first.gold, first.prompt) == ([-1, -1], [7, -1], "", None, [{"role": "user", "content": "Oat milk?"}])
    assert all(math.isnan(value) for value in [*first.values, first.score])


def test_what_is_not_finite_is_null_in_the_file(tmp_path):
    loggingboard.write([row(1, 0, score=math.nan, values=[math.inf, 0.0, 0.0])], tmp_path / "r.jsonl")
    assert "NaN" not in (tmp_path / "r.jsonl").read_text() and "Infinity" not in (tmp_path / "r.jsonl").read_text()
    [found] = loggingboard.read(tmp_path / "r.jsonl")
    assert math.isnan(found.score) and math.isnan(found.values[0])


@pytest.mark.parametrize(("line", "told"), [
    ("nonsense", "line 2"), ("[1]", "no JSON object"), (json.dumps({k: v for k, v in FOREIGN.items() if k != "logprobs"}), "there is no logprobs"),
    (json.dumps({**FOREIGN, "ref_logprobs": [-1.0]}), "ref_logprobs must be a log-probability"),
    (json.dumps({**FOREIGN, "logprobs": [700.0, -1.0, -1.0]}), "at most 0"), (json.dumps({**FOREIGN, "logprobs": 3}), "line 2"),
    (json.dumps({**FOREIGN, "step": "soon"}), "soon"), (json.dumps({**FOREIGN, "token_ids": ["x"]}), "line 2"),
    (json.dumps({**FOREIGN, "messages": ["hi"]}), "line 2"), (json.dumps({**FOREIGN, "gold": "good"}), "good")])
def test_a_line_that_is_no_rollout_is_refused_with_its_number(line, told, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(FOREIGN) + "\n" + line)
    with pytest.raises(CorpusError, match=told):
        loggingboard.read(tmp_path / "a.jsonl")


def test_a_file_that_is_no_text_or_not_there_is_an_error_with_words(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="line 1.*utf-8"):
        loggingboard.read(tmp_path / "a.jsonl")
    with pytest.raises(CorpusError, match="cannot read"):
        loggingboard.read(tmp_path / "none.jsonl")
