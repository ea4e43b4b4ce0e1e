"""Convolutions and products of 16-bit codes: sums in int64, one output at a time.

Contract: ``docs/spec/operators.md`` sections 3 and 4. Plain loops, channels last; a product is a
convolution with one position. ``mode``: 0 ``tflite_int64``, 1 ``gemmlowp_double``, 2
``neon_double``, 3 ``float64_half_away``.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import f64_at, i16_at, i32_at, share
from refquant_runtime.kernels.pointers import as_i64, offset
from refquant_runtime.kernels.requantize import multiply_double, multiply_f64, multiply_neon
from refquant_runtime.kernels.window import ROW_SIZE, ROWS, TAPS, WINDOW, fill_offsets

__all__ = ["FIELDS", "MODES", "conv_i16", "multiply_i64", "rescaled"]

FIELDS = (
    *WINDOW, "y", "n", "channels", "per_group", "weights", "seed", "multiplier", "shift", "real",
    "mode", "x_zero", "y_zero", "low", "high", "scratch", "scratch_size",
)  # fmt: skip
(
    Y, N, CHANNELS, PER_GROUP, WEIGHTS, SEED, MULTIPLIER, SHIFT, REAL, MODE, X_ZERO, Y_ZERO, LOW,
    HIGH, SCRATCH, SCRATCH_SIZE,
) = range(len(WINDOW), len(FIELDS))  # fmt: skip
MODES = {
    "tflite_int64": 0, "gemmlowp_double": 1, "gemmlowp_double_f32": 1, "neon_double": 2,
    "float64_half_away": 3,
}  # fmt: skip


@njit(nogil=True, error_model="numpy", inline="always")
def multiply_i64(acc: Any, multiplier: Any, shift: Any) -> Any:
    """One product with the upper 16 bits of the multiplier, rounded, ties up."""
    reduced = np.int64(32767)
    if multiplier < np.int64(0x7FFF0000):
        reduced = (np.int64(multiplier) + np.int64(1 << 15)) >> np.int64(16)
    right = np.int64(15) - np.int64(shift)
    return (np.int64(acc) * reduced + (np.int64(1) << (right - np.int64(1)))) >> right


@njit(nogil=True, error_model="numpy")
def rescaled(mode: int, acc: int, multiplier: int, shift: int, real: float) -> int:
    """Return what an accumulator becomes; it fits int32, as was proved."""
    if mode == 0:
        return int(multiply_i64(acc, multiplier, shift))
    if mode == 1:
        return int(multiply_double(acc, np.int64(multiplier), np.int64(shift)))
    if mode == 2:
        return int(multiply_neon(acc, np.int64(multiplier), np.int64(shift)))
    return int(multiply_f64(acc, real))


def conv_i16(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Conv, Gemm, MatMul: this thread's rows of the output, int16 to int16."""
    taps, n, channels = p[TAPS], p[N], p[CHANNELS]
    offsets_at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    pad = offsets_at + 4 * taps
    offsets, pad_row = i32_at(arena, offsets_at), i16_at(arena, pad)
    for c in range(p[ROW_SIZE]):
        pad_row[c] = np.int16(p[X_ZERO])
    seeds = as_i64(offset(consts, p[SEED]))
    multipliers, shifts = i32_at(consts, p[MULTIPLIER]), i32_at(consts, p[SHIFT])
    reals = f64_at(consts, p[REAL])
    begin, end = share(p[ROWS], tid, nthreads)
    for row in range(begin, end):
        fill_offsets(p, pad, row, offsets)
        out = i16_at(arena, p[Y] + row * n * 2)
        for j in range(n):
            first = (j // p[PER_GROUP]) * channels
            acc = np.int64(seeds[j])
            for t in range(taps):
                x = i16_at(arena, (np.int64(offsets[t]) + first) * 2)
                w = i16_at(consts, p[WEIGHTS] + (j * taps + t) * channels * 2)
                for c in range(channels):
                    acc += np.int64(np.int32(x[c]) * np.int32(w[c]))
            code = rescaled(p[MODE], acc, multipliers[j], shifts[j], reals[j]) + p[Y_ZERO]
            out[j] = np.int16(min(max(code, p[LOW]), p[HIGH]))
