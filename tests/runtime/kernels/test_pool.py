"""Pools on a plane of 3 x 3: what padding does, how means round, which value wins."""

from typing import Any

import numpy as np
import pytest

from refquant_runtime.kernels.pool import (
    FIELDS,
    average_pool_f32,
    average_pool_i8,
    max_pool_f32,
    max_pool_i8,
)
from tests.runtime.kernels.kernel_calls import Memory, bits, call

# A 2 x 2 window over 3 x 3 pixels with one row and column of padding before: output 3 x 3.
WINDOW = {"rows": 9, "mr": 1, "taps": 4, "out_h": 3, "out_w": 3, "in_h": 3, "in_w": 3,
          "kernel_w": 2, "stride_h": 1, "stride_w": 1, "pad_h": 1, "pad_w": 1, "dilation_h": 1,
          "dilation_w": 1, "copies": 1}  # fmt: skip


def pooled(kernel: Any, x: np.ndarray[Any, Any], **own: int) -> np.ndarray[Any, Any]:
    """Run a pool over ``x`` (3, 3, channels)."""
    n = x.shape[-1]
    memory = Memory()
    row = WINDOW | {
        "x": memory.put(x), "y": memory.reserve(x.nbytes), "n": n, "row_size": n,
        "image_size": 9 * n, "element": 0 if x.itemsize == 1 else 2,
        "scratch": memory.reserve(1024), "scratch_size": 512, **own,
    }  # fmt: skip
    call(kernel, FIELDS, row, memory, threads=2)
    return memory.get(row["y"], x.dtype, x.shape).copy()


def windows(x: np.ndarray[Any, Any], fill: float) -> Any:
    """The four values under each output pixel, padding given."""
    padded = np.full((4, 4, x.shape[-1]), fill, np.float64)
    padded[1:, 1:] = x
    return np.stack([padded[i : i + 3, j : j + 3] for i in (0, 1) for j in (0, 1)])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_largest_code_wins_and_padding_never_does(dtype: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 5)).astype(np.uint8).view(dtype)
    expected = windows(x, -1000).max(axis=0)
    actual = pooled(max_pool_i8, x, signed=int(dtype is np.int8))
    assert np.array_equal(actual, expected), f"{dtype.__name__}"


def test_nan_wins_among_floats() -> None:
    x = -np.ones((3, 3, 2), np.float32)
    x[1, 1, 0] = np.nan
    y = pooled(max_pool_f32, x)
    assert np.isnan(y[1:, 1:, 0]).all(), "every window that holds the NaN"
    assert np.array_equal(y[..., 1], x[..., 1]), "padding is below every value"


@pytest.mark.parametrize("count_pad", [0, 1])
def test_float_mean_divides_the_ascending_sum(count_pad: int) -> None:
    x = np.random.default_rng(1).standard_normal((3, 3, 3)).astype(np.float32)
    total = np.zeros((3, 3, 3), np.float32)
    for tap in windows(x, 0).astype(np.float32):
        total = total + tap
    count = np.full((3, 3, 1), 4) if count_pad else windows(np.ones((3, 3, 1)), 0).sum(axis=0)
    y = pooled(average_pool_f32, x, count_pad=count_pad)
    assert np.array_equal(y, total / count.astype(np.float32)), f"count_include_pad {count_pad}"


@pytest.mark.parametrize("half_away", [0, 1])
def test_mean_of_codes_rounds_as_the_contract_says(half_away: int) -> None:
    x = np.arange(-13, 14).astype(np.int8).reshape(3, 3, 3)
    zero, sx, sy = 3, 0.5, 0.5 if half_away else 0.25
    y = pooled(
        average_pool_i8, x, signed=1, half_away=half_away, x_zero=zero, y_zero=zero,
        x_scale=bits(sx), y_scale=bits(sy), low=-128, high=127,
    )  # fmt: skip
    count = windows(np.ones((3, 3, 1)), 0).sum(axis=0)
    total = windows(x.astype(np.float64) - zero, 0).sum(axis=0)
    if half_away:
        raw = total + count * zero
        expected = np.trunc((raw + np.where(raw > 0, 1, -1) * (count // 2)) / count)
    else:
        m = np.float32(sx) / (np.float32(sy) * count.astype(np.float32))
        expected = np.rint(total.astype(np.float32) * m) + zero
    assert np.array_equal(y, np.clip(expected, -128, 127)), f"half_away {half_away}: {y}"
