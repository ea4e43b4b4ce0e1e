"""Casts: values off the range, infinities and NaN, by each of the three ways."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics import int32_cast, saturate, wrap

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def test_saturate_clips_before_it_casts() -> None:
    v = np.array([-np.inf, -3.4e38, -129, -128, 0, 127, 128, 3e9, 3.4e38, np.inf], np.float32)
    got = saturate(v, qmin=-128, qmax=127, nan="error")
    assert got.tolist() == [-128, -128, -128, -128, 0, 127, 127, 127, 127, 127], f"got {got}"
    assert got.dtype == np.int32, f"got {got.dtype}"


def test_saturate_holds_the_limits_of_int32_which_float32_does_not() -> None:
    v = np.array([2.0**31, -(2.0**31), 2.0**31 - 128], np.float32)
    got = saturate(v, qmin=INT32_MIN, qmax=INT32_MAX, nan="error")
    assert got.tolist() == [INT32_MAX, INT32_MIN, 2**31 - 128], f"got {got}"


def test_nan_becomes_what_the_policy_says() -> None:
    v = np.array([[np.nan, 1.0], [np.nan, np.nan]], np.float32)
    for nan, expected in (("qmin", [0, 1, 0, 0]), ("qmax", [255, 1, 255, 255])):
        got = saturate(v, qmin=0, qmax=255, nan=nan, zero_point=7)
        assert got.reshape(-1).tolist() == expected, f"{nan}: {got}"
    got = saturate(v, qmin=0, qmax=255, nan="zero_point", zero_point=np.array([[7], [9]]))
    assert got.tolist() == [[7, 1], [9, 9]], f"the zero point broadcasts, got {got}"
    with pytest.raises(ValueError, match="v must not hold NaN"):
        saturate(v, qmin=0, qmax=255, nan="error")
    with pytest.raises(ValueError, match=r"nan must be one of .*; got 'int32_min'"):
        saturate(v, qmin=0, qmax=255, nan="int32_min")


def test_saturate_keeps_shape_and_accepts_nothing() -> None:
    for shape in ((0,), (2, 0), (), (2, 3)):
        got = saturate(np.zeros(shape, np.float32), qmin=0, qmax=15, nan="error")
        assert got.shape == shape, f"{shape} became {got.shape}"


def test_int32_cast_sends_all_that_does_not_fit_to_the_smallest_integer() -> None:
    inside = [0.0, -0.0, 1.0, -5.0, 2.0**31 - 128, -(2.0**31)]
    outside = [2.0**31, -(2.0**31) - 256, 1e30, -1e30, math.inf, -math.inf, math.nan]
    got = int32_cast(np.array([*inside, *outside], np.float32))
    expected = [0, 0, 1, -5, 2**31 - 128, INT32_MIN] + [INT32_MIN] * len(outside)
    assert got.tolist() == expected, f"got {got}"
    assert got.dtype == np.int32, f"got {got.dtype}"


def test_int32_cast_of_float64_ends_at_the_last_integer() -> None:
    got = int32_cast(np.array([2.0**31 - 1, 2.0**31, -(2.0**31) - 1]))
    assert got.tolist() == [INT32_MAX, INT32_MIN, INT32_MIN], f"got {got}"


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_every_16_bit_number_is_cast_as_python_would(kind: str) -> None:
    """All 65,536 of each, infinities and NaN too, against integers without a limit."""
    bits = np.arange(1 << 16, dtype=np.uint32)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        half = bits.astype(np.uint16).view(np.float16).astype(np.float32)
        v = np.rint(half if kind == "fp16" else (bits << 16).view(np.float32))
    exact = [int(x) if math.isfinite(x) else None for x in v.tolist()]
    ends = [INT32_MAX + 1 if x > 0 else INT32_MIN - 1 for x in v.tolist()]  # what infinity exceeds
    got = int32_cast(v).tolist()
    for x, n, found in zip(v.tolist(), exact, got, strict=True):
        fits = n is not None and INT32_MIN <= n <= INT32_MAX
        assert found == (n if fits else INT32_MIN), f"int32_cast({x}) = {found}"
    for qmin, qmax in ((-8, 7), (0, 255), (-127, 127), (INT32_MIN, INT32_MAX)):
        got = saturate(v, qmin=qmin, qmax=qmax, nan="zero_point", zero_point=3).tolist()
        for x, n, end, found in zip(v.tolist(), exact, ends, got, strict=True):
            whole = end if n is None else n
            expected = 3 if math.isnan(x) else min(max(whole, qmin), qmax)
            assert found == expected, f"saturate({x}, {qmin}, {qmax}) = {found}, not {expected}"


@given(v=st.integers(-(2**62), 2**62), num_bits=st.integers(1, 32), signed=st.booleans())
def test_wrap_is_congruent_and_in_range(v: int, num_bits: int, signed: bool) -> None:
    got = int(wrap(np.array([v]), num_bits=num_bits, signed=signed)[0])
    low = -(1 << (num_bits - 1)) if signed else 0
    assert low <= got < low + (1 << num_bits), f"{got} is not in the range"
    assert (got - v) % (1 << num_bits) == 0, f"{got} is not congruent to {v}"


def test_wrap_refuses_floats_and_bad_widths() -> None:
    with pytest.raises(ValueError, match="v must hold integers, got float64"):
        wrap(np.array([1.5]), num_bits=8, signed=True)
    with pytest.raises(ValueError, match=r"num_bits must be in 1\.\.32, got 33"):
        wrap(np.array([1]), num_bits=33, signed=True)
