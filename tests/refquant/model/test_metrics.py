"""Metrics against exact arithmetic and the cases where a formula has no value."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.model.graph import Graph, Quant, Value
from refquant.model.metrics import (
    Moments,
    accuracy,
    agreement,
    cosine,
    max_code_difference,
    moments,
    pooled,
    sqnr_db,
    tensor_bytes,
)
from tests.refquant.model.literals import f32, i8, u8

ints = st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=1, max_size=20)


@given(ints)
def test_sqnr_and_cosine_are_their_formulas(pairs: list[tuple[int, int]]) -> None:
    r, t = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    signal, other = sum(a * a for a, _ in pairs), sum(b * b for _, b in pairs)
    noise = sum((a - b) ** 2 for a, b in pairs)
    # The sums are small integers, so float64 has them exactly: one formula, the same bits.
    expected = (
        math.inf if noise == 0 else -math.inf if signal == 0 else 10 * math.log10(signal / noise)
    )
    assert sqnr_db(r, t) == expected, f"sqnr of {pairs}"
    if signal * other == 0:
        assert math.isnan(cosine(r, t)), f"no angle with a zero vector: {pairs}"
        return
    square = Fraction(sum(a * b for a, b in pairs)) ** 2 / (signal * other)
    # Two roots, a product and a quotient: 4 roundings, doubled by the square.
    bound = Fraction(9, 2**53)
    assert abs(Fraction(cosine(r, t)) ** 2 - square) <= bound * square, f"cosine of {pairs}"


def test_a_step_of_one_bit_is_6_db() -> None:
    x = f32([1.0, -2.0, 3.0])
    gain = sqnr_db(x, x + np.float32(0.25)) - sqnr_db(x, x + np.float32(0.5))
    # Sums are exact. Each side: quotients, logarithms, products, a difference; at most 8 roundings
    # of numbers below 32, at most 2^-48 each.
    assert abs(gain - 20 * math.log10(2)) <= 8 * 2.0**-48, f"half the noise gives {gain} dB"


def test_nan_is_not_hidden() -> None:
    x = f32([1.0, np.nan])
    assert math.isnan(sqnr_db(f32([1.0, 2.0]), x)), "a NaN in the result"
    assert math.isnan(cosine(f32([1.0, 2.0]), x)), "a NaN in the result"


def test_codes_differ_by_integers() -> None:
    a, b = u8([0, 255]), u8([255, 255])
    assert max_code_difference(a, b) == 255, "unsigned codes do not wrap"
    assert max_code_difference(a, a) == 0, "the same codes"
    assert max_code_difference(a[:0], a[:0]) == 0, "no codes"


def test_accuracy_counts_samples_and_takes_the_first_of_equals() -> None:
    scores = f32([[1, 1, 0], [0, 2, 1], [0, 0, 3], [5, 4, 3]])
    assert accuracy(scores, np.array([0, 1, 2, 1])) == 0.75
    assert agreement(scores, scores[:, ::-1]) == 0.25, "reversed, only row 2 keeps its place"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sqnr_db(np.zeros(2), np.zeros(3)), "one shape"),
        (lambda: sqnr_db(i8([1]), i8([1])), "must be float, got int8"),
        (lambda: max_code_difference(np.zeros(1), np.zeros(1)), "must be integer, got float64"),
        (lambda: accuracy(np.zeros((2, 3)), np.zeros(3, int)), r"labels \(samples,\)"),
        (lambda: accuracy(np.zeros((2, 3)), np.zeros(2)), "labels must be integers"),
        (lambda: accuracy(np.zeros((0, 3)), np.zeros(0, int)), "at least one sample"),
        (lambda: agreement(np.zeros(3), np.zeros(3)), r"\(samples, classes\)"),
    ],
)
def test_arrays_that_do_not_fit(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("dtype", "size"), [("int8", 5), ("int4", 3), ("int2", 2), ("int32", 20)])
def test_bytes_are_those_of_the_file(dtype: str, size: int) -> None:
    x, w = Value("float32", ("N",)), Value(dtype, (5,), Quant(0.5, 0))
    g = Graph("g", ("x",), ("x",), {"x": x, "w": w}, (), {"w": np.zeros(5)}, {}, {})
    assert tensor_bytes(g) == {"w": size}, dtype


def test_an_array_has_no_angle_with_itself() -> None:
    rng = np.random.default_rng(1)
    for size in (1e-30, 1.0, 1e30):
        for _ in range(100):
            x = (rng.standard_normal(7) * size).astype(np.float32)
            assert cosine(x, x) == 1.0, f"{x}: one root of a square is exact"
    huge = np.array([1e100, 1e100])  # its sums' product is beyond float64
    assert abs(cosine(huge, huge) - 1) <= 4 * 2.0**-53, "two roots and a product"


def test_moments_of_pieces_add() -> None:
    r, t = f32([3, 4, 0, 1]), f32([3, 4.5, 1, 1])
    whole = moments(r, t)
    assert whole == Moments(signal=26, other=31.25, product=28, noise=1.25, largest=1), f"{whole}"
    assert pooled([moments(r[:1], t[:1]), moments(r[1:], t[1:])]) == whole, "exact sums"
    assert pooled([]) == Moments(0, 0, 0, 0, 0), "of nothing"
    tiny = [Moments(1e16, 0, 0, 0, 0), *[Moments(1, 0, 0, 0, 0)] * 4]
    assert pooled(tiny).signal == 1e16 + 4, "rounded once, not five times"


def test_the_largest_of_nan_is_nobody() -> None:
    scores = f32([[1, 2], [np.nan, 1]])
    with pytest.raises(ValueError, match="those of sample 1 hold NaN"):
        accuracy(scores, np.array([0, 0]))
    assert agreement(scores, scores) == 1.0, "compare says what both do, NaN or not"


def test_cosine_never_passes_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        x = rng.standard_normal(7).astype(np.float32)
        assert abs(cosine(x, x)) <= 1.0, f"{x} with itself"
        assert abs(cosine(x, -x)) <= 1.0, f"{x} with its negative"
