"""What a long run costs a browser: bytes per second over the wire, and the longest task that keeps the page from answering.

    python -m benchmarks.page_weight [--steps 100000] [--seconds 40]

Fills a lab with a PPO run of that many steps, appends a step a second as a worker would, opens the PPO tab in Chromium and
listens through the DevTools protocol. Trains nothing. Prints a table and writes it to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from apps.serve import free_port
from workbench import plots
from workbench.lab import Lab
from workbench.recipes import PpoRecipe, RewardRecipe, SftRecipe

RESULTS = Path(__file__).parent / "results"
WIRE, TASK = 2000, 200  # what issue 5 allows: bytes per second, milliseconds
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LONG_TASKS = """
window.tasks = [];
new PerformanceObserver((seen) => seen.getEntries().forEach((one) => tasks.push([one.startTime, one.duration]))).observe({ type: "longtask", buffered: true });
"""
CURVES = "() => Math.max(0, ...[...document.querySelectorAll('#tab-ppo .js-plotly-plot')].filter((p) => p.offsetParent).map((p) => p.data[0].x.at(-1) || 0))"


def numbers(step: int) -> dict[str, float]:
    """A step's metrics: every one that PPO logs, none of them constant."""
    keys = sorted({key for chart in plots.CHARTS["ppo"] for key in chart.keys} | set(plots.TILES["ppo"]) | {"lr", "surprise", "ratio_max", "updates", "distinct1"})
    return {key: math.sin(step / 900 + place) + 0.1 * math.sin(12.9898 * step + place) for place, key in enumerate(keys)}


def fill(lab: Lab, steps: int) -> str:
    """A PPO run that has taken so many steps and goes on, with a look at every hundredth; the name of the run."""
    store = lab.store
    for recipe in (SftRecipe(), RewardRecipe(sft="sft-1")):
        store.set_state(store.add_run(recipe.stage, recipe.to_json(), 1).id, "done", ("queued",))
    name = store.add_run("ppo", PpoRecipe(sft="sft-1", reward="reward-1").to_json(), 2 * steps).id
    with store.write() as db:
        db.executemany("insert into metrics values(?,?,?,?)", ((name, key, step, value) for step in range(1, steps + 1) for key, value in numbers(step).items()))
        prompt, record = json.dumps([{"role": "user", "content": "Are you open on Sunday?"}]), json.dumps({"score": 0.5, "tokens": 9})
        db.executemany("insert into samples values(?,?,?,?,?,?)", ((name, step, place, prompt, f"Yes, from {step % 12}.", record)
                                                                 for step in range(100, steps + 1, 100) for place in range(4)))
        db.execute("update runs set state='running', started=?, step=?, step_at=?, stepping=1.0 where id=?", (time.time() - steps, steps, time.time(), name))
    return name


def go_on(lab: Lab, name: str, step: int, is_over: threading.Event) -> None:
    """Takes a step a second until told to stop."""
    while not is_over.wait(1.0):
        step += 1
        lab.store.log(name, step, 10**6, numbers(step), stepping=1.0)


class Wire:
    """Bytes that a page received and sent, counted by the browser."""

    def __init__(self, page: Any) -> None:
        self.received, self.sent, self.requests = 0, 0, 0
        session = page.context.new_cdp_session(page)
        session.on("Network.loadingFinished", self.finished)
        session.on("Network.requestWillBeSent", self.begun)
        session.send("Network.enable")

    def finished(self, told: dict[str, Any]) -> None:
        self.received += int(told["encodedDataLength"])

    def begun(self, told: dict[str, Any]) -> None:
        self.requests += 1
        asked = told["request"]
        self.sent += len(asked.get("postData", "")) + sum(len(name) + len(value) + 4 for name, value in asked["headers"].items())


