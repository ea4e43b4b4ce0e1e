"""One rounding where others round twice, judged by fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refquant.numerics import fused
from refquant.numerics.fused import fused_multiply_add, fused_sums
from refquant_conformance.oracle import float32

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
nearby = st.builds(
    lambda k, e: float(np.float32(math.ldexp(k, e))),
    st.integers(-(2**24), 2**24),
    st.integers(-40, 20),
)
numbers = floats | nearby


def fma(x: float, y: float, z: float) -> float:
    return float(fused_multiply_add(np.float32(x), np.float32(y), np.float32(z)))


@given(x=numbers, y=numbers, z=numbers)
@example(x=1 + 2**-12, y=1 + 2**-12, z=-1.0)
@example(x=2.0**-100, y=2.0**-100, z=1 + 2**-23)
@example(x=2.0**-60, y=2.0**-12, z=-(2.0**-24) + 1)
def test_the_sum_is_rounded_once(x: float, y: float, z: float) -> None:
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    assert fma(x, y, z) == float32(exact), "f32 of the exact sum"


def test_a_tie_that_float64_would_make_is_none() -> None:
    """(2^24 + 1) + tiny is beside a tie of float32; float64 drops tiny, one rounding does not."""
    x = float(np.float32(2**12 + 1))
    for k in range(1, 200, 2):
        # x * k odd, 25 bits and more: the product itself is the tie, z moves it by less than 2^-53.
        product = Fraction(x) * k
        up, down = fma(x, float(k), 2.0**-60), fma(x, float(k), -(2.0**-60))
        assert up == float32(product + Fraction(1, 2**60)), "above"
        assert down == float32(product - Fraction(1, 2**60)), "below"
    big = float(np.float32(2**23 + 1))
    assert fma(big, 2.0, 1.0) == float32(Fraction(2**24 + 3)), "a plain tie"
    odd = fma(float(2**13 + 1), float(2**11 + 1), 2.0**-40)
    exact = Fraction((2**13 + 1) * (2**11 + 1)) + Fraction(1, 2**40)
    assert odd == float32(exact), "one above a tie"
    assert fma(float(2**13 + 1), float(2**11 + 1), 2.0**-40) != fma(
        float(2**13 + 1), float(2**11 + 1), -(2.0**-40)
    ), "the two sides of the tie"


def test_beside_a_tie_of_subnormal_results() -> None:
    """Steps are 2^-149 there; 2^-127 and a step, and 2^-150 (1 - 2^-40), is beside a tie."""
    z = 2.0**-127 + 2.0**-149
    for above, below in ((1 + 2.0**-20, 1 - 2.0**-20), (1 + 2.0**-20, 1 + 2.0**-20)):
        for sign in (1.0, -1.0):
            x, y = math.ldexp(above, -75), math.ldexp(sign * below, -75)
            exact = Fraction(x) * Fraction(y) + Fraction(z)
            assert fma(x, y, z) == float32(exact), f"{above}, {below}, {sign}"


def test_what_is_not_finite() -> None:
    inf, nan = math.inf, math.nan
    assert math.isnan(fma(inf, 0.0, 1.0)), "no number"
    assert math.isnan(fma(nan, 1.0, 1.0)), "NaN stays"
    assert fma(inf, 1.0, 1.0) == inf, "infinity stays"
    assert fma(3e38, 3e38, 0.0) == inf, "overflow"
    assert fma(0.0, 0.0, 5.0) == 5.0, "nothing added"


def test_arguments_broadcast() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    got = fused_multiply_add(x, np.float32(2), np.array([[1], [2]], np.float32))
    assert got.tolist() == [[1, 3, 5], [8, 10, 12]], "elementwise"
    assert got.dtype == np.float32, "float32 out"


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
@pytest.mark.parametrize("tie", [False, True])
def test_sums_are_one_operation_after_the_other(
    at_once: int, tie: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "_AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((9, 3, 1), (9, 1, 4)))
    if tie:  # 2^24 and 1 - 2^-40, beside a tie: float64 drops what is left of it
        x[3:5, 0], y[3:5, 0] = [[4097.0], [2.0**-60]], 4095.0
    total = np.zeros((3, 4), np.float32)
    for step in range(9):
        total = fused_multiply_add(x[step], y[step], total)
    assert fused_sums(x, y).tolist() == total.tolist(), "the steps"


def test_a_step_beside_a_tie_is_seen() -> None:
    x = np.array([2.0**24 + 2, 1 + 2.0**-20], np.float32)
    for last, wanted in ((1 - 2.0**-20, 2.0**24 + 2), (1 + 2.0**-20, 2.0**24 + 4)):
        got = fused_sums(x, np.array([1.0, last], np.float32))
        assert float(got) == wanted, f"2^24 + 2 and {x[1] * last}: 1 is a tie, and goes up"


def test_no_product_is_zero() -> None:
    none = np.zeros((0, 2), np.float32)
    assert fused_sums(none, none).tolist() == [0, 0], "nothing"
    assert fused_sums(np.zeros((3, 0), np.float32), np.float32(1)).shape == (0,), "of nothing"
