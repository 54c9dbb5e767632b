"""The ranking desk in real browsers: keys alone suffice, two people never meet, and no vote is lost or stored twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.test_browser import HOSTILE, SECONDS, Visit, address, expect, visit  # noqa: F401  (fixtures of the same app)
from tests.test_browser import pytestmark as in_a_browser
from workbench.lab import Lab

pytestmark = in_a_browser

ITEMS, VOTES = 48, 20
WORDS = ("zero", "one", "two", "three")


def fill(lab: Lab, first: int, count: int, k: int = 4) -> None:
    """Prepared replies, so that no model is needed."""
    rows = []
    for number in range(first, first + count):
        replies = [{"adapter": f"sft-{place + 1}", "text": f"{number} {WORDS[place]} {HOSTILE}", "finished": True} for place in range(k)]
        shown = random.Random(number).sample(range(k), k)
        rows.append({"kind": "ranking", "prompt": [{"role": "user", "content": f"Question {number}. {HOSTILE}"}], "shown": shown, "state": "ready", "replies": replies})
    lab.store.add_comparisons(rows)


@dataclass
class Judge:
    """One person at a browser, and what they believe to have voted: prompt and texts, best first."""

    name: str
    page: object
    voted: list[tuple[str, list[list[str]]]] = field(default_factory=list)

    def sit_down(self, home: str) -> None:
        self.page.goto(f"{home}?tab=preferences")
        box = self.page.locator(".rk-name")
        expect(box).to_be_visible()
        box.fill(self.name)
        box.press("Enter")
        expect(self.page.locator(".rk-name")).to_have_value(self.name)
        expect(self.page.get_by_test_id("rank-prompt")).to_be_visible()

    def prompt(self) -> str:
        return self.page.get_by_test_id("rank-prompt").locator(".rk-user p").inner_text()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def rank(self, chance: random.Random) -> str:
        """Ranks what is shown, with a tie or a part left out now and then; gives the prompt that will be gone when it is stored."""
        prompt, texts = self.prompt(), self.page.locator(".rk-card > p").all_inner_texts()
        cards = chance.sample(range(4), chance.choice((2, 3, 4, 4)))
        groups, keys = [[cards[0]]], [str(cards[0] + 1)]
        for card in cards[1:]:
            if chance.random() < 0.2:
                groups[-1].append(card)
                keys.append("t")
            else:
                groups.append([card])
            keys.append(str(card + 1))
        if len(groups) == 1:  # "these are best": the others tie below
            groups += [[card for card in range(4) if card not in cards]] if len(cards) < 4 else []
        self.press(*keys, "Enter")
        self.voted.append((prompt, [sorted(texts[card] for card in group) for group in groups]))
        return prompt

    def sees_another(self, prompt: str) -> None:
        expect(self.page.get_by_test_id("rank-prompt").locator(".rk-user p")).not_to_have_text(prompt)

    def take_back(self) -> None:
        prompt, _ = self.voted.pop()
        self.press("z")
        expect(self.page.get_by_test_id("rank-prompt").locator(".rk-user p")).to_have_text(prompt)

    def stored(self, lab: Lab) -> list[tuple[str, list[list[str]]]]:
        found = []
        for each in lab.judgements(self.name):
            about = lab.store.comparison(each.comparison)
            found.append((about.prompt[-1]["content"], [sorted(about.replies[place].text for place in group) for group in each.ranking]))
        return found


@pytest.fixture(scope="module")
def ada(visit: Visit) -> Judge:  # noqa: F811
    fill(visit.lab, 0, ITEMS)
    found = Judge("Ada", visit.page)
    found.sit_down(visit.home)
    return found


@pytest.fixture(scope="module")
def bob(visit: Visit) -> Iterator[Judge]:  # noqa: F811
    context = visit.page.context.browser.new_context(viewport={"width": 390, "height": 844})
    context.add_cookies(visit.page.context.cookies())  # the key of the app, as whoever started it passes it on
    found = Judge("Bob", context.new_page())
    found.page.set_default_timeout(SECONDS * 1000)
    found.page.on("pageerror", lambda fault: visit.errors.append(str(fault)))
    found.sit_down(visit.home)
    yield found
    context.close()


def test_two_people_rank_twenty_prompts_each_with_keys_alone_and_no_vote_is_lost_or_double(visit: Visit, ada: Judge, bob: Judge) -> None:  # noqa: F811
    chance = random.Random(7)
    while len(ada.voted) < VOTES:
        assert ada.prompt() != bob.prompt(), "nobody is handed what somebody else holds"
        theirs, mine = bob.rank(chance), ada.rank(chance)  # the second vote leaves while the first is on its way
        ada.sees_another(mine)
        bob.sees_another(theirs)
        assert all(judge.stored(visit.lab) == judge.voted for judge in (ada, bob)), "a vote is on disk before the next item appears"
        if len(ada.voted) == 9 and visit.page.evaluate("!window.undone"):
            visit.page.evaluate("window.undone = true")
            ada.take_back()
            ada.take_back()
        if len(ada.voted) == 12:
            ada.press("3", "t", "1")
            before, held = visit.page.locator(".rk-reading").inner_text(), ada.prompt()
            visit.page.reload()
            expect(visit.page.locator(".rk-reading")).to_have_text(before)
            assert ada.prompt() == held and "C = A" in before, "a reload finds the same item, half ranked"
            ada.press("Backspace", "Backspace")
            expect(visit.page.locator(".rk-rail .rk-chosen")).to_have_count(0)
    assert ada.stored(visit.lab) == ada.voted and len(ada.voted) == VOTES
    assert bob.stored(visit.lab) == bob.voted and len(bob.voted) == VOTES + 2
    firsts = [each for each in visit.lab.judgements() if each.repeat_of is None]
    assert len({(each.comparison, each.annotator) for each in firsts}) == len(firsts)
    shared = {each.comparison for each in firsts if each.annotator == "Ada"} & {each.comparison for each in firsts if each.annotator == "Bob"}
    assert len(shared) <= 8, "what both judged is the tenth that measures agreement, no accident"
    assert all(each.seconds is not None and each.shown and each.source == "human" for each in firsts)


def test_the_desk_fits_a_phone(bob: Judge) -> None:
    assert bob.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert min(bob.page.locator(".rk-keys .rk-key").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().height)")) >= 40


def test_replies_are_dragged_into_an_order(visit: Visit, ada: Judge) -> None:  # noqa: F811
    page, prompt = visit.page, ada.prompt()
    for card, place in ((2, "gap-0"), (0, "gap-0"), (1, "place-1")):
        page.get_by_test_id(f"card-{card}").drag_to(page.get_by_test_id(place))
    expect(page.locator(".rk-reading")).to_contain_text("A  >  C = B")
    page.locator(".rk-chosen", has_text="C").drag_to(page.get_by_test_id("gap-0"))
    expect(page.locator(".rk-reading")).to_contain_text("C  >  A  >  B")
    page.locator(".rk-chosen", has_text="A").click()
    expect(page.locator(".rk-reading")).to_contain_text("C  >  B. Enter saves this part")
    ada.press("Enter")
    ada.sees_another(prompt)
    newest = visit.lab.judgements("Ada")[-1]
    assert newest.ranking == [[newest.shown[2]], [newest.shown[1]]]


def test_marks_strength_reasons_and_a_comment_are_given_with_keys(visit: Visit, ada: Judge) -> None:  # noqa: F811
    prompt = ada.prompt()
    ada.press("m", "5", "2", "2", "ArrowLeft", "ArrowLeft", "4", "v", "v", "h", "l", "c")
    visit.page.keyboard.type("made up")
    ada.press("Enter")
    expect(visit.page.locator(".rk-reading")).to_contain_text("A  >  B  >  C. D not rated yet.")
    ada.press("Enter", "m")
    ada.sees_another(prompt)
    kept = visit.lab.judgements("Ada")[-1]
    assert [kept.ratings[place] for place in kept.shown] == [5, 4, 2, 0]
    assert (kept.strength, kept.tags, kept.comment) == (2, ["safe", "format"], "made up")
    assert kept.ranking == [[kept.shown[place]] for place in (0, 1, 2)]


def test_a_better_reply_is_written_and_becomes_a_demonstration(visit: Visit, ada: Judge) -> None:  # noqa: F811
    prompt = ada.prompt()
    ada.press("2", "e")
    visit.page.locator(".rk-write textarea").fill(f"Until six. {HOSTILE}")
    ada.press("Control+Enter")
    ada.sees_another(prompt)
    kept = visit.lab.judgements("Ada")[-1]
    assert kept.ranking[:2] == [[kept.written], [kept.shown[1]]] and len(kept.ranking) == 3
    [row] = visit.lab.rows("my-demonstrations", "demonstrations")
    assert row.messages[-1]["content"] == f"Until six. {HOSTILE}" and row.source.endswith("Ada")


def test_one_press_judges_a_pair_and_the_rest_is_said_to_be_in_other_hands(visit: Visit, ada: Judge, bob: Judge) -> None:  # noqa: F811
    for item in visit.lab.to_rank(limit=1000):
        visit.lab.skip(item, annotator="nobody")
    fill(visit.lab, 1000, 2, k=2)
    for judge in (ada, bob):
        judge.page.reload()
        expect(judge.page.locator(".rk-reading")).to_have_text("Which reply is better? One press is a vote; Z takes it back.")
    ada.press("2")
    expect(visit.page.get_by_test_id("rank-empty")).to_contain_text("The rest is in other hands")
    bob.press("0")
    expect(visit.page.get_by_test_id("rank-empty")).to_contain_text("Everything is ranked")
    for judge, cards in ((ada, [[1], [0]]), (bob, [[0, 1]])):
        kept = visit.lab.judgements(judge.name)[-1]
        assert kept.ranking == [[kept.shown[card] for card in group] for group in cards]


def test_no_browser_met_an_error_or_markup_of_a_model(visit: Visit, bob: Judge) -> None:  # noqa: F811
    assert visit.errors == [] and visit.strangers == []
    assert visit.page.evaluate("window.owned") is None and bob.page.evaluate("window.owned") is None
