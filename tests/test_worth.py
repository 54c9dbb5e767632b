"""What the Reward tab is told about a reward model: words, figures, and the way back to the ranking desk."""

from __future__ import annotations

import json
import math

import pytest

from apps.page import public
from apps.worth import TEACH, Worth, histogram
from tests.test_trust import rows_right
from workbench import Lab, RewardRecipe, heldout
from workbench.probes import PROBES
from workbench.records import HeldOut

PROMPT = [{"role": "user", "content": "Are you open?"}]
SUMMARY = {"held_out": 30, "rankings": 120, "raw_mean": 0.5, "raw_sd": 2.0} | {f"beats_{name}": 0.3 if name == "padding" else 0.9 for name in PROBES}


@pytest.fixture
def lab(tmp_path) -> Lab:
    return Lab(tmp_path / "lab")


def asked(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Are you open on day {number}?"}]


def trained(lab: Lab, rows: list[HeldOut], summary=SUMMARY) -> str:
    run = lab.store.add_run("reward", RewardRecipe(sft="sft-1").to_json(), 1)
    lab.store.summarise(run.id, summary)
    heldout.put(lab.store, run.id, rows)
    return run.id


def test_held_out_rankings_come_back_as_they_were_put_and_a_later_look_replaces_them(lab):
    rows = [HeldOut(0, 7, PROMPT, ["a", "b"], [0, 1], [0.25, math.nan], [3, 4], "ada", [1, 0], 2.0)]
    name = trained(lab, rows_right(3, 4))
    heldout.put(lab.store, name, rows)
    [found] = lab.held_out_rows(name)
    assert found.scores[0] == 0.25 and math.isnan(found.scores[1])
    assert [found.comparison, found.prompt, found.replies, found.sides, found.annotator, found.strength] == [7, PROMPT, ["a", "b"], [1, 0], "ada", 2.0]
    assert lab.held_out(name).shape == (2, 8)
    lab.store.set_state(name, "done", ("queued",))
    lab.delete(name)
    assert heldout.read(lab.store, name) == []


def test_an_empty_lab_is_taught_and_a_young_run_asks_for_patience(lab):
    assert Worth(lab).worth_said({})["headline"] == TEACH and Worth(lab).worth_figures({}) == {"run": ""}
    lab.store.add_run("reward", RewardRecipe(sft="sft-1").to_json(), 1)
    assert "is learning" in Worth(lab).worth_said({"run": "reward-1"})["headline"]


def test_the_verdict_names_what_fools_the_model_with_length_first(lab):
    trained(lab, rows_right(25, 30))
    found = Worth(lab).worth_said({})
    assert found["headline"].startswith("Right on 83 % of 30 held-out prompts") and any("Fooled by padding" in line for line in found["said"])
    assert [row["title"] for row in found["probes"]][0] == "Length" and len(found["probes"]) == 1 + len(PROBES)
    assert [row["title"] for row in found["probes"] if row["verdict"] == "bad"] == ["Padding"]
    assert "30 held-out prompts" in found["note"]


def test_a_planted_length_bias_is_red_and_named(lab):
    rows = [HeldOut(n, 0, asked(n), ["long", "short"], [0, 1], [0.1 * n + 2, 0.1 * n], [10 * n + 20, 10 * n], "", [], 0.0) for n in range(20)]
    trained(lab, rows)
    found = Worth(lab).worth_said({})
    assert found["probes"][0]["verdict"] == "bad" and found["probes"][0]["word"] == "has learned length"
    assert '"the longer wins" is right on 100 %' in found["probes"][0]["about"] and found["headline"].startswith("It has learned length")


def test_figures_are_json_and_belong_to_the_run_that_was_chosen(lab):
    first = trained(lab, rows_right(6, 8, gap=2.0))
    trained(lab, rows_right(1, 8))
    for place, (n, share) in enumerate([(10, 0.5), (40, 0.7)]):
        lab.store.log(first, place, 2, {"curve_rankings": n, "curve_accuracy": share, "curve_low": share - 0.1, "curve_high": share + 0.1})
    found = Worth(lab).worth_figures({"run": first})
    json.dumps(found, allow_nan=False)
    assert found["run"] == first and sum(found["margins"]["count"]) == 8 and len(found["worst"]) == 2
    assert [each[:2] for each in found["curve"]] == [(10, 0.5), (40, 0.7)] and list(lab.learning_curve(first).rankings) == [10, 40]
    assert found["dots"]["score"][0] == pytest.approx((2.0 - 0.5) / 2.0), "calibrated"
    assert found["annotators"][0]["name"] == "ada" and found["annotators"][0]["reliability"] is None


@pytest.mark.parametrize(("values", "middle"), [([], []), ([0.0], [0]), ([-1.0, 1.0, 99.0], None)])
def test_a_histogram_counts_everything(values, middle):
    assert sum(histogram(values)["count"]) == len(values)


def test_a_disagreement_goes_back_to_the_desk_with_one_click(lab):
    replies = [{"adapter": "sft-1", "text": text} for text in ("a", "b")]
    ids = lab.store.add_comparisons([{"kind": kind, "prompt": PROMPT, "shown": [0, 1], "state": "judged", "ranking": [[0], [1]], "replies": replies}
                                     for kind in ("ranking", "chat")])
    trained(lab, [HeldOut(n, number, PROMPT, ["a", "b"], [0, 1], [0.0, 1.0], [1, 1], "me", [0, 1], 0.0) for n, number in enumerate(ids)])
    assert [row["comparison"] for row in Worth(lab).worth_figures({})["worst"]] == [ids[0], 0], "a vote of the Compare tab is not the desk's"
    assert Worth(lab).worth_again({"comparison": ids[0]}) == {"comparison": ids[0]}
    assert lab.store.comparison(ids[0]).state == "ready" and not lab.store.comparison(ids[0]).ranking
    assert Worth(lab).worth_figures({})["worst"][0]["comparison"] == 0
    assert "judge it where it was asked" in public(Worth(lab).worth_again)({"comparison": ids[1]})["error"]
    assert "error" in public(Worth(lab).worth_again)({"comparison": "x"}) and "error" in public(Worth(lab).worth_again)({"comparison": 999})


def test_only_the_annotator_who_disagreed_is_asked_again(lab):
    [number] = lab.store.add_comparisons([{"kind": "ranking", "prompt": PROMPT, "shown": [0, 1], "state": "ready", "replies": [{"adapter": "sft-1", "text": t} for t in "ab"]}])
    for name in ("ada", "bob"):
        lab.judge(number, [[0], [1]], annotator=name)
    Worth(lab).worth_again({"comparison": number, "annotator": "ada"})
    assert [each.annotator for each in lab.store.comparison(number).judgements] == ["bob"]


def test_the_ceiling_of_the_labs_own_rankings_is_what_is_known_now_and_an_imports_what_was_known_then(lab):
    known = {"rate": 0.9, "low": 0.8, "high": 0.95, "agreement": 0.82, "n": 40, "who": "self", "why": "they agree"}
    for preferences in ("rankings", "imported"):
        run = lab.store.add_run("reward", RewardRecipe(sft="sft-1", preferences=preferences).to_json(), 1)
        lab.store.summarise(run.id, {"ceiling": known})
    assert lab.ceiling_of("reward-1").rate is None and "no comparison was judged twice" in lab.ceiling_of("reward-1").why
    assert lab.ceiling_of("reward-2").rate == 0.9
