r"""Packing: codes of fewer than eight bits as a string of bits.

Elements in row-major order, each as ``num_bits`` bits of two's complement, the lowest bit
first, the first element in the lowest bits of the first byte; bit i of the stream is

.. math::

    \text{bit } (i \bmod 8) \text{ of byte } \lfloor i / 8 \rfloor                \tag{1}

and the unused high bits of the last byte are zero. For 4 bits this is "low nibble first".
Left out: other orders (split halves, words, interleaved); each belongs to its format.

References
----------
``docs/spec/rq-format.md`` section 2; ONNX ``TensorProto`` (INT4, UINT4: the same order).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.ranges import code_range

__all__ = ["pack", "unpack"]


def pack(codes: NDArray[np.integer[Any]], *, num_bits: int) -> NDArray[np.uint8]:
    """Return the bytes of ``codes``, uint8 of shape (ceil(elements * num_bits / 8),): eq. (1).

    ``num_bits`` is 1 to 8. Codes of a signed dtype must be in the signed range, codes of an
    unsigned dtype in the unsigned one; anything else would come back as another number.

    >>> pack(np.array([1, -1, 7], np.int8), num_bits=4).tolist()
    [241, 7]
    """
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers, got {codes.dtype}")
    qmin, qmax = _range(num_bits, signed=codes.dtype.kind == "i")
    if codes.size and not (qmin <= codes.min() and codes.max() <= qmax):
        raise ValueError(
            f"codes must be in [{qmin}, {qmax}], got {int(codes.min())}..{int(codes.max())}"
        )
    patterns = codes.reshape(-1, 1).astype(np.uint8)  # wraps: two's complement
    bits = np.unpackbits(patterns, axis=1, count=num_bits, bitorder="little")  # (n, num_bits)
    return np.packbits(bits, bitorder="little")


def unpack(
    data: NDArray[np.uint8], *, num_bits: int, signed: bool, shape: Sequence[int]
) -> NDArray[np.int8] | NDArray[np.uint8]:
    """Return the codes in ``data``, int8 or uint8 of ``shape``: the inverse of ``pack``.

    Refuses a wrong number of bytes, and unused bits that are not zero.

    >>> unpack(np.array([241, 7], np.uint8), num_bits=4, signed=True, shape=(3,)).tolist()
    [1, -1, 7]
    """
    _range(num_bits, signed=signed)
    data = np.asarray(data)
    count = math.prod(shape)
    size = -(-count * num_bits // 8)
    if data.dtype != np.uint8 or data.shape != (size,):
        raise ValueError(f"data must be uint8 of shape ({size},), got {data.dtype} {data.shape}")
    stream = np.unpackbits(data, bitorder="little")
    if stream[count * num_bits :].any():
        raise ValueError("the unused high bits of the last byte must be zero")
    bits = stream[: count * num_bits].reshape(count, num_bits)
    # Repeating the top bit up to eight bits is sign extension.
    top = bits[:, -1:] if signed else np.zeros((count, 1), np.uint8)
    octets = np.concatenate([bits, np.repeat(top, 8 - num_bits, axis=1)], axis=1)  # (n, 8)
    codes = np.packbits(octets, axis=1, bitorder="little").reshape(tuple(shape))
    return codes.view(np.int8) if signed else codes


def _range(num_bits: int, *, signed: bool) -> tuple[int, int]:
    if not 1 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 1..8, got {num_bits}")
    return code_range(num_bits=num_bits, signed=signed)
