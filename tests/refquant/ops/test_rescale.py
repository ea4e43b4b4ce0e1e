"""Requantization against exact rationals and Python integers, channel by channel."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams
from refquant.ops.accumulate import AccumulatorOverflowError
from refquant.ops.rescale import (
    add_bias,
    channel_parameters,
    clamp_codes,
    need_float32,
    output_multiplier,
    rescale,
    scalar_parameters,
    to_float,
)

RNG = np.random.default_rng(11)
ONE = np.array(1.0, np.float32)
INT32 = np.array([-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 2, 2**31 - 1])


def qparams(scale: float, zero_point: int = 0, dtype: str = "int8") -> QParams:
    return QParams(np.float32(scale), np.int32(zero_point), None, dtype)


def nearest_f32(x: Fraction) -> Fraction:
    """The float32 (normal) nearest to ``x``, ties to even, by rational arithmetic alone."""
    if x == 0:
        return x
    exponent = math.floor(math.log2(abs(x)))
    while abs(x) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(x) < Fraction(2) ** exponent:
        exponent -= 1
    step = Fraction(2) ** (exponent - 23)
    return round(x / step) * step  # Python rounds a Fraction half to even


def exact_float_rne(acc: int, sx: Any, sw: Any, sy: Any) -> int:
    m = nearest_f32(nearest_f32(Fraction(float(sx)) * Fraction(float(sw))) / Fraction(float(sy)))
    return round(nearest_f32(nearest_f32(Fraction(acc)) * m))


def exact_gemmlowp_double(acc: int, sx: Any, sw: Any, sy: Any) -> int:
    """As gemmlowp writes it, with truncating division, in Python integers."""
    fraction, shift = math.frexp(float(sx) * float(sw) / float(sy))
    m = math.floor(Fraction(fraction) * 2**31 + Fraction(1, 2))
    if m == 2**31:
        m, shift = m // 2, shift + 1
    if shift < -31:
        m, shift = 0, 0
    product = (acc << max(shift, 0)) * m
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)
    right = max(-shift, 0)
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


EXACT = {"ort": exact_float_rne, "tflite_reference": exact_gemmlowp_double}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(
    ("sx", "sw", "sy"),
    [
        (0.5, 0.5, 1.0),  # m = 1/4: every second accumulator near a tie
        (1.0, 0.125, 1.0),
        (0.05, 0.003, 0.1),  # m = 0.0015
        (0.0235294, 0.0078125, 0.0470588),  # no exact anything
        (1.0, 0.75, 1.0),  # 3/4: ties at every 2nd of 4
        (1e-5, 1e-5, 1.0),  # everything vanishes
    ],
)
def test_codes_before_the_clamp_are_those_of_the_exact_arithmetic(
    name: str, sx: float, sw: float, sy: float
) -> None:
    acc = np.concatenate([np.arange(-600, 601), RNG.integers(-(2**18), 2**18, 300)])
    scales = [np.float32(s) for s in (sx, sw, sy)]
    contract = preset(name)
    multiplier = output_multiplier(*scales, contract=contract)
    exact = [EXACT[name](int(a), *scales) for a in acc]
    for zero_point in (0, 7, -128):
        got = rescale(
            "Conv", acc, multiplier, y_qparams=qparams(sy, zero_point, "int16"), contract=contract
        )
        expected = [min(max(code + zero_point, -32768), 32767) for code in exact]
        assert got.tolist() == expected, f"{name}, zero point {zero_point}: codes differ"


@pytest.mark.parametrize("name", EXACT)
def test_every_channel_has_its_own_multiplier(name: str) -> None:
    sw = np.array([0.5, 0.25, 0.0123, 1e-4], np.float32)
    acc = RNG.integers(-4000, 4000, (3, 4, 5))
    contract = preset(name)
    multiplier = output_multiplier(0.5, sw, 2.0, contract=contract).reshape(4, 1)
    got = rescale("Conv", acc, multiplier, y_qparams=qparams(2.0, 3), contract=contract)
    for n, c, o in np.ndindex(acc.shape):
        exact = EXACT[name](int(acc[n, c, o]), 0.5, sw[c], 2.0) + 3
        expected = min(max(exact, -128), 127)
        assert int(got[n, c, o]) == expected, f"acc {acc[n, c, o]} of channel {c}"


def test_ties_of_negative_accumulators_tell_the_modes_apart() -> None:
    acc = np.array([-6, -5, -2, 2, 6])
    codes = {
        name: rescale(
            "Conv",
            acc,
            output_multiplier(0.5, 0.5, 1.0, contract=preset(name)),
            y_qparams=qparams(1.0),
            contract=preset(name),
        ).tolist()
        for name in ("onnx", "tflite_reference", "tflite_builtin")
    }
    assert codes == {
        "onnx": [-2, -1, 0, 0, 2],  # -1.5, -0.5, 0.5, 1.5 to even
        "tflite_reference": [-2, -1, -1, 1, 2],  # away from zero
        "tflite_builtin": [-1, -1, 0, 1, 2],  # up
    }, "acc / 4"


def test_the_mode_with_the_early_zero_point_moves_ties() -> None:
    axes = {**preset("onnx").to_json(), "requantize": "float_zp_before_round"}
    contract = Contract.from_json("evaluator", axes)
    acc = np.arange(-4, 5)
    multiplier = output_multiplier(1.0, 0.5, 1.0, contract=contract)
    got = rescale("Conv", acc, multiplier, y_qparams=qparams(1.0, 1), contract=contract)
    assert got.tolist() == [-1, 0, 0, 0, 1, 2, 2, 2, 3], "rint(acc / 2 + 1)"


def test_extreme_accumulators_saturate_to_the_codes() -> None:
    # TFLite makes 1/4 a 1: one half, rounded up, is one half again after the shift.
    for name, quarter in (("onnx", 0), ("tflite_reference", 1)):
        contract = preset(name)
        multiplier = output_multiplier(0.5, 0.5, 1.0, contract=contract)
        got = rescale("Conv", INT32, multiplier, y_qparams=qparams(1.0), contract=contract)
        expected = [-128, -128, 0, 0, quarter, 127, 127]
        assert got.tolist() == expected, f"{name} at the ends of int32"


def test_multipliers_round_where_the_text_says() -> None:
    sx, sw, sy = np.float32(0.1), np.float32(0.3), np.float32(0.7)
    single = output_multiplier(sx, sw, sy, contract=preset("ort"))
    double = output_multiplier(sx, sw, sy, contract=preset("tflite_reference"))
    exact = nearest_f32(
        nearest_f32(Fraction(float(sx)) * Fraction(float(sw))) / Fraction(float(sy))
    )
    assert single.dtype == np.float32, "the float modes multiply in float32"
    assert Fraction(float(single)) == exact, "f32(f32(sx sw) / sy)"
    expected = float(sx) * float(sw) / float(sy)
    assert double.dtype == np.float64, "fixed-point multipliers start from float64"
    assert float(double) == expected, "float64 of the float32 scales"


def test_a_float32_accumulator_is_refused() -> None:
    contract = Contract.from_json("bnb", {**preset("onnx").to_json(), "accumulator": "float32"})
    with pytest.raises(ValueError, match="Conv: contract 'bnb' has accumulator 'float32'"):
        rescale("Conv", INT32, ONE, y_qparams=qparams(1), contract=contract)


def test_an_accumulator_that_wraps_is_modulo_2_to_the_32() -> None:
    contract = Contract.from_json("w", {**preset("onnx").to_json(), "accumulator": "int32_wrap"})
    acc = np.array([2**31 - 1, 2**31, -(2**31) - 1, 2**32 + 5, 5])
    got = rescale("Conv", acc, ONE, y_qparams=qparams(1.0), contract=contract)
    assert got.tolist() == [127, -128, 127, 5, 5], f"{got}"


def test_an_accumulator_outside_int32_is_refused() -> None:
    for name in ("onnx", "tflite_reference"):
        with pytest.raises(AccumulatorOverflowError, match=r"Gemm: .*outside int32"):
            rescale(
                "Gemm",
                np.array([2**31]),
                ONE,
                y_qparams=qparams(1),
                contract=preset(name),
            )


# --- clamps, biases, parameters ------------------------------------------------------------


def test_the_clamp_is_the_dtype_or_the_attributes() -> None:
    codes = np.array([-(2**40), -200, -1, 5, 300, 2**40])
    assert clamp_codes("Relu", codes, "uint8", None, None).tolist() == [0, 0, 0, 5, 255, 255], (
        "the dtype's range"
    )
    assert clamp_codes("Relu", codes, "int8", -1, 6).tolist() == [-1, -1, -1, 5, 6, 6], "attributes"
    assert clamp_codes("Relu", codes, "int16", None, None).dtype == np.int16, "cast to the dtype"


@pytest.mark.parametrize(("low", "high"), [(-129, None), (None, 128), (5, 4)])
def test_a_clamp_outside_the_codes_is_refused(low: int | None, high: int | None) -> None:
    with pytest.raises(ValueError, match=r"Conv: attributes clamp_min and clamp_max must be"):
        clamp_codes("Conv", np.zeros(1, np.int64), "int8", low, high)


def test_an_integer_bias_is_exact_and_a_float_bias_rounds_once() -> None:
    acc = np.array([[2**31 - 1, 0]])
    total = add_bias("Gemm", acc, np.array([2**31 - 1, -5], np.int32), axis=-1)
    assert total.tolist() == [[2**32 - 2, -5]], "int64 holds the sum"
    y = add_bias("Gemm", np.array([[2.0**24]], np.float32), np.ones(1, np.float32), axis=-1)
    assert y.dtype == np.float32, "float32 in, float32 out"
    assert y.tolist() == [[2.0**24]], "one float32 rounding"


@pytest.mark.parametrize(
    ("values", "bias", "message"),
    [
        (np.zeros((1, 2)), np.zeros(3, np.float32), r"bias must have shape \(2,\), got \(3,\)"),
        (np.zeros((1, 2)), np.zeros(2, np.int32), "bias must be float32, got int32"),
        (np.zeros((1, 2)), np.zeros(2, np.float64), "bias must be float32, got float64"),
        (np.zeros((1, 2), np.int64), np.zeros(2, np.float32), "bias must be int32, got float32"),
    ],
)
def test_a_wrong_bias_is_refused(values: Any, bias: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"Gemm: {message}"):
        add_bias("Gemm", values, bias, axis=-1)


def test_parameters_per_tensor_or_per_output_channel_only() -> None:
    per_row = QParams(np.ones((2, 1), np.float32), np.zeros((2, 1), np.int32), (1, 3), dtype="int8")
    scale, zero_point = channel_parameters("Gemm", per_row, (2, 3), axis=0)
    assert (scale.shape, zero_point.shape) == ((2,), (2,)), "one a row, as vectors"
    assert channel_parameters("Gemm", qparams(2.0, 5), (2, 3), axis=0)[1].tolist() == [5], "one"
    with pytest.raises(ValueError, match=r"Gemm: the scale of w \(2, 3\) .*shape \(1, 3\)"):
        channel_parameters("Gemm", per_row, (2, 3), axis=1)
    with pytest.raises(ValueError, match=r"Add: a must be quantized per tensor"):
        scalar_parameters("Add", "a", per_row)


def test_to_float_rounds_three_times() -> None:
    acc = np.array([[2**24 + 1, -7]])
    sw = np.array([0.1, 0.3], np.float32)
    got = to_float("MatMulIntegerToFloat", acc, np.float32(0.7), sw, np.zeros(1, np.int32), axis=-1)
    for n in range(2):
        step = nearest_f32(Fraction(float(np.float32(0.7))) * Fraction(float(sw[n])))
        expected = nearest_f32(nearest_f32(Fraction(int(acc[0, n]))) * step)
        assert Fraction(float(got[0, n])) == expected, f"f32(f32(acc) * f32(sx * sw)), column {n}"
    with pytest.raises(ValueError, match="zero point of w must be 0, got 3"):
        to_float("MatMulIntegerToFloat", acc, 0.7, sw, np.array([0, 3]), axis=-1)
    with pytest.raises(ValueError, match="x_scale must be one number"):
        to_float("MatMulIntegerToFloat", acc, [0.7, 1.0], sw, np.zeros(1, np.int32), axis=-1)


def test_float_operators_refuse_other_dtypes() -> None:
    with pytest.raises(ValueError, match="Conv: w must be float32, got float64"):
        need_float32("Conv", x=np.zeros(1, np.float32), w=np.zeros(1))
