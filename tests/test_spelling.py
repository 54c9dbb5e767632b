"""The page's tokenizer writes exactly what the engine trains on."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests import toy
from tests.test_inspection import ASK, talk
from workbench import bundled, inspection
from workbench.chat import Chat
from workbench.corpus import Demonstration, Preference
from workbench.engine import rankings, sft
from workbench.engine.models import load_tokenizer
from workbench.errors import CorpusError, ModelError
from workbench.recipes import DEFAULT_MODEL
from workbench.spelling import chat_of

HAS_DEFAULT = (bundled.models_folder() / DEFAULT_MODEL / "tokenizer.json").exists()
WORDS = some.text(max_size=12) | some.sampled_from([" two  spaces ", "Hello there", "<|im_end|>", "naïve 東京 🙂\n\n", "\t", "{{x}}", "<|im_start|>user"])
TALKS = some.lists(some.tuples(WORDS, WORDS), min_size=1, max_size=3).map(lambda turns: [
    {"role": role, "content": text} for pair in turns for role, text in zip(("user", "assistant"), pair)])


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The engine's chat and the page's, of the toy and (where it is on this machine) the default model."""
    names = [toy.make(tmp_path_factory.mktemp("model")), *([DEFAULT_MODEL] if HAS_DEFAULT else [])]
    return [(Chat(load_tokenizer(name)), chat_of(name)) for name in names]


@settings(max_examples=80, deadline=None)
@given(talk=TALKS, system=some.none() | WORDS)
def test_the_page_and_the_engine_see_the_same_tokens_and_train_the_same(both, talk, system):
    messages = [*([{"role": "system", "content": system}] if system is not None else []), *talk]
    for engine, page in both:
        encoded = engine.conversation(messages)
        assert page.conversation(messages) == encoded
        assert page.prompt(messages[:-1]) == engine.prompt(messages[:-1]) and page.reply(talk[-1]["content"]) == engine.reply(talk[-1]["content"])
        assert page.tokenizer.decode(encoded.ids) == engine.tokenizer.decode(encoded.ids)
        assert "".join(page.pieces(encoded.ids, with_marks=True)) == engine.tokenizer.decode(encoded.ids)
        assert page.stops == engine.stops and page.pieces(encoded.ids) == engine.pieces(encoded.ids)


@pytest.fixture
def sides(both):
    """The page's chat of the toy, and a backbone that has only the engine's."""
    return both[0][1], SimpleNamespace(chat=both[0][0])


def test_a_demonstration_is_shown_as_sft_trains_on_it(sides):
    chat, engine = sides
    row = Demonstration([{"role": "system", "content": "S"}, *talk(" Hello there ").messages, *talk("Bye").messages])
    [(encoded, _)] = inspection.spelt(chat, row)
    _, [trained], _ = sft.encode(engine, [row], 1000)
    assert encoded == trained
    assert "".join(piece for piece, m in zip(chat.pieces(encoded.ids, with_marks=True), encoded.mask) if m) == "Hello there<|im_end|>Bye<|im_end|>"


def test_a_ranking_is_shown_as_the_reward_model_reads_it(sides):
    chat, engine = sides
    row = Preference(ASK, [" good one ", "bad"], [[0], [1]])
    shown = [each.encoded for each in inspection.spelt(chat, row)]
    read = rankings.ranked(engine, row, 1000)
    assert [each.ids for each in shown] == read.rows and [sum(each.mask) for each in shown] == read.words


def test_what_is_called_too_long_is_what_sft_leaves_out(sides):
    chat, engine = sides
    rows = [talk("a" * length) for length in (5, 40, 80, 200)]
    cut = 100
    [long] = [each for each in inspection.problems(rows, chat, inspection.lengths(chat, rows), cut) if each.name == "long"]
    kept, _, left_out = sft.encode(engine, rows, cut)
    assert len(long.numbers) == left_out > 0 and [rows[number - 1] for number in range(1, 5) if number not in long.numbers] == kept


def test_templates_have_the_words_that_transformers_gives_them(tmp_path):
    folder = toy.make(tmp_path)
    template = (tmp_path / "chat_template.jinja")
    template.write_text("{%- for m in messages %}\n  {%- if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}{{ m | tojson }}{{ bos_token }}"
                        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}{% continue %}{% endif %}{% endfor %}")
    messages = [{"role": "user", "content": "é <b>"}, {"role": "assistant", "content": "yes"}]
    engine, page = Chat(load_tokenizer(folder)), chat_of(folder)
    assert page.render(messages) == engine.render(messages) and page.conversation(messages) == engine.conversation(messages)
    for chat in (engine, page):
        with pytest.raises(CorpusError, match="cannot write a conversation of user, tool: no tools"):
            chat.render([messages[0], {"role": "tool", "content": "x"}])


def test_a_model_without_a_template_gets_the_plain_one_on_both_sides(tmp_path):
    folder = toy.make(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
    assert chat_of(folder).conversation(messages) == Chat(load_tokenizer(folder)).conversation(messages)


def test_older_configurations_keep_template_and_marks_in_json(tmp_path):
    folder = toy.make(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config |= {"chat_template": [{"name": "default", "template": toy.TEMPLATE}], "eos_token": {"content": "<|im_end|>", "lstrip": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert chat_of(folder).end_text == "<|im_end|>"


def test_a_model_that_is_not_here_has_no_spelling_and_a_damaged_one_says_so(tmp_path):
    assert chat_of(str(tmp_path)) is None and chat_of("nobody/nothing-at-all") is None and chat_of("no such: name") is None
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        chat_of(str(tmp_path))
