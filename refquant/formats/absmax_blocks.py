r"""Blocks with an absmax: the largest magnitude of n neighbours scales them all into [-1, 1].

A block of n neighbours (of the flattened tensor, last axis fastest) shares one number, and every
value of the block is written as the nearest entry of a codebook c (``refquant.formats.codebook``):

.. math::

    a = \max_i |x_i|                                                             \tag{1}

    k_i = \operatorname{nearest}(x_i / a), \qquad \hat x_i = \mathrm{f32}(c_{k_i} \cdot a)  \tag{2}

Layout of a pair of 4-bit codes, as bitsandbytes and ONNX Runtime write them::

    byte j:  | code of x[2j] (high nibble) | code of x[2j+1] (low nibble) |

Who computes differs in all that (1) and (2) do not say, and has a name, a *flavour*::

    flavour    absmax, if NaN is in the block  x / a                           a block of zeros
    bnb_torch  NaN                             x * (1 / max(a, 1e-38));        0 * 1e38 = 0
                                               ragged tail: x / max(a, 1e-38)
    bnb_cpu    of the others                   x * (1 / a)                     0 * inf = NaN
    bnb_cuda   of the others                   x * (1 / a)                     0 * inf = NaN
    ort        of the others                   x * (1 / a)                     0 * 0 = 0

Left out: the GPU's approximate reciprocal (bitsandbytes is compiled with ``--use_fast_math``);
``bnb_cuda`` is its comparisons in IEEE arithmetic, read in the source, not run.

References
----------
bitsandbytes ``backends/default/ops.py`` (bnb_torch), ``csrc/cpu_ops.cpp`` (bnb_cpu),
``csrc/kernels.cu`` (bnb_cuda); onnxruntime ``blockwise_quant_block_bnb4.h`` (ort).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Step, number, value_steps
from refquant.formats.checks import code_array, count_of, parameter_array

__all__ = [
    "FLAVOURS",
    "Blockwise",
    "block_absmax",
    "codebook_steps",
    "decode_blocks",
    "normalize_blocks",
    "pack_pairs",
    "unpack_pairs",
]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]

FLAVOURS = ("bnb_torch", "bnb_cpu", "bnb_cuda", "ort")
SMALLEST_ABSMAX = np.float32(1e-38)  # subnormal; bnb_torch divides by nothing smaller


@dataclass(frozen=True, slots=True, eq=False)
class Blockwise:
    """Codes of the tensor's shape, the ``absmax`` of each block (blocks,), and the block's size."""

    codes: Codes
    absmax: F32
    block_size: int


def block_absmax(x: F32, *, block_size: int, nan_wins: bool, empty: float = 0.0) -> F32:
    """Return the largest magnitude of each block of ``x``, flattened: eq. (1).

    The result has shape (ceil(n / block_size),); the last block may be ragged. Without ``nan_wins``
    NaN is passed over, and a block of nothing else has ``empty``.

    >>> x = np.array([1, -3, np.nan, 2, 5], np.float32)
    >>> block_absmax(x, block_size=2, nan_wins=False).tolist()
    [3.0, 2.0, 5.0]
    """
    block_size = count_of(block_size, name="block_size")
    flat = np.abs(x.reshape(-1))
    if not flat.size:
        return np.zeros(0, np.float32)
    reduce = np.maximum if nan_wins else np.fmax
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        largest = reduce.reduceat(flat, np.arange(0, flat.size, block_size))
    if not nan_wins:
        largest = np.where(np.isnan(largest), np.float32(empty), largest)
    return np.asarray(largest, np.float32)


def normalize_blocks(x: F32, *, block_size: int, flavour: str) -> tuple[F32, F32]:
    """Return the flattened x / a as ``flavour`` computes it, and what it stores as a, (blocks,).

    NaN stands where the flavour would compare with NaN; what code that gives is the format's.

    >>> x = np.array([1, -4, 0.5, 3], np.float32)
    >>> scaled, absmax = normalize_blocks(x, block_size=3, flavour="ort")
    >>> scaled.tolist(), absmax.tolist()
    ([0.25, -1.0, 0.125, 1.0], [4.0, 3.0])
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour must be one of {', '.join(FLAVOURS)}; got {flavour!r}")
    nothing = -float(np.finfo(np.float32).max) if flavour == "bnb_cuda" else 0.0
    absmax = block_absmax(x, block_size=block_size, nan_wins=flavour == "bnb_torch", empty=nothing)
    flat = x.reshape(-1)
    with np.errstate(all="ignore"):  # 1 / 0, 0 * inf, subnormals: the flavour's own results
        if flavour == "bnb_torch":
            return _normalize_torch(flat, absmax, block_size)
        inverse = np.float32(1) / absmax
        if flavour == "ort":
            inverse = np.where(absmax == 0, np.float32(0), inverse)
        scaled = flat * _of_each(inverse, flat.size, block_size)
    return scaled, absmax


