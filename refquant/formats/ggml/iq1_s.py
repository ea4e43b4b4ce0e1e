r"""IQ1_S: 1.5625 bits a weight, -1, 0 or 1 with a common shift, from a grid of 2048.

The need: a model where nothing larger fits. Eight weights of three levels would be 6561
combinations, 12.7 bits; a grid of 2048 takes 11 (``iq_grids.py``). A sub-block of 32 shares 3 bits
of scale and one bit that shifts its three levels by 1/8 up or down::

    byte 0          2                       34                      50
         +----------+----------------------+------------------------+
         | d, half  | 32 x low 8 bits      | 8 x u16                |
         +----------+----------------------+------------------------+
    u16 of sub-block k: bits 0-2, 3-5, 6-8, 9-11 are bits 8-10 of the points of groups 4 k to
    4 k + 3; bits 12-14 c; bit 15 is 1 for a shift down

.. math::

    \hat x = d \cdot (2 c + 1) \cdot (g \pm \tfrac18), \qquad g \in \{-1, 0, 1\}    \tag{1}

The signs are in the grid. The encoder finds the best split of each sub-block's sorted values
(``iq_ternary.py``) from prefix sums over the sorted values,

.. math::

    A_j = \sum_{r<j} w_r x_r, \qquad
    \langle x q \rangle = A_{i_1} X_0 + (A_{i_2} - A_{i_1}) X_1 + (A_n - A_{i_2}) X_2   \tag{2}

and :math:`\langle q^2 \rangle` likewise; the stored d is 1.125 times max s / 15. There is **no
zero**, and worse: a sub-block of zeros is point 0, all -1, so that in a block with other numbers
zeros decode to -0.875 d. Importance is required. Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq1_s``), ``src/ggml-quants.c`` (``dequantize_row_iq1_s``,
``quantize_row_iq1_s_impl``).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows, from_half, to_half
from refquant.formats.ggml.iq_card import ternary_steps
from refquant.formats.ggml.iq_rows import encode_weighted, search_weights, sub_scale_codes
from refquant.formats.ggml.iq_ternary import (
    SHIFTED,
    Candidate,
    TernaryFields,
    best_split,
    snap_to_grid,
    ternary_values,
)

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_SMALLEST = np.float32(1e-12)  # a sub-block whose largest magnitude is below has scale 0
_TRIPLES = np.array([0, 3, 6, 9], np.int32)  # where three bits of a u16 begin


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 50), with ggml's search.

    ``importance``, float32 (n,), is required: finite, not negative. ``ValueError`` without it, if n
    is no multiple of 256, ``x`` is not finite, or its squares leave float32 so far that ggml
    aborts. A block of zeros is bytes of zero; a scale beyond 65504 becomes infinity.

    >>> x = np.tile(np.array([-0.875, 0.125, 1.125, 0.125], np.float32), 64)
    >>> data = encode(x, importance=np.ones(256, np.float32))
    >>> decode(data)[:4].tolist()
    [-0.8531570434570312, 0.12187957763671875, 1.0969161987304688, 0.12187957763671875]
    """
    return encode_weighted(x, importance, type="IQ1_S", function=_encode, required=True)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 50) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(50, np.uint8)
    >>> data[[1, 2, 35]] = [60, 1, 0b10010000]  # d = 1; point 1 = (1, -1, ...), c = 1, down
    >>> decode(data)[:2].tolist(), decode(data)[32:34].tolist()
    ([2.625, -3.375], [-0.875, -0.875])
    """
    return decode_rows(data, type="IQ1_S", function=_decode)


def _candidates(x: F32, weights: F32, order: NDArray[np.int32]) -> Iterator[Candidate]:
    """Yield all splits with the two sums of eq. (2), for sub-blocks (k, 32)."""
    w = np.take_along_axis(weights, order, axis=1)
    wx = w * np.take_along_axis(x, order, axis=1)
    start, n = np.zeros((1, len(x)), np.float32), x.shape[1]
    a = np.concatenate([start, np.add.accumulate(wx.T, axis=0, dtype=np.float32)])
    b = np.concatenate([start, np.add.accumulate(w.T, axis=0, dtype=np.float32)])
    for i in range(n + 1):
        for j in range(i, n + 1):
            low, middle, high = a[i], a[j] - a[i], a[n] - a[j]
            few, some, many = b[i], b[j] - b[i], b[n] - b[j]
            for shift, (p, q, r) in enumerate(SHIFTED):
                xq = low * p + middle * q + high * r
                yield i, j, shift, xq, few * p * p + some * q * q + many * r * r


def _encode(x: F32, importance: F32 | None) -> U8:
    weights = search_weights(x, importance, factor=2).reshape(-1, 32)
    values = x.reshape(-1, 32)
    live = np.flatnonzero(np.abs(values).max(axis=1) >= _SMALLEST)
    scales = np.zeros(len(values), np.float32)
    points, down = np.zeros((len(values), 4), np.int32), np.zeros(len(values), np.int32)
    order = np.argsort(values[live], axis=1, kind="stable").astype(np.int32)
    split = best_split(_candidates(values[live], weights[live], order), order, choices=2)
    live, split = live[split.found], split.only_found()
    shifts = np.broadcast_to(split.shift[:, None], (len(live), 4))
    points[live], scales[live] = snap_to_grid(values[live], weights[live], split, shifts)
    down[live] = split.shift

    d, codes = sub_scale_codes(scales.reshape(-1, 8), top=15)
    top = np.where((d > 0)[:, None], codes | (down.reshape(-1, 8) << 3), 0)
    words = np.bitwise_or.reduce((points >> 8) << _TRIPLES, axis=1).reshape(-1, 8) | (top << 12)
    low = (points & 255).astype(np.uint8).reshape(-1, 32)
    high = words.astype("<u2").view(np.uint8)
    return np.concatenate([to_half(d * np.float32(1.125)), low, high], axis=-1)


def _unpack(blocks: U8) -> TernaryFields:
    words = np.ascontiguousarray(blocks[:, 34:]).view("<u2").astype(np.int32)
    high = ((words[:, :, None] >> _TRIPLES) & 7).reshape(-1, 32)
    shifts = np.repeat(words >> 15, 4, axis=1)
    points = blocks[:, 2:34].astype(np.int32) | (high << 8)
    return TernaryFields(from_half(blocks[:, :2]), (words >> 12) & 7, points, shifts)


def _decode(blocks: U8) -> F32:
    return ternary_values(_unpack(blocks))


def _explain(x: F32) -> Sequence[Step]:
    return ternary_steps(
        x,
        encode=lambda block: encode(block, importance=np.ones(256, np.float32)),
        unpack=_unpack,
        how="1.125 * (the largest sub-block's scale) / 15, as a half; importance 1",
    )


CARD = Card(
    name="iq1_s",
    title="IQ1_S: 1.5625 bits, three levels with a shift",
    bits_per_value=1.5625,
    block_size=256,
    layout="d f16 | 32 low bytes of point numbers | 8 x u16: 4 x 3 high bits, 3-bit c, 1-bit shift",
    equation="x = d * (2 c + 1) * ({-1, 0, 1} +- 1/8)",
    source="ggml src/ggml-common.h (block_iq1_s), src/ggml-quants.c",
    explain=_explain,
)
