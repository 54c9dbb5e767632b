"""Claims about the packs that come with the workbench."""

import re
import tomllib
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import mean

import pytest
from tokenizers import Tokenizer

from workbench import packs
from workbench.bundled import models_folder
from workbench.errors import CorpusError

TOPICS = {"order", "menu", "hours", "complaint", "policy", "allergy", "off_topic", "rude", "small_talk", "place"}


@pytest.fixture(scope="module")
def pack():
    return packs.load("customer-service")


@cache
def golds(pack):
    """What the pack's annotator says of its own demonstrations."""
    talks = pack.demonstrations()
    return pack.annotator().scores([packs.opening(talk) for talk in talks], [talk[-1]["content"] for talk in talks])


def said_by(role, conversations):
    return [message["content"] for talk in conversations for message in talk if message["role"] == role]


def test_the_pack_is_listed_and_loads(pack):
    assert "customer-service" in packs.names()
    assert pack.title == "Customer service"


def test_an_unknown_pack_is_refused_with_the_names_there_are():
    with pytest.raises(CorpusError, match="customer-service"):
        packs.load("tea-house")


def test_a_pack_judges_replies_to_its_own_prompts_and_nobody_those_to_an_import(pack):
    assert packs.judge("customer-service").rules["noise"] == 0.25 and packs.judge("my-file") is None
    assert pack.score(pack.prompts("train")[0], "Go away.") == packs.judge(pack.name).score([], "Go away.")


def test_an_opening_ends_where_the_last_reply_begins():
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    assert packs.opening(talk) == packs.opening(talk[:1]) == talk[:1]


def test_an_unknown_split_is_refused(pack):
    with pytest.raises(CorpusError, match="held_out"):
        pack.prompts("test")


def test_the_system_prompt_is_short_and_opens_every_conversation(pack):
    assert len(pack.system.split()) <= 60
    for talk in pack.demonstrations() + pack.prompts("train") + pack.prompts("held_out"):
        assert talk[0] == {"role": "system", "content": pack.system}


def test_there_are_enough_rows(pack):
    assert len(pack.demonstrations()) >= 170
    assert len(pack.prompts("held_out")) >= 60
    assert len(pack.prompts("train")) + len(pack.prompts("held_out")) >= 210
    assert len(pack.texts()) == 30


