"""Softmax, and matrix products whose both sides are computed: rows by rows, no packing.

Contract: ``docs/spec/operators.md`` sections 1, 4 and 5.
"""

from typing import Any

import numpy as np

from refquant_runtime.kernels.abi import f32_at, i8_at, i32_at, share, u8_at
from refquant_runtime.kernels.elementary import exp
from refquant_runtime.kernels.requantize import EPILOGUE, store_row
from refquant_runtime.kernels.window import WINDOW

__all__ = ["MATMUL", "SOFTMAX", "matmul_f32", "matmul_i8", "softmax_f32"]

SOFTMAX = ["x", "y", "outer", "n", "inner"]
# The epilogue's fields stand where store_row looks for them.
OPERANDS = [
    "a", "b", "rows_a", "rows", "k", "n", "batches", "a_batch", "b_batch", "signed_a", "signed_b",
    "a_zero", "b_zero",
]  # fmt: skip
MATMUL = (
    *OPERANDS,
    *(f"unused{i}" for i in range(len(WINDOW) - len(OPERANDS))),
    *EPILOGUE,
    *["scratch", "scratch_size"],
)
A, B, ROWS, K, N, BATCHES, A_BATCH, B_BATCH, SIGNED_A, SIGNED_B, A_ZERO, B_ZERO = (
    0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
Y = len(WINDOW)
SCRATCH, SCRATCH_SIZE = len(MATMUL) - 2, len(MATMUL) - 1


def softmax_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Softmax along the middle of (outer, n, inner); sums ascend."""
    x, y = f32_at(arena, p[0]), f32_at(arena, p[1])
    n, inner = p[3], p[4]
    begin, end = share(p[2] * inner, tid, nthreads)
    for line in range(begin, end):
        outer = line // inner
        at = outer * n * inner + (line - outer * inner)
        largest = x[at]
        for i in range(1, n):
            value = x[at + i * inner]
            largest = value if value > largest or value != value else largest
        total = np.float32(0)
        for i in range(n):
            e = exp(x[at + i * inner] - largest)
            y[at + i * inner] = e
            total = total + e
        for i in range(n):
            y[at + i * inner] = y[at + i * inner] / total


def matmul_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Batched float product of two computed tensors, k ascending."""
    rows, k, n = p[ROWS], p[K], p[N]
    begin, end = share(p[BATCHES] * rows, tid, nthreads)
    for row in range(begin, end):
        batch = row // rows
        a = f32_at(arena, p[A] + (batch * p[A_BATCH] + (row - batch * rows) * k) * 4)
        out = f32_at(arena, p[Y] + row * n * 4)
        for j in range(n):
            out[j] = np.float32(0)
        for i in range(k):
            b = f32_at(arena, p[B] + (batch * p[B_BATCH] + i * n) * 4)
            value = a[i]
            for j in range(n):
                out[j] = out[j] + value * b[j]


def matmul_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Batched integer product of two computed tensors."""
    rows, k, n = p[ROWS], p[K], p[N]
    za, zb = np.int32(p[A_ZERO]), np.int32(p[B_ZERO])
    acc = i32_at(arena, p[SCRATCH] + tid * p[SCRATCH_SIZE])
    begin, end = share(p[BATCHES] * rows, tid, nthreads)
    for row in range(begin, end):
        batch = row // rows
        at = p[A] + batch * p[A_BATCH] + (row - batch * rows) * k
        a, signed_a = u8_at(arena, at), i8_at(arena, at)
        for j in range(n):
            acc[j] = np.int32(0)
        for i in range(k):
            at_b = p[B] + batch * p[B_BATCH] + i * n
            code = np.int32(signed_a[i]) if p[SIGNED_A] else np.int32(a[i])
            value = np.int32(code - za)
            if p[SIGNED_B]:
                signed_b = i8_at(arena, at_b)
                for j in range(n):
                    term = np.int32(value * np.int32(np.int32(signed_b[j]) - zb))
                    acc[j] = np.int32(acc[j] + term)
            else:
                b = u8_at(arena, at_b)
                for j in range(n):
                    acc[j] = np.int32(acc[j] + np.int32(value * np.int32(np.int32(b[j]) - zb)))
        store_row(arena, consts, p, acc, row, 0, n, np.int64(0), np.float32(0))
