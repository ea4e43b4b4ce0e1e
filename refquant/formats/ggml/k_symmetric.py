r"""Scale in two levels, no minimum: what Q3_K and Q6_K share.

A sub-block j of 16 has a signed integer scale, of which a super-block's half ``d`` is the unit:

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i)                                             \tag{1}

where :math:`d s_j` is exact in float32 (11 + 8 bits), so that eq. (1) rounds at most once. The
scale of largest magnitude gets the code :math:`-s_{max}`, which has one more step than the other
end:

.. math::

    d = \mathrm{f16}(\max s / -s_{max}), \quad
    s_j \leftarrow \mathrm{round}(s_j \cdot (-s_{max} / \max s))                   \tag{2}

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q3_K_ref``, ``quantize_row_q6_K_ref``.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import from_half, nearest_int
from refquant.formats.ggml.k_blocks import columns, rows
from refquant.formats.ggml.k_search import final_codes, signed_max

__all__ = ["decode_symmetric", "largest_scale", "recode_symmetric"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]


def largest_scale(scales: F32, *, scale_max: int) -> tuple[F32, I32]:
    """Return d, (m,), and the codes of eq. (2), (16, m), of the scales in columns.

    Codes are not limited here: +``scale_max`` is possible, where the field ends one below.

    >>> d, codes = largest_scale(np.array([[0.5], [-1.0]], np.float32), scale_max=32)
    >>> d.tolist(), codes.ravel().tolist()
    ([0.03125], [16, -32])
    """
    largest = signed_max(scales)
    inverse = np.float32(-scale_max) / largest
    d = np.where(largest != 0, 1 / inverse, np.float32(0))
    return d, np.where(largest != 0, nearest_int(inverse * scales), 0)


def recode_symmetric(blocks: F32, searched: U8, d: U8, scales: I32, *, qmax: int) -> U8:
    """Return stored codes q + qmax + 1, (m, 256), for ``d`` (m, 2) and scales (m, 16) as stored.

    Codes are -qmax - 1 to qmax; where a scale is 0, those of the search remain, columns (16, k).

    >>> x, d = np.full((1, 256), -2, np.float32), np.array([[0, 60]], np.uint8)  # d = 1
    >>> old, scales = np.zeros((16, 16), np.uint8), np.full((1, 16), -1)
    >>> recode_symmetric(x, old, d, scales, qmax=31)[0, :2].tolist()  # -2 / -1, plus 32
    [34, 34]
    """
    scale = (from_half(d)[:, None] * scales.astype(np.float32)).reshape(-1)
    zero = np.zeros_like(scale)
    x = columns(blocks, 16)
    return rows(final_codes(x, searched, scale, zero, qmin=-qmax - 1, qmax=qmax), 256)


def decode_symmetric(d: U8, scales: NDArray[np.int8], codes: NDArray[np.int8]) -> F32:
    """Return the values (m, 256) of eq. (1) for signed scales (m, 16) and signed codes (m, 256).

    >>> d, s = np.array([[0, 56]], np.uint8), np.full((1, 16), -3, np.int8)  # d = 0.5
    >>> decode_symmetric(d, s, np.full((1, 256), 4, np.int8))[0, :2].tolist()
    [-6.0, -6.0]
    """
    scale = from_half(d)[:, None] * scales.astype(np.float32)
    values = codes.reshape(*scales.shape, -1).astype(np.float32)
    values *= scale[:, :, None]
    return values.reshape(len(codes), -1)
