r"""Vectors of codes at length one, as TFLite divides them: integers, and one inverse root a vector.

With d = q - z and :math:`a = \sum d^2` of a vector, the result counts in steps of :math:`2^{-7}`:

.. math::

    y_i = \operatorname{clamp}\bigl(M(d_i;\ R \cdot 2^{7 - r - 31})\bigr), \qquad
    R \cdot 2^{-r - 31} \approx 1 / \sqrt{a}                                                \tag{1}

M is the product in fixed point of `gemmlowp_double`, R has 31 bits and r moves it. They come by
Newton's method: a is moved by pairs of bits into :math:`[2^{27}, 2^{29})` and read as a number
:math:`\alpha` in [1/4, 1) with 28 fractional bits; five times from x = 1

.. math::

    x \leftarrow \tfrac{3}{2} x - \tfrac{\alpha}{2} x^3                                      \tag{2}

each product a rounded high half, brought back to 28 fractional bits and saturated to int32; at
last :math:`R = x \sqrt{2} / 2`. Of a = 0 and a = 1, R is the largest int32 and r is 0.

The number 1 has no code (127 is 127/128), so y is at most 127. No epsilon: a is an integer.

Left out: vectors along another axis than the last; codes of 16 bits.

Source: ``docs/spec/operators.md`` §13; LiteRT ``reference/integer_ops/l2normalization.h``,
``internal/common.h`` (GetInvSqrtQuantizedMultiplierExp).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.fixedpoint import rounding_divide_by_pot, srdhm

__all__ = ["LONGEST", "inverse_root", "l2_normalize"]

Array = NDArray[Any]
_LOW, _HIGH = -(1 << 31), (1 << 31) - 1
_HALF_ROOT_2 = 1518500250  # sqrt(2) / 2 in 31 bits

LONGEST = _HIGH // 255**2
"""The most codes of a vector whose sum of squares is an int32 for certain."""


def l2_normalize(x: Array, *, zero_point: int) -> Array:
    """Return eq. (1) of int8 codes x (..., C), C from 1 to `LONGEST`, with their ``zero_point``.

    int8, of scale 2**-7 and zero point 0. ``ValueError`` for another dtype or length.

    >>> l2_normalize(np.array([[3, 4], [0, 0], [-9, 0]], np.int8), zero_point=0).tolist()
    [[77, 102], [0, 0], [-128, 0]]
    """
    if x.dtype != np.int8 or not x.ndim or not 1 <= x.shape[-1] <= LONGEST:
        raise ValueError(
            f"L2Normalization: x must be int8 (..., C), C in [1, {LONGEST}], got {x.dtype} "
            f"{list(x.shape)}"
        )
    offset = x.astype(np.int64) - zero_point
    made = np.empty(x.shape, np.int8)
    for place in np.ndindex(x.shape[:-1]):
        root, right = inverse_root(int((offset[place] ** 2).sum()))
        shift = 7 - right
        product = srdhm(offset[place] << max(shift, 0), root)
        codes = rounding_divide_by_pot(product, max(-shift, 0))
        made[place] = np.clip(codes, -128, 127)
    return made


def inverse_root(a: int) -> tuple[int, int]:
    """Return R and r of eq. (2), ``a`` in [0, 2**31).

    >>> inverse_root(1), inverse_root(4)[1]
    ((2147483647, 0), 0)
    """
    if a <= 1:
        return _HIGH, 0
    right = 11
    while a >= 1 << 29:
        a, right = a // 4, right + 1
    pairs = (32 - a.bit_length() - 1) // 2 - 1
    right -= pairs
    half = int(rounding_divide_by_pot((a << (2 * pairs)) >> 1, 1))
    x = 1 << 28
    for _ in range(5):
        cube = _saturated(_high(_high(x, x), x) << 6)
        x = _saturated((_high((1 << 28) + (1 << 27), x) - _high(half, cube)) << 3)
    x = _high(x, _HALF_ROOT_2)
    return (x << -right, 0) if right < 0 else (x, right)


def _high(a: int, b: int) -> int:
    return int(srdhm(a, b))


def _saturated(a: int) -> int:
    return min(max(a, _LOW), _HIGH)
