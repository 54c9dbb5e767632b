"""Diversity, counted on paper."""

from __future__ import annotations

import pytest

from workbench.diversity import COMPARED, distinct, duplicates, similarity


def words(*texts: str) -> list[list[str]]:
    return [text.split() for text in texts]


def test_distinct_n_counts_over_all_replies_together():
    rows = words("a b a b", "a c")  # 6 words, 3 of them different; pairs ab ba ab ac, 3 different
    assert distinct(rows, 1) == 3 / 6 and distinct(rows, 2) == 3 / 4 and distinct(rows, 3) == 1.0


def test_replies_without_n_grams_are_not_called_repetitive():
    assert distinct(words("a", ""), 2) == 1.0 and distinct([], 1) == 1.0


def test_duplicates_are_what_repeats_an_earlier_reply():
    assert duplicates(words("a b", "c", "a b", "a b")) == 2 / 4
    assert duplicates([]) == 0.0 and duplicates([[1, 2], (1, 2)]) == 0.5, "a list of tokens and a tuple of them are the same reply"


def test_similarity_is_the_mean_overlap_of_pairs():
    rows = words("a b c", "a b d", "x y")  # pairs {ab bc}, {ab bd}, {xy}: 1 of 3 shared, then none, none
    assert similarity(rows) == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert similarity(words("a b c", "a b c")) == 1.0 and similarity(words("a b c")) == 0.0


def test_one_word_replies_are_alike_when_equal():
    assert similarity(words("yes", "yes")) == 1.0 and similarity(words("yes", "no")) == 0.0


def test_of_many_replies_the_first_are_compared():
    assert similarity([[at, at + 1] for at in range(0, 2 * COMPARED, 2)] + [[1, 2]] * 50) == 0.0
