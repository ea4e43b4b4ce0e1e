"""int32 accumulators to outputs, a row at a time: the epilogue of every integer layer.

Contract: ``docs/spec/operators.md`` section 4, the axis ``requantize``, and section 5 for the rows
that leave as float32. Codes are stored by their low byte, so one function serves
``int8`` and ``uint8``. The fields :data:`EPILOGUE` follow those of the window in a plan row.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, f64_at, i32_at, u8_at
from refquant_runtime.kernels.dynamic_range import fused_multiply_add
from refquant_runtime.kernels.window import WINDOW

__all__ = [
    "EPILOGUE",
    "MODES",
    "multiply_double",
    "multiply_f64",
    "multiply_neon",
    "row_to_codes_double",
    "row_to_codes_f64",
    "row_to_codes_neon",
    "row_to_codes_rne",
    "row_to_f32",
    "store_row",
]

MODES = {
    "float_rne": 0, "gemmlowp_double": 1, "int32": 2, "float32": 3, "gemmlowp_double_f32": 1,
    "neon_double": 4, "float64_half_away": 5, "float32_in_turn": 6, "float32_fused": 7,
}  # fmt: skip
EPILOGUE = [
    "y", "seed", "multiplier", "shift", "weight_sum", "bias", "x_scale", "x_zero", "mode",
    "y_stride", "y_begin", "zero_point", "low", "high", "has_bias",
]  # fmt: skip
(
    Y, SEED, MULTIPLIER, SHIFT, WEIGHT_SUM, BIAS, X_SCALE, X_ZERO, MODE, Y_STRIDE, Y_BEGIN,
    ZERO_POINT, LOW, HIGH, HAS_BIAS,
) = range(len(WINDOW), len(WINDOW) + len(EPILOGUE))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def row_to_codes_rne(acc: Any, seed: Any, multiplier: Any, out: Any, n: int, zero_point: int,
                     low: int, high: int) -> None:  # fmt: skip
    """``out[j] = clamp(rint(f32(acc[j] + seed[j]) * multiplier[j]) + zero_point)`` for j < n."""
    lowest = np.float32(low - zero_point)
    highest = np.float32(high - zero_point)
    for j in range(n):
        value = np.rint(np.float32(np.int32(acc[j] + seed[j])) * multiplier[j])
        value = min(max(value, lowest), highest)  # clamp as a float: the cast is then defined
        out[j] = np.uint8(np.int32(value) + np.int32(zero_point))


@njit(nogil=True, error_model="numpy", inline="always")
def multiply_double(acc: Any, multiplier: Any, shift: Any) -> Any:
    """SRDHM then RoundingDivideByPOT: two roundings, ties up then ties away from zero."""
    left = max(shift, np.int64(0))
    right = max(-shift, np.int64(0))
    product = (np.int64(acc) << left) * np.int64(multiplier)
    # (product + nudge) / 2^31 truncating, nudge = 2^30 or 1 - 2^30: ties towards +infinity,
    # which an arithmetic shift does without a branch.
    high = (product + (np.int64(1) << 30)) >> np.int64(31)
    mask = (np.int64(1) << right) - 1
    remainder = high & mask
    threshold = (mask >> 1) + (np.int64(1) if high < 0 else np.int64(0))
    return (high >> right) + (np.int64(1) if remainder > threshold else np.int64(0))


@njit(nogil=True, error_model="numpy")
def row_to_codes_double(acc: Any, seed: Any, multiplier: Any, shift: Any, out: Any, n: int,
                        zero_point: int, low: int, high: int) -> None:  # fmt: skip
    """``out[j] = clamp(RDBPOT(SRDHM(acc[j] + seed[j], multiplier[j])) + zero_point)``."""
    for j in range(n):
        value = multiply_double(np.int32(acc[j] + seed[j]), multiplier[j], np.int64(shift[j]))
        value = min(max(value + zero_point, low), high)
        out[j] = np.uint8(value)


@njit(nogil=True, error_model="numpy", inline="always")
def multiply_neon(acc: Any, multiplier: Any, shift: Any) -> Any:
    """SRDHM then a rounding shift, ties up both times."""
    left = max(shift, np.int64(0))
    right = max(-shift, np.int64(0))
    product = (np.int64(acc) << left) * np.int64(multiplier)
    high = (product + (np.int64(1) << 30)) >> np.int64(31)
    return (high + ((np.int64(1) << right) >> np.int64(1))) >> right


@njit(nogil=True, error_model="numpy", inline="always")
def multiply_f64(acc: Any, multiplier: Any) -> Any:
    """One product in float64, ties away from zero; it fits int32, as was proved."""
    value = np.float64(acc) * multiplier
    whole = np.trunc(value)
    if abs(value - whole) >= 0.5:
        whole = whole + np.copysign(1.0, value)
    return np.int64(whole)


@njit(nogil=True, error_model="numpy")
def row_to_codes_neon(acc: Any, seed: Any, multiplier: Any, shift: Any, out: Any, n: int,
                      zero_point: int, low: int, high: int) -> None:  # fmt: skip
    """``out[j] = clamp(VRSHL(SRDHM(acc[j] + seed[j], multiplier[j])) + zero_point)``."""
    for j in range(n):
        value = multiply_neon(np.int32(acc[j] + seed[j]), multiplier[j], np.int64(shift[j]))
        out[j] = np.uint8(min(max(value + zero_point, low), high))


@njit(nogil=True, error_model="numpy")
def row_to_codes_f64(acc: Any, seed: Any, multiplier: Any, out: Any, n: int, zero_point: int,
                     low: int, high: int) -> None:  # fmt: skip
    """``out[j] = clamp(round_half_away(f64(acc[j] + seed[j]) * multiplier[j]) + zero_point)``."""
    for j in range(n):
        value = multiply_f64(np.int32(acc[j] + seed[j]), multiplier[j])
        out[j] = np.uint8(min(max(value + zero_point, low), high))


@njit(nogil=True, error_model="numpy")
def row_to_f32(acc: Any, seed: Any, weight_sum: Any, zero_point: int, x_scale: Any,
               w_scale: Any, bias: Any, out: Any, n: int, has_bias: int, low: Any,
               high: Any) -> None:  # fmt: skip
    """``out[j] = f32(acc - zero_point*weight_sum) * (x_scale*w_scale[j]) + bias[j]``: dynamic."""
    for j in range(n):
        exact = np.int32(np.int32(acc[j] + seed[j]) - np.int32(zero_point * weight_sum[j]))
        value = np.float32(exact) * np.float32(x_scale * w_scale[j])
        if has_bias:
            value = np.float32(value + bias[j])
        value = low if value <= low else value  # a fused Relu makes +0.0 of -0.0
        out[j] = high if value > high else value


@njit(nogil=True, error_model="numpy")
def row_to_f32_in_turn(acc: Any, weight_sum: Any, zero_point: int, x_scale: Any, w_scale: Any,
                       late: Any, bias: Any, out: Any, n: int, low: Any,
                       high: Any) -> None:  # fmt: skip
    """``out[j] = f32(acc) * w_scale[j] * x_scale + bias[j]``, the scales swapped if ``late[j]``."""
    for j in range(n):
        real = np.float32(np.int32(acc[j] - np.int32(zero_point * weight_sum[j])))
        first = x_scale if late[j] else w_scale[j]
        second = w_scale[j] if late[j] else x_scale
        value = np.float32(np.float32(np.float32(real * first) * second) + bias[j])
        value = low if value <= low else value
        out[j] = high if value > high else value


@njit(nogil=True, error_model="numpy")
def row_to_f32_fused(acc: Any, weight_sum: Any, zero_point: int, x_scale: Any, w_scale: Any,
                     bias: Any, out: Any, n: int, low: Any, high: Any) -> None:  # fmt: skip
    """``out[j] = fma(f32(acc) * x_scale, w_scale[j], bias[j])``."""
    for j in range(n):
        real = np.float32(np.int32(acc[j] - np.int32(zero_point * weight_sum[j])))
        value = fused_multiply_add(np.float32(real * x_scale), w_scale[j], bias[j])
        value = low if value <= low else value
        out[j] = high if value > high else value


@njit(nogil=True, error_model="numpy")
def _store_f32(arena: Any, consts: Any, p: Any, line: Any, seed: Any, at: int, column: int,
               width: int, x_zero: int, x_scale: float) -> None:  # fmt: skip
    """Turn one row of accumulators into float32: the modes 3, 6 and 7."""
    mode = p[MODE]
    sums = i32_at(consts, p[WEIGHT_SUM] + column * 4)
    scale = f32_at(consts, p[MULTIPLIER] + column * 4)
    bias = f32_at(consts, p[BIAS] + column * 4)
    out = f32_at(arena, at)
    low, high = bits_f32(p[LOW]), bits_f32(p[HIGH])
    if mode == 3:
        row_to_f32(
            line, seed, sums, x_zero, x_scale, scale, bias, out, width, p[HAS_BIAS], low, high
        )
    elif mode == 6:
        late = i32_at(consts, p[SHIFT] + column * 4)
        row_to_f32_in_turn(line, sums, x_zero, x_scale, scale, late, bias, out, width, low, high)
    else:
        row_to_f32_fused(line, sums, x_zero, x_scale, scale, bias, out, width, low, high)


@njit(nogil=True, error_model="numpy")
def store_row(arena: Any, consts: Any, p: Any, line: Any, row: int, column: int, width: int,
              x_zero: int, x_scale: float) -> None:  # fmt: skip
    """Turn one row of accumulators into the output's elements: the layer's epilogue."""
    mode = p[MODE]
    seed = i32_at(consts, p[SEED] + column * 4)
    at = p[Y] + (row * p[Y_STRIDE] + p[Y_BEGIN] + column) * (4 if mode in (2, 3) or mode > 5 else 1)
    if mode == 0:
        scale = f32_at(consts, p[MULTIPLIER] + column * 4)
        row_to_codes_rne(line, seed, scale, u8_at(arena, at), width, p[ZERO_POINT], p[LOW], p[HIGH])
    elif mode == 1:
        multiplier = i32_at(consts, p[MULTIPLIER] + column * 4)
        shift = i32_at(consts, p[SHIFT] + column * 4)
        row_to_codes_double(
            line, seed, multiplier, shift, u8_at(arena, at), width, p[ZERO_POINT], p[LOW], p[HIGH]
        )
    elif mode == 4:
        multiplier = i32_at(consts, p[MULTIPLIER] + column * 4)
        shift = i32_at(consts, p[SHIFT] + column * 4)
        row_to_codes_neon(
            line, seed, multiplier, shift, u8_at(arena, at), width, p[ZERO_POINT], p[LOW], p[HIGH]
        )
    elif mode == 5:
        real = f64_at(consts, p[MULTIPLIER] + column * 8)
        row_to_codes_f64(line, seed, real, u8_at(arena, at), width, p[ZERO_POINT], p[LOW], p[HIGH])
    elif mode == 2:
        sums = i32_at(consts, p[WEIGHT_SUM] + column * 4)
        raw = i32_at(arena, at)
        for j in range(width):
            raw[j] = np.int32(line[j] + seed[j] - x_zero * sums[j])
    else:
        _store_f32(arena, consts, p, line, seed, at, column, width, x_zero, x_scale)
