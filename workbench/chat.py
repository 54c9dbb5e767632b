"""Messages to tokens by the model's own chat template, and back. The one place that decides which tokens are trained.

Knows no torch: the engine brings transformers' tokenizer, the page a lighter one (spelling.py), and both see the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2

from workbench.errors import CorpusError, ModelError
from workbench.records import Messages

# For a base model without a chat template of its own; ends each turn with the tokenizer's end-of-text token.
PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].capitalize() + ': ' + m['content'].strip() }}"
    "{{ eos_token if m['role'] == 'assistant' else '' }}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
)
LONGEST_TEMPLATE = 64_000  # characters; a template is a program, and a huge one is no template


class Encoded(NamedTuple):
    """A conversation as tokens; mask is 1 on the tokens to be learned (the assistant's text and its end of turn)."""

    ids: list[int]
    mask: list[int]


class Chat:
    """A tokenizer with its chat template, its stop tokens and its end of turn."""

    def __init__(self, tokenizer: Any, generation_config: Any = None) -> None:
        self.tokenizer = tokenizer
        self.end_of_turn, self.end_text = self._find_end_of_turn()
        listed = getattr(generation_config, "eos_token_id", None)
        others = listed if isinstance(listed, list) else [listed]
        self.stops = sorted({t for t in [self.end_of_turn, tokenizer.eos_token_id, *others] if t is not None})

    def _find_end_of_turn(self) -> tuple[int, str]:
        """The token that the template puts after the assistant's words; the tokenizer's own end where it puts none."""
        messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        after = self.render(messages).split("b")[-1]
        ids = self.tokens(after)
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.get_added_vocab().values())
        if ids and ids[0] in special:
            return ids[0], self.tokenizer.decode(ids[:1])
        if self.tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has neither an end-of-text token nor an end of turn; replies could never stop")
        return self.tokenizer.eos_token_id, ""

    def render(self, messages: Messages, reply_follows: bool = False) -> str:
        try:
            return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply_follows)
        except jinja2.TemplateError as fault:  # some templates know no system turn, or no tools
            roles = ", ".join(message["role"] for message in messages)
            raise CorpusError(f"the model's chat template cannot write a conversation of {roles}: {fault}; leave such rows out or choose another model") from fault

    def tokens(self, text: str) -> list[int]:
        # The template writes the beginning-of-text token itself; a second one would be wrong.
        return self.tokenizer.encode(text, add_special_tokens=False)

    def prompt(self, messages: Messages) -> list[int]:
        """The tokens after which the assistant speaks."""
        return self.tokens(self.render(messages, reply_follows=True))

    def reply(self, text: str) -> list[int]:
        """The assistant's words and the end of turn, as tokens that follow `prompt`."""
        return [*self.tokens(text.strip()), self.end_of_turn]

    def conversation(self, messages: Messages) -> Encoded:
        """The whole conversation with every assistant turn trained. Raises CorpusError when there is none."""
        ids: list[int] = []
        mask: list[int] = []
        done = ""
        messages = [{**m, "content": m["content"].strip()} if m["role"] == "assistant" else m for m in messages]
        for turn, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.render(messages[:turn], reply_follows=True)
            if not before.startswith(done):
                return self._last_turn(messages)
            context, reply = self.tokens(before[len(done):]), self.reply(message["content"])
            ids += context + reply
            mask += [0] * len(context) + [1] * len(reply)
            done = before + message["content"] + self.end_text
        if not any(mask):
            raise CorpusError("a conversation without an assistant's turn has nothing to learn from")
        return Encoded(ids, mask)

    def _last_turn(self, messages: Messages) -> Encoded:
        # Some templates rewrite earlier turns (they drop old reasoning): then only the last turn can be trained honestly.
        context, reply = self.prompt(messages[:-1]), self.reply(messages[-1]["content"])
        return Encoded(context + reply, [0] * len(context) + [1] * len(reply))

    def text(self, ids: Sequence[int]) -> str:
        """A reply's words without special tokens."""
        return self.tokenizer.decode([i for i in ids if i not in self.stops], skip_special_tokens=True).strip()

    def pieces(self, ids: Sequence[int], with_marks: bool = False) -> list[str]:
        """The text that each token adds, without special tokens; together they are the reply as it was said, unstripped.

        `with_marks` spells the special tokens too: together the pieces are then exactly what the model reads.

        A character whose bytes are split over several tokens belongs to the last of them. Each piece is read after the tokens
        of the one before, since some tokenizers write a space only between words. About 11 microseconds per token.
        """
        found, start, done = [], 0, 0
        for end in range(1, len(ids) + 1):
            before, now = self._said(ids[start:done], with_marks), self._said(ids[start:end], with_marks)
            is_split = now.endswith("\ufffd") and end < len(ids)
            found.append("" if is_split else now[len(before):])
            start, done = (start, done) if is_split else (done, end)
        return found

    def _said(self, ids: Sequence[int], with_marks: bool) -> str:
        if with_marks:
            return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return self.tokenizer.decode([i for i in ids if i not in self.stops], skip_special_tokens=True, clean_up_tokenization_spaces=False)
