"""Depthwise convolution of a small plane: borders, signs, dynamic zero points, float order."""

from typing import Any

import numpy as np
import pytest

from refquant_runtime.kernels.depthwise import FIELDS, FIELDS_F32, depthwise_f32, depthwise_i8
from refquant_runtime.kernels.requantize import MODES
from refquant_runtime.kernels.tap_sums import padded_channels
from tests.runtime.kernels.kernel_calls import Memory, bits, call

SIZE = 5
WINDOW = {"rows": SIZE * SIZE, "mr": 1, "taps": 9, "out_h": SIZE, "out_w": SIZE, "in_h": SIZE,
          "in_w": SIZE, "kernel_w": 3, "stride_h": 1, "stride_w": 1, "pad_h": 1, "pad_w": 1,
          "dilation_h": 1, "dilation_w": 1, "copies": 1}  # fmt: skip


def taps_of(x: Any, fill: Any) -> list[Any]:
    """The nine shifted planes, in the order of the window."""
    padded = np.full((SIZE + 2, SIZE + 2, x.shape[-1]), fill, x.dtype)
    padded[1:-1, 1:-1] = x
    return [padded[i : i + SIZE, j : j + SIZE] for i in range(3) for j in range(3)]


@pytest.mark.parametrize("n", [1, 32, 45])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("dynamic", [False, True])
def test_integer_sums_are_exact(n: int, dtype: Any, dynamic: bool) -> None:
    rng = np.random.default_rng(n)
    x = rng.integers(0, 256, (SIZE, SIZE, n)).astype(np.uint8).view(dtype)
    w = rng.choice([-255, -128, 0, 127, 255], (9, n)).astype(np.int16)
    zero = -7 if dtype is np.int8 else 130
    exact = sum((tap.astype(np.int64) - zero) * w[t] for t, tap in enumerate(taps_of(x, zero)))
    channels, signed = padded_channels(n), dtype is np.int8
    padded = np.zeros((9, channels), np.int16)
    padded[:, :n] = w
    sums = w.astype(np.int64).sum(axis=0)
    seed = np.zeros(n) if dynamic else -(zero + 128 * signed) * sums
    memory, consts = Memory(), Memory()
    row = WINDOW | {
        "x": memory.put(x), "y": memory.reserve(4 * x.size), "n": n, "channels": channels,
        "row_size": n, "image_size": x.size, "flip": 0x80808080 if signed else 0,
        "weights": consts.put(padded), "seed": consts.put(seed.astype(np.int32)),
        "weight_sum": consts.put(sums.astype(np.int32)), "mode": MODES["int32"], "y_stride": n,
        "x_zero": memory.put(np.array([zero]).astype(dtype)) if dynamic else -1,
        "pad_value": zero & 255, "scratch": memory.reserve(2048), "scratch_size": 1024,
    }  # fmt: skip
    call(depthwise_i8, FIELDS, row, memory, consts, threads=2)
    actual = memory.get(row["y"], np.int32, x.shape)
    assert np.array_equal(actual, np.asarray(exact)), (
        f"{dtype.__name__}, {n} channels, dynamic {dynamic}"
    )


def test_float_taps_ascend_then_bias_then_bounds() -> None:
    rng = np.random.default_rng(5)
    n, channels = 40, 64
    x = rng.standard_normal((SIZE, SIZE, n)).astype(np.float32)
    w = np.zeros((9, channels), np.float32)
    w[:, :n] = rng.standard_normal((9, n))
    bias = rng.standard_normal(n).astype(np.float32)
    expected = np.zeros_like(x)
    for t, tap in enumerate(taps_of(x, 0)):
        expected = expected + tap * w[t, :n]
    expected = np.maximum(expected + bias, np.float32(0))
    memory, consts = Memory(), Memory()
    row = WINDOW | {
        "x": memory.put(x), "y": memory.reserve(x.nbytes), "n": n, "channels": channels,
        "row_size": n, "image_size": x.size, "element": 2, "weights": consts.put(w),
        "bias": consts.put(bias), "low": bits(0), "high": bits(np.inf),
        "scratch": memory.reserve(2048), "scratch_size": 1024,
    }  # fmt: skip
    call(depthwise_f32, FIELDS_F32, row, memory, consts, threads=2)
    actual = memory.get(row["y"], np.float32, x.shape)
    assert np.array_equal(actual, expected), "bits of the sequential sum"
