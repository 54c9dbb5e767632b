"""What the tabs share: the lab, the tabs themselves, and the run a person is looking at.

A tab is a module with `build(lab, page)`, called inside its own gr.Tab. Panels that show live data pull it with one
server function (`poll`), which this file turns into a safe public endpoint.
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import WorkbenchError
from workbench.lab import Lab

STATIC = Path(__file__).parent / "static"

TABS = {
    "overview": "Overview", "data": "Data", "sft": "SFT", "preferences": "Preferences",
    "reward": "Reward", "ppo": "PPO", "compare": "Compare", "runs": "Runs",
}


@dataclass
class Page:
    """The frame of the app, as the tabs see it."""

    lab: Lab
    selected: gr.Textbox  # id of the run a person looks at; hidden, mirrored in the address as ?run=
    blocks: gr.Blocks  # `page.blocks.load(...)` runs when the page is opened
    tab: dict[str, gr.Tab] = field(default_factory=dict)  # by id; `page.tab["ppo"].select(...)` runs when it is opened

    def fresh(self, tab: str, look: Callable[[], Any], controls: Any) -> None:
        """Brings controls up to date when the page or a tab is opened: runs end and files are imported meanwhile."""
        gr.on([self.tab[tab].select, self.blocks.load], look, None, controls, show_progress="hidden")


def script(name: str) -> str:
    """The JavaScript of a panel, from apps/static."""
    return (STATIC / f"{name}.js").read_text(encoding="utf-8")


def panel(name: str, *functions: Callable[[dict[str, Any]], dict[str, Any]], **props: Any) -> gr.HTML:
    """A panel whose DOM is built in the browser by static/NAME.js, from what `functions` answer.

    Data never goes through the component's value or template: both would run markup that a model wrote.
    """
    return gr.HTML(html_template="<div class='wb'></div>", js_on_load=script(name), apply_default_css=False,
                   server_functions=list(functions), elem_classes=[f"wb-{name}"], **props)


def public(function: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Guards a server function, which anybody with the token may call with anything: one dict in, one dict out.

    Trouble a person can mend comes back as {"error": text}.
    """

    @functools.wraps(function)
    def answer(question: Any) -> dict[str, Any]:
        if not isinstance(question, dict) or len(str(question)) > 100_000:
            return {"error": "a panel asked something malformed; reload the page"}
        try:
            return function(question)
        except WorkbenchError as fault:
            return {"error": str(fault)}
        except (KeyError, TypeError, ValueError) as fault:
            return {"error": f"a panel asked something malformed ({type(fault).__name__}: {fault}); reload the page"}

    return answer


def sparing(function: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Lets a panel that asks again and again be answered {"same": True} as long as nothing has changed: it sends the last answer's tag."""

    @functools.wraps(function)
    def answer(question: dict[str, Any]) -> dict[str, Any]:
        found = function(question)
        tag = tag_of(found)
        return {"same": True} if question.get("tag") == tag else {**found, "tag": tag}

    return answer


def tag_of(value: Any) -> str:
    """A few letters that change when the value does."""
    return f"{zlib.crc32(json.dumps(value, default=str).encode()):x}"


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Shows trouble a person can mend as a message on the page instead of a red component."""

    @functools.wraps(function)
    def handler(*values: Any) -> Any:
        try:
            return function(*values)
        except WorkbenchError as fault:
            raise gr.Error(str(fault), title="That cannot work", print_exception=False) from fault

    return handler
