"""Add, Sub, Mul, Div of two tensors, tables of 256 entries, and float functions of one tensor.

Contract: ``docs/spec/operators.md`` sections 1 and 4. The planner folds the output's dimensions to
four and gives each operand a stride a dimension, 0 where it broadcasts; a thread takes a share of
the rows, or of the one row there is.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, bits_f64, f32_at, share, u8_at
from refquant_runtime.kernels.convert import quantize_one
from refquant_runtime.kernels.elementary import FUNCTIONS, apply
from refquant_runtime.kernels.late import add_ratios, less_zero, multiply_late
from refquant_runtime.kernels.requantize import multiply_double, multiply_f64, multiply_neon

__all__ = [
    "BINARY",
    "INTEGER_MODES",
    "TABLE",
    "UNARY",
    "binary_f32",
    "binary_i8",
    "table_i8",
    "unary_f32",
]

BINARY = [
    "a", "b", "y", "d0", "d1", "d2", "d3", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3",
    "mode", "flip_a", "flip_b", "a_zero", "b_zero", "y_zero", "low", "high", "a_scale",
    "b_scale", "y_scale", "nan", "m1", "s1", "m2", "s2", "m3", "s3",
]  # fmt: skip
(
    A, B, Y, D0, D1, D2, D3, A0, A1, A2, A3, B0, B1, B2, B3, MODE, FLIP_A, FLIP_B, A_ZERO,
    B_ZERO, Y_ZERO, LOW, HIGH, A_SCALE, B_SCALE, Y_SCALE, NAN, M1, S1, M2, S2, M3, S3,
) = range(len(BINARY))  # fmt: skip
RELU = FUNCTIONS["Relu"]
INTEGER_MODES = {
    "dequantize": 0,
    "tflite_shift20": 1,
    "xnnpack_shift20": 2,
    "float_rne": 3,
    "gemmlowp_double": 4,
    "gemmlowp_double_f32": 4,
    "neon_double": 5,
    "float64_half_away": 6,
    "scale_ratios": 7,
    "float_zp_before_round_f32": 8,
}
TABLE = ["x", "y", "table", "n", "flip"]
UNARY = ["x", "y", "n", "function", "a", "b"]


@njit(nogil=True, error_model="numpy")
def float_add_row(p: Any, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int,
                  end: int) -> None:  # fmt: skip
    """Add by way of float32: dequantize both, add, quantize."""
    fa, fb = np.uint8(p[FLIP_A]), np.uint8(p[FLIP_B])
    za, zb = np.int32(p[A_ZERO]), np.int32(p[B_ZERO])
    scale_a, scale_b, scale_y = bits_f32(p[A_SCALE]), bits_f32(p[B_SCALE]), bits_f32(p[Y_SCALE])
    low, high, zero, nan = p[LOW], p[HIGH], p[Y_ZERO], p[NAN]
    for i in range(begin, end):
        real_a = np.float32(less_zero(a, i * step_a, fa, za)) * scale_a
        real_b = np.float32(less_zero(b, i * step_b, fb, zb)) * scale_b
        out[i] = np.uint8(quantize_one(real_a + real_b, scale_y, zero, low, high, 0, nan))


@njit(nogil=True, error_model="numpy")
def tflite_add_row(p: Any, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int,
                   end: int) -> None:  # fmt: skip
    """Add in fixed point with 20 more bits: three roundings, each of them double."""
    fa, fb = np.uint8(p[FLIP_A]), np.uint8(p[FLIP_B])
    za, zb = np.int32(p[A_ZERO]), np.int32(p[B_ZERO])
    low, high, zero = p[LOW], p[HIGH], p[Y_ZERO]
    m1, m2, m3, s1, s2, s3 = p[M1], p[M2], p[M3], p[S1], p[S2], p[S3]
    for i in range(begin, end):
        part_a = multiply_double(np.int64(less_zero(a, i * step_a, fa, za)) << 20, m1, s1)
        part_b = multiply_double(np.int64(less_zero(b, i * step_b, fb, zb)) << 20, m2, s2)
        value = multiply_double(part_a + part_b, m3, s3) + zero
        out[i] = np.uint8(min(max(value, low), high))


@njit(nogil=True, error_model="numpy")
def xnnpack_add_row(p: Any, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int,
                    end: int) -> None:  # fmt: skip
    """Add in fixed point: two multiplications, one shift with ties up."""
    fa, fb = np.uint8(p[FLIP_A]), np.uint8(p[FLIP_B])
    za, zb = np.int32(p[A_ZERO]), np.int32(p[B_ZERO])
    low, high, zero = np.int32(p[LOW]), np.int32(p[HIGH]), np.int32(p[Y_ZERO])
    m1, m2, shift = np.int32(p[M1]), np.int32(p[M2]), np.int32(p[S1])
    half = np.int32(np.int32(1) << (shift - 1))
    for i in range(begin, end):
        total = np.int32(half + np.int32(m1 * less_zero(a, i * step_a, fa, za)))
        total = np.int32(total + np.int32(m2 * less_zero(b, i * step_b, fb, zb)))
        value = np.int32(np.int32(total >> shift) + zero)
        out[i] = np.uint8(min(max(value, low), high))


@njit(nogil=True, error_model="numpy")
def multiply_row(p: Any, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int,
                 end: int) -> None:  # fmt: skip
    """Mul: the product of codes, requantized as the mode says."""
    fa, fb = np.uint8(p[FLIP_A]), np.uint8(p[FLIP_B])
    za, zb = np.int32(p[A_ZERO]), np.int32(p[B_ZERO])
    low, high, zero, multiplier = p[LOW], p[HIGH], p[Y_ZERO], bits_f32(p[Y_SCALE])
    m1, s1 = p[M1], p[S1]
    if p[MODE] == 3:
        lowest, highest = np.float32(low - zero), np.float32(high - zero)
        for i in range(begin, end):
            code_a, code_b = less_zero(a, i * step_a, fa, za), less_zero(b, i * step_b, fb, zb)
            value = np.rint(np.float32(np.int32(code_a * code_b)) * multiplier)
            value = min(max(value, lowest), highest)
            out[i] = np.uint8(np.int32(value) + np.int32(zero))
    elif p[MODE] == 5:
        for i in range(begin, end):
            code_a, code_b = less_zero(a, i * step_a, fa, za), less_zero(b, i * step_b, fb, zb)
            moved = multiply_neon(np.int32(code_a * code_b), m1, s1) + zero
            out[i] = np.uint8(min(max(moved, low), high))
    elif p[MODE] == 8:
        multiply_late(a, step_a, fa, za, b, step_b, fb, zb, multiplier, np.float32(zero), out,
                      begin, end, np.int32(low), np.int32(high))  # fmt: skip
    elif p[MODE] == 6:
        real = bits_f64(m1)
        for i in range(begin, end):
            code_a, code_b = less_zero(a, i * step_a, fa, za), less_zero(b, i * step_b, fb, zb)
            moved = multiply_f64(np.int32(code_a * code_b), real) + zero
            out[i] = np.uint8(min(max(moved, low), high))
    else:
        for i in range(begin, end):
            code_a, code_b = less_zero(a, i * step_a, fa, za), less_zero(b, i * step_b, fb, zb)
            moved = multiply_double(np.int32(code_a * code_b), m1, s1) + zero
            out[i] = np.uint8(min(max(moved, low), high))


@njit(nogil=True, error_model="numpy")
def integer_row(p: Any, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int,
                end: int) -> None:  # fmt: skip
    """One row of an integer Add or Mul, under the mode's arithmetic."""
    if p[MODE] == 0:
        float_add_row(p, a, step_a, b, step_b, out, begin, end)
    elif p[MODE] == 1:
        tflite_add_row(p, a, step_a, b, step_b, out, begin, end)
    elif p[MODE] == 2:
        xnnpack_add_row(p, a, step_a, b, step_b, out, begin, end)
    elif p[MODE] == 7:
        add_ratios(
            a, step_a, np.uint8(p[FLIP_A]), np.int32(p[A_ZERO]), bits_f32(p[A_SCALE]),
            b, step_b, np.uint8(p[FLIP_B]), np.int32(p[B_ZERO]), bits_f32(p[B_SCALE]),
            bits_f32(p[Y_SCALE]), out, begin, end, np.int32(p[LOW]), np.int32(p[HIGH]),
        )  # fmt: skip
    else:
        multiply_row(p, a, step_a, b, step_b, out, begin, end)


