r"""What the K-quants share: super-blocks of 256 in sub-blocks, and codes in bit planes.

A row is cut into super-blocks of 256 elements, and these into sub-blocks of 16 or 32. The searches
(``k_search.py``) want one sub-block a *column*: :func:`columns` and :func:`rows` turn.

Codes are stored so that SIMD code gets runs of neighbours with one shift and one mask. With b bits
and a stride S, code j of a span of (8 / b) S lies in byte j mod S:

.. math::

    \text{bits } b \lfloor j / S \rfloor \ldots b \lfloor j / S \rfloor + b - 1
    \text{ of byte } j \bmod S                                                     \tag{1}

For example b = 2, S = 32, a span of 128 codes in 32 bytes::

    bits      7 6        5 4        3 2        1 0
    byte 0    q[96]      q[64]      q[32]      q[0]
    byte 1    q[97]      q[65]      q[33]      q[1]
    ...
    byte 31   q[127]     q[95]      q[63]      q[31]

Every K-quant is made of such planes: 2 bits and stride 32 (Q2_K, Q3_K, the top of Q6_K), 4 bits
and stride 32 (Q4_K, Q5_K) or 64 (Q6_K), 1 bit and stride 32 (the top of Q3_K and Q5_K).

References
----------
ggml ``src/ggml-quants.c``: the last loop of every ``quantize_row_q*_K_ref``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import checked_importance, from_half, value_blocks
from refquant.formats.ggml.types import ggml_type

__all__ = ["columns", "encode_super_blocks", "pack_planes", "rows", "unpack_planes"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

SUPER_BLOCK = 256
_CHUNK = 256  # super-blocks encoded at a time: a candidate's arrays, 256 KiB each, fit the L2 cache


def encode_super_blocks(
    x: F32,
    importance: F32 | None,
    *,
    type: str,
    halves: tuple[int, ...],
    function: Callable[[F32, F32 | None], U8],
) -> U8:
    """Return ``x`` (..., n) as bytes (..., n / 256 * block_bytes), by ``function``.

    ``function`` takes float32 (m, 256) and the importance of each element, of the same shape, or
    None; it returns uint8 (m, block_bytes), with f16 scales at the bytes ``halves``. ``importance``
    (n,) is the same for every row of ``x``. ``ValueError`` as in ``blocks.value_blocks`` and
    ``blocks.checked_importance``, and where a scale becomes NaN, because sums overflowed: the sign
    of ggml's NaN depends on the CPU, and ggml refuses the file.

    >>> def zeros(part, weights):
    ...     return np.zeros((len(part), 144), np.uint8)
    >>> x = np.zeros((3, 512), np.float32)
    >>> encode_super_blocks(x, None, type="Q4_K", halves=(0, 2), function=zeros).shape
    (3, 288)
    """
    kind = ggml_type(type)
    blocks = value_blocks(x, type=type)
    n = np.shape(x)[-1]
    weights = checked_importance(importance, n=n)
    per_row = n // SUPER_BLOCK
    out = np.empty((len(blocks), kind.block_bytes), np.uint8)
    # An overflow, an infinite scale or 0 / 0 is what the encoders below compute with, as C does.
    with np.errstate(all="ignore"):
        for start in range(0, len(blocks), _CHUNK):
            part = blocks[start : start + _CHUNK]
            mine = None
            if weights is not None:
                place = np.arange(start, start + len(part)) % per_row  # of the block in its row
                mine = weights.reshape(per_row, SUPER_BLOCK)[place]
            out[start : start + _CHUNK] = function(part, mine)
    for byte in halves:
        bad = np.isnan(from_half(out[:, byte : byte + 2]))
        if bad.any():
            raise ValueError(
                f"x: the sums of {kind.name} in float32 overflow in super-block "
                f"{int(np.argmax(bad))}; make x or importance smaller"
            )
    return out.reshape(*np.shape(x)[:-1], kind.row_bytes(n))


def columns(blocks: NDArray[Any], size: int) -> NDArray[Any]:
    """Return (m, n) as (size, m * n / size): each run of ``size`` elements is a column.

    >>> columns(np.arange(8).reshape(2, 4), 2).tolist()
    [[0, 2, 4, 6], [1, 3, 5, 7]]
    """
    return np.ascontiguousarray(blocks.reshape(-1, size).T)


def rows(parts: NDArray[Any], length: int) -> NDArray[Any]:
    """Return columns (size, k) as (m, length), the inverse of ``columns``.

    >>> rows(np.array([[0, 2, 4, 6], [1, 3, 5, 7]]), 4).tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    """
    return np.ascontiguousarray(parts.T).reshape(-1, length)


def pack_planes(codes: U8, *, num_bits: int, stride: int) -> U8:
    """Return codes of ``num_bits`` 1, 2 or 4, uint8 (m, n), as bytes (m, n num_bits / 8): eq. (1).

    >>> pack_planes(np.array([[0, 1, 2, 3, 3, 2, 1, 0]], np.uint8), num_bits=2, stride=2).tolist()
    [[120, 45]]
    """
    count = 8 // num_bits
    spans = codes.reshape(len(codes), -1, count, stride)
    packed = spans[:, :, 0].copy()
    for place in range(1, count):
        packed |= spans[:, :, place] << np.uint8(place * num_bits)
    return packed.reshape(len(codes), -1)


def unpack_planes(data: U8, *, num_bits: int, stride: int) -> U8:
    """Return the codes, uint8 (m, n), in bytes (m, n num_bits / 8): the inverse of eq. (1).

    >>> unpack_planes(np.array([[120, 45]], np.uint8), num_bits=2, stride=2).tolist()
    [[0, 1, 2, 3, 3, 2, 1, 0]]
    """
    count = 8 // num_bits
    spans = data.reshape(len(data), -1, stride)
    codes = np.empty((*spans.shape[:2], count, stride), np.uint8)
    for place in range(count):
        np.right_shift(spans, np.uint8(place * num_bits), out=codes[:, :, place])
    codes &= np.uint8((1 << num_bits) - 1)
    return codes.reshape(len(data), -1)
