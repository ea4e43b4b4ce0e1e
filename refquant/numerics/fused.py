r"""A multiplication and an addition with one rounding: what processors call FMA.

.. math::

    \mathrm{fma}(x, y, z) = \mathrm{f32}(x\,y + z)                                       \tag{1}

The usual two steps round twice, f32(f32(x y) + z), and some codes differ. NumPy has no FMA, but
float64 holds the product of two float32 exactly (48 bits). Only the sum may need a rounding there,
and a second one to float32 could then go wrong: at a tie that the first rounding made. The cure is
to round the sum **to odd** (Boldo and Melquiond): if it is inexact and its last bit is 0, step to
the neighbour on the side of the error. A number with an odd 53rd bit is no tie of 24 bits.
Where no sum lies at a tie nothing needs the cure: float64 holds every tie of float32, so that
rounding to float64 crosses none.

Left out: subnormal float64 sums, which products of float32 numbers cannot reach.

References
----------
IEEE 754-2019, section 5.4.1; S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded
sums: proved algorithms using rounding to odd", IEEE Trans. Computers 57 (2008), section 3.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fused_multiply_add", "fused_sums"]

F32 = NDArray[np.float32]


def fused_multiply_add(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> F32:
    """Return f32(x * y + z) with one rounding: eq. (1). The float32 arguments broadcast.

    NaN, infinities and overflow are those of IEEE 754: inf * 0 + z is NaN.

    >>> x = np.float32(1 + 2**-12)
    >>> fused_multiply_add(x, x, np.float32(-1)).tolist() == 2**-11 + 2**-24  # f32(x * x): 2**-11
    True
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        product = np.asarray(x, np.float64) * np.asarray(y, np.float64)  # exact
        return _added(product, np.asarray(z, np.float64))


def fused_sums(x: ArrayLike, y: ArrayLike) -> F32:
    """Return fma(x[-1], y[-1], ... fma(x[1], y[1], fma(x[0], y[0], 0))) of float32: eq. (1).

    ``x`` and ``y`` broadcast to (K, ...), the result is (...); 0 of no product.

    >>> fused_sums(np.float32([2**24, 1, 1, -(2**24)]), np.ones(4, np.float32)).tolist()
    0.0
    """
    wide = np.broadcast_arrays(np.asarray(x, np.float32), np.asarray(y, np.float32))
    shape = wide[0].shape
    each = math.prod(shape[1:])
    size, total = max(1, _AT_ONCE // max(1, each)), np.zeros(each, np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for first in range(0, shape[0], size):
            part = slice(first, first + size)
            products = wide[0][part].astype(np.float64) * wide[1][part]
            total = _run(products.reshape(len(products), each), total)
    return total.reshape(shape[1:])


def _run(products: NDArray[np.float64], start: F32) -> F32:
    """Return ``start`` and the products, one after the other; steps are looked at when all are."""
    sums, total = np.empty_like(products), start
    for product, after in zip(products, sums, strict=True):
        np.add(product, total, out=after)
        total = np.asarray(after.astype(np.float32))
    if _may_tie(sums):
        total = start
        for product in products:
            total = _added(product, total.astype(np.float64))
    return total


def _added(product: NDArray[np.float64], addend: NDArray[np.float64]) -> F32:
    """Return the sum, rounded once."""
    total = np.asarray(product + addend)
    if not _may_tie(total):
        return np.asarray(total.astype(np.float32))
    error = _error_of_sum(product, addend, total)
    even = (total.view(np.uint64) & np.uint64(1)) == 0
    inexact = np.isfinite(total) & (error != 0) & ~np.isnan(error)
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.asarray(np.where(inexact & even, odd, total).astype(np.float32))


def _may_tie(total: NDArray[np.float64]) -> bool:
    """Whether a sum lies half way between two float32, or where their steps are of one size."""
    bits = total.view(np.uint64)
    halfway = (bits & _BELOW_24) == _HALF
    tiny = (bits << _ONE) - _ONE < _NORMAL  # zero, less one, is the largest of all
    return bool((halfway | tiny).any())


_AT_ONCE = 1 << 20  # products that are held, of a long sum
_ONE, _BELOW_24, _HALF = np.uint64(1), np.uint64(2**29 - 1), np.uint64(2**28)
_NORMAL = (np.float64(2.0**-126).view(np.uint64) << _ONE) - _ONE


def _error_of_sum(a: NDArray[Any], b: NDArray[Any], total: NDArray[Any]) -> NDArray[np.float64]:
    """Return a + b - total, exactly (Knuth's TwoSum)."""
    back = total - a
    return np.asarray((a - (total - back)) + (b - back), np.float64)
