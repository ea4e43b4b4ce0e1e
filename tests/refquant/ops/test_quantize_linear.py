"""Dynamic quantization at its edges."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams
from refquant.formats.affine import dequantize as affine_dequantize
from refquant.formats.affine import quantize as affine_quantize
from refquant.ops.quantize_linear import (
    dequantize_linear,
    dynamic_quantize_linear,
    quantize_linear,
)

RNG = np.random.default_rng(23)
F = np.float32
ONNX = preset("onnx")
TINY = F(1e-45)  # the smallest subnormal


def run(*values: float, contract: Contract = ONNX) -> tuple[list[int], float, int]:
    codes, scale, zero_point = dynamic_quantize_linear(np.array(values, F), contract)
    assert (str(codes.dtype), str(scale.dtype), str(zero_point.dtype)) == (
        "uint8",
        "float32",
        "uint8",
    ), "ONNX's output types"
    assert scale.shape == zero_point.shape == (), "scalars"
    return codes.tolist(), float(scale), int(zero_point)


@pytest.mark.parametrize("seed", range(20))
def test_scale_zero_point_and_codes_round_as_written(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(3, 7)) * 10.0 ** rng.integers(-5, 6) + rng.normal()).astype(F)
    codes, scale, zero_point = dynamic_quantize_linear(x, ONNX)
    lo, hi = min(F(0), x.min()), max(F(0), x.max())
    s = F(F(hi - lo) / F(255))
    z = min(max(round(float(F(F(0) - F(lo / s)))), 0), 255)
    assert (float(scale), int(zero_point)) == (float(s), z), "eqs. (2) and (3)"
    for index in np.ndindex(*x.shape):
        expected = min(max(round(float(F(x[index] / s))) + z, 0), 255)
        assert int(codes[index]) == expected, f"code {index}"


def test_zero_has_a_code_and_the_ends_are_within_half_a_step() -> None:
    for _ in range(50):
        x = RNG.normal(RNG.normal(), 1, 9).astype(F)
        codes, scale, zero_point = dynamic_quantize_linear(x, ONNX)
        q = QParams(scale[()], np.int32(zero_point), None, "uint8")
        assert affine_dequantize(np.asarray(zero_point), q) == 0, "the real 0 is a code"
        for value, code in zip(x, codes, strict=True):
            # Half a step, and up to half a step more where the rounding of z moved the range;
            # the float32 steps add less than 2**-20 of the range.
            error = abs(
                Fraction(float(value)) - Fraction(float(scale)) * (int(code) - int(zero_point))
            )
            assert error <= Fraction(float(scale)) * Fraction(1001, 1000), "one step at most"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), ([], 1.0, 0)),
        ((0.0, 0.0), ([0, 0], 1.0, 0)),
        ((-0.0,), ([0], 1.0, 0)),
        ((255.0, 51.0), ([255, 51], 1.0, 0)),  # one-sided: the range still includes 0
        ((-255.0, -51.0), ([0, 204], 1.0, 255)),
        ((510.0,), ([255], 2.0, 0)),  # constant
        ((-510.0,), ([0], 2.0, 255)),
        ((-1.0, 254.0), ([0, 255], 1.0, 1)),
        ((-0.5, 254.5, 2.5), ([0, 254, 2], 1.0, 0)),  # ties to even: z = 0.5, 254.5, 2.5
        ((-1.5, 253.5), ([0, 255], 1.0, 2)),  # 254 + 2 saturates
        ((-1.4999999, 253.5), ([0, 255], 1.0, 1)),  # z is below the tie, not on it
        ((np.nan, 255.0), ([0, 255], 1.0, 0)),  # NaN is ignored by the range, qmin by onnx
        ((np.nan,), ([0], 1.0, 0)),
    ],
)
def test_edges(values: tuple[float, ...], expected: Any) -> None:
    assert run(*values) == expected, f"DynamicQuantizeLinear({values})"


@pytest.mark.parametrize("name", ["onnx", "torch", "tflite_reference"])
def test_infinite_ranges_have_an_infinite_scale(name: str) -> None:
    contract = preset(name)
    # z = 0: lo / s is NaN or 0. Finite values have the code z, infinite ones are NaN by then.
    codes, scale, zero_point = run(np.inf, 1.0, -3.0, contract=contract)
    assert (scale, zero_point) == (np.inf, 0), "hi - lo is infinite"
    assert codes[1:] == [0, 0], "x / inf = 0"
    assert codes[0] == {"qmin": 0, "qmax": 255, "int32_min": 0}[contract.nan], "inf / inf by `nan`"
    codes, scale, zero_point = run(-np.inf, 1.0, contract=contract)
    assert (scale, zero_point, codes[1]) == (np.inf, 0, 0), "-inf / inf is NaN, so z = 0"
    codes, scale, zero_point = run(3e38, -3e38, 1.0, contract=contract)
    assert (codes, scale, zero_point) == ([0, 0, 0], np.inf, 0), "the range overflows"


def test_denormal_ranges() -> None:
    assert run(1e-45, 0.0) == ([0, 0], 1.0, 0), "s = 1e-45 / 255 rounds to 0"
    assert run(-1e-43, 0.0) == ([0, 0], 1.0, 0), "still 0: 71 / 255 of a subnormal step"
    # 200 subnormal steps: s = 200 / 255 rounds to one step.
    assert run(float(200 * TINY), float(7 * TINY)) == ([200, 7], float(TINY), 0), "s = 2**-149"
    top = float(F(2.0**-120))
    codes, scale, zero_point = run(top, -top / 2)
    s = F(F(F(top) + F(top / 2)) / F(255))
    assert 0 < scale < 2.0**-126, "a subnormal scale"
    assert (codes, zero_point) == ([255, 0], round(float(F(F(top / 2) / s)))), "and its codes"
    assert scale == float(s), "rounded to a subnormal float32"


def test_a_subnormal_scale_by_the_other_divisions() -> None:
    x = np.array([200, 100, 3], F) * TINY
    axes = ONNX.to_json()
    wide = Contract.from_json("wide", {**axes, "scale_op": "divide_f64"})
    assert dynamic_quantize_linear(x, wide)[0].tolist() == [200, 100, 3], "exact quotients"
    # f32(1 / 2**-149) is infinite, and the reciprocal is what this contract multiplies by.
    reciprocal = Contract.from_json("mul", {**axes, "scale_op": "reciprocal_f32"})
    assert dynamic_quantize_linear(x, reciprocal)[0].tolist() == [255] * 3, "x * inf saturates"


def test_a_contract_that_refuses_nan_refuses_it() -> None:
    strict = Contract.from_json("strict", {**ONNX.to_json(), "nan": "error"})
    with pytest.raises(ValueError, match="NaN"):
        run(np.nan, 1.0, contract=strict)
    with pytest.raises(ValueError, match="NaN"):
        run(np.inf, 1.0, contract=strict)


def test_the_other_two_are_the_affine_format() -> None:
    x = RNG.normal(size=(4, 6)).astype(F)
    q = QParams(
        RNG.uniform(0.01, 0.1, (4, 1)).astype(F),
        RNG.integers(-9, 9, (4, 1)).astype(np.int32),
        (1, 6),
        "int8",
    )
    codes = quantize_linear(x, q, ONNX)
    assert np.array_equal(codes, affine_quantize(x, q, contract=ONNX)), "QuantizeLinear"
    assert np.array_equal(dequantize_linear(codes, q), affine_dequantize(codes, q)), "and back"
    with pytest.raises(ValueError, match="QuantizeLinear: x must be float32, got float64"):
        quantize_linear(x.astype(np.float64), q, ONNX)
    with pytest.raises(ValueError, match="DynamicQuantizeLinear: x must be float32"):
        dynamic_quantize_linear(x.astype(np.float64), ONNX)
