r"""IQ2_S: 2.5625 bits a weight, a grid of 1024, all eight signs stored.

The need: two bits without the two compromises of IQ2_XS: no sign is changed for parity's sake, and
the grid is twice as large again. A point's number has 10 bits, 8 of them in a byte of their own::

    byte 0          2            34           66           74           82
         +----------+------------+------------+------------+------------+
         | d, half  | low 8 bits | sign bytes | high bits  | scales     |
         +----------+------------+------------+------------+------------+
    32 groups: byte 2 + k has the low bits of group k, byte 34 + k its signs
    byte 66 + k: bits 0-1, 2-3, 4-5, 6-7 are bits 8-9 of groups 4 k to 4 k + 3
    byte 74 + k: bits 0-3 c of weights 32 k to 32 k + 15, bits 4-7 c of the 16 that follow

.. math::

    \hat x = d \cdot (0.5 + c) \cdot 0.25 \cdot s \cdot g, \qquad g \in \{8, 25, 43\}   \tag{1}

The encoder searches levels q = 1, 3, 5 with 19 trials (``iq_scales.py``); the stored d is 0.9875
times the d that chose the codes. Without importance the weights are

.. math::

    w_i = \sigma^2 / 4 + x_i^2, \qquad \sigma^2 = 2 \sum x^2 / 256               \tag{2}

There is **no zero**: a zero in a block with other numbers decodes to at least d, in magnitude.
Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq2_s``), ``src/ggml-quants.c`` (``dequantize_row_iq2_s``,
``quantize_row_iq2_s_impl``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows, from_half, to_half
from refquant.formats.ggml.iq_card import grid_steps
from refquant.formats.ggml.iq_fields import GridFields, GridReading, find_fields
from refquant.formats.ggml.iq_rows import encode_weighted, search_weights, variance
from refquant.formats.ggml.iq_scales import GridSearch

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_SEARCH = GridSearch(
    grid="iq2_s", distances=1, trials=9, step=0.1, refine="off_grid", smallest=1e-8
)
_PAIRS = np.array([0, 2, 4, 6], np.int32)  # where two bits of a byte begin


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 82), with ggml's search.

    ``importance`` is None or float32 (n,), finite, not negative. ``ValueError`` if n is no multiple
    of 256, ``x`` is not finite, or its squares leave float32 so far that ggml aborts. A block of
    zeros is bytes of zero; a scale beyond 65504 becomes infinity.

    >>> data = encode(np.full(256, -5.0, np.float32))
    >>> data[[2, 34, 66, 74]].tolist()
    [255, 255, 255, 255]
    """
    return encode_weighted(x, importance, type="IQ2_S", function=_encode)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 82) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(82, np.uint8)
    >>> data[[1, 2, 34]] = [60, 1, 1]  # d = 1; point 1 = (43, 8, ...), sign bit 0
    >>> decode(data)[:3].tolist()
    [-5.375, 1.0, 1.0]
    """
    return decode_rows(data, type="IQ2_S", function=_READING.decode)


def _encode(x: F32, importance: F32 | None) -> U8:
    if importance is None:
        weights = np.float32(0.25) * variance(x, factor=2) + x * x  # eq. (2)
    else:
        weights = search_weights(x, importance, factor=2)
    fields = find_fields(x, weights, sub_block=16, even=False, search=_SEARCH)
    high = np.bitwise_or.reduce((fields.points >> 8).reshape(-1, 8, 4) << _PAIRS, axis=-1)
    scales = fields.codes[:, ::2] | (fields.codes[:, 1::2] << 4)
    parts = [fields.points & 255, fields.signs, high, scales]
    half = to_half(fields.scale * np.float32(0.9875))
    return np.concatenate([half, *(part.astype(np.uint8) for part in parts)], axis=-1)


def _unpack(blocks: U8) -> GridFields:
    high = ((blocks[:, 66:74, None].astype(np.int32) >> _PAIRS) & 3).reshape(-1, 32)
    codes = np.stack([blocks[:, 74:] & 15, blocks[:, 74:] >> 4], axis=-1).astype(np.int32)
    points = blocks[:, 2:34].astype(np.int32) | (high << 8)
    return GridFields(from_half(blocks[:, :2]), codes.reshape(-1, 16), points, blocks[:, 34:66])


_READING = GridReading(
    unpack=_unpack,
    grid="iq2_s",
    levels=np.array([8, 25, 43], np.float32),
    unit=1 / 8,
    formula="d * (0.5 + c) * 0.25",
)


def _explain(x: F32) -> Sequence[Step]:
    return grid_steps(x, encode=encode, reading=_READING)


CARD = Card(
    name="iq2_s",
    title="IQ2_S: 2.5625 bits, grid of 1024",
    bits_per_value=2.5625,
    block_size=256,
    layout="d f16 | 32 low bytes of point numbers | 32 sign bytes | 8 x 4 high bits | 8 x two c",
    equation="x = d * (0.5 + c) * 0.25 * sign * {8, 25, 43}",
    source="ggml src/ggml-common.h (block_iq2_s), src/ggml-quants.c",
    explain=_explain,
)
