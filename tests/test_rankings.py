"""Rankings as tokens: what can be learned from them, what is refused and why, and the learning curve."""

from __future__ import annotations

import math

import pytest
import torch

from tests.roles import PROMPTS, REWARD, digest, ready_for_reward
from workbench.corpus import Preference
from workbench.engine import maths, rankings, reward
from workbench.errors import CorpusError

REPLIES = ["zzz", "zz yy", "z y y", "yyyy"]


@pytest.fixture(scope="module")
def backbone(tiny):
    return ready_for_reward(tiny)


def rows(ranking=((0,), (1,), (2,), (3,)), count: int = len(PROMPTS), **more) -> list[Preference]:
    return [Preference(p.messages, REPLIES, [list(group) for group in ranking], **more) for p in PROMPTS[:count]]


def loss_of(scores, ranking, kind="pairs", margin=0.0, centre=0.0, **more) -> float:
    [row] = rows(ranking, 1, **more)
    ranks = [next((at for at, group in enumerate(ranking) if place in group), -1) for place in range(len(scores))]
    return float(rankings.prompt_loss(torch.tensor(scores, dtype=torch.float64), rankings.Ranked([], ranks, [], row), REWARD.replace(loss=kind, margin=margin, centre=centre)))


SCORES, STRICT, TIED = [2, 0.5, 0.5, -1], [[0], [1], [2], [3]], [[0], [1, 2], [3]]


@pytest.mark.parametrize(("found", "expected"), [
    (lambda: loss_of(SCORES, STRICT), 0.257897940677), (lambda: loss_of(SCORES, TIED), 0.170848092701),
    (lambda: loss_of(SCORES, STRICT, "plackett_luce"), 1.403156018790), (lambda: loss_of(SCORES, TIED, "plackett_luce"), 0.170848092701),
    (lambda: loss_of(SCORES, TIED, "pairs_and_ties"), (5 * 0.170848092701 + math.log(2)) / 6),
    (lambda: loss_of([1, 0], [[0], [1]], "plackett_luce"), 0.313261687518),
])
def test_losses_are_the_golden_ones(found, expected):
    """G7, G8; a tie of equal scores costs ln 2, one pair of six"""
    assert found() == pytest.approx(expected, abs=1e-9)


def test_a_margin_grows_with_the_strength_that_the_annotator_gave():
    assert loss_of([1, 0], [[0], [1]], margin=0.5, strength=2.0) == pytest.approx(math.log(2)), "leads by just the margin 0.5 * 2"
    assert loss_of([1, 0], [[0], [1]], margin=0.5) == pytest.approx(0.313261687518), "no strength, no margin"


def test_a_judge_in_doubt_is_a_soft_label():
    p = 0.8
    expected = -(p * math.log(1 / (1 + math.exp(-1))) + (1 - p) * math.log(1 / (1 + math.exp(1))))
    for kind in ("pairs", "plackett_luce"):
        assert loss_of([1, 0], [[0], [1]], kind, certainty=p) == pytest.approx(expected)


def test_ties_draw_scores_together_only_when_asked():
    scores = torch.tensor([3.0, -3.0], requires_grad=True)
    maths.all_pairs_loss(scores, torch.tensor([0, 0]), with_ties=True).backward()
    assert scores.grad[0] > 0 > scores.grad[1]
    assert float(maths.all_pairs_loss(scores.detach(), torch.tensor([0, 0]))) == 0
    assert float(maths.all_pairs_loss(scores.detach(), torch.tensor([-1, -1]), with_ties=True)) == 0


@pytest.mark.parametrize(("bad", "reason"), [
    (lambda: rows(count=1) * 5, "all rankings are of one prompt; rank replies to other prompts too"),
    (lambda: rows([[0, 1, 2, 3]]), "all replies tie in every one of the 6 rankings"),
    (lambda: rows()[:1] + rows([[0, 1, 2, 3]])[1:], "all replies tie"),
    (lambda: [Preference(p.messages, ["same", "same"], [[0], [1]]) for p in PROMPTS], "the replies are the same"),
    (lambda: [Preference(p.messages, ["a" * 900, "b" * 900], [[0], [1]]) for p in PROMPTS], "the replies are too long.*raise max_tokens"),
])
def test_what_cannot_work_is_refused_with_the_reason(backbone, bad, reason):
    with pytest.raises(CorpusError, match=reason):
        rankings.encode(backbone, bad(), REWARD)


