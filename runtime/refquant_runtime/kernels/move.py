"""Copies with strides: Transpose, Concat, Pad and every change of layout; and filling.

A copy has six dimensions, strides in elements for both sides, and elements of 1, 2 or 4 bytes.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import i16_at, i32_at, share, u8_at

__all__ = ["FILL", "MOVE", "fill", "move"]

MOVE = [
    "x", "y", "element", "d0", "d1", "d2", "d3", "d4", "d5", "x0", "x1", "x2", "x3", "x4",
    "x5", "y0", "y1", "y2", "y3", "y4", "y5",
]  # fmt: skip
FILL = ["y", "n", "element", "value"]


@njit(nogil=True, error_model="numpy")
def copy_rows(source: Any, target: Any, p: Any, tid: int, nthreads: int) -> None:
    """Copy this thread's rows, the innermost dimension being one row."""
    rows = p[3] * p[4] * p[5] * p[6] * p[7]
    n, step_x, step_y = p[8], p[14], p[20]
    begin, end = share(rows, tid, nthreads)
    for row in range(begin, end):
        rest, at_x, at_y = row, np.int64(0), np.int64(0)
        for axis in range(4, -1, -1):
            size = p[3 + axis]
            index = rest % size
            rest = rest // size
            at_x += index * p[9 + axis]
            at_y += index * p[15 + axis]
        if step_x == 1 and step_y == 1:
            for i in range(n):
                target[at_y + i] = source[at_x + i]
        else:
            for i in range(n):
                target[at_y + i * step_y] = source[at_x + i * step_x]


def move(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Copy a strided block within the arena."""
    if p[2] == 1:
        copy_rows(u8_at(arena, p[0]), u8_at(arena, p[1]), p, tid, nthreads)
    elif p[2] == 2:
        copy_rows(i16_at(arena, p[0]), i16_at(arena, p[1]), p, tid, nthreads)
    else:
        copy_rows(i32_at(arena, p[0]), i32_at(arena, p[1]), p, tid, nthreads)


def fill(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Set ``n`` elements to one value (given as its bits)."""
    begin, end = share(p[1], tid, nthreads)
    if p[2] == 1:
        narrow = u8_at(arena, p[0])
        for i in range(begin, end):
            narrow[i] = np.uint8(p[3])
    elif p[2] == 2:
        short = i16_at(arena, p[0])
        for i in range(begin, end):
            short[i] = np.int16(p[3])
    else:
        wide = i32_at(arena, p[0])
        for i in range(begin, end):
            wide[i] = np.int32(p[3])
