"""A report is one file that tells a run whole, and nothing that a model wrote can act in it."""

from __future__ import annotations

import html
import re

import pytest

from workbench import EvaluateRecipe, Lab, PpoRecipe, SftRecipe, overdone
from workbench.errors import LabError, NotFound

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path / "lab")
    sft = lab.store.add_run("sft", SftRecipe(lr=3e-4).to_json(), 3)
    ppo = lab.store.add_run("ppo", PpoRecipe(sft=sft.id, reward=sft.id, kl_weight=0.2).to_json(), 4)
    for step in (1, 2, 3):
        lab.store.log(ppo.id, step, 4, {"score": step / 10, "kl_seq": (step - 1) / 5, "reply_tokens": 20.0})
        lab.store.add_samples(ppo.id, step, [([{"role": "user", "content": "Oat milk?"}], f"{EVIL} {step}", {"score": 0.5})])
    return lab


def body(page: str) -> str:
    return page[page.index("<body>"):]


def test_a_run_is_told_with_its_knobs_lineage_samples_and_environment(lab):
    told = body(lab.report_text("ppo-1"))
    for words in ("ppo-1", "from sft-1", "kl_weight", "0.2", "Oat milk?", "step 1", "step 3", "Environment", "torch", "The score went from"):
        assert words in told, words
    assert "Plotly.newPlot" in told


def test_a_compared_policy_is_told_with_its_drift_and_what_it_cost_elsewhere(lab):
    assert "Alignment tax" not in lab.report_text("ppo-1")
    held = lab.store.add_run("evaluate", EvaluateRecipe(a="ppo-1", b="sft-1").to_json(), 1)
    lab.store.set_state("ppo-1", "done", ("queued",))
    lab.store.set_state(held.id, "done", ("queued",))
    lab.store.summarise(held.id, {"a": "ppo-1", "b": "sft-1", "kl_seq": 6.5, "perplexity_a": 55.0, "perplexity_b": 50.0})
    told = lab.report_text("ppo-1")
    assert "6.5 nats per reply" in told and "+10.0%" in told


def test_a_remedy_is_told_from_the_knobs_as_they_are_now(lab):
    lab.change("ppo-1", kl_weight=0.0)
    told = lab.report_text("ppo-1")
    assert "kl_weight 0 -&gt; 0.05" in told
    assert "kl_weight 0.2 -&gt; 0.05" not in told


def test_over_optimisation_is_told_and_drawn(lab):
    assert "Over-optimised" not in lab.report_text("ppo-1")
    for step, score, gold in ((1, 0.0, 1.0), (2, 1.0, 1.6), (3, 3.0, 0.4)):
        lab.store.log("ppo-1", step, 4, {"held_score": score, "held_gold": gold, "held_gold_se": 0.05, "held_kl": step - 1.0})
    told = body(lab.report_text("ppo-1"))
    assert "gold" in told and overdone.told(lab.over_optimisation("ppo-1")) in html.unescape(told)
    assert told.count("Plotly.newPlot") == 2


def test_a_round_names_the_parent_of_a_fork(lab):
    lab.store.set_state("ppo-1", "done", ("queued",))
    made = lab.store.add_run("ppo", PpoRecipe(sft="sft-1", reward="sft-1").to_json(), 4, fork=("ppo-1", 2))
    assert f"<td>{made.id}</td>" in lab.report_text(1) and "sft-1, sft-1, ppo-1 at step 2" in lab.report_text(1)


def test_what_a_model_wrote_is_escaped(lab):
    told = lab.report_text("ppo-1")
    assert EVIL not in told and "&lt;img src=x" in told


def test_nothing_is_fetched_from_elsewhere(lab):
    told = body(lab.report_text("ppo-1"))
    assert not re.search(r"(src|href)=[\"']?https?:", told)


def test_a_round_tells_all_its_runs(lab):
    told = body(lab.report_text(1))
    assert told.index("<h2>sft-1") < told.index("<h2>ppo-1")


def test_what_is_not_there_is_said(lab, tmp_path):
    with pytest.raises(NotFound, match="round 7; there are: 1"):
        lab.report_text(7)
    with pytest.raises(NotFound):
        lab.report_text("ppo-9")
    with pytest.raises(LabError, match="cannot write"):
        lab.report("ppo-1", tmp_path / "nowhere" / "page.html")


def test_the_file_is_written_whole(lab, tmp_path):
    target = lab.report("ppo-1", tmp_path / "page.html")
    assert target.read_text(encoding="utf-8").rstrip().endswith("</html>")
