"""GRU and LSTM: what depends on the state, step after step.

Contract: ``docs/spec/operators.md`` section 7. The products of the input, for all steps, were made
before (``a``, biases in); here each step multiplies the state by the packed ``r`` and mixes. The
steps of one direction wait for each other, so a direction is one thread's.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import f32_at, i32_at, share
from refquant_runtime.kernels.elementary import sigmoid, tanh
from refquant_runtime.kernels.pointers import call_f32_tile, offset

__all__ = ["RECURRENT", "begin_state", "end_state", "gru", "lstm"]

RECURRENT = [
    "a", "y", "last_h", "last_c", "first_h", "first_c", "has_h", "has_c", "directions", "reverse",
    "steps", "hidden", "gates", "weights", "panels", "panel_size", "nr", "tile", "bias", "has_bias",
    "after", "scratch", "scratch_size",
]  # fmt: skip
(
    A, Y, LAST_H, LAST_C, FIRST_H, FIRST_C, HAS_H, HAS_C, DIRECTIONS, REVERSE, STEPS, HIDDEN, GATES,
    WEIGHTS, PANELS, PANEL_SIZE, NR, TILE, BIAS, HAS_BIAS, AFTER, SCRATCH, SCRATCH_SIZE,
) = range(len(RECURRENT))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def of_state(consts: Any, p: Any, direction: int, begin: int, end: int, h: int, arena: Any,
             offsets: Any, b: Any) -> None:  # fmt: skip
    """``b[gate] = dot(state, r) + bias`` for whole gates; each begins with a panel of its own."""
    hidden, nr = p[HIDDEN], p[NR]
    each = p[PANELS]
    offsets[0] = np.int32(h // 4)
    for gate in range(begin, end):
        for i in range(each):
            panel = (direction * p[GATES] + gate) * each + i
            weights = f32_at(consts, p[WEIGHTS] + panel * p[PANEL_SIZE] * 4)
            out = offset(b, gate * each * nr + i * nr)
            call_f32_tile(p[TILE], f32_at(arena, 0), offsets, 1, hidden, weights, out)
    if p[HAS_BIAS]:
        bias = f32_at(consts, p[BIAS] + direction * p[GATES] * hidden * 4)
        for gate in range(begin, end):
            row, mine = offset(b, gate * each * nr), offset(bias, gate * hidden)
            for i in range(hidden):
                row[i] = row[i] + mine[i]


@njit(nogil=True, error_model="numpy")
def begin_state(arena: Any, p: Any, place: int, given: int, direction: int, h: Any) -> None:
    """Copy a first state, or zeros."""
    n = p[HIDDEN]
    x = f32_at(arena, p[place] + direction * n * 4)
    for i in range(n):
        h[i] = x[i] if given else np.float32(0)


@njit(nogil=True, error_model="numpy")
def end_state(arena: Any, p: Any, place: int, direction: int, h: Any) -> None:
    """Keep a state after the last step."""
    n = p[HIDDEN]
    last = f32_at(arena, p[place] + direction * n * 4)
    for i in range(n):
        last[i] = h[i]


@njit(nogil=True, error_model="numpy")
def gru_step(arena: Any, consts: Any, p: Any, direction: int, a: Any, h: Any, at: int, b: Any,
             reset: Any, reset_at: int, offsets: Any) -> None:  # fmt: skip
    """One step of a GRU: gates z, r, h."""
    n, wide = p[HIDDEN], p[PANELS] * p[NR]
    of_state(consts, p, direction, 0, 3 if p[AFTER] else 2, at, arena, offsets, b)
    third = offset(b, 2 * wide)
    gate = offset(b, wide)
    if p[AFTER]:
        for i in range(n):
            r = sigmoid(a[n + i] + gate[i])
            third[i] = a[2 * n + i] + r * third[i]
    else:
        for i in range(n):
            reset[i] = sigmoid(a[n + i] + gate[i]) * h[i]
        of_state(consts, p, direction, 2, 3, reset_at, arena, offsets, b)
        for i in range(n):
            third[i] = a[2 * n + i] + third[i]
    for i in range(n):
        b[i] = sigmoid(a[i] + b[i])
    for i in range(n):
        z = b[i]
        h[i] = (np.float32(1) - z) * tanh(third[i]) + z * h[i]


def gru(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """GRU: this thread's directions, all steps of each."""
    n, d, steps = p[HIDDEN], p[DIRECTIONS], p[STEPS]
    at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    offsets, h = i32_at(arena, at), f32_at(arena, at + 64)
    reset_at = at + 64 + n * 4
    reset, b = f32_at(arena, reset_at), f32_at(arena, reset_at + n * 4)
    begin, end = share(d, tid, nthreads)
    for direction in range(begin, end):
        begin_state(arena, p, FIRST_H, p[HAS_H], direction, h)
        backward = direction == 1 or p[REVERSE] == 1
        for step in range(steps):
            t = steps - 1 - step if backward else step
            a = f32_at(arena, p[A] + (direction * steps + t) * 3 * n * 4)
            gru_step(arena, consts, p, direction, a, h, at + 64, b, reset, reset_at, offsets)
            y = f32_at(arena, p[Y] + (t * d + direction) * n * 4)
            for i in range(n):
                y[i] = h[i]
        end_state(arena, p, LAST_H, direction, h)


def lstm(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """LSTM: this thread's directions, all steps of each; gates i, o, f, c."""
    n, d, steps, wide = p[HIDDEN], p[DIRECTIONS], p[STEPS], p[PANELS] * p[NR]
    at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    offsets, h = i32_at(arena, at), f32_at(arena, at + 64)
    c, b = f32_at(arena, at + 64 + n * 4), f32_at(arena, at + 64 + 2 * n * 4)
    begin, end = share(d, tid, nthreads)
    for direction in range(begin, end):
        begin_state(arena, p, FIRST_H, p[HAS_H], direction, h)
        begin_state(arena, p, FIRST_C, p[HAS_C], direction, c)
        backward = direction == 1 or p[REVERSE] == 1
        for step in range(steps):
            t = steps - 1 - step if backward else step
            a = f32_at(arena, p[A] + (direction * steps + t) * 4 * n * 4)
            of_state(consts, p, direction, 0, 4, at + 64, arena, offsets, b)
            y = f32_at(arena, p[Y] + (t * d + direction) * n * 4)
            for i in range(n):
                b[i] = sigmoid(a[i] + b[i]) * tanh(a[3 * n + i] + b[3 * wide + i])
                b[wide + i] = sigmoid(a[n + i] + b[wide + i])
                b[2 * wide + i] = sigmoid(a[2 * n + i] + b[2 * wide + i])
            for i in range(n):
                c[i] = b[2 * wide + i] * c[i] + b[i]
                h[i] = b[wide + i] * tanh(c[i])
                y[i] = h[i]
        end_state(arena, p, LAST_H, direction, h)
        end_state(arena, p, LAST_C, direction, c)
