r"""IQ3_XXS: 3.0625 bits a weight, points of D4 from a grid of 256.

The need: three bits a weight and nothing more. Four magnitudes are one of 256 grid points (8 bits),
eight signs are 7 bits (``iq_signs.py``), and 32 weights share a scale of 4 bits: 8 * 8 + 28 + 4 =
96 bits. The half d of the block makes 3 bits into 3.0625::

    byte 0          2                          66                           98
         +----------+-------+--   --+----------+----------+--   --+----------+
         | d, half  | i_0   |  ...  | i_63     | u32_0    |  ...  | u32_7    |
         +----------+-------+--   --+----------+----------+--   --+----------+
    u32_k, of weights 32 k to 32 k + 31: bits 0-6, 7-13, 14-20, 21-27 the signs of each
    eight, bits 28-31 c

.. math::

    \hat x = d \cdot (0.5 + c) \cdot 0.5 \cdot s \cdot g, \qquad
    g \in \{4, 12, 20, 28, 36, 44, 52, 62\}                                      \tag{1}

The encoder searches levels q = 1, 3, ..., 15, that is g = 4 q but for the last, with 31 trials
(``iq_scales.py``); the stored d is 1.0125 times the d that chose the codes. There is **no zero**: a
zero in a block with other numbers decodes to at least d, in magnitude. Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq3_xxs``), ``src/ggml-quants.c``
(``dequantize_row_iq3_xxs``, ``quantize_row_iq3_xxs_impl``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows, from_half, to_half
from refquant.formats.ggml.iq_card import grid_steps
from refquant.formats.ggml.iq_fields import GridFields, GridReading, find_fields
from refquant.formats.ggml.iq_rows import encode_weighted, search_weights
from refquant.formats.ggml.iq_scales import GridSearch
from refquant.formats.ggml.iq_signs import parity_completed

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_SIGN_SHIFTS = np.array([0, 7, 14, 21], np.uint32)
_SEARCH = GridSearch(
    grid="iq3_xxs", distances=2, trials=15, step=0.2, refine="off_grid", smallest=1e-8
)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 98), with ggml's search.

    ``importance`` is None or float32 (n,), finite, not negative. ``ValueError`` if n is no multiple
    of 256, ``x`` is not finite, or its squares leave float32 so far that ggml aborts. A block of
    zeros is bytes of zero; a scale beyond 65504 becomes infinity.

    >>> data = encode(np.full(256, -5.0, np.float32))
    >>> data[66:70].tolist()
    [255, 255, 255, 255]
    """
    return encode_weighted(x, importance, type="IQ3_XXS", function=_encode)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 98) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(98, np.uint8)
    >>> data[[1, 2, 66]] = [60, 1, 1]  # d = 1; point 1 = (20, 4, 4, 4), sign bit 0
    >>> decode(data)[:3].tolist()
    [-5.0, 1.0, 1.0]
    """
    return decode_rows(data, type="IQ3_XXS", function=_READING.decode)


def _encode(x: F32, importance: F32 | None) -> U8:
    weights = search_weights(x, importance, factor=2)
    fields = find_fields(x, weights, sub_block=32, even=True, search=_SEARCH)
    words = fields.codes.astype(np.uint32) << np.uint32(28)
    seven = (fields.signs.reshape(-1, 8, 4) & 127).astype(np.uint32)
    words |= np.bitwise_or.reduce(seven << _SIGN_SHIFTS, axis=-1)
    body = np.concatenate([fields.points.astype(np.uint8), words.astype("<u4").view(np.uint8)], 1)
    body = np.where((fields.scale == 0)[:, None], np.uint8(0), body)
    return np.concatenate([to_half(fields.scale * np.float32(1.0125)), body], axis=-1)


def _unpack(blocks: U8) -> GridFields:
    words = np.ascontiguousarray(blocks[:, 66:]).view("<u4")
    signs = parity_completed(((words[..., None] >> _SIGN_SHIFTS) & 127).astype(np.uint8))
    codes = (words >> np.uint32(28)).astype(np.int32)
    points = blocks[:, 2:66].astype(np.int32)
    return GridFields(from_half(blocks[:, :2]), codes, points, signs.reshape(-1, 32))


_READING = GridReading(
    unpack=_unpack,
    grid="iq3_xxs",
    levels=np.array([4, 12, 20, 28, 36, 44, 52, 62], np.float32),
    unit=1 / 4,
    formula="d * (0.5 + c) * 0.5",
)


def _explain(x: F32) -> Sequence[Step]:
    return grid_steps(x, encode=encode, reading=_READING)


CARD = Card(
    name="iq3_xxs",
    title="IQ3_XXS: 3.0625 bits, points of D4",
    bits_per_value=3.0625,
    block_size=256,
    layout="d f16 | 64 point numbers u8 | 8 x u32: 4 x 7 sign bits, 4-bit scale c",
    equation="x = d * (0.5 + c) * 0.5 * sign * {4, 12, 20, 28, 36, 44, 52, 62}",
    source="ggml src/ggml-common.h (block_iq3_xxs), src/ggml-quants.c",
    explain=_explain,
)
