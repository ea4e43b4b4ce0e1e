"""Pooling, channels last: the maximum or the mean of a window, vectors along the channels.

Contract: ``docs/spec/operators.md`` sections 1 and 4. A global pool is a window as large as the
image. Padding is a row of the value that never wins (maximum) or adds nothing (mean).
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i8_at, i32_at, share, u8_at
from refquant_runtime.kernels.window import ROWS, TAPS, WINDOW, fill_offsets

__all__ = ["FIELDS", "average_pool_f32", "average_pool_i8", "max_pool_f32", "max_pool_i8"]

FIELDS = (
    *WINDOW,
    *[
        "y",
        "n",
        "scratch",
        "scratch_size",
        "signed",
        "count_pad",
        "half_away",
        "x_scale",
        "y_scale",
        "x_zero",
        "y_zero",
        "low",
        "high",
    ],
)  # fmt: skip
(
    Y, N, SCRATCH, SCRATCH_SIZE, SIGNED, COUNT_PAD, HALF_AWAY, X_SCALE, Y_SCALE, X_ZERO, Y_ZERO,
    LOW, HIGH,
) = range(len(WINDOW), len(FIELDS))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def counted(offsets: Any, taps: int, outside: int, count_pad: int) -> int:
    """Return how many elements the mean divides by."""
    if count_pad:
        return taps
    count = 0
    for t in range(taps):
        if offsets[t] != outside:
            count += 1
    return count


@njit(nogil=True, error_model="numpy")
def mean_codes(p: Any, acc: Any, count: int, out: Any) -> None:
    """Turn sums of (code - zero point) over ``count`` elements into output codes."""
    low, high, x_zero, y_zero = p[LOW], p[HIGH], p[X_ZERO], p[Y_ZERO]
    if p[HALF_AWAY]:
        half = count // 2
        for c in range(p[N]):
            total = np.int64(acc[c]) + count * x_zero  # raw codes
            # C division truncates; // would floor
            value = (total + half) // count if total > 0 else -((half - total) // count)
            out[c] = np.uint8(min(max(value, low), high))
        return
    divisor = np.float32(bits_f32(p[Y_SCALE]) * np.float32(count))
    multiplier = np.float32(bits_f32(p[X_SCALE]) / divisor)
    lowest, highest = np.float32(low - y_zero), np.float32(high - y_zero)
    for c in range(p[N]):
        value = np.rint(np.float32(acc[c]) * multiplier)
        value = min(max(value, lowest), highest)
        out[c] = np.uint8(np.int32(value) + np.int32(y_zero))


def average_pool_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Mean of codes under the contract's rule."""
    n, taps = p[N], p[TAPS]
    scratch = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    offsets_at = scratch + n * 4
    pad = offsets_at + taps * 4
    acc, offsets, pad_row = i32_at(arena, scratch), i32_at(arena, offsets_at), u8_at(arena, pad)
    x_zero = np.int32(p[X_ZERO])
    for c in range(n):
        pad_row[c] = np.uint8(x_zero)
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        fill_offsets(p, pad, row, offsets)
        for c in range(n):
            acc[c] = np.int32(0)
        for t in range(taps):
            if p[SIGNED]:
                signed = i8_at(arena, offsets[t])
                for c in range(n):
                    acc[c] = np.int32(acc[c] + np.int32(np.int32(signed[c]) - x_zero))
            else:
                codes = u8_at(arena, offsets[t])
                for c in range(n):
                    acc[c] = np.int32(acc[c] + np.int32(np.int32(codes[c]) - x_zero))
        count = counted(offsets, taps, pad, p[COUNT_PAD])
        mean_codes(p, acc, count, u8_at(arena, p[Y] + row * n))


def average_pool_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Mean in float32: ascending sum from +0.0, then one division."""
    n, taps = p[N], p[TAPS]
    offsets_at = p[SCRATCH] + tid * p[SCRATCH_SIZE] + n * 4
    pad = offsets_at + taps * 4
    offsets, pad_row = i32_at(arena, offsets_at), f32_at(arena, pad)
    for c in range(n):
        pad_row[c] = np.float32(0)
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        fill_offsets(p, pad, row, offsets)
        out = f32_at(arena, p[Y] + row * n * 4)
        for c in range(n):
            out[c] = np.float32(0)
        for t in range(taps):
            x = f32_at(arena, np.int64(offsets[t]) * 4)
            for c in range(n):
                out[c] = out[c] + x[c]
        count = np.float32(counted(offsets, taps, pad >> 2, p[COUNT_PAD]))
        for c in range(n):
            out[c] = out[c] / count


def max_pool_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Largest code of the window; the order of codes is that of the reals."""
    n, taps = p[N], p[TAPS]
    offsets_at = p[SCRATCH] + tid * p[SCRATCH_SIZE] + n * 4
    pad = offsets_at + taps * 4
    offsets, pad_row = i32_at(arena, offsets_at), u8_at(arena, pad)
    # Signed codes compare as unsigned ones once their top bit is flipped.
    flip = np.uint8(128 if p[SIGNED] else 0)
    for c in range(n):
        pad_row[c] = flip
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        fill_offsets(p, pad, row, offsets)
        out = u8_at(arena, p[Y] + row * n)
        for c in range(n):
            out[c] = np.uint8(0)
        for t in range(taps):
            x = u8_at(arena, offsets[t])
            for c in range(n):
                out[c] = max(out[c], np.uint8(x[c] ^ flip))
        for c in range(n):
            out[c] = np.uint8(out[c] ^ flip)


def max_pool_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Largest value of the window; NaN wins."""
    n, taps = p[N], p[TAPS]
    offsets_at = p[SCRATCH] + tid * p[SCRATCH_SIZE] + n * 4
    pad = offsets_at + taps * 4
    offsets, pad_row = i32_at(arena, offsets_at), f32_at(arena, pad)
    for c in range(n):
        pad_row[c] = np.float32(-np.inf)
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        fill_offsets(p, pad, row, offsets)
        out = f32_at(arena, p[Y] + row * n * 4)
        for c in range(n):
            out[c] = np.float32(-np.inf)
        for t in range(taps):
            x = f32_at(arena, np.int64(offsets[t]) * 4)
            for c in range(n):
                value = x[c]
                out[c] = value if value > out[c] or value != value else out[c]
