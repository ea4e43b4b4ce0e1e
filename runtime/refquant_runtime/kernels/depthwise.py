"""Depthwise convolution: every channel has its own window; vectors run along the channels.

Contract: ``docs/spec/operators.md`` sections 1, 3 and 4. Weights lie ``[taps][channels]``, the
channels padded to whole blocks of :mod:`refquant_runtime.kernels.tap_sums`: int16 for integers (a
code minus its zero point needs nine bits), float32 otherwise. Signed codes are
flipped to unsigned as in :mod:`refquant_runtime.kernels.gemm_i8`, so ``seed`` carries the rest.
"""

from typing import Any

import numpy as np

from refquant_runtime.kernels.abi import bits_f32, f32_at, i16_at, i32_at, share, u8_at
from refquant_runtime.kernels.requantize import EPILOGUE, MODE, X_SCALE, X_ZERO, store_row
from refquant_runtime.kernels.tap_sums import tap_sums_f32, tap_sums_i8
from refquant_runtime.kernels.window import ROWS, TAPS, WINDOW, advance

__all__ = ["FIELDS", "FIELDS_F32", "depthwise_f32", "depthwise_i8"]

FIELDS = (
    *WINDOW,
    *EPILOGUE,
    *["weights", "n", "channels", "flip", "scratch", "scratch_size", "pad_value", "each_row"],
)
WEIGHTS, N, CHANNELS, FLIP, SCRATCH, SCRATCH_SIZE, PAD_VALUE, _EACH_ROW = range(
    len(WINDOW) + len(EPILOGUE), len(FIELDS)
)
OWN_F32 = ["y", "weights", "bias", "n", "channels", "scratch", "scratch_size", "low", "high"]
FIELDS_F32 = (*WINDOW, *OWN_F32)
F_Y, F_WEIGHTS, F_BIAS, F_N, F_CHANNELS, F_SCRATCH, F_SCRATCH_SIZE, F_LOW, F_HIGH = range(
    len(WINDOW), len(FIELDS_F32)
)


def depthwise_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's output pixels, all channels of each."""
    n, taps, channels = p[N], p[TAPS], p[CHANNELS]
    scratch = p[SCRATCH] + tid * p[SCRATCH_SIZE]  # sums, offsets, the row of padding
    offsets_at = scratch + channels * 4
    pad = offsets_at + taps * 4
    acc, offsets, pad_row = i32_at(arena, scratch), i32_at(arena, offsets_at), u8_at(arena, pad)
    x_zero, x_scale, pad_value = np.int64(0), np.float32(0), p[PAD_VALUE]
    if p[X_ZERO] >= 0:
        pad_value = np.int64(u8_at(arena, p[X_ZERO])[0])
        x_zero = pad_value ^ (p[FLIP] & 255)
    if p[MODE] == 3 or p[MODE] > 5:
        x_scale = f32_at(arena, p[X_SCALE])[0]
    for c in range(n):
        pad_row[c] = np.uint8(pad_value)
    w = i16_at(consts, p[WEIGHTS])
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        advance(p, pad, row, row == begin, offsets)
        tap_sums_i8(arena, offsets, taps, w, channels, p[FLIP], acc)
        store_row(arena, consts, p, acc, row, 0, n, x_zero, x_scale)


def depthwise_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's output pixels in float32, taps in ascending order."""
    n, taps, channels = p[F_N], p[TAPS], p[F_CHANNELS]
    scratch = p[F_SCRATCH] + tid * p[F_SCRATCH_SIZE]
    offsets_at = scratch + channels * 4
    pad = offsets_at + taps * 4
    acc, offsets, pad_row = f32_at(arena, scratch), i32_at(arena, offsets_at), f32_at(arena, pad)
    for c in range(n):
        pad_row[c] = np.float32(0)
    w, bias = f32_at(consts, p[F_WEIGHTS]), f32_at(consts, p[F_BIAS])
    low, high = bits_f32(p[F_LOW]), bits_f32(p[F_HIGH])
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        advance(p, pad, row, row == begin, offsets)
        tap_sums_f32(f32_at(arena, 0), offsets, taps, w, channels, 0, acc)
        out = f32_at(arena, p[F_Y] + row * n * 4)
        for c in range(n):
            value = acc[c] + bias[c]
            value = low if value <= low else value
            out[c] = high if value > high else value
