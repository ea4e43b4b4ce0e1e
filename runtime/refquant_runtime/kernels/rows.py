"""Rows of tables, and vectors made one length: Gather, Cast, LayerNormalization, RMSNormalization.

Contract: ``docs/spec/operators.md`` section 7. A sum over a vector ascends, so it is one chain of
additions, each waiting for the one before; eight vectors are summed side by side, eight chains.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i16_at, i32_at, share, u8_at

__all__ = [
    "CAST", "DECODE", "GATHER", "NORMALIZE", "cast", "gather", "gather_decoded", "layer_norm",
    "pick", "rms_norm",
]  # fmt: skip

GATHER = ["x", "constant", "y", "outer", "rows", "inner", "count", "indices", "guard", "element"]
DECODE = [
    "codes", "y", "rows", "inner", "count", "indices", "guard", "signed", "tabled", "table",
    "scales", "zeros", "block_rows", "block_columns",
]  # fmt: skip
NORMALIZE = ["x", "y", "rows", "n", "scale", "bias", "has_bias", "epsilon"]
CAST = ["x", "y", "n", "kind"]


@njit(nogil=True, error_model="numpy", inline="always")
def pick(arena: Any, consts: Any, constant: int) -> Any:
    """Return the block that holds an operand: packed weights or the arena."""
    return consts if constant else arena


@njit(nogil=True, error_model="numpy", inline="always")
def row_of(indices: Any, i: int, rows: int, guard: Any) -> Any:
    """Return index ``i``, from the end if negative; an impossible one is noted, and 0."""
    row = np.int64(indices[i])
    row = row + rows if row < 0 else row
    if row < 0 or row >= rows:
        guard[0] = np.int32(1)
        row = np.int64(0)
    return row


def gather(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Copy rows of (outer, rows, inner) by index."""
    base = pick(arena, consts, p[1])
    outer, rows, inner, count, element = p[3], p[4], p[5], p[6], p[9]
    indices, guard = i32_at(arena, p[7]), i32_at(arena, p[8])
    begin, end = share(outer * count, tid, nthreads)
    for item in range(begin, end):
        o = item // count
        row = row_of(indices, item - o * count, rows, guard)
        at = (o * rows + row) * inner * element
        if element == 4:
            wide, target = i32_at(base, p[0] + at), i32_at(arena, p[2] + item * inner * 4)
            for j in range(inner):
                target[j] = wide[j]
        elif element == 2:
            short, shorts = i16_at(base, p[0] + at), i16_at(arena, p[2] + item * inner * 2)
            for j in range(inner):
                shorts[j] = short[j]
        else:
            narrow, codes = u8_at(base, p[0] + at), u8_at(arena, p[2] + item * inner)
            for j in range(inner):
                codes[j] = narrow[j]


