"""Transposed convolution by its definition, eq. (1): each element adds its kernel."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.conv import conv_quantized
from refquant.ops.conv_transpose import (
    conv_transpose,
    conv_transpose_integer_to_float,
    conv_transpose_quantized,
    mirrored_qparams,
    transposed_pads,
)

CASES: dict[str, tuple[Any, ...]] = {
    # x, w, strides, pads, dilations, output padding, group
    "plain": ((2, 3, 4), (3, 2, 3), (1,), (0, 0), (1,), (0,), 1),
    "strides": ((1, 2, 5), (2, 3, 3), (3,), (1, 0), (1,), (2,), 1),
    "dilated": ((1, 2, 5), (2, 3, 3), (2,), (2, 4), (2,), (1,), 1),
    "groups": ((1, 4, 3), (4, 3, 2), (2,), (0, 1), (1,), (0,), 2),
    "2-D": ((2, 2, 3, 4), (2, 2, 2, 3), (2, 1), (0, 1, 1, 2), (1, 1), (0, 0), 1),
    "2-D, groups": ((1, 4, 2, 3), (4, 3, 3, 2), (3, 2), (2, 0, 1, 0), (1, 2), (1, 0), 2),
    "depthwise": ((1, 3, 2, 2), (3, 1, 2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (0, 0), 3),
    "one pixel": ((1, 2, 1, 1), (2, 2, 1, 1), (5, 5), (0, 0, 0, 0), (1, 1), (0, 0), 1),
}


def scattered(
    x: Any, w: Any, strides: Any, pads: Any, dilations: Any, extra: Any, group: int
) -> Any:
    """Eq. (1) in float64, integers: exact."""
    rank, per = len(strides), w.shape[1]
    sizes = [
        s * (n - 1) + e + d * (k - 1) + 1 - pads[i] - pads[rank + i]
        for i, (s, n, e, d, k) in enumerate(
            zip(strides, x.shape[2:], extra, dilations, w.shape[2:], strict=True)
        )
    ]
    y = np.zeros((x.shape[0], per * group, *sizes))
    inputs = x.shape[1] // group
    for n, c in itertools.product(range(x.shape[0]), range(x.shape[1])):
        for place in np.ndindex(*x.shape[2:]):
            for m, tap in itertools.product(range(per), np.ndindex(*w.shape[2:])):
                o = [
                    i * s + k * d - p
                    for i, s, k, d, p in zip(place, strides, tap, dilations, pads, strict=False)
                ]
                if all(0 <= a < b for a, b in zip(o, sizes, strict=True)):
                    y[(n, c // inputs * per + m, *o)] += x[(n, c, *place)] * w[(c, m, *tap)]
    return y


@pytest.mark.parametrize("name", CASES)
def test_every_element_adds_its_kernel(name: str) -> None:
    shape, kernel, strides, pads, dilations, extra, group = CASES[name]
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-9, 10, s).astype(np.float32) for s in (shape, kernel))
    bias = rng.integers(-9, 10, kernel[1] * group).astype(np.float32)
    expected = scattered(x, w, strides, pads, dilations, extra, group)
    given: Any = {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra}
    got = conv_transpose(x, w, bias, **given, group=group)
    wide = bias.reshape(-1, *(1,) * (len(shape) - 2))
    assert np.array_equal(got, expected + wide), "integers below 2^24 are exact"


def test_what_is_refused() -> None:
    x, w = np.zeros((1, 2, 3), np.float32), np.zeros((2, 1, 3), np.float32)
    with pytest.raises(ValueError, match=r"pads are at most .* = \[2\], got \(3, 0\)"):
        conv_transpose(x, w, pads=[3, 0])
    with pytest.raises(ValueError, match="group divides C = 2, got 3"):
        conv_transpose(x, w, group=3)
    with pytest.raises(ValueError, match="w \\(C, M/group, kernel\\)"):
        conv_transpose(x, np.zeros((3, 1, 3), np.float32))
    assert transposed_pads((2, 3), None, (1, 2), (0, 1)) == (1, 4, 1, 5), "d (k - 1), and the end"


def rounded(t: Fraction) -> int:
    """Half to even: the ``onnx`` contract."""
    return round(t)


def rulers(group: int, w_shape: tuple[int, ...], shared: bool) -> QParams:
    """A scale, a power of two, and a zero point an output channel; or one for all groups."""
    grid = (1 if shared else group, w_shape[1], *(1,) * (len(w_shape) - 2))
    count = grid[0] * grid[1]
    block = (w_shape[0] if shared else w_shape[0] // group, 1, *w_shape[2:])
    scale = np.float32(2.0 ** -(1 + np.arange(count) % 4)).reshape(grid)
    return QParams(scale, (np.arange(count, dtype=np.int32) % 3 - 1).reshape(grid), block, "int8")


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_codes_are_the_exact_sum_rescaled(name: str, shared: bool) -> None:
    shape, kernel, strides, pads, dilations, extra, group = CASES[name]
    rng = np.random.default_rng(len(name))
    x = rng.integers(-128, 128, shape).astype(np.int8)
    w = rng.integers(-128, 128, kernel).astype(np.int8)
    bias = rng.integers(-999, 999, kernel[1] * group).astype(np.int32)
    zx, zy, sx, sy = -7, 5, Fraction(1, 8), Fraction(16)
    w_qparams = rulers(group, kernel, shared)
    given: Any = {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra}
    got = conv_transpose_quantized(
        x, w, bias, **given, group=group, contract=preset("onnx"), w_qparams=w_qparams,
        x_qparams=QParams(np.float32(float(sx)), np.int32(zx), None, "int8"),
        y_qparams=QParams(np.float32(float(sy)), np.int32(zy), None, "int8"),
        clamp_max=100,
    )  # fmt: skip
    # The oracle subtracts zero points where they are, and knows no convolution.
    inputs, per = kernel[0] // group, kernel[1]
    scales = [Fraction(float(s)) for s in np.ravel(w_qparams.scale)]
    zeros = [int(z) for z in np.ravel(w_qparams.zero_point)]
    centred = w.astype(np.float64)
    for c, m in itertools.product(range(kernel[0]), range(per)):
        centred[c, m] -= zeros[m if shared else c // inputs * per + m]
    acc = scattered(x.astype(np.float64) - zx, centred, strides, pads, dilations, extra, group)
    expected = np.zeros(acc.shape, np.int64)
    for place in np.ndindex(acc.shape):
        channel = place[1]
        sw = scales[channel % per if shared else channel]
        total = int(acc[place]) + int(bias[channel])
        code = rounded(total * sx * sw / sy) + zy  # powers of two: the multiplier is exact
        expected[place] = min(max(code, -128), 100)
    assert got.dtype == np.int8, "codes of y"
    assert np.array_equal(got, expected), "bit for bit"
    assert len(np.unique(expected)) > 1, "the case tells something"


@pytest.mark.parametrize("contract", ["onnx", "ort", "tflite_builtin", "tflite_reference"])
def test_the_rescaling_is_the_contract_s(contract: str) -> None:
    """1 x 1 kernels and stride 1: what `Conv` gives, the channel axes exchanged."""
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (1, 3, 40)).astype(np.int8)
    w = rng.integers(-127, 128, (3, 2, 1)).astype(np.int8)
    x_q = QParams(np.float32(0.1), np.int32(4), None, "int8")
    y_q = QParams(np.float32(0.37), np.int32(-9), None, "int8")
    grid = np.array([0.01, 0.03], np.float32).reshape(1, 2, 1)
    w_q = QParams(grid, np.zeros(grid.shape, np.int32), (3, 1, 1), "int8")
    rules: Any = {"contract": preset(contract), "x_qparams": x_q, "y_qparams": y_q}
    got = conv_transpose_quantized(x, w, w_qparams=w_q, **rules)
    turned = QParams(grid.reshape(2, 1, 1), np.zeros((2, 1, 1), np.int32), (1, 3, 1), "int8")
    same = conv_quantized(x, np.ascontiguousarray(w.swapaxes(0, 1)), w_qparams=turned, **rules)
    assert np.array_equal(got, same), "one multiplier a channel, by the contract"


@pytest.mark.parametrize("name", CASES)
def test_dynamic_codes_leave_as_reals(name: str) -> None:
    shape, kernel, strides, pads, dilations, extra, group = CASES[name]
    rng = np.random.default_rng(len(name))
    x = rng.integers(0, 256, shape).astype(np.uint8)
    w = rng.integers(-128, 128, kernel).astype(np.int8)
    w_qparams = rulers(group, kernel, False)
    none = np.zeros(np.shape(w_qparams.scale), np.int32)
    flat = QParams(w_qparams.scale, none, w_qparams.block_shape, "int8")
    bias = rng.integers(-9, 9, kernel[1] * group).astype(np.float32)
    given: Any = {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra}
    got = conv_transpose_integer_to_float(
        x, w, bias, x_scale=0.5, x_zero_point=131, w_qparams=flat, **given, group=group
    )
    acc = scattered(x - 131.0, w.astype(float), strides, pads, dilations, extra, group)
    rest = (1,) * (len(shape) - 2)
    expected = acc * 0.5 * flat.scale.reshape(-1, *rest) + bias.reshape(-1, *rest)
    assert np.array_equal(got, expected), "powers of two and sums below 2^24 are exact"


def test_what_codes_are_refused() -> None:
    x, w = np.zeros((1, 4, 3), np.int8), np.zeros((4, 2, 3), np.int8)
    one = QParams(np.float32(1), np.int32(0), None, "int8")
    rules: Any = {"x_qparams": one, "y_qparams": one, "contract": preset("onnx"), "group": 2}
    rows = np.ones((4, 1, 1), np.float32)  # along the channels of x: inside the sum
    bad = QParams(rows, np.zeros(rows.shape, np.int32), (1, 2, 3), "int8")
    with pytest.raises(
        ValueError, match=r"one an output channel \(shape \(2, 2, 1\), or \(1, 2, 1"
    ):
        conv_transpose_quantized(x, w, w_qparams=bad, **rules)
    with pytest.raises(ValueError, match="x_zero_point must be one number"):
        conv_transpose_integer_to_float(
            x.astype(np.uint8), w, x_scale=1.0, x_zero_point=[1, 2], w_qparams=one
        )
    assert mirrored_qparams(one, (4, 2, 3), 2) is one, "per tensor stays"
    whole = QParams(
        np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.int32), (4, 2, 3), "int8"
    )
    assert mirrored_qparams(whole, (4, 2, 3), 2).scale.shape == (4, 1, 1), "one block for all"
