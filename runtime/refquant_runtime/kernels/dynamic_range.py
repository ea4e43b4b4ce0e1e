"""Rows of reals to codes with parameters of their own: what layers of dynamic range do first.

Contract: ``docs/spec/operators.md`` section 11. Codes are stored as ``code + 128``, their zero
points too, so that the kernels of products see unsigned codes. ``kind``: 0 symmetric, 1 the scale
first, 2 its inverse first. Also here: the fused multiply-add that XNNPACK's layers end in.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import f32_at, share, u8_at
from refquant_runtime.kernels.convert import quantize_one, sample_range

__all__ = ["ROWS", "fused_multiply_add", "quantize_rows", "row_parameters"]

ROWS = ["x", "y", "rows", "n", "scale", "zero", "kind", "low", "rule", "nan"]


@njit(nogil=True, error_model="numpy", inline="always")
def fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """Return f32(a * b + c), rounded once.

    float64 holds the product; its sum is rounded, and that matters only if it lies halfway between
    two float32: then the rounding error says on which side the exact sum was.
    """
    product = np.float64(a) * np.float64(b)
    addend = np.float64(c)
    total = product + addend
    result = np.float32(total)
    back = total - product
    error = (product - (total - back)) + (addend - back)
    if error == 0.0 or not abs(total) <= 3.4028234663852886e38:
        return result
    other = 2.0 * total - np.float64(result)  # the neighbour, where total is halfway
    if np.float64(np.float32(other)) != other or other == np.float64(result):
        return result
    beyond = (error > 0.0) == (other > np.float64(result))
    return np.float32(other) if beyond else result


@njit(nogil=True, error_model="numpy", inline="always")
def _half_away(value: Any) -> Any:
    whole = np.trunc(value)
    if abs(value - whole) >= 0.5:
        whole = whole + np.copysign(1.0, value)
    return whole


@njit(nogil=True, error_model="numpy", inline="always")
def _clamped(value: Any) -> Any:
    """Return a zero point; one that is NaN is the lowest code."""
    if not value > -128.0:
        return -128
    return np.int64(min(value, 127.0))


@njit(nogil=True, error_model="numpy")
def row_parameters(x: Any, n: int, kind: int) -> tuple[Any, Any, Any]:
    """Return scale, inverse and zero point of ``n`` reals."""
    low, high = sample_range(x, n)
    one = np.float32(1)
    if low == high:
        return one, one, np.int64(0)
    if kind == 0:
        edge = max(np.float32(-low), high)
        return np.float32(edge / np.float32(127)), np.float32(np.float32(127) / edge), np.int64(0)
    width = np.float32(high - low)
    if kind == 1:
        step = np.float64(width) / 255.0
        below, above = np.float64(low) / step, np.float64(high) / step
        nearer = 128.0 + abs(below) < 127.0 + abs(above)
        zero = _clamped(_half_away(-128.0 - below if nearer else 127.0 - above))
        scale = np.float32(step)
        inverse = np.float32(0) if scale == np.float32(0) else np.float32(one / scale)
        return scale, inverse, zero
    inverse = np.float32(np.float32(255) / width)
    under, over = np.float32(low * inverse), np.float32(high * inverse)
    terms = np.float32(np.float32(np.float32(-128) + under) + np.float32(np.float32(127) + over))
    real = np.float32(np.float32(-128) - under)
    if not terms > np.float32(0):
        real = np.float32(np.float32(127) - over)
    return np.float32(one / inverse), inverse, _clamped(np.float64(np.rint(real)))


@njit(nogil=True, error_model="numpy")
def _codes(x: Any, y: Any, begin: int, end: int, inverse: Any, zero: int, low: int, rule: int,
           nan: int) -> None:  # fmt: skip
    one = np.float32(1)
    if rule == 1:
        for i in range(begin, end):
            code = quantize_one(np.float32(x[i] * inverse), one, zero, low, 127, 1, nan)
            y[i] = np.uint8(code + 128)
    else:
        for i in range(begin, end):
            code = quantize_one(np.float32(x[i] * inverse), one, zero, low, 127, 2, nan)
            y[i] = np.uint8(code + 128)


def quantize_rows(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Quantize this thread's rows; of one row its stretch, with a range that all threads find."""
    rows, n = p[2], p[3]
    first, last = (0, 1) if rows == 1 else share(rows, tid, nthreads)
    for row in range(first, last):
        x, y = f32_at(arena, p[0] + row * n * 4), u8_at(arena, p[1] + row * n)
        scale, inverse, zero = row_parameters(x, n, p[6])
        begin, end = share(n, tid, nthreads) if rows == 1 else (0, n)
        if rows > 1 or tid == 0:
            f32_at(arena, p[4])[row] = scale
            u8_at(arena, p[5])[row] = np.uint8(zero + 128)
        _codes(x, y, begin, end, inverse, zero, p[7], p[8], p[9])
