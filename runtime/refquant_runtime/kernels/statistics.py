"""Means, and Softmax of codes by tables: sums along one axis that leave as something else.

Contract: ``docs/spec/operators.md`` section 4, the axes ``softmax`` and ``mean``, and section 7 for
the mean of reals. An array is (outer, n, inner); sums run along n, vectors along inner.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i8_at, i32_at, share, u8_at
from refquant_runtime.kernels.requantize import multiply_double

__all__ = ["MEAN", "SOFTMAX_CODES", "mean_f32", "mean_i8", "softmax_codes"]

SOFTMAX_CODES = [
    "x", "y", "outer", "n", "inner", "table", "rule", "flip", "y_scale", "y_zero", "low", "high",
]  # fmt: skip
MEAN = [
    "x", "y", "outer", "n", "inner", "signed", "real", "multiplier", "shift", "x_zero", "y_zero",
    "low", "high", "scratch", "scratch_size",
]  # fmt: skip
_SIGNED, _REAL, _MULTIPLIER, _SHIFT, _X_ZERO, _Y_ZERO, _LOW, _HIGH, _SCRATCH, _SCRATCH_SIZE = range(
    5, 15
)


@njit(nogil=True, error_model="numpy", inline="always")
def high_product(a: Any, b: Any) -> Any:
    """SRDHM of two int64 that hold int32: the high half, ties up."""
    return (np.int64(a) * np.int64(b) + (np.int64(1) << 30)) >> np.int64(31)


@njit(nogil=True, error_model="numpy", inline="always")
def saturated(x: Any) -> Any:
    """Clamp an int64 to int32."""
    return min(max(x, np.int64(-2147483648)), np.int64(2147483647))


@njit(nogil=True, error_model="numpy")
def reciprocal(x: Any) -> Any:
    """1 / (1 + x / 2^31) with 31 bits, by three steps of Newton's."""
    d = (np.int64(x) + (np.int64(1) << 31)) >> np.int64(1)
    r = np.int64(1515870810) + high_product(d, np.int64(-1010580540))
    for _ in range(3):
        rest = (np.int64(1) << 29) - high_product(d, r)
        r = r + saturated(high_product(r, rest) << np.int64(2))
    return saturated(r << np.int64(1))


@njit(nogil=True, error_model="numpy")
def fixed_row(p: Any, x: Any, y: Any, table: Any, at: int, largest: int, flip: Any) -> None:
    """One row of Softmax, its exponentials in fixed point."""
    n, inner, low = p[3], p[4], p[10]
    total = np.int64(0)
    for i in range(n):
        e = np.int64(table[largest - np.int64(np.uint8(x[at + i * inner] ^ flip))])
        total += (e + 2048) >> np.int64(12)
    zeros = np.int64(0)
    while (total << zeros) < (np.int64(1) << 31):
        zeros += 1
    r = reciprocal((total << zeros) - (np.int64(1) << 31))
    right = np.int64(35) - zeros
    for i in range(n):
        e = table[largest - np.int64(np.uint8(x[at + i * inner] ^ flip))]
        value = high_product(r, e)  # not negative: ties away are ties up
        value = ((value + ((np.int64(1) << right) >> np.int64(1))) >> right) + low
        y[at + i * inner] = np.uint8(min(max(value, low), p[11]))


@njit(nogil=True, error_model="numpy")
def float_row(p: Any, x: Any, y: Any, table: Any, at: int, largest: int, flip: Any) -> None:
    """One row of Softmax, its exponentials in float32."""
    n, inner, zero, low, high = p[3], p[4], p[9], p[10], p[11]
    total = np.float32(0)
    for i in range(n):
        total = total + table[largest - np.int64(np.uint8(x[at + i * inner] ^ flip))]
    r = np.float32(np.float32(1) / np.float32(total * bits_f32(p[8])))
    for i in range(n):
        value = np.float32(table[largest - np.int64(np.uint8(x[at + i * inner] ^ flip))] * r)
        whole = np.trunc(value)
        if abs(value - whole) >= np.float32(0.5):
            whole = whole + np.copysign(np.float32(1), value)
        code = np.int64(min(whole, np.float32(65536))) + zero  # far beyond the clamp
        y[at + i * inner] = np.uint8(min(max(code, low), high))


