"""One axis of one constant: the matrix itself as the oracle, exact on integers; signs that stay."""

import hashlib
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.rotate_axis import centre_axis, rotate_axis, seeded_signs
from refquant.numerics.hadamard import hadamard_block, hadamard_matrix


def integers(seed: int, *shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).integers(-50, 51, shape).astype(np.float64)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("block", [1, 4, 16])
def test_each_run_is_turned_in_blocks(axis: int, block: int) -> None:
    """Two runs of 16 along the axis; the root of the order is 1, 2 or 4, so nothing rounds."""
    shape = [3, 3, 3]
    shape[axis] = 32
    w, signs = integers(axis + 7, *shape), seeded_signs(16, seed=1, name="t")
    small = hadamard_matrix(block).astype(np.float64) / block**0.5
    r = np.kron(np.eye(32 // block), small) * np.tile(signs, 2)
    expected = np.moveaxis(np.tensordot(r, w, (1, axis)), 0, axis)
    y = rotate_axis(w, signs, axis=axis, block_size=block)
    assert y.tolist() == expected.tolist(), "R along the axis, the others are batches"
    assert y.flags.c_contiguous, "as constants are held"
    assert w.tolist() == integers(axis + 7, *shape).tolist(), "the argument stays"


def test_many_rows_are_those_of_one_by_one() -> None:
    """512 rows at a time are a matter of speed only."""
    w, signs = np.random.default_rng(0).standard_normal((1030, 12)), np.ones(12, np.int8)
    y = rotate_axis(w, signs, axis=1, block_size=12)
    for row in (0, 511, 512, 1023, 1024, 1029):
        alone = rotate_axis(w[row : row + 1], signs, axis=1, block_size=12)
        assert y[row].tobytes() == alone[0].tobytes(), f"row {row}"


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mean_is_taken_away_as_eq_2_says(axis: int) -> None:
    w = integers(3, 8, 4) * 0.1
    y = centre_axis(w, axis=axis)
    for index in np.ndindex(*y.shape):
        line = w[:, index[1]] if axis == 0 else w[index[0]]
        numbers = [Fraction(v) for v in line.tolist()]
        exact = Fraction(w[index].item()) - sum(numbers, Fraction()) / len(line)
        # gamma_9 of 8 additions and a quotient, one difference more: 2^-53 of at most 5 each
        assert abs(Fraction(y[index].item()) - exact) <= 12 * Fraction(5, 2**53), index
    total = 0.0
    for number in w[:, 0]:
        total = total + float(number)
    assert centre_axis(w, axis=0)[0, 0] == w[0, 0] - total / 8, "the sum ascends"


def test_signs_are_those_of_the_hash() -> None:
    digest = hashlib.shake_256(b"refquant signs 5 online x").digest(2)
    bits = [digest[i // 8] >> i % 8 & 1 for i in range(13)]
    got = seeded_signs(13, seed=5, name="online x")
    assert got.tolist() == [-1 if bit else 1 for bit in bits], "bit by bit"
    assert got.dtype == np.int8, got.dtype
    many = seeded_signs(10_000, seed=0, name="")
    assert abs(int(many.astype(int).sum())) <= 400, "a fair coin: 4 sigma"
    for other in (seeded_signs(10_000, seed=1, name=""), seeded_signs(10_000, seed=0, name="a")):
        agree = int((many == other).sum())
        assert abs(agree - 5000) <= 200, f"seeds and names are independent: {agree}"


def test_the_largest_order_is_found() -> None:
    for n, expected in ((1, 1), (7, 1), (6, 2), (88, 8), (44, 4), (28, 28), (576, 576), (1000, 8)):
        assert hadamard_block(n) == expected, f"{n}"
    with pytest.raises(ValueError, match="got 0"):
        hadamard_block(0)


@pytest.mark.parametrize(
    ("size", "block", "message"),
    [
        (5, 1, "block_size must divide the signs, and these the 8 elements of axis 1, got 1 and 5"),
        (8, 3, "got 3 and 8"),
        (8, 0, "got 0 and 8"),
        (0, 1, "got 1 and 0"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(size: int, block: int, message: str) -> None:
    given: Any = np.ones(size, np.int8)
    with pytest.raises(ValueError, match=re.escape(message)):
        rotate_axis(np.zeros((2, 8)), given, axis=1, block_size=block)
