"""AI feedback: both orders averaged exactly, a judge that follows the place averages out, and people are never overwritten."""

from __future__ import annotations

import json

import pytest
import torch

from tests import chain
from workbench import corpus, feedback, principled
from workbench.agreement import Vote
from workbench.engine import judge, revise, stages
from workbench.engine.backbone import Backbone
from workbench.errors import CorpusError
from workbench.lab import Lab
from workbench.recipes import JudgeRecipe, ReplyRecipe, ReviseRecipe, RewardRecipe, SftRecipe
from workbench.records import Verdict

RECIPE = JudgeRecipe(principles=2, batch=4)
PROMPT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Is it open?"}]
PRINCIPLES = ["Be short.", "Be kind.", "Be honest."]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)


@pytest.fixture(scope="module")
def backbone(tiny):
    return Backbone(tiny, "fp32")


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


def ask(lab, *texts, **more):
    row = {"kind": "ranking", "prompt": PROMPT, "shown": list(range(len(texts))), "state": "ready", "settings": more,
           "replies": [{"adapter": "base", "text": text} for text in texts]}
    [number] = lab.store.add_comparisons([row])
    return lab.store.comparison(number)


def drive(lab, backbone, recipe=RECIPE, state=None):
    """What the worker does with a judge's steps."""
    for step in stages.begin(recipe, backbone, lab.home, state):
        principled.add(lab.store, "judge-1", step.index, step.verdicts)
        yield step


# --- averaging


def test_both_orders_are_averaged_exactly(lab, backbone):
    """Against the judge's letters read one question at a time by the plain path."""
    item = ask(lab, "Yes, until six.", "No.")
    found = judge.judge(RECIPE.replace(principles=1, seed=3), backbone, item, PRINCIPLES[:1])
    first, second = (one_by_one(backbone, feedback.question(PROMPT, a, b, PRINCIPLES[0])) for a, b in (("Yes, until six.", "No."), ("No.", "Yes, until six.")))
    [(a, b, chance)] = found["chances"]
    assert (a, b) == (0, 1)
    assert chance == pytest.approx((first + 1 - second) / 2, abs=1e-5)
    assert found["first"] == pytest.approx((first + second) / 2, abs=1e-5)


def one_by_one(backbone, messages):
    """Chance of the letter A against B, by transformers' own forward pass."""
    ids = torch.tensor([backbone.chat.prompt(messages)])
    a, b = (backbone.chat.tokens(letter)[0] for letter in "AB")
    with torch.no_grad():
        logits = backbone.base(input_ids=ids).logits[0, -1]
    return float(torch.sigmoid(logits[a] - logits[b]))


def test_several_principles_are_averaged_and_drawn_anew_for_each_comparison(lab, backbone):
    item = ask(lab, "Yes, until six.", "No.")
    singles = [judge.judge(RECIPE.replace(principles=1), backbone, item, [principle])["chances"][0][2] for principle in PRINCIPLES]
    together = judge.judge(RECIPE.replace(principles=50), backbone, item, PRINCIPLES)["chances"][0][2]
    assert together == pytest.approx(sum(singles) / 3, abs=1e-6)


def test_a_judge_that_only_looks_at_the_place_says_nothing_after_averaging(lab, backbone, monkeypatch):
    item = ask(lab, "Yes.", "No.", "Perhaps.")
    plant(monkeypatch, backbone, lambda logits: torch.zeros_like(logits), lean=4.0)
    found = judge.judge(RECIPE, backbone, item, PRINCIPLES)
    assert found["first"] == pytest.approx(torch.tensor(4.0).sigmoid().item())
    assert found["flips"] == 1.0 and found["ranking"] == [[0, 1, 2]]
    assert all(chance == pytest.approx(0.5, abs=1e-7) for *_, chance in found["chances"])


def test_a_lean_to_the_first_letter_changes_no_order(lab, backbone, monkeypatch):
    """With one principle the sign of the averaged answer is that of the judge without its lean."""
    items = [ask(lab, f"Yes, {word}.", f"No {word}, sorry.") for word in ("today", "soon", "at six", "later", "now")]
    fair = [judge.judge(RECIPE.replace(principles=1), backbone, item, PRINCIPLES)["ranking"] for item in items]
    plant(monkeypatch, backbone, lambda logits: logits, lean=3.0)
    leaning = [judge.judge(RECIPE.replace(principles=1), backbone, item, PRINCIPLES) for item in items]
    assert [row["ranking"] for row in leaning] == fair
    assert all(row["first"] > 0.8 for row in leaning)


