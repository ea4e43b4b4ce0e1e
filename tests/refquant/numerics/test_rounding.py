"""Rounding rules against exact integers: every float16, and every kind of float32 tie."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics import ROUNDING, round_half_away, round_stochastic, round_to_integer

HALF = Fraction(1, 2)
EXACT: dict[str, Callable[[Fraction], int]] = {
    "half_even": round,
    "half_away": lambda v: math.floor(v + HALF) if v >= 0 else math.ceil(v - HALF),
    "half_up": lambda v: math.floor(v + HALF),
    "half_down": lambda v: math.ceil(v - HALF),
    "toward_zero": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
}
every_rule = pytest.mark.parametrize("rule", ROUNDING)
every_float = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


def around(points: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """Each point as ``dtype``, with its two neighbours."""
    p = np.array(points, dtype)
    return np.concatenate([p, np.nextafter(p, dtype(-np.inf)), np.nextafter(p, dtype(np.inf))])


def assert_exact(x: np.ndarray[Any, Any], rule: str) -> None:
    expected = [EXACT[rule](Fraction(float(v))) for v in x]
    got = ROUNDING[rule](x)
    assert got.dtype == x.dtype, f"{rule} must keep {x.dtype}, got {got.dtype}"
    wrong = [(float(v), float(g), e) for v, g, e in zip(x, got, expected, strict=True) if g != e]
    assert not wrong, f"{rule}: (x, got, expected) = {wrong[:5]}"


def test_the_rules_are_the_seven_of_the_oracle() -> None:
    assert list(ROUNDING) == list(EXACT), "a rule without an oracle is not tested"


@every_rule
def test_every_finite_float16_is_rounded_exactly(rule: str) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)]
    n = (x.astype(np.float64) * 2.0**24).astype(np.int64)  # every float16 is n / 2**24
    below, rest = n >> 24, n & (2**24 - 1)
    tie, half = rest == 2**23, 2**23
    up = {
        "half_even": (rest > half) | (tie & (below % 2 == 1)),
        "half_away": (rest > half) | (tie & (n > 0)),
        "half_up": rest >= half,
        "half_down": rest > half,
        "toward_zero": (rest > 0) & (n < 0),
        "floor": rest < 0,
        "ceil": rest > 0,
    }[rule]
    got = ROUNDING[rule](x)
    assert got.dtype == np.float16, f"{rule} must keep float16, got {got.dtype}"
    wrong = np.flatnonzero(got.astype(np.float64) != below + up)
    assert not wrong.size, f"{rule} is wrong at {x[wrong[:5]]}: {got[wrong[:5]]}"
    assert (np.signbit(got) == np.signbit(x)).all(), f"{rule} must keep the sign, of zero too"


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_and_their_neighbours_are_exact(rule: str, dtype: Any) -> None:
    ks = [*range(-20, 21), 254, 255, 32767, 2**21, 2**22 - 1, -(2**22) + 1, -(2**21) - 1]
    assert_exact(around([k + 0.5 for k in ks], dtype), rule)
    assert_exact(around([0.0, 1.0, -1.0, 127.0, -128.0], dtype), rule)


@every_rule
def test_where_halves_end_nothing_is_lost(rule: str) -> None:
    """From 2**23 a float32 has no fraction, just below it has halves only; likewise float64."""
    for dtype, bits in ((np.float32, 23), (np.float64, 52)):
        edge = 2.0**bits
        points = [edge - 1.5, edge - 1, edge - 0.5, edge, edge + 1, 2 * edge - 1, 2 * edge, 1e30]
        assert_exact(around([*points, *(-p for p in points)], dtype), rule)


@pytest.mark.parametrize("rule", [r for r in ROUNDING if r.startswith("half")])
def test_the_number_before_one_half_goes_to_zero(rule: str) -> None:
    """0.49999997 + 0.5 is 1.0 in float32; rounding must not be done by adding one half."""
    x = np.nextafter(np.float32(0.5), np.float32(0.0))
    assert float(np.float32(x + np.float32(0.5))) == 1.0, "the trap this test is about"
    for value in (x, -x):
        y = ROUNDING[rule](value)
        assert float(y) == 0.0, f"{rule}({float(value)}) must be zero, got {float(y)}"
        assert np.signbit(y) == np.signbit(value), f"{rule}({float(value)}) must keep its sign"


@every_rule
@every_float
def test_what_has_no_fraction_passes(rule: str, dtype: Any) -> None:
    big = np.finfo(dtype).max
    x = np.array([np.inf, -np.inf, big, -big, 0.0, -0.0], dtype)
    assert ROUNDING[rule](x).tobytes() == x.tobytes(), f"{rule} must not touch {x}"
    assert np.isnan(ROUNDING[rule](np.array([np.nan], dtype))).all(), f"{rule} must pass NaN"
    tiny = np.array([np.finfo(dtype).smallest_subnormal], dtype)
    expected = {"ceil": 1.0}.get(rule, 0.0)
    assert ROUNDING[rule](tiny).tolist() == [expected], f"{rule} of the smallest subnormal"
    expected = {"floor": -1.0}.get(rule, 0.0)
    assert ROUNDING[rule](-tiny).tolist() == [expected], f"{rule} of its negative"


@every_rule
@every_float
def test_shape_and_dtype_are_kept(rule: str, dtype: Any) -> None:
    for shape in ((0,), (3, 0), (2, 3), ()):
        y = ROUNDING[rule](np.full(shape, 1.25, dtype))
        assert (y.shape, y.dtype) == (shape, dtype), f"{rule}: {y.shape} {y.dtype}"
    assert isinstance(ROUNDING[rule](dtype(2.5)), dtype), f"{rule} of a scalar is a scalar"


@every_rule
@given(x=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_any_float32_is_exact(rule: str, x: float) -> None:
    assert_exact(np.array([x], np.float32), rule)


def test_round_to_integer_is_the_named_rule_and_refuses_others() -> None:
    x = np.array([-2.5, -0.3, 0.5, 1.5], np.float32)
    for rule, function in ROUNDING.items():
        assert round_to_integer(x, rule=rule).tolist() == function(x).tolist(), rule
    with pytest.raises(ValueError, match=r"rule must be one of half_even, .*; got 'nearest'"):
        round_to_integer(x, rule="nearest")


def test_the_argument_is_not_changed() -> None:
    x = np.array([0.5, -0.5], np.float32)
    round_half_away(x)
    assert x.tolist() == [0.5, -0.5], "rounding must not write into its argument"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stochastic_is_the_floor_of_x_plus_u(dtype: Any) -> None:
    """Exact for all 256 patterns, at fractions of every kind."""
    points = around([0, 1 / 256, 0.25, 0.5, 255 / 256, 1, 7.75, -1 / 256, -0.5, -3.25], dtype)
    points = np.concatenate([points, np.array([1e-30, -1e-30, 2**22 + 0.5, -1e9], dtype)])
    bits = np.arange(256, dtype=np.uint8)
    for x in points:
        got = round_stochastic(np.full(256, x, dtype), bits=bits, num_bits=8)
        expected = [math.floor(Fraction(float(x)) + Fraction(int(b), 256)) for b in bits]
        assert got.tolist() == expected, f"x = {float(x)!r}"
        assert got.dtype == dtype, f"got {got.dtype}"


def test_stochastic_with_32_bits_sees_the_last_one() -> None:
    u = np.array([2**32 - 1, 0, 2**32 - 1, 1], np.uint32)
    x = np.array([2.0**-32, 2.0**-32, -(2.0**-32), -(2.0**-32)])
    assert round_stochastic(x, bits=u, num_bits=32).tolist() == [1.0, 0.0, 0.0, 0.0], "2**-32 + u"
    assert round_stochastic(x - 2.0**-80, bits=u, num_bits=32).tolist() == [0.0, 0.0, 0.0, -1.0], (
        "just below the threshold"
    )


def test_stochastic_passes_infinities_and_nan_and_refuses_bad_bits() -> None:
    x = np.array([np.inf, -np.inf, np.nan], np.float32)
    y = round_stochastic(x, bits=np.array([0, 3, 1], np.uint8), num_bits=2)
    assert y.tolist()[:2] == [np.inf, -np.inf], f"got {y}"
    assert np.isnan(y[2]), f"got {y}"
    with pytest.raises(ValueError, match=r"bits must be below 2\*\*2, got 4"):
        round_stochastic(x, bits=np.array([0, 4, 1], np.uint8), num_bits=2)
    with pytest.raises(ValueError, match="bits must be unsigned integers, got int8"):
        round_stochastic(x, bits=np.array([-1, 3, 1], np.int8), num_bits=2)
    with pytest.raises(ValueError, match=r"num_bits must be in 1\.\.32, got 33"):
        round_stochastic(x, bits=np.array([0, 4, 1], np.uint8), num_bits=33)
    empty = round_stochastic(np.zeros((0,), np.float32), bits=np.zeros((0,), np.uint8), num_bits=8)
    assert empty.shape == (0,), f"got {empty.shape}"
