r"""A real matrix product with the same bits on every CPU and for every number of threads.

BLAS is fast, and free to choose the order of its float sums; the order depends on the CPU, the
number of threads, the version. Sums of *integers* below 2**53 have no order. So we cut each row of
A and each column of B into two slices of :math:`\beta` bits, integers under a power of two,

.. math::

    a_{ik} = 2^{e_i}\,(h_{ik} 2^{-\beta} + l_{ik} 2^{-2\beta}) + r_{ik}, \qquad
    |h| \le 2^{\beta},\ |l| \le 2^{\beta - 1},\ |r| \le 2^{e_i - 2\beta - 1}            \tag{1}

with :math:`2^{e_i}` the power of two above the row's largest element, and multiply the slices:

.. math::

    c_{ij} = 2^{e_i + e_j - 2\beta} \Big(\sum_k h_{ik} h_{kj} +
        2^{-\beta} \sum_k (h_{ik} l_{kj} + l_{ik} h_{kj})\Big)                          \tag{2}

Both sums are exact in float64, whatever BLAS does, if K terms fit:

.. math::

    2\beta + \lceil \log_2 K \rceil \le 53                                              \tag{3}

and what is left, one addition and products with powers of two, NumPy does element by element.
What (2) drops is, with :math:`\tau = 2^{e_i + e_j}`, at most

.. math::

    |c_{ij} - \textstyle\sum_k a_{ik} b_{kj}| \le 2 K \tau\, 2^{-2\beta} + 2^{-52} K \tau \tag{4}

(each r meets at most :math:`2^{e}`, each :math:`l\,l` is below a quarter; then one rounding of a
sum below :math:`2 K \tau`). For K = 128, :math:`\beta` is 23: between float32 and float64.

Left out: the :math:`l\,l` product and more slices, which would make it float64's equal.

References
----------
Ozaki, Ogita, Oishi, Rump, "Error-free transformations of matrix multiplication", Numerical
Algorithms 59, 2012 (the slices).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["matmul_sliced", "slice_bits"]

F64 = NDArray[np.float64]

# Exponents in between leave room for the powers of two of eq. (2) in float64's range.
_LOWEST, _BEYOND = -400, 2.0**400


def slice_bits(inner: int) -> int:
    """Return the width of a slice for sums of ``inner`` terms: eq. (3).

    >>> slice_bits(1), slice_bits(128), slice_bits(1536)
    (26, 23, 21)
    """
    return (53 - (inner - 1).bit_length()) // 2


def matmul_sliced(a: F64, b: F64) -> F64:
    """Return ``a @ b``, (m, k) x (k, n) -> (m, n), with the bits of eq. (2) and the error (4).

    float64 in and out; k at least 1. ``ValueError`` for other shapes, and for elements of 2**400
    and above, infinite or NaN: they have no slices. A row of zeros gives zeros.

    >>> a = np.array([[1.0, 2.0**-30], [0.0, 0.0]])
    >>> matmul_sliced(a, np.array([[3.0], [2.0**30]])).tolist()
    [[4.0], [0.0]]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or not a.shape[1]:
        raise ValueError(f"shapes must be (m, k) and (k, n) with k > 0, got {a.shape}, {b.shape}")
    bits = slice_bits(a.shape[1])
    high_a, low_a, exponent_a = _slices(a, axis=1, bits=bits)
    high_b, low_b, exponent_b = _slices(b, axis=0, bits=bits)
    product: F64 = high_a @ high_b
    # Two sums of k terms; |l| is half of |h|, so together they stay below the bound, too.
    small = low_a @ high_b
    small += high_a @ low_b
    small *= 2.0**-bits
    product += small
    product *= np.ldexp(1.0, exponent_a - bits)
    product *= np.ldexp(1.0, exponent_b - bits)
    return product


def _slices(x: F64, *, axis: int, bits: int) -> tuple[F64, F64, NDArray[np.int32]]:
    """Return h, l and e of eq. (1); e has length 1 along ``axis``, the axis that is summed."""
    largest = np.abs(x).max(axis=axis, keepdims=True, initial=0.0)
    if not (largest < _BEYOND).all():  # a NaN is not less either
        raise ValueError(f"a and b must be below 2**400, got {largest.max()}")
    exponent = np.maximum(np.frexp(largest)[1], np.int32(_LOWEST)).astype(np.int32)
    units = x * np.ldexp(1.0, bits - exponent)
    high = np.rint(units)
    units -= high  # exact: what rint took away
    units *= 2.0**bits
    return high, np.rint(units, out=units), exponent
