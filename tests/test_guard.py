"""The wall: what a hostile page, another local program or a careless proxy can try, and what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from apps.guard import MEBIBYTE, POLICY, Guard, sealed

TOKEN, PORT = "a-token-of-this-test", 7860
HOME = f"http://127.0.0.1:{PORT}"
CALL = "/gradio_api/component_server"


class Inside:
    """An application that notes what reached it."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = scope["type"] == "http"
        while more:
            message = await receive()
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        self.paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"access-control-allow-origin", b"http://evil.example")]})
        await send({"type": "http.response.body", "body": b"inside"})


def ask(method: str, path: str, inside: Inside | None = None, base: str = HOME, **more: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app=Guard(inside or Inside(), TOKEN, PORT))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **more)

    return asyncio.run(go())


def known(**more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKEN}", **more}


@pytest.mark.parametrize(("name", "method", "path", "base", "headers", "status"), [
    ("text/plain post from another site", "POST", CALL, HOME, {"origin": "http://evil.example", "content-type": "text/plain"}, 403),
    ("multipart post from another site", "POST", CALL, HOME, {"origin": "http://evil.example", "content-type": "multipart/form-data; boundary=x"}, 403),
    ("upload from another site", "POST", "/gradio_api/upload", HOME, {"origin": "http://evil.example"}, 403),
    ("another program of this machine", "POST", "/gradio_api/queue/join", HOME, {"origin": "http://localhost:8888"}, 403),
    ("the other name of this machine", "POST", CALL, HOME, {"origin": f"http://localhost:{PORT}"}, 403),
    ("an opaque origin", "POST", CALL, HOME, {"origin": "null"}, 403),
    ("https where there is none", "POST", CALL, HOME, {"origin": f"https://127.0.0.1:{PORT}"}, 403),
    ("a form of another site, without origin", "POST", CALL, HOME, {"sec-fetch-site": "cross-site"}, 403),
    ("a sibling site", "POST", CALL, HOME, {"sec-fetch-site": "same-site"}, 403),
    ("reading from another site", "GET", "/config", HOME, {"origin": "http://evil.example"}, 403),
    ("a rebound name", "POST", CALL, f"http://evil.example:{PORT}", {}, 421),
    ("a rebound name without port", "GET", "/", "http://evil.example", {}, 421),
    ("the right name, another port", "GET", "/", "http://127.0.0.1:7861", {}, 421),
    ("the schema", "GET", "/openapi.json", HOME, {}, 404),
    ("a length that is no number", "POST", CALL, HOME, {"content-length": "many"}, 413),
    ("our own page", "POST", CALL, HOME, {"origin": HOME, "sec-fetch-site": "same-origin"}, 200),
    ("our own page by its other name", "POST", CALL, f"http://localhost:{PORT}", {"origin": f"http://localhost:{PORT}"}, 200),
    ("a script with the token", "POST", CALL, HOME, {}, 200),
])
def test_only_our_own_page_may_call(name: str, method: str, path: str, base: str, headers: dict[str, str], status: int) -> None:
    inside = Inside()
    assert ask(method, path, inside, base, headers=known(**headers)).status_code == status
    assert bool(inside.paths) == (status == 200), "a refused request never reaches the app"


@pytest.mark.parametrize("headers", [
    {}, {"authorization": "Bearer wrong"}, {"cookie": f"workbench_{PORT}=wrong"}, {"cookie": f"workbench_7861={TOKEN}"},
    {"authorization": f"Basic {TOKEN}"}, {"authorization": "Bearer "}])
def test_without_the_token_there_is_a_page_that_tells_where_it_is(headers: dict[str, str]) -> None:
    for path in ("/", "/config", "/static/workbench.js", "/gradio_api/info"):
        found = ask("GET", path, headers=headers)
        assert found.status_code == 403
        assert "printed in the terminal" in found.text and TOKEN not in found.text


def test_the_token_in_the_address_becomes_a_cookie_and_the_rest_of_the_query_stays() -> None:
    found = ask("GET", f"/?tab=ppo&token={TOKEN}&run=ppo-1")
    assert found.status_code == 303
    assert found.headers["location"] == "/?tab=ppo&run=ppo-1"
    cookie = found.headers["set-cookie"]
    assert cookie.startswith(f"workbench_{PORT}={TOKEN};") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert ask("GET", "/", headers={"cookie": f"other=1; workbench_{PORT}={TOKEN}"}).status_code == 200


def test_the_redirect_never_leaves_this_host() -> None:
    found = ask("GET", f"{HOME}//evil.example/?token={TOKEN}")
    assert found.headers["location"] == "/evil.example/"


def test_a_wrong_token_in_the_address_is_refused() -> None:
    assert ask("GET", "/?token=wrong").status_code == 403
    assert ask("GET", "/?token=%C3%A9").status_code == 403


def test_health_needs_no_token_but_the_right_host() -> None:
    assert ask("GET", "/healthz").status_code == 200
    assert ask("GET", "/healthz", base="http://evil.example").status_code == 421


def test_every_answer_carries_the_headers_and_none_opens_the_app_to_others() -> None:
    for found in (ask("GET", "/", headers=known()), ask("GET", "/"), ask("GET", "/openapi.json")):
        assert found.headers["content-security-policy"] == POLICY
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert found.headers["x-frame-options"] == "DENY"
        assert found.headers["cross-origin-resource-policy"] == found.headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in found.headers


def test_json_comes_without_what_only_rules_documents_and_cannot_be_taken_for_one() -> None:
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"access-control-allow-origin", b"*")]}
    asyncio.run(sealed(send)(start))
    assert {name for name, _ in sent[0]["headers"]} == {b"content-type", b"x-content-type-options", b"referrer-policy", b"cross-origin-resource-policy"}


def test_a_body_that_says_it_is_too_large_is_refused() -> None:
    inside = Inside()
    assert ask("POST", CALL, inside, headers=known(**{"content-length": str(4 * MEBIBYTE + 1)})).status_code == 413
    assert not inside.paths


def test_a_body_that_does_not_say_so_is_cut_off_while_it_streams() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b"x" * MEBIBYTE

    inside = Inside()
    assert ask("POST", CALL, inside, headers=known(), content=endless()).status_code == 413
    assert not inside.paths and len(inside.body) <= 4 * MEBIBYTE


def test_uploads_may_be_larger_than_calls() -> None:
    inside = Inside()
    assert ask("POST", "/gradio_api/upload", inside, headers=known(), content=b"x" * (5 * MEBIBYTE)).status_code == 200
    assert len(inside.body) == 5 * MEBIBYTE


def test_websockets_are_closed() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Guard(Inside(), TOKEN, PORT)({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