def gather_decoded(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Decode rows of a matrix of codes: ``(code - zero_point) * scale`` or ``table * scale``."""
    rows, inner, count, wide = p[2], p[3], p[4], p[13]
    indices, guard = i32_at(arena, p[5]), i32_at(arena, p[6])
    top, marks = np.int32(128 if p[7] else 0), f32_at(consts, p[9])
    columns = (inner + wide - 1) // wide
    begin, end = share(count, tid, nthreads)
    for i in range(begin, end):
        row = row_of(indices, i, rows, guard)
        codes, y = u8_at(consts, p[0] + row * inner), f32_at(arena, p[1] + i * inner * 4)
        at = (row // p[12]) * columns * 4
        scales, zeros = f32_at(consts, p[10] + at), f32_at(consts, p[11] + at)
        for block in range(columns):
            scale, zero = scales[block], zeros[block]
            for j in range(block * wide, min((block + 1) * wide, inner)):
                if p[8]:
                    y[j] = marks[codes[j]] * scale
                else:
                    code = np.int32(np.int32(np.int32(codes[j]) ^ top) - top)
                    y[j] = np.float32(np.float32(code) - zero) * scale


def cast(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Cast: ``kind`` is 3 * from + to, of float32, int32, truths (uint8)."""
    begin, end = share(p[2], tid, nthreads)
    kind = p[3]
    x, xi, xb = f32_at(arena, p[0]), i32_at(arena, p[0]), u8_at(arena, p[0])
    y, yi, yb = f32_at(arena, p[1]), i32_at(arena, p[1]), u8_at(arena, p[1])
    for i in range(begin, end):
        if kind == 1:
            inside = x[i] >= np.float32(-2147483648.0) and x[i] < np.float32(2147483648.0)
            yi[i] = np.int32(x[i]) if inside else np.int32(-2147483648)
        elif kind == 2:
            yb[i] = np.uint8(0 if x[i] == np.float32(0) else 1)
        elif kind == 3:
            y[i] = np.float32(xi[i])
        elif kind == 5:
            yb[i] = np.uint8(0 if xi[i] == 0 else 1)
        elif kind == 6:
            y[i] = np.float32(xb[i])
        elif kind == 7:
            yi[i] = np.int32(xb[i])
        elif kind == 8:
            yb[i] = np.uint8(0 if xb[i] == 0 else 1)
        else:
            yi[i] = xi[i]


@njit(nogil=True, error_model="numpy")
def eight_sums(x: Any, first: int, last: int, n: int, squares: int) -> Any:
    """Sum eight rows of ``n``, or their squares; rows after ``last`` repeat it."""
    a, b, c, d, e, f, g, h = (
        first * n, min(first + 1, last) * n, min(first + 2, last) * n, min(first + 3, last) * n,
        min(first + 4, last) * n, min(first + 5, last) * n, min(first + 6, last) * n,
        min(first + 7, last) * n,
    )  # fmt: skip
    zero = np.float32(0)
    s0, s1, s2, s3, s4, s5, s6, s7 = zero, zero, zero, zero, zero, zero, zero, zero
    if squares:
        for i in range(n):
            s0 = s0 + x[a + i] * x[a + i]
            s1 = s1 + x[b + i] * x[b + i]
            s2 = s2 + x[c + i] * x[c + i]
            s3 = s3 + x[d + i] * x[d + i]
            s4 = s4 + x[e + i] * x[e + i]
            s5 = s5 + x[f + i] * x[f + i]
            s6 = s6 + x[g + i] * x[g + i]
            s7 = s7 + x[h + i] * x[h + i]
    else:
        for i in range(n):
            s0 = s0 + x[a + i]
            s1 = s1 + x[b + i]
            s2 = s2 + x[c + i]
            s3 = s3 + x[d + i]
            s4 = s4 + x[e + i]
            s5 = s5 + x[f + i]
            s6 = s6 + x[g + i]
            s7 = s7 + x[h + i]
    return s0, s1, s2, s3, s4, s5, s6, s7


def layer_norm(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """LayerNormalization of this thread's rows."""
    x, y, n = f32_at(arena, p[0]), f32_at(arena, p[1]), p[3]
    scale, bias, has_bias = f32_at(arena, p[4]), f32_at(arena, p[5]), p[6]
    epsilon, count = bits_f32(p[7]), np.float32(n)
    begin, end = share(p[2], tid, nthreads)
    for first in range(begin, end, 8):
        sums = eight_sums(x, first, end - 1, n, 0)
        some = min(end - first, 8)
        for k in range(some):
            mean, at = sums[k] / count, (first + k) * n
            for i in range(n):
                y[at + i] = x[at + i] - mean
        sums = eight_sums(y, first, end - 1, n, 1)
        for k in range(some):
            inverse = np.float32(1) / np.sqrt(sums[k] / count + epsilon)
            out = f32_at(arena, p[1] + (first + k) * n * 4)
            if has_bias:
                for i in range(n):
                    out[i] = (out[i] * inverse) * scale[i] + bias[i]
            else:
                for i in range(n):
                    out[i] = (out[i] * inverse) * scale[i]


def rms_norm(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """RMSNormalization of this thread's rows."""
    x, n, scale = f32_at(arena, p[0]), p[3], f32_at(arena, p[4])
    epsilon, count = bits_f32(p[7]), np.float32(n)
    begin, end = share(p[2], tid, nthreads)
    for first in range(begin, end, 8):
        sums = eight_sums(x, first, end - 1, n, 1)
        for k in range(min(end - first, 8)):
            root = np.sqrt(sums[k] / count + epsilon)
            row = f32_at(arena, p[0] + (first + k) * n * 4)
            out = f32_at(arena, p[1] + (first + k) * n * 4)
            for i in range(n):
                out[i] = (row[i] / root) * scale[i]
