r"""The FP4 of bitsandbytes: a 4-bit float that is not E2M1, with its codes out of order.

It looks like a float with a sign, two exponent bits and a mantissa bit, but its magnitudes are not
those of E2M1, the FP4 of MXFP4 and NVFP4, and they do not ascend with the code::

    code        000   001     010   011   100   101   110   111
    bnb FP4     0     0.0625  8     12    4     6     2     3       all / 12
    E2M1        0     0.5     1     1.5   2     3     4     6

    | sign | 3 bits of magnitude |   a block: absmax f32, then first of a pair in the high nibble

.. math::

    \hat x = (-1)^s \cdot \mathrm{f32}(v_{code} / 12) \cdot a                      \tag{1}

Who encodes decides what a value on a midpoint becomes:

* ``bnb_cuda`` and ``ort`` compare :math:`|x / a|` with literals, so ties go toward zero, and a
  negative value that rounds to zero is code 8, minus zero. Five literals are not the midpoints:

  .. math::

      |x| > (0.00260417,\ 0.0859375,\ 0.20833333,\ 0.29166667,\ 0.4166667,\ 0.583333,\ 0.8333333)
      \tag{2}

* ``bnb_torch`` (bitsandbytes on a CPU) sorts all sixteen entries and compares x with the float32
  midpoints, ties low: away from zero for a negative x. Between its two zeros lies a midpoint at 0:
  what is in :math:`(-0.0026, 0]` is code 0 and what is in :math:`(0, 0.0026]` is code 8.

Special values: NaN makes a whole block NaN in ``bnb_torch`` (codes 3) and is code 0 elsewhere; a
block of zeros is code 0. A tail shorter than the block is a block.

Left out: the double quantization of absmax (``refquant.formats.double_quant``).

References
----------
bitsandbytes ``functional.py`` (``get_4bit_type``), ``csrc/kernels.cu`` (``dQuantizeFP4``),
``backends/default/ops.py`` (order of the sorted entries: measured, torch 2.13.0); onnxruntime
``blockwise_quant_block_bnb4.h``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.absmax_blocks import (
    Blockwise,
    codebook_steps,
    decode_blocks,
    normalize_blocks,
    pack_pairs,
    unpack_pairs,
)
from refquant.formats.card import Card, Step
from refquant.formats.codebook import float32_input, nearest

__all__ = ["BNB_FP4", "CARD", "THRESHOLDS", "dequantize", "pack", "quantize", "unpack"]

F32 = NDArray[np.float32]

FLAVOURS = ("bnb_torch", "bnb_cuda", "ort")

_MAGNITUDES = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3], np.float32) / np.float32(12)

BNB_FP4: F32 = np.concatenate([_MAGNITUDES, -_MAGNITUDES])
BNB_FP4.flags.writeable = False

# The literals of dQuantizeFP4; all but the second and the fifth miss the float32 midpoint.
THRESHOLDS: F32 = np.array(
    [0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.4166667, 0.583333, 0.8333333], np.float32
)
THRESHOLDS.flags.writeable = False

_BY_MAGNITUDE = np.array([0, 1, 6, 7, 4, 5, 2, 3], np.uint8)
_BY_VALUE = np.array([11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3], np.uint8)


def quantize(x: ArrayLike, *, block_size: int, flavour: str) -> Blockwise:
    """Return the codes of ``x`` (float32, any shape) and its blocks' absmax, as ``flavour`` does.

    ``flavour`` is ``bnb_torch`` (bitsandbytes on a CPU), ``bnb_cuda`` or ``ort``: eq. (2).

    >>> x = np.array([12, 3, -6, 0.01, -0.01], np.float32)
    >>> quantize(x, block_size=64, flavour="ort").codes.tolist()
    [3, 7, 13, 0, 8]
    >>> quantize(x, block_size=64, flavour="bnb_torch").codes.tolist()
    [3, 7, 13, 8, 0]
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour must be one of {', '.join(FLAVOURS)}; got {flavour!r}")
    values = float32_input(x)
    scaled, absmax = normalize_blocks(values, block_size=block_size, flavour=flavour)
    if flavour == "bnb_torch":
        codes = _BY_VALUE[nearest(scaled, BNB_FP4[_BY_VALUE], ties="low")]
    else:
        # How many thresholds are below |x|; every comparison with NaN is false.
        above = np.searchsorted(THRESHOLDS, np.abs(scaled), side="left")
        above[np.isnan(scaled)] = 0
        codes = _BY_MAGNITUDE[above] | np.where(scaled < 0, 8, 0).astype(np.uint8)
    return Blockwise(codes.reshape(values.shape), absmax, block_size)


def dequantize(quantized: Blockwise) -> F32:
    """Return the reals that the codes mean, float32 of their shape: eq. (1).

    >>> q = Blockwise(np.array([0, 2, 11, 1], np.uint8), np.array([12.0], np.float32), 64)
    >>> dequantize(q).tolist()
    [0.0, 8.0, -12.0, 0.0625]
    """
    return decode_blocks(quantized, BNB_FP4)


def pack(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the bytes of the codes; an odd number is filled up with 0.

    >>> pack(np.array([1, 2, 3], np.uint8)).tolist()
    [18, 48]
    """
    return pack_pairs(codes, padding=0)


def unpack(data: NDArray[np.uint8], *, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return the codes in ``data``, uint8 of ``shape``.

    >>> unpack(np.array([18, 48], np.uint8), shape=(3,)).tolist()
    [1, 2, 3]
    """
    return unpack_pairs(data, shape=shape)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    scaled, _ = normalize_blocks(x, block_size=64, flavour="bnb_cuda")
    quantized = quantize(x, block_size=64, flavour="bnb_cuda")
    return codebook_steps(x, scaled, quantized, dequantize(quantized))


CARD = Card(
    name="bnb_fp4",
    title="bitsandbytes FP4: not E2M1",
    bits_per_value=4.5,
    block_size=64,
    layout="absmax f32 | 64 x (1 sign, 3 bits of magnitude), first of a pair in the high nibble",
    equation="x = sign * (0, 0.0625, 8, 12, 4, 6, 2, 3)[code] / 12 * absmax",
    source="bitsandbytes functional.py, get_4bit_type; csrc/kernels.cu, dQuantizeFP4",
    explain=_explain,
)
