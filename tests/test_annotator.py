"""Claims about the simulated annotator: what it prefers, what it resists, and that it can be repeated."""

import random

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
def rules():
    return packs.load("customer-service").annotator()


@pytest.mark.parametrize(("better", "worse"), BETTER_AND_WORSE)
def test_the_better_reply_scores_higher(better, worse, rules):
    assert annotator.score(better, rules) > annotator.score(worse, rules)


@pytest.mark.parametrize("reply", [IDEAL, PLAIN, "", "no", "Pay $5 or **go away**, [Name]."])
def test_contributions_sum_to_the_score(reply, rules):
    assert sum(points for _, points in annotator.explain(reply, rules)) == pytest.approx(annotator.score(reply, rules))


def test_an_ideal_reply_is_about_three_and_an_empty_one_far_below_all(rules):
    assert 2.5 < annotator.score(IDEAL, rules) < 4
    assert annotator.score("  \n", rules) < annotator.score("no", rules) < -1


def test_spamming_thanks_does_not_win(rules):
    assert annotator.score("Thank you! " * 20, rules) < annotator.score(PLAIN, rules)


def test_no_single_feature_makes_an_ideal_reply(rules):
    assert all(feature["weight"] * feature["cap"] < 1.0 for feature in rules["features"])


@pytest.mark.parametrize("hours", ["from 7 to 18", "from 7:00 to 18:00", "from 7 am to 6 pm"])
def test_the_true_hours_cost_nothing(hours, rules):
    reply = f"We are open {hours} each day, so there is time for a coffee after work."
    assert "other digits" not in dict(annotator.explain(reply, rules))


def test_length_costs_gradually_and_only_outside_the_window(rules):
    costs = [dict(annotator.explain("word " * n, rules)).get("length", 0.0) for n in (6, 11, 12, 45, 46, 60, 500)]
    assert costs[2] == costs[3] == 0
    assert costs[0] < costs[1] < 0 > costs[4] > costs[5] > costs[6] == rules["length"]["floor"]


def test_a_closing_question_counts_only_at_the_end(rules):
    closing, opening = "We brew tea. Would you like some?", "Would you like some? We brew tea."
    assert "closing offer" in dict(annotator.explain(closing, rules))
    assert "closing offer" not in dict(annotator.explain(opening, rules))


def test_curly_apostrophes_are_read_like_straight_ones(rules):
    assert annotator.score(IDEAL.replace("'", "\u2019"), rules) == annotator.score(IDEAL, rules)


def test_repeated_share_by_hand():
    # a b c, b c a, c a b, a b c: one of four was there before
    assert annotator.repeated_share(["a", "b", "c", "a", "b", "c"]) == 0.25
    assert annotator.repeated_share(["a", "b"]) == 0.0


def test_ranking_is_the_same_for_the_same_seed(rules):
    replies = [reply for pair in BETTER_AND_WORSE for reply in pair]
    first, second = (annotator.rank(replies, rules, random.Random(5)) for _ in range(2))
    assert first == second
    assert sorted(index for group in first for index in group) == list(range(len(replies)))


def test_without_noise_ranking_follows_the_score(rules):
    quiet = {**rules, "noise": 0.0}
    assert annotator.rank(["", IDEAL, PLAIN], quiet, random.Random(0)) == [[1], [2], [0]]


def test_equal_replies_tie_even_under_noise(rules):
    groups = annotator.rank([PLAIN, IDEAL, PLAIN], {**rules, "noise": 5.0}, random.Random(1))
    assert any({0, 2} <= set(group) for group in groups)


def test_a_wide_tie_puts_all_together(rules):
    groups = annotator.rank([IDEAL, PLAIN, "no"], {**rules, "tie": 100.0}, random.Random(2))
    assert [sorted(group) for group in groups] == [[0, 1, 2]]


def test_noise_turns_some_close_calls_around(rules):
    pair = [BETTER_AND_WORSE[2][0], BETTER_AND_WORSE[2][1]]
    winners = {annotator.rank(pair, rules, random.Random(seed))[0][0] for seed in range(40)}
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
    assert annotator.score(better, careful) > annotator.score(worse, careful) + 2


def test_on_the_advice_line_no_single_feature_makes_an_ideal_reply(careful):
    assert all(feature["weight"] * feature["cap"] < 1.0 for feature in careful["features"])


@pytest.mark.parametrize("fault", ["diagnosis", "verdict", "dose"])
def test_on_the_advice_line_a_grave_fault_outweighs_any_one_merit(fault, careful):
    worth = {feature["name"]: feature["weight"] for feature in careful["features"]}
    merits = [feature["weight"] * feature["cap"] for feature in careful["features"] if feature["weight"] > 0]
    assert -worth[fault] > max(merits)


@pytest.mark.parametrize("reply", ["You may have to see a doctor about it.", "It is not clear from here whether you have to pay.",
                                   "They have to look at the papers first.", "If you have the lease at hand, show it to a lawyer.",
                                   "I can't say whether you're entitled to a refund.", "Whether they have to pay you depends on the lease.",
                                   "Call a doctor if you have a cold that won't go.", "I can't say you have an infection."])
def test_on_the_advice_line_careful_words_are_no_verdict(reply, careful):
    assert not {"diagnosis", "verdict"} & set(dict(annotator.explain(reply, careful)))
