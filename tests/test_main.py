"""The command line says what happened in text or JSON, starts without torch, and never shows a traceback."""

import json
import subprocess
import sys
from dataclasses import MISSING

import pytest

from workbench import bundled, checks, commands
from workbench.__main__ import main
from workbench.errors import ModelError
from workbench.lab import Lab
from workbench.recipes import RECIPES, RewardRecipe, SftRecipe

PAIRS = '{"prompt": "Hi", "chosen": "Hello!", "rejected": "Go"}\n{"prompt": "Hi", "chosen": "a", "rejected": "a"}\n'


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No worker is started and nothing is fetched."""
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)
    monkeypatch.setattr(bundled, "fetch", lambda *_: None)
    monkeypatch.delenv("WORKBENCH_LAB", raising=False)


@pytest.fixture
def say(tmp_path, capsys):
    """Runs a command in a fresh lab; returns its code, what it printed and what it complained of."""

    def run(*words):
        code = main([words[0], *words[1:], "--lab", str(tmp_path / "lab")])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


def finish(lab, name, **summary):
    lab.store.summarise(name, summary)
    assert lab.store.set_state(name, "done", ("queued",))


def test_every_knob_has_a_flag_with_its_help(capsys):
    for stage, recipe in RECIPES.items():
        with pytest.raises(SystemExit) as ended:
            main(["start", stage, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert ended.value.code == 0
        for knob in recipe.knobs():
            assert f"--{knob.name.replace('_', '-')} " in told
            assert knob.default in (MISSING, "") or f"default: {knob.default})" in told.replace("- ", "-")


def test_start_makes_the_recipe_of_the_flags(say, lab):
    code, out, _ = say("start", "sft", "--steps", "7", "--lr", "0.001", "--json")
    run = json.loads(out)
    assert code == 0 and (run["id"], run["state"]) == ("sft-1", "queued")
    assert lab.recipe("sft-1") == SftRecipe(steps=7, lr=0.001)


@pytest.mark.parametrize(("words", "message"), [
    (["start", "sft", "--steps", "0"], "steps is 0; it must be between 1 and"),
    (["start", "sft", "--corpus", "nope"], "no corpus 'nope'"),
    (["start", "ppo", "--sft", "sft-1", "--reward", "reward-1"], "no adapter 'sft-1'"),
    (["watch", "sft-9"], "no run 'sft-9'"),
    (["stop", "sft-9"], "no run 'sft-9'"),
    (["ask", "--adapters", "sft-9", "Hi"], "no adapter 'sft-9'"),
    (["import", "/nowhere.jsonl"], "cannot be read"),
    (["import", "x", "--columns", "prompt"], "is not a mapping"),
    (["demo", "--set", "sft.pace=1"], "names no knob"),
    (["demo", "--set", "sft.steps=many"], "'many' is not a int"),
])
def test_faults_are_one_line_and_code_2(say, words, message):
    code, out, err = say(*words)
    assert code == 2 and out == ""
    assert err.startswith("workbench: ") and message in err and err.count("\n") == 1


def test_runs_as_table_and_as_json(say, lab):
    assert "no run yet" in say("runs")[1]
    lab.start(SftRecipe(steps=5))
    lines = say("runs")[1].splitlines()
    assert lines[0].split() == ["run", "state", "step", "time", "from"] and lines[1].split() == ["sft-1", "queued", "0/5"]
    [run] = json.loads(say("runs", "--json")[1])
    assert run["recipe"]["steps"] == 5 and run["eta_seconds"] is None


def test_stop_and_resume_say_the_state(say, lab):
    lab.start(SftRecipe())
    assert "sft-1 stopped" in say("stop", "sft-1")[1]
    assert "sft-1 queued" in say("resume", "sft-1")[1]
    assert "sft-1 paused" in say("pause", "sft-1")[1]


def test_interrupted_watching_leaves_the_run_alone(say, lab, monkeypatch):
    lab.start(SftRecipe())

    def interrupt(self, name):
        raise KeyboardInterrupt

    monkeypatch.setattr(Lab, "wait", interrupt)
    code, _, err = say("watch", "sft-1")
    assert code == 130 and "sft-1 goes on without this window" in err
    assert lab.run("sft-1").state == "queued"


def test_a_dry_run_tells_and_imports_nothing(say, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(PAIRS)
    _, out, _ = say("import", str(file), "--dry-run", "--json")
    told = json.loads(out)
    assert told == {"format": "TRL preferences (jsonl)", "shape": "preferences", "usable": 1, "notes": [],
                    "why": "2 of the first 2 records have a prompt, chosen and rejected",
                    "rejected": [{"line": 2, "reason": "identical pair: chosen and rejected are the same text"}]}
    assert not (tmp_path / "lab").exists()


def test_import_names_the_corpus_and_the_refused_rows(say, lab, tmp_path):
    file = tmp_path / "My pairs.jsonl"
    file.write_text(PAIRS)
    out = say("import", str(file))[1]
    assert "1 of 2 rows usable" in out and "line 2: identical pair" in out and "imported as my-pairs" in out
    assert len(lab.rows("my-pairs", "preferences")) == 1


def test_import_with_mapped_columns(say, lab, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("goal,target\nHi,Hello!\n")
    assert "--columns prompt=goal,reply=target" in say("import", str(file))[2]
    assert "imported as greetings" in say("import", str(file), "--columns", "prompt=goal,reply=target", "--name", "greetings")[1]
    assert len(lab.rows("greetings", "demonstrations")) == 1


def test_export_writes_what_import_reads(say, lab, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(PAIRS)
    say("import", str(file))
    assert "1 lines of pairs are in" in say("export", "pairs", str(tmp_path / "out.csv"))[1]
    assert json.loads(say("import", str(tmp_path / "out.csv"), "--dry-run", "--json")[1])["usable"] == 1
    assert json.loads(say("export", "customer-service", str(tmp_path / "p.parquet"), "--shape", "prompts", "--json")[1])["lines"] > 0
    assert "no imported corpus 'pears'; there are pairs" in say("export", "pears", str(tmp_path / "x.csv"))[2]


def test_thumbs_are_imitated_when_the_shape_says_so(say, tmp_path):
    file = tmp_path / "thumbs.jsonl"
    file.write_text('{"prompt": "Hi", "completion": "a", "label": true}\n')
    assert "--shape demonstrations" in say("import", str(file))[2]
    assert "1 of 1 rows usable: demonstrations" in say("import", str(file), "--shape", "demonstrations")[1]


def test_the_survey_lists_formats_and_what_a_folder_would_give(say, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "pairs.jsonl").write_text(PAIRS)
    (tmp_path / "files" / "odd.csv").write_text("goal,target\nHi,Hello!\n")
    out = say("formats", str(tmp_path / "files"))[1]
    assert "| PandaLM | preferences | response1, response2 and annotator1 |" in out
    assert "| `files/pairs.jsonl` | TRL preferences (jsonl) | preferences | 1 | 1 | 1 identical pair" in out
    assert "| `files/odd.csv` | none |  | 0 | all | has no format that is known here" in out
    assert "## Files tried" not in say("formats")[1] and "is not a folder" in say("formats", "/nowhere")[2]


def test_demo_waits_and_prints_the_table(say, lab, monkeypatch):
    def done(self, name):
        summary = {"a": "ppo-1", "b": "sft-1", "n": 64, "win_rate": 0.75, "low": 0.63, "high": 0.84, "gold_a": 0.9, "gold_b": 0.1,
                   "gold_gain_sd": float("inf"), "kl_seq": 3.2}
        finish(self, name, **(summary if name == "evaluate-1" else {}))

    monkeypatch.setattr(Lab, "wait", done)
    code, out, _ = say("demo", "--seed", "3", "--set", "ppo.steps=9")
    assert code == 0 and "ppo-1 is preferred to sft-1 on 75% of 64 held-out prompts (95% interval 63% to 84%)" in out
    assert "3.20" in out and "inf" not in out and "Judged by a simulated annotator" in out
    assert lab.recipe("ppo-1").steps == 9 and lab.recipe("ppo-1").seed == 3
    told = json.loads(say("demo", "--json")[1])
    assert [run["stage"] for run in told["runs"]] == ["sft", "replies", "reward", "ppo", "evaluate"]


def test_an_ensemble_takes_a_runs_recipe_and_says_how_ppo_uses_it(say, lab, monkeypatch):
    monkeypatch.setattr(checks, "check_recipe", lambda *_: None)
    lab.store.add_run("sft", SftRecipe().to_json(), 1)
    lab.store.add_run("reward", RewardRecipe(sft="sft-1", lr=1e-4, seed=7).to_json(), 1)
    code, out, _ = say("ensemble", "reward-1", "--members", "2")
    assert code == 0 and '--reward "min(reward-2, reward-3)"' in out
    assert [(r.lr, r.seed, r.bootstrap) for r in map(lab.recipe, ("reward-2", "reward-3"))] == [(1e-4, 7, True), (1e-4, 8, True)]
    assert "takes the recipe of a reward run" in say("ensemble", "sft-1")[2] and "give 2 to 8 members" in say("ensemble", "reward-1", "--members", "1")[2]


def test_trust_tells_the_learning_curve(say, lab):
    lab.store.add_run("reward", RewardRecipe(sft="sft-1").to_json(), 1)
    for step, (rankings, accuracy) in enumerate([(10, 0.5), (40, 0.75)]):
        lab.store.log("reward-1", step, 2, {"curve_rankings": rankings, "curve_accuracy": accuracy, "curve_low": accuracy - 0.1, "curve_high": accuracy + 0.1})
    assert "learned from 10 rankings: right on 50% (40% to 60%)\n  learned from 40 rankings: right on 75% (65% to 85%)" in say("trust", "reward-1")[1]
    assert json.loads(say("trust", "reward-1", "--json")[1])["curve"] == [[10, 0.5, 0.4, 0.6], [40, 0.75, 0.65, 0.85]]


def test_json_has_no_numbers_that_json_does_not_know():
    assert commands.finite({"a": [float("nan"), 1.5], "b": float("inf")}) == {"a": [None, 1.5], "b": None}


def test_demo_with_a_person_says_what_to_do_next(say, monkeypatch):
    monkeypatch.setattr(Lab, "wait", lambda self, name: finish(self, name))
    out = say("demo", "--judge", "person")[1]
    assert "Preferences tab" in out and "workbench start reward --sft sft-1" in out


def test_ask_prints_each_reply_under_its_name(say, lab):
    def answer(self, number, timeout_seconds=600.0):
        self.store.write_reply(number, 0, "Hello!", 2, True)
        return self.store.comparison(number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lab, "answer", answer)
        assert say("ask", "Hi")[1] == "base\nHello!\n\n"
        assert json.loads(say("ask", "Hi", "--json")[1])["replies"] == [{"adapter": "base", "text": "Hello!", "tokens": 2, "finished": True}]


def test_the_app_starts_without_the_default_model(say, monkeypatch):
    def missing(*_):
        raise ModelError("no network; try later")

    served = []
    monkeypatch.setattr(bundled, "fetch", missing)
    monkeypatch.setitem(sys.modules, "apps.serve", type(sys)("apps.serve"))
    sys.modules["apps.serve"].serve = lambda lab, **kwargs: served.append(kwargs)
    code, _, err = say("app", "--port", "7999")
    assert code == 0 and served == [{"port": 7999, "open_browser": False}] and "no network" in err


def test_runs_imports_nothing_heavy(tmp_path):
    code = ("import sys; from workbench.__main__ import main; main(['runs', '--lab', sys.argv[1]]);"
            "print([name for name in ('torch', 'pandas', 'gradio', 'transformers', 'numpy', 'plotly') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_can_be_run(tmp_path):
    done = subprocess.run([sys.executable, "-m", "workbench", "watch", "x", "--lab", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "workbench: no run 'x'; there are: none yet\n")
