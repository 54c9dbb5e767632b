"""Who ranks what next: nobody gets in another's way, and now and then something comes again."""

from __future__ import annotations

import pytest

from workbench import desk
from workbench.lab import Lab

ASKED = [{"role": "user", "content": "Are you open?"}]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)  # these claims are about rows; nobody needs to work
    return Lab(tmp_path / "lab")


def items(lab, count=1, k=2):
    replies = [{"adapter": "sft-1", "text": f"reply {place}"} for place in range(k)]
    row = {"kind": "ranking", "prompt": ASKED, "shown": list(range(k)), "state": "ready", "replies": replies}
    return lab.store.add_comparisons([row] * count)


def number(held):
    return held and held.comparison


def test_two_pages_never_hold_the_same_item(lab):
    first, second = items(lab, 2)
    assert number(desk.hand_out(lab.store, "ada", "page 1")) == first
    assert number(desk.hand_out(lab.store, "bob", "page 2")) == second
    assert desk.hand_out(lab.store, "bob", "page 3") is None and desk.hand_out(lab.store, "ada", "page 4") is None
    assert desk.with_others(lab.store, "page 3") == 2 and desk.with_others(lab.store, "page 1") == 1


def test_a_page_that_is_loaded_again_finds_its_item(lab):
    items(lab, 3)
    held = desk.hand_out(lab.store, "ada", "page 1")
    desk.hand_out(lab.store, "bob", "page 2")
    assert desk.hand_out(lab.store, "ada", "page 1") == held


def test_a_hold_ends_unless_it_is_renewed(lab, monkeypatch):
    [only] = items(lab)
    desk.hand_out(lab.store, "ada", "page 1")
    monkeypatch.setattr(desk.time, "time", lambda: later)
    later = 1e11
    desk.renew(lab.store, "page 1")
    later += desk.HOLD_SECONDS - 1
    assert desk.hand_out(lab.store, "bob", "page 2") is None
    later += 2
    assert number(desk.hand_out(lab.store, "bob", "page 2")) == only


def test_what_is_wanted_is_handed_out_while_it_is_free(lab):
    first, second = items(lab, 2)
    assert number(desk.hand_out(lab.store, "ada", "page 1", wanted=second)) == second
    assert number(desk.hand_out(lab.store, "bob", "page 2", wanted=second)) == first


def test_what_the_reward_model_doubts_most_comes_first(lab):
    first, second, third = items(lab, 3)
    with lab.store.write() as db:
        db.execute("update comparisons set doubt=0.2 where id=?", (third,))
        db.execute("update comparisons set doubt=0.1 where id=?", (second,))
    assert number(desk.hand_out(lab.store, "ada", "page 1")) == third


def test_one_in_twenty_comes_again_swapped_never_twice_and_never_soon(lab):
    items(lab, 120, k=3)
    again = []
    for at in range(120):
        handed = lab.hand_out("ada")
        if handed is None:
            break
        if handed.repeat_of is not None:
            first = next(each for each in lab.judgements("ada") if each.id == handed.repeat_of)
            assert handed.shown == first.shown[::-1] and at - first.id >= desk.GAP - 1
            again.append(handed.repeat_of)
        lab.vote(desk.Judgement(handed.comparison.id, "ada", "judged", [[0], [1], [2]], handed.shown, repeat_of=handed.repeat_of))
    assert len(again) == len(set(again)) and 2 <= len(again) <= 14
    assert len(lab.rows("rankings", "preferences")) == 120 - len(again) - (120 - at - 1)


def test_one_in_ten_is_what_another_judged_in_an_order_of_ones_own(lab):
    items(lab, 100, k=8)
    for _ in range(40):
        handed = lab.hand_out("ada")
        lab.vote(desk.Judgement(handed.comparison.id, "ada", "judged", [[0], [1]], handed.shown, repeat_of=handed.repeat_of))
    shared = 0
    for _ in range(50):
        handed = lab.hand_out("bob")
        if handed.comparison.judgements and handed.repeat_of is None:
            shared += 1
            assert handed.shown != handed.comparison.shown and sorted(handed.shown) == list(range(8))
        lab.vote(desk.Judgement(handed.comparison.id, "bob", "judged", [[0], [1]], handed.shown, repeat_of=handed.repeat_of))
    assert 1 <= shared <= 12 and lab.agreement().people.n == shared


def test_what_a_rule_has_ranked_meanwhile_leaves_the_desk(lab):
    first, second = items(lab, 2)
    assert number(desk.hand_out(lab.store, "ada", "page 1")) == first
    lab.judge(first, [[0], [1]], annotator="simulated", source="simulated")
    assert number(desk.hand_out(lab.store, "ada", "page 1", wanted=first)) == second


def test_what_somebody_set_aside_meanwhile_leaves_the_desk(lab):
    first, second = items(lab, 2)
    desk.hand_out(lab.store, "ada", "page 1")
    lab.skip(first, annotator="bob")
    assert number(desk.hand_out(lab.store, "ada", "page 1", wanted=first)) == second


def test_an_item_that_somebody_else_judged_meanwhile_may_still_be_judged(lab):
    [only] = items(lab)
    handed = lab.hand_out("ada", "page 1")
    lab.judge(only, [[0], [1]], annotator="bob")
    assert lab.vote(desk.Judgement(handed.comparison.id, "ada", "judged", [[1], [0]], handed.shown))
    assert [each.annotator for each in lab.store.comparison(only).judgements] == ["bob", "ada"]
