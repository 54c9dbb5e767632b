"""The whole chain in a real browser: forms, live curves, ranking by keyboard, chat, and a worker killed in the middle.

One app and one page serve all tests of this file, which go through the tabs in pipeline order.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.test_worker import until, worker_pid
from workbench import changes
from workbench.lab import Lab

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; `make test` brings it")
expect = playwright.expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no chromium on the PATH; `apt install chromium`")]

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
SECONDS = 30.0  # that the page may take on a busy machine
WORK_SECONDS = 90.0  # the same for the worker, which loads a model first
# What Gradio's own streams say when a page is left while they are open; nobody sees it.
FAREWELLS = ("AbortError: signal is aborted", "Connection errored out")
HEALS = "parts missing; it is loaded again"
HOSTILE = "<img src=http://evil.example/x.png onerror=\"window.owned=1\"><script>window.owned=1</script> **Hello?**"
POINTS = "(tab) => Math.max(0, ...[...document.querySelectorAll(`#tab-${tab} .js-plotly-plot`)].flatMap((p) => p.data.map((t) => t.x.length)))"
MARKS = """(tab) => [...document.querySelectorAll(`#tab-${tab} .js-plotly-plot`)].map((p) => [
  (p.layout.shapes || []).filter((s) => s.x0 === s.x1).map((s) => s.x0)[0],
  (p.layout.annotations || []).map((a) => a.text).find((t) => /kl_weight/.test(t))]).filter(([at]) => at !== undefined)"""


@dataclass
class Visit:
    """A page of the app, the lab behind it, and what a browser noticed on the way."""

    page: playwright.Page
    lab: Lab
    home: str
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    healed: int = 0

    def hear(self, kind: str, text: str) -> None:
        self.healed += HEALS in text
        if kind == "error" and not any(farewell in text for farewell in FAREWELLS):
            self.errors.append(text)

    def open(self, tab: str) -> playwright.Locator:
        self.page.locator(f"#tab-{tab}-button").click()
        panel = self.page.locator(f"#tab-{tab}")
        expect(panel).to_be_visible()
        return panel

    def set(self, tab: str, **knobs: object) -> None:
        for name, value in knobs.items():
            control = self.page.locator(f"#tab-{tab}").get_by_label(name, exact=True)
            control.fill(str(value))
            control.press("Enter")

    def choose(self, tab: str, name: str, option: str) -> None:
        """Picks from a list, opened again until it offers the option: lists are renewed a moment after their tab is opened."""
        control = self.page.locator(f"#tab-{tab}").get_by_label(name, exact=True)
        offered = self.page.get_by_role("option", name=option, exact=True)

        def is_offered() -> bool:
            control.press("Escape")
            control.blur()
            control.click()
            self.page.wait_for_timeout(300)
            return offered.is_visible()

        until(is_offered, SECONDS)
        offered.click()
        expect(control).to_have_value(option)

    def start(self, tab: str, run: str) -> None:
        self.page.locator(f"#start-{tab}").click()
        self.page.wait_for_url(f"**run={run}**")

    def points(self, tab: str) -> int:
        """Of the longest curve drawn on a tab."""
        return self.page.evaluate(POINTS, tab)

    def sees_points(self, tab: str, more_than: int) -> int:
        self.page.wait_for_function(f"([tab, n]) => ({POINTS})(tab) > n", arg=[tab, more_than], timeout=WORK_SECONDS * 1000)
        return self.points(tab)

    def sees_state(self, run: str, state: str) -> None:
        """The run bar, which is on every tab, says how a run stands."""
        expect(self.page.locator("#run-bar .wb-link").first).to_have_text(run, timeout=WORK_SECONDS * 1000)
        expect(self.page.locator("#run-bar .wb-state")).to_have_text(state, timeout=WORK_SECONDS * 1000)

    def press(self, button: str) -> None:
        self.page.locator("#run-bar").get_by_role("button", name=button, exact=True).click()


@contextmanager
def serving(lab: Lab, *program: str) -> Iterator[str]:
    """The app as a person starts it; gives the address as it prints it."""
    from apps.serve import free_port

    variables = {**os.environ, "WORKBENCH_IDLE_SECONDS": "5", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, *(program or ("-m", "workbench")), "app", "--lab", str(lab.home), "--port", str(free_port()), "--no-fetch"]
    app = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said = next((line for line in app.stdout if line.startswith("Open ")), "")
        assert said, "the app ended before it told its address"
        yield said.removeprefix("Open ").strip()
    finally:
        os.killpg(app.pid, signal.SIGTERM)
        app.wait(10)
        end_worker(lab)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Lab]]:
    """The app on a fresh lab."""
    lab = Lab(tmp_path_factory.mktemp("browser") / "lab")
    with serving(lab) as url:
        yield url, lab


def end_worker(lab: Lab) -> None:
    if lab.worker_is_alive():
        os.kill(worker_pid(lab), signal.SIGKILL)


@contextmanager
def visiting(url: str, lab: Lab) -> Iterator[Visit]:
    """A browser on the app that takes down every console error and every request to another host."""
    home = url.split("?")[0]
    expect.set_options(timeout=SECONDS * 1000)
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(SECONDS * 1000)
        found = Visit(page, lab, home)
        page.on("pageerror", lambda fault: found.errors.append(str(fault)))
        page.on("console", lambda line: found.hear(line.type, line.text))
        page.on("request", lambda asked: asked.url.startswith((home, "data:", "blob:")) or found.strangers.append(asked.url))
        until(lambda: answers(page, url))
        yield found
        browser.close()


@pytest.fixture(scope="module")
def visit(address: tuple[str, Lab]) -> Iterator[Visit]:
    with visiting(*address) as found:
        yield found


def answers(page: playwright.Page, url: str) -> bool:
    try:
        page.goto(url)
    except playwright.Error:  # the address is printed a moment before the port is open
        return False
    return True


def shows_samples(visit: Visit, tab: str) -> bool:
    """Samples are asked for when they come in sight; curves drawn above push them down again, so it scrolls until they stand."""
    found = visit.page.locator(f"#tab-{tab} .wb-rollouts")
    found.evaluate("(box) => box.scrollIntoView({ block: 'center' })")
    visit.page.wait_for_timeout(300)
    return found.locator(".wb-replies tbody tr").first.is_visible()


def test_sft_starts_from_the_form_and_its_curve_moves_through_a_reload(visit: Visit, tiny: str) -> None:
    expect(visit.page.get_by_text("See the whole chain at work")).to_be_visible()
    panel = visit.open("sft")
    expect(panel.get_by_text("the curves grow here")).to_be_visible()
    visit.set("sft", model=tiny, steps=60, batch=4, rank=4, max_tokens=2000)
    visit.start("sft", "sft-1")
    before = visit.sees_points("sft", 0)
    before = visit.sees_points("sft", before)
    visit.page.reload()
    expect(visit.page.locator("#tab-sft")).to_be_visible()
    assert "tab=sft" in visit.page.url and "run=sft-1" in visit.page.url
    visit.sees_points("sft", before)
    visit.sees_state("sft-1", "done")
    assert visit.sees_points("sft", 59) == 60
    until(lambda: shows_samples(visit, "sft"), SECONDS)
    assert visit.lab.recipe("sft-1").model == tiny


def test_a_row_is_read_token_by_token_taken_out_and_put_back(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "talks.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": f"{n} {HOSTILE}", "completion": "word " * (5 if n else 400)}) for n in range(3)), encoding="utf-8")
    visit.lab.import_rows(file)
    panel = visit.open("data")
    book = panel.locator(".dt-book", has_text="talks").first
    book.click()
    expect(panel.locator(".dt-chip", has_text="longer than 320 tokens")).to_have_text("1 longer than 320 tokens")
    panel.get_by_role("tab", name="Tokens").click()
    expect(panel.locator(".dt-tokens")).to_contain_text(HOSTILE)
    expect(panel.locator(".dt-tokens mark")).to_contain_text("word word")
    expect(panel.locator(".dt-tokens mark")).to_contain_text("<|im_end|>")
    panel.get_by_role("button", name="Take out").click()
    panel.get_by_role("button", name="Take it out?").click()
    expect(book).to_contain_text("2")
    panel.get_by_role("button", name="Put back").click()
    expect(book).to_contain_text("3")
    panel.get_by_role("tab", name="Conversation").click()


def test_replies_are_ranked_with_the_keyboard_alone_and_undone(visit: Visit, tmp_path: Path) -> None:
    rows = [json.dumps({"prompt": f"{number} {HOSTILE}"}) for number in range(15)]
    file = tmp_path / "hostile.jsonl"
    file.write_text("\n".join(rows), encoding="utf-8")
    visit.open("data")
    visit.page.locator("#import-file input[type=file]").set_input_files(file)
    visit.page.locator("#import-add").click()
    expect(visit.page.locator("#import-found textarea")).to_have_value(re.compile("hostile is in the lab: 15 prompts"))
    expect(visit.page.locator("#tab-data").get_by_text("<script>window.owned=1</script>").first).to_be_visible()

    panel, keyboard = visit.open("preferences"), visit.page.keyboard
    expect(panel.get_by_text("Nothing to rank yet")).to_be_visible()
    visit.choose("preferences", "Prompts", "hostile")
    visit.set("preferences", **{"How many prompts": 8})
    panel.get_by_label("Replies per prompt").first.fill("3")
    panel.locator("#rank-ahead input").uncheck()
    visit.page.locator("#rank-write").click()
    prompt, done, to_do = (panel.get_by_test_id(name) for name in ("rank-prompt", "rank-done", "rank-todo"))
    visit.sees_state("replies-1", "done")
    expect(prompt).to_contain_text(HOSTILE)
    expect(panel.get_by_test_id("card-2")).to_be_visible()

    first = prompt.inner_text()
    visit.page.locator("body").click(position={"x": 900, "y": 5})
    keyboard.press("2")
    keyboard.press("t")
    keyboard.press("1")
    expect(panel.locator(".rk-reading")).to_have_text(re.compile("B = A"))
    keyboard.press("Backspace")
    keyboard.press("3")
    keyboard.press("Enter")
    expect(done).to_have_text("1")
    expect(prompt).not_to_have_text(first)
    keyboard.press("z")
    expect(done).to_have_text("0")
    assert prompt.inner_text() == first
    for number in range(1, 9):
        for key in ("1", "3", "Enter"):
            keyboard.press(key)
        expect(done).to_have_text(str(number))
        expect(to_do).to_have_text(str(8 - number))
    expect(panel.get_by_test_id("rank-empty")).to_contain_text("Everything is ranked")
    judged = visit.lab.store.comparisons("state='judged'")
    assert {c.source for c in judged} == {"human"} and len(judged) == 8
    assert [c.ranking for c in judged] == [[[c.shown[0]], [c.shown[2]]] for c in judged]


def test_a_reward_model_learns_from_the_rankings(visit: Visit) -> None:
    visit.open("reward")
    visit.set("reward", epochs=1, batch=4)
    visit.start("reward", "reward-1")
    visit.sees_points("reward", 0)
    visit.sees_state("reward-1", "done")


def test_the_reward_model_is_judged_in_words_and_scores_what_is_typed(visit: Visit) -> None:
    panel = visit.page.locator("#tab-reward")
    expect(panel.locator(".wb-worth .wb-verdict")).to_contain_text("reward-1: ", timeout=SECONDS * 1000)
    expect(panel.locator(".wb-evidence .wb-chart").first).to_contain_text("pairs the right way round")
    panel.get_by_test_id("pad-reward").fill("reward-1 - 0.5*length")
    panel.get_by_test_id("pad-A").fill(HOSTILE)
    expect(panel.locator(".wb-pad-score b").first).not_to_have_text("–", timeout=WORK_SECONDS * 1000)
    expect(panel.locator(".wb-trace").first).to_have_text(HOSTILE)
    expect(panel.locator(".wb-piece")).to_have_count(len(HOSTILE), timeout=WORK_SECONDS * 1000)  # the toy's tokens are letters
    before = panel.locator(".wb-pad-score b").first.inner_text()
    panel.get_by_test_id("pad-A").fill("Yes")
    expect(panel.locator(".wb-piece")).to_have_count(3, timeout=WORK_SECONDS * 1000)
    assert panel.locator(".wb-pad-score b").first.inner_text() != before
    panel.get_by_test_id("pad-reward").fill("reward-1 +")
    expect(panel.locator(".wb-pad")).to_contain_text("a reward is missing at its end")


def test_ppo_is_paused_from_the_run_bar_and_goes_on(visit: Visit) -> None:
    visit.open("ppo")
    visit.set("ppo", steps=60, batch=4, reply_tokens=8)
    visit.start("ppo", "ppo-1")
    visit.sees_points("ppo", 2)
    panel = visit.page.locator("#tab-ppo")
    panel.get_by_label("Change while it runs: knob").select_option("kl_weight")
    panel.get_by_label("Change while it runs: value").fill("0.2")
    panel.get_by_role("button", name="Apply", exact=True).click()
    expect(panel.locator(".wb-said")).to_have_text("kl_weight 0.05 -> 0.2: takes effect at the next step.")
    visit.press("Pause")
    visit.sees_state("ppo-1", "paused")
    paused = visit.lab.run("ppo-1").step
    assert 0 < paused < 60
    visit.press("Resume")
    visit.sees_points("ppo", paused)
    visit.sees_state("ppo-1", "done")
    assert visit.sees_points("ppo", 59) == 60
    [change] = changes.of(visit.lab.store, "ppo-1")
    assert (change.knob, change.new) == ("kl_weight", 0.2) and 2 < change.step <= paused + 1
    marks = visit.page.evaluate(MARKS, "ppo")
    assert len(marks) >= 4 and all(each == [change.step, "kl_weight 0.2"] for each in marks), "every chart is marked where it changed"


def test_two_adapters_answer_side_by_side_and_can_be_stopped(visit: Visit) -> None:
    panel = visit.open("compare")
    question = visit.page.locator("#compare-question textarea")
    panes = [panel.get_by_test_id("pane-0"), panel.get_by_test_id("pane-1")]
    panel.get_by_label("Temperature").first.fill("0.05")
    panel.get_by_label("Longest reply").first.fill("512")
    question.fill(HOSTILE)
    question.press("Enter")
    for pane, name in zip(panes, ("sft-1", "ppo-1"), strict=True):
        expect(pane.locator(".cp-name")).to_have_text(re.compile(rf"^{name}(@\d+)?$"))  # of PPO the best step where one is kept
        expect(pane.locator(".cp-text")).to_have_text(re.compile(r"\S"), timeout=WORK_SECONDS * 1000)
    expect(panel.locator(".cp-talk")).to_contain_text(HOSTILE)
    panel.get_by_test_id("compare-stop").click()
    expect(panel.locator(".cp-status")).to_have_text("Which reply is better?")
    [asked] = visit.lab.store.comparisons("kind='chat'")
    assert all(0 < reply.tokens < 512 for reply in asked.replies)
    visit.page.keyboard.press("2")
    expect(panel.locator(".cp-status")).to_contain_text("Your vote: B is better")
    expect(panel.locator(".cp-tally")).to_contain_text(re.compile(r"ppo-1(@\d+)? wins 100"))


def test_a_killed_worker_is_told_and_its_run_resumed(visit: Visit) -> None:
    panel = visit.open("ppo")
    visit.set("ppo", steps=20)
    visit.start("ppo", "ppo-2")
    visit.sees_state("ppo-2", "running")
    until(lambda: visit.lab.run("ppo-2").step >= 6, WORK_SECONDS)
    os.kill(worker_pid(visit.lab), signal.SIGKILL)
    visit.sees_state("ppo-2", "lost")
    expect(panel).to_contain_text("ended without a word")
    visit.press("Resume")
    visit.sees_state("ppo-2", "running")
    visit.sees_points("ppo", 10)
    visit.sees_state("ppo-2", "done")
    assert visit.sees_points("ppo", 19) == 20


def test_a_deep_link_opens_its_tab(visit: Visit) -> None:
    for tab in ("runs", "preferences", "overview"):
        visit.page.goto(f"{visit.home}?tab={tab}&run=reward-1")
        expect(visit.page.locator(f"#tab-{tab}")).to_be_visible()
        expect(visit.page.locator("#run-bar .wb-state")).to_have_text("done")
        assert f"tab={tab}" in visit.page.url


MISHAP = """if (!sessionStorage.mishap) {
  sessionStorage.mishap = 1;
  setInterval(() => document.getElementById("run-bar")?.remove(), 20);
  setTimeout(() => { throw new TypeError("planted"); }, 1000);
}"""


def test_a_page_that_gradio_leaves_unfinished_is_loaded_again(visit: Visit) -> None:
    """Its runtime stumbles now and then and leaves parts out; here the run bar goes missing on the first load."""
    page = visit.page.context.new_page()
    page.add_init_script(MISHAP)
    with page.expect_console_message(lambda line: HEALS in line.text):
        page.goto(f"{visit.home}?tab=runs&run=reward-1")
    expect(page.locator("#run-bar .wb-state")).to_have_text("done")
    expect(page.locator("#tab-runs")).to_be_visible()
    page.close()


def test_the_browser_met_no_error_no_other_host_and_no_markup_of_a_model(visit: Visit) -> None:
    ours = [error for error in visit.errors if not visit.healed or "/assets/" not in error]  # a page that healed had met a fault of Gradio's
    assert ours == []
    assert visit.strangers == []
    assert visit.page.evaluate("window.owned") is None
