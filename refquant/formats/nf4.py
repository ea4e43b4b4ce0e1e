r"""NF4: sixteen reals that a normal distribution uses equally often.

Trained weights are close to normal. If every code shall be used equally often, the marks must be
quantiles of the normal distribution, dense near zero. One mark must be exactly zero and the ends
exactly -1 and 1 (after division by the block's largest magnitude), so the two halves are built
apart, eight marks for the positive side, seven for the negative. With the quantile function
:math:`\Phi^{-1}` and an ``offset`` p = 0.9677083 (the mean of 1 - 1/32 and 1 - 1/30):

.. math::

    v^+_i = \Phi^{-1}\bigl(p + (0.5 - p)\, i / 8\bigr),\ i = 0..7 \qquad
    v^-_i = -\Phi^{-1}\bigl(p + (0.5 - p)\, i / 7\bigr),\ i = 0..6 \tag{1}

    c = \operatorname{sorted}(v^+ \cup v^- \cup \{0\}) / v^+_0 \tag{2}

Each step is a float32 number: the probabilities, the quantiles, the quotients. Encoding is that of
``refquant.formats.absmax_blocks``, and ties take the lower entry. But what is a tie?

* ``bnb_torch`` (bitsandbytes on a CPU) compares with the float32 midpoints, halves to even;
* ``bnb_cuda`` and ``ort`` compare with decimal literals of those midpoints. Four middles lie half
  way between two float32, and their literals, cut to 16 digits, fall on the other side than
  halves to even: ``THRESHOLDS`` 0, 8, 12 and 14 are one float away from the midpoints.

Layout of a block, 64 values by default in bitsandbytes::

    absmax: float32                                  | 4 bits a value: place in the table, 0..15
    (or 8 bits, see ``refquant.formats.double_quant``) | first of a pair in the high nibble

Special values, by flavour: NaN makes a whole block NaN for ``bnb_torch`` (codes 15), and is code 0
elsewhere. A block of zeros is code 7 (zero), except for ``bnb_cuda``, whose comparisons with NaN
give code 0, that is -0.0. A tail shorter than the block is a block.

Left out: tables for other block sizes (``af4``, BOF4); the 8-bit map of the absmax.

References
----------
Dettmers et al., "QLoRA", 2023, section 3; bitsandbytes ``functional.py`` (``create_normal_map``,
``get_4bit_type``), ``csrc/kernels.cu`` (``dQuantizeNF4``).
"""

import statistics
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
from refquant.formats.codebook import float32_input, fused_linspace, nearest

__all__ = [
    "CARD",
    "NF4",
    "OFFSET",
    "THRESHOLDS",
    "dequantize",
    "normal_map",
    "pack",
    "quantize",
    "unpack",
]

F32 = NDArray[np.float32]

OFFSET = 0.9677083
FLAVOURS = ("bnb_torch", "bnb_cuda", "ort")


def normal_map(offset: float, *, negative: int = 7, positive: int = 8) -> F32:
    """Return the marks of eq. (2), ascending, ``negative`` + 1 + ``positive`` of them.

    ``offset`` is a probability in (0.5, 1): how far out the last mark lies. The quantile is that of
    the standard library (Wichura's AS241), rounded to float32.

    >>> normal_map(OFFSET).tolist() == NF4.tolist()
    True
    >>> normal_map(OFFSET, negative=1, positive=2).tolist()
    [-1.0, 0.0, 0.33791524171829224, 1.0]
    """
    if not 0.5 < np.float32(offset) < 1:
        raise ValueError(f"offset must be a probability between 0.5 and 1, got {offset}")
    if min(negative, positive) < 1 or negative + positive > 255:
        raise ValueError(f"negative and positive must be 1 or more, got {negative}, {positive}")
    above = _quantiles(offset, positive)
    below = -_quantiles(offset, negative)
    marks = np.sort(np.concatenate([above, np.zeros(1, np.float32), below]))
    return np.asarray(marks / marks.max(), np.float32)


