"""One wall in front of every route: who may speak to the app, from where, and how much. Pure ASGI; knows nothing of Gradio.

Gradio alone runs cross-origin posts and answers any Host, so any web page a person visits could drive the app.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

# ASGI's own types: https://asgi.readthedocs.io/en/latest/specs/main.html
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

READS = ("GET", "HEAD", "OPTIONS")
OPEN = ("/healthz",)  # tells nothing but that the app is there
CLOSED = ("/openapi.json", "/docs", "/redoc", "/gradio_api/openapi.json", "/gradio_api/docs")
MEBIBYTE = 2**20
MONTH_SECONDS = 30 * 24 * 3600

POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
          "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; "
          "frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'")
HEADERS = {
    b"content-security-policy": POLICY.encode(), b"x-content-type-options": b"nosniff", b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY", b"cross-origin-resource-policy": b"same-origin", b"cross-origin-opener-policy": b"same-origin",
}
# They rule what a document may do; JSON, which nosniff keeps from being taken for one, comes several times a second without them.
OF_DOCUMENTS = (b"content-security-policy", b"x-frame-options", b"cross-origin-opener-policy")
DROPPED = (b"access-control-allow-origin", b"access-control-allow-credentials")

PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>RLHF Workbench</title>
<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 1.5rem}
code{background:#8883;padding:.15em .4em;border-radius:.3em}</style>
<h1>This page needs its key</h1>
<p>The workbench only opens for whoever started it. Its full address, with the key, is printed in the terminal where the app
runs, in the line that begins with <b>Open</b>:</p><p><code>Open http://127.0.0.1:PORT/?token=...</code></p>
<p>Copy that whole line into the address bar. After that this browser remembers the key, also when the app is restarted.</p>
"""


class TooLarge(Exception):
    """The body of a request has passed the cap; never leaves this file."""


class Guard:
    """Lets a request through to `app` only from this machine's own page, with the token."""

    def __init__(self, app: Any, token: str, port: int, upload_mebibytes: int = 256) -> None:
        self.app, self.token, self.port = app, token, port
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        # Cookies are shared between the ports of a host: the port in the name keeps two apps apart.
        self.cookie = f"workbench_{port}"
        self.upload_cap, self.call_cap = upload_mebibytes * MEBIBYTE, 4 * MEBIBYTE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        send = sealed(send)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        refusal = self.refusal(scope, headers)
        if refusal:
            return await answer(send, *refusal)
        if scope["path"] in OPEN:
            return await self.app(scope, receive, send)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self.fits(dict(query).get("token")) and scope["method"] == "GET":
            return await self.let_in(scope, query, send)
        if not self.is_known(headers):
            return await answer(send, 403, PAGE.replace("PORT", str(self.port)), kind="text/html")
        await self.capped(scope, headers, receive, send)

    def refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a request is turned away whatever its token: its host, its origin, its path, its size."""
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return 421, (f"This app answers to http://127.0.0.1:{self.port} and http://localhost:{self.port} only. "
                         f"Through a tunnel, use port {self.port} on both sides.")
        if "origin" in headers and headers["origin"].lower() != f"http://{host}":
            return 403, "Another site's page may not use this app."
        if scope["method"] not in READS and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "Another site's page may not use this app."
        if scope["path"] in CLOSED:
            return 404, "Nothing here."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.cap(scope["path"]):
            return 413, f"At most {self.cap(scope['path']) // MEBIBYTE} MiB may be sent at once."
        return None

    def cap(self, path: str) -> int:
        return self.upload_cap if path == "/gradio_api/upload" else self.call_cap

    def fits(self, token: str | None) -> bool:
        return token is not None and secrets.compare_digest(token.encode(), self.token.encode())

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether the request carries the token, as a cookie or as a bearer."""
        pairs = [part.strip().partition("=") for part in headers.get("cookie", "").split(";")]
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        found = [value for name, _, value in pairs if name == self.cookie] + [bearer] * (scheme.lower() == "bearer")
        return any(self.fits(each) for each in found)

    async def let_in(self, scope: Scope, query: list[tuple[str, str]], send: Send) -> None:
        """Swaps the token in the address for a cookie, so that it is in no bookmark, history entry or screenshot."""
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        # One leading slash only: "//evil.example" as a Location would be another host.
        place = "/" + scope["path"].lstrip("/\\") + ("?" + rest if rest else "")
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={MONTH_SECONDS}"
        await answer(send, 303, "", extra=[(b"location", place.encode("ascii", "ignore")), (b"set-cookie", cookie.encode())])

    async def capped(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Passes a request on, counting its body: the content-length may be absent or a lie."""
        room, begun = self.cap(scope["path"]), False

        async def counted() -> dict[str, Any]:
            nonlocal room
            message = await receive()
            room -= len(message.get("body", b""))
            if room < 0:
                raise TooLarge
            return message

        async def noted(message: dict[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except TooLarge:
            if not begun:
                await answer(send, 413, f"At most {self.cap(scope['path']) // MEBIBYTE} MiB may be sent at once.")


def sealed(send: Send) -> Send:
    """Adds the wall's headers to every answer and takes off those that open it to other sites."""

    async def with_headers(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(k, v) for k, v in message.get("headers", []) if k.lower() not in HEADERS and k.lower() not in DROPPED]
            is_json = any(k.lower() == b"content-type" and v.startswith(b"application/json") for k, v in kept)
            wall = [(k, v) for k, v in HEADERS.items() if not (is_json and k in OF_DOCUMENTS)]
            message = {**message, "headers": kept + wall}
        await send(message)

    return with_headers


async def answer(send: Send, status: int, text: str, kind: str = "text/plain", extra: list[tuple[bytes, bytes]] | None = None) -> None:
    body = text.encode()
    headers = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"content-length", str(len(body)).encode()),
               (b"cache-control", b"no-store"), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