@njit(nogil=True, error_model="numpy")
def rows_and_columns(p: Any, tid: int, nthreads: int) -> tuple[int, int, int, int]:
    """Return this thread's rows and columns: many rows are shared out, one row is cut."""
    rows = p[D0] * p[D1] * p[D2]
    if rows >= nthreads:
        first, last = share(rows, tid, nthreads)
        return first, last, 0, p[D3]
    begin, end = share(p[D3], tid, nthreads)
    return 0, rows, begin, end


@njit(nogil=True, error_model="numpy")
def row_starts(p: Any, row: int) -> tuple[int, int]:
    """Return where row ``row`` begins in a and in b, in elements."""
    i0 = row // (p[D1] * p[D2])
    rest = row - i0 * p[D1] * p[D2]
    i1 = rest // p[D2]
    i2 = rest - i1 * p[D2]
    return i0 * p[A0] + i1 * p[A1] + i2 * p[A2], i0 * p[B0] + i1 * p[B1] + i2 * p[B2]


def binary_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Integer Add or Mul with broadcasting."""
    first, last, begin, end = rows_and_columns(p, tid, nthreads)
    for row in range(first, last):
        at_a, at_b = row_starts(p, row)
        a, b = u8_at(arena, p[A] + at_a), u8_at(arena, p[B] + at_b)
        out = u8_at(arena, p[Y] + row * p[D3])
        if p[A3] == 1 and p[B3] == 1:
            integer_row(p, a, 1, b, 1, out, begin, end)
        else:
            integer_row(p, a, p[A3], b, p[B3], out, begin, end)


@njit(nogil=True, error_model="numpy")
def float_row(mode: int, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int, end: int,
              low: Any, high: Any) -> None:  # fmt: skip
    """One row of Add, Sub, Mul, Div, Max or Min, then the fused bounds."""
    for i in range(begin, end):
        x, y = a[i * step_a], b[i * step_b]
        if mode == 0:
            value = x + y
        elif mode == 1:
            value = x - y
        elif mode == 2:
            value = x * y
        elif mode == 3:
            value = x / y
        elif mode == 4:
            value = x if x >= y or x != x else y
        else:
            value = x if x <= y or x != x else y
        value = low if value <= low else value  # a fused Relu makes +0.0 of -0.0
        out[i] = high if value > high else value


def binary_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Float Add, Sub, Mul or Div with broadcasting."""
    first, last, begin, end = rows_and_columns(p, tid, nthreads)
    low, high = bits_f32(p[LOW]), bits_f32(p[HIGH])
    for row in range(first, last):
        at_a, at_b = row_starts(p, row)
        a, b = f32_at(arena, p[A] + at_a * 4), f32_at(arena, p[B] + at_b * 4)
        out = f32_at(arena, p[Y] + row * p[D3] * 4)
        if p[A3] == 1 and p[B3] == 1:
            float_row(p[MODE], a, 1, b, 1, out, begin, end, low, high)
        else:
            float_row(p[MODE], a, p[A3], b, p[B3], out, begin, end, low, high)


def table_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """``y = table[x]``, the table indexed by the code's byte."""
    x, y, table = u8_at(arena, p[0]), u8_at(arena, p[1]), u8_at(consts, p[2])
    begin, end = share(p[3], tid, nthreads)
    for i in range(begin, end):
        y[i] = table[x[i]]


def unary_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """A float function of every element."""
    x, y = f32_at(arena, p[0]), f32_at(arena, p[1])
    a, b = bits_f32(p[4]), bits_f32(p[5])
    begin, end = share(p[2], tid, nthreads)
    function = p[3]
    if function == RELU:  # the common one, in a loop that vectorizes
        for i in range(begin, end):
            y[i] = x[i] if x[i] > np.float32(0) or x[i] != x[i] else np.float32(0)
    else:
        for i in range(begin, end):
            y[i] = apply(function, x[i], a, b)
