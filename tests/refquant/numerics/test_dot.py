"""Dot products: the stated order, one rounding a step; and exact integers."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refquant.numerics import dot, matmul_exact, matmul_f32


def to_f32(x: float) -> float:
    """Round a float64 to float32. One operation on float32 values, done in float64 and rounded
    again, is rounded correctly: 53 bits are more than 2 * 24 + 1."""
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def step_by_step(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    total = 0.0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        total = to_f32(total + to_f32(x * y))
    return total


@given(
    pairs=st.lists(
        st.tuples(*[st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)] * 2),
        max_size=12,
    )
)
def test_a_dot_product_is_summed_in_ascending_order(pairs: list[tuple[float, float]]) -> None:
    a = np.array([p[0] for p in pairs], np.float32)
    b = np.array([p[1] for p in pairs], np.float32)
    got = matmul_f32(a[None, :], b[:, None])
    assert got.dtype == np.float32, f"got {got.dtype}"
    assert float(got[0, 0]) == step_by_step(a, b), f"{pairs}"


def test_order_matters_and_is_ours() -> None:
    a = np.array([[1.0, 2.0**24, 1.0, -(2.0**24)]], np.float32)
    one = np.ones((4, 1), np.float32)
    assert matmul_f32(a, one).tolist() == [[0.0]], "1 + 2**24 and then + 1 both round away the 1"
    assert matmul_f32(a[:, ::-1], one).tolist() == [[2.0]], "backwards another number"


def test_products_are_rounded_before_they_are_added() -> None:
    """A fused multiply-add would keep the low half of the product."""
    x = np.float32(1 + 2.0**-12)
    a = np.array([[-(1 + 2.0**-11), x]], np.float32)
    b = np.array([[1], [x]], np.float32)
    exact = Fraction(float(x)) ** 2 - Fraction(1) - Fraction(1, 2**11)
    assert exact == Fraction(1, 2**24), "what a fused operation would return"
    assert matmul_f32(a, b).tolist() == [[0.0]], "each product is rounded to float32"


def test_it_equals_the_loop_for_every_output() -> None:
    rng = np.random.default_rng(5)
    a = rng.standard_normal((2, 3, 37)).astype(np.float32)
    b = rng.standard_normal((37, 4)).astype(np.float32)
    got = matmul_f32(a, b)
    assert got.shape == (2, 3, 4), f"got {got.shape}"
    for i, m, n in np.ndindex(2, 3, 4):
        assert float(got[i, m, n]) == step_by_step(a[i, m], b[:, n]), f"output {i, m, n}"


def test_leading_axes_broadcast() -> None:
    a = np.ones((5, 1, 2, 3), np.float32)
    b = np.ones((4, 3, 6), np.float32)
    got = matmul_f32(a, b)
    assert got.shape == (5, 4, 2, 6), f"got {got.shape}"
    assert (got == 3).all(), "each output sums three ones"


def test_nothing_to_sum_is_plus_zero() -> None:
    got = matmul_f32(np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32))
    assert got.shape == (2, 3), f"got {got.shape}"
    assert got.tobytes() == bytes(24), f"+0.0 is all zero bits, got {got}"
    minus = matmul_f32(np.array([[-1.0]], np.float32), np.zeros((1, 1), np.float32))
    assert not np.signbit(minus).any(), "the sum starts at +0.0, so -0.0 alone becomes +0.0"


def test_ieee_results_without_warnings() -> None:
    a = np.array([[3e38, 3e38], [np.inf, 0.0], [np.nan, 0.0]], np.float32)
    got = matmul_f32(a, np.array([[2.0], [1.0]], np.float32))[:, 0]
    assert np.isinf(got[:2]).all(), f"got {got}"
    assert np.isnan(got[2]), f"got {got}"
    got = matmul_f32(np.array([[np.inf]], np.float32), np.zeros((1, 1), np.float32))
    assert np.isnan(got).all(), "inf * 0 is NaN"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_integers_are_exact_at_their_extremes(dtype: type[np.integer]) -> None:
    info = np.iinfo(dtype)
    k = 5000
    for x in (info.min, info.max):
        for y in (info.min, info.max):
            got = matmul_exact(np.full((1, k), x, dtype), np.full((k, 1), y, dtype))
            assert got.dtype == np.int64, f"got {got.dtype}"
            assert got.tolist() == [[k * int(x) * int(y)]], f"{k} * {x} * {y}"


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(0, 4), k=st.integers(0, 70))
def test_integers_are_python_s_sums(seed: int, m: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (m, k)), rng.integers(-(2**20), 2**20, (k, 3))
    expected = [
        [sum(int(x) * int(y) for x, y in zip(row, b[:, n], strict=True)) for n in range(3)]
        for row in a
    ]
    assert matmul_exact(a, b).tolist() == expected, "exact"


def test_what_might_not_be_exact_is_refused() -> None:
    big = np.full((1, 2), 2**26, np.int64)
    with pytest.raises(ValueError, match=r"must be below 2\*\*53, got 9007199254740992"):
        matmul_exact(big, big.T)
    assert matmul_exact(big, big.T - 1).tolist() == [[2 * 2**26 * (2**26 - 1)]], "just below"
    with pytest.raises(ValueError, match=r"got 18446744073709551615"):
        matmul_exact(np.array([[2**64 - 1]], np.uint64), np.array([[1]]))
    with pytest.raises(ValueError, match="must be integers, got float32 and int8"):
        matmul_exact(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.int8))
    for function in (matmul_f32, matmul_exact):
        with pytest.raises(ValueError, match=r"shapes must be .*, got \(1, 2\) and \(3, 1\)"):
            function(np.zeros((1, 2), np.int8), np.zeros((3, 1), np.int8))
        with pytest.raises(ValueError, match=r"shapes must be .*, got \(2,\) and \(2, 1\)"):
            function(np.zeros(2, np.int8), np.zeros((2, 1), np.int8))


def test_wide_results_and_transposed_operands_take_the_same_order() -> None:
    """Tiles and copies are of outputs only; each output's sum is what it is alone."""
    rng = np.random.default_rng(0)
    a = (rng.standard_normal((2, 3, 5)) * 2.0 ** rng.integers(-9, 9, (2, 3, 5))).astype(np.float32)
    b = rng.standard_normal((100_000, 5)).astype(np.float32).T
    wide = matmul_f32(a, b)
    assert wide.size > dot._TILE, "more than one tile"
    for columns in (slice(0, 7), slice(43_690, 43_694), slice(87_380, 87_384), slice(-3, None)):
        assert np.array_equal(wide[..., columns], matmul_f32(a, b[:, columns])), f"{columns}"