def measure(url: str, steps: int, seconds: float) -> dict[str, float]:
    """Opens the PPO tab, waits until its curves are drawn, then only listens."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(300_000)
        page.add_init_script(LONG_TASKS)
        wire = Wire(page)
        page.goto(url)
        page.wait_for_selector("#tab-ppo .js-plotly-plot")
        built = page.evaluate("() => performance.now()")
        page.wait_for_function(f"(n) => ({CURVES})() >= n", arg=steps)
        page.locator("#tab-ppo summary", has_text="More curves").click()
        page.wait_for_timeout(3000)
        drawn = page.evaluate("() => [performance.now(), [...document.querySelectorAll('#tab-ppo .wb-chart .js-plotly-plot')].filter((p) => p.offsetParent).length]")
        page.wait_for_timeout(5000)
        first = (wire.received, wire.sent, wire.requests, page.evaluate("() => performance.now()"))
        page.wait_for_timeout(1000 * seconds)
        lasted = page.evaluate("() => performance.now()") - first[3]
        tasks = page.evaluate("() => tasks")
        browser.close()
    building = [length for start, length in tasks if start < built]
    loading = [length for start, length in tasks if built <= start < first[3]]
    running = [length for start, length in tasks if start >= first[3]]
    return {"charts": drawn[1], "MB to the curves": first[0] / 1e6, "bytes received per second": (wire.received - first[0]) / lasted * 1000,
            "bytes sent per second": (wire.sent - first[1]) / lasted * 1000, "requests per second": (wire.requests - first[2]) / lasted * 1000,
            "longest task while the page is built (ms)": max(building, default=0.0),
            "longest task while the curves are drawn (ms)": max(loading, default=0.0), "longest task while running (ms)": max(running, default=0.0)}


def serve(home: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "workbench", "app", "--lab", str(home), "--port", str(free_port()), "--no-fetch"]
    app = subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    url = next(line for line in app.stdout if line.startswith("Open ")).removeprefix("Open ").strip()
    wait_for(url.split("/?")[0] + "/healthz")
    return app, url


def wait_for(url: str) -> None:
    """Returns when the app answers; its address is printed a moment before. Raises URLError after ten seconds."""
    for left in range(100, -1, -1):
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.URLError:
            if not left:
                raise
            time.sleep(0.1)


def run(steps: int, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        lab, is_over = Lab(Path(folder) / "lab"), threading.Event()
        name = fill(lab, steps)
        # The lock is what says that a worker lives: without it the run would be called lost.
        import filelock

        with filelock.FileLock(lab.home / "worker.lock"):
            app, url = serve(lab.home)
            worker = threading.Thread(target=go_on, args=(lab, name, steps, is_over), daemon=True)
            worker.start()
            try:
                return measure(f"{url}&tab=ppo&run={name}", steps, seconds)
            finally:
                is_over.set()
                worker.join()
                app.send_signal(signal.SIGTERM)
                app.wait(10)


def page_of(found: dict[str, float], steps: int, seconds: float) -> str:
    """The figures as Markdown."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    wire = found["bytes received per second"] + found["bytes sent per second"]
    task = max(found["longest task while running (ms)"], found["longest task while the curves are drawn (ms)"])
    built = found["longest task while the page is built (ms)"]
    verdicts = [f"- Over the wire while running: {wire:,.0f} bytes a second, both ways with headers (limit {WIRE:,}): {'kept' if wire < WIRE else 'NOT kept'}.",
                f"- Longest task while the curves are drawn and the run goes on: {task:.0f} ms (limit {TASK}): {'kept' if task < TASK else 'NOT kept'}.",
                f"- Longest task while the page is built, before any curve and whatever the number of steps: {built:.0f} ms, not counted above (docs/log.md says what it is)."]
    rows = [f"| {name} | {value:,.1f} |" for name, value in found.items()]
    return "\n".join([f"# Page weight, {date.today()}", "", f"A PPO run with {steps:,} steps that takes one more each second, on the PPO tab, {seconds:.0f} s; {machine}; headless Chromium.",
                      "", *verdicts, "", "| figure | value |", "|---|---:|", *rows, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000, help="steps that the run has taken before the page is opened")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long to listen")
    parser.add_argument("--write", action="store_true", help="write the page to benchmarks/results")
    asked = parser.parse_args()
    text = page_of(run(asked.steps, asked.seconds), asked.steps, asked.seconds)
    print(text)
    if asked.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{date.today()}-page-weight.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
