"""The sample browser in a real browser: asked for only when in sight, sorted, walked through with the keys, and hostile text stays text."""

from __future__ import annotations

import pytest

from tests.test_browser import HOSTILE, SECONDS, Visit, address, expect, pytestmark, visit  # noqa: F401  (fixtures and marks of the same app)
from tests.test_worker import until
from tests.toy_rollouts import row
from workbench import rollouts
from workbench.recipes import PpoRecipe, RewardRecipe, SftRecipe

PIECES = ["Sure", ",\n", " we", " are", " ", HOSTILE, ""]
FIGURES = {"logps": [-1.0, -1.5, -0.75, -1.0, -1.0, 0.0, -1.0], "reference": [-1.0] * 7, "values": [0.5] * 7, "returns": [1.0] * 7,
           "advantages": [-1.0] * 6 + [2.0], "rewards": [0.0] * 6 + [1.0]}  # KL: 0, -0.5, 0.25, 0, 0, 1, 0


@pytest.fixture(scope="module")
def box(visit: Visit):  # noqa: F811
    """The box of a PPO run with two recorded steps, on the PPO tab."""
    store = visit.lab.store
    for recipe in (SftRecipe(), RewardRecipe(sft="sft-1"), PpoRecipe(sft="sft-1", reward="reward-1")):
        name = store.add_run(recipe.stage, recipe.to_json(), total=2).id
        assert store.set_state(name, "done", ("queued",))
    for step in (1, 2):
        store.log("ppo-1", step, 2, {"reward": 0.5 * step})
        rollouts.add(store, "ppo-1", [row(step, 0, pieces=PIECES, ids=list(range(7)), score=0.5, **FIGURES), row(step, 1, score=2.0 * step, gold=None)])
    visit.page.goto(f"{visit.home}?tab=ppo&run=ppo-1")
    found = visit.page.locator("#tab-ppo .wb-rollouts")
    expect(found).to_be_visible()
    until(lambda: is_in_sight(found), SECONDS)
    return found


def is_in_sight(found) -> bool:
    """Scrolls there again and again: curves that are drawn above push the box down."""
    found.evaluate("(box) => box.scrollIntoView({ block: 'center' })")
    found.page.wait_for_timeout(300)
    return found.locator(".wb-token").first.is_visible()


def test_the_best_reply_of_the_newest_step_is_open_and_the_list_sorts(visit, box):  # noqa: F811
    expect(box.locator(".wb-replies tbody tr")).to_have_count(2)
    assert box.locator(".wb-replies tbody tr").first.locator("td").all_text_contents() == ["Are you open?", "a cat", "4", "–", "0.25", "3", "ended"]
    box.get_by_role("button", name="KL").first.click()
    expect(box.locator("th[aria-sort=descending]")).to_contain_text("KL")
    expect(box.locator(".wb-replies tbody tr").first).to_contain_text("Sure")
    expect(box.locator(".wb-token")).to_have_count(3)


def test_what_a_model_wrote_is_text_and_its_tokens_add_up(visit, box):  # noqa: F811
    box.locator(".wb-excerpt", has_text="Sure").click()
    expect(box.locator(".wb-token")).to_have_count(7)
    said = "".join(box.locator(".wb-token:not(.wb-mark)").evaluate_all("(all) => all.map((one) => one.textContent)"))
    assert said.replace("↵", "") == "".join(PIECES)
    assert not visit.page.evaluate("window.owned") and not box.locator("img, script").count()
    assert box.locator(".wb-token.wb-mark").inner_text() == "end"


