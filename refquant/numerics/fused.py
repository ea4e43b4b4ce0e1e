r"""A multiplication and an addition with one rounding: what processors call FMA.

.. math::

    \mathrm{fma}(x, y, z) = \mathrm{f32}(x\,y + z)                                       \tag{1}

The usual two steps round twice, f32(f32(x y) + z), and some codes differ. NumPy has no FMA, but
float64 holds the product of two float32 exactly (48 bits). Only the sum may need a rounding there,
and a second one to float32 could then go wrong: at a tie that the first rounding made. The cure is
to round the sum **to odd** (Boldo and Melquiond): if it is inexact and its last bit is 0, step to
the neighbour on the side of the error. A number with an odd 53rd bit is no tie of 24 bits.

Left out: subnormal float64 sums, which products of float32 numbers cannot reach.

References
----------
IEEE 754-2019, section 5.4.1; S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded
sums: proved algorithms using rounding to odd", IEEE Trans. Computers 57 (2008), section 3.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fused_multiply_add"]

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
        addend = np.asarray(z, np.float64)
        total = np.asarray(product + addend)
        error = _error_of_sum(product, addend, total)
        even = (total.view(np.uint64) & np.uint64(1)) == 0
        inexact = np.isfinite(total) & (error != 0) & ~np.isnan(error)
        odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
        return np.asarray(np.where(inexact & even, odd, total).astype(np.float32))


def _error_of_sum(a: NDArray[Any], b: NDArray[Any], total: NDArray[Any]) -> NDArray[np.float64]:
    """Return a + b - total, exactly (Knuth's TwoSum)."""
    back = total - a
    return np.asarray((a - (total - back)) + (b - back), np.float64)
