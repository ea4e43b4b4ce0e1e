"""Convolution: bit for bit a scalar loop in the normative order; quantized, a sum of integers."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams, dequantize
from refquant.ops.accumulate import AccumulatorOverflowError
from refquant.ops.conv import conv_f32, conv_integer, conv_integer_to_float, conv_quantized

RNG = np.random.default_rng(3)
F = np.float32

# name: x shape, w shape, strides, pads, dilations, group
CASES: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 3, 5, 4), (4, 3, 3, 2), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "stride, pads": ((1, 2, 6, 5), (3, 2, 3, 3), (2, 1), (2, 0, 1, 2), (1, 1), 1),
    "dilation, groups": ((1, 4, 6, 6), (4, 2, 2, 2), (1, 1), (0, 1, 0, 0), (2, 3), 2),
    "depthwise": ((2, 4, 5, 5), (4, 1, 3, 3), (1, 2), (1, 1, 1, 1), (1, 1), 4),
    "kernel larger than the input": ((1, 2, 2, 2), (2, 2, 4, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    "1-D": ((2, 4, 9), (6, 2, 3), (2,), (2, 1), (2,), 2),
}


def walk(x: Any, w: Any, strides: Any, pads: Any, dilations: Any, group: int) -> Any:
    """Yield each output index with its products' factors, in the normative order.

    The factor of x is ``None`` where the window sees padding.
    """
    spatial, kernel, rank = x.shape[2:], w.shape[2:], x.ndim - 2
    out = [
        (pads[a] + spatial[a] + pads[a + rank] - dilations[a] * (kernel[a] - 1) - 1) // strides[a]
        + 1
        for a in range(rank)
    ]
    for n, m, *position in np.ndindex(x.shape[0], w.shape[0], *out):
        first = m // (w.shape[0] // group) * w.shape[1]
        pairs = []
        for tap in np.ndindex(*kernel):  # kernel position first, row-major
            at = [position[a] * strides[a] + tap[a] * dilations[a] - pads[a] for a in range(rank)]
            inside = all(0 <= at[a] < spatial[a] for a in range(rank))
            for c in range(w.shape[1]):  # then input channel of the group
                pairs.append((x[(n, first + c, *at)] if inside else None, w[(m, c, *tap)]))
        yield (n, m, *position), pairs


def options(case: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("strides", "pads", "dilations", "group"), case[2:], strict=True))


def wild(*shape: int) -> Any:
    """Reals of many magnitudes, so that every other order gives other bits."""
    return (RNG.normal(size=shape) * 10.0 ** RNG.integers(-3, 4, shape)).astype(F)


@pytest.mark.parametrize("name", CASES)
def test_float_convolution_is_the_scalar_loop_bit_for_bit(name: str) -> None:
    case = CASES[name]
    x, w, bias = wild(*case[0]), wild(*case[1]), wild(case[1][0])
    got = conv_f32(x, w, bias, **options(case))
    for index, pairs in walk(x, w, *case[2:]):
        total = F(0)
        for a, b in pairs:
            total = F(total + F((F(0) if a is None else a) * b))
        expected = F(total + bias[index[1]])
        assert got[index] == expected, f"{name}: y{index} is not the sum in the normative order"
    assert got.dtype == np.float32, "float32 in, float32 out"


def test_the_order_matters_and_is_kernel_position_before_channel() -> None:
    x = np.array([[[1e8, 1.0], [-1e8, 1.0]]], F)  # (1, 2, 2)
    w = np.ones((1, 2, 2), F)
    # position 0: 1e8 - 1e8 = 0, position 1: 1 + 1. Channel first would lose the 1 of channel 0.
    assert conv_f32(x, w).tolist() == [[[2.0]]], "taps outside, channels inside"


def test_float_convolution_without_bias_adds_nothing_and_starts_at_plus_zero() -> None:
    x, w = np.zeros((1, 1, 1), F), np.full((1, 1, 1), -1.0, F)
    assert math.copysign(1, conv_f32(x, w)[0, 0, 0]) == 1, "+0.0 + (-0.0) = +0.0"


def test_infinities_and_nan_travel() -> None:
    x = np.array([[[np.inf, 1.0, np.nan]]], F)
    y = conv_f32(x, np.array([[[-2.0]]], F))
    assert y[0, 0, :2].tolist() == [-np.inf, -2.0], "inf * -2 = -inf"
    assert np.isnan(y[0, 0, 2]), "NaN stays NaN"


# --- quantized -----------------------------------------------------------------------------


def parameters(w_shape: tuple[int, ...]) -> tuple[QParams, QParams, QParams]:
    per_channel = (w_shape[0],) + (1,) * (len(w_shape) - 1)
    scale = RNG.uniform(0.001, 0.02, per_channel).astype(F)
    zero_point = RNG.integers(-3, 4, per_channel).astype(np.int32)
    return (
        QParams(F(0.043), np.int32(131), None, "uint8"),
        QParams(scale, zero_point, (1, *w_shape[1:]), "int8"),
        QParams(F(0.21), np.int32(-5), None, "int8"),
    )


@pytest.mark.parametrize("name", CASES)
def test_quantized_convolution_is_the_requantized_exact_sum(name: str) -> None:
    case = CASES[name]
    x = RNG.integers(0, 256, case[0]).astype(np.uint8)
    w = RNG.integers(-128, 128, case[1]).astype(np.int8)
    bias = RNG.integers(-2000, 2000, case[1][0]).astype(np.int32)
    xq, wq, yq = parameters(case[1])
    got = conv_quantized(
        x,
        w,
        bias,
        x_qparams=xq,
        w_qparams=wq,
        y_qparams=yq,
        contract=preset("ort"),
        clamp_min=-100,
        clamp_max=90,
        **options(case),
    )
    sw, zw = np.ravel(wq.scale), np.ravel(wq.zero_point)
    seen = set()
    for index, pairs in walk(x, w, *case[2:]):
        c = index[1]
        acc = int(bias[c]) + sum(
            0 if a is None else (int(a) - 131) * (int(b) - int(zw[c])) for a, b in pairs
        )
        m = F(F(F(0.043) * sw[c]) / F(0.21))
        expected = min(max(round(float(F(F(acc) * m))) - 5, -100), 90)
        assert int(got[index]) == expected, f"{name}: code of y{index} differs"
        seen.add(expected)
    assert len(seen) > 3, "the case must not be all clamps"


def test_padding_is_the_real_zero() -> None:
    q = np.full((1, 1, 2), 131, np.uint8)  # the real 0 everywhere
    xq, _, yq = parameters((1, 1, 3))
    wq = QParams(F(1), np.int32(0), None, "int8")
    y = conv_quantized(
        q,
        np.full((1, 1, 3), 100, np.int8),
        x_qparams=xq,
        w_qparams=wq,
        y_qparams=yq,
        contract=preset("onnx"),
        pads=[2, 2],
    )
    assert y.tolist() == [[[-5] * 4]], "all products are 0, so y is its zero point"


def test_convolution_of_the_batch_is_that_of_the_sample() -> None:
    x = RNG.integers(0, 256, (5, 3, 6, 6)).astype(np.uint8)
    w = RNG.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
    xq, wq, yq = parameters(w.shape)
    fixed: dict[str, Any] = {
        "x_qparams": xq,
        "w_qparams": wq,
        "y_qparams": yq,
        "contract": preset("tflite_reference"),
    }
    whole = conv_quantized(x, w, **fixed)
    for n in range(5):
        one = conv_quantized(x[n : n + 1], w, **fixed)
        assert np.array_equal(whole[n : n + 1], one), f"sample {n} depends on its batch"
    assert conv_quantized(x[:0], w, **fixed).shape == (0, 4, 4, 4), "empty batch"


# --- raw and dynamic -----------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_conv_integer_is_the_accumulator(name: str) -> None:
    case = CASES[name]
    x = RNG.integers(-128, 128, case[0]).astype(np.int8)
    w = RNG.integers(0, 256, case[1]).astype(np.uint8)
    zw = RNG.integers(0, 256, case[1][0]).astype(np.uint8)
    got = conv_integer(x, w, x_zero_point=np.int8(-7), w_zero_point=zw, **options(case))
    for index, pairs in walk(x, w, *case[2:]):
        acc = sum(0 if a is None else (int(a) + 7) * (int(b) - int(zw[index[1]])) for a, b in pairs)
        assert int(got[index]) == acc, f"{name}: acc{index} differs"
    assert got.dtype == np.int32, "ONNX's output type"


def test_conv_integer_does_not_wrap() -> None:
    x = np.full((1, 34000, 1), 255, np.uint8)
    w = np.full((1, 34000, 1), 255, np.uint8)
    with pytest.raises(AccumulatorOverflowError, match="ConvInteger"):
        conv_integer(x, w)


@pytest.mark.parametrize("name", CASES)
def test_conv_integer_to_float_rounds_as_written(name: str) -> None:
    case = CASES[name]
    x = RNG.integers(0, 256, case[0]).astype(np.uint8)
    w = RNG.integers(-128, 128, case[1]).astype(np.int8)
    bias = wild(case[1][0])
    _, wq, _ = parameters(case[1])
    symmetric = QParams(
        wq.scale, np.zeros(np.shape(wq.zero_point), np.int32), wq.block_shape, "int8"
    )
    sx = np.asarray(F(0.0371))
    fixed: dict[str, Any] = {"x_scale": sx, "x_zero_point": np.uint8(77), "w_qparams": symmetric}
    with_bias = conv_integer_to_float(x, w, bias, **fixed, **options(case))
    without = conv_integer_to_float(x, w, **fixed, **options(case))
    sw = np.ravel(symmetric.scale)
    for index, pairs in walk(x, w, *case[2:]):
        acc = sum(0 if a is None else (int(a) - 77) * int(b) for a, b in pairs)
        expected = F(F(acc) * F(sx[()] * sw[index[1]]))
        assert without[index] == expected, f"{name}: y{index} = f32(f32(acc) * f32(sx * sw))"
        assert with_bias[index] == F(expected + bias[index[1]]), f"{name}: + bias, one rounding"


def test_a_weight_zero_point_is_refused_where_the_arithmetic_has_none() -> None:
    with pytest.raises(ValueError, match="ConvIntegerToFloat: the zero point of w must be 0"):
        conv_integer_to_float(
            np.zeros((1, 1, 1), np.uint8),
            np.zeros((1, 1, 1), np.int8),
            x_scale=1.0,
            x_zero_point=0,
            w_qparams=QParams(F(1), np.int32(3), None, "int8"),
        )


def test_wrong_operands_are_refused_by_name() -> None:
    x, w = np.zeros((1, 2, 4), F), np.zeros((3, 2, 2), F)
    with pytest.raises(ValueError, match=r"Conv: bias must have shape \(3,\), got \(2,\)"):
        conv_f32(x, w, np.zeros(2, F))
    with pytest.raises(ValueError, match="Conv: x must be float32, got float64"):
        conv_f32(x.astype(np.float64), w)
    with pytest.raises(ValueError, match="Conv: attribute group"):
        conv_f32(x, w, group=5)
    blocks = QParams(np.ones((3, 2, 1), F), np.zeros((3, 2, 1), np.int32), (1, 1, 2), "int8")
    one = QParams(F(1), np.int32(0), None, "int8")
    with pytest.raises(ValueError, match=r"Conv: the scale of w .* dequantize finer blocks"):
        conv_quantized(
            x.astype(np.int8),
            w.astype(np.int8),
            x_qparams=one,
            w_qparams=blocks,
            y_qparams=one,
            contract=preset("onnx"),
        )


def test_quantized_convolution_approximates_the_real_one() -> None:
    x = RNG.integers(0, 256, (1, 3, 6, 6)).astype(np.uint8)
    w = RNG.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
    xq, wq, _ = parameters(w.shape)
    yq = QParams(F(0.5), np.int32(0), None, "int16")
    codes = conv_quantized(x, w, x_qparams=xq, w_qparams=wq, y_qparams=yq, contract=preset("onnx"))
    real = conv_f32(dequantize(x, xq), dequantize(w, wq))
    # Exact: half a step from the last rounding. 27 float32 products of at most 255 * 131 * 0.043 *
    # 0.02 < 29, each step of the two computations within 2**-23 of 27 * 29: far below 0.01.
    assert np.abs(dequantize(codes, yq) - real).max() <= 0.25 + 0.01, "one half step of y"


def test_all_taps_are_used_once() -> None:
    for k in itertools.product(range(3), range(3)):
        w = np.zeros((1, 1, 3, 3), np.int8)
        w[(0, 0, *k)] = 1
        x = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
        assert conv_integer(x, w).tolist() == [[[[3 * k[0] + k[1]]]]], f"tap {k} (correlation)"
