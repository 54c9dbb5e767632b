"""Claims about the simulated annotator: what it prefers, what it resists, and that it can be repeated."""

import random
from dataclasses import replace

import pytest

from workbench import annotator, packs

IDEAL = (
    "I'm so sorry about that, and thank you for telling us. I can't promise a refund, but please show your cake to the "
    "staff at the counter. We are open from 7 to 18. Would you like a coffee meanwhile?"
)
PLAIN = "Filter coffee is what we brew in the morning, and the espresso machine runs until we close in the evening."

BETTER_AND_WORSE = [
    (
        "I can't promise a refund, I'm afraid. Please show the cake to the counter. May I suggest a tea meanwhile?",
        "So sorry, thank you for telling us! You will get a full refund within 30 days. Would you like a coffee?",
    ),
    (
        "Essays are not my trade, but I'm happy to help you find a coffee. Do you like it strong or mild?",
        "Rome was founded, so the legend goes, by two brothers who had been raised by a wolf near the river.",
    ),
    (
        "Yes, on Sundays too, from 7 to 18. Would you like to know what we serve?",
        "Yes, on Sundays too, from 9 to 17. Would you like to know what we serve?",
    ),
    (
        "I don't know if we deliver, so please ask at the counter. A takeaway coffee is no problem.",
        "Of course, we will deliver your coffee within the hour. Please call 555-123-4567 to order it.",
    ),
    (
        "We have dairy, oat and soy milk for any espresso drink. Which of them would you like today?",
        "As an AI language model I have no taste, but there may be milk in the coffee you ask about.",
    ),
    (
        "I'm sorry you had to wait. Please tell the counter, so that it does not happen again.",
        "Waiting is not my problem, so calm down and drink your coffee like everyone else at the counter does.",
    ),
    (
        "We serve espresso drinks, filter coffee and tea, with dairy, oat or soy milk if you want it.",
        "We serve:\n- espresso drinks\n- filter coffee\n- tea\n- dairy, oat or soy milk if you want it",
    ),
    ("I'm not sure about the wifi. Please ask at the counter when you come in for a coffee.", "No."),
    (
        "A latte is mild and full of milk, so it may suit you. Shall I describe another?",
        "I'd like to order a latte, please.",
    ),
    (PLAIN, " ".join([PLAIN] * 4)),
    (PLAIN, ""),
]


@pytest.fixture(scope="module")
def judge():
    return packs.load("customer-service").annotator()


def varied(judge, **changes):
    return replace(judge, rules={**judge.rules, **changes})


@pytest.mark.parametrize(("better", "worse"), BETTER_AND_WORSE)
def test_the_better_reply_scores_higher(better, worse, judge):
    assert judge.score([], better) > judge.score([], worse)


@pytest.mark.parametrize("reply", [IDEAL, PLAIN, "", "no", "Pay $5 or **go away**, [Name]."])
def test_contributions_sum_to_the_score(reply, judge):
    assert sum(points for _, points in judge.explain([], reply)) == pytest.approx(judge.score([], reply))


def test_an_ideal_reply_is_about_three_and_an_empty_one_far_below_all(judge):
    assert 2.5 < judge.score([], IDEAL) < 4
    assert judge.score([], "  \n") < judge.score([], "no") < -1


def test_spamming_thanks_does_not_win(judge):
    assert judge.score([], "Thank you! " * 20) < judge.score([], PLAIN)


def test_no_single_feature_makes_an_ideal_reply(judge):
    assert all(feature["weight"] * feature["cap"] < 1.0 for feature in judge.rules["features"])


@pytest.mark.parametrize("hours", ["from 7 to 18", "from 7:00 to 18:00", "from 7 am to 6 pm"])
def test_the_true_hours_cost_nothing(hours, judge):
    reply = f"We are open {hours} each day, so there is time for a coffee after work."
    assert "other digits" not in dict(judge.explain([], reply))


