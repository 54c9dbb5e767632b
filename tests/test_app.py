"""The app: it builds on an empty lab, says what is there, refuses what is unsafe, and its panels survive nonsense."""

from __future__ import annotations

import math
import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from apps import live, overview_tab, pipeline, run_bar, serve
from apps.app import build
from apps.page import TABS, public, sparing
from workbench import results
from workbench.errors import LabError, PortBusy
from workbench.lab import Lab
from workbench.recipes import EvaluateRecipe, SftRecipe

PROMPT = [{"role": "user", "content": "Where is my parcel?"}]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def finished(lab: Lab, steps: int = 3) -> str:
    """An SFT run that is done, with curves and samples."""
    lab.store.add_run("sft", SftRecipe(steps=steps).to_json(), total=steps)
    run = lab.store.claim()
    assert run
    for step in range(1, steps + 1):
        lab.store.log(run.id, step, steps, {"loss": 3.0 / step, "eval_loss": 4.0 / step})
        lab.store.add_samples(run.id, step, [(PROMPT, f"reply {step}", {"tokens": step, "strange": "x"})])
    lab.store.set_state(run.id, "done", ("running",))
    return run.id


def test_every_tab_is_there_on_an_empty_lab(lab: Lab) -> None:
    blocks = build(lab)
    assert [b.label for b in blocks.blocks.values() if isinstance(b, gr.Tab) and b.id in TABS] == list(TABS.values())


def test_no_tab_holds_state_that_would_hang_the_sixth_page(lab: Lab) -> None:
    assert not [b for b in build(lab).blocks.values() if isinstance(b, gr.State)]


def test_no_component_can_run_markup_that_a_model_wrote(lab: Lab) -> None:
    for block in build(lab).blocks.values():
        if isinstance(block, gr.HTML):
            assert "${value}" not in block.html_template and not block.value
        if isinstance(block, gr.Dataframe):
            assert "html" not in str(block.datatype)


def test_the_app_answers_behind_the_guard(lab: Lab) -> None:
    import asyncio

    async def go() -> None:
        transport = httpx.ASGITransport(app=serve.application(lab, "token-of-this-test", 7860))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            assert (await client.get("/healthz")).text == "ok"
            assert (await client.get("/")).status_code == 403
            client.headers["authorization"] = "Bearer token-of-this-test"
            page = await client.get("/")
            assert page.status_code == 200 and "RLHF Workbench" in page.text
            for name in ("workbench.js", "charts.js", "samples.js", "heatmap.js", "overdone.js", "overlay.js", "plotly.min.js"):
                assert (await client.get(f"/static/{name}")).status_code == 200
            for path in ("/static/../serve.py", "/gradio_api/file=/etc/passwd", f"/gradio_api/file={lab.home}/lab.db", "/openapi.json"):
                assert (await client.get(path)).status_code in (403, 404)

    asyncio.run(go())


def test_a_busy_port_is_told_with_a_free_one(lab: Lab) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortBusy, match=rf"port {port} is not free.*--port \d+"):
            serve.serve(lab, port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])
def test_a_host_that_others_can_reach_is_refused(lab: Lab, host: str) -> None:
    with pytest.raises(LabError, match="only serves this machine"):
        serve.serve(lab, host=host)


def test_the_token_is_made_once_and_only_its_owner_can_read_it(lab: Lab) -> None:
    first = serve.lasting_token(lab.home)
    assert serve.lasting_token(lab.home) == first and len(first) >= 32
    assert stat.S_IMODE((lab.home / "token").stat().st_mode) == 0o600


def test_a_public_function_survives_nonsense() -> None:
    @public
    def look(question: dict[str, Any]) -> dict[str, Any]:
        return {"step": int(question["step"])}

    assert look({"step": "3"}) == {"step": 3}
    for nonsense in (None, [1], "x", {}, {"step": "x"}, {"step": [1]}, {"step": "9" * 200_000}):
        assert "error" in look(nonsense)


def test_a_live_view_gets_only_what_is_new(lab: Lab) -> None:
    name = finished(lab)
    first = live.news(lab, lab.run(name), "", -1, "sft")
    assert first["reset"] and first["to"] == 3 and first["series"]["loss"] == [[1, 2, 3], [3.0, 1.5, 1.0]] and first["samples"] == [1, 2, 3]
    again = live.news(lab, lab.run(name), name, 3, "sft")
    assert not again["reset"] and again["to"] == 3 and again["series"] == {}


def test_a_live_view_starts_over_when_a_run_went_back_to_its_checkpoint(lab: Lab) -> None:
    name = finished(lab)
    lab.store.rewind(name, 1)
    assert live.news(lab, lab.run(name), name, 3, "sft")["reset"]


def test_a_live_view_of_an_empty_lab_says_so(lab: Lab) -> None:
    assert live.choose([], "ppo", "ppo-1") is None
    assert live.news(lab, None, "", -1, "ppo")["run"] == ""


def test_a_run_of_another_stage_is_not_shown(lab: Lab) -> None:
    finished(lab)
    assert live.choose(lab.list_runs(), "ppo", "sft-1") is None
    assert live.choose(lab.list_runs(), "sft", "ppo-9").id == "sft-1"