def plant(monkeypatch, backbone, inner, lean):
    true, at = backbone.logits, backbone.chat.tokens("A")[0]

    def leaning(hidden):
        logits = inner(true(hidden)).clone()
        logits[..., at] += lean
        return logits

    monkeypatch.setattr(backbone, "logits", leaning)


def test_the_same_text_twice_is_a_tie(lab, backbone):
    assert judge.judge(RECIPE, backbone, ask(lab, "Yes.", "Yes."), PRINCIPLES)["ranking"] == [[0, 1]]


def test_rankings_come_from_sums_of_chances():
    assert feedback.borda(3, [(0, 1, 0.9), (0, 2, 0.4), (1, 2, 0.2)]) == [[2], [0], [1]]  # 1.4, 1.3, 0.3
    assert feedback.borda(3, [(0, 1, 0.5), (0, 2, 0.7), (1, 2, 0.7)]) == [[0, 1], [2]]


def test_an_answer_flips_when_it_wins_in_one_place_only():
    assert feedback.is_flip(0.9, 0.1) and feedback.is_flip(0.2, 0.7)
    assert not feedback.is_flip(0.9, 0.6) and not feedback.is_flip(0.1, 0.2)


# --- the life of a run


def test_a_run_that_goes_on_judges_only_what_is_left(lab, backbone):
    for word in range(10):
        ask(lab, f"Yes {word}.", "No.")
    steps = drive(lab, backbone)
    first = next(steps)
    assert (first.index, first.total, len(first.verdicts)) == (1, 3, 4)
    rest = list(drive(lab, backbone, state=first.state()))
    assert [(step.index, step.total) for step in rest] == [(2, 3), (3, 3)]
    again = {verdict.comparison: verdict.chances for verdict in lab.verdicts()}

    lab.store.connect().execute("delete from verdicts")
    whole = [row for step in drive(lab, backbone) for row in step.verdicts]
    assert {row["comparison"]: [list(each) for each in row["chances"]] for row in whole} == again


def test_what_was_judged_is_not_judged_again_until_the_principles_change(lab, backbone):
    ask(lab, "Yes.", "No.")
    list(drive(lab, backbone))
    with pytest.raises(CorpusError, match="judge:base has judged everything by these principles"):
        lab.start(RECIPE)
    lab.set_constitution("customer-service", "1. Be brief.")
    assert lab.start(RECIPE).state == "queued"


def test_a_run_that_was_stopped_after_its_last_verdict_may_be_resumed(lab, backbone):
    ask(lab, "Yes.", "No.")
    run = lab.start(RECIPE)
    [step] = drive(lab, backbone)
    lab.pause(run.id)
    assert lab.resume(run.id).state == "queued"
    assert list(drive(lab, backbone, state=step.state())) == []


def test_a_verdict_stands_beside_a_persons_and_never_in_its_place(lab, backbone):
    item = ask(lab, "Yes.", "No.")
    lab.judge(item, [[1], [0]], annotator="ann")
    list(drive(lab, backbone))
    kept = lab.store.comparison(item.id)
    assert (kept.ranking, kept.annotator, kept.source) == ([[1], [0]], "ann", "human")
    assert [v.judge for v in lab.verdicts()] == ["judge:base"]
    assert {vote.annotator for vote in lab.votes()} == {"ann", "judge:base"}


def test_what_waits_goes_on_waiting_for_people(lab, backbone):
    ask(lab, "Yes.", "No.")
    list(drive(lab, backbone))
    assert len(lab.to_rank()) == 1


def test_what_people_ranked_is_judged_first_so_that_agreement_is_known_early(lab):
    waiting, ranked = ask(lab, "Yes.", "No."), ask(lab, "Yes.", "No.")
    lab.judge(ranked, [[0], [1]])
    order = lambda which: [each.id for each in feedback.to_judge(lab.store, RECIPE.replace(which=which), PRINCIPLES)]
    assert order("all") == [ranked.id, waiting.id]
    assert order("ranked") == [ranked.id] and order("waiting") == [waiting.id]


@pytest.mark.parametrize(("recipe", "message"), [
    (JudgeRecipe(constitution="nope"), "no constitution 'nope'; there are customer-service"),
    (JudgeRecipe(), "there is nothing to judge: write replies"),
    (JudgeRecipe(judge="sft-9"), "no adapter 'sft-9'"),
    (ReviseRecipe(prompts="nope"), "no corpus 'nope'"),
])
def test_what_cannot_work_is_refused_with_the_reason(lab, recipe, message):
    with pytest.raises(Exception, match=message):
        lab.start(recipe)


