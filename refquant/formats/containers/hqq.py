r"""HQQ: the rows are cut into equal pieces, and a byte holds a row of each, the first highest.

HQQ packs a matrix of codes (rows, columns) along axis 0. With p codes a byte and R = rows / p::

    4 bits   byte (r, c)  | q[r, c]     | q[R + r, c]          |
    2 bits   byte (r, c)  | q[r, c] | q[R + r, c] | q[2R + r, c] | q[3R + r, c] |
             bit 7                                                          bit 0
    3 bits   int32 (r, c) | 0 0 | q[r, c] | q[R + r, c] | ... | q[9R + r, c] |
                        bit 31, 30 | 29..27 | 26..24 |            | 2..0 |

.. math::

    \text{packed}_{rc} = \sum_{i < p} q_{iR + r,\,c}\, 2^{b (p - 1 - i)},
    \quad p = 8 / b, \text{ or } 10 \text{ for } b = 3                             \tag{1}

3 bits take 3.2: ten in an int32, whose two highest bits are zero, and rows are filled up with zeros
to a multiple of ten. For 4, 2 and 1 bits HQQ fails on a number of rows that p does not divide; that
is refused here. 8 bits are bytes as they are. What a matrix is (HQQ reshapes a weight into groups,
(group_size, groups) with axis 0, (groups, group_size) with axis 1, before packing) is metadata.
Left out: scales and float zero points.

References
----------
HQQ ``hqq/core/bitpack.py``, ``hqq/core/quantize.py``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes, checked_packed, multiple

__all__ = ["CARDS", "PIECES", "pack", "unpack"]

Codes = NDArray[np.integer[Any]]

PIECES = {8: 1, 4: 2, 3: 10, 2: 4, 1: 8}
"""Bits: codes in a byte, or, for 3 bits, in an int32."""


def pack(codes: Codes, *, num_bits: int) -> NDArray[np.uint8] | NDArray[np.int32]:
    """Return uint8, for 3 bits int32, (ceil(rows / p), columns) of codes (rows, columns): eq. (1).

    ``ValueError`` for a code outside [0, 2^num_bits - 1], and for rows that p does not divide,
    except for 3 bits, where HQQ fills up with zeros.

    >>> pack(np.array([[1], [2], [3], [4]]), num_bits=4).tolist()
    [[19], [36]]
    """
    pieces = _pieces(num_bits)
    fields = checked_codes(codes, num_bits=num_bits, axes=2)
    rows = fields.shape[0]
    if num_bits == 3:
        fields = np.concatenate([fields, np.zeros((-rows % 10, fields.shape[1]), np.uint32)])
    else:
        multiple(rows, pieces, name="rows")
    packed = np.zeros((fields.shape[0] // pieces, fields.shape[1]), np.uint32)
    for i in range(pieces):
        piece = fields[i * packed.shape[0] : (i + 1) * packed.shape[0]]
        packed |= piece << np.uint32(num_bits * (pieces - 1 - i))
    return packed.view(np.int32) if num_bits == 3 else packed.astype(np.uint8)


def unpack(
    packed: NDArray[np.uint8] | NDArray[np.int32], *, num_bits: int, rows: int
) -> NDArray[np.uint8]:
    """Return the codes, uint8 (rows, columns), in ``packed``: the inverse of ``pack``.

    ``ValueError`` if rows that only fill up, or the highest bits of an int32, are not zero.

    >>> unpack(np.array([[19], [36]], np.uint8), num_bits=4, rows=4).tolist()
    [[1], [2], [3], [4]]
    """
    pieces = _pieces(num_bits)
    count = -(-rows // 10) if num_bits == 3 else multiple(rows, pieces, name="rows")
    columns = np.shape(packed)[1] if np.ndim(packed) == 2 else 0
    dtype = "int32" if num_bits == 3 else "uint8"
    words = checked_packed(packed, dtype=dtype, shape=(count, columns)).astype(np.int64)
    mask = (1 << num_bits) - 1
    shifts = num_bits * np.arange(pieces - 1, -1, -1)
    fields = ((words[None] >> shifts[:, None, None]) & mask).reshape(pieces * count, columns)
    if fields[rows:].any() or (num_bits == 3 and (words >> 30).any()):
        raise ValueError("the padding bits must be zero: another layout, or damaged")
    return np.ascontiguousarray(fields[:rows]).astype(np.uint8)


def _pieces(num_bits: int) -> int:
    if num_bits not in PIECES:
        known = ", ".join(map(str, PIECES))
        raise ValueError(f"num_bits must be one of {known} for HQQ, got {num_bits}")
    return PIECES[num_bits]


CARDS = (
    packing_card(
        name="hqq_4bit_packing",
        title="HQQ 4 bits, a column of any number of rows (values are codes, 0 to 15)",
        num_bits=4,
        block_size=0,
        step=2,
        layout="byte r of R = rows / 2: | q[r] | q[R + r] |   bit 7 first",
        equation="byte r = 16 * q[r] + q[R + r]",
        source="HQQ hqq/core/bitpack.py, pack_4bit_u8",
        pack=lambda codes: pack(codes[:, None], num_bits=4),
    ),
    packing_card(
        name="hqq_3bit_packing",
        title="HQQ 3 bits, ten rows of a column (values are codes, 0 to 7)",
        num_bits=3,
        block_size=10,
        stored_bits=3.2,
        layout="int32: | 0 0 | q0 | q1 | q2 | q3 | q4 | q5 | q6 | q7 | q8 | q9 |   bit 31 first",
        equation="word = sum q_i * 8^(9 - i)",
        source="HQQ hqq/core/bitpack.py, pack_3bit_32",
        pack=lambda codes: pack(codes[:, None], num_bits=3),
    ),
)
