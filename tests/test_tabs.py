"""The plain functions behind the Preferences, Compare and Data tabs, and their public endpoints on a real store."""

import json
from dataclasses import replace

import pytest

from apps import compare_tab, data_tab, ranking, shelf, talk
from workbench import SftRecipe, formats, packs
from workbench.corpus import Demonstration, Preference, Text
from workbench.errors import CorpusError, LabError, NotFound
from workbench.lab import Lab

ASKED = [{"role": "user", "content": "Are you open?"}]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "ensure_worker", lambda self: None)  # these claims are about rows; nobody needs to work
    return Lab(tmp_path / "lab")


def add(lab, kind="ranking", texts=("zero", "one", "two"), shown=(2, 0, 1), state="ready"):
    replies = [{"adapter": f"sft-{place}", "text": text, "finished": True} for place, text in enumerate(texts)]
    return lab.store.add_comparisons([{"kind": kind, "prompt": ASKED, "shown": list(shown), "state": state, "replies": replies}])[0]


# --- from cards to rankings


def test_cards_are_mapped_back_to_replies():
    assert ranking.to_ranking([[0], [2], [1]], shown=[2, 0, 1]) == [[2], [1], [0]]


def test_ties_stay_together():
    assert ranking.to_ranking([[1, 0], [2]], shown=[2, 0, 1]) == [[0, 2], [1]]


def test_a_single_pick_beats_all_others():
    assert ranking.to_ranking([[1]], shown=[2, 0, 1]) == [[0], [2, 1]]


def test_a_partial_ranking_leaves_the_rest_out():
    assert ranking.to_ranking([[0], [3]], shown=[3, 1, 2, 0]) == [[3], [0]]


def test_a_tie_of_all_is_one_group():
    assert ranking.to_ranking([[0, 1]], shown=[1, 0]) == [[1, 0]]


@pytest.mark.parametrize("groups", [[], [[]], [[0], []], [[0], [0]], [[3]], [[-1]], [[True]], [["0"]], [[0.0]]])
def test_nonsense_is_no_ranking(groups):
    with pytest.raises(CorpusError):
        ranking.to_ranking(groups, shown=[0, 1, 2])


def test_a_judgement_reads_in_the_letters_its_judge_saw(lab):
    found = lab.store.comparison(add(lab, texts=("a", "b", "c", "d"), shown=(3, 1, 2, 0)))
    judged = replace(found, state="judged", ranking=[[3], [0, 2]])
    assert ranking.in_letters(judged) == "A > C = D, B not ranked"


# --- the ranking desk


def test_a_judge_sees_texts_but_no_names(lab):
    add(lab)
    item = ranking.Desk(lab).rank_next({})["item"]
    assert item["cards"] == ["two", "zero", "one"] and "sft-" not in json.dumps(item)


def test_a_vote_is_stored_and_the_next_item_comes(lab):
    first, second = add(lab), add(lab)
    state = ranking.Desk(lab).rank_save({"id": first, "choice": "ranking", "groups": [[0], [1]], "annotator": " Ada  L ", "seconds": 4.2})
    stored = lab.store.comparison(first)
    assert (stored.ranking, stored.annotator, stored.seconds, stored.state) == ([[2], [0]], "Ada L", 4.2, "judged")
    assert (state["item"]["id"], state["done"], state["to_do"]) == (second, 1, 1)


def test_a_judgement_made_elsewhere_is_not_overwritten(lab):
    number = add(lab)
    lab.judge(number, [[0], [1]], annotator="other")
    state = ranking.Desk(lab).rank_save({"id": number, "choice": "bad", "annotator": "me"})
    assert "already ranked elsewhere" in state["note"] and lab.store.comparison(number).annotator == "other"


def test_undo_brings_back_the_last_item_of_this_judge(lab):
    mine, theirs = add(lab), add(lab)
    desk = ranking.Desk(lab)
    desk.rank_save({"id": mine, "choice": "skip", "annotator": "Ada"})
    desk.rank_save({"id": theirs, "choice": "bad", "annotator": "Bob"})
    assert desk.rank_undo({"annotator": "Ada"})["item"]["id"] == mine
    assert lab.store.comparison(theirs).state == "bad"


def test_undo_without_a_judgement_says_so(lab):
    with pytest.raises(NotFound, match="nothing to take back"):
        ranking.Desk(lab).rank_undo({"annotator": "Ada"})


