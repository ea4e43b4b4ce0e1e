r"""Signs in ggml's IQ types: eight bits for eight weights, or seven and a rule.

The grids hold magnitudes, so the signs are stored beside them, weight j of a group of eight in bit
j of a byte, 1 for minus. IQ2_XXS, IQ2_XS and IQ3_XXS leave out bit 7, because they allow only an
*even* number of minus signs:

.. math::

    s_7 = s_0 \oplus s_1 \oplus \dots \oplus s_6                                  \tag{1}

With the even sums of the grids' levels this is what makes a point of E8 of eight levels (see
``iq_grids.py``). Half of all groups come with an odd number; then the sign of one weight is stored
wrong, on purpose: the one whose error costs least,

.. math::

    i = \operatorname{argmin}_j\ (w_j x_j) x_j                                    \tag{2}

in float32, the first of several. The search then sees that weight as a *negative* magnitude.
-0.0 counts as positive. Left out: the table of 128 bytes that ggml stores for eq. (1).

References
----------
ggml ``src/ggml-common.h`` (``ksigns_iq2xs``), ``src/ggml-quants.c``
(``quantize_row_iq2_xxs_impl``: the flip).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["even_signs", "parity_completed", "sign_factors", "split_signs"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def parity_completed(codes: U8) -> U8:
    """Return sign bytes of 7-bit codes (any shape): bit 7 makes the number of ones even, eq. (1).

    >>> parity_completed(np.array([0, 1, 3, 127], np.uint8)).tolist()
    [0, 129, 3, 255]
    """
    low = np.asarray(codes, np.uint8) & np.uint8(127)
    folded = low ^ (low >> np.uint8(4))
    folded ^= folded >> np.uint8(2)
    folded ^= folded >> np.uint8(1)
    return np.asarray(low | ((folded & np.uint8(1)) << np.uint8(7)), np.uint8)


def sign_factors(signs: U8) -> F32:
    """Return 1.0 or -1.0 for each bit of sign bytes (..., k), bit 0 first: float32 (..., 8 k).

    >>> sign_factors(np.array([0b00000101], np.uint8)).tolist()
    [-1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    bits = np.unpackbits(signs, axis=-1, bitorder="little")
    return np.float32(1) - np.float32(2) * bits.astype(np.float32)


def split_signs(x: F32) -> tuple[F32, U8]:
    """Return magnitudes and sign bytes of ``x``, float32 (..., 8 k) and uint8 (..., k).

    >>> values, signs = split_signs(np.array([1, -2, -0.0, 3, -4, 5, 6, -7], np.float32))
    >>> values.tolist(), signs.tolist()
    ([1.0, 2.0, -0.0, 3.0, 4.0, 5.0, 6.0, 7.0], [146])
    """
    negative = ~(x >= 0)
    values = np.where(negative, -x, x)
    return values, np.packbits(negative, axis=-1, bitorder="little")


def even_signs(x: F32, weights: F32) -> tuple[F32, U8]:
    """Return values and sign bytes of ``x`` (..., 8 k), all bytes with even parity: eq. (2).

    ``weights`` has the shape of ``x``. A value whose sign had to be changed is negative.

    >>> x = np.array([3, -1, 2, 5, 1, 2, 2, 2], np.float32)
    >>> values, signs = even_signs(x, np.ones_like(x))
    >>> values.tolist(), signs.tolist()  # -1 becomes +1: its magnitude is then -1
    ([3.0, -1.0, 2.0, 5.0, 1.0, 2.0, 2.0, 2.0], [0])
    """
    values, signs = split_signs(x)
    odd = signs != parity_completed(signs)
    cost = (weights * x * x).reshape(*signs.shape, 8)
    # C compares with <, so the first of several; argmin would take a NaN (infinity times 0).
    cheapest = np.argmin(np.where(np.isnan(cost), np.float32(np.inf), cost), axis=-1)
    flip = odd[..., None] & (np.arange(8) == cheapest[..., None])
    values = np.where(flip.reshape(x.shape), -values, values)
    return values, signs ^ np.packbits(flip, axis=-1, bitorder="little")[..., 0]