def test_the_colour_follows_the_quantity_and_a_sentence_says_what_it_means(visit, box):  # noqa: F811
    heats = "(all) => all.map((one) => [one.dataset.sign, one.style.getPropertyValue('--heat')])"
    box.locator(".wb-segments").get_by_role("button", name="KL").click()
    assert box.locator(".wb-token").evaluate_all(heats) == [
        ["plus", "0%"], ["minus", "46%"], ["plus", "33%"], ["plus", "0%"], ["plus", "0%"], ["plus", "65%"], ["plus", "0%"]]
    expect(box.locator(".wb-sentence")).to_contain_text("Each token pays 0.05 times its KL")
    box.locator(".wb-segments").get_by_role("button", name="Reward").click()
    expect(box.locator(".wb-sentence")).to_contain_text("the last one also gets the reward model's score")
    assert box.locator(".wb-token").evaluate_all(heats)[-1] == ["plus", "65%"]


def test_the_arrow_keys_walk_through_the_tokens_and_the_figures_follow(visit, box):  # noqa: F811
    keys = visit.page.keyboard
    box.locator(".wb-token").first.click()
    for press, at in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 7), ("ArrowRight", 7), ("Home", 1), ("ArrowDown", 3), ("ArrowUp", 1)):
        keys.press(press)
        expect(box.locator(".wb-told strong")).to_contain_text(f"{at} of 7", timeout=SECONDS * 1000)
    assert visit.page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    keys.press("ArrowRight")
    assert box.locator(".wb-facts > span").all_text_contents() == [
        "advantage−1", "value+0.50", "return+1", "reward0", "KL−0.50", "shift−14.5 points", "policy22.3 %", "SFT36.8 %"]


def test_another_step_is_asked_for_once_and_nothing_is_asked_while_nothing_moves(visit, box):  # noqa: F811
    box.locator(".wb-slider").fill("0")
    expect(box.locator(".wb-chart-head .wb-number")).to_have_text("1")
    expect(box.locator(".wb-replies tr", has_text="a cat").locator("td").nth(2)).to_have_text("2")
    asked: list[str] = []
    visit.page.on("request", lambda one: asked.append(one.post_data or "") if "component_server" in one.url else None)
    visit.page.wait_for_timeout(6000)
    assert asked and not [each for each in asked if '"replies"' in each or '"reply"' in each], "the page's polling never asks for samples"


def looks(visit: Visit, *steps: int) -> None:  # noqa: F811
    """Looks at two held-out prompts, the first with its tokens."""
    for step in steps:
        told = {"pieces": ["Yes", ", ", str(step)], "ids": [1, 2, 3], "logps": [-1.0, -1.0, -1.0], "reference": [-1.0, -2.0, -1.0]}
        record = {"score": step / 10, "kl": 1.0, "tokens": 3, "gold": 1.0}
        visit.lab.store.add_samples("ppo-1", step, [([{"role": "user", "content": "Do you sell tea?"}], f"Yes, we do, {step}", {**record, "told": told}),
                                                    ([{"role": "user", "content": HOSTILE}], HOSTILE, {**record, "score": -1.0})])
        visit.lab.store.log("ppo-1", step, 40, {"held_score": step / 10, "held_gold": 1 + step / 20, "held_gold_se": 0.1, "held_kl": step / 4, "score": step / 10, "kl_seq": step / 4})


def test_held_out_replies_stand_beside_those_of_any_other_step(visit, box):  # noqa: F811
    looks(visit, 1, 5, 10)
    visit.page.reload()
    until(lambda: is_in_sight(box), SECONDS)
    expect(box.locator(".wb-segments").first.get_by_role("button", name="Held-out prompts")).to_have_attribute("aria-pressed", "true")
    expect(box.locator(".wb-replies tbody tr").first).to_contain_text("Yes, we do, 10")
    expect(box.locator(".wb-card .wb-picker")).to_have_value("1")
    expect(box.locator(".wb-card mark")).to_have_text(["1", "10"])
    box.get_by_label("Step to compare with").select_option("5")
    expect(box.locator(".wb-card mark")).to_have_text(["5", "10"])
    expect(box.locator(".wb-token")).to_have_count(3)
    expect(box.locator(".wb-heatmap").get_by_role("button", name="Advantage")).to_be_hidden()
    box.locator(".wb-excerpt", has_text="evil").last.click()
    expect(box.locator(".wb-card .wb-prompt")).to_contain_text("onerror")
    assert not visit.page.evaluate("window.owned")