@pytest.mark.parametrize(("tile", "width"), [(1, 1), (6, 4), (1000, 2), (1 << 16, 1 << 12)])
@pytest.mark.parametrize(
    ("a", "b"),
    [((7, 5), (5, 9)), ((2, 3, 4, 5), (5, 9)), ((2, 3, 4, 5), (3, 5, 9)), ((4, 5), (2, 5, 1)),
     ((2, 0, 5), (5, 3)), ((0, 2, 5), (0, 5, 3)), ((2, 5), (5, 0)), ((3, 1, 0), (0, 2))],
)  # fmt: skip
def test_no_shape_of_a_tile_changes_a_bit(
    tile: int, width: int, a: tuple[int, ...], b: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(tile)
    x = (rng.standard_normal(a) * 2.0 ** rng.integers(-9, 9, a)).astype(np.float32)
    y = rng.standard_normal(b).astype(np.float32)
    monkeypatch.setattr(dot, "_TILE", tile)
    monkeypatch.setattr(dot, "_WIDTH", width)
    got = matmul_f32(x, y)
    assert got.shape == np.matmul(x, y).shape, f"got {got.shape}"
    assert matmul_f32(x, y, sums="blas").shape == got.shape, "the same of the fast sums"
    lead = got.shape[:-2]
    x, y = np.broadcast_to(x, (*lead, *a[-2:])), np.broadcast_to(y, (*lead, *b[-2:]))
    for index in np.ndindex(got.shape):
        *i, m, n = index
        expected = step_by_step(x[(*i, m)], y[(*i, slice(None), n)])
        assert float(got[index]) == expected, f"output {index}"


def test_numpy_s_buffer_is_the_caller_s_again() -> None:
    """By our own doing: NumPy 2 restores it with its `errstate`, NumPy 1.26 does not."""
    before, one = np.getbufsize(), np.ones((1, 2, 2), np.float32)
    dot._rank_one_updates(one, one, one.copy())
    assert np.getbufsize() == before, "a setting of ours is left behind"


def test_blas_is_within_the_bound_of_the_docstring() -> None:
    """Eq. (3): both ways are within gamma_2K of each other."""
    rng = np.random.default_rng(0)
    for k in (1, 2, 64, 1536):
        a = (rng.standard_normal((9, k)) * 2.0 ** rng.integers(-9, 9, (9, k))).astype(np.float32)
        b = rng.standard_normal((k, 8)).astype(np.float32)
        gamma = 2 * k * 2.0**-24 / (1 - 2 * k * 2.0**-24)
        size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
        apart = np.abs(matmul_f32(a, b, sums="blas").astype(np.float64) - matmul_f32(a, b))
        assert (apart <= gamma * size).all(), f"K = {k}: {(apart / size).max()} of {gamma}"


def test_an_order_that_is_none_is_refused() -> None:
    one = np.ones((1, 1), np.float32)
    with pytest.raises(ValueError, match="sums must be one of ordered, blas; got 'fast'"):
        matmul_f32(one, one, sums="fast")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_sum_ascends_from_plus_zero(axis: int) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((40, 30)) * 2.0 ** rng.integers(-9, 9, (40, 30))).astype(np.float32)
    expected = np.float32(0)
    for part in np.moveaxis(x, axis, 0):
        expected = expected + part
    got = dot.sum_f32(x, axis)
    assert np.array_equal(got, np.expand_dims(expected, axis)), "one rounding a step"
    assert not np.array_equal(got, dot.sum_f32(np.flip(x, axis), axis)), "descending is another"
    zeros = dot.sum_f32(np.full((2, 3), -0.0, np.float32), axis)
    assert not np.signbit(zeros).any(), "-0.0 is added to +0.0"
    assert dot.sum_f32(np.zeros((0, 3), np.float32), 0).tolist() == [[0.0] * 3], "of nothing"
