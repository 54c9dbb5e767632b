"""Lengths, splits and problems of rows: each problem names the rows that have it. (That tokens are those of the engine: test_spelling.)"""

from __future__ import annotations

import pytest

from tests import toy_words
from workbench import corpus, inspection
from workbench.corpus import Demonstration, Preference, Prompt, Text
from workbench.errors import ModelError
from workbench.lab import Lab
from workbench.recipes import RewardRecipe, SftRecipe
from workbench.spelling import chat_of

ASK = [{"role": "user", "content": "Hi"}]


def talk(reply, question="Hi"):
    return Demonstration([{"role": "user", "content": question}, {"role": "assistant", "content": reply}])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return toy_words.make(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def chat(model):
    return chat_of(model)


def test_the_held_out_rows_are_those_that_the_stages_hold_out():
    demos = [talk("x", f"q{n // 2}") for n in range(60)]
    kept = [demos[number - 1] for number in inspection.held_out(demos, "demonstrations")]
    assert kept == corpus.split(demos, SftRecipe(steps=1).held_out)[1] and len(kept) % 2 == 0  # both rows of a prompt, always
    pairs = [Preference([{"role": "user", "content": f"q{n}"}], ["a", "b"], [[0], [1]]) for n in range(3)]
    assert [pairs[n - 1] for n in inspection.held_out(pairs, "preferences")] == corpus.split_rankings(pairs, 0.2)[1] != []
    assert inspection.cut_of("preferences") == RewardRecipe(sft="sft-1").max_tokens and inspection.cut_of("texts") == 0


@pytest.mark.parametrize(("name", "rows", "numbers", "extra"), [
    ("copies", [talk("a"), talk("b"), talk("A")], [1, 3], [3]),
    ("opposed", [Preference(ASK, ["a", "b"], [[0], [1]]), Preference(ASK, ["a", "b", "c"], [[1], [2], [0]]), Preference(ASK, ["b", "c"], [[0], [1]])],
     [1, 2], [1, 2]),
    ("marks", [talk("fine"), talk("stop<|im_end|>here")], [2], [2]),
    ("empty", [Preference(ASK, ["a", " "], [[0], [1]]), talk("a")], [1], [1]),
    ("broken", [talk("cafÃ©"), talk("café"), Text("it�s"), Text("donâ€™t")], [1, 3, 4], [1, 3, 4]),
    ("placeholders", [talk("I am {{name}}"), talk("{x}")], [1], [1]),
    ("cut", [talk("word " * 20), talk("word " * 20 + "end."), talk("short"), Preference(ASK, ["word " * 20, "a."], [[1], [0]])], [1], [1]),
])
def test_each_problem_names_the_rows_that_have_it(chat, name, rows, numbers, extra):
    found = {each.name: (each.numbers, each.extra) for each in inspection.problems(rows, chat, inspection.lengths(chat, rows), 0)}
    assert found[name] == (numbers, extra)


def test_clean_rows_have_no_problem_and_words_count_where_no_tokenizer_is(chat):
    rows = [talk("Fine."), Prompt(ASK), Text("one two three")]
    assert inspection.problems(rows, chat, {}, 10) == [] == inspection.problems(rows, None, {}, 1)
    assert inspection.lengths(None, rows) == {1: 2, 2: 1, 3: 3}


def test_of_a_large_corpus_an_even_spread_is_measured(chat, monkeypatch):
    monkeypatch.setattr(inspection, "MEASURED", 10)
    assert list(inspection.lengths(chat, [Text("a")] * 25)) == list(range(1, 26, 3))


def test_the_lab_spells_rows_and_finds_problems(tmp_path, model):
    lab = Lab(tmp_path / "lab")
    lab.add_demonstration("Hi", "I am {{name}}")
    [row] = lab.rows("my-demonstrations", "demonstrations")
    [spelt] = lab.spell(row, model)
    assert sum(spelt.encoded.mask) == len("I am {{name}}") + 1
    assert [each.name for each in lab.problems("my-demonstrations", "demonstrations")] == ["placeholders"]
    with pytest.raises(ModelError, match="not on this machine yet"):
        lab.spell(row, str(tmp_path))
