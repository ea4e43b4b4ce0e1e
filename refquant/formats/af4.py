r"""AF4: abnormal float, the normal float for what a block of 64 really holds.

NF4 gives every code the same share of a *normal* variable. But what is encoded is a weight divided
by the largest of its block, and that is not normal: one value of every block is exactly 1 or -1,
and the larger the block, the closer to zero are the others. AF4 takes that distribution for blocks
of 64 and chooses the marks that make the expected absolute error least:

.. math::

    c = \operatorname{argmin}_c E \min_k |X_{64} - c_k|, \qquad c_0 = -1,\ c_7 = 0,\ c_{15} = 1
    \tag{1}

The table is the published one. bitsandbytes holds it upside down, and a code is the place there:

.. math::

    \hat x = c_{15 - code} \cdot a                                               \tag{2}

Layout of a block::

    absmax: float32 | 64 x 4 bits: code 0 is +1, code 8 is 0, code 15 is -1

No released implementation encodes it (bitsandbytes has the table only, for ``quant_map``), so the
rule of ties is ours: low, as NF4's; x / a is that of the flavour ``bnb_torch``, with its NaN.
Left out: the marks of other block sizes, and the optimization that finds them.

References
----------
Yoshida, "NF4 Isn't Information Theoretically Optimal (and that's Good)", 2023, arXiv 2306.06965;
bitsandbytes ``functional.py`` (``get_4bit_type("af4")``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.absmax_blocks import (
    Blockwise,
    codebook_steps,
    decode_blocks,
    normalize_blocks,
)
from refquant.formats.card import Card, Step
from refquant.formats.codebook import float32_input, nearest

__all__ = ["AF4", "BLOCK_SIZE", "CARD", "dequantize", "quantize"]

F32 = NDArray[np.float32]

BLOCK_SIZE = 64

_NEGATIVE = (-1.0, -0.69441008, -0.51243739, -0.3736951, -0.25607552, -0.14982478, -0.04934812)
_POSITIVE = (0.04273164, 0.12934483, 0.21961274, 0.31675666, 0.42563882, 0.55496234, 0.72424863)

AF4: F32 = np.array([*_NEGATIVE, 0.0, *_POSITIVE, 1.0], np.float32)[::-1].copy()
"""What each code means, code 0 first: descending."""
AF4.flags.writeable = False


def quantize(x: ArrayLike) -> Blockwise:
    """Return the codes of ``x`` (float32, any shape) in blocks of 64; a short tail is a block.

    >>> q = quantize(np.array([-2.0, 0.0, 1.0, 2.0], np.float32))
    >>> q.codes.tolist(), q.absmax.tolist()
    ([15, 8, 2, 0], [2.0])
    """
    values = float32_input(x)
    scaled, absmax = normalize_blocks(values, block_size=BLOCK_SIZE, flavour="bnb_torch")
    codes = 15 - nearest(scaled, AF4[::-1], ties="low")
    return Blockwise(codes.reshape(values.shape), absmax, BLOCK_SIZE)


def dequantize(quantized: Blockwise) -> F32:
    """Return the reals that the codes mean, float32 of their shape: eq. (2).

    >>> q = Blockwise(np.array([15, 8, 0], np.uint8), np.array([2.0], np.float32), 64)
    >>> dequantize(q).tolist()
    [-2.0, 0.0, 2.0]
    """
    return decode_blocks(quantized, AF4)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    scaled, _ = normalize_blocks(x, block_size=BLOCK_SIZE, flavour="bnb_torch")
    quantized = quantize(x)
    return codebook_steps(x, scaled, quantized, dequantize(quantized))


CARD = Card(
    name="af4",
    title="AbnormalFloat 4: least absolute error for blocks of 64",
    bits_per_value=4.5,
    block_size=BLOCK_SIZE,
    layout="absmax f32 | 64 x 4 bits: place in the descending table",
    equation="x = AF4[code] * absmax",
    source="arXiv 2306.06965; bitsandbytes functional.py, get_4bit_type",
    explain=_explain,
)
