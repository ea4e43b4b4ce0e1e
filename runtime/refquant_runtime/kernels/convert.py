"""Reals to codes and back, and the range of one sample: Quantize, Dequantize, DynamicQuantize.

Contract: ``docs/spec/operators.md`` section 2. ``rule`` packs a contract's choices: 0 divide, round
half to even; 1 multiply by the reciprocal, round half to even; 2 divide, round half away, cast to
int32 before the clamp; 3 as 1, cast as 2; 4 as 0, but the zero point is added before rounding.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i8_at, i32_at, share, u8_at
from refquant_runtime.kernels.elementary import as_bits, as_float

__all__ = ["DEQUANTIZE", "DYNAMIC", "QUANTIZE", "dequantize", "dynamic_parameters",
           "dynamic_quantize", "quantize", "quantize_one", "quantize_row"]  # fmt: skip

QUANTIZE = ["x", "y", "n", "scale", "zero", "low", "high", "rule", "nan"]
DEQUANTIZE = ["x", "y", "n", "scale", "zero", "kind"]  # kind: 0 uint8, 1 int8, 2 int32
DYNAMIC = ["x", "y", "n", "scale", "zero", "rule", "nan"]


@njit(nogil=True, error_model="numpy", inline="always")
def quantize_one(x: Any, scale: Any, zero: int, low: int, high: int, rule: int, nan: int) -> Any:
    """Return the code of one real."""
    if rule == 1:
        value = np.rint(np.float32(x * np.float32(np.float32(1) / scale)))
    elif rule == 0:
        value = np.rint(np.float32(x / scale))
    elif rule == 4:
        value = np.rint(np.float32(np.float32(x / scale) + np.float32(zero)))
    else:
        if rule == 2:
            value = np.float32(x / scale)
            whole = np.trunc(value)
            if abs(value - whole) >= np.float32(0.5):
                whole = whole + np.copysign(np.float32(1), value)
        else:
            value = np.float32(x * np.float32(np.float32(1) / scale))
            whole = np.rint(value)
        inside = whole >= np.float32(-2147483648.0) and whole < np.float32(2147483648.0)
        # An out-of-range cast means -2^31 here, as on x86; the sum then wraps in int32.
        code = np.int32(whole) if inside else np.int32(-2147483648)
        moved = np.int64(np.int32(code + np.int32(zero)))
        return min(max(moved, low), high)
    zero = 0 if rule == 4 else zero
    lowest, highest = np.float32(low - zero), np.float32(high - zero)
    clamped = lowest if value < lowest else (highest if value > highest else value)
    clamped = lowest if clamped != clamped else clamped  # NaN: any finite value, replaced below
    moved = np.int64(np.int32(np.int32(clamped) + np.int32(zero)))
    return nan if value != value else moved


@njit(nogil=True, error_model="numpy")
def quantize_row(x: Any, y: Any, begin: int, end: int, scale: Any, zero: int, low: int, high: int,
                 rule: int, nan: int) -> None:  # fmt: skip
    """Quantize a stretch of reals; one loop a rule, so that each vectorizes."""
    if rule == 0:
        for i in range(begin, end):
            y[i] = np.uint8(quantize_one(x[i], scale, zero, low, high, 0, nan))
    elif rule == 1:
        for i in range(begin, end):
            y[i] = np.uint8(quantize_one(x[i], scale, zero, low, high, 1, nan))
    elif rule == 2:
        for i in range(begin, end):
            y[i] = np.uint8(quantize_one(x[i], scale, zero, low, high, 2, nan))
    elif rule == 4:
        for i in range(begin, end):
            y[i] = np.uint8(quantize_one(x[i], scale, zero, low, high, 4, nan))
    else:
        for i in range(begin, end):
            y[i] = np.uint8(quantize_one(x[i], scale, zero, low, high, 3, nan))


def quantize(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Float32 to 8-bit codes with fixed parameters."""
    x, y = f32_at(arena, p[0]), u8_at(arena, p[1])
    begin, end = share(p[2], tid, nthreads)
    quantize_row(x, y, begin, end, bits_f32(p[3]), p[4], p[5], p[6], p[7], p[8])


def dequantize(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Codes to float32: ``f32(code - zero) * scale``."""
    y, scale, zero = f32_at(arena, p[1]), bits_f32(p[3]), np.int32(p[4])
    begin, end = share(p[2], tid, nthreads)
    if p[5] == 0:
        codes = u8_at(arena, p[0])
        for i in range(begin, end):
            y[i] = np.float32(np.int32(np.int32(codes[i]) - zero)) * scale
    elif p[5] == 1:
        signed = i8_at(arena, p[0])
        for i in range(begin, end):
            y[i] = np.float32(np.int32(np.int32(signed[i]) - zero)) * scale
    else:
        wide = i32_at(arena, p[0])
        for i in range(begin, end):
            y[i] = np.float32(np.int32(wide[i] - zero)) * scale


@njit(nogil=True, error_model="numpy")
def sample_range(x: Any, n: int) -> tuple[Any, Any]:
    """Return min(0, x...) and max(0, x...), NaN ignored.

    Floats sort like their bits read as integers once those of negative numbers are reversed;
    integer minima vectorize, those of floats do not.
    """
    low = np.int32(0)
    high = np.int32(0)
    for i in range(n):
        bits = as_bits(x[i])
        size = np.int32(bits & np.int32(0x7FFFFFFF))
        key = np.int32(bits ^ np.int32(np.int32(bits >> 31) & np.int32(0x7FFFFFFF)))
        key = np.int32(0) if size > np.int32(0x7F800000) else key  # NaN
        low = min(low, key)
        high = max(high, key)
    # -0.0 has the key -1: it is zero.
    negative = np.int32(low ^ np.int32(0x7FFFFFFF)) if low < np.int32(-1) else np.int32(0)
    return as_float(negative), as_float(high)


@njit(nogil=True, error_model="numpy")
def dynamic_parameters(x: Any, n: int) -> tuple[Any, Any]:
    """Return the scale and the zero point of ``n`` reals: DynamicQuantizeLinear."""
    low, high = sample_range(x, n)
    scale = np.float32(np.float32(high - low) / np.float32(255))
    if scale == np.float32(0):
        return np.float32(1), np.int64(0)
    exact = np.rint(np.float32(np.float32(0) - np.float32(low / scale)))
    zero = np.int64(0)
    if exact == exact:
        zero = np.int64(min(max(exact, np.float32(0)), np.float32(255)))
    return scale, zero


def dynamic_quantize(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """DynamicQuantizeLinear of one sample; every thread finds the same range by itself."""
    x, y, n = f32_at(arena, p[0]), u8_at(arena, p[1]), p[2]
    scale, zero = dynamic_parameters(x, n)
    if tid == 0:
        f32_at(arena, p[3])[0] = scale
        u8_at(arena, p[4])[0] = np.uint8(zero)
    begin, end = share(n, tid, nthreads)
    quantize_row(x, y, begin, end, scale, zero, 0, 255, p[5], p[6])
