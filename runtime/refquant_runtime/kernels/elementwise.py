"""Add, Sub, Mul, Div of two tensors, tables of 256 entries, and float functions of one tensor.

Contract: ``docs/spec/operators.md`` sections 1 and 4. The planner folds the output's dimensions to
four and gives each operand a stride a dimension, 0 where it broadcasts; a thread takes a share of
the rows, or of the one row there is.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i8_at, share, u8_at
from refquant_runtime.kernels.convert import quantize_one
from refquant_runtime.kernels.elementary import apply
from refquant_runtime.kernels.requantize import multiply_double

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
    "a",
    "b",
    "y",
    "d0",
    "d1",
    "d2",
    "d3",
    "a0",
    "a1",
    "a2",
    "a3",
    "b0",
    "b1",
    "b2",
    "b3",
    "mode",
    "signed_a",
    "signed_b",
    "a_zero",
    "b_zero",
    "y_zero",
    "low",
    "high",
    "a_scale",
    "b_scale",
    "y_scale",
    "rule",
    "nan",
    "m1",
    "s1",
    "m2",
    "s2",
    "m3",
    "s3",
]
(
    A, B, Y, D0, D1, D2, D3, A0, A1, A2, A3, B0, B1, B2, B3, MODE, SIGNED_A, SIGNED_B, A_ZERO,
    B_ZERO, Y_ZERO, LOW, HIGH, A_SCALE, B_SCALE, Y_SCALE, RULE, NAN, M1, S1, M2, S2, M3, S3,
) = range(len(BINARY))  # fmt: skip
INTEGER_MODES = {
    "dequantize": 0,
    "tflite_shift20": 1,
    "xnnpack_shift20": 2,
    "float_rne": 3,
    "gemmlowp_double": 4,
}
TABLE = ["x", "y", "table", "n", "flip"]
UNARY = ["x", "y", "n", "function", "a", "b"]


@njit(nogil=True, error_model="numpy", inline="always")
def code_at(codes: Any, signed_codes: Any, signed: int, at: int) -> Any:
    """Return a code as int32."""
    return np.int32(signed_codes[at]) if signed else np.int32(codes[at])


@njit(nogil=True, error_model="numpy")
def add_or_multiply(p: Any, qa: Any, qb: Any) -> Any:
    """Return the output code of one pair of codes less their zero points."""
    mode, low, high, zero = p[MODE], p[LOW], p[HIGH], p[Y_ZERO]
    if mode == 1:
        a = multiply_double(np.int64(qa) << 20, p[M1], p[S1])
        b = multiply_double(np.int64(qb) << 20, p[M2], p[S2])
        value = multiply_double(a + b, p[M3], p[S3]) + zero
    elif mode == 2:
        shift = p[S1]
        value = (((np.int64(1) << (shift - 1)) + p[M1] * qa + p[M2] * qb) >> shift) + zero
    else:
        value = multiply_double(np.int64(qa) * np.int64(qb), p[M1], p[S1]) + zero
    return min(max(value, low), high)


@njit(nogil=True, error_model="numpy")
def integer_row(p: Any, a: Any, sa: Any, step_a: int, b: Any, sb: Any, step_b: int, out: Any,
                begin: int, end: int) -> None:  # fmt: skip
    """One row of an integer Add or Mul, under the mode's arithmetic."""
    mode, za, zb = p[MODE], np.int32(p[A_ZERO]), np.int32(p[B_ZERO])
    ka, kb = p[SIGNED_A], p[SIGNED_B]
    scale_a, scale_b, scale_y = bits_f32(p[A_SCALE]), bits_f32(p[B_SCALE]), bits_f32(p[Y_SCALE])
    low, high, zero = p[LOW], p[HIGH], p[Y_ZERO]
    if mode == 0:
        for i in range(begin, end):
            qa = np.int32(code_at(a, sa, ka, i * step_a) - za)
            qb = np.int32(code_at(b, sb, kb, i * step_b) - zb)
            total = np.float32(qa) * scale_a + np.float32(qb) * scale_b
            out[i] = np.uint8(quantize_one(total, scale_y, zero, low, high, p[RULE], p[NAN]))
    elif mode == 3:
        lowest, highest = np.float32(low - zero), np.float32(high - zero)
        for i in range(begin, end):
            qa = np.int32(code_at(a, sa, ka, i * step_a) - za)
            qb = np.int32(code_at(b, sb, kb, i * step_b) - zb)
            value = np.rint(np.float32(np.int32(qa * qb)) * scale_y)
            value = min(max(value, lowest), highest)
            out[i] = np.uint8(np.int32(value) + np.int32(zero))
    else:
        for i in range(begin, end):
            qa = np.int32(code_at(a, sa, ka, i * step_a) - za)
            qb = np.int32(code_at(b, sb, kb, i * step_b) - zb)
            out[i] = np.uint8(add_or_multiply(p, qa, qb))


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
        a, sa = u8_at(arena, p[A] + at_a), i8_at(arena, p[A] + at_a)
        b, sb = u8_at(arena, p[B] + at_b), i8_at(arena, p[B] + at_b)
        out = u8_at(arena, p[Y] + row * p[D3])
        if p[A3] == 1 and p[B3] == 1:
            integer_row(p, a, sa, 1, b, sb, 1, out, begin, end)
        else:
            integer_row(p, a, sa, p[A3], b, sb, p[B3], out, begin, end)


@njit(nogil=True, error_model="numpy")
def float_row(mode: int, a: Any, step_a: int, b: Any, step_b: int, out: Any, begin: int, end: int,
              low: Any, high: Any) -> None:  # fmt: skip
    """One row of Add, Sub, Mul or Div, then the fused bounds."""
    for i in range(begin, end):
        x, y = a[i * step_a], b[i * step_b]
        if mode == 0:
            value = x + y
        elif mode == 1:
            value = x - y
        elif mode == 2:
            value = x * y
        else:
            value = x / y
        value = low if value < low else value
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
    for i in range(begin, end):
        y[i] = apply(function, x[i], a, b)
