"""Over-optimisation told from looks: what is said of a healthy run, of one that is overdone, and of one that nobody judges."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from apps import overdone as charts
from apps import overlay
from workbench import Lab, cures, frontier, kept, overdone
from workbench.errors import LabError
from workbench.recipes import PpoRecipe, SftRecipe

RECIPE = PpoRecipe(sft="sft-1", reward="reward-1")
HEALTHY = [(1, 0.0, 0.0, 1.0), (5, 1.0, 0.5, 1.3), (10, 2.0, 1.0, 1.6), (15, 4.0, 1.5, 1.9), (20, 6.0, 2.0, 2.1)]  # step, KL, proxy, gold
OVERDONE = [*HEALTHY[:3], (15, 9.0, 2.5, 1.2), (20, 16.0, 4.0, 0.4)]


def logged(lab: Lab, looks: list[tuple], judge: bool = True) -> str:
    """A PPO run with these looks, whose checkpoints are all kept."""
    name = lab.store.add_run("ppo", RECIPE.to_json(), 20).id
    for step in range(1, 21):
        lab.store.log(name, step, 20, {"kl_seq": step / 10, "score": step / 20})
    for step, kl, proxy, gold in looks:
        lab.store.log(name, step, 20, {"held_kl": kl, "held_score": proxy, **({"held_gold": gold, "held_gold_se": 0.1} if judge else {})})
        folder = kept.folder(lab.home, name, step)
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"step": step}))
    lab.store.log(name, 1, 20, frontier.best_of([[0.0, 1.0, -1.0, 0.5]] * 4))
    lab.store.log(name, 20, 20, {})
    return name


@pytest.fixture
def lab(tmp_path) -> Lab:
    return Lab(tmp_path)


def test_gold_that_follows_the_proxy_is_said_to(lab):
    found = lab.over_optimisation(logged(lab, HEALTHY))
    assert found.star == 20 and overdone.told(found).startswith("Gold follows the proxy: it rose from 1.00 before practice to 2.10 at step 20 (starred)")
    assert [look.d for look in found.looks][:3] == [0.0, 1.0, math.sqrt(2)] and found.gains()[0] == (1.0, pytest.approx(0.3))


def test_gold_that_falls_while_the_proxy_rises_is_over_optimisation(lab):
    found = lab.over_optimisation(logged(lab, OVERDONE))
    assert found.star == 10 and found.fit.has_turned and found.fit.peak < 3
    assert overdone.told(found).startswith("Over-optimised: gold rose from 1.00 before practice to 1.60 at step 10 and has fallen to 0.40 at step 20, while the proxy is +3.00")


def test_gold_that_falls_together_with_the_proxy_is_none(lab):
    mended = [(1, 0.0, 0.0, 1.0), (5, 4.0, 2.0, 1.6), (10, 4.0, 1.5, 1.9), (20, 3.0, 0.8, 1.3)]
    told = overdone.told(lab.over_optimisation(logged(lab, mended)))
    assert told.startswith("Gold follows the proxy: it rose from 1.00 before practice to 1.90 at step 10 (starred) and is 1.30 at step 20, as the proxy fell by 0.70.")


def test_gold_that_never_rose_is_not_said_to_have_risen(lab):
    worse = [(step, kl, proxy, {1: 2.0, 5: 1.5}.get(step, 0.2)) for step, kl, proxy, _ in HEALTHY]
    told = overdone.told(lab.over_optimisation(logged(lab, worse)))
    assert told.startswith("Practice makes it worse: gold was 2.00 before and is 0.20 at step 20") and "rose" not in told


def test_a_curve_whose_peak_may_lie_anywhere_is_not_told(lab):
    fit = frontier.Fit(1.0, 0.5, peak=1.2, peak_low=0.3, peak_high=None, grid=[0.0, 3.0], curve=[], low=[], high=[])
    assert overdone.turning(fit) == "" and "1.4 nats" in overdone.turning(replace(fit, peak_high=2.0))


def test_a_loss_from_the_start_is_no_peak(lab):
    found = lab.over_optimisation(logged(lab, [(step, kl, proxy, 1.0 - step / 20) for step, kl, proxy, _ in HEALTHY]))
    assert "worse" in overdone.told(found) or "Over-optimised" in overdone.told(found)


@pytest.mark.parametrize(("looks", "judge", "words"), [([], True, "No look at held-out prompts"), (HEALTHY, False, "Only the reward model itself judges"), (HEALTHY[:2], True, "A few more looks"),
                                                       ([(s, k, p, 1.0) for s, k, p, _ in HEALTHY], True, "No clear gain in gold")])
def test_what_cannot_be_told_is_not(lab, looks, judge, words):
    assert words in overdone.told(lab.over_optimisation(logged(lab, looks, judge)))


def test_three_points_are_too_few_for_a_curve(lab):
    assert lab.over_optimisation(logged(lab, HEALTHY[:4])).fit is None and lab.over_optimisation(logged(lab, HEALTHY)).fit is not None


def test_the_page_gets_looks_fit_star_and_best_of_n(lab):
    found = charts.function(lab)({"run": logged(lab, OVERDONE)})
    json.dumps(found, allow_nan=False)
    assert found["star"] == 10 and found["looks"][2] == [10, pytest.approx(1.4142, abs=1e-4), 1.0, pytest.approx(0.6), 0.1, 2.0]
    assert len(found["fit"]["grid"]) == len(found["fit"]["low"]) == frontier.GRID and found["best"][0][:2] == [1, 0.0]
    assert found["steps"][0] == [1, 0.1, 0.05] and len(found["steps"]) == 20
    assert charts.function(lab)({"run": logged(lab, [])})["looks"] == [] and "error" in charts.function(lab)({"run": "ppo-9"})


def test_the_figure_of_a_notebook_has_the_same(lab):
    names = [trace.name for trace in lab.plot_gold(logged(lab, OVERDONE)).data]
    assert names == ["95 % of the fit", "d(α - β ln d)", "proxy (sd)", "gold (points)"]
    assert [trace.name for trace in lab.plot_gold(logged(lab, HEALTHY[:2])).data] == ["proxy (sd)", "gold (points)"]


# --- several runs on one chart


def test_runs_are_laid_over_each_other_with_only_what_differs(lab):
    first = logged(lab, HEALTHY)
    other = lab.store.add_run("ppo", RECIPE.replace(kl_weight=0.2, seed=3).to_json(), 20).id
    lab.store.log(other, 1, 20, {"score": 0.5, "kl_seq": 0.25})
    found = overlay.function(lab)({"runs": [first, other]})
    assert {knob["name"]: knob["values"] for knob in found["knobs"]} == {"kl_weight": ["0.05", "0.2"], "seed": ["0", "3"]}
    assert found["charts"][0]["title"] == "Reward" and found["charts"][0]["lines"][1] == [[1], [0.5]]
    assert len(set(found["colours"])) == 2 and found["frontier"]["lines"][1] == [[1, 0.25, 0.5]]
    assert overlay.function(lab)({"runs": [first, other], "tag": found["tag"]}) == {"same": True}
    frame = lab.differences(first, other)
    assert frame.index.tolist() == ["kl_weight", "seed"] and frame[other].tolist() == [0.2, 3]


def test_a_notebook_lays_runs_over_each_other_too(lab):
    first, second = logged(lab, HEALTHY), logged_as(lab, "ppo-2")
    figure = lab.overlay(first, second)
    assert [(line.name, len(line.x)) for line in figure.data][:4] == [("ppo-1", 20), ("ppo-2", 2), ("ppo-1", 20), ("ppo-2", 2)]
    assert len({line.line.color for line in figure.data}) == 2
    with pytest.raises(LabError, match="runs of one stage"):
        lab.overlay()


def logged_as(lab: Lab, name: str) -> str:
    assert lab.store.add_run("ppo", RECIPE.to_json(), 2).id == name
    for step in (1, 2):
        lab.store.log(name, step, 2, {"score": 0.1, "kl_seq": 0.1})
    return name


def test_runs_laid_over_each_other_show_what_the_held_out_judge_says(lab):
    names = [logged(lab, OVERDONE), logged_as(lab, "ppo-2")]
    shown = {each["title"]: each for each in overlay.together(lab, names)["charts"]}
    assert shown["Gold, held-out"]["lines"][0] == [[1, 5, 10, 15, 20], [1.0, 1.3, 1.6, 1.2, 0.4]] and shown["Gold, held-out"]["lines"][1] == []
    assert [list(line.y) for line in lab.overlay(*names).data if line.name == "ppo-1"][2] == [1.0, 1.3, 1.6, 1.2, 0.4]


def test_runs_of_different_stages_are_not_compared(lab):
    lab.store.add_run("sft", SftRecipe().to_json(), 3)
    assert "different stages" in overlay.function(lab)({"runs": [logged(lab, []), "sft-1"]})["error"]
    assert "error" in overlay.function(lab)({"runs": ["ppo-9"]}) and "error" in overlay.function(lab)({"runs": 3})


# --- what a remedy goes back to


def test_a_remedy_goes_back_to_the_step_that_held_out_looks_liked_best(lab):
    name = logged(lab, OVERDONE)
    top = cures.best_kept(lab.store, name, lab.kept_steps(name))
    assert top[0] == 10 and cures.is_worse_now(lab.store, lab.run(name), top)


def test_a_dip_within_its_error_is_no_reason_to_go_back(lab):
    name = logged(lab, [*HEALTHY[:3], (15, 4.0, 1.5, 1.5), (20, 6.0, 2.0, 1.5)])
    assert not cures.is_worse_now(lab.store, lab.run(name), cures.best_kept(lab.store, name, lab.kept_steps(name)))
