r"""What ggml's block types share: rows into blocks, f16 scales, nibbles in split halves.

A row of a tensor is cut into blocks of ``block_size`` elements, and each block becomes
``block_bytes`` bytes. Most fields of a block are one of three things:

* a scale as an IEEE half, two bytes, the low one first;
* 4-bit codes as *split halves*: byte j of B/2 holds code j and code j + B/2, so that a SIMD loop
  gets two runs of neighbours by one mask and one shift::

      byte      0        1               B/2 - 1
              +--------+--------+-     -+------------+
      high    | q[B/2] | q[B/2+1]  ...  | q[B - 1]   |   bits 4..7
      low     | q[0]   | q[1]      ...  | q[B/2 - 1] |   bits 0..3
              +--------+--------+-     -+------------+

* an integer that C made of a float: with the constant of eq. (1), or by a cast, which truncates:

.. math::

    \mathrm{nearest\_int}(f) = (\mathrm{bits}(f + 1.5 \cdot 2^{23}) \mathbin{\&} (2^{23} - 1))
        - 2^{22}                                                                  \tag{1}

Eq. (1) is rounding half to even for |f| < 2^22: one float32 addition shifts the fraction out. C
leaves the cast of a float beyond the integer undefined; ``cast_to_byte`` is what x86 does.

References
----------
ggml ``src/ggml-common.h`` (layouts), ``src/ggml-quants.c`` (``nearest_int``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.checks import as_array
from refquant.formats.ggml.types import ggml_type
from refquant.numerics.casts import int32_cast

__all__ = [
    "byte_blocks",
    "cast_to_byte",
    "checked_flavour",
    "checked_importance",
    "decode_rows",
    "encode_rows",
    "from_half",
    "join_halves",
    "nearest_int",
    "reciprocal",
    "split_halves",
    "to_half",
    "value_blocks",
]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_CHUNK = 1 << 16  # elements worked on at a time: temporaries of that size stay in the L2 cache


def value_blocks(x: F32, *, type: str) -> F32:
    """Return float32 ``x`` of shape (..., n) as (blocks, block_size), row after row.

    ``ValueError`` if ``x`` is not float32, n is not a multiple of the block of ``type``, or an
    element (the first is named) is NaN or infinite: C does not define what ggml makes of these.

    >>> value_blocks(np.zeros((3, 64), np.float32), type="Q8_0").shape
    (6, 32)
    """
    x = as_array(x, "x", "float32")
    kind = ggml_type(type)
    if x.dtype != np.float32:
        raise ValueError(f"x must be float32, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] % kind.block_size:
        rule = f"a multiple of {kind.block_size}, the block of {kind.name}"
        raise ValueError(f"x: the last axis must be {rule}; got shape {x.shape}")
    finite = np.isfinite(x)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"x must be finite for {kind.name}, got {x[index]} at index {index}")
    return x.reshape(-1, kind.block_size)


def byte_blocks(data: U8, *, type: str) -> U8:
    """Return uint8 ``data`` of shape (..., k * block_bytes) as (blocks, block_bytes).

    ``ValueError`` if ``data`` is not uint8 or the last axis is cut short.

    >>> byte_blocks(np.zeros(68, np.uint8), type="Q8_0").shape
    (2, 34)
    """
    data = as_array(data, "data", "uint8")
    kind = ggml_type(type)
    if data.dtype != np.uint8:
        raise ValueError(f"data must be uint8, got {data.dtype}")
    if data.ndim == 0 or data.shape[-1] % kind.block_bytes:
        rule = f"a multiple of {kind.block_bytes} bytes, the block of {kind.name}"
        raise ValueError(f"data: the last axis must be {rule}; got shape {data.shape}")
    return data.reshape(-1, kind.block_bytes)


def checked_importance(importance: F32 | None, *, n: int) -> F32 | None:
    """Return ``importance``, float32 (n,), if all its weights are finite and not negative.

    >>> checked_importance(np.ones(2, np.float32), n=2).tolist()
    [1.0, 1.0]
    """
    if importance is None:
        return None
    importance = np.asarray(importance)
    if importance.dtype != np.float32 or importance.shape != (n,):
        rule = f"float32 of shape ({n},), one weight a column of x"
        raise ValueError(f"importance must be {rule}; got {importance.dtype} {importance.shape}")
    bad = ~((importance >= 0) & np.isfinite(importance))
    if bad.any():
        k = int(np.argmax(bad))
        raise ValueError(f"importance must be finite and >= 0, got {importance[k]} at index {k}")
    return importance


def checked_flavour(flavour: str, known: tuple[str, ...]) -> str:
    """Return ``flavour`` if it is one of ``known``; ``ValueError`` lists them otherwise.

    >>> checked_flavour("fma", ("reference", "fma"))
    'fma'
    """
    if flavour not in known:
        raise ValueError(f"flavour must be one of {', '.join(known)}; got {flavour!r}")
    return flavour


def encode_rows(x: F32, *, type: str, function: Callable[[NDArray[Any]], NDArray[Any]]) -> U8:
    """Return ``x`` (..., n) as bytes (..., n / block_size * block_bytes), by a block ``function``.

    ``function`` takes float32 (m, block_size) and returns uint8 (m, block_bytes), for any m.
    ``x`` is checked as in ``value_blocks``.

    >>> x = np.arange(64, dtype=np.float32).reshape(2, 32)
    >>> encode_rows(x, type="Q8_0", function=lambda part: np.zeros((len(part), 34))).shape
    (2, 34)
    """
    kind = ggml_type(type)
    blocks = value_blocks(x, type=type)
    out = np.empty((len(blocks), kind.block_bytes), np.uint8)
    _fill(out, blocks, function)
    return out.reshape(*np.shape(x)[:-1], kind.row_bytes(np.shape(x)[-1]))


def decode_rows(data: U8, *, type: str, function: Callable[[NDArray[Any]], NDArray[Any]]) -> F32:
    """Return ``data`` (..., k * block_bytes) as float32 (..., k * block_size), by a ``function``.

    ``function`` takes uint8 (m, block_bytes) and returns float32 (m, block_size), for any m.
    ``data`` is checked as in ``byte_blocks``. A scale of infinity or NaN passes into the values.

    >>> data = np.zeros((2, 68), np.uint8)
    >>> decode_rows(data, type="Q8_0", function=lambda part: part[:, 2:]).shape
    (2, 64)
    """
    kind = ggml_type(type)
    blocks = byte_blocks(data, type=type)
    out = np.empty((len(blocks), kind.block_size), np.float32)
    _fill(out, blocks, function)
    elements = np.shape(data)[-1] // kind.block_bytes * kind.block_size
    return out.reshape(*np.shape(data)[:-1], elements)


def _fill(
    out: NDArray[Any], blocks: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    """Fill ``out`` chunk by chunk; a block depends on no other, so this is for speed alone."""
    step = max(1, _CHUNK // max(blocks.shape[1], out.shape[1]))
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, len(blocks), step):
            out[start : start + step] = function(blocks[start : start + step])


def nearest_int(x: F32) -> NDArray[np.int32]:
    """Return the nearest integers, ties to even, by the bits of a float32 sum: eq. (1).

    For |x| < 2^22; beyond, and for NaN, it is a number nobody means, the same as in ggml.

    >>> nearest_int(np.array([-1.5, -0.5, 0.5, 2.5, 3.0], np.float32)).tolist()
    [-2, 0, 0, 2, 3]
    """
    shifted = np.asarray(x, np.float32) + np.float32(12582912.0)
    bits = np.ascontiguousarray(shifted).view(np.int32)
    return np.asarray((bits & 0x7FFFFF) - 0x400000, np.int32).reshape(np.shape(x))


def cast_to_byte(x: F32) -> U8:
    """Return C's ``(int8_t) x`` as a byte: the low 8 bits; beyond int32 and for NaN 0, as on x86.

    >>> cast_to_byte(np.array([8.5, -1.9, 300.0, np.inf, np.nan], np.float32)).tolist()
    [8, 255, 44, 0, 0]
    """
    x = np.asarray(x, np.float32)
    if x.size and float(np.abs(x).max()) < 2.0**31:  # false for NaN
        return x.astype(np.int32).astype(np.uint8)
    return int32_cast(np.trunc(x)).astype(np.uint8)


def reciprocal(d: F32) -> F32:
    """Return 1/d, 0 where d is 0, and infinity for a |d| of 2^-128 or less, as ggml does.

    >>> reciprocal(np.array([0.5, 0.0, 1e-39], np.float32)).tolist()
    [2.0, 0.0, inf]
    """
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(d == 0, np.float32(0), np.float32(1) / d)


def to_half(d: F32) -> U8:
    """Return float32 ``d`` (...,) as IEEE halves, uint8 (..., 2), ties to even; 65520 is infinity.

    >>> to_half(np.array([1.0, -0.0, 65520.0], np.float32)).tolist()
    [[0, 60], [0, 128], [0, 124]]
    """
    with np.errstate(over="ignore", under="ignore"):
        half = np.asarray(d, np.float32).astype("<f2")
    return half[..., None].view(np.uint8)


def from_half(data: U8) -> F32:
    """Return halves in ``data``, uint8 (..., 2), as float32 (...,), exactly.

    >>> from_half(np.array([[0, 60], [0, 128]], np.uint8)).tolist()
    [1.0, -0.0]
    """
    return np.ascontiguousarray(data).view("<f2")[..., 0].astype(np.float32)


def join_halves(codes: U8) -> U8:
    """Return codes of 0..15, uint8 (..., B), as split halves, uint8 (..., B/2).

    >>> join_halves(np.array([1, 2, 3, 4], np.uint8)).tolist()
    [49, 66]
    """
    half = codes.shape[-1] // 2
    return np.asarray(codes[..., :half] | (codes[..., half:] << np.uint8(4)), np.uint8)


def split_halves(data: U8) -> U8:
    """Return the codes, uint8 (..., B), in split halves, uint8 (..., B/2).

    >>> split_halves(np.array([49, 66], np.uint8)).tolist()
    [1, 2, 3, 4]
    """
    return np.concatenate([data & np.uint8(15), data >> np.uint8(4)], axis=-1)