def decode_blocks(quantized: Blockwise, values: F32) -> F32:
    """Return the reals of the codes, float32 of their shape, one product each: eq. (2).

    >>> q = Blockwise(np.array([0, 2, 1], np.uint8), np.array([4, 3], np.float32), 2)
    >>> decode_blocks(q, np.array([-1, 0, 0.5], np.float32)).tolist()
    [-4.0, 2.0, 0.0]
    """
    codes = code_array(quantized.codes, low=0, high=values.size - 1)
    size = count_of(quantized.block_size, name="block_size")
    blocks = -(-codes.size // size)
    if np.shape(quantized.absmax) != (blocks,):
        raise ValueError(f"absmax must have shape ({blocks},), got {np.shape(quantized.absmax)}")
    absmax = parameter_array(quantized.absmax, name="absmax", shape=(blocks,))
    each = _of_each(absmax, codes.size, size).reshape(codes.shape)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return np.asarray(values[codes] * each, np.float32)


def pack_pairs(codes: NDArray[np.integer[Any]], *, padding: int) -> Codes:
    """Return the bytes of 4-bit ``codes``, the first of a pair in the high nibble.

    ``padding`` is the code that fills the last byte of an odd number.

    >>> [hex(byte) for byte in pack_pairs(np.array([1, 2, 15], np.uint8), padding=7).tolist()]
    ['0x12', '0xf7']
    """
    flat = code_array(codes, low=0, high=15).reshape(-1)
    even = np.append(flat.astype(np.uint8), np.full(flat.size % 2, padding, np.uint8))
    return np.asarray((even[::2] << 4) | even[1::2], np.uint8)


def unpack_pairs(data: Codes, *, shape: Sequence[int]) -> Codes:
    """Return the 4-bit codes in ``data``, uint8 of ``shape``: the inverse of ``pack_pairs``.

    >>> unpack_pairs(np.array([0x12, 0xF7], np.uint8), shape=(3,)).tolist()
    [1, 2, 15]
    """
    count = math.prod(shape)
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.shape != (-(-count // 2),):
        raise ValueError(
            f"data must be uint8 of shape ({-(-count // 2)},), got {data.dtype} {data.shape}"
        )
    return np.stack([data >> 4, data & 15], axis=1).reshape(-1)[:count].reshape(tuple(shape))


def codebook_steps(x: F32, scaled: F32, quantized: Blockwise, decoded: F32) -> list[Step]:
    """Return the steps of a card: the absmax of one block, then every value, scaled and coded.

    >>> q = Blockwise(np.array([1], np.uint8), np.array([4], np.float32), 64)
    >>> [step.what for step in codebook_steps(q.absmax, q.absmax, q, q.absmax)]
    ['absmax', 'x[0]']
    """
    width = 4 if quantized.codes.size and int(quantized.codes.max()) < 16 else 8
    texts = [
        f"x / absmax = {number(v)} -> 0b{int(code):0{width}b}"
        for v, code in zip(scaled, quantized.codes, strict=False)
    ]
    shown = ", ".join(number(a) for a in quantized.absmax)
    raised = ", but at least 1e-38" if (quantized.absmax > np.abs(x).max(initial=0)).any() else ""
    return [Step("absmax", f"max |x| of the block{raised}", shown), *value_steps(x, texts, decoded)]


def _normalize_torch(flat: F32, absmax: F32, block_size: int) -> tuple[F32, F32]:
    """Return x / a as PyTorch does; only a ragged tail stores the raised absmax."""
    raised: F32 = np.maximum(absmax, SMALLEST_ABSMAX)  # keeps NaN
    full = flat.size - flat.size % block_size
    inverse: F32 = np.float32(1) / raised
    scaled: F32 = flat * _of_each(inverse, flat.size, block_size)
    if full < flat.size:
        scaled[full:] = flat[full:] / raised[-1]
        absmax = np.append(absmax[:-1], raised[-1:])
    return np.asarray(np.clip(scaled, -1, 1), np.float32), absmax


def _of_each(params: F32, count: int, block_size: int) -> F32:
    """Return the parameter of each of ``count`` flattened elements."""
    # A block larger than the tensor is a block as large as the tensor: repeat no more than that.
    return np.asarray(np.repeat(params, min(block_size, max(count, 1)))[:count], np.float32)