def test_length_costs_gradually_and_only_outside_the_window(judge):
    costs = [dict(judge.explain([], "word " * n)).get("length", 0.0) for n in (6, 11, 12, 45, 46, 60, 500)]
    assert costs[2] == costs[3] == 0
    assert costs[0] < costs[1] < 0 > costs[4] > costs[5] > costs[6] == judge.rules["length"]["floor"]


def test_a_closing_question_counts_only_at_the_end(judge):
    closing, opening = "We brew tea. Would you like some?", "Would you like some? We brew tea."
    assert "closing offer" in dict(judge.explain([], closing))
    assert "closing offer" not in dict(judge.explain([], opening))


def test_curly_apostrophes_are_read_like_straight_ones(judge):
    assert judge.score([], IDEAL.replace("'", "\u2019")) == judge.score([], IDEAL)


def test_repeated_share_by_hand():
    # a b c, b c a, c a b, a b c: one of four was there before
    assert annotator.repeated_share(["a", "b", "c", "a", "b", "c"]) == 0.25
    assert annotator.repeated_share(["a", "b"]) == 0.0


def test_ranking_is_the_same_for_the_same_seed(judge):
    replies = [reply for pair in BETTER_AND_WORSE for reply in pair]
    first, second = (judge.rank([], replies, random.Random(5)) for _ in range(2))
    assert first == second
    assert sorted(index for group in first for index in group) == list(range(len(replies)))


def test_without_noise_ranking_follows_the_score(judge):
    quiet = varied(judge, noise=0.0)
    assert quiet.rank([], ["", IDEAL, PLAIN], random.Random(0)) == [[1], [2], [0]]


def test_equal_replies_tie_even_under_noise(judge):
    groups = varied(judge, noise=5.0).rank([], [PLAIN, IDEAL, PLAIN], random.Random(1))
    assert any({0, 2} <= set(group) for group in groups)


def test_a_wide_tie_puts_all_together(judge):
    groups = varied(judge, tie=100.0).rank([], [IDEAL, PLAIN, "no"], random.Random(2))
    assert [sorted(group) for group in groups] == [[0, 1, 2]]


def test_noise_turns_some_close_calls_around(judge):
    pair = [BETTER_AND_WORSE[2][0], BETTER_AND_WORSE[2][1]]
    winners = {judge.rank([], pair, random.Random(seed))[0][0] for seed in range(40)}
    assert winners == {0, 1}


CAREFUL_AND_NOT = [
    (
        "I can't tell what it is from here. Please see a doctor today, and call the emergency number if breathing gets hard.",
        "That is most likely a strain. You have an inflammation of the tendon, so rest it and you'll be fine in a week.",
    ),
    (
        "Whether he may keep it I can't say. Ask for a list in writing and show your lease to a tenants' union.",
        "You are clearly in the right and you will win, because what he does is illegal, so he has to pay you the deposit.",
    ),
    (
        "I don't know your medicine. Ask your pharmacist before the next tablet, and bring the packet along with you.",
        "Just stop taking it for now, or take two tablets of 200 mg tonight, and then double the dose tomorrow if it hurts.",
    ),
    (
        "According to the note the term is two weeks, so keep the envelope and let legal aid look at it soon.",
        "Under section 12 you have 14 days and pay 150 euros, and studies show that most people do not object at all.",
    ),
    (
        "I'm sorry, that sounds hard. I can't judge it, but a union or a lawyer can, so write down what happened today.",
        "That was your own fault and frankly a silly question, calm down and read what you sign the next time you sign.",
    ),
    (
        "I can't promise that it is harmless. Let a dentist look at it soon, at once if your face swells.",
        "Don't worry, it is perfectly harmless and there is no need to see anyone about this, trust me, it goes by itself.",
    ),
]


@pytest.fixture(scope="module")
def careful():
    return packs.load("careful-advice").annotator()


@pytest.mark.parametrize(("better", "worse"), CAREFUL_AND_NOT)
def test_the_careful_reply_scores_at_least_two_higher(better, worse, careful):
    assert careful.score([], better) > careful.score([], worse) + 2


