r"""ggml's split halves: byte j of a block holds code j and code j + half.

The 4-bit codes of Q4_0, Q4_1, IQ4_NL and MXFP4 (blocks of 32), the low four bits of Q5_0 and Q5_1,
and the codes of NVFP4 (sub-blocks of 16) stand in a block as two halves::

    block of 32   byte 0   | q16 | q0  |
                  byte 1   | q17 | q1  |
                  ...
                  byte 15  | q31 | q15 |
                     bit 7        bit 0

.. math::

    \text{byte}_j = q_j + 16\, q_{j + B/2}, \quad j < B/2                         \tag{1}

One mask and one shift then give two runs of neighbours. A reader that takes pairs (ONNX's order)
gets the right histogram and the wrong places. A row whose length is no multiple of the block is
refused, as ggml does. Scales stand before the bytes in each block: ``refquant.formats.ggml``.

References
----------
ggml ``src/ggml-common.h`` (``block_q4_0`` ...), ``src/ggml-quants.c`` (``quantize_row_q4_0_ref``).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes, checked_packed, multiple
from refquant.formats.ggml.blocks import join_halves, split_halves

__all__ = ["CARD", "pack", "unpack"]


def pack(codes: NDArray[np.integer[Any]], *, block_size: int) -> NDArray[np.uint8]:
    """Return uint8 (..., n / 2) of codes (..., n), 0 to 15, block after block: eq. (1).

    ``block_size`` is 32, or 16 for NVFP4, and must divide n.

    >>> pack(np.arange(16), block_size=16).tolist()
    [128, 145, 162, 179, 196, 213, 230, 247]
    """
    _check(block_size)
    fields = checked_codes(codes, num_bits=4).astype(np.uint8)
    if fields.ndim == 0:
        raise ValueError("codes must have at least 1 axis, got shape ()")
    blocks = multiple(fields.shape[-1], block_size, name="the last axis of codes")
    halves = join_halves(fields.reshape(*fields.shape[:-1], blocks, block_size))
    return halves.reshape(*fields.shape[:-1], fields.shape[-1] // 2)


def unpack(packed: NDArray[np.uint8], *, block_size: int) -> NDArray[np.uint8]:
    """Return the codes, uint8 (..., n), in ``packed`` (..., n / 2): the inverse of ``pack``.

    >>> unpack(pack(np.arange(16), block_size=16), block_size=16)[7:9].tolist()
    [7, 8]
    """
    _check(block_size)
    data = np.asarray(packed)
    if data.ndim == 0:
        raise ValueError("packed must have at least 1 axis, got shape ()")
    data = checked_packed(data, dtype="uint8", shape=data.shape)
    half = block_size // 2
    blocks = multiple(data.shape[-1], half, name="the last axis of packed")
    codes = split_halves(data.reshape(*data.shape[:-1], blocks, half))
    return codes.reshape(*data.shape[:-1], 2 * data.shape[-1])


def _check(block_size: int) -> None:
    if block_size not in (16, 32):
        raise ValueError(f"block_size must be 16 or 32, got {block_size}")


CARD = packing_card(
    name="ggml_halves_packing",
    title="ggml split halves, a block of 32 (values are codes, 0 to 15)",
    num_bits=4,
    block_size=32,
    layout="byte j of 16: | q[j + 16] | q[j] |   bit 7 first",
    equation="byte j = q[j] + 16 * q[j + 16]",
    source="ggml src/ggml-quants.c, quantize_row_q4_0_ref",
    pack=lambda codes: pack(codes, block_size=32),
)
