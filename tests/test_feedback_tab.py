"""The panels of agreement and AI feedback: what they answer, and that nothing malformed or half-made gets through."""

from __future__ import annotations

import json

import pytest

from apps import agreement, feedback
from apps.page import public
from workbench import feedback as judging
from workbench import principled
from workbench.lab import Lab
from workbench.recipes import ReviseRecipe

PROMPT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Is it open?"}]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


@pytest.fixture
def counsel(lab):
    return feedback.Counsel(lab)


def ask(lab, *texts):
    row = {"kind": "ranking", "prompt": PROMPT, "shown": list(range(len(texts))), "state": "ready", "replies": [{"adapter": "base", "text": t} for t in texts]}
    return lab.store.add_comparisons([row])[0]


def judged(lab, number, chance, k=2):
    chances = [(0, b, chance) for b in range(1, k)]
    principled.add(lab.store, "judge-1", 1, [{"comparison": number, "judge": "judge:base", "constitution": "c", "chances": chances,
                                             "ranking": judging.borda(k, chances), "flips": 0.5, "first": 0.7, "letters": 0.9}])


def rewritten(lab, count):
    run = lab.store.add_run("revise", ReviseRecipe().to_json(), 1)
    turns = [{"principle": "Be brief.", "critique": "Long.", "revision": "Yes."}]
    principled.add_revisions(lab.store, run.id, 1, [{"prompt": PROMPT, "draft": f"Yes, {n}.", "turns": turns} for n in range(count)])
    lab.store.set_state(run.id, "done", ("queued",))
    return run.id


def test_an_empty_lab_is_told_what_to_do(lab, counsel):
    assert counsel.judges_look({})["judges"] == [] and counsel.revisions_look({})["run"] == ""
    found = agreement.look_of(lab)({})
    assert {each["figure"] for each in found["remarks"]} == {"not known"} and found["rows"] == []


def test_a_judges_examples_begin_where_people_say_the_opposite(lab, counsel):
    agrees, nobody, differs = ask(lab, "Yes.", "No."), ask(lab, "a", "b"), ask(lab, "Open.", "Shut.")
    for number, chance in ((agrees, 0.9), (nobody, 0.99), (differs, 0.3)):
        judged(lab, number, chance)
    lab.judge(agrees, [[0], [1]], annotator="ann")
    lab.judge(differs, [[0], [1]], annotator="ann")
    [found] = counsel.judges_look({})["judges"]
    assert [(each["id"], each["people"]) for each in found["examples"]] == [(differs, "differs"), (agrees, "agrees"), (nobody, "")]
    assert (found["examples"][0]["better"], found["examples"][0]["chance"]) == ("Shut.", 0.7)
    assert found["shared"] == 2 and found["people"].startswith("50%") and found["warnings"]
    assert json.dumps(found)


def test_the_simulated_annotator_does_not_pass_for_people(lab, counsel):
    number = ask(lab, "Yes.", "No.")
    judged(lab, number, 0.9)
    lab.judge(number, [[0], [1]], annotator="simulated", source="simulated")
    [found] = counsel.judges_look({})["judges"]
    assert found["shared"] == 0 and found["examples"][0]["people"] == ""


def test_revisions_are_paged_and_those_taken_out_are_not_kept(lab, counsel):
    name = rewritten(lab, 7)
    first, second = counsel.revisions_look({}), counsel.revisions_look({"run": name, "page": 1})
    assert (first["total"], first["pages"], len(first["rows"]), len(second["rows"])) == (7, 2, 5, 2)
    assert second["rows"][0]["place"] == 5 and first["kept"] == 0
    assert counsel.revisions_keep({"run": name, "out": [0, 6]}) == {"name": name, "usable": 5}
    assert counsel.revisions_look({})["kept"] == 5
    assert [row.messages[-1]["content"] for row in lab.rows(name, "demonstrations")] == ["Yes."] * 5


@pytest.mark.parametrize(("question", "message"), [
    ({"run": "revise-9", "out": []}, "no run 'revise-9'"),
    ({"run": "revise-1", "out": [0, 1]}, "every revision was taken out"),
    ({"run": "revise-1"}, "malformed"),
    ({"run": "revise-1", "out": ["<b>"]}, "malformed"),
    ("revise-1", "malformed"),
])
def test_what_cannot_be_kept_is_told(lab, counsel, question, message):
    rewritten(lab, 2)
    assert message in public(counsel.revisions_keep)(question)["error"]
    assert lab.store.corpora() == []


def test_the_state_of_a_constitution_says_whose_it_is(lab):
    assert feedback.state_of(lab, "customer-service").startswith("The pack's text: 7 principles")
    lab.set_constitution("customer-service", "1. Be brief.")
    assert feedback.state_of(lab, "customer-service") == "This lab's own copy: 1 principle."
