"""Sums over taps equal plain integer and sequential float32 loops, for any number of channels."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant_runtime.kernels.pointers import pointer
from refquant_runtime.kernels.tap_sums import padded_channels, tap_sums_f32, tap_sums_i8


@njit
def run_i8(x: Any, offsets: Any, w: Any, channels: int, flip: int, acc: Any) -> None:
    tap_sums_i8(
        pointer(x), pointer(offsets), len(offsets), pointer(w), channels, flip, pointer(acc)
    )


@njit
def run_f32(x: Any, offsets: Any, w: Any, channels: int, acc: Any) -> None:
    tap_sums_f32(pointer(x), pointer(offsets), len(offsets), pointer(w), channels, 0, pointer(acc))


@pytest.mark.parametrize("taps", [1, 2, 9, 25])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("signed", [False, True])
def test_integers_are_exact_at_the_extremes(n: int, taps: int, signed: bool) -> None:
    rng = np.random.default_rng(n * taps)
    channels = padded_channels(n)
    x = rng.choice([0, 1, 127, 128, 255], 4000).astype(np.uint8)
    offsets = rng.integers(0, 3000, taps).astype(np.int32)
    w = rng.choice([-255, -1, 0, 1, 255], (taps, channels)).astype(np.int16)
    acc = np.empty(channels, np.int32)
    run_i8(x, offsets, w.reshape(-1), channels, 128 if signed else 0, acc)
    read = x.astype(np.int64) ^ (128 if signed else 0)
    rows = np.stack([read[o : o + n] for o in offsets])
    expected = (rows * w[:, :n]).sum(axis=0)
    assert acc[:n].tolist() == expected.tolist(), f"n {n}, taps {taps}: {acc[:n]} {expected}"


@pytest.mark.parametrize("n", [1, 32, 45])
def test_floats_have_the_bits_of_a_sequential_loop(n: int) -> None:
    rng = np.random.default_rng(n)
    channels, taps = padded_channels(n), 9
    x = (rng.standard_normal(4000) * 10.0 ** rng.integers(-30, 30, 4000)).astype(np.float32)
    x[::7] = -0.0
    offsets = rng.integers(0, 3000, taps).astype(np.int32)
    w = rng.standard_normal((taps, channels)).astype(np.float32)
    acc = np.empty(channels, np.float32)
    run_f32(x, offsets, w.reshape(-1), channels, acc)
    expected = np.zeros(n, np.float32)
    for t in range(taps):
        product = (x[offsets[t] : offsets[t] + n] * w[t, :n]).astype(np.float32)
        expected = (expected + product).astype(np.float32)
    bits = acc[:n].view(np.int32), expected.view(np.int32)
    assert np.array_equal(*bits), f"{acc[:n]} is not {expected}"
