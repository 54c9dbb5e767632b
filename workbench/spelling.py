"""A model's tokenizer without torch: its tokenizer.json and chat template, so that the page can show what the engine will read.

It answers the few questions that `Chat` asks of a tokenizer, as transformers answers them; a test holds the two together.
A model that has no tokenizer.json on this machine has no spelling here, and the page counts words instead.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import jinja2
import jinja2.ext
import jinja2.sandbox
from tokenizers import Tokenizer

from workbench import bundled
from workbench.chat import LONGEST_TEMPLATE, PLAIN_TEMPLATE, Chat
from workbench.errors import ModelError
from workbench.recipes import DEFAULT_MODEL
from workbench.records import Messages

FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def chat_of(model: str) -> Chat | None:
    """The chat of a model whose tokenizer lies on this machine; None where it does not. Raises ModelError for a broken one."""
    found = places(model)
    if "tokenizer.json" not in found:
        return None
    try:
        return Chat(Spelling(found))
    except (OSError, ValueError, TypeError, KeyError, jinja2.TemplateError) as fault:
        raise ModelError(f"the tokenizer of {model!r} cannot be read: {fault}; is the download complete?") from fault
    except Exception as fault:  # tokenizers raises bare Exceptions for a damaged file
        if type(fault) is not Exception:
            raise
        raise ModelError(f"the tokenizer of {model!r} cannot be read: {fault}; is the download complete?") from fault


def places(model: str) -> dict[str, Path]:
    """The files of a tokenizer by name: of our converted copy, of a folder, or of a hub model that was downloaded before."""
    folder = bundled.models_folder() / DEFAULT_MODEL if model == DEFAULT_MODEL else Path(model).expanduser()
    if folder.is_dir() or model == DEFAULT_MODEL:
        return {name: folder / name for name in FILES if (folder / name).is_file()}
    try:
        cached = {name: huggingface_hub.try_to_load_from_cache(model, name) for name in FILES}
    except huggingface_hub.errors.HFValidationError:  # neither a folder nor a hub name
        return {}
    return {name: Path(path) for name, path in cached.items() if isinstance(path, str)}


class Spelling:
    """A tokenizer and its template, under the names that transformers gives them."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.core = Tokenizer.from_file(str(files["tokenizer.json"]))
        told = {name: json.loads(files[name].read_text(encoding="utf-8")) if name in files else {} for name in FILES[1:3]}
        config = told["special_tokens_map.json"] | told["tokenizer_config.json"]
        self.named = {name: text for name in NAMED if (text := content_of(config.get(name)))}
        self.added = {token.content: number for number, token in self.core.get_added_tokens_decoder().items()}
        listed = files["chat_template.jinja"].read_text(encoding="utf-8") if "chat_template.jinja" in files else template_in(config)
        self.template = compiled(listed or PLAIN_TEMPLATE)

    @property
    def eos_token_id(self) -> int | None:
        return self.core.token_to_id(self.named["eos_token"]) if "eos_token" in self.named else None

    @property
    def all_special_ids(self) -> list[int]:
        marks = [number for number, token in self.core.get_added_tokens_decoder().items() if token.special]
        return [*marks, *(self.core.token_to_id(text) for text in self.named.values())]

    def get_added_vocab(self) -> dict[str, int]:
        return self.added

    def apply_chat_template(self, messages: Messages, tokenize: bool = False, add_generation_prompt: bool = False) -> str:
        return self.template.render(messages=[dict(m) for m in messages], tools=None, documents=None, add_generation_prompt=add_generation_prompt, **self.named)

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return self.core.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool = False) -> str:
        return self.core.decode(list(ids), skip_special_tokens=skip_special_tokens)


def content_of(token: Any) -> str:
    """A special token's text, which may stand in an object with how it is stripped."""
    return token.get("content", "") if isinstance(token, dict) else token or ""


def template_in(config: dict[str, Any]) -> str:
    """The template of tokenizer_config.json: a text, or the one called default of a list."""
    found = config.get("chat_template") or ""
    if isinstance(found, list):
        found = next((each["template"] for each in found if each.get("name") == "default"), "")
    return found


def compiled(template: str) -> jinja2.Template:
    """A chat template in a sandbox, with the words that transformers gives to templates."""
    if len(template) > LONGEST_TEMPLATE:
        raise ModelError(f"the chat template has {len(template):,} characters; at most {LONGEST_TEMPLATE:,} are accepted")
    house = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    house.filters["tojson"] = lambda value, **options: json.dumps(value, **{"ensure_ascii": False, **options})
    house.globals |= {"raise_exception": refuse, "strftime_now": lambda format: datetime.datetime.now().strftime(format)}
    return house.from_string(template)


def refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


class Generation(jinja2.ext.Extension):
    """{% generation %}, with which some templates mark the assistant's part; what it holds is rendered as it is."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
