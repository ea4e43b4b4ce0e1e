"""Affine codes, judged one by one by exact fractions; QDQ-.. are ids of the property list."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import AXES, Contract, preset
from refquant.formats.affine import QParams, dequantize, quantize
from refquant_conformance.oracle import float32, quantize_exact, round_exact
from refquant_conformance.strategies import quantizer_inputs
from tests.refquant.formats.rulers import (
    DTYPES,
    LARGEST,
    NEAREST,
    ONNX,
    QUANTIZE_AXES,
    Float32,
    around_ties,
    codes_of,
    contracts,
    f32,
    ruler,
    rulers,
)


def exact(x: Float32, qparams: QParams, contract: Contract) -> list[int]:
    qmin, qmax = qparams.code_range
    return [
        quantize_exact(
            float(value),
            scale=float(qparams.scale),
            zero_point=int(qparams.zero_point),
            qmin=qmin,
            qmax=qmax,
            axes=contract.to_json(),
        )
        for value in x
    ]


# ---- the oracle -------------------------------------------------------------------------------


@given(data=st.data(), contract=contracts(), qparams=rulers())
def test_codes_are_those_of_the_exact_oracle(
    data: st.DataObject, contract: Contract, qparams: QParams
) -> None:
    """QDQ-03: any contract, any width, any scale, on inputs that lean on ties and edges."""
    qmin, qmax = qparams.code_range
    x = data.draw(
        quantizer_inputs(
            scale=float(qparams.scale),
            zero_point=int(qparams.zero_point),
            qmin=qmin,
            qmax=qmax,
            allow_nan=contract.nan != "error",
        )
    )
    assert codes_of(x, qparams, contract) == exact(x, qparams, contract), "the oracle differs"


COMBINATIONS = [
    values
    for values in itertools.product(*(AXES[axis] for axis in QUANTIZE_AXES[:5]))
    if "before_scaling" not in values  # of offsets: test_affine_kinds.py
    and ("fused" not in values or "reciprocal_f32" in values)
]


@pytest.mark.parametrize("scale", [0.25, 0.1, 1 / 3, -1 / 255])
def test_every_combination_of_axes_around_every_kind_of_tie(scale: float) -> None:
    """QDQ-02, QDQ-03: all rounding x scale_op x zero_point_at x clamp x overflow, both signs."""
    far = f32(3e9, -3e9, math.inf, -math.inf, LARGEST)
    x = np.concatenate([around_ties(float32(Fraction(scale)), (-10, -1, 0, 1, 6)), far])
    qparams = ruler(scale, 3, "int4")
    for values in COMBINATIONS:
        axes: dict[str, Any] = dict(zip(QUANTIZE_AXES, values, strict=False))
        contract = replace(ONNX, name="mine", negative_scale=True, **axes)
        assert codes_of(x, qparams, contract) == exact(x, qparams, contract), f"{axes} differs"


# ---- ties -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounding", AXES["rounding"])
@pytest.mark.parametrize("scale", [1.0, 0.125, 2.0**-100, 2.0**90])
def test_every_tie_follows_the_rule(rounding: str, scale: float) -> None:
    """QDQ-02: powers of two make ties exact, over the whole range of int8."""
    ks = range(-128, 127)
    x = f32(*((k + 0.5) * scale for k in ks))
    contract = replace(ONNX, rounding=rounding)
    expected = [round_exact(Fraction(2 * k + 1, 2), rounding) for k in ks]
    assert codes_of(x, ruler(scale, 0, "int8"), contract) == expected, "at every tie"


@pytest.mark.parametrize("rounding", NEAREST)
def test_half_is_not_added_in_floating_point(rounding: str) -> None:
    """QDQ-04: 0.49999997 + 0.5 is 1.0 in float32, yet nearest to 0."""
    below_half = float(np.nextafter(np.float32(0.5), np.float32(0)))
    x = f32(below_half, -below_half, 2.0**23 - 0.5, 2.0**23 + 1, -(2.0**23) - 1)
    contract = replace(ONNX, rounding=rounding)
    assert codes_of(x[:2], ruler(1.0, 7, "uint8"), contract) == [7, 7], "both are nearest to 0"
    wide = ruler(1.0, 0, "int32")
    up = round_exact(Fraction(2**24 - 1, 2), rounding)
    expected = [up, 2**23 + 1, -(2**23) - 1]
    assert codes_of(x[2:], wide, contract) == expected, "large odd numbers stay what they are"


@given(zero_point=st.integers(-100, 100), k=st.integers(-20, 20))
def test_the_place_of_the_zero_point_shows_at_ties_when_it_is_odd(zero_point: int, k: int) -> None:
    """QDQ-05, QDQ-17: after rounding, z shifts codes; before, an odd z flips ties to even."""
    x = f32(k + 0.5)
    after = codes_of(x, ruler(1.0, zero_point, "int8"))
    assert after == [codes_of(x, ruler(1.0, 0, "int8"))[0] + zero_point], "a shift, nothing else"
    before = replace(ONNX, zero_point_at="before_rounding")
    sum_tie = round_exact(Fraction(2 * (k + zero_point) + 1, 2), "half_even")
    assert codes_of(x, ruler(1.0, zero_point, "int8"), before) == [sum_tie], "the sum is the tie"


def test_a_reciprocal_is_not_a_division() -> None:
    """QDQ-03: the witness in FBGEMM's own comment, 127.499992 against 127.5."""
    x, qparams = f32(0.273939937), ruler(0.00214854861, 0, "uint8")
    assert codes_of(x, qparams) == [127], "the quotient is below the tie"
    reciprocal = replace(ONNX, scale_op="reciprocal_f32")
    assert codes_of(x, qparams, reciprocal) == [128], "the product is the tie, 128 is even"


