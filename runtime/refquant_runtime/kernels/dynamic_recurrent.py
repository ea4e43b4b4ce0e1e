"""LSTM of codes that the run makes: one range for the input, one for the state at every step.

Contract: ``docs/spec/operators.md`` section 5. The input's parameters are those of all its steps;
its codes are made a step at a time, as those of the state are. Rows of weights stand one after the
other, so a product is a plain loop of bytes. The steps of one direction wait for each other, so a
direction is one thread's.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import f32_at, i8_at, i32_at, share, u8_at
from refquant_runtime.kernels.convert import dynamic_parameters, quantize_row
from refquant_runtime.kernels.elementary import sigmoid, tanh

__all__ = ["DYNAMIC_LSTM", "dynamic_lstm"]

DYNAMIC_LSTM = [
    "x", "y", "last_h", "last_c", "first_h", "first_c", "has_h", "has_c", "directions", "reverse",
    "steps", "inputs", "hidden", "w", "w_scale", "w_sum", "r", "r_scale", "r_sum", "bias",
    "has_bias", "rule", "nan", "scratch", "scratch_size",
]  # fmt: skip
(
    X, Y, LAST_H, LAST_C, FIRST_H, FIRST_C, HAS_H, HAS_C, DIRECTIONS, REVERSE, STEPS, INPUTS,
    HIDDEN, W, W_SCALE, W_SUM, R, R_SCALE, R_SUM, BIAS, HAS_BIAS, RULE, NAN, SCRATCH, SCRATCH_SIZE,
) = range(len(DYNAMIC_LSTM))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def products(consts: Any, p: Any, weights: int, scales: int, sums: int, first: int, codes: Any,
             count: int, scale: Any, zero: int, add: int, g: Any) -> None:  # fmt: skip
    """``g[j] = f32(acc) * f32(scale * scales[j])``, on top of what is there if ``add``."""
    rows = 4 * p[HIDDEN]
    per_row, per_sum = f32_at(consts, p[scales] + first * 4), i32_at(consts, p[sums] + first * 4)
    for j in range(rows):
        row = i8_at(consts, p[weights] + (first + j) * count)
        acc = np.int32(0)
        for i in range(count):
            acc = np.int32(acc + np.int32(np.int32(codes[i]) * np.int32(row[i])))
        exact = np.int32(acc - np.int32(np.int32(zero) * per_sum[j]))
        value = np.float32(exact) * np.float32(scale * per_row[j])
        g[j] = g[j] + value if add else value


@njit(nogil=True, error_model="numpy")
def gates(p: Any, bias: Any, g: Any, h: Any, c: Any, y: Any) -> None:
    """Add the bias, mix: i, o, f, c of every element."""
    n = p[HIDDEN]
    if p[HAS_BIAS]:
        for i in range(4 * n):
            g[i] = g[i] + bias[i]
    for i in range(n):
        g[i] = sigmoid(g[i]) * tanh(g[3 * n + i])
        g[n + i] = sigmoid(g[n + i])
        g[2 * n + i] = sigmoid(g[2 * n + i])
    for i in range(n):
        c[i] = g[2 * n + i] * c[i] + g[i]
        h[i] = g[n + i] * tanh(c[i])
        y[i] = h[i]


@njit(nogil=True, error_model="numpy")
def start(arena: Any, p: Any, place: int, given: int, direction: int, state: Any) -> None:
    """Copy a first state, or zeros."""
    n = p[HIDDEN]
    x = f32_at(arena, p[place] + direction * n * 4)
    for i in range(n):
        state[i] = x[i] if given else np.float32(0)


def dynamic_lstm(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """LSTM of dynamic codes: this thread's directions, all steps of each."""
    n, d, steps, count = p[HIDDEN], p[DIRECTIONS], p[STEPS], p[INPUTS]
    at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    h, c, g = f32_at(arena, at), f32_at(arena, at + 4 * n), f32_at(arena, at + 8 * n)
    codes = u8_at(arena, at + 24 * n)
    begin, end = share(d, tid, nthreads)
    x_scale, x_zero = dynamic_parameters(f32_at(arena, p[X]), steps * count)
    for direction in range(begin, end):
        start(arena, p, FIRST_H, p[HAS_H], direction, h)
        start(arena, p, FIRST_C, p[HAS_C], direction, c)
        bias = f32_at(consts, p[BIAS] + direction * 4 * n * 4)
        first = direction * 4 * n
        backward = direction == 1 or p[REVERSE] == 1
        for step in range(steps):
            t = steps - 1 - step if backward else step
            x = f32_at(arena, p[X] + t * count * 4)
            quantize_row(x, codes, 0, count, x_scale, x_zero, 0, 255, p[RULE], p[NAN])
            products(consts, p, W, W_SCALE, W_SUM, first, codes, count, x_scale, x_zero, 0, g)
            scale, zero = dynamic_parameters(h, n)
            quantize_row(h, codes, 0, n, scale, zero, 0, 255, p[RULE], p[NAN])
            products(consts, p, R, R_SCALE, R_SUM, first, codes, n, scale, zero, 1, g)
            gates(p, bias, g, h, c, f32_at(arena, p[Y] + (t * d + direction) * n * 4))
        last = f32_at(arena, p[LAST_H] + direction * n * 4)
        cells = f32_at(arena, p[LAST_C] + direction * n * 4)
        for i in range(n):
            last[i] = h[i]
            cells[i] = c[i]
