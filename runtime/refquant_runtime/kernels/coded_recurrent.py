"""GRU and LSTM of codes: what depends on the state, step after step; gates in float32.

Contract: ``docs/spec/operators.md`` sections 4 and 5. The products of the input, for all steps,
were made before, as those of any layer of codes (``a``). Here each step makes codes of the state,
with the output's parameters or, where the run makes the ranges (``dynamic``), with the state's own,
and multiplies them by the packed ``r``::

    h (float32) --codes--> tiles of bytes --> sums (int32) --> b (float32) --> gates --> h

Codes of a state after a step are those that the next one multiplies, and where parameters are the
file's they are the output. The zero point is taken off a sum afterwards: a sum may wrap in between
and ends where it should, for the loader has proved the result. The steps of one direction wait for
each other, so a direction is one thread's.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i32_at, share, u8_at
from refquant_runtime.kernels.convert import dynamic_parameters, quantize_row
from refquant_runtime.kernels.elementary import sigmoid, tanh
from refquant_runtime.kernels.pointers import call_int8_tile, offset
from refquant_runtime.kernels.recurrent import (
    AFTER,
    BIAS,
    DIRECTIONS,
    FIRST_C,
    FIRST_H,
    GATES,
    HAS_BIAS,
    HAS_C,
    HAS_H,
    HIDDEN,
    LAST_C,
    LAST_H,
    NR,
    PANEL_SIZE,
    PANELS,
    RECURRENT,
    REVERSE,
    SCRATCH,
    SCRATCH_SIZE,
    STEPS,
    TILE,
    WEIGHTS,
    A,
    Y,
    begin_state,
    end_state,
)

__all__ = ["CODED_RECURRENT", "coded_recurrent", "state_products"]

CODED_RECURRENT = [
    *RECURRENT, "mr", "kc", "flip", "scales", "sums", "dynamic", "late", "y_scale", "y_zero", "low",
    "high", "rule", "nan",
]  # fmt: skip
(
    MR, KC, FLIP, SCALES, SUMS, DYNAMIC, LATE, Y_SCALE, Y_ZERO, LOW, HIGH, RULE, NAN,
) = range(len(RECURRENT), len(CODED_RECURRENT))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def encode(p: Any, v: Any, codes: Any) -> tuple[Any, Any]:
    """Make codes of the state ``v``; return the scale, and the zero point of the codes as uint8."""
    n = p[HIDDEN]
    if p[DYNAMIC]:
        scale, zero = dynamic_parameters(v, n)
        quantize_row(v, codes, 0, n, scale, zero, 0, 255, p[RULE], p[NAN])
        return scale, zero
    scale, zero = bits_f32(p[Y_SCALE]), np.int64(p[Y_ZERO])
    quantize_row(v, codes, 0, n, scale, zero, p[LOW], p[HIGH], p[RULE], p[NAN])
    return scale, (zero + 128 if p[FLIP] else zero)


@njit(nogil=True, error_model="numpy")
def reals(acc: Any, sums: Any, zero: int, scale: Any, scales: Any, out: Any, n: int) -> None:
    """``out[j] = f32(acc[j] - zero * sums[j]) * f32(scale * scales[j])``."""
    for j in range(n):
        exact = np.int32(acc[j] - np.int32(np.int32(zero) * sums[j]))
        out[j] = np.float32(exact) * np.float32(scale * scales[j])


@njit(nogil=True, error_model="numpy")
def state_products(arena: Any, consts: Any, p: Any, direction: int, begin: int, end: int,
                   codes: int, zero: int, scale: Any, offsets: Any, acc: Any,
                   b: Any) -> None:  # fmt: skip
    """``b[gate] = codes * r + bias`` for whole gates, each of which begins with a panel.

    ``codes`` is their place in the arena.
    """
    n, nr, each = p[HIDDEN], p[NR], p[PANELS]
    for r in range(p[MR]):
        offsets[r] = np.int32(codes)
    for gate in range(begin, end):
        own = direction * p[GATES] + gate
        scales, sums = (
            f32_at(consts, p[SCALES] + own * n * 4),
            i32_at(consts, p[SUMS] + own * n * 4),
        )
        for i in range(each):
            weights = u8_at(consts, p[WEIGHTS] + (own * each + i) * p[PANEL_SIZE])
            call_int8_tile(p[TILE], arena, offsets, 1, p[KC], weights, acc, np.uint32(p[FLIP]))
            first = i * nr
            reals(acc, offset(sums, first), zero, scale, offset(scales, first),
                  offset(b, gate * n + first), min(nr, n - first))  # fmt: skip
    if p[HAS_BIAS]:
        bias = f32_at(consts, p[BIAS] + direction * p[GATES] * n * 4)
        for i in range(begin * n, end * n):
            b[i] = b[i] + bias[i]


@njit(nogil=True, error_model="numpy")
def gru_step(arena: Any, consts: Any, p: Any, direction: int, a: Any, h: Any, reset: Any,
             codes: int, zero: int, scale: Any, offsets: Any, acc: Any,
             b: Any) -> None:  # fmt: skip
    """One step of a GRU: gates z, r, h. Codes of the reset state take the place of the state's."""
    n = p[HIDDEN]
    gate, third, new = offset(b, n), offset(b, 2 * n), offset(a, 2 * n)
    count = 3 if p[AFTER] else 2
    state_products(arena, consts, p, direction, 0, count, codes, zero, scale, offsets, acc, b)
    if p[AFTER]:
        for i in range(n):
            r = sigmoid(a[n + i] + gate[i])
            third[i] = new[i] + r * third[i]
    else:
        for i in range(n):
            reset[i] = sigmoid(a[n + i] + gate[i]) * h[i]
        step, middle = encode(p, reset, u8_at(arena, codes))
        state_products(arena, consts, p, direction, 2, 3, codes, middle, step, offsets, acc, b)
        for i in range(n):
            third[i] = new[i] + third[i]
    for i in range(n):
        z = sigmoid(a[i] + b[i])
        h[i] = (np.float32(1) - z) * tanh(third[i]) + z * h[i]


