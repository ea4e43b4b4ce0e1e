"""gemmlowp's functions in fixed point, against Python's integers and against the reals."""

import math

import numpy as np
import pytest

from refquant.numerics.gemmlowp import exp_on_negative_values, one_over_one_plus_x

MAX = 2**31 - 1
POWERS = [round(math.exp(-(2.0**b)) * 2**31) for b in range(-2, 5)]


def srdhm(a: int, b: int) -> int:
    """As gemmlowp writes it: a nudge by sign, then C's division."""
    if a == b == -(2**31):
        return MAX
    p = a * b
    q, sign = abs(p + (2**30 if p >= 0 else 1 - 2**30)), p + (2**30 if p >= 0 else 1 - 2**30)
    return (q // 2**31) * (1 if sign >= 0 else -1)


def pot(x: int, e: int) -> int:
    """Round to nearest, ties away from zero."""
    return int(math.copysign((abs(x) + (1 << e >> 1)) >> e, x))


def exp_by_hand(a: int, bits: int) -> int:
    if a == 0:
        return MAX
    f = 31 - bits
    u = (a & ((1 << (f - 2)) - 1)) - (1 << (f - 2))
    t = (u << bits) + 2**28
    t2 = srdhm(t, t)
    t3, t4 = srdhm(t2, t), srdhm(t2, t2)
    tail = pot(srdhm(pot(t4, 2) + t3, round(2**31 / 3)) + t2, 1)
    c = round(math.exp(-0.125) * 2**31)
    y = c + srdhm(c, t + tail)
    for bit, power in zip(range(-2, bits), POWERS, strict=False):
        if (u - a) & (1 << (f + bit)):
            y = srdhm(y, power)
    return y


def reciprocal_by_hand(x: int) -> int:
    d = (x + MAX + 1) // 2
    r = round(48 / 17 * 2**29) + srdhm(d, round(-32 / 17 * 2**29))
    for _ in range(3):
        r += max(-(2**31), min(MAX, srdhm(r, 2**29 - srdhm(d, r)) << 2))
    return max(-(2**31), min(MAX, r << 1))


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_exp_is_gemmlowps_to_the_bit(bits: int) -> None:
    rng = np.random.default_rng(bits)
    f = 31 - bits
    quarters = -np.arange(0, 4 << bits) * 2 ** (f - 2)
    x = np.concatenate([
        quarters, quarters[1:] + 1, quarters - 1, -rng.integers(0, 2**31, 300), [-(2**31), -1],
    ]).clip(-(2**31), 0)  # fmt: skip
    got = exp_on_negative_values(x, integer_bits=bits)
    assert got.tolist() == [exp_by_hand(int(v), bits) for v in x], "bit for bit"
    real = np.exp(x / 2.0**f)
    # The polynomial stops at t^4: |t| <= 1/8 leaves t^5/120 * exp(-1/8) < 2.3e-7; each of the at
    # most 12 rounded steps adds 2^-31.
    assert np.abs(got / 2.0**31 - real).max() < 2.3e-7 + 12 * 2.0**-31, "as close as its degree"


def test_the_reciprocal_is_gemmlowps_to_the_bit() -> None:
    x = np.concatenate([
        np.random.default_rng(1).integers(0, 2**31, 400), [0, 1, 2**30, MAX, MAX - 1],
    ])  # fmt: skip
    got = one_over_one_plus_x(x)
    assert got.tolist() == [reciprocal_by_hand(int(v)) for v in x], "bit for bit"
    # Newton squares the error of the line, 1/17: three times, (1/17)^8 < 2^-32; rounding: 2^-27.
    assert np.abs(got / 2.0**31 - 1 / (1 + x / 2.0**31)).max() < 2.0**-27, "and close"


def test_what_is_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="integer_bits must be 2 to 5, got 6"):
        exp_on_negative_values(0, integer_bits=6)
    with pytest.raises(ValueError, match="x must hold int32 values <= 0"):
        exp_on_negative_values(1, integer_bits=5)
    with pytest.raises(ValueError, match="x must be in "):
        one_over_one_plus_x(-1)
    empty = exp_on_negative_values(np.zeros((0, 3), np.int32), integer_bits=5)
    assert empty.shape == (0, 3), "nothing of nothing"
    assert one_over_one_plus_x(np.zeros(0, np.int32)).shape == (0,), "nothing of nothing"
