"""Agreement: figures that can be checked on paper."""

from __future__ import annotations

import json
import math

import pytest

from workbench import agreement, agreement_words
from workbench.__main__ import main
from workbench.agreement import Vote, alpha, ceiling, cohen_kappa, krippendorff_alpha
from workbench.corpus import Preference
from workbench.lab import Lab

A_FIRST, B_FIRST, TIE = [[0], [1]], [[1], [0]], [[0, 1]]


def votes(annotator, *rankings, **more):
    return [Vote(item, annotator, ranking, **more) for item, ranking in enumerate(rankings)]


# --- kappa and alpha


def test_kappa_of_a_table_worked_by_hand():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: p = 35/50, e = (25 30 + 25 20)/2500 = 0.5, kappa = 0.2/0.5.
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)


def test_kappa_is_1_where_all_agree_0_by_chance_and_minus_1_where_all_differ():
    assert cohen_kappa("abab", "abab") == 1.0
    assert cohen_kappa("aabb", "abab") == 0.0
    assert cohen_kappa("abab", "baba") == -1.0


def test_kappa_is_unknown_without_data_or_with_a_single_label():
    assert cohen_kappa([], []) is None
    assert cohen_kappa("aaa", "aaa") is None
    with pytest.raises(ValueError, match="3 labels against 2"):
        cohen_kappa("aaa", "aa")


