r"""Products of float32 matrices in the order of an engine's kernel: which float32 a sum is.

A sum of K products of reals is K roundings, or 2K, in some order. Two orders have names.

``reals_fused``: one fused operation after the other, along K; a bias is added last,

.. math::

    r = \mathrm{fma}(a_K, b_K, \dots \mathrm{fma}(a_1, b_1, 0)) + bias                       \tag{1}

``reals_mlas``: onnxruntime's, on x86 with FMA and one thread, for a of (M, K) and b of (K, N):

=====================  ==========================================================================
M = 1                  no fused operation; ((p1 + p2) + p3) + p4 of four products, added to what
                       is there; of the rest two, then one
N = 1                  no fused operation; lane j adds the products j, j + 8, ...; then the lanes
                       are added, in an order of their own for 4, 2 and 1 rows
else                   eq. (1) for a block of K, added to what is there; blocks of 128 by default,
                       of 256, 512, 1024 if N < K and N is at most 64, 32, 16
=====================  ==========================================================================

With ``transposed`` b lies in memory by columns: then M = 1 is as N = 1. ``start`` is what is there
at first.

Left out: more threads, which may cut N, and with it change the blocks.

References
----------
onnxruntime 1.32, ``onnxruntime/core/mlas/lib``: ``sgemm.cpp``, ``x86_64/SgemmKernelM1Avx.S``,
``x86_64/SgemmKernelM1TransposeBAvx.S``.
"""

from ctypes import c_float

import numpy as np

from refquant.numerics.fused import fused_sums
from refquant_conformance.protocol import Array

__all__ = ["ORDERS", "block_of", "real_sums"]

ORDERS = ("reals_fused", "reals_mlas")
"""The orders that have a name."""

_LANES = 8


def block_of(n: int, k: int) -> int:
    """Return how much of K is summed at a time.

    >>> [block_of(n, 2000) for n in (8, 21, 200, 3000)]
    [1024, 512, 128, 128]
    """
    width, block = 128, 128
    while n < k and width > 16 and width // 2 >= n:
        width, block = width // 2, block * 2
    return block


def real_sums(
    a: Array, b: Array, *, order: str, start: Array | None = None, transposed: bool = False
) -> Array:
    """Return a b + start for float32 (M, K) and (K, N), rounded as ``order`` does.

    >>> a, b = np.float32([[2.0**24, 1.0, 1.0]]), np.ones((3, 1), np.float32)
    >>> [real_sums(a, b, order=order).tolist() for order in ORDERS]
    [[[16777216.0]], [[16777216.0]]]
    >>> a, b = np.float32([[1.0, 1.0, 1.0, 2.0**24]]), np.ones((4, 1), np.float32)
    >>> [real_sums(a, b, order="reals_mlas", transposed=how).tolist() for how in (False, True)]
    [[[16777220.0]], [[16777218.0]]]
    """
    (rows, k), columns = a.shape, b.shape[1]
    first = np.zeros((rows, columns), np.float32)
    if start is not None:
        first = first + start.astype(np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if order == "reals_fused":
            return np.asarray(_chain(a, b, max(k, 1)) + first)
        if rows == 1 and not transposed:
            return _by_fours(a[0], b, first)
        if rows == 1:
            return _by_lanes(b.T, a[0])[None, :] + first
        if columns == 1:
            return _by_lanes(a, b[:, 0])[:, None] + first
        return np.asarray(_chain(a, b, block_of(columns, k), first))


def _chain(a: Array, b: Array, block: int, first: Array | None = None) -> Array:
    """Return the sum of blocks, each of fused operations; without ``first`` there is one block."""
    if block >= a.shape[1] > 1000 and a.shape[0] == b.shape[1] == 1 and first is None:
        alone = _one_chain(a[0].astype(np.float64) * b[:, 0].astype(np.float64))
        if alone is not None:
            return np.full((1, 1), alone, np.float32)
    total = np.zeros((), np.float32) if first is None else first
    for begin in range(0, a.shape[1], block):
        part = slice(begin, begin + block)
        total = total + fused_sums(a.T[part, :, None], b[part, None, :])
    return np.broadcast_to(total, (a.shape[0], b.shape[1]))


def _one_chain(products: Array) -> float | None:
    """Return one long sum of exact products, one by one; None where float64 rounds a sum itself."""
    total = 0.0
    for product in products.tolist():
        exact = total + product
        added = exact - total
        if (total - (exact - added)) + (product - added) != 0:
            return None
        total = c_float(exact).value
    return total


def _by_fours(row: Array, b: Array, first: Array) -> Array:
    products = row[:, None] * b
    whole = row.size // 4 * 4
    p = products[:whole].reshape(-1, 4, b.shape[1])
    terms = [((p[:, 0] + p[:, 1]) + p[:, 2]) + p[:, 3]]
    rest = products[whole:]
    if len(rest) >= 2:
        terms.append((rest[0] + rest[1])[None])
    terms.append(rest[len(rest) // 2 * 2 :])
    return np.asarray(np.add.accumulate(np.concatenate([first, *terms]), axis=0)[-1:])


def _by_lanes(rows: Array, vector: Array) -> Array:
    """Return the dot product of each row with the vector, by eight lanes."""
    count, k = rows.shape
    steps = -(-k // _LANES)
    products = np.zeros((count, (steps + 1) * _LANES), np.float32)  # from a step of zeros on
    products[:, _LANES : _LANES + k] = rows * vector
    by_step = products.reshape(count, steps + 1, _LANES)
    lanes = np.add.accumulate(by_step, axis=1)[:, -1].T
    fours, pairs = count // 4 * 4, count // 2 * 2
    return np.concatenate(
        [
            _four_rows(lanes[:, :fours]),
            _two_rows(lanes[:, fours:pairs]),
            _one_row(lanes[:, pairs:]),
        ]
    )


def _four_rows(v: Array) -> Array:
    halves = [((v[h] + v[h + 1]) + v[h + 2]) + v[h + 3] for h in (0, 4)]
    return np.asarray(halves[0] + halves[1])


def _two_rows(v: Array) -> Array:
    even, odd = ((v[h] + v[h + 2]) + (v[h + 4] + v[h + 6]) for h in (0, 1))
    return np.asarray(even + odd)


def _one_row(v: Array) -> Array:
    halves = [(v[h] + v[h + 1]) + (v[h + 2] + v[h + 3]) for h in (0, 4)]
    return np.asarray(halves[0] + halves[1])
