"""ResizeLinear: weighted means of four pixels of codes (``docs/spec/operators.md``, section 12).

Images are channels last, so the four pixels are four rows of bytes and every channel has the same
weights. Products of two weights have at most 22 bits, sums of four with a code 31.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import i8_at, i32_at, share, u8_at

__all__ = ["RESIZE", "resize_linear"]

RESIZE = [
    "x", "y", "rows", "columns", "samples", "height", "width", "out_height", "out_width", "n",
    "bits", "away", "signed",
]  # fmt: skip


@njit(nogil=True, error_model="numpy", inline="always")
def rounded(total: Any, half: Any, shift: Any, away: int) -> Any:
    """Return total / 2^shift, ties up or away from zero."""
    if away and total < 0:
        return np.int32(-((np.int32(half - total)) >> shift))
    return np.int32((total + half) >> shift)


@njit(nogil=True, error_model="numpy", inline="always")
def pixel(a: Any, b: Any, c: Any, d: Any, weights: Any, out: Any, n: int, half: Any, shift: Any,
          away: int) -> None:  # fmt: skip
    """Make all channels of a pixel from those of four, signed codes or not."""
    w00, w01, w10, w11 = weights
    for k in range(n):
        total = np.int32(
            np.int32(np.int32(a[k]) * w00) + np.int32(np.int32(b[k]) * w01)
            + np.int32(np.int32(c[k]) * w10) + np.int32(np.int32(d[k]) * w11)
        )  # fmt: skip
        out[k] = rounded(total, half, shift, away)


def resize_linear(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """One output pixel after another; a thread has its share of the rows."""
    rows, columns = i32_at(arena, p[2]), i32_at(arena, p[3])
    height, width, out_height, out_width, n = p[5], p[6], p[7], p[8], p[9]
    one, shift = np.int32(1 << p[10]), np.int32(2 * p[10])
    half, away = np.int32(1 << (2 * p[10] - 1)), p[11]
    begin, end = share(p[4] * out_height, tid, nthreads)
    for line in range(begin, end):
        sample = line // out_height
        i = line - sample * out_height
        top = (sample * height + rows[3 * i]) * width
        bottom = (sample * height + rows[3 * i + 1]) * width
        down = np.int32(rows[3 * i + 2])
        for j in range(out_width):
            left, right = columns[3 * j], columns[3 * j + 1]
            along = np.int32(columns[3 * j + 2])
            w00, w01 = np.int32((one - down) * (one - along)), np.int32((one - down) * along)
            w10, w11 = np.int32(down * (one - along)), np.int32(down * along)
            at = p[1] + (line * out_width + j) * n
            if p[12]:
                a, b = i8_at(arena, p[0] + (top + left) * n), i8_at(arena, p[0] + (top + right) * n)
                c = i8_at(arena, p[0] + (bottom + left) * n)
                d = i8_at(arena, p[0] + (bottom + right) * n)
                pixel(a, b, c, d, (w00, w01, w10, w11), i8_at(arena, at), n, half, shift, away)
            else:
                e, f = u8_at(arena, p[0] + (top + left) * n), u8_at(arena, p[0] + (top + right) * n)
                g = u8_at(arena, p[0] + (bottom + left) * n)
                h = u8_at(arena, p[0] + (bottom + right) * n)
                pixel(e, f, g, h, (w00, w01, w10, w11), u8_at(arena, at), n, half, shift, away)
