"""16-bit codes, element by element and along an axis: tables, sums, pools, Softmax, conversions.

Contract: ``docs/spec/operators.md`` sections 2 and 4. Plain loops. Tables have an entry for each
code of the input, in the order of its bits as an unsigned number.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import (
    bits_f32,
    bits_f64,
    f32_at,
    i16_at,
    i32_at,
    share,
    u8_at,
)
from refquant_runtime.kernels.convert import QUANTIZE, quantize_one
from refquant_runtime.kernels.elementwise import (
    A3,
    A_ZERO,
    B3,
    B_ZERO,
    BINARY,
    D3,
    HIGH,
    LOW,
    M1,
    M2,
    M3,
    MODE,
    S1,
    S2,
    S3,
    Y_SCALE,
    Y_ZERO,
    A,
    B,
    Y,
    row_starts,
    rows_and_columns,
)
from refquant_runtime.kernels.int16_products import rescaled
from refquant_runtime.kernels.pool import FIELDS as POOL
from refquant_runtime.kernels.requantize import multiply_double
from refquant_runtime.kernels.window import ROWS, TAPS, fill_offsets

__all__ = [
    "BINARY", "DEQUANTIZE", "MEAN", "POOL", "QUANTIZE", "SOFTMAX", "SUM", "TABLE", "binary_i16",
    "dequantize_i16", "mean_i16", "pool_i16", "quantize_i16", "softmax_i16", "table_i16",
]  # fmt: skip

TABLE = ["x", "y", "table", "n", "wide_x", "wide_y"]
DEQUANTIZE = ["x", "y", "n", "scale", "zero"]
SOFTMAX = ["x", "y", "outer", "n", "inner", "table", "points"]
MEAN = ["x", "y", "outer", "n", "inner", "multiplier", "shift", "x_zero", "y_zero", "low", "high"]
SUM = 9  # the mode of an Add, beside those of the products
(
    P_Y, P_N, P_SCRATCH, P_SCRATCH_SIZE, _, P_COUNT_PAD, P_AVERAGE, _, _, P_X_ZERO, _, P_LOW,
    P_HIGH,
) = range(len(POOL) - 13, len(POOL))  # fmt: skip


def table_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """``y = table[x]``, one side or both of 16 bits; entries of the table too."""
    begin, end = share(p[3], tid, nthreads)
    wide, narrow = i16_at(arena, p[0]), u8_at(arena, p[0])
    for i in range(begin, end):
        at = np.int64(wide[i]) & 65535 if p[4] else np.int64(narrow[i])
        if p[5]:
            i16_at(arena, p[1])[i] = i16_at(consts, p[2])[at]
        else:
            u8_at(arena, p[1])[i] = u8_at(consts, p[2])[at]


def quantize_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Float32 to int16 with fixed parameters."""
    x, y, scale = f32_at(arena, p[0]), i16_at(arena, p[1]), bits_f32(p[3])
    begin, end = share(p[2], tid, nthreads)
    for i in range(begin, end):
        y[i] = np.int16(quantize_one(x[i], scale, p[4], p[5], p[6], p[7], p[8]))


def dequantize_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Codes to float32: ``f32(code - zero) * scale``."""
    x, y, scale = i16_at(arena, p[0]), f32_at(arena, p[1]), bits_f32(p[3])
    begin, end = share(p[2], tid, nthreads)
    for i in range(begin, end):
        y[i] = np.float32(np.int32(x[i]) - np.int32(p[4])) * scale


def binary_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Add, with 15 bits of headroom, and Mul, with broadcasting."""
    first, last, begin, end = rows_and_columns(p, tid, nthreads)
    real = bits_f64(p[Y_SCALE])
    for row in range(first, last):
        at_a, at_b = row_starts(p, row)
        a, b = i16_at(arena, p[A] + at_a * 2), i16_at(arena, p[B] + at_b * 2)
        out = i16_at(arena, p[Y] + row * p[D3] * 2)
        for i in range(begin, end):
            left = np.int64(a[i * p[A3]]) - p[A_ZERO]
            right = np.int64(b[i * p[B3]]) - p[B_ZERO]
            if p[MODE] == SUM:
                parts = multiply_double(left << np.int64(15), p[M1], p[S1])
                parts += multiply_double(right << np.int64(15), p[M2], p[S2])
                code = multiply_double(parts, p[M3], p[S3])
            else:
                code = rescaled(p[MODE], left * right, p[M1], p[S1], real)
            out[i] = np.int16(min(max(code + p[Y_ZERO], p[LOW]), p[HIGH]))


