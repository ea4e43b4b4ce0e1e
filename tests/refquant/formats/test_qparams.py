"""Parameters from ranges, and what a ruler refuses to be; QPS-.. are ids of the property list."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import AXES, PRESETS, Contract, preset
from refquant.formats.affine import QParams, choose_qparams, fake_quantize, quantize
from refquant.formats.parameters import refusal
from refquant_conformance.oracle import float32, round_exact

ONNX = preset("onnx")
TINY = 2.0**-126
FINITE = float(np.finfo(np.float32).max)
DTYPES = ["int2", "uint2", "int4", "uint4", "int8", "uint8", "int16", "uint16"]
SIGNED = [d for d in DTYPES if d[0] == "i"]

ends = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-100, 100, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-149, -TINY, TINY, 1e-30, 127.5, FINITE]),
)
ranges = st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))
"""Ranges of all kinds: of one point, on one side of zero, subnormal, enormous."""


def choose(lo: float, hi: float, dtype: str, contract: Contract, *, symmetric: bool) -> QParams:
    return choose_qparams(
        np.float32(lo), np.float32(hi), dtype=dtype, symmetric=symmetric, contract=contract
    )


INTEGERS = sorted(name for name, c in PRESETS.items() if c.zero_point in ("integer", "none"))
"""The presets whose zero has a code; the others: test_parameters.py."""


@given(
    bounds=ranges,
    dtype=st.sampled_from(DTYPES),
    name=st.sampled_from(INTEGERS),
    symmetric=st.booleans(),
    includes=st.booleans(),
)
def test_any_range_gives_a_ruler(
    bounds: tuple[float, float], dtype: str, name: str, symmetric: bool, includes: bool
) -> None:
    """QPS-01, QPS-03, QPS-05, QPS-06: whatever the range, s is normal, z a code, zero exact."""
    contract = replace(preset(name), range_includes_zero=includes)
    largest = float(np.finfo(contract.scale_dtype).max)
    if bounds[1] - bounds[0] > largest / 4 or refusal(
        dtype=dtype, symmetric=symmetric, contract=contract
    ):
        return  # wider than such a scale can hold: refused, below
    qparams = choose(*bounds, dtype, contract, symmetric=symmetric)
    assert math.isfinite(qparams.scale), "the scale is a number"
    assert qparams.scale >= TINY, "and normal"
    qmin, qmax = qparams.full_range
    assert qmin <= qparams.zero_point <= qmax, "the zero point is a code"
    zero = np.zeros(1, np.float32)
    assert quantize(zero, qparams, contract=contract) == qparams.zero_point, "q(0) = z"
    assert fake_quantize(zero, qparams, contract=contract) == 0, "and back to 0, exactly"


@given(
    lo=st.floats(-1000, 0, width=32), hi=st.floats(0, 1000, width=32), dtype=st.sampled_from(DTYPES)
)
def test_asymmetric_parameters_by_fractions(lo: float, hi: float, dtype: str) -> None:
    """Eq. (1), one float32 rounding after each operation, as operators.md section 2 spells it."""
    qparams = choose(lo, hi, dtype, ONNX, symmetric=False)
    qmin, qmax = qparams.code_range
    width = Fraction(float32(Fraction(hi) - Fraction(lo)))
    scale = Fraction(float32(width / (qmax - qmin)))
    if scale < TINY:
        assert qparams.scale == 1.0, "as DynamicQuantizeLinear"
        assert qparams.zero_point == 0, "and this"
        return
    assert Fraction(float(qparams.scale)) == scale, "the scale"
    quotient = Fraction(float32(Fraction(lo) / scale))
    z = round_exact(Fraction(float32(qmin - quotient)), "half_even")
    assert qparams.zero_point == min(max(z, qmin), qmax), "the zero point"


@given(amax=st.floats(2.0**-100, 2.0**100, width=32), dtype=st.sampled_from(SIGNED))
def test_symmetric_scales_by_fractions(amax: float, dtype: str) -> None:
    """QPS-11: the three denominators, and which end has its sign; int8: 127, 127.5, -128."""
    for name in ("amax_over_qmax", "amax_over_half_range", "signed_amax_over_qmin"):
        for weight_range in ("full", "narrow"):
            contract = replace(
                ONNX, symmetric_scale=name, weight_range=weight_range, negative_scale=True
            )
            for lo, hi in ((-amax, amax / 2), (-amax / 2, amax), (-amax, amax)):
                qparams = choose(lo, hi, dtype, contract, symmetric=True)
                edge = lo if name.startswith("signed") and -lo >= hi else amax
                qmin, qmax = qparams.code_range
                denominator = {
                    "amax_over_qmax": Fraction(qmax),
                    "amax_over_half_range": Fraction(qmax - qmin, 2),
                    "signed_amax_over_qmin": Fraction(qmin),
                }[name]
                exact = float32(Fraction(edge) / denominator)
                assert float(qparams.scale) == exact, f"{name}, {weight_range}, [{lo}, {hi}]"
                assert qparams.zero_point == 0, "signed codes are around 0"


def test_the_scales_of_int8_and_int4_by_name() -> None:
    """QPS-11: what the literature means by 127, 127.5, 7, 7.5 and -8."""
    tflite = choose(-127.0, 1.0, "int8", preset("tflite_reference"), symmetric=True)
    assert float(tflite.scale) == 1.0, "amax / 127"
    assert tflite.code_range == (-127, 127), "narrow weights"
    torch = choose(-127.5, 1.0, "int8", preset("torch"), symmetric=True)
    assert float(torch.scale) == 1.0, "half of 255"
    assert torch.code_range == (-128, 127), "full"
    assert choose(-7.5, 0, "int4", preset("torch"), symmetric=True).scale == 1.0, "half of 15"
    ggml = replace(ONNX, symmetric_scale="signed_amax_over_qmin", negative_scale=True)
    down = choose(-1.0, 8.0, "int4", ggml, symmetric=True)
    assert down.scale == -1.0, "the largest is positive, its code is -8"
    assert fake_quantize(np.float32(8.0), down, contract=ggml) == 8.0, "and it is exact"


@pytest.mark.parametrize(("dtype", "middle"), [("uint8", 128), ("uint4", 8), ("uint16", 32768)])
def test_unsigned_symmetric_codes_are_around_the_middle(dtype: str, middle: int) -> None:
    qparams = choose(-2.0, 1.0, dtype, ONNX, symmetric=True)
    assert qparams.zero_point == middle, "half of the codes"
    assert float(qparams.scale) == float32(Fraction(2, middle - 1)), "amax / (qmax - z)"
    assert not choose(-2.0, 1.0, dtype, preset("ort"), symmetric=True).narrow, "narrow is signed"


REACHING = sorted(
    name
    for name, c in PRESETS.items()
    if c.range_includes_zero
    and c.symmetric_scale != "half_range_if_negative"
    and c.scale_dtype == "float32"
    and c.zero_point != "none"
)
"""The presets whose codes reach both ends of any range. GPTQ's do not, AWQ's neither."""

UNITLESS = sorted(
    name
    for name, c in PRESETS.items()
    if c.small_range == "replace" and c.scale_dtype == "float32" and c.zero_point == "integer"
)
"""The presets without a limit in the unit of the data."""


@given(bounds=ranges, dtype=st.sampled_from(DTYPES), name=st.sampled_from(REACHING))
def test_the_ends_of_the_range_lose_half_a_mark_at_most(
    bounds: tuple[float, float], dtype: str, name: str
) -> None:
    """QPS-02: but for the roundings of eq. (1) and (2), each at most 2^-24 of all the marks.

    Width, scale, lo / s, qmin - lo / s, and the quotient and product of quantize: fewer than eight.
    """
    contract = preset(name)
    lo, hi = (max(min(end, 1e30), -1e30) for end in bounds)
    for symmetric in (False, True):
        if refusal(dtype=dtype, symmetric=symmetric, contract=contract):
            continue
        qparams = choose(lo, hi, dtype, contract, symmetric=symmetric)
        if qparams.scale == contract.zero_range_scale:
            continue  # too small a range for any ruler
        qmin, qmax = qparams.full_range
        s = Fraction(float(qparams.scale))
        slack = (qmax - qmin + 1) * s / 2**21
        for end in (lo, hi):
            x = np.float32(end)
            lost = abs(
                Fraction(float(x)) - Fraction(float(fake_quantize(x, qparams, contract=contract)))
            )
            assert lost <= s / 2 + slack, f"{end} lost {float(lost / s)} marks"


# ---- where a range is no range ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize(("lo", "hi"), [(0.0, 0.0), (-0.0, 0.0), (0.0, 2.0**-149), (-1e-40, 0.0)])
def test_a_range_too_small_takes_the_declared_scale(
    dtype: str, name: str, lo: float, hi: float
) -> None:
    """QPS-04, QPS-06: zero and subnormal ranges; every value becomes 0, nothing 0/0."""
    contract = preset(name)
    if contract.small_range != "replace":
        return  # what the others do: test_small_range.py
    for symmetric, z in ((False, 0), (True, 0 if dtype[0] == "i" else 2 ** (int(dtype[4:]) - 1))):
        if refusal(dtype=dtype, symmetric=symmetric, contract=contract):
            continue
        if contract.zero_point != "integer":
            z = 0  # the code of zero, also where codes are unsigned and symmetric
            if contract.zero_point == "offset":
                continue  # what the code 0 means: test_parameters.py
        qparams = choose(lo, hi, dtype, contract, symmetric=symmetric)
        assert qparams.scale == np.float32(contract.zero_range_scale), "the declared scale"
        assert qparams.zero_point == z, "the declared zero point"
        x = np.array([lo, hi, 0.0], np.float32)
        assert fake_quantize(x, qparams, contract=contract).tolist() == [0, 0, 0], "all zero"


@pytest.mark.parametrize("parameter_dtype", AXES["parameter_dtype"])
def test_the_smallest_scale_is_the_smallest_normal_float(parameter_dtype: str) -> None:
    """QPS-06: one float below, and the range is too small."""
    contract = replace(ONNX, parameter_dtype=parameter_dtype)
    hi = np.float32(255 * TINY)
    assert choose(0.0, float(hi), "uint8", contract, symmetric=False).scale == TINY, "just enough"
    below = float(np.nextafter(hi, np.float32(0)))
    assert choose(0.0, below, "uint8", contract, symmetric=False).scale == 1.0, "just too small"


@pytest.mark.parametrize("value", [5.0, -5.0, 1e-30, -1e30, 0.3])
@pytest.mark.parametrize("includes", [False, True])
def test_a_constant_survives(value: float, includes: bool) -> None:
    """QPS-05: one point is widened to include zero, and is then an end of the range."""
    contract = replace(ONNX, range_includes_zero=includes)
    x = np.float32(value)
    for dtype in ("int8", "uint8"):
        qparams = choose(value, value, dtype, contract, symmetric=False)
        lost = abs(float(fake_quantize(x, qparams, contract=contract)) - float(x))
        assert lost <= abs(value) * 2.0**-22, "exact but for the roundings of s and of the product"


@pytest.mark.parametrize(("lo", "hi"), [(4.0, 5.0), (-5.0, -4.0)])
def test_a_range_without_zero_is_lost_unless_it_is_widened(lo: float, hi: float) -> None:
    """QPS-05: what `range_includes_zero` is for; AWQ's zeros clip like this."""
    widened = choose(lo, hi, "uint8", ONNX, symmetric=False)
    assert float(widened.scale) == float32(Fraction(5, 255)), "0 to 5"
    contract = replace(ONNX, range_includes_zero=False)
    as_is = choose(lo, hi, "uint8", contract, symmetric=False)
    assert float(as_is.scale) == float32(Fraction(1, 255)), "a width of 1"
    assert as_is.zero_point == (0 if lo > 0 else 255), "the zero point is clamped"
    reach = max(abs(fake_quantize(np.array([lo, hi], np.float32), as_is, contract=contract)))
    assert reach <= 1, "and the codes reach to 1 only"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_range_that_is_not_finite_is_refused(bad: float) -> None:
    """QPS-07, QPS-08: NaN, infinities, and the (inf, -inf) of an observer that saw nothing."""
    for lo, hi in ((bad, 1.0), (-1.0, bad), (math.inf, -math.inf)):
        with pytest.raises(ValueError, match=r"(lo|hi) must be finite float32, got "):
            choose(lo, hi, "int8", ONNX, symmetric=False)


