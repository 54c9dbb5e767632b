"""Claims about the packs that come with the workbench."""

import re
from collections import Counter
from statistics import mean

import pytest

from workbench import annotator, packs
from workbench.errors import CorpusError

TOPICS = {"order", "menu", "hours", "complaint", "policy", "allergy", "off_topic", "rude", "small_talk", "place"}


@pytest.fixture(scope="module")
def pack():
    return packs.load("customer-service")


def said_by(role, conversations):
    return [message["content"] for talk in conversations for message in talk if message["role"] == role]


def test_the_pack_is_listed_and_loads(pack):
    assert "customer-service" in packs.names()
    assert pack.title == "Customer service"


def test_an_unknown_pack_is_refused_with_the_names_there_are():
    with pytest.raises(CorpusError, match="customer-service"):
        packs.load("tea-house")


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
    rules = pack.annotator()
    for reply in said_by("assistant", pack.demonstrations()):
        assert all(points > 0 for _, points in annotator.explain(reply, rules)), reply


def test_no_message_is_shared_between_splits_and_demonstrations(pack):
    asked = said_by("user", pack.demonstrations() + pack.prompts("train") + pack.prompts("held_out"))
    plain = Counter(re.sub(r"\W+", " ", message.lower()).strip() for message in asked)
    assert [message for message, count in plain.items() if count > 1] == []


def test_every_topic_is_in_both_splits(pack):
    for split in packs.SPLITS:
        rows = packs._rows(pack.folder / "prompts.jsonl")
        assert {row["topic"] for row in rows if row["split"] == split} == TOPICS


def test_demonstrations_leave_room_to_improve(pack):
    gold = [annotator.score(talk[-1]["content"], pack.annotator()) for talk in pack.demonstrations()]
    assert 0.5 < mean(gold) < 1.7


def test_texts_are_paragraphs(pack):
    assert all(60 <= len(text.split()) <= 110 for text in pack.texts())


def test_the_readme_explains_every_feature(pack):
    page = (pack.folder / "README.md").read_text(encoding="utf-8")
    for feature in pack.annotator()["features"]:
        assert f"| {feature['name']} | {feature['weight']:+.2f} | {feature['cap']} |" in page


def test_a_broken_row_is_named_by_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine"}\n{"text": \n', encoding="utf-8")
    with pytest.raises(CorpusError, match="line 2"):
        list(packs._rows(path))