def test_long_curves_keep_their_extremes() -> None:
    points: list[tuple[int, float | None]] = [(step, math.sin(step / 500)) for step in range(20_000)]
    points[7_777] = (7_777, 99.0)
    points[8_888] = (8_888, None)
    kept = live.thin(points)
    assert len(kept) <= live.POINTS and (7_777, 99.0) in kept and kept[-1] == points[-1]
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})


def test_what_seldom_changes_is_sent_once(lab: Lab) -> None:
    name = finished(lab)
    first = live.trimmed(live.news(lab, lab.run(name), "", -1, "sft"), {})
    assert set(first["tags"]) == {"runs", "steer", "result"} <= set(first)
    again = live.trimmed(live.news(lab, lab.run(name), name, 3, "sft", 3), first["tags"])
    assert not again["tags"] and not {"runs", "steer", "result"} & set(again) and again["samples"] == []
    lab.store.add_run("sft", lab.recipe(name).to_json(), 3)
    assert set(live.trimmed(live.news(lab, lab.run(name), name, 3, "sft", 3), first["tags"])["tags"]) == {"runs"}


def test_a_panel_that_knows_the_answer_is_not_told_again() -> None:
    look = public(sparing(lambda question: {"step": question.get("step", 1)}))
    first = look({})
    assert first["step"] == 1 and look({"tag": first["tag"]}) == {"same": True}
    assert look({"tag": first["tag"], "step": 2})["step"] == 2


def test_a_long_run_is_sent_as_extremes_and_only_what_is_drawn(lab: Lab) -> None:
    name = finished(lab)
    with lab.store.write() as db:
        db.executemany("insert into metrics values(?,?,?,?)", [(name, key, step, float(step == 777)) for step in range(4, 9000) for key in ("loss", "undrawn")])
        db.execute("update runs set step=8999 where id=?", (name,))
    found = live.news(lab, lab.run(name), "", -1, "sft")
    steps, values = found["series"]["loss"]
    assert len(steps) <= live.POINTS + 2 and steps == sorted(steps) and values[steps.index(777)] == 1.0 and found["to"] > 8980
    assert "undrawn" not in found["series"] and found["reset"]


def test_trouble_says_what_to_do(lab: Lab) -> None:
    run = lab.run(finished(lab))
    assert "Resume" in live.trouble(replace(run, state="failed", error="OutOfMemory: too small"))
    assert "stuck" in live.trouble(replace(run, state="running", stepping=2.0, step_at=1.0), now=600.0)
    assert live.trouble(run) == ""


def test_stages_tell_where_the_lab_stands(lab: Lab) -> None:
    assert {s.id: s.state for s in pipeline.stages(lab)} == {
        "data": "ready", "sft": "ready", "preferences": "empty", "reward": "empty", "ppo": "empty", "compare": "empty"}
    finished(lab)
    sft = next(s for s in pipeline.stages(lab) if s.id == "sft")
    assert (sft.state, sft.run, sft.headline) == ("done", "sft-1", "held-out loss 1.33")


def test_the_next_step_follows_the_pipeline(lab: Lab) -> None:
    assert overview_tab.next_step(lab, pipeline.stages(lab))["tab"] == "sft"
    finished(lab)
    lab.store.add_comparisons([{"kind": "ranking", "prompt": PROMPT, "shown": [0, 1], "state": "ready",
                                "replies": [{"adapter": "sft-1", "text": "a"}, {"adapter": "sft-1", "text": "b"}]}])
    assert overview_tab.next_step(lab, pipeline.stages(lab))["tab"] == "preferences"


def test_the_run_bar_shows_what_runs_before_what_ran(lab: Lab) -> None:
    finished(lab)
    lab.store.add_run("sft", SftRecipe().to_json(), total=60)
    assert pipeline.current(lab.list_runs()).id == "sft-2"
    assert run_bar.describe(lab, lab.run("sft-1"))["numbers"] == [("loss", 1.0), ("held-out", pytest.approx(4 / 3))]


@pytest.mark.parametrize(("low", "high", "told"), [(0.55, 0.78, "better, and unlikely by chance"), (0.2, 0.4, "worse"), (0.4, 0.6, "too close to call")])
def test_a_verdict_knows_chance(low: float, high: float, told: str) -> None:
    assert told in results.verdict({"a": "ppo-1", "b": "sft-1", "n": 64, "win_rate": (low + high) / 2, "low": low, "high": high})


def test_a_result_says_when_its_judge_is_simulated_and_bears_missing_figures(lab: Lab) -> None:
    lab.store.add_run("evaluate", EvaluateRecipe(a="ppo-1", b="sft-1").to_json(), total=1)
    lab.store.summarise("evaluate-1", {"a": "ppo-1", "b": "sft-1", "kl_seq": 3.0, "perplexity_a": None})
    found = results.read(lab.store.run("evaluate-1"), lab.recipe("evaluate-1"))
    assert found and "simulated annotator" in found["judge"] and found["rows"] == [["Drift from sft-1 (KL, nats per reply)", "3.00", ""]]