def test_an_enormous_range_needs_float64() -> None:
    """QPS-03: hi - lo overflows float32; the result does not."""
    with pytest.raises(ValueError, match="than a float32 scale can hold: lo -3"):
        choose(-3e38, 3e38, "uint8", ONNX, symmetric=False)
    wide = choose(-3e38, 3e38, "uint8", preset("ort"), symmetric=False)
    assert wide.zero_point == 128, "the middle, 127.5, to even"


def test_a_reversed_range_and_wrong_types_are_refused() -> None:
    with pytest.raises(ValueError, match="lo must be of the shape of hi and not above it"):
        choose(1.0, 0.0, "int8", ONNX, symmetric=False)
    wrong: Any = np.float64(0)
    with pytest.raises(ValueError, match="lo must be finite float32, got float64"):
        choose_qparams(wrong, np.float32(1), dtype="int8", symmetric=False, contract=ONNX)
    for dtype in ("int0", "int17", "int32", "float32", "int"):
        with pytest.raises(ValueError, match=f"dtype must be .*got '{dtype}'"):
            choose(0.0, 1.0, dtype, ONNX, symmetric=False)
    with pytest.raises(ValueError, match="amax_over_qmax needs a positive code"):
        choose(-1.0, 1.0, "int1", ONNX, symmetric=True)


