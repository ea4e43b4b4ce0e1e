r"""optimum-quanto: the rows are cut into pieces, and a byte holds a row of each, the first lowest.

quanto packs uint8 codes of 2 or 4 bits along axis 0. With p = 8 / b and R = ceil(rows / p)::

    4 bits   byte (r, ...)  | q[R + r]     | q[r]         |
    2 bits   byte (r, ...)  | q[3R + r] | q[2R + r] | q[R + r] | q[r] |
             bit 7                                               bit 0

.. math::

    \text{packed}_{r} = \sum_{i < p} q_{iR + r}\, 2^{ib}                           \tag{1}

where a row that is not there counts as 0: five rows of 2 bits are R = 2 bytes a column, and row 4
shares byte 0 with rows 0 and 2. The original size travels beside the bytes, as text. HQQ has the
same pieces in the opposite order; BitNet's Hugging Face checkpoints have this order.
Four rows 1, 2, 3, 4 of 4 bits are the bytes 0x31, 0x42. Left out: the AWQ and Marlin layouts that
quanto converts to on a GPU, and ``shift`` and ``scale``.

References
----------
optimum-quanto ``optimum/quanto/tensor/packed.py`` (``pack_weights``).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes, checked_packed

__all__ = ["CARD", "pack", "unpack"]


def pack(codes: NDArray[np.integer[Any]], *, num_bits: int) -> NDArray[np.uint8]:
    """Return uint8 (ceil(rows * num_bits / 8), ...) of codes (rows, ...): eq. (1).

    ``num_bits`` is 2 or 4, codes in [0, 2^num_bits - 1]; any number of rows and of axes behind.

    >>> [hex(b) for b in pack(np.array([1, 2, 3, 4]), num_bits=4).tolist()]
    ['0x31', '0x42']
    """
    pieces = _pieces(num_bits)
    fields = checked_codes(codes, num_bits=num_bits)
    if fields.ndim == 0:
        raise ValueError("codes must have at least 1 axis, got shape ()")
    count = -(-fields.shape[0] // pieces)
    packed = np.zeros((count, *fields.shape[1:]), np.uint32)
    for i in range(pieces):
        piece = fields[i * count : (i + 1) * count]  # the last ones may be short or empty
        packed[: len(piece)] |= piece << np.uint32(i * num_bits)
    return packed.astype(np.uint8)


def unpack(packed: NDArray[np.uint8], *, num_bits: int, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return the codes, uint8 of ``shape``, in ``packed``: the inverse of ``pack``.

    ``ValueError`` if a row that is not there is not zero (quanto cuts it off).

    >>> unpack(np.array([0x31, 0x42], np.uint8), num_bits=4, shape=(4,)).tolist()
    [1, 2, 3, 4]
    """
    pieces = _pieces(num_bits)
    if not shape:
        raise ValueError("shape must have at least 1 axis, got ()")
    expected = (-(-shape[0] // pieces), *shape[1:])
    packed = checked_packed(packed, dtype="uint8", shape=expected)
    mask = np.uint8((1 << num_bits) - 1)
    parts = [(packed >> np.uint8(i * num_bits)) & mask for i in range(pieces)]
    rows = np.concatenate(parts)
    if rows[shape[0] :].any():
        raise ValueError("the padding bits must be zero: another layout, or damaged")
    return np.ascontiguousarray(rows[: shape[0]])


def _pieces(num_bits: int) -> int:
    if num_bits not in (2, 4):
        raise ValueError(f"num_bits must be 2 or 4 for quanto, got {num_bits}")
    return 8 // num_bits


CARD = packing_card(
    name="quanto_4bit_packing",
    title="optimum-quanto 4 bits, a column of any number of rows (values are codes, 0 to 15)",
    num_bits=4,
    block_size=0,
    step=1,
    layout="byte r of R = ceil(rows / 2): | q[R + r] | q[r] |   bit 7 first",
    equation="byte r = q[r] + 16 * q[R + r]",
    source="optimum-quanto optimum/quanto/tensor/packed.py, pack_weights",
    pack=lambda codes: pack(codes, num_bits=4),
)
