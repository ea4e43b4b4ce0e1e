r"""The weights of ``com.microsoft.MatMulNBits``, onnxruntime's operator for 2- to 8-bit weights.

The weight of K in_features and N out_features is cut along K into blocks of ``block_size``, each of
which is a *blob* of bytes, dense from the lowest bit up::

    B[n, k] , 4 bits, block_size 16: 8 bytes       zero_points[n], 4 bits, 3 blocks: 2 bytes

    byte 0  | q[n, 16k + 1] | q[n, 16k]     |      byte 0  | z[n, 1] | z[n, 0] |
    ...                                            byte 1  |    8    | z[n, 2] |
    byte 7  | q[n, 16k+15]  | q[n, 16k + 14] |
            bit 7                       bit 0              bit 7           bit 0

.. math::

    \hat w_{nk} = (q_{nk} - z_{n,\lfloor k / \mathrm{block\_size} \rfloor})
        \cdot s_{n,\lfloor k / \mathrm{block\_size} \rfloor}                       \tag{1}

with z = 2^(bits - 1) where there is no input ``zero_points``; and that is also what the fields hold
that fill the last byte of a row of zero points (measured for 2 and 4 bits). Zero points may be
float too, of the dtype of the scales, one an element and not packed (not for 8 bits on a CPU).

The last block of a row whose K is no multiple is as long as the others: ``pack`` fills it with
zeros; the operator and ``unpack`` never look there, as onnxruntime's own quantizer in C++ leaves
whole bytes of it as it found them. The schema speaks of 2 to 8 bits; the CPU kernel of 1.32 takes
2, 4 and 8, and for 3, 5, 6 and 7 the dense stream is the schema's text, run by nobody.
Left out: ``g_idx`` (deprecated), prepacked weights.

References
----------
onnxruntime 1.32, schema of MatMulNBits (``contrib_ops/bert_defs.cc``) and
``contrib_ops/cpu/quantization/matmul_nbits.cc``; ``quantization/matmul_nbits_quantizer.py``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes, checked_packed
from refquant.numerics import packing

__all__ = [
    "CARD",
    "dequantize",
    "pack",
    "pack_zero_points",
    "unpack",
    "unpack_zero_points",
]

Codes = NDArray[np.integer[Any]]
U8 = NDArray[np.uint8]


def pack(codes: Codes, *, num_bits: int, block_size: int) -> U8:
    """Return B, uint8 (N, ceil(K / block_size), block_size * num_bits / 8), of codes (N, K).

    ``codes`` are 0 to 2^num_bits - 1. ``block_size`` is a power of two, at least 16. The last block
    of a row is filled up with code 0.

    >>> pack(np.array([[1, 2, 3]]), num_bits=4, block_size=16)[0, 0, :2].tolist()
    [33, 3]
    """
    _check(num_bits, block_size)
    fields = checked_codes(codes, num_bits=num_bits, axes=2)
    rows, columns = fields.shape
    blocks = -(-columns // block_size)
    padded = np.zeros((rows, blocks * block_size), np.uint8)
    padded[:, :columns] = fields
    return packing.pack(padded, num_bits=num_bits).reshape(rows, blocks, block_size * num_bits // 8)


def unpack(b: U8, *, num_bits: int, block_size: int, in_features: int) -> U8:
    """Return the codes, uint8 (N, in_features), in ``b``: the inverse of ``pack``.

    What stands behind ``in_features`` in the last block is ignored, as the operator does.

    >>> b = pack(np.array([[1, 2, 3]]), num_bits=4, block_size=16)
    >>> unpack(b, num_bits=4, block_size=16, in_features=3).tolist()
    [[1, 2, 3]]
    """
    _check(num_bits, block_size)
    rows = np.shape(b)[0] if np.ndim(b) else 0
    blocks = -(-in_features // block_size)
    shape = (rows, blocks, block_size * num_bits // 8)
    stream = checked_packed(b, dtype="uint8", shape=shape, name="b").reshape(-1)
    whole = packing.unpack(
        stream, num_bits=num_bits, signed=False, shape=(rows, blocks * block_size)
    )
    return np.ascontiguousarray(whole[:, :in_features]).astype(np.uint8)


def pack_zero_points(zero_points: Codes, *, num_bits: int) -> U8:
    """Return packed zero points, uint8 (N, ceil(blocks * num_bits / 8)), of integers (N, blocks).

    The fields that fill the last byte hold 2^(num_bits - 1), as onnxruntime's quantizer writes
    them; bits that are less than a field are zero.

    >>> [hex(b) for b in pack_zero_points(np.array([[1, 2, 3]]), num_bits=4)[0].tolist()]
    ['0x21', '0x83']
    """
    _check(num_bits, 16)
    fields = checked_codes(zero_points, num_bits=num_bits, axes=2, name="zero_points")
    rows, blocks = fields.shape
    size = -(-blocks * num_bits // 8)
    filled = np.full((rows, 8 * size // num_bits), 1 << num_bits - 1, np.uint8)
    filled[:, :blocks] = fields
    packed = [packing.pack(row, num_bits=num_bits) for row in filled]
    return np.array(packed, np.uint8).reshape(rows, size)


def unpack_zero_points(packed: U8, *, num_bits: int, blocks: int) -> U8:
    """Return the zero points, uint8 (N, blocks): the inverse of ``pack_zero_points``.

    What fills the last byte is ignored, as the operator does.

    >>> unpack_zero_points(np.array([[0x21, 0x83]], np.uint8), num_bits=4, blocks=3).tolist()
    [[1, 2, 3]]
    """
    _check(num_bits, 16)
    rows = np.shape(packed)[0] if np.ndim(packed) else 0
    size = -(-blocks * num_bits // 8)
    packed = checked_packed(packed, dtype="uint8", shape=(rows, size))
    bits = np.unpackbits(packed, axis=1, bitorder="little", count=blocks * num_bits)
    octets = bits.reshape(rows, blocks, num_bits)
    fields = np.packbits(octets, axis=2, bitorder="little")  # (N, blocks, 1)
    return np.ascontiguousarray(fields.reshape(rows, blocks))


def dequantize(
    codes: Codes,
    scales: NDArray[np.float32],
    zero_points: NDArray[Any] | None,
    *,
    num_bits: int,
    block_size: int,
) -> NDArray[np.float32]:
    """Return the weight, float32 (N, K), in float32 arithmetic: eq. (1).

    ``codes`` is (N, K); ``scales`` float32 (N, blocks); ``zero_points`` integers or float32
    (N, blocks), or None for 2^(num_bits - 1).

    >>> s = np.array([[0.5]], np.float32)
    >>> dequantize(np.array([[9, 0]]), s, None, num_bits=4, block_size=16).tolist()
    [[0.5, -4.0]]
    """
    _check(num_bits, block_size)
    fields = checked_codes(codes, num_bits=num_bits, axes=2)
    shape = (fields.shape[0], -(-fields.shape[1] // block_size))
    scales = checked_packed(scales, dtype="float32", shape=shape, name="scales")
    if zero_points is None:
        zero_points = np.full(shape, 1 << num_bits - 1)
    z = np.asarray(zero_points).astype(np.float32)
    if z.shape != shape:
        raise ValueError(f"zero_points must have shape {shape}, got {z.shape}")
    block = np.arange(fields.shape[1]) // block_size  # (K,)
    return np.asarray((fields.astype(np.float32) - z[:, block]) * scales[:, block], np.float32)


def _check(num_bits: int, block_size: int) -> None:
    if not 2 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 2..8 for MatMulNBits, got {num_bits}")
    if block_size < 16 or block_size & (block_size - 1):
        raise ValueError(f"block_size must be a power of two, at least 16; got {block_size}")


CARD = packing_card(
    name="matmul_nbits_packing",
    title="onnxruntime MatMulNBits, 4 bits, one block of 16 (values are codes, 0 to 15)",
    num_bits=4,
    block_size=16,
    layout="blob of 8 bytes: byte j = | q[2j + 1] | q[2j] |   bit 7 first",
    equation="w = (q - zero_point) * scale; zero_point 8 where none is given",
    source="onnxruntime, schema of com.microsoft.MatMulNBits",
    pack=lambda codes: pack(codes[None], num_bits=4, block_size=16),
)
