r"""TFLite tensors of INT4 and INT2: dense in the buffer, the first element in the lowest bits.

A buffer of a tensor of type INT4 or INT2 (and their unsigned kin, UINT4) holds its elements in
row-major order, rows not aligned to bytes::

                 4 bits                        2 bits
    byte 0   |  q1   |  q0   |          |  q3 |  q2 |  q1 |  q0 |
    byte 1   |   0   |  q2   |          |  0  |  0  |  0  |  q4 |
             bit 7       bit 0          bit 7              bit 0

.. math::

    \text{byte}_k = \sum_{i < p} (q_{kp + i} \bmod 2^b)\, 2^{ib}, \quad p = 8 / b        \tag{1}

Codes are two's complement: the reader shifts a field to the top of an int8 and back, to extend its
sign. The bits after the last element are zero; the interpreter ignores them, we refuse others.
The three int4 1, -1, -8 are the bytes 0xF1, 0x08. Left out: scales and zero points, which are
float32 and int64 vectors of the flatbuffer, never packed.

References
----------
LiteRT ``tflite/kernels/internal/portable_tensor_utils.cc`` (``PackInt8IntoDenseInt``,
``UnpackPackedIntToInt8``); ``schema.fbs`` (``TensorType``).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes
from refquant.numerics import packing

__all__ = ["CARD", "pack", "unpack"]


def pack(codes: NDArray[np.integer[Any]], *, num_bits: int, signed: bool) -> NDArray[np.uint8]:
    """Return the buffer of ``codes`` of any shape, uint8 (ceil(elements * bits / 8),): eq. (1).

    ``num_bits`` is 2 or 4. Codes outside the range of the type are a ``ValueError``: TFLite would
    keep their low bits.

    >>> [hex(b) for b in pack(np.array([1, -1, -8]), num_bits=4, signed=True).tolist()]
    ['0xf1', '0x8']
    """
    _check(num_bits)
    low = -(1 << num_bits - 1) if signed else 0
    checked_codes(codes, num_bits=num_bits, low=low)
    return packing.pack(
        np.asarray(codes).astype(np.int8 if signed else np.uint8), num_bits=num_bits
    )


def unpack(
    data: NDArray[np.uint8], *, num_bits: int, signed: bool, shape: Sequence[int]
) -> NDArray[np.int8] | NDArray[np.uint8]:
    """Return the codes in ``data``, int8 or uint8 of ``shape``: the inverse of ``pack``.

    ``ValueError`` for a wrong number of bytes, and for padding that is not zero.

    >>> unpack(np.array([0xF1, 8], np.uint8), num_bits=4, signed=True, shape=(3,)).tolist()
    [1, -1, -8]
    """
    _check(num_bits)
    return packing.unpack(data, num_bits=num_bits, signed=signed, shape=shape)


def _check(num_bits: int) -> None:
    if num_bits not in (2, 4):
        raise ValueError(f"num_bits must be 2 or 4 for TFLite, got {num_bits}")


CARD = packing_card(
    name="tflite_int4_packing",
    title="TFLite INT4 buffer (values are codes, -8 to 7)",
    num_bits=4,
    block_size=2,
    layout="byte: |  q1   |  q0   |   bit 7 first",
    equation="byte = (q0 & 15) + 16 * (q1 & 15), two's complement",
    source="LiteRT tflite/kernels/internal/portable_tensor_utils.cc, PackInt8IntoDenseInt",
    pack=lambda codes: pack(codes, num_bits=4, signed=True),
    low=-8,
    twos_complement=True,
)