def test_alpha_of_krippendorffs_own_example():
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), example C: 4 observers, 12 units, gaps; nominal 0.743.
    lines = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    units = [[label for label in column if label != "."] for column in zip(*(line.split() for line in lines), strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_three_annotators_worked_by_hand():
    # Units aab, aaa, bb: each ordered pair within a unit weighs 1/(m - 1), so 2 a-b pairs of weight 1/2 each way are observed to
    # differ: 2 of 8. Of the 8 labels 5 are a and 3 b: by chance 2 5 3 / (8 7) differ. alpha = 1 - (2/8) / (30/56).
    assert krippendorff_alpha(["aab", "aaa", "bb"]) == pytest.approx(1 - (2 / 8) / (30 / 56))


def test_alpha_is_unknown_where_nothing_was_labelled_twice_or_all_labels_are_one():
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha(["a", "b"]) is None
    assert krippendorff_alpha(["aa", "aa", "b"]) is None


# --- on pairs of replies


def test_a_ranking_is_a_verdict_on_every_pair_both_ways():
    assert agreement.verdicts([[2], [0, 1]]) == {(2, 0): 1, (2, 1): 1, (0, 2): -1, (1, 2): -1, (0, 1): 0, (1, 0): 0}
    assert (3, 0) not in agreement.verdicts([[2], [0, 1]])  # what is left out was not judged


def test_one_adjacent_swap_in_four_is_one_verdict_of_six():
    [pair] = agreement.between([Vote(1, "ann", [[0], [1], [2], [3]]), Vote(1, "bo", [[0], [2], [1], [3]])])
    assert agreement.same([pair]).rate == pytest.approx(5 / 6)


def test_always_the_same_side_of_the_store_is_agreement_and_not_chance():
    # Every first reply is the policy's and everybody prefers it: one-way labels would be constant, and kappa unknown.
    both = [*votes("ann", *[A_FIRST] * 4), *votes("bo", *[A_FIRST] * 4)]
    [pair] = agreement.pairs(both)
    assert pair.kappa == 1.0 and alpha(both) == pytest.approx(1.0)


def test_coin_throwers_have_kappa_0():
    both = [*votes("ann", A_FIRST, A_FIRST, B_FIRST, B_FIRST), *votes("bo", A_FIRST, B_FIRST, A_FIRST, B_FIRST)]
    [pair] = agreement.pairs(both)
    assert (pair.a, pair.b, pair.same.rate, pair.same.n) == ("ann", "bo", 0.5, 4)
    assert pair.kappa == pytest.approx(0.0)


def test_kappa_and_alpha_of_two_are_close_and_alpha_a_little_higher():
    both = [*votes("ann", *[A_FIRST] * 8, B_FIRST, B_FIRST), *votes("bo", *[A_FIRST] * 6, *[B_FIRST] * 4)]
    [pair] = agreement.pairs(both)
    assert pair.kappa == pytest.approx(0.6)  # 8 of 10 alike against a half by chance
    assert pair.kappa < alpha(both) < pair.kappa + 0.03  # alpha corrects for the small sample


def test_repeats_are_self_agreement_and_not_agreement_with_others():
    again = [Vote(1, "ann", A_FIRST), Vote(1, "ann", B_FIRST), Vote(2, "ann", A_FIRST), Vote(2, "ann", A_FIRST)]
    assert agreement.between(again) == [] and alpha(again) is None
    [ann] = agreement.annotators(again)
    assert (ann.itself.rate, ann.itself.n) == (0.5, 2)


def test_the_first_judgement_is_the_one_compared_with_others():
    [(a, b)] = agreement.between([Vote(1, "ann", A_FIRST), Vote(1, "ann", B_FIRST), Vote(1, "bo", A_FIRST)])
    assert a.ranking == b.ranking == A_FIRST


# --- habits


def test_side_bias_counts_the_card_shown_first_against_chance():
    shown = [Vote(1, "ann", A_FIRST, shown=[0, 1]), Vote(2, "ann", A_FIRST, shown=[1, 0]), Vote(3, "ann", TIE, shown=[0, 1]),
             Vote(4, "ann", [[2], [0]], shown=[2, 1, 0, 3]), Vote(5, "ann", A_FIRST)]
    found, chance = agreement.first_side(shown)
    assert (found.rate, found.n) == ((1 + 0 + 0.5 + 1) / 4, 4)
    assert chance == (3 / 2 + 1 / 4) / 4
    assert found.low < found.rate < found.high


def test_speed_is_the_median_and_unknown_where_nobody_measured():
    ann, bo = agreement.annotators([Vote(i, "ann", A_FIRST, seconds=s) for i, s in enumerate((2.0, 90.0, 4.0))] + [Vote(1, "bo", A_FIRST)])
    assert ann.seconds == 4.0 and bo.seconds is None


def test_a_judge_is_held_against_people_and_people_not_against_it():
    mixed = [*votes("ann", A_FIRST, A_FIRST), *votes("judge:base", A_FIRST, B_FIRST, source="judge")]
    by = {each.name: each for each in agreement.annotators(mixed)}
    assert by["judge:base"].others.rate == 0.5
    assert by["ann"].others.n == 0


# --- the ceiling


def test_the_ceiling_of_annotators_who_are_each_right_nine_times_in_ten_is_nine_tenths():
    assert agreement.best_accuracy(0.9**2 + 0.1**2) == pytest.approx(0.9)
    assert agreement.best_accuracy(1.0) == 1.0
    assert agreement.best_accuracy(0.5) == agreement.best_accuracy(0.3) == 0.5


def test_the_ceiling_comes_from_people_who_judged_the_same():
    found = ceiling([*votes("ann", *[A_FIRST] * 20), *votes("bo", *[A_FIRST] * 16, *[B_FIRST] * 4)])
    assert (found.agreement, found.n, found.who) == (0.8, 20, "each other")
    assert found.rate == pytest.approx((1 + math.sqrt(0.6)) / 2)
    assert found.agreement < found.rate and found.low < found.rate < found.high
    assert "80% of the pairs of 20 comparisons" in found.why


def test_alone_one_sets_the_ceiling_by_ones_own_repeats():
    found = ceiling([Vote(i % 10, "ann", A_FIRST) for i in range(20)])
    assert (found.rate, found.n, found.who) == (1.0, 10, "self")
    assert found.low < 0.9  # ten of ten is no proof


def test_without_anything_judged_twice_the_ceiling_is_unknown_and_says_why():
    assert ceiling([]).rate is None
    assert "no comparison was judged twice" in ceiling(votes("ann", A_FIRST, B_FIRST)).why
    few = ceiling([*votes("ann", A_FIRST, A_FIRST), *votes("bo", A_FIRST, A_FIRST)])
    assert few.rate is None and "only 2 comparisons were judged twice; from 5 on" in few.why


def test_ties_and_judges_do_not_lower_the_ceiling():
    found = ceiling([*votes("ann", *[A_FIRST] * 6), *votes("bo", *[A_FIRST] * 5, TIE), *votes("judge:base", *[B_FIRST] * 6, source="judge")])
    assert (found.rate, found.n) == (1.0, 5)


def test_a_corpus_with_several_annotators_is_compared_by_its_texts():
    prompt = [{"role": "user", "content": "Hi"}]
    rows = [Preference(prompt, ["good", "bad"], A_FIRST, "ann"), Preference(prompt, ["bad", "good"], B_FIRST, "bo"),
            Preference(prompt, ["bad", "good"], A_FIRST, "cy")]
    found = {(p.a, p.b): p.same.rate for p in agreement.pairs(agreement.of_preferences(rows))}
    assert found == {("ann", "bo"): 1.0, ("ann", "cy"): 0.0, ("bo", "cy"): 0.0}


# --- in words, and on the command line


def said(*votes_of):
    return {each.title: each for each in agreement_words.remarks(agreement.report([vote for group in votes_of for vote in group]))}


def test_without_judgements_every_remark_says_how_to_get_them():
    for each in said().values():
        assert each.tone == "open" and each.figure == "not known" and each.advice


@pytest.mark.parametrize(("alike", "tone"), [(11, "bad"), (13, "warn"), (15, "good"), (20, "good")])
def test_agreement_is_called_what_it_is(alike, tone):
    half = [A_FIRST, B_FIRST] * 10
    found = said(votes("ann", *half), votes("bo", *half[:alike], *[r[::-1] for r in half[alike:]]))["People with each other"]
    assert found.tone == tone and f"{alike / 20:.0%}" in found.figure


def test_someone_who_always_picks_the_first_card_is_named():
    leaning = [Vote(n, "ann", [[n % 2], [1 - n % 2]], shown=[n % 2, 1 - n % 2], seconds=1.0) for n in range(20)]
    found = said(leaning)
    assert found["ann picks the first card more often than chance"].tone == "warn"
    assert found["ann is very fast"].figure == "1.0 s"


def test_a_judge_has_no_habits_worth_a_warning():
    assert not [title for title in said([Vote(n, "judge:base", A_FIRST, shown=[0, 1], source="judge") for n in range(20)]) if "judge" in title]


def test_the_command_prints_the_words_and_the_tables(tmp_path, capsys):
    lab = Lab(tmp_path / "lab")
    assert main(["agreement", "--lab", str(lab.home)]) == 0
    assert "Noise ceiling for a reward model: not known" in capsys.readouterr().out
    rows = [{"kind": "ranking", "prompt": [{"role": "user", "content": f"Hi {n}"}], "shown": [0, 1], "state": "judged", "ranking": A_FIRST, "source": "human",
             "annotator": "ann", "replies": [{"adapter": "base", "text": "a"}, {"adapter": "base", "text": "b"}]} for n in range(3)]
    lab.store.add_comparisons(rows)
    assert main(["agreement", "--json", "--lab", str(lab.home)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["annotators"][0]["name"] == "ann" and told["annotators"][0]["judged"] == 3 and told["ceiling"]["rate"] is None


def test_the_command_reads_and_changes_a_constitution(tmp_path, capsys):
    file, home = tmp_path / "mine.md", str(tmp_path / "lab")
    file.write_text("1. Be brief.\n2. Be kind.\n")
    assert main(["constitution", "customer-service", "--set", str(file), "--lab", home]) == 0
    assert "has 2 principles" in capsys.readouterr().out
    assert main(["constitution", "customer-service", "--lab", home]) == 0
    assert capsys.readouterr().out == "1. Be brief.\n2. Be kind.\n"
    assert main(["constitution", "customer-service", "--reset", "--lab", home]) == 0
    assert "Juniper" in capsys.readouterr().out
    assert main(["constitution", "nope", "--lab", home]) == 2