@njit(nogil=True, error_model="numpy")
def lstm_step(arena: Any, consts: Any, p: Any, direction: int, a: Any, h: Any, c: Any, codes: int,
              zero: int, scale: Any, offsets: Any, acc: Any, b: Any) -> None:  # fmt: skip
    """One step of an LSTM: gates i, o, f, c. A bias that comes ``late`` is added to both sums."""
    n = p[HIDDEN]
    state_products(arena, consts, p, direction, 0, 4, codes, zero, scale, offsets, acc, b)
    for i in range(4 * n):
        b[i] = a[i] + b[i]
    if p[LATE]:
        bias = f32_at(consts, p[BIAS] + direction * 4 * n * 4)
        for i in range(4 * n):
            b[i] = b[i] + bias[i]
    for i in range(n):
        b[i] = sigmoid(b[i]) * tanh(b[3 * n + i])
        b[n + i] = sigmoid(b[n + i])
        b[2 * n + i] = sigmoid(b[2 * n + i])
    for i in range(n):
        c[i] = b[2 * n + i] * c[i] + b[i]
        h[i] = b[n + i] * tanh(c[i])


@njit(nogil=True, error_model="numpy")
def output(arena: Any, p: Any, row: int, h: Any, codes: Any) -> None:
    """The state after a step, ``row`` of the output: reals, or their codes."""
    n = p[HIDDEN]
    if p[DYNAMIC]:
        y = f32_at(arena, p[Y] + row * n * 4)
        for i in range(n):
            y[i] = h[i]
    else:
        made = u8_at(arena, p[Y] + row * n)
        for i in range(n):
            made[i] = codes[i]


def coded_recurrent(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """GRU or LSTM of codes: this thread's directions, all steps of each."""
    n, d, steps, wide = p[HIDDEN], p[DIRECTIONS], p[STEPS], p[GATES] * p[HIDDEN]
    at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    offsets, acc = i32_at(arena, at), i32_at(arena, at + 64)
    h_at = at + 64 + p[MR] * p[NR] * 4
    h, other, b = f32_at(arena, h_at), f32_at(arena, h_at + 4 * n), f32_at(arena, h_at + 8 * n)
    place = h_at + 8 * n + 4 * wide
    codes = u8_at(arena, place)
    begin, end = share(d, tid, nthreads)
    for direction in range(begin, end):
        begin_state(arena, p, FIRST_H, p[HAS_H], direction, h)
        if p[GATES] == 4:
            begin_state(arena, p, FIRST_C, p[HAS_C], direction, other)
        scale, zero = encode(p, h, codes)
        backward = direction == 1 or p[REVERSE] == 1
        for step in range(steps):
            t = steps - 1 - step if backward else step
            a = f32_at(arena, p[A] + (direction * steps + t) * wide * 4)
            if p[GATES] == 4:
                lstm_step(arena, consts, p, direction, a, h, other, place, zero, scale, offsets,
                          acc, b)  # fmt: skip
            else:
                gru_step(arena, consts, p, direction, a, h, other, place, zero, scale, offsets,
                         acc, b)  # fmt: skip
            scale, zero = encode(p, h, codes)
            output(arena, p, t * d + direction, h, codes)
        end_state(arena, p, LAST_H, direction, h)
        if p[GATES] == 4:
            end_state(arena, p, LAST_C, direction, other)
