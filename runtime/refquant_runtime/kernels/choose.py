"""Truths and extremes: comparisons, Where, the largest of many, where it is, the k largest.

Contract: ``docs/spec/operators.md`` section 10. A truth is a byte. Operands that broadcast have the
strides of :mod:`refquant_runtime.lower.binary`; extremes run along the middle of (outer, n, inner).
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import f32_at, i32_at, share, u8_at

__all__ = ["CHOICES", "EXTREME", "SELECT", "TOP", "compare", "extreme", "select", "top_k"]

SELECT = [
    "a", "b", "c", "y", "d0", "d1", "d2", "d3", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3",
    "c0", "c1", "c2", "c3", "mode", "kind",
]  # fmt: skip
A, B, C, Y, D0, D1, D2, D3, A0, MODE, KIND = 0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 21
CHOICES = {
    name: code
    for code, name in enumerate(
        ["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Not"]
    )
}
EXTREME = ["x", "y", "outer", "n", "inner", "least", "place", "last"]
TOP = ["x", "y", "places", "outer", "n", "inner", "k", "least"]


@njit(nogil=True, error_model="numpy")
def start(p: Any, operand: int, row: int) -> int:
    """Return where a row of an operand begins, in elements."""
    i0 = row // (p[D1] * p[D2])
    rest = row - i0 * p[D1] * p[D2]
    i1 = rest // p[D2]
    at = A0 + 4 * operand
    place: int = i0 * p[at] + i1 * p[at + 1] + (rest - i1 * p[D2]) * p[at + 2]
    return place


@njit(nogil=True, error_model="numpy")
def compare_row(mode: int, a: Any, step_a: int, b: Any, step_b: int, y: Any, n: int) -> None:
    """One row of truths."""
    for i in range(n):
        left, right = a[i * step_a], b[i * step_b]
        if mode == 0:
            truth = left == right
        elif mode == 1:
            truth = left < right
        elif mode == 2:
            truth = left > right
        elif mode == 3:
            truth = left <= right
        elif mode == 4:
            truth = left >= right
        elif mode == 5:
            truth = (left != 0) & (right != 0)
        elif mode == 6:
            truth = (left != 0) | (right != 0)
        else:
            truth = left == 0
        y[i] = np.uint8(1 if truth else 0)


def compare(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Comparisons and connectives of two tensors; ``kind``: 0 float32, 1 int32, 2 uint8."""
    n, step_a, step_b = p[D3], p[A0 + 3], p[A0 + 7]
    begin, end = share(p[D0] * p[D1] * p[D2], tid, nthreads)
    for row in range(begin, end):
        at_a, at_b = start(p, 0, row), start(p, 1, row)
        y = u8_at(arena, p[Y] + row * n)
        if p[KIND] == 0:
            a, b = f32_at(arena, p[A] + at_a * 4), f32_at(arena, p[B] + at_b * 4)
            compare_row(p[MODE], a, step_a, b, step_b, y, n)
        elif p[KIND] == 1:
            ai, bi = i32_at(arena, p[A] + at_a * 4), i32_at(arena, p[B] + at_b * 4)
            compare_row(p[MODE], ai, step_a, bi, step_b, y, n)
        else:
            ab, bb = u8_at(arena, p[A] + at_a), u8_at(arena, p[B] + at_b)
            compare_row(p[MODE], ab, step_a, bb, step_b, y, n)


def select(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Where: bits of b where the truth a is not 0, else of c."""
    n, step_a, step_b, step_c = p[D3], p[A0 + 3], p[A0 + 7], p[A0 + 11]
    begin, end = share(p[D0] * p[D1] * p[D2], tid, nthreads)
    for row in range(begin, end):
        a = u8_at(arena, p[A] + start(p, 0, row))
        at_b, at_c = start(p, 1, row), start(p, 2, row)
        if p[KIND] == 2:
            bb, cb = u8_at(arena, p[B] + at_b), u8_at(arena, p[C] + at_c)
            yb = u8_at(arena, p[Y] + row * n)
            for i in range(n):
                yb[i] = bb[i * step_b] if a[i * step_a] else cb[i * step_c]
        else:
            b, c = i32_at(arena, p[B] + at_b * 4), i32_at(arena, p[C] + at_c * 4)
            y = i32_at(arena, p[Y] + row * n * 4)
            for i in range(n):
                y[i] = b[i * step_b] if a[i * step_a] else c[i * step_c]


@njit(nogil=True, error_model="numpy", inline="always")
def beats(value: Any, best: Any, least: int, equal: int) -> Any:
    """Say whether a value takes the place of the best before it; ``equal``: equals do, too."""
    if best != best:
        return equal == 1 and value != value
    if value != value:
        return True
    if value == best:
        return equal == 1
    return value < best if least else value > best


def extreme(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """ReduceMax, ReduceMin, or the places of them (``place``); NaN wins, of equals the first."""
    x, y, places = f32_at(arena, p[0]), f32_at(arena, p[1]), i32_at(arena, p[1])
    n, inner, least, last = p[3], p[4], p[5], p[7]
    begin, end = share(p[2] * inner, tid, nthreads)
    for line in range(begin, end):
        outer = line // inner
        at = outer * n * inner + (line - outer * inner)
        best, where = x[at], np.int64(0)
        for i in range(1, n):
            value = x[at + i * inner]
            if beats(value, best, least, last):
                best, where = value, np.int64(i)
        if p[6]:
            places[line] = np.int32(where)
        else:
            y[line] = best


def top_k(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """TopK: insertion into the k best so far; equals stay in the order of their places."""
    x, y, places = f32_at(arena, p[0]), f32_at(arena, p[1]), i32_at(arena, p[2])
    n, inner, k, least = p[4], p[5], p[6], p[7]
    begin, end = share(p[3] * inner, tid, nthreads)
    for line in range(begin, end):
        outer = line // inner
        at = outer * n * inner + (line - outer * inner)
        to = outer * k * inner + (line - outer * inner)
        held = np.int64(0)
        for i in range(n):
            value = x[at + i * inner]
            if held == k and not beats(value, y[to + (k - 1) * inner], least, 0):
                continue
            j = held if held < k else k - 1
            while j > 0 and beats(value, y[to + (j - 1) * inner], least, 0):
                y[to + j * inner] = y[to + (j - 1) * inner]
                places[to + j * inner] = places[to + (j - 1) * inner]
                j -= 1
            y[to + j * inner] = value
            places[to + j * inner] = np.int32(i)
            held = min(held + 1, k)