def _quantiles(offset: float, count: int) -> F32:
    """Return the normal quantiles of ``count`` probabilities from ``offset`` down, 0.5 left out."""
    probabilities = fused_linspace(offset, 0.5, count + 1)[:-1]
    normal = statistics.NormalDist()
    return np.array([normal.inv_cdf(float(p)) for p in probabilities], np.float32)


NF4: F32 = normal_map(OFFSET)
NF4.flags.writeable = False

# What a C compiler makes of the literals of dQuantizeNF4, nine digits each. (Python rounds such a
# literal to float64 first, and then to float32: that is why it is not copied here.)
THRESHOLDS: F32 = np.array(
    [
        *(-0.84809643, -0.610632896, -0.45999527, -0.33967942, -0.234607399),
        *(-0.137911737, -0.0455250181, 0.0397901498, 0.120255254, 0.203521252),
        *(0.292013764, 0.389312536, 0.501663387, 0.64278692, 0.861478388),
    ],
    np.float32,
)
THRESHOLDS.flags.writeable = False


def quantize(x: ArrayLike, *, block_size: int, flavour: str) -> Blockwise:
    """Return the codes of ``x`` (float32, any shape) and its blocks' absmax, as ``flavour`` does.

    ``flavour`` is ``bnb_torch`` (bitsandbytes on a CPU), ``bnb_cuda`` or ``ort``.

    >>> x = np.array([0.5, -2.0, 0.0, 1.0], np.float32)
    >>> q = quantize(x, block_size=4, flavour="bnb_torch")
    >>> q.codes.tolist(), q.absmax.tolist()
    ([10, 0, 7, 12], [2.0])
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour must be one of {', '.join(FLAVOURS)}; got {flavour!r}")
    values = float32_input(x)
    scaled, absmax = normalize_blocks(values, block_size=block_size, flavour=flavour)
    if flavour == "bnb_torch":
        codes = nearest(scaled, NF4, ties="low")
    else:
        codes = np.searchsorted(THRESHOLDS, scaled, side="left").astype(np.uint8)
        codes[np.isnan(scaled)] = 0  # every comparison is false: the lowest leaf of the tree
    return Blockwise(codes.reshape(values.shape), absmax, block_size)


def dequantize(quantized: Blockwise) -> F32:
    """Return the reals that the codes mean, float32 of their shape: one product each.

    >>> q = Blockwise(np.array([0, 7, 8], np.uint8), np.array([2.0], np.float32), 64)
    >>> dequantize(q).tolist()
    [-2.0, 0.0, 0.15916059911251068]
    """
    return decode_blocks(quantized, NF4)


def pack(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the bytes of the codes; an odd number is filled up with 7, the code of zero.

    >>> pack(np.array([1, 2, 3], np.uint8)).tolist()
    [18, 55]
    """
    return pack_pairs(codes, padding=7)


def unpack(data: NDArray[np.uint8], *, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return the codes in ``data``, uint8 of ``shape``.

    >>> unpack(np.array([18, 55], np.uint8), shape=(3,)).tolist()
    [1, 2, 3]
    """
    return unpack_pairs(data, shape=shape)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    scaled, _ = normalize_blocks(x, block_size=64, flavour="bnb_torch")
    quantized = quantize(x, block_size=64, flavour="bnb_torch")
    return codebook_steps(x, scaled, quantized, dequantize(quantized))


CARD = Card(
    name="nf4",
    title="NormalFloat 4: quantiles of the normal distribution",
    bits_per_value=4.5,
    block_size=64,
    layout="absmax f32 | 64 x 4 bits, first of a pair in the high nibble",
    equation="x = NF4[code] * absmax",
    source="QLoRA (2023), section 3; bitsandbytes functional.py, get_4bit_type",
    explain=_explain,
)
