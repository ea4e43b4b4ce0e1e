"""Softmax: an ordered sum of exponentials."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, dequantize, quantize
from refquant.numerics.elementary import exp
from refquant.ops.softmax import quotient_table, softmax_f32, softmax_quantized, softmax_table

RNG = np.random.default_rng(19)
F = np.float32


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_it_is_the_ordered_sum_along_the_axis(axis: int) -> None:
    x = (5 * RNG.normal(size=(3, 4, 5))).astype(F)
    y = np.moveaxis(softmax_f32(x, axis=axis), axis, -1)
    rows = np.moveaxis(x, axis, -1)
    for index in np.ndindex(*rows.shape[:-1]):
        e = [F(exp(F(v - rows[index].max()))) for v in rows[index]]
        total = F(0)
        for term in e:
            total = F(total + term)
        expected = [F(term / total) for term in e]
        assert y[index].tolist() == [float(v) for v in expected], f"row {index}"


def test_edges() -> None:
    x = np.array([[0, -np.inf], [1e38, -1e38], [np.nan, 0], [np.inf, 0]], F)
    y = softmax_f32(x)
    assert y[:2].tolist() == [[1, 0], [1, 0]], "the smaller one vanishes"
    assert np.isnan(y[2]).all(), "NaN takes its row"
    assert np.isnan(y[3]).any(), "inf - inf is NaN"
    assert softmax_f32(np.zeros((0, 3), F)).shape == (0, 3), "an empty batch"
    assert softmax_f32(np.array([[7.0]], F)).tolist() == [[1.0]], "one class is certain"


def test_codes_go_through_reals() -> None:
    q = RNG.integers(-128, 128, (6, 10)).astype(np.int8)
    xq = QParams(F(0.11), np.int32(13), None, "int8")
    yq = QParams(F(1 / 256), np.int32(-128), None, "int8")
    got = softmax_quantized(q, x_qparams=xq, y_qparams=yq, contract=preset("onnx"))
    expected = quantize(softmax_f32(dequantize(q, xq)), yq, contract=preset("onnx"))
    assert np.array_equal(got, expected), "quantize(Softmax(dequantize))"
    columns = softmax_quantized(q, x_qparams=xq, y_qparams=yq, contract=preset("onnx"), axis=0)
    turned = softmax_quantized(q.T, x_qparams=xq, y_qparams=yq, contract=preset("onnx"))
    assert np.array_equal(columns, turned.T), "along the axis asked for"
    assert (got.astype(int).sum(axis=1) + 10 * 128 >= 256 - 5).all(), (
        "probabilities sum to 1 but for ten roundings of half a step"
    )


def test_a_contract_without_softmax_refuses() -> None:
    q = QParams(F(1), np.int32(0), None, "int8")
    with pytest.raises(ValueError, match="Softmax: contract 'tflite_reference' leaves"):
        softmax_quantized(
            np.zeros((1, 2), np.int8),
            x_qparams=q,
            y_qparams=q,
            contract=preset("tflite_reference"),
        )
    with pytest.raises(ValueError, match=r"Softmax: attribute axis must be in \[-2, 1\], got 2"):
        softmax_f32(np.zeros((1, 2), F), axis=2)
    with pytest.raises(ValueError, match="Softmax: x must be float32"):
        softmax_f32(np.zeros((1, 2), np.int8).astype("float64"))


UNIT = QParams(F(1 / 256), np.int32(-128), None, "int8")
TABLED = ("tflite_builtin", "tflite_reference")


def ruler(scale: float) -> QParams:
    return QParams(F(scale), np.int32(3), None, "int8")


def rows(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wide = rng.integers(-128, 128, (30, n))
    narrow = rng.integers(-5, 5, (30, n)) + rng.integers(-100, 100, (30, 1))
    return np.concatenate([wide, narrow, np.full((1, n), 127)]).astype(np.int8)


@pytest.mark.parametrize("seed", range(12))
def test_by_a_float_table_it_is_one_sum_and_one_reciprocal(seed: int) -> None:
    scale = float(F(10 ** np.random.default_rng(seed).uniform(-3, 0.3)))
    table = softmax_table(ruler(scale), beta=1.0, contract=preset("tflite_builtin"))
    q = rows(seed, 2 + 5 * seed)
    got = softmax_quantized(
        q, table, x_qparams=ruler(scale), y_qparams=UNIT, contract=preset("tflite_builtin")
    )
    for row, codes in zip(q.tolist(), got.tolist(), strict=True):
        e = [table[max(row) - v] for v in row]
        total = F(0)
        for term in e:
            total = F(total + term)
        r = F(F(1) / F(total * F(1 / 256)))
        exact = [math.floor(Fraction(float(F(v * r))) + Fraction(1, 2)) - 128 for v in e]
        assert codes == [min(127, c) for c in exact], f"row {row}"


def test_the_float_table_is_exp_rounded() -> None:
    table = softmax_table(ruler(0.3), beta=1.7, contract=preset("tflite_builtin"))
    step = float(F(F(0.3) * F(1.7)))
    for d in range(256):
        power = float(F(F(d) * F(step)))
        assert table[d] == F(math.exp(-power)), f"entry {d}"


@pytest.mark.parametrize("name", TABLED)
@pytest.mark.parametrize("scale", [1e-6, 0.01, 0.1, 1.0, 5.0])
def test_by_any_table_it_is_softmax_within_a_code(name: str, scale: float) -> None:
    """The fixed-point form is a sum of numbers good to 1e-7 and to 2^-20: less than half a code."""
    contract, q = preset(name), rows(7, 40)
    table = softmax_table(ruler(scale), beta=1.0, contract=contract)
    got = softmax_quantized(q, table, x_qparams=ruler(scale), y_qparams=UNIT, contract=contract)
    e = np.exp((q.astype(float) - q.max(axis=1, keepdims=True)) * float(F(scale)))
    real = e / e.sum(axis=1, keepdims=True) * 256 - 128
    assert np.abs(got - np.minimum(real, 127)).max() <= 0.5 + 1e-3, f"{name}: nearest code"


def test_codes_that_litert_gave() -> None:
    """LiteRT 2.3.0, x86, scale 0.1, beta 1: three of nine in 400,000 rows that its kernels tell."""
    q = np.array([[-17, 10, -55, 62], [-15, -70, -20, 30], [3, -46, 18, -40]], np.int8)
    golden = {
        "tflite_reference": [
            [-128, -127, -128, 127],
            [-125, -128, -126, 123],
            [-81, -128, 81, -127],
        ],
        "tflite_builtin": [[-128, -127, -128, 126], [-125, -128, -126, 124], [-81, -128, 80, -127]],
    }
    x = QParams(F(0.1), np.int32(0), None, "int8")
    for name, expected in golden.items():
        table = softmax_table(x, beta=1.0, contract=preset(name))
        got = softmax_quantized(q, table, x_qparams=x, y_qparams=UNIT, contract=preset(name))
        assert got.tolist() == expected, f"{name}: as measured"


def test_a_sum_of_512_or_more_leaves_no_code() -> None:
    contract = preset("tflite_reference")
    table = softmax_table(ruler(0.1), beta=1.0, contract=contract)
    for n, code in ((2, 0), (511, -127), (513, -128), (4095, -128)):
        got = softmax_quantized(
            np.zeros((1, n), np.int8), table, x_qparams=ruler(0.1), y_qparams=UNIT,
            contract=contract,
        )  # fmt: skip
        assert set(got[0].tolist()) == {code}, f"{n} equal elements"


@pytest.mark.parametrize(
    ("name", "table"),
    [("tflite_builtin", None), ("onnx", np.ones(256, F)), ("xnnpack", None)],
)
def test_a_table_and_a_contract_have_to_fit(name: str, table: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="leaves a quantized Softmax"):
        softmax_quantized(
            np.zeros((1, 2), np.int8), table, x_qparams=ruler(1), y_qparams=UNIT,
            contract=preset(name),
        )  # fmt: skip


def test_tables_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="has no table"):
        softmax_table(ruler(1), beta=1.0, contract=preset("onnx"))
    with pytest.raises(ValueError, match="must be above"):
        softmax_table(ruler(1e-9), beta=1.0, contract=preset("tflite_reference"))


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_quotients_are_the_text_by_rationals(n: int) -> None:
    """A sum in float32, an exact product, one division in float64: nothing else is rounded."""
    contract = replace(preset("ort"), name="q", softmax="float_table_quotient")
    table = quotient_table(ruler(0.05), length=n)
    rng = np.random.default_rng(n)
    q = np.maximum(rng.integers(-128, 128, (60, n)), 60).astype(np.int8)
    for step in (1 / 256, 0.0047, 0.0011):
        y = QParams(np.float32(step), np.int32(-100), None, "int8")
        got = softmax_quantized(q, table, x_qparams=ruler(0.05), y_qparams=y, contract=contract)
        steps = math.floor(np.float32(1) / np.float32(step))
        for row, codes in zip(q.tolist(), got.tolist(), strict=True):
            e = [table[max(row) - code] for code in row]
            total = F(0)
            for each in e:
                total = total + each
            for each, code in zip(e, codes, strict=True):
                share = float(Fraction(float(each)) * steps / Fraction(float(total)))
                assert code == min(round(share) - 100, 127), f"{row}, {step}: {share}"


def test_the_table_of_quotients_leaves_room_for_the_sum() -> None:
    for n in (1, 2, 1000, 1 << 20):
        for step in (1e-3, 0.5, 40.0):
            table = quotient_table(ruler(step), length=n)
            assert np.isfinite(table[0] * F(n)), f"{n} of the largest, {step}"
            assert table[0] >= 1, "no sum is 0"
            assert (table[1:] <= table[:-1]).all(), "it falls"