@njit(nogil=True, error_model="numpy")
def quotient_row(p: Any, x: Any, y: Any, table: Any, at: int, largest: int, flip: Any) -> None:
    """One row of Softmax, its sum in float32, its quotients in float64."""
    n, inner, zero, low, high = p[3], p[4], p[9], p[10], p[11]
    steps = np.float64(np.floor(np.float32(np.float32(1) / bits_f32(p[8]))))
    total = np.float32(0)
    for i in range(n):
        total = total + table[largest - np.int64(np.uint8(x[at + i * inner] ^ flip))]
    for i in range(n):
        e = np.float64(table[largest - np.int64(np.uint8(x[at + i * inner] ^ flip))])
        whole = np.rint(e * steps / np.float64(total))
        code = np.int64(min(whole, 65536.0)) + zero  # far beyond the clamp
        y[at + i * inner] = np.uint8(min(max(code, low), high))


def softmax_codes(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Softmax of 8-bit codes along n, by a table of 256 exponentials."""
    x, y = u8_at(arena, p[0]), u8_at(arena, p[1])
    n, inner, flip = p[3], p[4], np.uint8(p[7])
    begin, end = share(p[2] * inner, tid, nthreads)
    for line in range(begin, end):
        outer = line // inner
        at = outer * n * inner + (line - outer * inner)
        largest = np.int64(0)
        for i in range(n):
            largest = max(largest, np.int64(np.uint8(x[at + i * inner] ^ flip)))
        if p[6] == 1:
            fixed_row(p, x, y, i32_at(consts, p[5]), at, largest, flip)
        elif p[6] == 2:
            quotient_row(p, x, y, f32_at(consts, p[5]), at, largest, flip)
        else:
            float_row(p, x, y, f32_at(consts, p[5]), at, largest, flip)


@njit(nogil=True, error_model="numpy")
def slices(p: Any, tid: int, nthreads: int) -> tuple[int, int, int, int]:
    """Return this thread's part of outer and of inner: the longer of them is cut."""
    if p[4] >= p[2]:
        begin, end = share(p[4], tid, nthreads)
        return 0, p[2], begin, end
    first, last = share(p[2], tid, nthreads)
    return first, last, 0, p[4]


@njit(nogil=True, error_model="numpy")
def finish_mean(p: Any, acc: Any, begin: int, end: int, out: Any) -> None:
    """Turn sums of codes into codes of means."""
    low, high, zero, n = p[_LOW], p[_HIGH], p[_Y_ZERO], p[3]
    if p[_REAL]:
        m, shifted = bits_f32(p[_MULTIPLIER]), bits_f32(p[_SHIFT])
        lowest, highest = np.float32(low), np.float32(high)
        for c in range(begin, end):
            value = np.rint(np.float32(np.float32(np.float32(acc[c]) * m) + shifted))
            out[c] = np.uint8(np.int32(min(max(value, lowest), highest)))
        return
    less = n * p[_X_ZERO]
    for c in range(begin, end):
        value = multiply_double(np.int64(acc[c]) - less, p[_MULTIPLIER], p[_SHIFT]) + zero
        out[c] = np.uint8(min(max(value, low), high))


def mean_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Mean of codes along n."""
    n, inner = p[3], p[4]
    acc = i32_at(arena, p[_SCRATCH] + tid * p[_SCRATCH_SIZE])
    first, last, begin, end = slices(p, tid, nthreads)
    for outer in range(first, last):
        for c in range(begin, end):
            acc[c] = np.int32(0)
        for i in range(n):
            at = p[0] + (outer * n + i) * inner
            if p[_SIGNED]:
                signed = i8_at(arena, at)
                for c in range(begin, end):
                    acc[c] = np.int32(acc[c] + np.int32(signed[c]))
            else:
                codes = u8_at(arena, at)
                for c in range(begin, end):
                    acc[c] = np.int32(acc[c] + np.int32(codes[c]))
        finish_mean(p, acc, begin, end, u8_at(arena, p[1] + outer * inner))


def mean_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Mean of reals along n: an ascending sum from +0.0, then one division, or none (``real``)."""
    n, inner = p[3], p[4]
    first, last, begin, end = slices(p, tid, nthreads)
    for outer in range(first, last):
        out = f32_at(arena, p[1] + outer * inner * 4)
        for c in range(begin, end):
            out[c] = np.float32(0)
        for i in range(n):
            x = f32_at(arena, p[0] + (outer * n + i) * inner * 4)
            for c in range(begin, end):
                out[c] = out[c] + x[c]
        if p[_REAL]:
            continue
        for c in range(begin, end):
            out[c] = out[c] / np.float32(n)
