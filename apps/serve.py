"""Puts the app on a port of this machine, behind the guard, and keeps the queue going while it is there."""

from __future__ import annotations

import os

# Gradio reads these when it is imported; without them it looks up hosts on the internet at start.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["DO_NOT_TRACK"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import asyncio
import contextlib
import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import fastapi
import gradio as gr
import plotly
import uvicorn
from fastapi.responses import PlainTextResponse

from apps import theme
from apps.app import build
from apps.guard import Guard
from apps.page import STATIC
from workbench.errors import LabError, PortBusy, WorkbenchError
from workbench.lab import Lab

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
# Chromium then compiles all of Plotly beside the page's own work: 450 ms of one task became 150 (explicit compile hints).
EAGER = b"//# allFunctionsCalledOnLoad\n"


def serve(lab: Lab, port: int = 7860, host: str = "127.0.0.1", token: str | None = None, open_browser: bool = False) -> None:
    """Serves the app until interrupted. Raises PortBusy, or LabError for a host that others could reach."""
    check_address(host, port)
    token = token or lasting_token(lab.home)
    address = f"http://{'[::1]' if host == '::1' else host}:{port}/?token={token}"
    print(f"Lab  {lab.home}\nOpen {address}\nCtrl-C closes the app; runs go on without it.", flush=True)
    if open_browser:
        threading.Timer(1.0, webbrowser.open, [address]).start()
    uvicorn.run(application(lab, token, port), host=host, port=port, log_level="warning", ws="none", server_header=False,
                timeout_graceful_shutdown=2, limit_concurrency=200)


def application(lab: Lab, token: str, port: int) -> fastapi.FastAPI:
    """The ASGI application: the page, its few static files, and the guard in front of them all."""
    app = fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lambda _: keep_going(lab))
    app.get("/healthz")(lambda: PlainTextResponse("ok"))
    app.get("/static/plotly.min.js")(script_at(PLOTLY, EAGER, "private, max-age=86400"))
    for name in theme.SCRIPTS:
        app.get(f"/static/{name}.js")(script_at(STATIC / f"{name}.js"))
    gr.mount_gradio_app(
        app, build(lab), path="/", server_name="127.0.0.1", server_port=port, theme=theme.THEME, css=theme.css(), head=theme.HEAD,
        footer_links=[], run_history=False, ssr_mode=False, mcp_server=False, pwa=False, enable_monitoring=False, show_error=False,
        allowed_paths=[], max_file_size="256mb")
    app.add_middleware(Guard, token=token, port=port)
    return app


def script_at(path: Path, before: bytes = b"", caching: str = "no-cache") -> Callable[[], fastapi.Response]:
    """A route's function; one without parameters, since FastAPI would take those from the address."""
    return lambda: fastapi.Response(before + path.read_bytes(), media_type="text/javascript", headers={"cache-control": caching})


@contextlib.asynccontextmanager
async def keep_going(lab: Lab) -> AsyncIterator[None]:
    """Starts a worker again whenever runs wait and none is there: a crash takes one run along, not the queue."""

    async def watch() -> None:
        while True:
            with contextlib.suppress(WorkbenchError):
                await asyncio.to_thread(lab.ensure_worker)
            await asyncio.sleep(2.0)

    task = asyncio.create_task(watch())
    yield
    task.cancel()


def check_address(host: str, port: int) -> None:
    """Raises LabError for a host beyond this machine, PortBusy for a port that is taken."""
    if host not in LOOPBACK:
        raise LabError(f"host {host!r} can be reached by others; the workbench only serves this machine (127.0.0.1). "
                       f"From elsewhere use a tunnel: ssh -L {port}:127.0.0.1:{port} MACHINE")
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as fault:
            raise PortBusy(f"port {port} is not free ({fault.strerror}); use a free one: --port {free_port()}") from fault


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def lasting_token(home: Path) -> str:
    """The lab's token, made once: bookmarks and cookies outlive a restart. Only its owner can read the file."""
    place = home / "token"
    with contextlib.suppress(FileExistsError):
        number = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w") as out:
            out.write(secrets.token_urlsafe(24))
    found = place.read_text().strip()
    if len(found) < 16:
        raise LabError(f"{place} holds no usable token; delete it and start again")
    return found
