"""Softmax: an ordered sum of exponentials."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, dequantize, quantize
from refquant.numerics.elementary import exp
from refquant.ops.softmax import softmax_f32, softmax_quantized

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