@given(
    bounds=ranges.filter(lambda b: 1e-20 < b[1] - b[0] < 1e20),
    power=st.integers(-20, 20),
    name=st.sampled_from(UNITLESS),
    symmetric=st.booleans(),
)
def test_units_do_not_matter(
    bounds: tuple[float, float], power: int, name: str, symmetric: bool
) -> None:
    """QPS-10: 2^p times the data is 2^p times the scale and the same zero point."""
    lo, hi = ((0.0 if abs(end) < 1e-20 else end) for end in bounds)
    if refusal(dtype="int8", symmetric=symmetric, contract=preset(name)):
        return
    one = choose(lo, hi, "int8", preset(name), symmetric=symmetric)
    other = choose(lo * 2.0**power, hi * 2.0**power, "int8", preset(name), symmetric=symmetric)
    if one.scale == preset(name).zero_range_scale:
        return
    assert other.scale == one.scale * np.float32(2.0**power), "the scale has the data's unit"
    assert other.zero_point == one.zero_point, "the zero point has none"


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_blocks_are_a_loop_of_scalars(name: str, symmetric: bool) -> None:
    """QDQ-19: an array of ranges, one of them of no width."""
    lo = np.array([[-1.0], [0.0], [-3.0], [0.5]], np.float32)
    hi = np.array([[2.0], [0.0], [-1.0], [7.0]], np.float32)
    dtype = "int8" if symmetric else "uint8"
    if refusal(dtype=dtype, symmetric=symmetric, contract=preset(name)):
        return
    qparams = choose_qparams(
        lo, hi, dtype=dtype, symmetric=symmetric, contract=preset(name), block_shape=(1, 6)
    )
    assert (np.shape(qparams.scale), qparams.block_shape) == ((4, 1), (1, 6)), "one a block"
    for i in range(4):
        one = choose(lo[i, 0], hi[i, 0], dtype, preset(name), symmetric=symmetric)
        assert np.asarray(qparams.scale)[i, 0] == one.scale, f"scale of block {i}"
        assert np.asarray(qparams.zero_point)[i, 0] == one.zero_point, f"zero point of block {i}"
        if one.inverse is not None:
            assert np.asarray(qparams.inverse)[i, 0] == one.inverse, f"inverse of block {i}"
