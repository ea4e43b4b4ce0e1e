r"""IQ2_XS: 2.3125 bits a weight, points of E8 from a grid of 512, a scale for every 16.

The need: better than IQ2_XXS at 2 bits, by a grid twice as large and a scale for 16 weights instead
of 32. A group of eight is one u16, 9 bits for the point and 7 for the signs (``iq_signs.py``)::

    byte 0          2       4                    66                          74
         +----------+-------+----      ----+-----+------+----      ----+------+
         | d, half  | u16_0 |  ...         | _31 | sc_0 |     ...      | sc_7 |
         +----------+-------+----      ----+-----+------+----      ----+------+
    u16 of a group: bits 0-8 the point, bits 9-15 the signs of weights 0-6
    sc_k: bits 0-3 c of weights 32 k to 32 k + 15, bits 4-7 c of the 16 that follow

.. math::

    \hat x = d \cdot (0.5 + c) \cdot 0.25 \cdot s \cdot g, \qquad g \in \{8, 25, 43\}   \tag{1}

The encoder searches levels q = 1, 3, 5 with 19 trials (``iq_scales.py``) and looks up again the
groups that were not on the grid. There is **no zero**: a zero in a block with other numbers decodes
to at least d, in magnitude. Importance is required. Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq2_xs``), ``src/ggml-quants.c`` (``dequantize_row_iq2_xs``,
``quantize_row_iq2_xs_impl``).
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

_SEARCH = GridSearch(
    grid="iq2_xs", distances=2, trials=9, step=0.1, refine="off_grid", smallest=1e-15
)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 74), with ggml's search.

    ``importance``, float32 (n,), is required: finite, not negative. ``ValueError`` without it, if n
    is no multiple of 256, ``x`` is not finite, or its squares leave float32 so far that ggml
    aborts. A block of zeros is bytes of zero; a scale beyond 65504 becomes infinity.

    >>> data = encode(np.full(256, -5.0, np.float32), importance=np.ones(256, np.float32))
    >>> data[2:6].tolist(), data[66:68].tolist()
    ([255, 255, 255, 255], [255, 255])
    """
    return encode_weighted(x, importance, type="IQ2_XS", function=_encode, required=True)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 74) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(74, np.uint8)
    >>> data[:4] = [0, 60, 1, 2]  # d = 1; point 1 = (43, 8, ...), sign bit 0
    >>> decode(data)[:3].tolist()
    [-5.375, 1.0, 1.0]
    """
    return decode_rows(data, type="IQ2_XS", function=_READING.decode)


def _encode(x: F32, importance: F32 | None) -> U8:
    weights = search_weights(x, importance, factor=1)
    fields = find_fields(x, weights, sub_block=16, even=True, search=_SEARCH)
    words = fields.points | ((fields.signs & 127).astype(np.int32) << 9)
    body = words.astype("<u2")[..., None].view(np.uint8).reshape(-1, 64)
    body = np.where((fields.scale == 0)[:, None], np.uint8(0), body)
    scales = (fields.codes[:, ::2] | (fields.codes[:, 1::2] << 4)).astype(np.uint8)
    return np.concatenate([to_half(fields.scale), body, scales], axis=-1)


def _unpack(blocks: U8) -> GridFields:
    words = np.ascontiguousarray(blocks[:, 2:66]).view("<u2").astype(np.int32)
    codes = np.stack([blocks[:, 66:] & 15, blocks[:, 66:] >> 4], axis=-1).astype(np.int32)
    signs = parity_completed((words >> 9).astype(np.uint8))
    return GridFields(from_half(blocks[:, :2]), codes.reshape(-1, 16), words & 511, signs)


_READING = GridReading(
    unpack=_unpack,
    grid="iq2_xs",
    levels=np.array([8, 25, 43], np.float32),
    unit=1 / 8,
    formula="d * (0.5 + c) * 0.25, importance 1",
)


def _explain(x: F32) -> Sequence[Step]:
    ones = np.ones(256, np.float32)
    return grid_steps(x, encode=lambda block: encode(block, importance=ones), reading=_READING)


CARD = Card(
    name="iq2_xs",
    title="IQ2_XS: 2.3125 bits, points of E8",
    bits_per_value=2.3125,
    block_size=256,
    layout="d f16 | 32 x u16: 9-bit point number, 7 sign bits | 8 x u8: two 4-bit scales c",
    equation="x = d * (0.5 + c) * 0.25 * sign * {8, 25, 43}",
    source="ggml src/ggml-common.h (block_iq2_xs), src/ggml-quants.c",
    explain=_explain,
)
