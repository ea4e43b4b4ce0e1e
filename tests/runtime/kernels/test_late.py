"""The two rows whose zero point is added before rounding, by rational arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant_runtime.kernels.late import add_ratios, multiply_late

scales = st.sampled_from([0.5, 2.0**-7, 0.1, 1 / 3, 3e6, 1e-30])
codes = st.integers(0, 255)


def f32(x: Fraction) -> np.float32:
    """Round a rational to float32, half to even, by its neighbours."""
    guess = np.float32(float(x))
    near: list[np.float32] = [np.nextafter(guess, np.float32(s)) for s in (-np.inf, np.inf)]
    near.append(guess)
    apart = [abs(Fraction(float(v)) - x) for v in near]
    even = [int(v.view(np.int32)) & 1 for v in near]
    return near[min(range(3), key=lambda i: (apart[i], even[i]))]


def cast(x: Any) -> int:
    whole = round(Fraction(float(x)))
    return whole if -(2**31) <= whole < 2**31 else -(2**31)


def row(function: Any, *arguments: Any) -> int:
    out = np.zeros(1, np.uint8)
    function(*[out if a is Ellipsis else a for a in arguments])
    return int(out[0])


@given(qa=codes, qb=codes, ra=scales, rb=scales, fixed=st.sampled_from([0.5, -77.25, 131.0]))
def test_add_rounds_each_sum_once(qa: int, qb: int, ra: float, rb: float, fixed: float) -> None:
    a, b = (np.array([q], np.uint8) for q in (qa, qb))
    of_a, of_b, first = np.float32(ra), np.float32(rb), np.float32(fixed)
    got = row(
        add_ratios, a, 1, np.uint8(0), np.int32(0), of_a, b, 1, np.uint8(0), np.int32(0), of_b,
        first, ..., 0, 1, np.int32(0), np.int32(255),
    )  # fmt: skip
    part = f32(Fraction(float(of_b)) * qb + Fraction(float(first)))
    total = f32(Fraction(float(of_a)) * qa + Fraction(float(part)))
    assert got == min(max(cast(total), 0), 255), f"{ra} {qa} + ({rb} {qb} + {fixed}) = {total}"


@given(qa=codes, qb=codes, m=scales, zero=st.integers(-128, 127), za=codes)
def test_mul_rounds_the_product_and_the_sum(qa: int, qb: int, m: float, zero: int, za: int) -> None:
    a, b = (np.array([q], np.uint8) for q in (qa, qb))
    got = row(
        multiply_late, a, 1, np.uint8(0), np.int32(za), b, 1, np.uint8(0), np.int32(3),
        np.float32(m), np.float32(zero), ..., 0, 1, np.int32(-128), np.int32(127),
    )  # fmt: skip
    scaled = f32(Fraction((qa - za) * (qb - 3)) * Fraction(float(np.float32(m))))
    total = f32(Fraction(float(scaled)) + zero)
    assert np.uint8(got).view(np.int8) == min(max(cast(total), -128), 127), f"{total}"


@pytest.mark.parametrize("sign", [1, -1])
def test_beyond_int32_is_the_lowest_code(sign: int) -> None:
    a = np.array([sign], np.int8).view(np.uint8)
    got = row(
        multiply_late, a, 1, np.uint8(128), np.int32(128), a * 0 + 1, 1, np.uint8(0), np.int32(0),
        np.float32(2.0**31), np.float32(0), ..., 0, 1, np.int32(0), np.int32(255),
    )  # fmt: skip
    assert got == 0, "both ends are cast to -2^31"
