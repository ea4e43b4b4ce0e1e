"""Depthwise convolution: every channel has its own window; vectors run along the channels.

Contract: ``docs/spec/operators.md`` sections 1, 3 and 4. Weights lie ``[taps][channels]``: int16
for integers (a code minus its zero point needs nine bits), float32 otherwise. Signed codes are
flipped to unsigned as in :mod:`refquant_runtime.kernels.gemm_i8`, so ``seed`` carries the rest.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i16_at, i32_at, share, u8_at
from refquant_runtime.kernels.requantize import EPILOGUE, MODE, X_SCALE, X_ZERO, store_row
from refquant_runtime.kernels.window import ROWS, TAPS, WINDOW, advance

__all__ = ["FIELDS", "FIELDS_F32", "depthwise_f32", "depthwise_i8"]

FIELDS = (
    *WINDOW,
    *EPILOGUE,
    *["weights", "n", "flip", "scratch", "scratch_size", "pad_value"],
)
WEIGHTS, N, FLIP, SCRATCH, SCRATCH_SIZE, PAD_VALUE = range(len(WINDOW) + len(EPILOGUE), len(FIELDS))
FIELDS_F32 = (*WINDOW, *["y", "weights", "bias", "n", "scratch", "scratch_size", "low", "high"])
F_Y, F_WEIGHTS, F_BIAS, F_N, F_SCRATCH, F_SCRATCH_SIZE, F_LOW, F_HIGH = range(
    len(WINDOW), len(FIELDS_F32)
)


@njit(nogil=True, error_model="numpy")
def nine_taps(arena: Any, offsets: Any, w: Any, flip: int, n: int, acc: Any) -> None:
    """``acc[c] = sum of 9 products``: the 3x3 window with its sums in registers."""
    x0, x1, x2 = u8_at(arena, offsets[0]), u8_at(arena, offsets[1]), u8_at(arena, offsets[2])
    x3, x4, x5 = u8_at(arena, offsets[3]), u8_at(arena, offsets[4]), u8_at(arena, offsets[5])
    x6, x7, x8 = u8_at(arena, offsets[6]), u8_at(arena, offsets[7]), u8_at(arena, offsets[8])
    f = np.uint8(flip)
    for c in range(n):
        a = np.int32(np.int32(np.uint8(x0[c] ^ f)) * np.int32(w[c]))
        a = np.int32(a + np.int32(np.int32(np.uint8(x1[c] ^ f)) * np.int32(w[c + n])))
        a = np.int32(a + np.int32(np.int32(np.uint8(x2[c] ^ f)) * np.int32(w[c + 2 * n])))
        a = np.int32(a + np.int32(np.int32(np.uint8(x3[c] ^ f)) * np.int32(w[c + 3 * n])))
        a = np.int32(a + np.int32(np.int32(np.uint8(x4[c] ^ f)) * np.int32(w[c + 4 * n])))
        a = np.int32(a + np.int32(np.int32(np.uint8(x5[c] ^ f)) * np.int32(w[c + 5 * n])))
        a = np.int32(a + np.int32(np.int32(np.uint8(x6[c] ^ f)) * np.int32(w[c + 6 * n])))
        a = np.int32(a + np.int32(np.int32(np.uint8(x7[c] ^ f)) * np.int32(w[c + 7 * n])))
        acc[c] = np.int32(a + np.int32(np.int32(np.uint8(x8[c] ^ f)) * np.int32(w[c + 8 * n])))


@njit(nogil=True, error_model="numpy")
def any_taps(arena: Any, offsets: Any, taps: int, w: Any, flip: int, n: int, acc: Any) -> None:
    """``acc[c] = sum over taps``: any window, one pass over the channels a tap."""
    f = np.uint8(flip)
    for c in range(n):
        acc[c] = np.int32(0)
    for t in range(taps):
        x = u8_at(arena, offsets[t])
        line = t * n
        for c in range(n):
            product = np.int32(np.int32(np.uint8(x[c] ^ f)) * np.int32(w[line + c]))
            acc[c] = np.int32(acc[c] + product)


def depthwise_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's output pixels, all channels of each."""
    n, taps = p[N], p[TAPS]
    scratch = p[SCRATCH] + tid * p[SCRATCH_SIZE]  # sums, offsets, the row of padding
    offsets_at = scratch + n * 4
    pad = offsets_at + taps * 4
    acc, offsets, pad_row = i32_at(arena, scratch), i32_at(arena, offsets_at), u8_at(arena, pad)
    x_zero, x_scale, pad_value = np.int64(0), np.float32(0), p[PAD_VALUE]
    if p[X_ZERO] >= 0:
        pad_value = np.int64(u8_at(arena, p[X_ZERO])[0])
        x_zero = pad_value ^ (p[FLIP] & 255)
    if p[MODE] == 3:
        x_scale = f32_at(arena, p[X_SCALE])[0]
    for c in range(n):
        pad_row[c] = np.uint8(pad_value)
    w = i16_at(consts, p[WEIGHTS])
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        advance(p, pad, row, row == begin, offsets)
        if taps == 9:
            nine_taps(arena, offsets, w, p[FLIP], n, acc)
        else:
            any_taps(arena, offsets, taps, w, p[FLIP], n, acc)
        store_row(arena, consts, p, acc, row, 0, n, x_zero, x_scale)


def depthwise_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's output pixels in float32, taps in ascending order."""
    n, taps = p[F_N], p[TAPS]
    scratch = p[F_SCRATCH] + tid * p[F_SCRATCH_SIZE]
    offsets_at = scratch + n * 4
    pad = offsets_at + taps * 4
    acc, offsets, pad_row = f32_at(arena, scratch), i32_at(arena, offsets_at), f32_at(arena, pad)
    for c in range(n):
        pad_row[c] = np.float32(0)
    w, bias = f32_at(consts, p[F_WEIGHTS]), f32_at(consts, p[F_BIAS])
    low, high = bits_f32(p[F_LOW]), bits_f32(p[F_HIGH])
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        advance(p, pad, row, row == begin, offsets)
        for c in range(n):
            acc[c] = np.float32(0)
        for t in range(taps):
            x = f32_at(arena, np.int64(offsets[t]) * 4)
            line = t * n
            for c in range(n):
                acc[c] = acc[c] + x[c] * w[line + c]
        out = f32_at(arena, p[F_Y] + row * n * 4)
        for c in range(n):
            value = acc[c] + bias[c]
            value = low if value <= low else value
            out[c] = high if value > high else value
