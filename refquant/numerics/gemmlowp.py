r"""Functions in fixed point, as gemmlowp evaluates them: exp of negatives, and 1 / (1 + x).

A processor without floats has a softmax, too. A number is an int32 ``raw`` with k integer bits,
``raw / 2**(31 - k)``; the product of two of them is SRDHM (`refquant.numerics.fixedpoint`), whose
integer bits add up. With u in [-1/4, 0) and t = u + 1/8, the exponential is a Taylor polynomial,

.. math::

    e^{u} \approx c + c\,(t + (\tfrac{1}{3} (\tfrac{t^4}{4} + t^3) + t^2) / 2), \quad
    c = e^{-1/8},                                                                 \tag{1}

every product and every shift rounded. A more negative x = u - j/4 is that times the constants
:math:`e^{-2^b}`, one for each bit of j/4, from the lowest up:

.. math::

    e^{x} = e^{u} \prod_{b:\; j/4 \text{ has } 2^b} e^{-2^b}, \quad b = -2 \dots 4. \tag{2}

The reciprocal takes three Newton steps for d = (1 + x) / 2, from the line that is best on [1/2, 1]:

.. math::

    r_0 = \tfrac{48}{17} - \tfrac{32}{17} d, \qquad r_{i+1} = r_i + r_i (1 - d\,r_i), \qquad
    1/(1 + x) \approx r_3 / 2.                                                    \tag{3}

What matters is not how close they come (1e-7) but that they are the same on every machine.
Left out: the other functions of that library (tanh, logistic), 16 bits.

References
----------
gemmlowp ``fixedpoint/fixedpoint.h`` (``exp_on_negative_values``,
``one_over_one_plus_x_for_x_in_0_1``); TensorFlow Lite uses them in ``reference/softmax.h``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.fixedpoint import INT32_MAX, rounding_divide_by_pot, srdhm

__all__ = ["exp_on_negative_values", "one_over_one_plus_x"]

Int64 = NDArray[np.int64]

_ONE = np.int64(INT32_MAX)  # with no integer bits, 1 is the largest number there is
_EXP_EIGHTH = 1895147668  # round(exp(-1/8) * 2**31)
_THIRD = 715827883
# round(exp(-2**b) * 2**31) for b = -2 ... 4
_EXP_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_LINE = 1515870810, -1010580540  # 48/17 and -32/17 with two integer bits


def exp_on_negative_values(x: ArrayLike, *, integer_bits: int) -> NDArray[np.int32]:
    """Return exp(x) for x <= 0 with 0 integer bits: eqs. (1) and (2).

    ``x`` is int32, of any shape, with ``integer_bits`` (2 to 5) integer bits. exp(0) is the largest
    number, 1 - 2**-31. A positive x is refused.

    >>> minus_one = -(1 << 26)
    >>> float(exp_on_negative_values(minus_one, integer_bits=5) / 2**31)  # exp(-1) = 0.36787944...
    0.3678795453161001
    """
    if not 2 <= integer_bits <= 5:
        raise ValueError(f"integer_bits must be 2 to 5, got {integer_bits}")
    a = np.asarray(x, np.int64)
    if a.size and not (a.min() >= -(1 << 31) and a.max() <= 0):
        raise ValueError(f"x must hold int32 values <= 0, got {int(a.min())}..{int(a.max())}")
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    u = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    y = _exp_near_zero(u << integer_bits)
    whole = u - a  # j / 4
    for bit, constant in zip(range(-2, integer_bits), _EXP_POWERS, strict=False):
        y = np.where(whole & (1 << (fraction + bit)), srdhm(y, constant).astype(np.int64), y)
    result: NDArray[np.int32] = np.where(a == 0, _ONE, y).astype(np.int32)
    return result


def one_over_one_plus_x(x: ArrayLike) -> NDArray[np.int32]:
    """Return 1 / (1 + x) for x in [0, 1), both with 0 integer bits: eq. (3).

    >>> one_over_one_plus_x([0, 1 << 30]).tolist()  # 1 (saturated), and 2/3 * 2**31
    [2147483647, 1431655762]
    """
    a = np.asarray(x, np.int64)
    if a.size and not (a.min() >= 0 and a.max() <= INT32_MAX):
        raise ValueError(f"x must be in [0, 2**31), got {int(a.min())}..{int(a.max())}")
    half = (a + _ONE + 1) >> 1  # (1 + x) / 2, rounded up
    r = _LINE[0] + srdhm(half, _LINE[1]).astype(np.int64)
    for _ in range(3):
        rest = (1 << 29) - srdhm(half, r).astype(np.int64)
        r = r + _saturating_shift(srdhm(r, rest).astype(np.int64), 2)
    return _saturating_shift(r, 1).astype(np.int32)


def _exp_near_zero(u: Int64) -> Int64:
    """Eq. (1); u with 0 integer bits."""
    t = u + (1 << 28)
    t2 = srdhm(t, t).astype(np.int64)
    t3 = srdhm(t2, t).astype(np.int64)
    t4 = rounding_divide_by_pot(srdhm(t2, t2), 2).astype(np.int64)
    tail = rounding_divide_by_pot(srdhm(t4 + t3, _THIRD).astype(np.int64) + t2, 1)
    return _EXP_EIGHTH + srdhm(_EXP_EIGHTH, t + tail).astype(np.int64)


def _saturating_shift(x: Int64, left: int) -> Int64:
    shifted: Int64 = np.clip(x << left, -INT32_MAX - 1, INT32_MAX)
    return shifted
