"""rndnu16 against its two roundings and one saturation, over integers and fractions."""

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics import requantize
from refquant.numerics.rndnu16 import rndnu16

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
F32_BELOW_256 = 256 - 2.0**-16
REALS = [2.0**-32, 2.0**-31, 2.0**-16, 0.0375, 0.25, 0.5, 1.0, 1.5, 128.0, F32_BELOW_256]
EDGES = [INT32_MIN, INT32_MIN + 1, -(2**15), 1 - 2**15, -3, -1, 0, 1, 3, 2**15 - 1, 2**15]
EDGES += [INT32_MAX - 1, INT32_MAX]


def oracle(a: int, real: float) -> int:
    """XNNPACK's steps on the bits of the float32: a 24-bit mantissa cut to 15, shift, product."""
    bits = struct.unpack("<I", struct.pack("<f", real))[0]
    mantissa, exponent = bits % 2**23 + 2**23, bits // 2**23 - 127
    m = (mantissa + 2**8) // 2**9
    if m == 2**15:
        m, exponent = 2**14, exponent + 1
    x = math.floor(a * Fraction(2) ** (exponent + 1) + Fraction(1, 2))
    x = max(INT32_MIN, min(INT32_MAX, x))  # first to int32, as there
    x = max(-(2**15), min(2**15 - 1, x))
    return math.floor(Fraction(x * m, 2**15) + Fraction(1, 2))


def run(a: int, real: float) -> int:
    return int(requantize(a, real, mode="rndnu16"))


@given(
    st.integers(INT32_MIN, INT32_MAX) | st.integers(-(2**16), 2**16),
    st.floats(2.0**-32, F32_BELOW_256, width=32) | st.sampled_from(REALS),
)
def test_it_is_its_definition(a: int, real: float) -> None:
    assert run(a, real) == oracle(a, real), f"rndnu16({a}, {real!r})"


@pytest.mark.parametrize("real", REALS)
def test_the_edges_of_int32_and_int16(real: float) -> None:
    got = rndnu16(np.array(EDGES), np.array(real)).tolist()
    assert got == [oracle(a, real) for a in EDGES], f"by {real!r}"


@given(st.integers(INT32_MIN, INT32_MAX), st.integers(-31, 7), st.integers(2**14, 2**15 - 1))
def test_ties_of_the_multiplier_go_up(a: int, exponent: int, m: int) -> None:
    real = math.ldexp(m + 0.5, exponent - 14)
    if m == 2**15 - 1 and exponent == 7:
        return  # the carry of the largest; test_the_carry has it
    assert run(a, real) == oracle(a, real), f"rndnu16({a}, {real!r})"
    assert run(a, real) == run(a, math.ldexp(m + 1, exponent - 14)), "half a unit is a unit more"


def test_the_carry() -> None:
    """The largest multiplier rounds to 256: M = 2**14 and a shift by 9."""
    assert run(100, F32_BELOW_256) == oracle(100, F32_BELOW_256) == 16384, "saturated"
    assert run(63, F32_BELOW_256) == 63 * 256, "nearly: its own multiplier says 16128 - 2**-10"


def test_ties_of_both_roundings_by_hand() -> None:
    """By 1/4 x = floor((a + 1) / 2), y = floor((x + 1) / 2); true values a / 4."""
    a = [-7, -6, -5, -3, -2, -1, 1, 2, 3, 5, 6, 7]
    got = [run(v, 0.25) for v in a]
    assert got == [-1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2], "two ties up: 1/4 is rounded to 1"


@given(st.integers(INT32_MIN, INT32_MAX), st.floats(2.0**-32, F32_BELOW_256, width=32))
def test_eight_bits_never_see_the_saturation(a: int, real: float) -> None:
    """|y| of a saturated x is at least 2**14 - 1/2, so clamped codes are those without sat16."""
    mantissa, exponent = math.frexp(real)
    m = math.floor(Fraction(mantissa) * 2**15 + Fraction(1, 2))
    free = math.floor(a * Fraction(2) ** exponent + Fraction(1, 2))
    free = math.floor(Fraction(free * m, 2**15) + Fraction(1, 2))
    # subtle: at the carry M = 2**15 here and 2**14 with one shift more there: a bit of x.
    if m == 2**15:
        return
    for zero_point in (0, 255):
        clamped = [max(0, min(255, y + zero_point)) for y in (run(a, real), free)]
        assert clamped[0] == clamped[1], f"{a} by {real!r}, zero point {zero_point}"
