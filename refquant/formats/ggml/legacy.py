r"""The two rulers of ggml's first 4- and 5-bit types, and how C rounds on them.

A block of 32 has one step d. *Signed* (Q4_0, Q5_0): the element of largest magnitude, with its
sign, becomes the lowest code, so d may be negative, and no code is wasted on a second end. With
h = 8 or 16,

.. math::

    d &= x_{\max|x|} \oslash (-h) \tag{1} \\
    q &= \min(\lfloor x \otimes d^{-1} \oplus (h + \tfrac12) \rfloor, 2h - 1) \tag{2}

*With a minimum* (Q4_1, Q5_1), of Q + 1 codes:

.. math::

    d &= (\max x \ominus \min x) \oslash Q \tag{3} \\
    q &= \min(\lfloor (x \ominus \min x) \otimes d^{-1} \oplus \tfrac12 \rfloor, Q) \tag{4}

Circles are float32 operations: one rounding each. ``d`` is stored as a half, but eq. (2) and (4)
divide by the float32 d: codes are *not* the nearest for the scale in the file. Ties go up.

A compiler may contract :math:`\otimes, \oplus` into one fused multiply-add, one rounding instead of
two, which moves values just below a tie. ggml forbids it since 2026-07 (``-ffp-contract=off``), so
files written before depend on the machine: flavour ``fma``. Decoding never depends on it: a code
times a half has at most 16 bits.

Edges, all as in ggml: of equal extremes the first counts; all zeros give d = -0.0 in eq. (1);
|d| <= 2^-128 makes the reciprocal infinite, and C undefined: we do as x86, code 0. The half of d
is then 0, and so is every value.

References
----------
ggml ``src/ggml-quants.c``, ``quantize_row_q4_0_ref`` to ``quantize_row_q5_1_ref``; llama.cpp pull
request 25353 (contraction).
"""

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import cast_to_byte, checked_flavour, reciprocal

__all__ = ["FLAVOURS", "from_minimum", "join_fifth", "signed_extreme", "split_fifth", "truncated"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FLAVOURS = ("reference", "fma")


def signed_extreme(blocks: F32) -> F32:
    """Return of each block the first element of the largest magnitude, float32 (m, 1): eq. (1).

    A block of zeros of either sign has the extreme +0.0.

    >>> signed_extreme(np.array([[1, -3, 3], [-0.0, -0.0, 0]], np.float32)).tolist()
    [[-3.0], [0.0]]
    """
    high = blocks.max(axis=1, keepdims=True)
    low = blocks.min(axis=1, keepdims=True)
    extreme = np.where(high > -low, high, low)
    tied = (high == -low)[:, 0] & (high[:, 0] > 0)
    if tied.any():
        rows = blocks[tied]
        first = np.abs(rows).argmax(axis=1)[:, None]
        extreme[tied] = np.take_along_axis(rows, first, axis=1)
    return np.asarray(extreme + np.float32(0), np.float32)  # -0.0 + 0.0 is +0.0


def from_minimum(blocks: F32, *, qmax: int) -> tuple[F32, F32]:
    """Return step and minimum of each block, float32 (m, 1) twice: eq. (3).

    A minimum of zero has the sign of the first zero in its block; a constant block's step is +0.0.

    >>> d, low = from_minimum(np.array([[1, 3, -2], [0, -0.0, 0]], np.float32), qmax=5)
    >>> d.tolist(), low.tolist()
    ([[1.0], [0.0]], [[-2.0], [0.0]])
    """
    high = blocks.max(axis=1, keepdims=True)
    low = blocks.min(axis=1, keepdims=True)
    zero = low[:, 0] == 0
    if zero.any():
        rows = blocks[zero]
        first = (rows == 0).argmax(axis=1)[:, None]
        low[zero] = np.take_along_axis(rows, first, axis=1)
    with np.errstate(over="ignore"):
        return (high - low + np.float32(0)) / np.float32(qmax), low


def truncated(x: F32, d: F32, *, offset: float, qmax: int, flavour: str) -> U8:
    """Return min(trunc(x / d + offset), qmax) as ggml computes it, uint8: eq. (2) and (4).

    ``x`` is (m, n), ``d`` (m, 1), ``offset`` h + 1/2 or 1/2, ``flavour`` one of ``FLAVOURS``.

    >>> x = np.array([[-0.062499996, 0.0625]], np.float32)  # just below a tie; a tie
    >>> d = np.array([[0.125]], np.float32)
    >>> truncated(x, d, offset=8.5, qmax=15, flavour="reference").tolist()
    [[8, 9]]
    """
    inverse = reciprocal(d)
    if checked_flavour(flavour, FLAVOURS) == "fma":
        # In float64 the product is exact. So is the sum, except for its last bit where it is in
        # [16, 32) and the product below 1/2; no two floats have a product so close below 1/2 that
        # this bit could change the float32. So the cast to float32 is the only rounding.
        wide = x.astype(np.float64) * inverse.astype(np.float64) + offset
        total = wide.astype(np.float32)
    else:
        total = x * inverse + np.float32(offset)
    return np.minimum(cast_to_byte(total), np.uint8(qmax))


def split_fifth(codes: U8) -> tuple[U8, U8]:
    """Return the low four bits of 5-bit codes (m, 32), and the fifth bits as (m, 4) bytes.

    Bit j of the four bytes, read as a little-endian word, belongs to element j.

    >>> low, high = split_fifth(np.array([[31, 2] + [16] * 30], np.uint8))
    >>> low[0, :3].tolist(), high.tolist()
    ([15, 2, 0], [[253, 255, 255, 255]])
    """
    return codes & np.uint8(15), np.packbits(codes >> np.uint8(4), axis=1, bitorder="little")


def join_fifth(low: U8, high: U8) -> U8:
    """Return the 5-bit codes, uint8 (m, 32), of ``split_fifth``.

    >>> codes = np.arange(32, dtype=np.uint8)[None]
    >>> bool((join_fifth(*split_fifth(codes)) == codes).all())
    True
    """
    bits = np.unpackbits(high, axis=1, bitorder="little")
    return np.asarray(low | (bits << np.uint8(4)), np.uint8)
