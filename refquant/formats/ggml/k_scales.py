r"""The packed scales of K-quants: sixteen 6-bit numbers in twelve bytes, in two ways.

Q4_K and Q5_K have eight scales s and eight minimums m of 6 bits each. The first four of each lie
plainly in bytes 0 to 7; the others are split, their low four bits in bytes 8 to 11, their high two
bits in the top of bytes 0 to 7::

    byte   bits 7 6        bits 5 4 3 2 1 0
    0..3   s[4..7] high    s[0..3]
    4..7   m[4..7] high    m[0..3]
           bits 7 6 5 4    bits 3 2 1 0
    8..11  m[4..7] low     s[4..7] low

.. math::

    s_j = \begin{cases} b_j \bmod 64 & j < 4 \\
          (b_{j+4} \bmod 16) + 16 \lfloor b_{j-4} / 64 \rfloor & j \ge 4 \end{cases} \tag{1}

and m the same with bytes 4 to 7 and the high nibbles. Q3_K has sixteen scales, stored plus 32, and
no minimum. Byte j and byte 8 + j mod 4 hold::

    byte   bits 7 6 5 4    bits 3 2 1 0
    0..7   s[8..15] low    s[0..7] low
           bits 7 6        bits 5 4       bits 3 2      bits 1 0
    8..11  s[12..15] high  s[8..11] high  s[4..7] high  s[0..3] high

References
----------
ggml ``src/ggml-quants.c``: ``get_scale_min_k4``, ``quantize_row_q3_K_ref``.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack_scales", "pack_scales_min", "unpack_scales", "unpack_scales_min"]

U8 = NDArray[np.uint8]


def pack_scales_min(scales: U8, minimums: U8) -> U8:
    """Return uint8 (blocks, 12) of two arrays (blocks, 8) of 6-bit numbers: eq. (1) backwards.

    >>> s, m = np.array([[1, 2, 3, 4, 63, 0, 16, 15]]), np.array([[9, 0, 0, 0, 32, 1, 0, 0]])
    >>> pack_scales_min(s.astype(np.uint8), m.astype(np.uint8)).tolist()
    [[193, 2, 67, 4, 137, 0, 0, 0, 15, 16, 0, 15]]
    """
    top = np.concatenate([scales[:, 4:], minimums[:, 4:]], axis=1) >> 4 << 6
    first = np.concatenate([scales[:, :4], minimums[:, :4]], axis=1) | top
    return np.concatenate([first, (scales[:, 4:] & 15) | (minimums[:, 4:] << 4)], axis=1)


def unpack_scales_min(data: U8) -> tuple[U8, U8]:
    """Return scales and minimums, each uint8 (blocks, 8), of bytes (blocks, 12): eq. (1).

    >>> data = np.array([[193, 2, 67, 4, 137, 0, 0, 0, 15, 16, 0, 15]], np.uint8)
    >>> [part.tolist() for part in unpack_scales_min(data)]
    [[[1, 2, 3, 4, 63, 0, 16, 15]], [[9, 0, 0, 0, 32, 1, 0, 0]]]
    """
    s, m, low = data[:, :4], data[:, 4:8], data[:, 8:]
    scales = np.concatenate([s & 63, (low & 15) | (s >> 6 << 4)], axis=1)
    return scales, np.concatenate([m & 63, (low >> 4) | (m >> 6 << 4)], axis=1)


def pack_scales(scales: U8) -> U8:
    """Return uint8 (blocks, 12) of (blocks, 16) 6-bit numbers, in the order of Q3_K.

    >>> pack_scales(np.array([[33] + 14 * [0] + [63]], np.uint8)).tolist()
    [[1, 0, 0, 0, 0, 0, 0, 240, 2, 0, 0, 192]]
    """
    low = (scales[:, :8] & 15) | (scales[:, 8:] << 4)
    high = scales.reshape(-1, 4, 4) >> 4  # (blocks, 2-bit field, byte)
    return np.concatenate(
        [low, high[:, 0] | (high[:, 1] << 2) | (high[:, 2] << 4) | (high[:, 3] << 6)], axis=1
    )


def unpack_scales(data: U8) -> U8:
    """Return uint8 (blocks, 16), still plus 32, of bytes (blocks, 12): ``pack_scales`` backwards.

    >>> unpack_scales(np.array([[1, 0, 0, 0, 0, 0, 0, 240, 2, 0, 0, 192]], np.uint8)).tolist()
    [[33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 63]]
    """
    low = np.concatenate([data[:, :8] & 15, data[:, :8] >> 4], axis=1)
    fields = np.array([[0], [2], [4], [6]], np.uint8)
    high = (data[:, None, 8:] >> fields) & 3  # (blocks, 2-bit field, byte)
    return np.asarray(low | (high.reshape(-1, 16) << 4), np.uint8)
