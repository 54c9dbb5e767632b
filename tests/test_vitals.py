"""The doctor's figures, worked by hand."""

from __future__ import annotations

import pytest
import torch

from workbench.engine.batches import Padded
from workbench.engine.sampling import Replies
from workbench.engine.vitals import rank_correlation, ranks, vitals

STOP = 9


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
    assert found["same_replies"] == pytest.approx(1 / 3)
    assert found["distinct1"] == pytest.approx(4 / 10) and found["distinct2"] == pytest.approx(3 / 7)
    assert found["similarity"] == pytest.approx((1 + 0 + 0) / 3), "two are the same, the third shares no pair with them"
    assert found["score_clipped"] == pytest.approx(1 / 3)
    assert found["end_counted"] == 1.0


def test_an_end_that_is_masked_away_shows() -> None:
    whole = replies([1, 2, STOP], [1, STOP], ended=[True, True])
    cut = whole._replace(mask=whole.mask * (whole.ids != STOP))
    assert vitals(cut, torch.zeros(cut.ids.shape), torch.zeros(2), [STOP])["end_counted"] == 0.0


def test_replies_that_never_end_are_not_held_against_the_mask() -> None:
    found = vitals(replies([1, 2], [3, 4], ended=[False, False]), torch.zeros(2, 2), torch.tensor([1.0, 2.0]), [STOP])
    assert found["end_counted"] == 1.0 and found["length_score"] == 0.0, "equal lengths correlate with nothing"


def test_ranks_share_a_tie() -> None:
    assert ranks(torch.tensor([3.0, 1.0, 3.0])).tolist() == [2.0, 0.5, 2.0]
    assert rank_correlation(torch.tensor([1.0, 2, 3, 4]), torch.tensor([10.0, 9, 1, 0])) == pytest.approx(-1.0)
