"""One rounding where others round twice, judged by fractions."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from refquant.numerics.fused import fused_multiply_add
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
