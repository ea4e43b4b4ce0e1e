r"""A row of float32 times a matrix, in the order of OpenBLAS on x86 with AVX-512.

``matmul_of_reals`` has what such products are. For a row of K reals and N columns:

===================  ============================================================================
N = 1                K < 32: products rounded to float32, added in float64; else 32 lanes of fused
                     operations first, whose sum is added at the end
K <= 48, not 4       one fused operation after the other, along K
else, N = 2 or 3     pairs: :math:`t \oplus \mathrm{fma}(a_k, b_k, a_{k+1} \otimes b_{k+1})` of
                     four K at a time, then one fused operation after the other
else                 of K eight, four, two and one at a time: fused operations from 0, added to what
                     is there. The first 4 and the next 8 of N columns, if N has the bit of 4 or of
                     8, take even and odd K for themselves, and add both. The last N mod 4 columns
                     are one fused operation after the other
===================  ============================================================================

Left out: more than 460,800 elements, which several threads share.

References
----------
OpenBLAS 0.3.31, ``interface/gemv.c``, ``kernel/x86_64``: ``sgemv_n_4.c``,
``sgemv_n_microk_haswell-4.c``, ``sgemv_n_microk_skylakex-8.c``, ``sdot.c``,
``sdot_microk_skylakex-2.c``; NumPy 2.4, ``numpy/_core/src/umath/matmul.c.src``.
"""

import numpy as np

from refquant.numerics.fused import fused_multiply_add, fused_sums
from refquant_conformance.protocol import Array

__all__ = ["openblas_sums"]

Float = np.float32
_SHORT = 48  # as many rows of b fit the kernel that walks all of K in a register
_COLUMNS = 4096  # columns of b that are done at a time


def openblas_sums(rows: Array, b: Array) -> Array:
    """Return each row of float32 (G, K) times its matrix of (G, K, N): (G, N).

    >>> row = np.float32([[2.0**24, 1.0, 1.0, 0.0]])
    >>> [openblas_sums(row, np.ones((1, 4, n), np.float32))[0, 0].item() for n in (1, 2, 4)]
    [16777218.0, 16777216.0, 16777216.0]
    """
    k, columns = b.shape[1:]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if columns == 1:
            each = [[_dot(row, one[:, 0])] for row, one in zip(rows, b, strict=True)]
            return np.asarray(each, Float)
        if k <= _SHORT and k != 4:
            return _chain(rows, b, slice(k))
        if columns < 4:
            return _pairs(rows, b)
        return _by_eights(rows, b)


def _fused(rows: Array, b: Array, k: int, total: Array) -> Array:
    return fused_multiply_add(np.broadcast_to(rows[:, k, None], total.shape), b[:, k], total)


def _chain(rows: Array, b: Array, places: slice) -> Array:
    return np.asarray(fused_sums(rows.T[places, :, None], b.swapaxes(0, 1)[places]))


def _chains(rows: Array, b: Array, split: Array) -> Array:
    """Return of each piece, rows (G, P, S) and b (G, P, S, N), what it adds: (G, P, N)."""
    groups, pieces, size, columns = b.shape
    each = rows.reshape(groups * pieces, size), b.reshape(groups * pieces, size, columns)
    together = _chain(*each, slice(size))
    if size > 2:
        apart = _chain(*each, slice(0, size, 2)) + _chain(*each, slice(1, size, 2))
        together = np.where(split, apart, together)
    return together.reshape(groups, pieces, columns)


def _pairs(rows: Array, b: Array) -> Array:
    k = rows.shape[1]
    total, whole = np.zeros((len(rows), b.shape[2]), Float), k // 4 * 4
    for j in range(0, whole, 2):
        total = total + _fused(rows, b, j, rows[:, j + 1, None] * b[:, j + 1])
    for j in range(whole, k):
        total = _fused(rows, b, j, total)
    return total


def _by_eights(rows: Array, b: Array) -> Array:
    k, columns = b.shape[1:]
    whole = columns // 4 * 4
    split = np.zeros(columns, bool)  # columns of which even and odd K are apart
    for first in range(0, whole, _COLUMNS):
        size = min(_COLUMNS, whole - first)
        split[first : first + (size & 4) + (size & 8)] = True
    y, first = np.zeros((len(rows), columns), Float), 0
    for count, size in ((k // 8, 8), *((1, s) for s in (4, 2, 1) if k & s)):
        part, pieces = slice(first, first + count * size), (len(rows), count, size)
        added = _chains(rows[:, part].reshape(pieces), b[:, part].reshape(*pieces, columns), split)
        for one in range(count):
            y = y + added[:, one]
        first += count * size
    y[:, whole:] = _chain(rows, b[:, :, whole:], slice(k))
    return y


def _dot(row: Array, column: Array) -> float:
    """Return the one sum: lanes of float32, and what is left in float64."""
    whole, long = row.size // 32 * 32, row.size // 64 * 64
    lanes = np.zeros((4, 16), Float)
    for k in range(0, long, 64):
        a, b = (v[k : k + 64].reshape(4, 16) for v in (row, column))
        lanes = fused_multiply_add(a, b, lanes)
    lanes = lanes[:, :8] + lanes[:, 8:]
    for k in range(long, whole, 32):
        a, b = (v[k : k + 32].reshape(4, 8) for v in (row, column))
        lanes = fused_multiply_add(a, b, lanes)
    eight = ((lanes[0] + lanes[1]) + lanes[2]) + lanes[3]
    four = eight[:4] + eight[4:]
    total = 0.0
    for product in (row[whole:] * column[whole:]).tolist():
        total += product
    return total + float((four[0] + four[1]) + (four[2] + four[3]))
