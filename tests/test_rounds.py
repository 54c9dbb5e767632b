"""Rounds and their staleness follow each act; the ladder says what was measured and nothing else."""

from __future__ import annotations


import pytest

from apps import overview_tab
from workbench import EvaluateRecipe, Lab, PpoRecipe, RewardRecipe, SftRecipe
from workbench.recipes import Recipe
from workbench.rounds import belongs, stale

ASKED = [{"role": "user", "content": "Oat milk?"}]


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "lab")


def done(lab: Lab, recipe: Recipe, **summary: object) -> str:
    """A run that began and ended just now."""
    run = lab.store.add_run(recipe.stage, recipe.to_json(), 1, round=lab.round)
    assert lab.store.claim().id == run.id
    lab.store.summarise(run.id, summary)
    assert lab.store.set_state(run.id, "done", ("running",))
    return run.id


def ranked(lab: Lab, a: str, b: str, kind: str = "ranking", ranking: tuple[list[int], ...] = ([0], [1])) -> int:
    [number] = lab.store.add_comparisons([{"kind": kind, "prompt": ASKED, "shown": [0, 1], "state": "ready", "round": lab.round,
                                           "replies": [{"adapter": a, "text": "yes"}, {"adapter": b, "text": "no"}]}])
    lab.judge(number, list(ranking))
    return number


def why(lab: Lab, name: str) -> str:
    return stale(lab.store, lab.run(name), lab.list_runs())


def chain(lab: Lab) -> tuple[str, str, str]:
    sft = done(lab, SftRecipe())
    ranked(lab, sft, sft)
    reward = done(lab, RewardRecipe(sft=sft))
    return sft, reward, done(lab, PpoRecipe(sft=sft, reward=reward), kl_seq=4.0)


def test_nothing_is_stale_right_after_the_chain(lab):
    assert [why(lab, name) for name in chain(lab)] == ["", "", ""]


def test_votes_make_the_reward_model_older_than_its_rankings(lab):
    sft, reward, ppo = chain(lab)
    ranked(lab, ppo, sft, kind="chat")
    assert why(lab, reward) == "1 ranking was made since reward-1 began"
    assert why(lab, ppo) == ""


def test_a_tie_makes_no_reward_model_older_for_it_teaches_nothing(lab):
    sft, reward, ppo = chain(lab)
    ranked(lab, ppo, sft, kind="chat", ranking=([0, 1],))
    assert why(lab, reward) == ""


def test_a_new_reward_model_makes_the_policy_older(lab):
    sft, _, ppo = chain(lab)
    ranked(lab, ppo, sft)
    newer = done(lab, RewardRecipe(sft=sft))
    assert "reward-2 was made after ppo-1 began from reward-1" in why(lab, ppo)
    assert why(lab, newer) == ""


def test_a_run_that_goes_on_from_its_own_stage_is_not_older_than_itself(lab):
    first = done(lab, SftRecipe())
    assert why(lab, done(lab, SftRecipe(start_from=first))) == ""


def test_votes_after_ppo_belong_to_the_next_round(lab):
    sft, _, ppo = chain(lab)
    ranked(lab, ppo, sft)
    first, second = lab.rounds()
    assert (first.number, first.runs, dict(first.rankings)) == (1, ["sft-1", "reward-1", "ppo-1"], {"human": 1})
    assert (second.number, second.runs, dict(second.rankings)) == (2, [], {"human": 1})


def test_the_ladder_tells_what_was_measured(lab):
    sft, _, ppo = chain(lab)
    done(lab, EvaluateRecipe(a=ppo, b=sft), a=ppo, b=sft, gold_a=1.5, gold_b=0.9, kl_seq=5.0, perplexity_a=55.0, perplexity_b=50.0,
         reply_tokens_a=30.0, reply_tokens_b=28.0)
    ranked(lab, ppo, sft)
    ranked(lab, ppo, sft, ranking=([0, 1],))
    low, high = lab.ladder()
    assert (low.adapter, low.gold, low.win_rate, low.reply_tokens) == ("sft-1", 0.9, None, 28.0)
    assert (high.adapter, high.gold, high.win_rate, high.votes, high.kl_seq) == ("ppo-1", 1.5, 0.75, 2, 5.0)
    assert high.tax == pytest.approx(0.1)


def test_what_was_not_measured_is_not_told(lab):
    _, _, ppo = chain(lab)
    rung = lab.ladder()[1]
    assert (rung.adapter, rung.gold, rung.win_rate, rung.kl_seq) == (ppo, None, None, 4.0)


