"""Messages to tokens: what is trained, and what ends a turn."""

from __future__ import annotations

import pytest

from tests import toy
from workbench.chat import PLAIN_TEMPLATE, Chat
from workbench.errors import CorpusError

TALK = [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Hello there "},
        {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "So long"}]


@pytest.fixture
def chat():
    return Chat(toy.tokenizer())


def trained_text(chat, messages):
    encoded = chat.conversation(messages)
    return chat.tokenizer.decode([i for i, m in zip(encoded.ids, encoded.mask, strict=True) if m])


def test_only_the_assistants_words_and_their_end_are_trained(chat):
    assert trained_text(chat, TALK) == "Hello there<|im_end|>So long<|im_end|>"


def test_a_conversation_reads_as_the_template_writes_it(chat):
    whole = chat.tokenizer.decode(chat.conversation(TALK).ids)
    stripped = [{**m, "content": m["content"].strip()} for m in TALK]
    assert whole == chat.render(stripped).rstrip("\n")


def test_training_and_answering_see_the_same_prompt(chat):
    prompt = chat.prompt(TALK[:2])
    assert chat.conversation(TALK[:3]).ids[: len(prompt)] == prompt


def test_the_end_of_turn_stops_a_reply_and_is_not_text(chat):
    assert chat.end_of_turn in chat.stops
    assert chat.text(chat.reply("Fine.")) == "Fine."


def test_a_conversation_without_an_assistant_is_refused(chat):
    with pytest.raises(CorpusError, match="nothing to learn"):
        chat.conversation(TALK[:2])


def test_a_template_that_rewrites_history_trains_the_last_turn_only():
    tokenizer = toy.tokenizer()
    tokenizer.chat_template = toy.TEMPLATE.replace("{% for m in messages %}", "{% for m in messages[-2:] %}")
    chat = Chat(tokenizer)
    assert trained_text(chat, TALK) == "So long<|im_end|>"


def test_a_model_without_a_template_gets_a_plain_one():
    tokenizer = toy.tokenizer()
    tokenizer.chat_template = PLAIN_TEMPLATE
    chat = Chat(tokenizer)
    assert chat.render(TALK[1:2], reply_follows=True) == "User: Hi\nAssistant: "
    assert trained_text(chat, TALK[1:3]) == "Hello there<|im_end|>"
