"""A run that fooled its reward model, in a real browser: the doctor says so, and its button forks from the best step by the held-out rule."""

from __future__ import annotations

import pytest

from tests import chain
from tests.test_browser import WORK_SECONDS, Visit, address, expect, pytestmark, visit  # noqa: F401  (fixtures and marks of the same app)

PEAK, STEPS = 20, 60
TITLE = "The score rises and the held-out judge disagrees"


@pytest.fixture(scope="module")
def fooled(visit: Visit, tiny: str):  # noqa: F811
    """A PPO run that was really carried out, with the figures of one that was fooled: what a tiny model says cannot be judged."""
    knobs = chain.knobs(tiny)
    knobs["ppo"] |= {"steps": STEPS, "sample_every": 10, "batch": 8, "minibatch": 4, "micro_batch": 4}
    runs = visit.lab.demo(**knobs)
    for run in runs[:4]:
        visit.lab.wait(run.id, progress=lambda run: None)
    for step in range(1, STEPS + 1):
        figures = {"score": 0.05 * step, "gold": 0.1 * min(step, PEAK) - 0.1 * max(0, step - PEAK), "kl_seq": 0.05 * (step - 1), "length_score": 0.1}
        visit.lab.store.log("ppo-1", step, STEPS, figures)
    visit.page.goto(f"{visit.home}?tab=ppo&run=ppo-1")
    return visit.page.locator("#tab-ppo")


def test_the_button_of_a_finding_forks_from_the_best_step_and_the_fork_runs(visit, fooled):  # noqa: F811
    card = fooled.locator(".wb-finding", has_text=TITLE)
    expect(card).to_contain_text("kl_weight 0.05 -> 0.1")
    card.get_by_role("button", name=f"Fork with this from step {PEAK}, the best by the held-out judge").click()
    expect(fooled.locator(".wb-said")).to_contain_text(f"ppo-2 is queued: forked from ppo-1 at step {PEAK}; changed: kl_weight 0.05 -> 0.1.")
    fooled.get_by_role("button", name="Show ppo-2").click()
    visit.sees_state("ppo-2", "running")
    visit.sees_points("ppo", PEAK + 5)
    assert visit.lab.wait("ppo-2", progress=lambda run: None).step == STEPS
    made = visit.lab.run("ppo-2")
    assert (made.parent, made.parent_step, visit.lab.recipe_now("ppo-2").kl_weight) == ("ppo-1", PEAK, 0.1)


def test_a_sweep_is_one_act_of_the_fork_form(visit, fooled):  # noqa: F811
    visit.page.goto(f"{visit.home}?tab=ppo&run=ppo-1")
    fooled.get_by_text("Fork or sweep this run").click()
    expect(fooled.get_by_label("Step to fork from")).to_have_value(str(PEAK))
    fooled.get_by_label("Step to fork from").select_option("50")
    fooled.get_by_label("Knob to change in the fork").select_option("kl_weight")
    fooled.get_by_label("kl_weight in the fork").fill("0.02, 0.05, much")
    fooled.get_by_role("button", name="Queue 3 forks").click()
    expect(fooled.locator(".wb-bad-text")).to_contain_text("kl_weight is 'much'; it must be a float")
    fooled.get_by_label("kl_weight in the fork").fill("0.02, 0.05, 0.1")
    fooled.get_by_role("button", name="Queue 3 forks").click()
    expect(fooled.locator(".wb-said")).to_contain_text("ppo-3, ppo-4 and ppo-5 are queued: ppo-1 from step 50 on, kl_weight 0.02 / 0.05 / 0.1.")
    ended = [visit.lab.wait(name, progress=lambda run: None) for name in ("ppo-3", "ppo-4", "ppo-5")]
    assert [(run.state, run.parent_step) for run in ended] == [("done", 50)] * 3
    assert visit.errors == []
