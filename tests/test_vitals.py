"""The doctor's figures, worked by hand."""

from __future__ import annotations

import pytest
import torch

from benchmarks import breakages
from workbench.engine import ppo
from workbench.engine.backbone import Backbone
from workbench.engine.batches import Padded, pad
from workbench.engine.rollout import Rows, closed
from workbench.engine.sampling import Replies
from workbench.engine.vitals import moved, rank_correlation, ranks, vitals, weighed
from workbench.recipes import PpoRecipe

STOP = 9


@pytest.fixture(scope="module")
def backbone(tiny: str) -> Backbone:
    found = Backbone(tiny, "fp32")
    found.add("reward", 4, 8, 0.0, seed=0)
    found.add_head("reward", seed=0)
    found.heads["reward"].calibrate(0.0, 0.01)
    return found


def scored(backbone: Backbone, prompts: list[list[int]], said: list[list[int]], ended: list[bool]) -> Rows:
    ids, mask = pad(said)
    return closed(Replies(pad(prompts, left=True), ids, mask, torch.tensor(ended), torch.zeros(ids.shape)), backbone.chat.end_of_turn)


def gap(backbone: Backbone, rows: Rows) -> float:
    return ppo.padding_gap(backbone, rows, PpoRecipe(sft="sft-1", reward="reward-1"))


SHORT_REPLY = ([[5, 6, 7, 8, 9, 10, 11]] * 3, [[12, 13, 14, 257], [15, 257], [16, 17, 18, 19]], [True, True, False])
SHORT_PROMPT = ([[5, 6, 7, 8, 9, 10, 11, 12], [5]], [[12, 257], [13, 14, 15, 16, 257]], [True, True])  # the row with the most padding has none on the right


@pytest.mark.parametrize("batch", [SHORT_REPLY, SHORT_PROMPT])
def test_a_score_read_at_the_last_column_depends_on_the_padding_and_an_honest_one_does_not(backbone: Backbone, batch) -> None:
    rows = scored(backbone, *batch)
    assert gap(backbone, rows) < 1e-3
    with breakages.score_at_last_column(backbone):
        assert gap(backbone, rows) > 0.05


def test_a_row_read_alone_says_what_it_said_among_others(backbone: Backbone) -> None:
    cut, ended = ppo.alone(scored(backbone, *SHORT_REPLY), 2), ppo.alone(scored(backbone, *SHORT_REPLY), 1)
    assert cut.said().tolist() == [16, 17, 18, 19] and cut.ids[0, -1] == backbone.chat.end_of_turn
    assert ended.said().tolist() == [15], "its end closes it, as a reply that was cut off is closed"
    assert cut.attention.all() and ended.attention.all()


def test_a_role_that_moves_is_told_from_those_that_stand_still(backbone: Backbone) -> None:
    before = weighed(backbone, "base", "reward")
    assert moved(before, weighed(backbone, "base", "reward")) == 0
    with torch.no_grad():
        backbone.named_parameters("reward")[0][1][0, 0] += 1e-4
    assert moved(before, weighed(backbone, "base", "reward")) == 1
    with torch.no_grad():
        next(p for name, p in backbone.base.named_parameters() if "lora_" not in name)[0, 0] += 1e-4
    assert moved(before, weighed(backbone, "base", "reward")) == 2


def replies(*rows: list[int], ended: list[bool]) -> Replies:
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    prompt = Padded(torch.zeros(len(rows), 1, dtype=torch.long), torch.ones(len(rows), 1, dtype=torch.long))
    return Replies(prompt, ids, mask, torch.tensor(ended), torch.zeros(ids.shape))


def test_a_batch_in_figures() -> None:
    found = vitals(replies([1, 2, STOP], [1, 2, STOP], [3, 3, 3, 3], ended=[True, True, False]),
                   torch.tensor([[-1.0, -1, -1, 7]] * 2 + [[-2.0, -2, -2, -2]]), torch.tensor([0.0, 0.0, 5.5]), [STOP])
    assert found["surprise"] == pytest.approx(1.4), "6 tokens of 1 and 4 of 2; padding does not count"
    assert found["length_score"] == pytest.approx(1.0)
    assert found["length_slope"] == pytest.approx(5.5), "lengths 3, 3, 4 and scores 0, 0, 5.5"
    assert found["same_replies"] == pytest.approx(1 / 3)
    assert found["distinct2"] == pytest.approx(3 / 7)
    assert found["score_clipped"] == pytest.approx(1 / 3)
    assert found["end_counted"] == 1.0


def test_an_end_that_is_masked_away_shows() -> None:
    whole = replies([1, 2, STOP], [1, STOP], ended=[True, True])
    cut = whole._replace(mask=whole.mask * (whole.ids != STOP))
    assert vitals(cut, torch.zeros(cut.ids.shape), torch.zeros(2), [STOP])["end_counted"] == 0.0


def test_replies_that_never_end_are_not_held_against_the_mask() -> None:
    found = vitals(replies([1, 2], [3, 4], ended=[False, False]), torch.zeros(2, 2), torch.tensor([1.0, 2.0]), [STOP])
    assert found["end_counted"] == 1.0 and found["length_score"] == found["length_slope"] == 0.0, "equal lengths correlate with nothing"


def test_ranks_share_a_tie() -> None:
    assert ranks(torch.tensor([3.0, 1.0, 3.0])).tolist() == [2.0, 0.5, 2.0]
    assert rank_correlation(torch.tensor([1.0, 2, 3, 4]), torch.tensor([10.0, 9, 1, 0])) == pytest.approx(-1.0)