def pool_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """The mean of raw codes, half away from zero (``half_away``), or the largest code."""
    n, taps = p[P_N], p[TAPS]
    offsets_at = p[P_SCRATCH] + tid * p[P_SCRATCH_SIZE]
    pad = offsets_at + 4 * taps
    offsets, pad_row = i32_at(arena, offsets_at), i16_at(arena, pad)
    for c in range(n):
        pad_row[c] = np.int16(p[P_X_ZERO] if p[P_AVERAGE] else -32768)
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        fill_offsets(p, pad, row, offsets)
        out = i16_at(arena, p[P_Y] + row * n * 2)
        for c in range(n):
            total, largest, count = np.int64(0), np.int64(-32768), np.int64(0)
            for t in range(taps):
                if np.int64(offsets[t]) == pad >> 1 and not p[P_COUNT_PAD]:
                    continue
                code = np.int64(i16_at(arena, np.int64(offsets[t]) * 2)[c])
                total, largest, count = total + code, max(largest, code), count + 1
            if p[P_AVERAGE]:
                half = count // 2
                largest = (total + half) // count if total > 0 else -((half - total) // count)
            out[c] = np.int16(min(max(largest, p[P_LOW]), p[P_HIGH]))


def mean_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Mean of codes along n, 1/n in the multiplier."""
    x, y, n, inner = i16_at(arena, p[0]), i16_at(arena, p[1]), p[3], p[4]
    begin, end = share(p[2] * inner, tid, nthreads)
    for line in range(begin, end):
        outer = line // inner
        at = outer * n * inner + (line - outer * inner)
        total = np.int64(0)
        for i in range(n):
            total += np.int64(x[at + i * inner]) - p[7]
        code = multiply_double(total, p[5], p[6]) + p[8]
        y[line] = np.int16(min(max(code, p[9]), p[10]))


@njit(nogil=True, error_model="numpy")
def reciprocal_i16(total: int, zeros: int, points: Any) -> int:
    """Return 15 bits of 1 / total, between 513 points."""
    place = (((total << (zeros - 1)) + (1 << 13)) >> 14) - 98304
    place = min(max(place, -32768), 32767)
    index, rest = 256 + (place >> 7), place & 127
    base = np.int64(points[index])
    return int(base + (((np.int64(points[index + 1]) - base) * rest + 64) >> 7))


def softmax_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Softmax along n, by a table of 65536 exponentials."""
    x, y = i16_at(arena, p[0]), i16_at(arena, p[1])
    n, inner, table, points = p[3], p[4], i16_at(consts, p[5]), i16_at(consts, p[6])
    begin, end = share(p[2] * inner, tid, nthreads)
    for line in range(begin, end):
        outer = line // inner
        at = outer * n * inner + (line - outer * inner)
        largest, total, zeros = np.int64(-32768), np.int64(0), np.int64(1)
        for i in range(n):
            largest = max(largest, np.int64(x[at + i * inner]))
        for i in range(n):
            total += np.int64(table[largest - np.int64(x[at + i * inner])])
        while (total << zeros) < (np.int64(1) << np.int64(31)):
            zeros += 1
        r = reciprocal_i16(total, zeros, points)
        right = np.int64(31) - zeros
        for i in range(n):
            e = np.int64(table[largest - np.int64(x[at + i * inner])])
            code = (e * r + (np.int64(1) << (right - np.int64(1)))) >> right
            y[at + i * inner] = np.int16(min(max(code, 0), 32767))
