r"""IQ3_S: 3.4375 bits a weight, a grid of 512, all eight signs stored.

The need: three bits without the compromise of IQ3_XXS: no sign is changed for parity's sake, and
the grid is twice as large. A point's number has 9 bits, the highest in a byte of eight groups::

    byte 0          2            66           74           106          110
         +----------+------------+------------+------------+------------+
         | d, half  | low 8 bits | high bits  | sign bytes | scales     |
         +----------+------------+------------+------------+------------+
    64 groups of four: byte 2 + k has the low bits of group k
    byte 66 + k: bit j is bit 8 of group 8 k + j
    byte 74 + k: the signs of weights 8 k to 8 k + 7
    byte 106 + k: bits 0-3 c of weights 64 k to 64 k + 31, bits 4-7 c of the 32 that follow

That is 2 + 64 + 8 + 32 + 4 = 110 bytes, 3.4375 bits a weight; the heading above ggml's decoder says
3.3125, which leaves out the 4 bytes of scales.

.. math::

    \hat x = d \cdot (1 + 2 c) \cdot s \cdot g, \qquad g \in \{1, 3, \dots, 15\}     \tag{1}

The encoder searches these levels with 19 trials (``iq_scales.py``); the stored d is 1.033 times
the d that chose the codes. There is **no zero**: a zero in a block with other numbers decodes to at
least d, in magnitude. Where all scales underflow to 0, point numbers and signs are still stored.

**A trap in ggml.** Its encoder skips a sub-block of 32 zeros *without advancing* its pointers to
the low bytes and to the signs: all later sub-blocks of the block are stored one place early, their
high bits and scales are not, and the block decodes to other numbers (a sub-block of -5 after one of
zeros becomes 2.4 to 4.3). ``encode`` makes the same bytes by default, flavour ``reference``; the
flavour ``in_place`` puts every sub-block where the decoder reads it.

References
----------
ggml ``src/ggml-common.h`` (``block_iq3_s``), ``src/ggml-quants.c`` (``dequantize_row_iq3_s``,
``quantize_row_iq3_s_impl``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import checked_flavour, decode_rows, from_half, to_half
from refquant.formats.ggml.iq_card import grid_steps
from refquant.formats.ggml.iq_fields import GridFields, GridReading, find_fields
from refquant.formats.ggml.iq_rows import encode_weighted, search_weights
from refquant.formats.ggml.iq_scales import GridSearch

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FLAVOURS = ("reference", "in_place")
_SEARCH = GridSearch(grid="iq3_s", distances=3, trials=9, step=0.2, refine="whole", smallest=0)


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 110), with ggml's search.

    ``importance`` is None or float32 (n,), finite, not negative. ``ValueError`` if n is no multiple
    of 256, ``x`` is not finite, or its squares leave float32 so far that ggml aborts. A block of
    zeros is bytes of zero; a scale beyond 65504 becomes infinity. ``flavour`` is ``reference``, the
    bytes of ggml, or ``in_place``: they differ in blocks where a sub-block of 32 zeros is followed
    by one that is not (see the trap above).

    >>> data = encode(np.full(256, -5.0, np.float32))
    >>> data[[74, 106]].tolist()
    [255, 255]
    >>> x = np.repeat(np.array([0, -5, 0, 0, 0, 0, 0, 0], np.float32), 32)
    >>> [decode(encode(x, flavour=flavour))[32:34].tolist() for flavour in FLAVOURS]
    [[3.3591690063476562, 2.3994064331054688], [-6.238456726074219, -4.318931579589844]]
    """
    checked_flavour(flavour, FLAVOURS)

    def function(blocks: F32, weights: F32 | None) -> U8:
        return _encode(blocks, weights, in_place=flavour == "in_place")

    return encode_weighted(x, importance, type="IQ3_S", function=function)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 110) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(110, np.uint8)
    >>> data[[1, 2, 74]] = [60, 1, 1]  # d = 1; point 1 = (3, 1, 1, 1), sign bit 0
    >>> decode(data)[:3].tolist()
    [-3.0, 1.0, 1.0]
    """
    return decode_rows(data, type="IQ3_S", function=_READING.decode)


def _encode(x: F32, importance: F32 | None, *, in_place: bool) -> U8:
    weights = search_weights(x, importance, factor=2)
    fields = find_fields(x, weights, sub_block=32, even=False, search=_SEARCH)
    low, signs = fields.points & 255, fields.signs
    if not in_place:  # the trap: a sub-block of zeros, whose fields are 0, takes no place
        zero = (x.reshape(-1, 8, 32) == 0).all(axis=-1)
        order = np.argsort(zero, axis=-1, kind="stable")[:, :, None]
        low = np.take_along_axis(low.reshape(-1, 8, 8), order, axis=1).reshape(-1, 64)
        signs = np.take_along_axis(signs.reshape(-1, 8, 4), order, axis=1).reshape(-1, 32)
    high = np.packbits((fields.points >> 8).astype(np.uint8), axis=-1, bitorder="little")
    scales = fields.codes[:, ::2] | (fields.codes[:, 1::2] << 4)
    parts = [low, high, signs, scales]
    half = to_half(fields.scale * np.float32(1.033))
    return np.concatenate([half, *(part.astype(np.uint8) for part in parts)], axis=-1)


def _unpack(blocks: U8) -> GridFields:
    high = np.unpackbits(blocks[:, 66:74], axis=-1, bitorder="little").astype(np.int32)
    codes = np.stack([blocks[:, 106:] & 15, blocks[:, 106:] >> 4], axis=-1).astype(np.int32)
    points = blocks[:, 2:66].astype(np.int32) | (high << 8)
    return GridFields(from_half(blocks[:, :2]), codes.reshape(-1, 8), points, blocks[:, 74:106])


_READING = GridReading(
    unpack=_unpack,
    grid="iq3_s",
    levels=np.arange(1, 16, 2, dtype=np.float32),
    unit=1,
    formula="d * (1 + 2 c)",
)


def _explain(x: F32) -> Sequence[Step]:
    return grid_steps(x, encode=encode, reading=_READING)


CARD = Card(
    name="iq3_s",
    title="IQ3_S: 3.4375 bits, grid of 512",
    bits_per_value=3.4375,
    block_size=256,
    layout="d f16 | 64 low bytes of points | 8 bytes of high bits | 32 sign bytes | 4 x two c",
    equation="x = d * (1 + 2 c) * sign * {1, 3, ..., 15}",
    source="ggml src/ggml-common.h (block_iq3_s), src/ggml-quants.c",
    explain=_explain,
)