def test_undo_touches_rankings_only(lab):
    number = add(lab, kind="chat", texts=("x", "y"), shown=(0, 1), state="ready")
    lab.judge(number, [[0], [1]])
    with pytest.raises(LabError):
        ranking.Desk(lab).rank_undo({"id": number})
    assert lab.store.comparison(number).state == "judged"


def test_past_judgements_come_newest_first(lab):
    numbers = [add(lab) for _ in range(3)]
    for number in reversed(numbers):
        lab.judge(number, [[0], [1]])
    assert [row["id"] for row in ranking.Desk(lab).rank_past({})["rows"]] == numbers


def test_a_pause_is_not_a_reading_time():
    assert [ranking.seconds_of({"seconds": s}) for s in (3.14, 0, 7200, None)] == [3.1, None, None, None]


def test_paging_stays_inside():
    rows = list(range(45))
    assert ranking.page_of(rows, 2) == (rows[40:], 2, 3)
    assert ranking.page_of(rows, 99)[1:] == (2, 3) and ranking.page_of(rows, -5)[1] == 0
    assert ranking.page_of([], 0) == ([], 0, 1)


# --- comparing


def chat(lab, shown=(1, 0)):
    return add(lab, kind="chat", texts=("left", "right"), shown=shown)


def test_blind_panes_have_no_names_until_the_vote(lab):
    number = chat(lab)
    before = talk.Talk(lab).talk_look({"number": number, "blind": True})
    assert [(p["name"], p["text"]) for p in before["panes"]] == [("", "right"), ("", "left")]
    after = talk.Talk(lab).talk_vote({"number": number, "blind": True, "choice": "first"})
    assert after["panes"][0]["name"] == "sft-1" and after["vote"] == "first"
    assert lab.store.comparison(number).ranking == [[1], [0]]


def test_a_vote_with_names_in_view_is_not_called_blind(lab):
    number = chat(lab)
    talk.Talk(lab).talk_vote({"number": number, "blind": True, "named": True, "choice": "tie"})
    assert lab.store.comparison(number).rubric == "compare, names shown"


def test_a_second_vote_is_refused_and_undo_opens_it_again(lab):
    number, desk = chat(lab), talk.Talk(lab)
    desk.talk_vote({"number": number, "choice": "bad"})
    with pytest.raises(LabError):
        desk.talk_vote({"number": number, "choice": "first"})
    assert desk.talk_vote({"number": number, "choice": "undo"})["state"] == "ready"


def test_the_newest_conversation_is_shown_after_a_reload(lab):
    assert talk.Talk(lab).talk_look({}) == {"number": 0, "trained": False}
    chat(lab)
    newest = chat(lab)
    assert talk.Talk(lab).talk_look({})["number"] == newest


def test_a_conversation_goes_on_from_the_pane_that_was_chosen(lab):
    number = chat(lab)
    said = talk.messages(lab, "ignored: the thread has its own", " And then? ", thread=f"{number}:0:1")
    assert [m["content"] for m in said] == ["Are you open?", "right", "And then?"]


def test_a_new_conversation_opens_with_the_system_message(lab):
    assert [m["role"] for m in talk.messages(lab, "Be kind.", "Hello")] == ["system", "user"]
    assert [m["role"] for m in talk.messages(lab, "  ", "Hello")] == ["user"]


@pytest.mark.parametrize(("names", "pair"), [
    ([], ("base", "base")), (["sft-1"], ("base", "sft-1")), (["sft-1", "sft-2", "ppo-1"], ("sft-2", "ppo-1")), (["ppo-3"], ("base", "ppo-3"))])
def test_the_newest_are_compared_first(names, pair):
    assert talk.pair_of(names) == pair


def test_comparing_speaks_as_the_pack_that_was_imitated_last_unless_a_person_wrote_something(lab):
    bar, code = packs.load("customer-service"), packs.load("code-helper")
    assert compare_tab.pack_of(lab) == bar
    lab.start(SftRecipe(corpus="code-helper"))
    *_, system, example = compare_tab.refresh(lab, "base", "base", bar.system)
    assert system == code.system and example.choices[0][0] == code.prompts("held_out")[0][-1]["content"]
    assert compare_tab.refresh(lab, "base", "base", "Be brief.")[2] == "Be brief."


# --- data


