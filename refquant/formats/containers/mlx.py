r"""MLX: uint32 words along the last axis, dense from the lowest bit up.

MLX quantizes the last axis in groups of 32, 64 or 128 and packs 2, 3, 4, 5, 6 or 8 bits::

    4 bits   word 0 | q7 | q6 | q5 | q4 | q3 | q2 | q1 | q0 |
    3 bits   word 0 |10|9 9 9| ... |1 1 1|0 0 0|      32 codes in three words, as three bytes
             word 1 |21|20 20 20| ... |11 11 11|10|   hold eight
             word 2 |31 31 31| ... |22 22 22|21 21|
           bit 31                           bit 0

.. math::

    \text{bit } j \text{ of code } i \text{ is bit } (ib + j) \bmod 32
        \text{ of word } \lfloor (ib + j) / 32 \rfloor \text{ of its row}         \tag{1}

.. math::

    \hat w = q \cdot \mathrm{scale} + \mathrm{bias}                               \tag{2}

Codes are unsigned; eq. (2) has a float bias instead of a zero point, and the scale may be
negative. The words are those of GPTQ's, laid along rows instead of columns, and of
compressed-tensors' dense ones without the offset. The last axis must be a multiple of 32, the
smallest group. Left out: scales, biases, and the mode ``mxfp4`` (the same words, 4 bits).

References
----------
MLX ``mlx/ops.cpp`` (``affine_quantize``), ``mlx/backend/cpu/quantized.cpp`` (``extract_bits``).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import (
    checked_codes,
    checked_packed,
    multiple,
    pack_dense,
    unpack_dense,
)

__all__ = ["BITS", "CARD", "pack", "unpack"]

BITS = (2, 3, 4, 5, 6, 8)


def pack(codes: NDArray[np.integer[Any]], *, num_bits: int) -> NDArray[np.uint32]:
    """Return uint32 (..., K * num_bits / 32) of codes (..., K) in [0, 2^num_bits - 1]: eq. (1).

    ``ValueError`` for a K that is no multiple of 32, as no group of MLX could hold it.

    >>> hex(pack(np.arange(32) % 8, num_bits=4)[0])
    '0x76543210'
    """
    _check(num_bits)
    fields = checked_codes(codes, num_bits=num_bits)
    if fields.ndim == 0:
        raise ValueError("codes must have at least 1 axis, got shape ()")
    multiple(fields.shape[-1], 32, name="the last axis of codes")
    return pack_dense(fields, num_bits=num_bits)


def unpack(packed: NDArray[np.uint32], *, num_bits: int) -> NDArray[np.uint8]:
    """Return the codes, uint8 (..., K), in ``packed``: the inverse of ``pack``.

    >>> unpack(pack(np.arange(32) % 8, num_bits=3), num_bits=3)[8:13].tolist()
    [0, 1, 2, 3, 4]
    """
    _check(num_bits)
    words = np.asarray(packed)
    if words.ndim == 0:
        raise ValueError("packed must have at least 1 axis, got shape ()")
    words = checked_packed(words, dtype="uint32", shape=words.shape)
    count = 32 * multiple(words.shape[-1], num_bits, name="the last axis of packed")
    return unpack_dense(words, num_bits=num_bits, count=count).astype(np.uint8)


def _check(num_bits: int) -> None:
    if num_bits not in BITS:
        raise ValueError(f"num_bits must be one of {', '.join(map(str, BITS))}; got {num_bits}")


CARD = packing_card(
    name="mlx_int3_packing",
    title="MLX 3 bits, 32 codes in three words (values are codes, 0 to 7)",
    num_bits=3,
    block_size=32,
    layout="three uint32, dense: code 10 is in bits 30, 31 of word 0 and bit 0 of word 1",
    equation="w = q * scale + bias; bit j of code i is bit 3i + j of the 96",
    source="MLX mlx/backend/cpu/quantized.cpp, extract_bits",
    pack=lambda codes: pack(codes, num_bits=3),
)