def test_turns_alternate_and_end_where_they_should(pack):
    for talk in pack.demonstrations():
        assert [message["role"] for message in talk[1:]] == ["user", "assistant"] * (len(talk) // 2)
    for talk in pack.prompts("train") + pack.prompts("held_out"):
        assert talk[-1]["role"] == "user"


def test_demonstrated_replies_are_neither_curt_nor_long(pack):
    for reply in said_by("assistant", pack.demonstrations()):
        assert 12 <= len(reply.split()) <= 45, reply


def test_demonstrated_replies_break_no_rule(pack):
    judge = pack.annotator()
    for reply in said_by("assistant", pack.demonstrations()):
        assert all(points > 0 for _, points in judge.explain([], reply)), reply


def test_no_message_is_shared_between_splits_and_demonstrations(pack):
    asked = said_by("user", pack.demonstrations() + pack.prompts("train") + pack.prompts("held_out"))
    plain = Counter(re.sub(r"\W+", " ", message.lower()).strip() for message in asked)
    assert [message for message, count in plain.items() if count > 1] == []


def test_every_topic_is_in_both_splits(pack):
    for split in packs.SPLITS:
        rows = packs._rows(pack.folder / "prompts.jsonl")
        assert {row["topic"] for row in rows if row["split"] == split} == TOPICS


def test_demonstrations_leave_room_to_improve(pack):
    assert 0.5 < mean(golds(pack)) < 1.7


def test_texts_are_paragraphs(pack):
    assert all(60 <= len(text.split()) <= 110 for text in pack.texts())


def test_the_readme_explains_every_feature(pack):
    page = (pack.folder / "README.md").read_text(encoding="utf-8")
    for feature in pack.annotator().rules["features"]:
        assert f"| {feature['name']} | {feature['weight']:+.2f} | {feature['cap']} |" in page


def test_a_broken_row_is_named_by_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine"}\n{"text": \n', encoding="utf-8")
    with pytest.raises(CorpusError, match="line 2"):
        list(packs._rows(path))


# Claims that hold for every pack, also for those to come.


def plainly(message):
    return re.sub(r"\W+", " ", message.lower()).strip()


def asked(conversations):
    return {plainly(message) for message in said_by("user", conversations)}


@pytest.fixture(params=packs.names())
def any_pack(request):
    return packs.load(request.param)


def test_the_default_pack_comes_first():
    assert packs.names()[0] == packs.DEFAULT
    assert "careful-advice" in packs.names()[1:]


def test_every_pack_has_rows_enough(any_pack):
    assert len(any_pack.demonstrations()) >= 150
    assert all(any_pack.prompts(split) for split in packs.SPLITS)
    assert sum(len(any_pack.prompts(split)) for split in packs.SPLITS) >= 200
    assert len(any_pack.edge()) >= 40
    assert len(any_pack.texts()) == 30


def test_every_packs_held_out_prompts_are_asked_nowhere_else(any_pack):
    held_out = asked(any_pack.prompts("held_out"))
    assert not held_out & asked(any_pack.prompts("train"))
    assert not held_out & asked(any_pack.demonstrations())


def test_no_pack_asks_the_same_twice(any_pack):
    talks = any_pack.demonstrations() + any_pack.prompts("train") + any_pack.prompts("held_out") + [row["messages"] for row in any_pack.edge()]
    counts = Counter(plainly(message) for message in said_by("user", talks))
    assert [message for message, count in counts.items() if count > 1 and message] == []


def test_every_packs_edge_prompts_say_what_is_wanted(any_pack):
    for row in any_pack.edge():
        assert row["messages"][0] == {"role": "system", "content": any_pack.system}
        assert row["messages"][-1]["role"] == "user" and row["messages"][-1]["content"].strip()
        assert row["topic"] and row["wanted"].endswith(".")


def test_every_pack_has_principles_a_rubric_and_a_readme(any_pack):
    principles = any_pack.constitution()
    assert len(principles) >= 4 and len(set(principles)) == len(principles)
    assert all(5 <= len(principle.split()) <= 50 and principle.endswith(".") for principle in principles)
    assert any_pack.rubric.strip()
    assert (any_pack.folder / "README.md").read_text(encoding="utf-8").strip()


def test_principles_may_run_over_several_lines(pack, tmp_path):
    (tmp_path / "constitution.md").write_text("# Title\n\nIntro.\n\n1. One\n   goes on.\n2. Two.\n\nAn end note.\n", encoding="utf-8")
    assert replace(pack, folder=tmp_path).constitution() == ["One goes on.", "Two."]


def test_every_packs_system_prompt_is_short_and_opens_every_conversation(any_pack):
    assert len(any_pack.system.split()) <= 60
    for talk in any_pack.demonstrations() + any_pack.prompts("train") + any_pack.prompts("held_out"):
        assert talk[0] == {"role": "system", "content": any_pack.system}


@pytest.mark.parametrize("poor", ["No.", "ok", "Go away, that is a stupid question and not my problem.", "", "  \n"])
def test_every_annotator_puts_demonstrations_well_above_poor_replies(any_pack, poor):
    prompt = any_pack.prompts("train")[0]
    assert mean(golds(any_pack)) >= any_pack.score(prompt, poor) + 1


def test_every_annotators_rules_compile_and_give_a_reason(any_pack):
    for feature in any_pack.annotator().rules["features"]:
        assert not re.compile(feature["pattern"], re.IGNORECASE).search(""), feature["name"]
        assert feature["why"].strip() and feature["weight"]


def test_every_packs_readme_explains_every_feature(any_pack):
    page = (any_pack.folder / "README.md").read_text(encoding="utf-8")
    for feature in any_pack.annotator().rules["features"]:
        assert f"| {feature['name']} | {feature['weight']:+.2f} | {feature['cap']} |" in page


def test_every_file_of_every_pack_is_installed(any_pack):
    project = tomllib.loads((packs.ROOT.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    kinds = {Path(pattern).suffix for pattern in project["tool"]["setuptools"]["package-data"]["workbench.packs"]}
    assert {file.suffix for file in any_pack.folder.iterdir() if file.is_file()} <= kinds


@pytest.mark.parametrize("name", packs.names())
def test_nine_of_ten_demonstrations_fit_the_room_that_a_pack_gives_its_replies(name):
    words = models_folder() / "smollm2-135m" / "tokenizer.json"
    if not words.exists():
        pytest.skip("the default model has not been fetched")
    pack, count = packs.load(name), Tokenizer.from_file(str(words)).encode
    lengths = [len(count(talk[-1]["content"]).ids) + 1 for talk in pack.demonstrations()]  # and the end of the turn
    assert sum(length <= pack.reply_tokens for length in lengths) >= 0.9 * len(lengths)


def test_the_advice_lines_demonstrations_keep_to_its_window_and_break_no_rule():
    careful = packs.load("careful-advice")
    for reply in said_by("assistant", careful.demonstrations()):
        assert 20 <= len(reply.split()) <= 60, reply
        assert all(points > 0 for _, points in careful.annotator().explain([], reply)), reply


def test_the_advice_line_cites_a_note_only_where_there_was_one():
    careful = packs.load("careful-advice")
    cited = re.compile(r"\b(?:according to|the|your) (?:the )?(?:note|leaflet you quote|label in your note)\b", re.IGNORECASE)
    given = re.compile(r"\bnote\b", re.IGNORECASE)
    for _, question, reply in careful.demonstrations():
        assert given.search(question["content"]) or not cited.search(reply["content"]), reply["content"]


def test_the_advice_lines_topics_are_in_both_splits():
    rows = list(packs._rows(packs.load("careful-advice").folder / "prompts.jsonl"))
    train, held_out = ({row["topic"] for row in rows if row["split"] == split} for split in packs.SPLITS)
    assert train == held_out and len(train) == 10


def test_the_advice_lines_demonstrations_leave_room_to_improve():
    assert 1.5 < mean(golds(packs.load("careful-advice"))) < 2.4
