"""Where tokens stand once padding is gone and the common beginning is there once."""

from __future__ import annotations

import pytest
import torch

from workbench.engine.batches import pad
from workbench.engine.layout import layout_of

ALIKE = [[7, 8, 9, 1], [7, 8, 9, 2, 3, 4], [7, 8, 9, 5, 6]]


def in_order(rows: list[list[int]], left: bool = False):
    ids, mask = pad(rows, left=left, width=9)
    return ids, mask, layout_of(ids, mask)


@pytest.mark.parametrize("left", [True, False])
def test_what_all_rows_begin_with_is_there_once(left):
    ids, _, found = in_order(ALIKE, left)
    assert (found.shared, found.own) == (3, 3)
    assert found.take(ids).tolist() == [7, 8, 9, 1, 2, 3, 4, 5, 6]
    assert found.positions.tolist() == [0, 1, 2, 3, 3, 4, 5, 3, 4]


@pytest.mark.parametrize("rows, shared", [
    (ALIKE, 3), (ALIKE[:1], 0), ([[1, 2], [3, 4]], 0), ([[5, 5, 5], [5, 5, 5]], 2), ([[5, 6], [5, 6, 7, 8]], 1), ([[5], [5, 6]], 0)])
@pytest.mark.parametrize("left", [True, False])
def test_every_token_of_every_row_is_found_again(rows, shared, left):
    ids, mask, found = in_order(rows, left)
    assert found.shared == shared
    assert found.at(found.take(ids), mask.bool()).tolist() == [token for row in rows for token in row]
    assert found.last(found.take(ids)).tolist() == [row[-1] for row in rows]
    assert found.lengths.tolist() == [len(row) for row in rows]


def test_own_tokens_are_padded_and_packed_without_loss():
    ids, _, found = in_order(ALIKE)
    own = found.take(ids)[found.shared:]
    assert found.padded(own).tolist() == [[1, 0, 0], [2, 3, 4], [5, 6, 0]]
    assert torch.equal(found.packed(found.padded(own)), own)