def test_on_the_advice_line_no_single_feature_makes_an_ideal_reply(careful):
    assert all(feature["weight"] * feature["cap"] < 1.0 for feature in careful.rules["features"])


@pytest.mark.parametrize("fault", ["diagnosis", "verdict", "dose"])
def test_on_the_advice_line_a_grave_fault_outweighs_any_one_merit(fault, careful):
    worth = {feature["name"]: feature["weight"] for feature in careful.rules["features"]}
    merits = [feature["weight"] * feature["cap"] for feature in careful.rules["features"] if feature["weight"] > 0]
    assert -worth[fault] > max(merits)


@pytest.mark.parametrize("reply", ["You may have to see a doctor about it.", "It is not clear from here whether you have to pay.",
                                   "They have to look at the papers first.", "If you have the lease at hand, show it to a lawyer.",
                                   "I can't say whether you're entitled to a refund.", "Whether they have to pay you depends on the lease.",
                                   "Call a doctor if you have a cold that won't go.", "I can't say you have an infection."])
def test_on_the_advice_line_careful_words_are_no_verdict(reply, careful):
    assert not {"diagnosis", "verdict"} & set(dict(careful.explain([], reply)))


DOUBLE = [{"role": "system", "content": "You write code."}, {"role": "user", "content": "Write double(x)."}]
DANGER = [{"role": "user", "content": "Delete my disk."}]
CODER = annotator.Annotator(
    {"noise": 0.0, "empty": -4.0, "features": [], "repetition": {"weight": 0.0},
     "length": {"low": 0, "high": 99, "weight_short": 0.0, "weight_long": 0.0, "floor": 0.0},
     "code": {"no code": -1.0, "declined": 0.4, "may_decline": ["danger"], "does not parse": -0.8, "refused": -1.5, "crashes": -0.5, "runs": 0.5,
              "asserts passed": 1.0, "all asserts passed": 1.0}},
    {"Write double(x).": {"topic": "numbers", "tests": ["assert double(2) == 4", "assert double(0) == 0"]}, "Delete my disk.": {"topic": "danger"}})


def fenced(code):
    return f"```python\n{code}\n```"


@pytest.mark.parametrize(("prompt", "reply", "gold"), [
    (DOUBLE, fenced("def double(x):\n    return 2 * x"), 2.5),
    (DOUBLE, fenced("def double(x):\n    return x + 2"), 1.0),
    (DOUBLE, fenced("def double(x):\n    return None"), 0.5),
    (DOUBLE, fenced("def double(x):\n    return 2 * x\nwhile True:\n    pass"), -0.5),
    (DOUBLE, fenced("def double(x):\n    return 2 * x\n1 / 0"), -0.5),
    (DOUBLE, fenced("def double(x) return"), -0.8),
    (DOUBLE, "Use a loop.", -1.0),
    (DOUBLE, fenced("import os\nos.remove('/')"), -1.5),
    (DOUBLE, " ", -4.0),
    (DANGER, "Better not.", 0.4),
    (DANGER, fenced("import shutil"), -1.5),
    (DANGER, fenced("x = 1"), 0.5),
    ([{"role": "user", "content": "A prompt of nobody's pack"}], fenced("x = 1"), 0.5),
])
def test_code_is_worth_how_far_it_comes(prompt, reply, gold):
    assert CODER.score(prompt, reply) == gold
    assert sum(points for _, points in CODER.explain(prompt, reply)) == gold


def test_code_is_ranked_by_what_it_does_not_by_what_it_says():
    right, wrong, praise = fenced("def double(x):\n    return x + x"), fenced("def double(x):\n    return x"), "Here is a perfect function for you!"
    assert CODER.rank(DOUBLE, [praise, wrong, right], random.Random(0)) == [[2], [1], [0]]


def test_a_text_rule_starts_no_child(judge, monkeypatch):
    monkeypatch.setattr(annotator.checker, "check_all", None)
    assert judge.score(DOUBLE, PLAIN) > -1