def test_a_policy_that_was_never_compared_is_told_by_its_own_last_look(lab):
    sft, reward, _ = chain(lab)
    judged = done(lab, PpoRecipe(sft=sft, reward=reward), kl_seq=3.0, reply_tokens=40.0, held_gold=1.2)
    other = done(lab, PpoRecipe(sft=sft, reward=reward, gold=reward), kl_seq=3.0, held_gold=0.3)
    for step, perplexity in ((1, 50.0), (4, 60.0)):
        lab.store.log(judged, step, 1, {"text_perplexity": perplexity})
    rungs = {each.adapter: each for each in lab.ladder()}
    assert (rungs[judged].gold, rungs[judged].reply_tokens, rungs[judged].win_rate) == (1.2, 40.0, None)
    assert rungs[judged].tax == pytest.approx(0.2)
    assert rungs[other].gold is None  # a second reward model's score is on a scale of its own


def test_an_sft_model_that_was_never_compared_is_told_by_the_first_look_of_a_policy_that_began_from_it(lab):
    sft, reward, _ = chain(lab)
    untouched = done(lab, SftRecipe())
    judged = done(lab, PpoRecipe(sft=sft, reward=reward), held_gold=1.6)
    other = done(lab, PpoRecipe(sft=sft, reward=reward, gold=reward), held_gold=0.3)
    for policy, golds in ((judged, (1.2, 1.6)), (other, (0.0, 0.3))):  # the last is on the scale of a second reward model
        for step, gold in zip((1, 4), golds, strict=True):
            lab.store.log(policy, step, 1, {"held_gold": gold, "reply_tokens": 30.0 + step})
    rungs = {each.adapter: each for each in lab.ladder()}
    assert (rungs[sft].gold, rungs[sft].reply_tokens, rungs[sft].win_rate) == (1.2, 31.0, None)
    assert (rungs[untouched].gold, rungs[untouched].reply_tokens) == (None, None)


def test_a_policy_compared_only_as_the_other_one_is_told_by_that_comparison(lab):
    sft, reward, _ = chain(lab)
    first = done(lab, PpoRecipe(sft=sft, reward=reward), kl_seq=3.0, reply_tokens=40.0, held_gold=1.2)
    done(lab, EvaluateRecipe(a="base", b=first), a="base", b=first, gold_a=0.1, gold_b=1.4, reply_tokens_b=35.0)
    rung = next(each for each in lab.ladder() if each.adapter == first)
    assert (rung.gold, rung.reply_tokens, rung.kl_seq) == (1.4, 35.0, 3.0)


def test_replies_that_grow_alike_are_warned_of(lab):
    _, _, ppo = chain(lab)
    lab.store.log(ppo, 1, 1, {"distinct2": 0.9})
    lab.store.log(ppo, 2, 2, {"distinct2": 0.4})
    assert "grew alike" in lab.rounds()[0].warnings[0]


def test_a_round_names_the_imported_rankings_that_its_reward_model_learned(lab):
    sft, *_ = chain(lab)
    done(lab, RewardRecipe(sft=sft, preferences="hasty"))
    first, second = lab.rounds()
    assert (first.imported, second.imported) == ([], ["hasty"])
    assert overview_tab.told_round(second)["rankings"] == "the corpus hasty"


def test_replies_that_lose_their_variety_round_by_round_are_warned_of(lab):
    sft, reward, first = chain(lab)
    second, elsewhere = (done(lab, PpoRecipe(sft=sft, reward=reward, **more)) for more in ({}, {"prompts": "code-helper"}))
    for ppo, course in ((first, (0.9, 0.7)), (second, (0.7, 0.55)), (elsewhere, (0.7, 0.55))):
        for step, value in enumerate(course, start=1):
            lab.store.log(ppo, step, 2, {"distinct2": value})
    told = [warning for each in lab.rounds() for warning in each.warnings]
    assert told == [f"{second}'s replies grew alike: 55% of the pairs of tokens are distinct, 90% were at the start of {first}"]


def test_a_comparison_belongs_to_the_round_of_the_model_it_judges(lab):
    sft, _, ppo = chain(lab)
    assert lab.round == 2
    assert [belongs(lab.store, recipe, lab.round) for recipe in (EvaluateRecipe(a=ppo, b=sft), EvaluateRecipe(a="base", b=sft), SftRecipe())] == [1, 2, 2]