def test_a_look_leaves_the_held_out_rankings_with_their_scores(backbone):
    told = rows(annotator="ada", comparison=7, shown=[3, 1, 0, 2], strength=2.0)
    _, kept = rankings.encode(backbone, told, REWARD)
    numbers, found = rankings.look(backbone, "reward", kept, REWARD)
    assert len(found) == len(kept) and found[0].replies == REPLIES and found[0].ranks == [0, 1, 2, 3]
    assert (found[0].annotator, found[0].comparison, found[0].sides, found[0].strength) == ("ada", 7, [2, 1, 3, 0], 2.0)
    assert numbers["eval_accuracy"] == pytest.approx(sum(sum(gap > 0 for gap in row.margins()) / 6 for row in found) / len(found))
    assert found[0].lengths == [len(backbone.chat.reply(text)) for text in REPLIES]


def test_a_bootstrap_draws_prompts_whole_by_the_seed_and_leaves_the_held_out_side_alone(backbone):
    many = [row for row in rows() for _ in range(2)]
    learned, kept = rankings.encode(backbone, many, REWARD)
    drawn, same = (rankings.encode(backbone, many, REWARD.replace(bootstrap=True)) for _ in range(2))
    other = rankings.encode(backbone, many, REWARD.replace(bootstrap=True, seed=REWARD.seed + 1))
    asked = [str(each.source.prompt) for each in drawn[0]]
    assert len(asked) == len(learned) and asked[::2] == asked[1::2], "both rankings of a prompt come along"
    assert set(asked) < {str(each.source.prompt) for each in learned}, "with replacement, so some are missing"
    assert drawn == same and drawn[0] != other[0] and drawn[1] == other[1] == kept


def test_a_learning_curve_ends_with_all_rankings_and_leaves_the_model_as_it_was(tiny):
    recipe = REWARD.replace(curve=2, batch=1)
    many = [Preference([{"role": "user", "content": f"say {n}"}], REPLIES, [[0], [1], [2], [3]]) for n in range(36)]
    plain = ready_for_reward(tiny)
    list(reward.train(recipe.replace(curve=0), plain, many, PROMPTS))
    backbone = ready_for_reward(tiny)
    steps = list(reward.train(recipe, backbone, many, PROMPTS))
    points = [step.numbers for step in steps if "curve_rankings" in step.numbers]
    learned = steps[-1].summary["rankings"]
    assert [p["curve_rankings"] for p in points] == [learned, learned // 4, learned // 2]
    assert points[0]["curve_accuracy"] == steps[-1].summary["eval_accuracy"] and steps[-1].index == steps[-1].total
    assert digest(backbone.tensors("reward").values()) == digest(plain.tensors("reward").values()) and "smaller" not in backbone.roles()


def test_a_curve_that_was_killed_goes_on_where_it_was(tiny):
    recipe = REWARD.replace(curve=2, batch=1)
    many = [Preference([{"role": "user", "content": f"say {n}"}], REPLIES, [[0], [1], [2], [3]]) for n in range(36)]
    steps = []
    for step in reward.train(recipe, ready_for_reward(tiny), many, PROMPTS):
        steps.append((step, step.state() if step.state and step.is_checkpoint else None))
    whole = [step for step, _ in steps]
    state = next(state for step, state in steps if state and step.numbers.get("curve_rankings") == whole[-1].summary["rankings"] // 4)
    rest = list(reward.train(recipe, ready_for_reward(tiny), many, PROMPTS, state))
    assert rest[0].index == state.step + 1 and rest[-1].numbers == whole[-1].numbers
    assert rest[-1].summary == whole[-1].summary
