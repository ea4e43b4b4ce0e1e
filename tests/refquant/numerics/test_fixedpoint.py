"""Fixed point against fractions, and against the C formulas it stands for."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics import (
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_shift_right,
    srdhm,
)
from refquant.numerics.fixedpoint import decompose

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
HALF = Fraction(1, 2)
EDGES = sorted(
    {s * (b + d) for b in (0, 1, 2**15, 2**24, 2**30, 2**31 - 2) for d in (-1, 0, 1)
     for s in (-1, 1) if abs(b + d) <= INT32_MAX} | {INT32_MIN}
)  # fmt: skip
int32 = st.integers(INT32_MIN, INT32_MAX) | st.sampled_from(EDGES)


def half_away(v: Fraction) -> int:
    return math.floor(v + HALF) if v >= 0 else math.ceil(v - HALF)


def gemmlowp_srdhm(a: int, b: int) -> int:
    """gemmlowp's words: a nudge by the sign, and a division that truncates."""
    if a == b == INT32_MIN:
        return INT32_MAX
    product = a * b
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    return abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)


@given(real=st.floats(2.0**-40, 2.0**40))
def test_rq03_a_multiplier_is_normal_and_nearest(real: float) -> None:
    m, shift = (int(v) for v in quantize_multiplier(real))
    if Fraction(real) < Fraction(2**32 - 1, 2**64):  # its nearest M is below 2**30 * 2**-31
        assert (m, shift) == (0, 0), f"{real} is too small, got {m}, {shift}"
        return
    assert 2**30 <= m < 2**31, f"M = {m}"
    error = abs(Fraction(m) * Fraction(2) ** (shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (shift - 32), f"error {error} of {real}"


def test_rq03_ties_of_the_multiplier_go_away_from_zero() -> None:
    for m in (2**30, 2**30 + 1, 2**31 - 2):
        tie = math.ldexp(m + 0.5, -31)
        below, above = math.nextafter(tie, 0), math.nextafter(tie, 1)
        got = [int(quantize_multiplier(v)[0]) for v in (below, tie, above)]
        assert got == [m, m + 1, m + 1], f"around {m} + 1/2: {got}"


def test_rq03_the_carry_moves_into_the_shift() -> None:
    """1 - 2**-40 would need M = 2**31."""
    for real, expected in (
        (1 - 2.0**-40, (2**30, 1)),
        (1 - 2.0**-32, (2**30, 1)),  # the tie
        (math.nextafter(1 - 2.0**-32, 0), (2**31 - 1, 0)),
        (0.25 * (1 - 2.0**-40), (2**30, -1)),
    ):
        m, shift = quantize_multiplier(real)
        assert (int(m), int(shift)) == expected, f"{real}: {m}, {shift}"


def test_rq03_what_vanishes_is_zero_with_shift_zero() -> None:
    """Below 2**-32 the product with any int32 rounds to zero."""
    for real, expected in (
        (0.0, (0, 0)),
        (5e-324, (0, 0)),
        (2.0**-33, (0, 0)),
        (math.nextafter(2.0**-32, 0), (2**30, -31)),  # the carry comes before the test
        (2.0**-32, (2**30, -31)),
        (2.0**-31, (2**30, -30)),
    ):
        m, shift = quantize_multiplier(real)
        assert (int(m), int(shift)) == expected, f"{real}: {m}, {shift}"


def test_multipliers_above_one_shift_left() -> None:
    m, shift = quantize_multiplier([1.0, 1.5, 2.0**30, 3e38])
    assert shift.tolist() == [1, 1, 31, 128], f"got {shift}"
    assert m.tolist()[:3] == [2**30, 3 * 2**29, 2**30], f"got {m}"
    assert m.dtype == shift.dtype == np.int32, f"got {m.dtype} {shift.dtype}"


def test_the_shape_is_that_of_the_multipliers() -> None:
    for shape in ((), (0,), (2, 3)):
        m, shift = quantize_multiplier(np.full(shape, 0.3))
        assert m.shape == shift.shape == shape, f"{shape} became {m.shape} {shift.shape}"


@pytest.mark.parametrize("real", [-0.5, math.nan, math.inf])
def test_what_is_no_multiplier_is_refused(real: float) -> None:
    with pytest.raises(ValueError, match="must be finite and not negative"):
        quantize_multiplier([0.5, real])


@given(real=st.floats(1e-300, 1e300), num_bits=st.sampled_from([8, 15, 24, 31]))
def test_decompose_rounds_by_its_rule(real: float, num_bits: int) -> None:
    for rule, exact in (("half_even", round), ("half_away", half_away), ("floor", math.floor)):
        m, shift = (int(v) for v in decompose(real, num_bits=num_bits, rule=rule))
        assert 2 ** (num_bits - 1) <= m < 2**num_bits, f"M = {m}"
        exponent = math.frexp(real)[1]
        expected = exact(Fraction(real) * Fraction(2) ** (num_bits - exponent))
        assert m * 2 ** (shift - exponent) == expected, f"{rule}: {m}, {shift}"


@given(a=int32, b=int32)
def test_srdhm_is_half_up_and_is_gemmlowps_formula(a: int, b: int) -> None:
    got = int(srdhm(a, b))
    assert got == gemmlowp_srdhm(a, b), f"SRDHM({a}, {b})"
    if (a, b) != (INT32_MIN, INT32_MIN):
        assert got == math.floor(Fraction(a * b, 2**31) + HALF), f"half up of {a} * {b} / 2**31"


def test_srdhm_on_all_pairs_of_edges() -> None:
    a, b = np.meshgrid(EDGES, EDGES)
    got = srdhm(a, b)
    assert got.dtype == np.int32, f"got {got.dtype}"
    expected = [[gemmlowp_srdhm(int(x), int(y)) for x in EDGES] for y in EDGES]
    assert got.tolist() == expected, "SRDHM of edges"


def test_rq04_srdhm_saturates_for_one_pair_only() -> None:
    assert int(srdhm(INT32_MIN, INT32_MIN)) == INT32_MAX, "2**31 does not fit"
    assert int(srdhm(INT32_MIN, INT32_MIN + 1)) == INT32_MAX, "2**31 - 1 does, exactly"
    assert int(srdhm(INT32_MIN, INT32_MAX)) == INT32_MIN + 1, "nor does the other sign saturate"


def test_srdhm_ties_go_up() -> None:
    got = srdhm([-3, -1, 1, 3], 1 << 30)
    assert got.tolist() == [-1, 0, 1, 2], f"halves of -3/2, -1/2, 1/2, 3/2: {got}"


@given(x=int32, exponent=st.integers(0, 31))
def test_shifts_round_to_nearest_with_their_ties(x: int, exponent: int) -> None:
    exact = Fraction(x, 2**exponent)
    assert int(rounding_divide_by_pot(x, exponent)) == half_away(exact), "ties away"
    assert int(rounding_shift_right(x, exponent)) == math.floor(exact + HALF), "ties up"


def test_shifts_of_every_small_number() -> None:
    x = np.arange(-600, 601)[:, None]
    e = np.arange(0, 32)[None, :]
    away, up = rounding_divide_by_pot(x, e), rounding_shift_right(x, e)
    assert away.shape == up.shape == (1201, 32), "they broadcast"
    magnitude = (np.abs(x) + ((1 << e) >> 1)) >> e
    assert (away == np.sign(x) * magnitude).all(), "symmetric about zero"
    tie = (np.abs(x) % (1 << e)) * 2 == (1 << e)
    assert (up - away == (tie & (x < 0) & (e > 0))).all(), "they differ on negative ties only"


def test_shifts_by_31_at_the_edges() -> None:
    x = [INT32_MIN, -(2**30) - 1, -(2**30), 2**30 - 1, 2**30, INT32_MAX]
    assert rounding_divide_by_pot(x, 31).tolist() == [-1, -1, -1, 0, 1, 1], "ties away"
    assert rounding_shift_right(x, 31).tolist() == [-1, -1, 0, 0, 1, 1], "ties up"


def test_operands_are_checked() -> None:
    with pytest.raises(ValueError, match=r"a must fit int32, got 2147483648\.\.2147483648"):
        srdhm(2**31, 1)
    with pytest.raises(ValueError, match="b must hold integers, got float64"):
        srdhm(1, 0.5)
    for shift in (rounding_divide_by_pot, rounding_shift_right):
        with pytest.raises(ValueError, match=r"exponent must be in 0\.\.31, got 32\.\.32"):
            shift(1, 32)
        with pytest.raises(ValueError, match=r"exponent must be in 0\.\.31, got -1\.\.-1"):
            shift(1, -1)
