"""L2Normalization: vectors of codes divided by their length, in integers.

Contract: ``docs/spec/operators.md``, section 13. A thread has its share of the vectors.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import i8_at, share
from refquant_runtime.kernels.requantize import multiply_double

__all__ = ["UNIT_LENGTH", "inverse_root", "unit_length"]

UNIT_LENGTH = ["x", "y", "vectors", "n", "x_zero"]


@njit(nogil=True, error_model="numpy", inline="always")
def high_half(a: Any, b: Any) -> Any:
    """Return the high half of 2ab, ties up; both are int32 in int64."""
    return (np.int64(a) * np.int64(b) + (np.int64(1) << np.int64(30))) >> np.int64(31)


@njit(nogil=True, error_model="numpy", inline="always")
def in_int32(x: Any) -> Any:
    """Clamp to int32."""
    return min(max(np.int64(x), np.int64(-2147483648)), np.int64(2147483647))


@njit(nogil=True, error_model="numpy")
def inverse_root(square: int) -> tuple[Any, Any]:
    """Return 31 bits of 1 / sqrt(square), and by how many bits they are moved right."""
    a, right = np.int64(square), np.int64(11)
    if a <= 1:
        return np.int64(2147483647), np.int64(0)
    while a >= np.int64(1 << 29):
        a = a >> np.int64(2)
        right += 1
    while a < np.int64(1 << 27):
        a = a << np.int64(2)
        right -= 1
    half = ((a >> np.int64(1)) + np.int64(1)) >> np.int64(1)
    x = np.int64(1 << 28)
    for _ in range(5):
        cube = in_int32(high_half(high_half(x, x), x) << np.int64(6))
        x = in_int32((high_half(np.int64(402653184), x) - high_half(half, cube)) << np.int64(3))
    x = high_half(x, np.int64(1518500250))
    if right < 0:
        return x << -right, np.int64(0)
    return x, right


def unit_length(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """One vector after another: its squares, the inverse root of their sum, its codes."""
    n, zero = p[3], np.int64(p[4])
    begin, end = share(p[2], tid, nthreads)
    for vector in range(begin, end):
        x, y = i8_at(arena, p[0] + vector * n), i8_at(arena, p[1] + vector * n)
        total = np.int64(0)
        for i in range(n):
            d = np.int64(x[i]) - zero
            total += d * d
        root, right = inverse_root(total)
        for i in range(n):
            code = multiply_double(np.int64(x[i]) - zero, root, np.int64(7) - right)
            y[i] = np.int8(min(max(code, np.int64(-128)), np.int64(127)))
