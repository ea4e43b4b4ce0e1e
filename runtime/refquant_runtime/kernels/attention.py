"""Attention, and positions as angles: both walk the heads of a sequence.

Contract: ``docs/spec/operators.md`` section 7. Sixteen queries make a panel of "weights", as wide
as a tile: one tile gives the scores of some keys (rows) for sixteen queries (columns), transposed,

    S^T[j][i] = sum_d k[j][d] q[i][d],      y^T[e][i] = sum_j v^T[e][j] p^T[j][i]

and the softmax between them runs down the columns: sums ascend in j, vectors along the queries.
Scores stand as ``[keys][16]``, which is what the second product wants for a panel.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i32_at, share
from refquant_runtime.kernels.columns import (
    WIDTH,
    divide_columns,
    largest_columns,
    subtract_columns,
    sum_columns,
)
from refquant_runtime.kernels.elementary import exp
from refquant_runtime.kernels.pointers import call_f32_tile, offset
from refquant_runtime.kernels.rows import pick

__all__ = ["ATTENTION", "ROTARY", "WIDTH", "attention", "rotary"]

ATTENTION = [
    "q", "k", "v", "y", "mask", "heads", "groups", "queries", "keys", "d", "e", "q_head", "q_row",
    "k_head", "k_row", "v_head", "v_row", "y_head", "y_row", "has_mask", "mask_head", "mask_row",
    "mask_column", "scale", "causal", "mr", "tile", "scratch", "scratch_size",
]  # fmt: skip
(
    Q, K, V, Y, MASK, HEADS, GROUPS, QUERIES, KEYS, D, E, Q_HEAD, Q_ROW, K_HEAD, K_ROW, V_HEAD,
    V_ROW, Y_HEAD, Y_ROW, HAS_MASK, MASK_HEAD, MASK_ROW, MASK_COLUMN, SCALE, CAUSAL, MR_, TILE_,
    SCRATCH_, SCRATCH_SIZE_,
) = range(len(ATTENTION))  # fmt: skip
ROTARY = [
    "x", "y", "cos", "sin", "cos_constant", "sin_constant", "positions", "guard", "angles", "heads",
    "steps", "head_step", "row_step", "half", "d", "interleaved",
]  # fmt: skip


@njit(nogil=True, error_model="numpy")
def product(arena: Any, p: Any, rows: int, first: int, step: int, terms: int, panel: Any,
            out: Any, offsets: Any) -> None:  # fmt: skip
    """``out[r][16]`` = rows of the arena (``first`` and ``step`` in elements) times the panel."""
    mr = p[MR_]
    for r in range(0, rows, mr):
        for i in range(mr):
            offsets[i] = np.int32(first + min(r + i, rows - 1) * step)
        call_f32_tile(p[TILE_], f32_at(arena, 0), offsets, 1, terms, panel, out_at(out, r))


@njit(nogil=True, error_model="numpy", inline="always")
def out_at(out: Any, row: int) -> Any:
    """Return the place of a row of sixteen."""
    from_row = row * WIDTH
    return offset(out, from_row)


@njit(nogil=True, error_model="numpy")
def shade(arena: Any, p: Any, s: Any, head: int, first: int, count: int) -> None:
    """Scale the scores, add the mask, and hide what is later."""
    keys, scale = p[KEYS], bits_f32(p[SCALE])
    for x in range(keys * WIDTH):
        s[x] = s[x] * scale
    if p[HAS_MASK]:
        mask = f32_at(arena, p[MASK] + (head * p[MASK_HEAD] + first * p[MASK_ROW]) * 4)
        row, column = p[MASK_ROW], p[MASK_COLUMN]
        for j in range(keys):
            if row == 0:
                value = mask[j * column]
                for i in range(WIDTH):
                    s[j * WIDTH + i] = s[j * WIDTH + i] + value
            else:
                for i in range(count):
                    s[j * WIDTH + i] = s[j * WIDTH + i] + mask[i * row + j * column]
    if p[CAUSAL]:
        for j in range(first + 1, keys):
            for i in range(min(j - first, WIDTH)):
                s[j * WIDTH + i] = np.float32(-np.inf)


@njit(nogil=True, error_model="numpy")
def softmax_columns(s: Any, keys: int, column: Any) -> None:
    """Softmax down sixteen columns; ``column``: room for sixteen numbers."""
    for i in range(WIDTH):
        column[i] = s[i]
    largest_columns(s, keys, column)
    subtract_columns(s, keys, column)
    for x in range(keys * WIDTH):
        s[x] = exp(s[x])
    for i in range(WIDTH):
        column[i] = np.float32(0)
    sum_columns(s, keys, column)
    divide_columns(s, keys, column)


def attention(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Attention: this thread's heads, sixteen queries at a time."""
    keys, d, e, mr = p[KEYS], p[D], p[E], p[MR_]
    at = p[SCRATCH_] + tid * p[SCRATCH_SIZE_]
    offsets, column = i32_at(arena, at), f32_at(arena, at + 128)
    panel = f32_at(arena, at + 256)
    s_at = at + 256 + d * WIDTH * 4
    s = f32_at(arena, s_at)
    v_at = s_at + (keys + mr) * WIDTH * 4
    turned = f32_at(arena, v_at)
    out = f32_at(arena, v_at + e * keys * 4)
    blocks = (p[QUERIES] + WIDTH - 1) // WIDTH
    begin, end = share(p[HEADS] * blocks, tid, nthreads)
    ready = np.int64(-1)
    for item in range(begin, end):
        head = item // blocks
        first = (item - head * blocks) * WIDTH
        group = head * p[GROUPS] // p[HEADS]
        if ready != group:
            v = f32_at(arena, p[V] + group * p[V_HEAD] * 4)
            for j in range(keys):
                for i in range(e):
                    turned[i * keys + j] = v[j * p[V_ROW] + i]
            ready = group
        count = min(p[QUERIES] - first, WIDTH)
        q = f32_at(arena, p[Q] + (head * p[Q_HEAD] + first * p[Q_ROW]) * 4)
        for i in range(WIDTH):
            row = min(i, count - 1) * p[Q_ROW]
            for c in range(d):
                panel[c * WIDTH + i] = q[row + c]
        product(arena, p, keys, p[K] // 4 + group * p[K_HEAD], p[K_ROW], d, panel, s, offsets)
        shade(arena, p, s, head, first, count)
        softmax_columns(s, keys, column)
        product(arena, p, e, v_at // 4, keys, keys, s, out, offsets)
        y = f32_at(arena, p[Y] + (head * p[Y_HEAD] + first * p[Y_ROW]) * 4)
        for i in range(count):
            for c in range(e):
                y[i * p[Y_ROW] + c] = out[c * WIDTH + i]


def rotary(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """RotaryEmbedding: every pair of a head turned by its position's angle."""
    heads, half, d, rows = p[9], p[13], p[14], p[8]
    positions, guard = i32_at(arena, p[6]), i32_at(arena, p[7])
    begin, end = share(heads * p[10], tid, nthreads)
    for item in range(begin, end):
        step = item // heads
        at = ((item - step * heads) * p[11] + step * p[12]) * 4
        x, y = f32_at(arena, p[0] + at), f32_at(arena, p[1] + at)
        row = np.int64(positions[step])
        if row < 0 or row >= rows:
            guard[0] = np.int32(1)
            row = np.int64(0)
        cos = f32_at(pick(arena, consts, p[4]), p[2] + row * half * 4)
        sin = f32_at(pick(arena, consts, p[5]), p[3] + row * half * 4)
        if p[15]:
            for i in range(half):
                a, b = x[2 * i], x[2 * i + 1]
                y[2 * i] = cos[i] * a - sin[i] * b
                y[2 * i + 1] = sin[i] * a + cos[i] * b
        else:
            for i in range(half):
                a, b = x[i], x[i + half]
                y[i] = cos[i] * a - sin[i] * b
                y[i + half] = sin[i] * a + cos[i] * b
        for i in range(2 * half, d):
            y[i] = x[i]