def test_a_question_that_is_too_long_is_left_out_and_said(lab, backbone):
    ask(lab, "Yes.", "No.")
    ask(lab, "Yes. " * 500, "No.")
    [step] = list(drive(lab, backbone, RECIPE.replace(max_tokens=900)))
    assert len(step.verdicts) == 1 and "1 of 2 comparisons are longer than max_tokens" in step.note


# --- as labels


def test_verdicts_are_a_corpus_of_pairs_with_their_certainty(lab):
    item, other = ask(lab, "Yes.", "No.", "Yes."), ask(lab, "a", "b")
    lab.judge(other, [[1], [0]], annotator="ann")
    principled.add(lab.store, "judge-1", 1, [row(item.id, [(0, 1, 0.7), (0, 2, 0.5), (1, 2, 0.3)]), row(other.id, [(0, 1, 0.9)])])
    rows = corpus.rows(lab.store, "ai-feedback", "preferences")
    assert [(r.replies, r.certainty) for r in rows] == [(["Yes.", "No."], 0.7), (["Yes.", "No."], 0.7), (["a", "b"], 0.9)]
    both = corpus.rows(lab.store, "rankings-and-ai-feedback", "preferences")
    assert [(r.annotator, r.certainty) for r in both] == [("ann", 1.0), ("judge:base", 0.7), ("judge:base", 0.7)]


def test_without_verdicts_the_corpus_says_what_to_do(lab):
    with pytest.raises(CorpusError, match="start AI feedback on the Preferences tab"):
        corpus.rows(lab.store, "ai-feedback", "preferences")


def row(comparison, chances, **more):
    k = 1 + max(b for _, b, _ in chances)
    return {"comparison": comparison, "judge": "judge:base", "constitution": "c", "chances": chances, "ranking": feedback.borda(k, chances), **more}


def test_agreement_with_people_counts_what_both_judged_and_warns(lab):
    for word in range(6):
        item = ask(lab, f"Yes {word}.", "No.")
        lab.judge(item, [[0], [1]], annotator="ann")
        principled.add(lab.store, "judge-1", 1, [row(item.id, [(0, 1, 0.9 if word else 0.2)], flips=0.5, letters=0.3)])
    [found] = lab.judges()
    assert (found.people.rate, found.people.n, found.flips) == (5 / 6, 6, 0.5)
    told = " ".join(found.warnings)
    assert "which chance could explain" in told and "Only 6 comparisons" in told and "50% of its answers change" in told and "only 30%" in told


def test_a_judge_is_no_part_of_peoples_agreement_nor_of_the_ceiling(lab):
    for word in range(6):
        item = ask(lab, f"Yes {word}.", "No.")
        lab.judge(item, [[0], [1]], annotator="ann")
        principled.add(lab.store, "judge-1", 1, [row(item.id, [(0, 1, 0.1)])])
    assert lab.agreement().alpha is None and lab.ceiling().rate is None
    assert lab.agreement().pairs[0].same.rate == 0.0


def test_people_are_counted_each_by_their_own_vote():
    mine = [Verdict(1, "judge:base", "c", "", [[0], [1]], 0.0, [(0, 1, 0.8)])]
    share, _ = feedback.against_people(mine, [Vote(1, "ann", [[0], [1]]), Vote(1, "bo", [[1], [0]]), Vote(1, "s", [[0], [1]], source="simulated")])
    assert (share.rate, share.n) == (0.5, 2)


# --- constitutions


def test_a_lab_keeps_its_own_copy_of_a_constitution_and_can_go_back(lab):
    theirs = lab.constitution("customer-service")
    assert lab.set_constitution("customer-service", "# Ours\n\n1. Be brief.\n2. Be kind,\n   always.") == ["Be brief.", "Be kind, always."]
    assert "Ours" in lab.constitution("customer-service")
    assert lab.reset_constitution("customer-service") == theirs == lab.constitution("customer-service")
    assert lab.set_constitution("mine", "Be brief.\n- Be kind.") == ["Be brief.", "Be kind."]
    assert "mine" in lab.constitutions()


@pytest.mark.parametrize(("name", "text", "message"), [
    ("customer-service", " \n# Title\n", "has no principle"),
    ("../up", "1. Be brief.", "cannot name a constitution"),
    ("mine", "x" * 20_001, "20,001 characters"),
    ("mine", "\n".join(f"{n}. Be {n}." for n in range(51)), "51 principles"),
])
def test_a_bad_constitution_is_refused_and_the_old_one_stays(lab, name, text, message):
    before = lab.constitution("customer-service")
    with pytest.raises(CorpusError, match=message):
        lab.set_constitution(name, text)
    assert lab.constitution("customer-service") == before and "mine" not in lab.constitutions()


# --- critique and revise