# ---- edges ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clamp", AXES["clamp"])
def test_what_is_beyond_the_range_saturates_on_its_side(dtype: str, clamp: str) -> None:
    """QDQ-06, QDQ-07, QDQ-21: up to infinity, around 2^24, 2^31 and 2^63, for all widths."""
    far = [2.0**17, 2.0**24, 2.0**31 - 128, 2.0**31, 3e9, 2.0**63, LARGEST, math.inf]
    contract = replace(ONNX, clamp=clamp)
    for scale in (1.0, 2.0**-126):
        qmin, qmax = ruler(scale, 0, dtype).code_range
        for zero_point in (qmin, 0, qmax):
            qparams = ruler(scale, zero_point, dtype)
            above = codes_of(f32(*far), qparams, contract)
            assert above == [qmax] * len(far), "above is qmax"
            below = codes_of(f32(*(-v for v in far)), qparams, contract)
            assert below == [qmin] * len(far), "below is qmin"


def test_a_cast_before_the_clamp_sends_large_values_to_the_wrong_side() -> None:
    """QDQ-06: what TFLite's kernels do to 3e9 and infinity, and where the sum wraps."""
    cast, far = preset("tflite_reference"), f32(3e9, math.inf, -3e9, math.nan)
    assert codes_of(far, ruler(1.0, 0, "int8"), cast) == [-128] * 4, "-2^31, clamped"
    assert codes_of(far, ruler(1.0, -1, "int8"), cast) == [127] * 4, "-2^31 - 1 wraps to 2^31 - 1"


def test_wrap_keeps_the_low_bits() -> None:
    """QDQ-21: what a plain narrowing cast does; infinity has the low bits of -2^31."""
    contract = replace(ONNX, overflow="wrap")
    x = f32(127, 128, 129, 300, -129, -300, math.inf)
    expected = [(int(v) + 128) % 256 - 128 for v in x[:-1]] + [0]
    assert codes_of(x, ruler(1.0, 0, "int8"), contract) == expected, "modulo 256, signed"
    assert codes_of(f32(16, 17, -1), ruler(1.0, 0, "uint4"), contract) == [0, 1, 15], "modulo 16"


@pytest.mark.parametrize("narrow", [False, True])
def test_the_lowest_code_is_reachable_exactly_if_declared(narrow: bool) -> None:
    """QDQ-18."""
    qparams = ruler(1.0, 0, "int8", narrow=narrow)
    expected = [-128 + narrow] * 2 + [127]
    assert codes_of(f32(-128, -1e9, 1e9), qparams) == expected, "-128 unless narrow"


# ---- NaN, zeros, subnormals -------------------------------------------------------------------


@pytest.mark.parametrize("clamp", AXES["clamp"])
@pytest.mark.parametrize("overflow", AXES["overflow"])
@pytest.mark.parametrize("nan", ["qmin", "qmax", "zero", "zero_point"])
def test_nan_has_the_declared_code_at_every_position(nan: str, overflow: str, clamp: str) -> None:
    """QDQ-08: any sign and payload, any position, per tensor and per channel."""
    contract = replace(ONNX, nan=nan, overflow=overflow, clamp=clamp)
    nans = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    code = {"qmin": -128, "qmax": 127, "zero": 0, "zero_point": 5}[nan]
    for position in range(9):
        for value in nans:
            x = np.ones((9, 2), np.float32)
            x[position] = value
            channels = QParams(np.ones((9, 1), np.float32), np.full((9, 1), 5), (1, 2), "int8")
            for qparams in (ruler(1.0, 5, "int8"), channels):
                codes = quantize(x, qparams, contract=contract)
                assert (codes[position] == code).all(), "NaN has the declared code"
                assert (np.delete(codes, position, axis=0) == 6).all(), "neighbours keep theirs"


@pytest.mark.parametrize("overflow", AXES["overflow"])
def test_nan_is_refused_where_it_is_an_error(overflow: str) -> None:
    """QDQ-08."""
    contract = replace(ONNX, nan="error", overflow=overflow)
    with pytest.raises(ValueError, match=r"x must not hold NaN in contract 'onnx' .axis nan"):
        quantize(f32(0.0, math.nan), ruler(1.0, 0, "int8"), contract=contract)
    assert codes_of(f32(0.0, 1.0), ruler(1.0, 0, "int8"), contract) == [0, 1], "numbers pass"


@given(qparams=rulers(), contract=contracts())
def test_zero_of_either_sign_is_the_zero_point_and_back(
    qparams: QParams, contract: Contract
) -> None:
    """QDQ-09, QPS-01: the point of having one."""
    z = int(qparams.zero_point)
    assert codes_of(f32(0.0, -0.0), qparams, contract) == [z, z], "zero has the code z"
    back = dequantize(np.array([z]), qparams)
    assert back.tolist() == [0.0], "and z means zero exactly"


def test_subnormal_inputs_are_numbers() -> None:
    """QDQ-10: nothing is flushed to zero."""
    x = f32(2.0**-127, -(2.0**-127), 1.5 * 2.0**-126, 2.0**-149)
    assert codes_of(x, ruler(2.0**-126, 0, "int8")) == [0, 0, 2, 0], "ties of the smallest scale"
    up = replace(ONNX, rounding="ceil")
    assert codes_of(x[3:], ruler(1.0, 0, "int8"), up) == [1], "the smallest float is above 0"
