r"""ONNX tensors of 2- and 4-bit types: two or four elements a byte, the first in the lowest bits.

A TensorProto of type INT4, UINT4, FLOAT4E2M1, INT2 or UINT2 keeps its elements in ``raw_data``,
in row-major order, without regard to rows::

                 4 bits                        2 bits
    byte 0   |  q1   |  q0   |          |  q3 |  q2 |  q1 |  q0 |
    byte 1   |  q3   |  q2   |          |  q7 |  q6 |  q5 |  q4 |
             bit 7       bit 0          bit 7              bit 0

.. math::

    \text{element } i \text{ is in bits } (i \bmod p)\,b \ldots (i \bmod p)\,b + b - 1
        \text{ of byte } \lfloor i / p \rfloor, \quad p = 8 / b                   \tag{1}

Integers are two's complement; the codes of FLOAT4E2M1 are bit patterns, 0 to 15
(``refquant.numerics.minifloat`` says what they mean). The last byte is filled with zeros; other
bits there are refused (``onnx.numpy_helper`` ignores them, no writer makes them).
The five elements 1, -1, 7, -8, 3 of INT4 are the bytes 0xF1, 0x87, 0x03.
Left out: ``int32_data``, which holds the same bytes, one in each int32.

References
----------
ONNX ``onnx.proto`` (``TensorProto.DataType``, ``raw_data``), "4 bit integer types".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes
from refquant.numerics import packing

__all__ = ["CARDS", "DTYPES", "pack", "unpack"]

DTYPES = {
    "int4": (4, True),
    "uint4": (4, False),
    "float4e2m1": (4, False),
    "int2": (2, True),
    "uint2": (2, False),
}
"""Name of the type: bits, and whether the codes are signed."""


def pack(codes: NDArray[np.integer[Any]], *, dtype: str) -> NDArray[np.uint8]:
    """Return ``raw_data`` of ``codes`` of any shape, uint8 (ceil(elements * bits / 8),): eq. (1).

    ``dtype`` is a key of ``DTYPES``; a code outside its range is a ``ValueError``. The number of
    elements may be anything: the last byte is filled with zeros.

    >>> [hex(b) for b in pack(np.array([1, -1, 7, -8, 3], np.int8), dtype="int4").tolist()]
    ['0xf1', '0x87', '0x3']
    """
    num_bits, signed = _bits(dtype)
    checked_codes(codes, num_bits=num_bits, low=-(1 << num_bits - 1) if signed else 0)
    return packing.pack(
        np.asarray(codes).astype(np.int8 if signed else np.uint8), num_bits=num_bits
    )


def unpack(
    data: NDArray[np.uint8], *, dtype: str, shape: Sequence[int]
) -> NDArray[np.int8] | NDArray[np.uint8]:
    """Return the codes in ``data``, int8 or uint8 of ``shape``: the inverse of ``pack``.

    ``ValueError`` for a wrong number of bytes, and for padding that is not zero.

    >>> unpack(np.array([0xF1, 0x87, 3], np.uint8), dtype="int4", shape=(5,)).tolist()
    [1, -1, 7, -8, 3]
    """
    num_bits, signed = _bits(dtype)
    return packing.unpack(data, num_bits=num_bits, signed=signed, shape=shape)


def _bits(dtype: str) -> tuple[int, bool]:
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
    return DTYPES[dtype]


CARDS = (
    packing_card(
        name="onnx_int4_packing",
        title="ONNX INT4 tensor data (values are codes, -8 to 7)",
        num_bits=4,
        block_size=2,
        layout="byte: |  q1   |  q0   |   bit 7 first",
        equation="byte = (q0 & 15) + 16 * (q1 & 15), two's complement",
        source="ONNX onnx.proto, TensorProto.DataType INT4",
        pack=lambda codes: pack(codes, dtype="int4"),
        low=-8,
        twos_complement=True,
    ),
    packing_card(
        name="onnx_uint2_packing",
        title="ONNX UINT2 tensor data (values are codes, 0 to 3)",
        num_bits=2,
        block_size=4,
        layout="byte: | q3 | q2 | q1 | q0 |   bit 7 first",
        equation="byte = q0 + 4 * q1 + 16 * q2 + 64 * q3",
        source="ONNX onnx.proto, TensorProto.DataType UINT2",
        pack=lambda codes: pack(codes, dtype="uint2"),
    ),
)
