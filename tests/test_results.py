"""What a comparison found is told once, in the same words on the page, in a report and on the command line."""

from __future__ import annotations

import pytest

from workbench import EvaluateRecipe, Lab, commands, results

FOUND = {"a": "ppo-1", "b": "sft-1", "n": 64, "win_rate": 0.9, "low": 0.8, "high": 0.95, "gold_a": 1.74, "gold_b": 0.89, "gold_sd_b": 0.54, "kl_seq": float("nan")}


@pytest.mark.parametrize(("low", "high", "said"), [(0.8, 0.95, "better, and unlikely by chance"), (0.1, 0.4, "worse, and unlikely by chance"), (0.4, 0.6, "too close to call")])
def test_the_verdict_follows_from_the_interval(low, high, said):
    assert said in results.verdict({**FOUND, "low": low, "high": high})


def test_what_was_not_measured_is_left_out():
    rows = {row[0]: row[1:] for row in results.rows(results.measured(FOUND))}
    assert rows["Preferred"] == ["90%", "10%"] and rows["Scoring rule, spread (sd)"] == ["", "0.54"]
    assert not any("KL" in label or "Perplexity" in label for label in rows)


def test_the_command_line_says_what_the_page_says(tmp_path, capsys):
    lab = Lab(tmp_path / "lab")
    run = lab.store.add_run("evaluate", EvaluateRecipe(a="ppo-1", b="sft-1").to_json(), 1)
    commands.print_comparison(lab, lab.run(run.id))
    assert capsys.readouterr().out == "", "nothing was found yet"
    lab.store.summarise(run.id, FOUND)
    found = results.read(lab.run(run.id), lab.recipe(run.id))
    commands.print_comparison(lab, lab.run(run.id))
    told = capsys.readouterr().out
    assert found["verdict"] in told and found["judge"] in told and all(row[0] in told for row in found["rows"])
