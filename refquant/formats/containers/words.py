r"""Words: what the packed tensors of PyTorch tools share, 32-bit words of small fields.

Two ways to fill a word with fields of b bits, both from the lowest bit up. They are the same bits
where b divides 32, and others where it does not::

    dense, b = 3:   word 0 |10|9 9 9|8 8 8| ... |1 1 1|0 0 0|    field 10 starts in bits 30, 31,
                    word 1 ... |11 11 11|10|                     and ends in bit 0 of word 1
    padded, b = 3:  word 0 |0 0|9 9 9|8 8 8| ... |1 1 1|0 0 0|   ten fields, two bits of zero
                    word 1 ... |11 11 11|10 10 10|               field 10 starts word 1
                           bit 31                     bit 0

.. math::

    \text{dense: bit } j \text{ of field } i \text{ is bit } (ib + j) \bmod 32
        \text{ of word } \lfloor (ib + j) / 32 \rfloor                            \tag{1}

    \text{padded: it is bit } (i \bmod p)\,b + j \text{ of word } \lfloor i / p \rfloor,
        \quad p = \lfloor 32 / b \rfloor                                          \tag{2}

Fields are packed along the last axis; a row that does not fill its last word is padded with zero
bits. What a field means, and along which axis a tool packs, is the matter of the tool's module.
Bits of padding that are not zero are refused: no writer makes them, so the file has another layout
than the one it is read by, or it is damaged.

References
----------
See the modules of the tools; ``refquant.numerics.packing`` is eq. (1) in bytes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.checks import as_array

__all__ = [
    "checked_codes",
    "checked_packed",
    "multiple",
    "pack_dense",
    "pack_padded",
    "unpack_dense",
    "unpack_padded",
]

Codes = NDArray[np.integer[Any]]
Fields = NDArray[np.uint32]


def checked_codes(
    codes: Codes, *, num_bits: int, low: int = 0, axes: int | None = None, name: str = "codes"
) -> Fields:
    """Return ``codes - low`` as uint32, for integer ``codes`` in [low, low + 2^num_bits - 1].

    ``axes`` is the number of axes there must be, None for any; ``name`` stands in the error.

    >>> checked_codes(np.array([-8, 7], np.int8), num_bits=4, low=-8).tolist()
    [0, 15]
    """
    codes = as_array(codes, name, "integers")
    if codes.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, got {codes.dtype}")
    if axes is not None and codes.ndim != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {codes.shape}")
    high = low + (1 << num_bits) - 1
    if codes.size and not (low <= int(codes.min()) and int(codes.max()) <= high):
        got = f"{int(codes.min())}..{int(codes.max())}"
        raise ValueError(f"{name} must be in [{low}, {high}] for {num_bits} bits, got {got}")
    return np.asarray(codes.astype(np.int64) - low, np.uint32)


def checked_packed(
    packed: NDArray[Any], *, dtype: str, shape: Sequence[int], name: str = "packed"
) -> NDArray[Any]:
    """Return ``packed`` if it has exactly this dtype and shape; otherwise ``ValueError``.

    >>> checked_packed(np.zeros(2, np.uint8), dtype="uint8", shape=(2,)).tolist()
    [0, 0]
    """
    packed = np.asarray(packed)
    if packed.dtype != np.dtype(dtype) or packed.shape != tuple(shape):
        raise ValueError(
            f"{name} must be {dtype} of shape {tuple(shape)}, got {packed.dtype} {packed.shape}"
        )
    return packed


def multiple(size: int, of: int, *, name: str) -> int:
    """Return ``size / of``; ``ValueError`` if it is no integer.

    >>> multiple(64, 32, name="in_features")
    2
    """
    if size % of:
        raise ValueError(f"{name} must be a multiple of {of}, got {size}")
    return size // of


def pack_dense(fields: Fields, *, num_bits: int) -> Fields:
    """Return uint32 (..., ceil(n * num_bits / 32)) of fields (..., n): eq. (1).

    >>> [hex(w) for w in pack_dense(np.full(11, 7, np.uint32), num_bits=3).tolist()]
    ['0xffffffff', '0x1']
    """
    count = fields.shape[-1]
    groups = -(-count // 32)  # 32 fields fill num_bits words, for every num_bits
    grouped = _padded(fields, 32 * groups).reshape(*fields.shape[:-1], groups, 32)
    words = np.zeros((*grouped.shape[:-1], num_bits), np.uint32)
    for i in range(32):
        word, shift = divmod(i * num_bits, 32)
        words[..., word] |= grouped[..., i] << np.uint32(shift)  # what overflows the word is lost
        if shift + num_bits > 32:
            words[..., word + 1] |= grouped[..., i] >> np.uint32(32 - shift)
    flat = words.reshape(*fields.shape[:-1], groups * num_bits)
    return np.ascontiguousarray(flat[..., : -(-count * num_bits // 32)])


def unpack_dense(words: Fields, *, num_bits: int, count: int) -> Fields:
    """Return the ``count`` fields of each row, uint32 (..., count): the inverse of eq. (1).

    ``ValueError`` if a bit after the last field is not zero.

    >>> unpack_dense(np.array([0xFFFFFFFF, 1], np.uint32), num_bits=3, count=11).tolist()
    [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]
    """
    groups = -(-count // 32)
    lead = words.shape[:-1]
    grouped = _padded(words, groups * num_bits).reshape(*lead, groups, num_bits)
    fields = np.zeros((*lead, groups, 32), np.uint32)
    for i in range(32):
        word, shift = divmod(i * num_bits, 32)
        fields[..., i] = grouped[..., word] >> np.uint32(shift)
        if shift + num_bits > 32:
            fields[..., i] |= grouped[..., word + 1] << np.uint32(32 - shift)
    fields &= np.uint32((1 << num_bits) - 1)
    return _without_padding(fields.reshape(*lead, groups * 32), count)


def pack_padded(fields: Fields, *, num_bits: int) -> Fields:
    """Return uint32 (..., ceil(n / floor(32 / num_bits))) of fields (..., n): eq. (2).

    >>> [hex(w) for w in pack_padded(np.full(11, 7, np.uint32), num_bits=3).tolist()]
    ['0x3fffffff', '0x7']
    """
    each = 32 // num_bits
    count = -(-fields.shape[-1] // each)
    grouped = _padded(fields, count * each).reshape(*fields.shape[:-1], count, each)
    words = np.zeros(grouped.shape[:-1], np.uint32)
    for i in range(each):
        words |= grouped[..., i] << np.uint32(i * num_bits)
    return words


def unpack_padded(words: Fields, *, num_bits: int, count: int) -> Fields:
    """Return the ``count`` fields of each row, uint32 (..., count): the inverse of eq. (2).

    ``ValueError`` if a bit of padding, in or after a word, is not zero.

    >>> unpack_padded(np.array([0x3FFFFFFF, 7], np.uint32), num_bits=3, count=11).tolist()
    [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]
    """
    each = 32 // num_bits
    mask = np.uint32((1 << num_bits) - 1)
    shifts = (np.arange(each) * num_bits).astype(np.uint32)
    if each * num_bits < 32 and (words >> np.uint32(each * num_bits)).any():
        raise ValueError("the padding bits must be zero: another layout, or damaged")
    fields = (words[..., None] >> shifts) & mask
    return _without_padding(fields.reshape(*words.shape[:-1], words.shape[-1] * each), count)


def _padded(fields: Fields, size: int) -> Fields:
    """Return ``fields`` with zeros after the last one, to ``size`` along the last axis."""
    missing = size - fields.shape[-1]
    zeros = np.zeros((*fields.shape[:-1], missing), np.uint32)
    return np.concatenate([fields.astype(np.uint32), zeros], axis=-1)


def _without_padding(fields: Fields, count: int) -> Fields:
    if fields[..., count:].any():
        raise ValueError("the padding bits must be zero: another layout, or damaged")
    return np.ascontiguousarray(fields[..., :count])
