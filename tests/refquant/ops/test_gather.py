"""Rows of a table, and the indices that name none."""

import numpy as np
import pytest

from refquant.ops.gather import gather

TABLE = np.array([[1, -0.0], [np.nan, 3], [5, np.inf]], np.float32)


def test_rows_keep_their_bits() -> None:
    indices = np.array([[2, 0, -3], [1, -1, 1]], np.int32)
    rows = [[TABLE[i % 3] for i in row] for row in indices.tolist()]
    assert gather(TABLE, indices).tobytes() == np.array(rows).tobytes(), "copies, nothing else"


def test_shapes_follow_the_indices() -> None:
    for shape in ((), (0,), (2, 0), (1, 2, 3)):
        got = gather(TABLE, np.zeros(shape, np.int32)).shape
        assert got == (*shape, 2), f"indices {shape} gave {got}"


@pytest.mark.parametrize("index", [3, -4, 2**31 - 1])
def test_an_index_that_names_no_row_is_an_error(index: int) -> None:
    with pytest.raises(ValueError, match=r"indices must be in \[-3, 2\], got"):
        gather(TABLE, np.array([0, index], np.int32))


def test_other_operands_are_refused() -> None:
    with pytest.raises(ValueError, match=r"indices be int32, got .* int64"):
        gather(TABLE, np.array([0]))
    with pytest.raises(ValueError, match="axis must be one of the 2 of the table, got 2"):
        gather(np.zeros((2, 2), np.int8), np.array([0], np.int32), axis=2)