def test_a_zoom_survives_the_next_points_and_the_band_is_judged(visit, box):  # noqa: F811
    chart = visit.page.locator("#tab-ppo .wb-chart", has_text="Drift from the SFT model").first
    expect(chart.locator(".wb-verdict-chip")).to_have_text("in its band")
    zoomed = "(box) => { const plot = box.querySelector('.js-plotly-plot'); Plotly.relayout(plot, { 'xaxis.range': [2, 6] }); }"
    points = "(box) => { const plot = box.querySelector('.js-plotly-plot'); return [plot.data[0].x.at(-1), ...plot.layout.xaxis.range]; }"
    chart.evaluate(zoomed)
    for step in range(11, 15):
        visit.lab.store.log("ppo-1", step, 40, {"kl_seq": 30.0, "score": 1.0})
    until(lambda: chart.evaluate(points)[0] == 14, SECONDS)
    assert chart.evaluate(points)[1:] == [2, 6]
    expect(chart.locator(".wb-verdict-chip")).to_have_text("above its band since step 11")


def test_gold_over_drift_is_drawn_and_told(visit, box):  # noqa: F811
    found = visit.page.locator("#tab-ppo .wb-overdone-said")
    expect(found).to_contain_text("Gold")
    drawn = "() => [...document.querySelectorAll('#tab-ppo .js-plotly-plot')].filter((p) => p.layout.xaxis.title?.text?.includes('root of KL')).map((p) => p.data.length)"
    until(lambda: visit.page.evaluate(drawn)[:1] not in ([], [0]), SECONDS)


def test_ticked_runs_are_laid_over_each_other(visit, box):  # noqa: F811
    store = visit.lab.store
    other = store.add_run("ppo", PpoRecipe(sft="sft-1", reward="reward-1", kl_weight=0.25).to_json(), 40).id
    store.set_state(other, "done", ("queued",))
    for step in range(1, 6):
        store.log(other, step, 40, {"score": 0.5, "kl_seq": 0.5})
    visit.page.goto(f"{visit.home}?tab=runs&run=ppo-1")
    for name in ("ppo-1", other):
        visit.page.get_by_label(f"Compare {name}", exact=True).check()
    compared = visit.page.locator(".wb-overlay")
    expect(compared.locator(".wb-table tbody tr")).to_have_count(1)
    expect(compared.locator(".wb-table tbody td")).to_have_text(["kl_weight", "0.05", "0.25"])
    lines = "() => [...document.querySelectorAll('.wb-overlay .js-plotly-plot')].map((p) => p.data.filter((t) => t.name?.startsWith('ppo')).length)"
    until(lambda: visit.page.evaluate(lines)[:2] == [2, 2], SECONDS)
    visit.page.goto(f"{visit.home}?tab=ppo&run=ppo-1")
    expect(visit.page.locator("#tab-ppo .wb-has").first).to_be_visible()
    visit.page.evaluate("(runs) => wb.compare(runs)", [other, "ppo-1"])
    expect(compared.locator(".wb-table tbody td")).to_have_text(["kl_weight", "0.25", "0.05"])
    expect(visit.page.get_by_label("Compare ppo-1", exact=True)).to_be_checked()


def test_other_stages_have_samples_without_practice(visit, box):  # noqa: F811
    visit.page.goto(f"{visit.home}?tab=runs&run=sft-1")
    expect(visit.page.locator("#tab-runs .wb-live .wb-line")).to_contain_text("sft-1")
    expect(visit.page.locator("#tab-runs .wb-rollouts .wb-replies")).to_be_hidden()
    assert not visit.errors and not visit.strangers
