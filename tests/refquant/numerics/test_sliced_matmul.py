"""A product without an order: exact where it must be, bounded elsewhere, the same for any order."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.numerics.sliced_matmul import matmul_sliced, slice_bits

F64 = NDArray[np.float64]


def exact(a: F64, b: F64) -> list[list[Fraction]]:
    columns = [[Fraction(float(v)) for v in c] for c in b.T]
    rows = [[Fraction(float(v)) for v in r] for r in a]
    return [[sum((x * y for x, y in zip(r, c, strict=True)), Fraction(0)) for c in columns]
            for r in rows]  # fmt: skip


def power_above(values: F64) -> Fraction:
    """The power of two above the largest magnitude, found by counting."""
    largest = max(Fraction(abs(float(v))) for v in values)
    power = Fraction(1)
    while power > largest and power > Fraction(2) ** -400:
        power /= 2
    while power <= largest:
        power *= 2
    return power


def wild(rng: np.random.Generator, shape: tuple[int, int]) -> F64:
    """Normals with exponents all over a row, zeros and one huge element."""
    x = rng.standard_normal(shape) * np.exp2(rng.integers(-60, 10, shape))
    x[rng.random(shape) < 0.1] = 0.0
    x[0, 0] = 3e9
    return np.asarray(x)


def test_the_error_stays_below_equation_4() -> None:
    rng = np.random.default_rng(1)
    for m, k, n in ((3, 1, 2), (2, 5, 3), (4, 129, 2)):
        a, b = wild(rng, (m, k)), wild(rng, (k, n))
        got = matmul_sliced(a, b)
        beta = slice_bits(k)
        for i, row in enumerate(exact(a, b)):
            for j, value in enumerate(row):
                tau = power_above(a[i]) * power_above(b[:, j])
                bound = 2 * k * tau / 4**beta + k * tau / 2**52
                error = abs(Fraction(float(got[i, j])) - value)
                assert error <= bound, f"({i}, {j}) of {m}x{k}x{n}: {float(error)}"


def test_operands_that_fit_two_slices_are_multiplied_exactly() -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(-(2**12), 2**12, (5, 64)).astype(np.float64) / 1024
    b = rng.integers(-(2**12), 2**12, (64, 4)).astype(np.float64) * 2.0**-300
    expected = [[float(v) for v in row] for row in exact(a, b)]
    assert matmul_sliced(a, b).tolist() == expected, "12-bit operands need one slice only"


def test_the_order_of_the_terms_cannot_be_seen() -> None:
    rng = np.random.default_rng(3)
    a, b = wild(rng, (17, 300)), wild(rng, (300, 11))
    whole = matmul_sliced(a, b)
    assert not np.array_equal(a @ b, a[:, ::-1] @ b[::-1]), "the witness: BLAS sums have an order"
    for _ in range(5):
        order = rng.permutation(300)
        assert np.array_equal(matmul_sliced(a[:, order], b[order]), whole), f"order {order}"
    fortran = np.asfortranarray(a)
    assert np.array_equal(matmul_sliced(fortran, b), whole), "nor the memory order"


def test_a_row_of_the_result_needs_its_own_row_only() -> None:
    rng = np.random.default_rng(4)
    a, b = wild(rng, (9, 40)), wild(rng, (40, 6))
    whole = matmul_sliced(a, b)
    for i in range(9):
        assert np.array_equal(matmul_sliced(a[i : i + 1], b)[0], whole[i]), f"row {i}"
    for j in range(6):
        assert np.array_equal(matmul_sliced(a, b[:, j : j + 1])[:, 0], whole[:, j]), f"column {j}"


def test_slices_fill_the_mantissa_and_not_more() -> None:
    for k in (1, 2, 3, 64, 65, 127, 128, 129, 2**20):
        bits = slice_bits(k)
        assert k * 4**bits <= 2**53 < k * 4 ** (bits + 1) * 2, f"K = {k}: {bits}"


def test_tiny_rows_give_what_is_left_of_them() -> None:
    a = np.array([[5e-324, 0.0], [2.0**-399, 2.0**-399]])
    got = matmul_sliced(a, np.array([[1.0], [1.0]])).tolist()
    assert got == [[0.0], [2.0**-398]], f"below 2**-400 all grids are one: {got}"


def test_operands_that_cannot_be_sliced_are_refused() -> None:
    one = np.ones((2, 2))
    for bad in (np.nan, np.inf, -np.inf, 2.0**400):
        for a, b in ((one * bad, one), (one, one * bad)):
            with pytest.raises(ValueError, match="below 2\\*\\*400"):
                matmul_sliced(a, b)
    for a, b in ((one, np.ones((3, 2))), (one[0], one), (one[:, :0], one[:0])):
        with pytest.raises(ValueError, match=r"\(m, k\) and \(k, n\)"):
            matmul_sliced(a, b)