def test_every_corpus_on_the_shelf_can_be_opened(lab):
    number = add(lab)
    lab.judge(number, [[0], [1]])
    for book in shelf.Shelf(lab).books():
        found = shelf.Shelf(lab).shelf_rows({"key": book.key})
        assert found["total"] == book.rows > 0 and len(found["rows"]) <= ranking.PAGE_ROWS


def test_search_looks_into_replies_but_not_into_system_messages():
    row = Preference([{"role": "system", "content": "secret"}, *ASKED], ["yes", "no"], [[0], [1]])
    assert "yes" in shelf.text_of(row) and "secret" not in shelf.text_of(row)


def test_an_unknown_corpus_is_named(lab):
    with pytest.raises(NotFound, match="nowhere"):
        shelf.Shelf(lab).shelf_rows({"key": "import:nowhere"})


def test_ranked_replies_are_listed_best_first_and_the_unranked_last():
    row = Preference(ASKED, ["a", "b", "c"], [[2], [0]])
    assert shelf.ranked(row) == [
        {"place": 1, "text": "c", "index": 3}, {"place": 2, "text": "a", "index": 1}, {"place": 0, "text": "b", "index": 2}]


def test_lengths_count_what_people_and_models_wrote():
    assert shelf.word_counts([Demonstration([*ASKED, {"role": "assistant", "content": "Yes we are"}]), Text("a b")]) == [6, 2]


def test_columns_are_read_as_they_are_written():
    assert data_tab.mapping("prompt=goal, reply = target") == {"prompt": "goal", "reply": "target"}
    assert data_tab.mapping("") is None and data_tab.mapping(None) is None


def test_an_import_says_how_many_rows_and_why_not_the_others(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "p", "chosen": "good", "rejected": "bad"}] * 3 + [{"prompt": "p", "chosen": "same", "rejected": "same"}] * 2
    path.write_text("\n".join(map(json.dumps, rows)))
    told = data_tab.report(formats.read(path))
    assert "3 of 5 rows usable" in told and "2 left out: identical pair" in told


@pytest.fixture
def pairs(lab, tmp_path):
    """A lab with an import whose second row occurs again as the third."""
    path = tmp_path / "pairs.jsonl"
    rows = [("p", "good", "bad"), ("q", "yes", "no"), ("q", "yes", "no")]
    path.write_text("\n".join(json.dumps({"prompt": p, "chosen": c, "rejected": r}) for p, c, r in rows))
    lab.import_rows(path)
    return shelf.Shelf(lab)


def test_copies_are_counted_and_can_be_looked_at_alone(pairs):
    assert pairs.shelf_rows({"key": "import:pairs"})["copies"] == 1
    found = pairs.shelf_rows({"key": "import:pairs", "twins": True})
    assert [(row["number"], row["twin"]) for row in found["rows"]] == [(2, 2), (3, 2)]


def seen(pairs, number=1):
    return {"key": "import:pairs", "number": number, "mark": pairs.shelf_rows({"key": "import:pairs"})["rows"][number - 1]["mark"]}


def test_a_text_is_edited_where_it_stands_and_only_if_the_row_is_what_was_seen(pairs):
    asked = {**seen(pairs), "place": 2, "text": "worse"}
    assert pairs.shelf_edit(asked) == {}
    assert pairs.shelf_rows({"key": "import:pairs"})["rows"][0]["ranked"][1] == {"place": 2, "text": "worse", "index": 2}
    with pytest.raises(CorpusError, match="changed or moved elsewhere meanwhile; nothing was done"):
        pairs.shelf_edit(asked)
    with pytest.raises(NotFound, match="has no text 9"):
        pairs.shelf_edit({**seen(pairs), "place": 9, "text": "x"})


def test_a_row_is_taken_out_only_if_it_is_the_one_that_was_seen(pairs):
    asked = seen(pairs)
    assert pairs.shelf_drop(asked) == {}
    for number in (1, 3):
        with pytest.raises(CorpusError, match="nothing was done"):
            pairs.shelf_drop({**asked, "number": number})


def test_packs_cannot_be_edited_from_the_page(pairs):
    with pytest.raises(CorpusError, match="only imported rows can be changed"):
        pairs.shelf_edit({"key": "prompts:customer-service", "number": 1, "mark": "", "place": 0, "text": "x"})


def test_a_written_demonstration_is_added_and_the_boxes_are_emptied(lab):
    assert data_tab.written(lab, "Hi", "Hello!", "", "") == ("`my-demonstrations` has 1 demonstrations now.", "", "", "my-demonstrations")
