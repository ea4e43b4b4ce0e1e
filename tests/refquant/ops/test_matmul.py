"""Matrix products: the normative order bit for bit; quantized, a sum of integers."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.accumulate import AccumulatorOverflowError
from refquant.ops.matmul import (
    gemm_f32,
    gemm_quantized,
    matmul_f32,
    matmul_integer,
    matmul_integer_to_float,
    matmul_quantized,
)

RNG = np.random.default_rng(5)
F = np.float32


def wild(*shape: int) -> Any:
    return (RNG.normal(size=shape) * 10.0 ** RNG.integers(-3, 4, shape)).astype(F)


def scalar_loop(x: Any, w: Any) -> Any:
    y = np.zeros((x.shape[0], w.shape[1]), F)
    for m, n in np.ndindex(y.shape):
        for k in range(x.shape[1]):
            y[m, n] = F(y[m, n] + F(x[m, k] * w[k, n]))
    return y


def test_matmul_is_the_scalar_loop_bit_for_bit() -> None:
    x, w = wild(5, 23), wild(23, 4)
    assert np.array_equal(matmul_f32(x, w), scalar_loop(x, w)), "k ascending, two roundings a step"


def test_matmul_broadcasts_leading_axes() -> None:
    x, w = wild(3, 1, 2, 7), wild(2, 7, 3)
    y = matmul_f32(x, w)
    assert y.shape == (3, 2, 2, 3), "numpy broadcasting"
    for i, j in np.ndindex(3, 2):
        assert np.array_equal(y[i, j], scalar_loop(x[i, 0], w[j])), f"matrix {(i, j)}"


@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm_adds_the_bias_last(trans_b: int) -> None:
    x, w, bias = wild(4, 9), wild(9, 3), wild(3)
    y = gemm_f32(x, w.T.copy() if trans_b else w, bias, trans_b=trans_b)
    assert np.array_equal(y, scalar_loop(x, w) + bias), "one more rounding, along rows"


@pytest.mark.parametrize("name", ["ort", "tflite_reference"])
def test_quantized_product_is_the_requantized_exact_sum(name: str) -> None:
    x = RNG.integers(0, 256, (2, 3, 20)).astype(np.uint8)
    w = RNG.integers(-128, 128, (20, 5)).astype(np.int8)
    bias = RNG.integers(-999, 999, 5).astype(np.int32)
    sw = np.array([[1.0, 0.5, 0.25, 0.75, 0.375]], F)  # many ties
    zw = np.array([[0, 1, -2, 3, 0]], np.int32)
    got = matmul_quantized(
        x,
        w,
        bias,
        x_qparams=QParams(F(0.5), np.int32(128), None, "uint8"),
        w_qparams=QParams(sw, zw, (20, 1), "int8"),
        y_qparams=QParams(F(16), np.int32(7), None, "int16"),
        contract=preset(name),
        clamp_min=-3000,
    )
    for b, m, n in np.ndindex(2, 3, 5):
        acc = int(bias[n]) + sum(
            (int(x[b, m, k]) - 128) * (int(w[k, n]) - int(zw[0, n])) for k in range(20)
        )
        real = acc * float(sw[0, n]) / 32  # exact: few bits
        if name == "ort":
            code = round(real)
        else:  # up in the product, away from zero in the shift: Python integers
            numerator, shift = {1.0: (1, 4), 0.5: (1, 5), 0.25: (1, 6)}.get(
                float(sw[0, n]), (3, 5 if sw[0, n] == 0.75 else 6)
            )
            scale = 2 if numerator == 1 else 4  # m = (numerator / scale) 2**-shift
            high = (2 * acc * numerator + scale) // (2 * scale)
            code = (abs(high) + 2**shift // 2) // 2**shift * (1 if high >= 0 else -1)
            m_real = numerator / scale * 2.0**-shift
            assert m_real == float(sw[0, n]) / 32, "the oracle's own multiplier"
        assert int(got[b, m, n]) == max(code + 7, -3000), f"{name}: code {(b, m, n)}, acc {acc}"


@pytest.mark.parametrize("per_channel", [False, True])
def test_gemm_turns_codes_and_parameters_together(per_channel: bool) -> None:
    x = RNG.integers(-128, 128, (4, 6)).astype(np.int8)
    w = RNG.integers(-128, 128, (6, 6)).astype(np.int8)  # square: a mix-up would not be a shape
    scale = RNG.uniform(0.01, 0.1, (1, 6)).astype(F)
    zero_point = RNG.integers(-5, 5, (1, 6)).astype(np.int32)
    straight = QParams(scale, zero_point, (6, 1), "int8")
    turned = QParams(scale.T, zero_point.T, (1, 6), "int8")
    if not per_channel:
        straight = turned = QParams(F(0.05), np.int32(3), None, "int8")
    fixed: dict[str, Any] = {
        "x_qparams": QParams(F(0.1), np.int32(-4), None, "int8"),
        "y_qparams": QParams(F(1), np.int32(2), None, "int8"),
        "contract": preset("onnx"),
    }
    bias = np.arange(6, dtype=np.int32)
    expected = matmul_quantized(x, w, bias, w_qparams=straight, **fixed)
    by_rows = gemm_quantized(x, w.T, bias, trans_b=1, w_qparams=turned, **fixed)
    assert np.array_equal(by_rows, expected), "transB = 1 stores (N, K) and its parameters"
    assert np.array_equal(gemm_quantized(x, w, bias, w_qparams=straight, **fixed), expected), (
        "transB = 0 is MatMul with a bias"
    )
    if per_channel:
        with pytest.raises(ValueError, match="turn the parameters"):
            matmul_quantized(x, w, bias, w_qparams=turned, **fixed)


def test_matmul_integer_is_the_accumulator_and_does_not_wrap() -> None:
    x = RNG.integers(0, 256, (3, 8)).astype(np.uint8)
    w = RNG.integers(0, 256, (8, 4)).astype(np.uint8)
    rows, columns = np.array([1, 255, 7], np.uint8), np.array([0, 9, 255, 3], np.uint8)
    got = matmul_integer(x, w, x_zero_point=rows, w_zero_point=columns)
    expected = [
        [
            sum((int(x[m, k]) - int(rows[m])) * (int(w[k, n]) - int(columns[n])) for k in range(8))
            for n in range(4)
        ]
        for m in range(3)
    ]
    assert (str(got.dtype), got.tolist()) == ("int32", expected), "exact, int32"
    long = np.full((1, 34000), 255, np.uint8)
    with pytest.raises(AccumulatorOverflowError, match="MatMulInteger"):
        matmul_integer(long, long.T)


def test_matmul_integer_to_float_rounds_as_written() -> None:
    x = RNG.integers(0, 256, (3, 8)).astype(np.uint8)
    w = RNG.integers(-128, 128, (8, 4)).astype(np.int8)
    sw, bias = RNG.uniform(0.01, 0.1, (1, 4)).astype(F), wild(4)
    wq = QParams(sw, np.zeros((1, 4), np.int32), (8, 1), "int8")
    sx, zx = F(0.0317), np.uint8(99)
    got = matmul_integer_to_float(x, w, bias, x_scale=sx, x_zero_point=zx, w_qparams=wq)
    for m, n in np.ndindex(3, 4):
        acc = sum((int(x[m, k]) - 99) * int(w[k, n]) for k in range(8))
        expected = F(F(F(acc) * F(sx * sw[0, n])) + bias[n])
        assert got[m, n] == expected, f"y{(m, n)} = f32(f32(f32(acc) * f32(sx * sw)) + bias)"


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "trans_b", "message"),
    [
        ((2, 3), (4, 3), 0, "operands must be"),
        ((2, 3), (3, 4), 1, "operands must be"),
        ((1, 2, 3), (3, 4), 0, "operands must be 2-D"),
        ((2, 3), (3, 4), 2, "attribute transB must be 0 or 1, got 2"),
        ((2, 0), (0, 4), 0, "K and N must be at least 1"),
    ],
)
def test_a_wrong_gemm_is_refused(x_shape: Any, w_shape: Any, trans_b: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"Gemm: {message}"):
        gemm_f32(np.zeros(x_shape, F), np.zeros(w_shape, F), trans_b=trans_b)