def test_every_round_has_a_principle_a_critique_and_a_revision(lab, backbone):
    recipe = ReviseRecipe(count=3, rounds=2, batch=2, reply_tokens=6, critique_tokens=5, temperature=1.0)
    steps = list(stages.begin(recipe, backbone, lab.home))
    assert [len(step.revisions) for step in steps] == [2, 1]
    first = steps[0].revisions[0]
    assert [set(turn) for turn in first["turns"]] == [{"principle", "critique", "revision"}] * 2
    assert first["turns"][0]["principle"] != first["turns"][1]["principle"]
    assert json.dumps(first)


def test_a_revision_that_goes_on_writes_what_it_would_have_written(lab, backbone):
    recipe = ReviseRecipe(count=4, rounds=1, batch=2, reply_tokens=6, critique_tokens=5)
    whole = list(stages.begin(recipe, backbone, lab.home))
    [rest] = stages.begin(recipe, backbone, lab.home, whole[0].state())
    assert rest.revisions == whole[1].revisions and rest.index == 2


def test_the_critic_sees_the_draft_and_the_reviser_the_critique(backbone, monkeypatch):
    seen = []

    def write(recipe, backbone, asked, tokens, index, which):
        seen.append([turn["content"] for turn in asked[0]])
        return [f"text {which}"] * len(asked), 1

    monkeypatch.setattr(revise, "write", write)
    rows, _ = revise.revise(ReviseRecipe(rounds=2), backbone, [PROMPT], ["Be brief."], 1)
    assert [len(each) for each in seen] == [2, 4, 6, 4, 6]
    assert seen[1][2] == "text 0" and seen[2][4] == "text 1" and seen[3][2] == "text 2"
    assert rows[0]["turns"][1] == {"principle": "Be brief.", "critique": "text 3", "revision": "text 4"}


def test_revisions_become_demonstrations_only_when_a_person_keeps_them(lab):
    run = lab.store.add_run("revise", ReviseRecipe().to_json(), 1)
    with pytest.raises(CorpusError, match=r"revise-1 \(queued\) has no revision to keep"):
        lab.keep_revisions(run.id)
    turns = [{"principle": "Be brief.", "critique": "Long.", "revision": "Yes."}, {"principle": "Be kind.", "critique": "Fine.", "revision": " "}]
    principled.add_revisions(lab.store, run.id, 1, [{"prompt": PROMPT, "draft": "Yes, yes.", "turns": turns}, {"prompt": PROMPT, "draft": "No.", "turns": turns[1:]}])
    assert [each.final for each in lab.revisions(run.id)] == ["Yes.", "No."]
    assert lab.corpora("demonstrations") == lab.corpora("demonstrations") and "revise-1" not in lab.corpora("demonstrations")
    entry = lab.keep_revisions(run.id, places=[0])
    assert (entry.name, entry.shape, entry.usable) == ("revise-1", "demonstrations", 1) and "written by a model" in entry.notes
    assert lab.rows("revise-1", "demonstrations")[0].messages[-1] == {"role": "assistant", "content": "Yes."}


# --- a real worker


@pytest.mark.slow
def test_a_worker_judges_and_rewrites(tiny, home, monkeypatch):
    monkeypatch.undo()  # the worker is wanted here
    monkeypatch.setenv("WORKBENCH_IDLE_SECONDS", "1")
    found = Lab(home)
    sft = found.start(SftRecipe(model=tiny, precision="fp32", **chain.SMALL["sft"]))
    found.start(ReplyRecipe(adapters=sft.id, count=10, k=2, reply_tokens=6, precision="fp32"))
    found.start(JudgeRecipe(judge=sft.id, principles=2, precision="fp32", max_tokens=8000))
    found.start(ReviseRecipe(adapter=sft.id, count=2, rounds=1, reply_tokens=6, critique_tokens=6, precision="fp32"))
    found.start(RewardRecipe(sft=sft.id, preferences="ai-feedback", precision="fp32", **chain.SMALL["reward"]))
    for run in found.list_runs():
        assert found.wait(run.id, progress=lambda _: None).state == "done"
    assert {v.judge for v in found.verdicts()} == {"judge:sft-1"} and len(found.verdicts()) == 10
    assert {"flips", "first_letter", "letters", "sureness"} <= set(found.metrics("judge-1").columns)
    assert found.run("judge-1").summary["parameters"] > 0 and found.judges()[0].parameters > 0
    assert len(found.revisions("revise-1")) == 2
    assert all(0.5 <= row.certainty < 1 for row in found.rows("ai-feedback", "preferences"))
    assert found.run("reward-1").summary["rankings"] > 0
