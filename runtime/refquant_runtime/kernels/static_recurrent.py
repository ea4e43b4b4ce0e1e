"""GRU and LSTM of codes with parameters of the file: products on bytes, gates in float32.

Contract: ``docs/spec/operators.md`` section 4. The state is float32; at every step it is quantized
with the output's parameters before it is multiplied, and its codes after the step are the output.
A product is a plain loop over a row of bytes: the zero point is taken off the sum afterwards, which
may wrap in between and ends where it should, for the loader has proved the result. The steps of one
direction wait for each other, so a direction is one thread's.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i8_at, i32_at, share, u8_at
from refquant_runtime.kernels.convert import quantize_row
from refquant_runtime.kernels.elementary import sigmoid, tanh
from refquant_runtime.kernels.pointers import offset

__all__ = ["STATIC_RECURRENT", "products", "static_gru", "static_lstm"]

STATIC_RECURRENT = [
    "x", "y", "last_h", "last_c", "first_h", "first_c", "has_h", "has_c", "directions", "reverse",
    "steps", "inputs", "hidden", "gates", "after", "w", "w_factor", "w_sum", "w_bias", "r",
    "r_factor", "r_sum", "r_bias", "has_bias", "x_zero", "x_signed", "y_scale", "y_zero",
    "y_signed", "low", "high", "rule", "nan", "scratch", "scratch_size",
]  # fmt: skip
(
    X, Y, LAST_H, LAST_C, FIRST_H, FIRST_C, HAS_H, HAS_C, DIRECTIONS, REVERSE, STEPS, INPUTS,
    HIDDEN, GATES, AFTER, W, W_FACTOR, W_SUM, W_BIAS, R, R_FACTOR, R_SUM, R_BIAS, HAS_BIAS, X_ZERO,
    X_SIGNED, Y_SCALE, Y_ZERO, Y_SIGNED, LOW, HIGH, RULE, NAN, SCRATCH, SCRATCH_SIZE,
) = range(len(STATIC_RECURRENT))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def one_row(consts: Any, place: int, codes: Any, count: int) -> Any:
    """The sum of a row."""
    row = i8_at(consts, place)
    acc = np.int32(0)
    for i in range(count):
        acc = np.int32(acc + np.int32(np.int32(codes[i]) * np.int32(row[i])))
    return acc


@njit(nogil=True, error_model="numpy")
def four_rows(consts: Any, place: int, codes: Any, count: int) -> tuple[Any, Any, Any, Any]:
    """The sums of four rows, which share the widening of the codes."""
    r0, r1 = i8_at(consts, place), i8_at(consts, place + count)
    r2, r3 = i8_at(consts, place + 2 * count), i8_at(consts, place + 3 * count)
    a0 = a1 = a2 = a3 = np.int32(0)
    for i in range(count):
        code = np.int32(codes[i])
        a0 = np.int32(a0 + np.int32(code * np.int32(r0[i])))
        a1 = np.int32(a1 + np.int32(code * np.int32(r1[i])))
        a2 = np.int32(a2 + np.int32(code * np.int32(r2[i])))
        a3 = np.int32(a3 + np.int32(code * np.int32(r3[i])))
    return a0, a1, a2, a3


@njit(nogil=True, error_model="numpy", inline="always")
def real(p: Any, acc: Any, zero: int, total: Any, factor: Any, bias: Any) -> Any:
    """``f32(acc) * factor + bias``, ``acc`` without the zero point."""
    exact = np.int32(acc - np.int32(np.int32(zero) * total))
    value = np.float32(np.float32(exact) * factor)
    return value + bias if p[HAS_BIAS] else value


@njit(nogil=True, error_model="numpy")
def products(consts: Any, p: Any, weights: int, first: int, rows: int, codes: Any, count: int,
             zero: int, out: Any) -> None:  # fmt: skip
    """``out[j] = f32(acc) * factor[j] + bias[j]`` for the rows from ``first``.

    ``weights`` is the field of the weights; factors, sums and biases of rows are the next ones.
    """
    factors = f32_at(consts, p[weights + 1] + first * 4)
    sums = i32_at(consts, p[weights + 2] + first * 4)
    bias = f32_at(consts, p[weights + 3] + first * 4)
    place, fours = p[weights] + first * count, rows - rows % 4
    for j in range(0, fours, 4):
        a0, a1, a2, a3 = four_rows(consts, place + j * count, codes, count)
        out[j] = real(p, a0, zero, sums[j], factors[j], bias[j])
        out[j + 1] = real(p, a1, zero, sums[j + 1], factors[j + 1], bias[j + 1])
        out[j + 2] = real(p, a2, zero, sums[j + 2], factors[j + 2], bias[j + 2])
        out[j + 3] = real(p, a3, zero, sums[j + 3], factors[j + 3], bias[j + 3])
    for j in range(fours, rows):
        acc = one_row(consts, place + j * count, codes, count)
        out[j] = real(p, acc, zero, sums[j], factors[j], bias[j])


@njit(nogil=True, error_model="numpy")
def of_input(arena: Any, consts: Any, p: Any, direction: int, t: int, out: Any) -> None:
    """All gates of the input of step ``t``."""
    count, rows = p[INPUTS], p[GATES] * p[HIDDEN]
    place, first = p[X] + t * count, direction * rows
    if p[X_SIGNED]:
        products(consts, p, W, first, rows, i8_at(arena, place), count, p[X_ZERO], out)
    else:
        products(consts, p, W, first, rows, u8_at(arena, place), count, p[X_ZERO], out)


@njit(nogil=True, error_model="numpy")
def of_state(arena: Any, consts: Any, p: Any, direction: int, begin: int, end: int, h: Any,
             place: int, out: Any) -> None:  # fmt: skip
    """The gates from ``begin`` to ``end`` of the state ``h``, whose codes go to ``place``."""
    n = p[HIDDEN]
    codes = u8_at(arena, place)
    scale = bits_f32(p[Y_SCALE])
    quantize_row(h, codes, 0, n, scale, p[Y_ZERO], p[LOW], p[HIGH], p[RULE], p[NAN])
    first, rows = (direction * p[GATES] + begin) * n, (end - begin) * n
    to = offset(out, begin * n)
    if p[Y_SIGNED]:
        products(consts, p, R, first, rows, i8_at(arena, place), n, p[Y_ZERO], to)
    else:
        products(consts, p, R, first, rows, codes, n, p[Y_ZERO], to)


@njit(nogil=True, error_model="numpy")
def start(arena: Any, p: Any, place: int, given: int, direction: int, state: Any) -> None:
    """Copy a first state, or zeros."""
    n = p[HIDDEN]
    x = f32_at(arena, p[place] + direction * n * 4)
    for i in range(n):
        state[i] = x[i] if given else np.float32(0)


@njit(nogil=True, error_model="numpy")
def output(arena: Any, p: Any, direction: int, t: int, h: Any) -> None:
    """The codes of the state after step ``t``."""
    n = p[HIDDEN]
    y = u8_at(arena, p[Y] + (t * p[DIRECTIONS] + direction) * n)
    scale = bits_f32(p[Y_SCALE])
    quantize_row(h, y, 0, n, scale, p[Y_ZERO], p[LOW], p[HIGH], p[RULE], p[NAN])


@njit(nogil=True, error_model="numpy")
def gru_step(arena: Any, consts: Any, p: Any, direction: int, a: Any, b: Any, h: Any, reset: Any,
             place: int) -> None:  # fmt: skip
    """One step of a GRU: gates z, r, h."""
    n = p[HIDDEN]
    of_state(arena, consts, p, direction, 0, 3 if p[AFTER] else 2, h, place, b)
    gate, third, new = offset(b, n), offset(b, 2 * n), offset(a, 2 * n)
    if p[AFTER]:
        for i in range(n):
            r = sigmoid(a[n + i] + gate[i])
            third[i] = new[i] + r * third[i]
    else:
        for i in range(n):
            reset[i] = sigmoid(a[n + i] + gate[i]) * h[i]
        of_state(arena, consts, p, direction, 2, 3, reset, place, b)
        for i in range(n):
            third[i] = new[i] + third[i]
    for i in range(n):
        z = sigmoid(a[i] + b[i])
        h[i] = (np.float32(1) - z) * tanh(third[i]) + z * h[i]


@njit(nogil=True, error_model="numpy")
def lstm_step(arena: Any, consts: Any, p: Any, direction: int, a: Any, b: Any, h: Any, c: Any,
              place: int) -> None:  # fmt: skip
    """One step of an LSTM: gates i, o, f, c."""
    n = p[HIDDEN]
    of_state(arena, consts, p, direction, 0, 4, h, place, b)
    for i in range(n):
        a[i] = sigmoid(a[i] + b[i]) * tanh(a[3 * n + i] + b[3 * n + i])
        a[n + i] = sigmoid(a[n + i] + b[n + i])
        a[2 * n + i] = sigmoid(a[2 * n + i] + b[2 * n + i])
    for i in range(n):
        c[i] = a[2 * n + i] * c[i] + a[i]
        h[i] = a[n + i] * tanh(c[i])


def static_gru(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """GRU of codes: this thread's directions, all steps of each."""
    n, d, steps, wide = p[HIDDEN], p[DIRECTIONS], p[STEPS], p[GATES] * p[HIDDEN]
    at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    h, reset, a = f32_at(arena, at), f32_at(arena, at + 4 * n), f32_at(arena, at + 8 * n)
    b, codes = f32_at(arena, at + 8 * n + 4 * wide), at + 8 * n + 8 * wide
    begin, end = share(d, tid, nthreads)
    for direction in range(begin, end):
        start(arena, p, FIRST_H, p[HAS_H], direction, h)
        backward = direction == 1 or p[REVERSE] == 1
        for step in range(steps):
            t = steps - 1 - step if backward else step
            of_input(arena, consts, p, direction, t, a)
            gru_step(arena, consts, p, direction, a, b, h, reset, codes)
            output(arena, p, direction, t, h)
        last = f32_at(arena, p[LAST_H] + direction * n * 4)
        for i in range(n):
            last[i] = h[i]


def static_lstm(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """LSTM of codes: this thread's directions, all steps of each."""
    n, d, steps, wide = p[HIDDEN], p[DIRECTIONS], p[STEPS], p[GATES] * p[HIDDEN]
    at = p[SCRATCH] + tid * p[SCRATCH_SIZE]
    h, c, a = f32_at(arena, at), f32_at(arena, at + 4 * n), f32_at(arena, at + 8 * n)
    b, codes = f32_at(arena, at + 8 * n + 4 * wide), at + 8 * n + 8 * wide
    begin, end = share(d, tid, nthreads)
    for direction in range(begin, end):
        start(arena, p, FIRST_H, p[HAS_H], direction, h)
        start(arena, p, FIRST_C, p[HAS_C], direction, c)
        backward = direction == 1 or p[REVERSE] == 1
        for step in range(steps):
            t = steps - 1 - step if backward else step
            of_input(arena, consts, p, direction, t, a)
            lstm_step(arena, consts, p, direction, a, b, h, c, codes)
            output(arena, p, direction, t, h)
        last = f32_at(arena, p[LAST_H] + direction * n * 4)
        cells = f32_at(arena, p[LAST_C] + direction * n * 4)
        for i in range(n):
            last[i] = h[i]
            cells[i] = c[i]
