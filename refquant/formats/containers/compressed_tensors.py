r"""compressed-tensors: ``weight_packed`` of its pack-quantized, nvfp4, mxfp4 and mxfp6 formats.

**Integers** (pack-quantized) are signed codes, stored as code + 2^(b - 1) in int32 words along
in_features, the zero points likewise along out_features (axis 0), because these are (N, groups)::

    weight_packed      int32 (N, words of K)         weight_zero_point  int32 (words of N, groups)
    weight_shape       int64 (2,)  = N, K            (only where quantization is asymmetric)

    3 bits, dense     word 0 |10|9 9 9|8 8 8| ... |0 0 0|      ceil(3 K / 32) words
    3 bits, padded    word 0 |0 0|9 9 9|8 8 8| ... |0 0 0|     ceil(K / 10) words
                           bit 31               bit 0

.. math::

    u_i = q_i + 2^{b - 1}                                                         \tag{1}

Until 2026 the packer was ``padded``: floor(32 / b) codes a word; since PR 732 it is ``dense``. For
1, 2, 4 and 8 bits both write the same words; for 3, 5, 6 and 7 no field of the file tells them
apart, but the number of words does, except for short rows (``sniff.compressed_tensors_layout``).
A row that does not fill its last word is padded with zero *bits*, which is not code 0.

**FP4** (nvfp4-pack-quantized, mxfp4-pack-quantized) are E2M1 codes 0 to 15, in pairs, uint8
(N, K / 2), the even one in the low nibble; ModelOpt and torchao write the same bytes. **FP6**
(mxfp6) are E2M3 codes 0 to 63, four in three bytes, from the lowest bit up.

Left out: scales (``refquant.formats``), ``weight_g_idx``, marlin-24 and the sparse formats.

References
----------
compressed-tensors ``compressors/pack_quantized/helpers.py`` (dense),
``compressors/quantized_compressors/pack_quantized.py`` of 2025 (padded),
``compressors/nvfp4/helpers.py``, ``compressors/mxfp6/helpers.py`` (0.20); PR 732.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import (
    checked_codes,
    checked_packed,
    multiple,
    pack_dense,
    pack_padded,
    unpack_dense,
    unpack_padded,
)
from refquant.numerics import packing

__all__ = ["CARDS", "LAYOUTS", "pack", "pack_float", "unpack", "unpack_float", "word_count"]

Codes = NDArray[np.integer[Any]]
I32 = NDArray[np.int32]

LAYOUTS = ("dense", "padded")


def word_count(count: int, *, num_bits: int, layout: str) -> int:
    """Return how many words ``count`` codes take in a row.

    >>> [word_count(128, num_bits=3, layout=layout) for layout in ("dense", "padded")]
    [12, 13]
    """
    _check(num_bits, layout, -1)
    return -(-count * num_bits // 32) if layout == "dense" else -(-count // (32 // num_bits))


def pack(codes: Codes, *, num_bits: int, layout: str, axis: int = -1) -> I32:
    """Return int32 words of signed codes (..., N, K), packed along ``axis``, -1 or -2: eq. (1).

    ``codes`` are in [-2^(num_bits - 1), 2^(num_bits - 1) - 1], weights with axis -1, zero points
    (N, groups) with axis -2; more axes are experts, packed one by one. Any length of the axis.

    >>> [hex(w) for w in pack(np.array([[-8, 7, 0]]), num_bits=4, layout="dense")[0].tolist()]
    ['0x8f0']
    """
    _check(num_bits, layout, axis)
    fields = checked_codes(codes, num_bits=num_bits, low=-(1 << num_bits - 1))
    if fields.ndim < 2:
        raise ValueError(f"codes must have at least 2 axes, got shape {fields.shape}")
    along = np.ascontiguousarray(np.swapaxes(fields, axis, -1))
    pack_fields = pack_dense if layout == "dense" else pack_padded
    words = pack_fields(along, num_bits=num_bits).view(np.int32)
    return np.ascontiguousarray(np.swapaxes(words, axis, -1))


def unpack(
    packed: I32, *, num_bits: int, layout: str, shape: Sequence[int], axis: int = -1
) -> NDArray[np.int8]:
    """Return the codes, int8 of ``shape``, in ``packed``: the inverse of ``pack``.

    ``ValueError`` for a number of words that is not that of ``layout``, and for padding that is
    not zero (compressed-tensors ignores both, and decodes the other layout to noise).

    >>> unpack(np.array([[0x8F0]], np.int32), num_bits=4, layout="dense", shape=(1, 3)).tolist()
    [[-8, 7, 0]]
    """
    _check(num_bits, layout, axis)
    if len(shape) < 2:
        raise ValueError(f"shape must have at least 2 axes, got {tuple(shape)}")
    count = shape[axis]
    expected = list(shape)
    expected[axis] = word_count(count, num_bits=num_bits, layout=layout)
    words = checked_packed(packed, dtype="int32", shape=expected)
    along = np.ascontiguousarray(np.swapaxes(words, axis, -1)).view(np.uint32)
    unpack_fields = unpack_dense if layout == "dense" else unpack_padded
    fields = np.swapaxes(unpack_fields(along, num_bits=num_bits, count=count), axis, -1)
    codes = np.ascontiguousarray(fields).astype(np.int16) - np.int16(1 << num_bits - 1)
    return codes.astype(np.int8)


def pack_float(codes: Codes, *, num_bits: int) -> NDArray[np.uint8]:
    """Return uint8 (..., K * num_bits / 8) of float codes (..., K): pairs of 4 bits, fours of 6.

    ``codes`` are 0 to 2^num_bits - 1; a K that does not fill its bytes is a ``ValueError``.

    >>> pack_float(np.array([[1, 2, 15, 0]]), num_bits=4).tolist()
    [[33, 15]]
    """
    together = _together(num_bits)
    fields = checked_codes(codes, num_bits=num_bits)
    if fields.ndim == 0:
        raise ValueError("codes must have at least 1 axis, got shape ()")
    multiple(fields.shape[-1], together, name="in_features")
    stream = packing.pack(fields, num_bits=num_bits)
    return stream.reshape(*fields.shape[:-1], fields.shape[-1] * num_bits // 8)


def unpack_float(packed: NDArray[np.uint8], *, num_bits: int) -> NDArray[np.uint8]:
    """Return the codes, uint8 (..., K), in uint8 (..., K * num_bits / 8): the inverse.

    >>> unpack_float(np.array([[33, 15]], np.uint8), num_bits=4).tolist()
    [[1, 2, 15, 0]]
    """
    together = _together(num_bits)
    packed = np.asarray(packed)
    if packed.ndim == 0:
        raise ValueError("packed must have at least 1 axis, got shape ()")
    packed = checked_packed(packed, dtype="uint8", shape=packed.shape)
    units = multiple(packed.shape[-1], together * num_bits // 8, name="bytes of a row")
    shape = (*packed.shape[:-1], together * units)
    codes = packing.unpack(packed.reshape(-1), num_bits=num_bits, signed=False, shape=shape)
    return codes.astype(np.uint8)


def _together(num_bits: int) -> int:
    """Return how many codes fill whole bytes."""
    if num_bits not in (4, 6):
        raise ValueError(f"num_bits must be 4 (FP4) or 6 (FP6), got {num_bits}")
    return 2 if num_bits == 4 else 4


def _check(num_bits: int, layout: str, axis: int) -> None:
    if not 1 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 1..8, got {num_bits}")
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}")
    if axis not in (-1, -2):
        raise ValueError(f"axis must be -1 or -2, got {axis}")


CARDS = (
    packing_card(
        name="ct_int3_dense_packing",
        title="compressed-tensors weight_packed, 3 bits, since PR 732 (values are codes, -4 to 3)",
        num_bits=3,
        block_size=32,
        layout="three int32, dense: code 10 is in bits 30, 31 of word 0 and bit 0 of word 1",
        equation="field = code + 4; bit j of field i is bit (3i + j) mod 32 of its word",
        source="compressed-tensors compressors/pack_quantized/helpers.py, pack_to_int32",
        pack=lambda codes: pack(codes[None], num_bits=3, layout="dense"),
        low=-4,
    ),
    packing_card(
        name="ct_int3_padded_packing",
        title="compressed-tensors weight_packed, 3 bits, before PR 732 (values are codes, -4 to 3)",
        num_bits=3,
        block_size=10,
        stored_bits=3.2,
        layout="int32: | 0 0 | q9 | q8 | q7 | q6 | q5 | q4 | q3 | q2 | q1 | q0 |   bit 31 first",
        equation="word = sum (q_i + 4) * 8^i over ten codes",
        source="compressed-tensors 2025, compressors/quantized_compressors/pack_quantized.py",
        pack=lambda codes: pack(codes[None], num_bits=3, layout="padded"),
        low=-4,
    ),
    packing_card(
        name="ct_fp4_packing",
        title="NVFP4 and MXFP4 weight_packed (values are E2M1 codes, 0 to 15)",
        num_bits=4,
        block_size=2,
        layout="byte: |  q1   |  q0   |   bit 7 first",
        equation="byte = q0 + 16 * q1",
        source="compressed-tensors compressors/nvfp4/helpers.py, pack_fp4_to_uint8",
        pack=lambda codes: pack_float(codes, num_bits=4),
    ),
)
