"""Unary operators: exact where they are exact, and tables that are quantize(f(dequantize))."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, dequantize, quantize
from refquant.ops.unary import (
    UNARY,
    UNARY_ATTRIBUTES,
    apply_table,
    apply_unary,
    clip_quantized,
    relu_quantized,
    unary_table,
)

F = np.float32
X = np.array([-np.inf, -300.0, -1.5, -0.0, 0.0, 1e-30, 0.75, 300.0, np.inf, np.nan], F)
INCREASING = ["Clip", "Elu", "Erf", "Exp", "HardSigmoid", "Identity", "LeakyRelu", "Log", "Relu"]
INCREASING += ["Requantize", "Sigmoid", "Softplus", "Sqrt", "Tanh"]


def qparams(scale: float, zero_point: int, dtype: str) -> QParams:
    return QParams(F(scale), np.int32(zero_point), None, dtype)


def same(y: Any, expected: Any, what: str) -> None:
    got, want = np.asarray(y, F), np.asarray(expected, F)
    assert got.tobytes() == want.tobytes(), f"{what}: {got.tolist()} is not {want.tolist()}"


def test_exact_functions_by_their_definition() -> None:
    inf = np.inf
    x = X[:-1]  # NaN below
    same(apply_unary("Relu", x), [0, 0, 0, 0, 0, 1e-30, 0.75, 300, inf], "Relu, +0.0 for -0.0")
    same(apply_unary("Abs", x), [inf, 300, 1.5, 0, 0, 1e-30, 0.75, 300, inf], "Abs")
    same(apply_unary("Neg", x), [inf, 300, 1.5, 0, -0.0, -1e-30, -0.75, -300, -inf], "Neg")
    same(apply_unary("Identity", x), x, "Identity")
    same(
        apply_unary("Clip", x, {"min": -1, "max": 6}), [-1, -1, -1, -0.0, 0, 1e-30, 0.75, 6, 6], ""
    )
    same(
        apply_unary("Clip", x, {"max": 6}), [-inf, -300, -1.5, -0.0, 0, 1e-30, 0.75, 6, 6], "no min"
    )
    same(apply_unary("Clip", x), x, "no bounds")
    same(
        apply_unary("LeakyRelu", x, {"alpha": 0.5}),
        [-inf, -150, -0.75, -0.0, 0, 1e-30, 0.75, 300, inf],
        "LeakyRelu",
    )
    same(apply_unary("Sqrt", np.array([0.0, 2.0, 4.0], F)), [0, F(np.sqrt(F(2))), 2], "Sqrt")
    assert np.isnan(apply_unary("Sqrt", np.array([-1.0], F))[0]), "the root of -1 is NaN"


@pytest.mark.parametrize("op", UNARY)
def test_nan_stays_nan_float32_stays_float32_and_the_input_is_left_alone(op: str) -> None:
    x = X.copy()
    y = UNARY[op](x, {})
    assert y.dtype == np.float32, f"{op} must return float32"
    assert np.isnan(y[-1]), f"{op}(NaN) must be NaN"
    assert y is not x, f"{op} must not return its own input"
    assert x.tobytes() == X.tobytes(), f"{op} must not change its input"
    assert UNARY[op](np.zeros((2, 0, 3), F), {}).shape == (2, 0, 3), f"{op} of nothing"


@pytest.mark.parametrize("op", UNARY_ATTRIBUTES)
def test_defaults_are_those_of_onnx(op: str) -> None:
    x = np.linspace(-5, 5, 21, dtype=F)
    given = {name: value for name, value in UNARY_ATTRIBUTES[op].items() if value is not None}
    assert np.array_equal(apply_unary(op, x), apply_unary(op, x, given)), f"{op}: defaults"


@pytest.mark.parametrize("contract", ["onnx", "tflite_reference", "xnnpack"])
@pytest.mark.parametrize(("x_dtype", "y_dtype"), [("int8", "int8"), ("uint8", "int8")])
@pytest.mark.parametrize("op", UNARY)
def test_a_table_is_quantize_of_f_of_dequantize_for_each_code(
    op: str, x_dtype: str, y_dtype: str, contract: str
) -> None:
    xq, yq = qparams(0.0625, 3, x_dtype), qparams(0.03, -7, y_dtype)
    table = unary_table(op, {}, xq, yq, preset(contract))
    assert table.shape == (256,), "one entry a code"
    assert table.dtype == np.dtype(y_dtype), "codes of y"
    qmin = int(np.iinfo(x_dtype).min)
    for index in range(256):
        q = np.array([qmin + index]).astype(x_dtype)
        code = quantize(UNARY[op](dequantize(q, xq), {}), yq, contract=preset(contract))
        assert table[index] == code[0], f"{op}: entry {index} belongs to code {qmin + index}"
    every = np.arange(qmin, qmin + 256).astype(x_dtype)
    assert np.array_equal(apply_table(every, table), table), "index = q - qmin"


@pytest.mark.parametrize("op", INCREASING)
def test_tables_of_increasing_functions_increase(op: str) -> None:
    positive = op in ("Log", "Sqrt")
    xq = qparams(0.05, 0, "uint8" if positive else "int8")
    table = unary_table(op, {}, xq, qparams(0.02, 0, "int8"), preset("onnx"))
    assert (np.diff(table.astype(int)) >= 0).all(), f"{op} must not decrease"


def test_requantize_with_equal_parameters_is_the_identity() -> None:
    xq = qparams(0.0173, 17, "int8")
    for contract in ("onnx", "ort", "torch", "tflite_reference", "xnnpack"):
        table = unary_table("Requantize", {}, xq, xq, preset(contract))
        assert table.tolist() == list(range(-128, 128)), f"{contract}: codes must stay"


def test_relu_and_clip_on_codes_are_their_tables() -> None:
    xq = qparams(0.125, -3, "int8")
    every = np.arange(-128, 128).astype(np.int8)
    relu = unary_table("Relu", {}, xq, xq, preset("onnx"))
    assert np.array_equal(relu_quantized(every, xq), relu), "max(q, z) = quantize(Relu)"
    clip = unary_table("Clip", {"min": -1.0, "max": 6.0}, xq, xq, preset("onnx"))
    assert np.array_equal(clip_quantized(every, clamp_min=-11, clamp_max=45), clip), (
        "the codes of -1 and 6 clamp"
    )
    assert clip_quantized(every).dtype == np.int8, "the dtype stays"


@pytest.mark.parametrize(
    ("op", "attributes", "message"),
    [
        ("Swish2", {}, "unary operator must be one of Abs, .*; got 'Swish2'"),
        ("Gelu", {"alpha": 1.0}, "Gelu: unknown attribute alpha = 1.0; Gelu has approximate"),
        ("Gelu", {"approximate": "erf"}, "Gelu: attribute approximate must be none or tanh, got"),
        ("Elu", {"beta": 1.0}, "Elu: unknown attribute beta = 1.0; Elu has alpha"),
        ("Elu", {"alpha": "1"}, "Elu: attribute alpha must be a number, got '1'"),
        ("Clip", {"min": True}, "Clip: attribute min must be a number, got True"),
    ],
)
def test_wrong_attributes_are_refused_by_name(op: str, attributes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_unary(op, X, attributes)


def test_wrong_operands_are_refused_by_name() -> None:
    one, wide = qparams(1, 0, "int8"), qparams(1, 0, "int16")
    with pytest.raises(ValueError, match="Exp: x must be float32, got float64"):
        apply_unary("Exp", np.zeros(1).astype(np.float64))
    with pytest.raises(ValueError, match="Exp: x of a table must be int8 or uint8, got int16"):
        unary_table("Exp", {}, wide, one, preset("onnx"))
    with pytest.raises(ValueError, match="Exp: y of a table must be int8 or uint8, got int16"):
        unary_table("Exp", {}, one, wide, preset("onnx"))
    with pytest.raises(ValueError, match="8-bit codes and 256 entries"):
        apply_table(np.zeros(1, np.int16), np.zeros(256, np.int8))
    with pytest.raises(ValueError, match="8-bit codes and 256 entries"):
        apply_table(np.zeros(1, np.int8), np.zeros(255, np.int8))
    with pytest.raises(ValueError, match="Relu: codes are in order only for scale > 0"):
        relu_quantized(np.zeros(1, np.int8), qparams(-1, 0, "int8"))
