r"""IQ2_XXS: 2.0625 bits a weight, points of E8 from a grid of 256.

The need: 2 bits a weight and nothing more. Eight magnitudes are one of 256 grid points (8 bits),
eight signs are 7 bits (``iq_signs.py``), and 32 weights share a scale of 4 bits: 4 * 8 + 28 + 4 =
64 bits. The half d of the block makes 2 bits into 2.0625::

    byte 0          2                                10               66
         +----------+--------------------------------+-      -+-------+
         | d, half  | sub-block 0                    |  ...   |   7   |
         +----------+--------------------------------+-      -+-------+
    a sub-block, 32 weights:
    byte 0     1     2     3      4                               8
         +-----+-----+-----+-----+--------------------------------+
         | i_0 | i_1 | i_2 | i_3 |  u32, little endian            |
         +-----+-----+-----+-----+--------------------------------+
                                   bits 0-6, 7-13, 14-20, 21-27 signs of group 0-3; 28-31 c

.. math::

    \hat x = d \cdot (0.5 + c) \cdot 0.25 \cdot s \cdot g, \qquad g \in \{8, 25, 43\}   \tag{1}

The encoder pretends that g is 8 times 1, 3, 5: it searches levels q = 1, 3, 5 (``iq_scales.py``),
beginning at the scale that a coordinate descent over five levels finds, with 13 trials. The values
25 and 43 make the decoded magnitudes a little greater than those it fitted.

There is **no zero**: a zero in a block with other numbers decodes to at least d, in magnitude.
Importance is required: without it the result is of no use. Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq2_xxs``), ``src/ggml-quants.c``
(``dequantize_row_iq2_xxs``, ``quantize_row_iq2_xxs_impl``).
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
from refquant.formats.ggml.iq_signs import even_signs, parity_completed
from refquant.formats.ggml.k_descent import fit_positive

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_SIGN_SHIFTS = np.array([0, 7, 14, 21], np.uint32)
_SEARCH = GridSearch(
    grid="iq2_xxs", distances=2, trials=6, step=0.1, refine="always", smallest=1e-15
)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 66), with ggml's search.

    ``importance``, float32 (n,), is required: finite, not negative. ``ValueError`` without it, if n
    is no multiple of 256, ``x`` is not finite, or its squares leave float32 so far that ggml
    aborts. A block of zeros is bytes of zero; a scale beyond 65504 becomes infinity.

    >>> data = encode(np.full(256, -5.0, np.float32), importance=np.ones(256, np.float32))
    >>> data[:10].tolist()
    [50, 42, 189, 189, 189, 189, 255, 255, 255, 255]
    """
    return encode_weighted(x, importance, type="IQ2_XXS", function=_encode, required=True)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 66) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(66, np.uint8)
    >>> data[:6] = [0, 60, 1, 0, 0, 0]  # d = 1, point 1 = (43, 8, ...)
    >>> decode(data)[:3].tolist()
    [5.375, 1.0, 1.0]
    """
    return decode_rows(data, type="IQ2_XXS", function=_READING.decode)


def _encode(x: F32, importance: F32 | None) -> U8:
    weights = search_weights(x, importance, factor=1)
    values, _ = even_signs(x, weights)
    # The descent fits levels 0 to 4; three of its steps are the span of q = 5.
    first, _ = fit_positive(
        np.ascontiguousarray(values.reshape(-1, 32).T),
        np.ascontiguousarray(weights.reshape(-1, 32).T),
        nmax=4,
    )
    start = (first * np.float32(3), first)
    fields = find_fields(x, weights, sub_block=32, even=True, search=_SEARCH, start=start)
    words = fields.codes.astype(np.uint32) << np.uint32(28)
    seven = (fields.signs.reshape(-1, 8, 4) & 127).astype(np.uint32)
    words |= np.bitwise_or.reduce(seven << _SIGN_SHIFTS, axis=-1)
    points = fields.points.astype(np.uint8).reshape(-1, 8, 4)
    body = np.concatenate([points, words.astype("<u4")[..., None].view(np.uint8)], axis=-1)
    body = np.where((fields.scale == 0)[:, None], 0, body.reshape(-1, 64))
    return np.concatenate([to_half(fields.scale), body], axis=-1).astype(np.uint8)


def _unpack(blocks: U8) -> GridFields:
    body = blocks[:, 2:].reshape(-1, 8, 8)
    words = np.ascontiguousarray(body[:, :, 4:]).view("<u4")
    signs = parity_completed(((words >> _SIGN_SHIFTS) & 127).astype(np.uint8))
    codes = (words[..., 0] >> np.uint32(28)).astype(np.int32)
    points = body[:, :, :4].astype(np.int32).reshape(-1, 32)
    return GridFields(from_half(blocks[:, :2]), codes, points, signs.reshape(-1, 32))


_READING = GridReading(
    unpack=_unpack,
    grid="iq2_xxs",
    levels=np.array([8, 25, 43], np.float32),
    unit=1 / 8,
    formula="d * (0.5 + c) * 0.25, importance 1",
)


def _explain(x: F32) -> Sequence[Step]:
    ones = np.ones(256, np.float32)
    return grid_steps(x, encode=lambda block: encode(block, importance=ones), reading=_READING)


CARD = Card(
    name="iq2_xxs",
    title="IQ2_XXS: 2.0625 bits, points of E8",
    bits_per_value=2.0625,
    block_size=256,
    layout="d f16 | 8 x [4 point numbers u8 | u32: 4 x 7 sign bits, 4-bit scale c]",
    equation="x = d * (0.5 + c) * 0.25 * sign * {8, 25, 43}",
    source="ggml src/ggml-common.h (block_iq2_xxs), src/ggml-quants.c",
    explain=_explain,
)
