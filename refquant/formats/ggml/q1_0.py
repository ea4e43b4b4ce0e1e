r"""Q1_0: one bit a weight, its sign, and one scale for 128.

LAYOUT, 18 bytes for 128 values::

      byte 0      2                           18
      +-----------+-------------+-   -+--------------+
      | d: f16 LE | x[7] ... x[0] | ... | x[127] ... |      bit 1: not negative
      +-----------+-------------+-   -+--------------+

.. math::

    d &= (|x_0| \oplus |x_1| \oplus \dots \oplus |x_{127}|) \oslash 128 \tag{1} \\
    \hat x &= \begin{cases} \mathrm{half}(d) & x \ge 0 \\ -\mathrm{half}(d) & x < 0 \end{cases}
        \tag{2}

The mean of magnitudes is the d of least squared error for signs. Its float32 sum is from left to
right: another order, as NumPy's pairs, has other last bits. Zero of either sign is *not negative*,
so it becomes +d: the type has no zero. Meant for models trained with weights of -1 and 1.
Left out: an importance, which ggml takes and does not use; it is checked and ignored here too.

References
----------
ggml ``src/ggml-common.h`` (``block_q1_0``), ``src/ggml-quants.c`` (``quantize_row_q1_0_ref``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import row_length
from refquant.formats.ggml.blocks import (
    checked_importance,
    decode_rows,
    encode_rows,
    from_half,
    to_half,
)

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return float32 ``x`` (..., n) as Q1_0, uint8 (..., n / 128 * 18): eq. (1).

    n must be a multiple of 128; NaN and infinities are a ``ValueError``. A d of 65520 or more, and
    a sum beyond float32, become the half infinity, as in ggml.

    >>> x = np.zeros(128, np.float32)
    >>> x[:4] = 64, -32, -0.0, -32  # the mean is 1; bits 1, 0, 1 (a zero), 0, then zeros
    >>> encode(x)[:4].tolist()
    [0, 60, 245, 255]
    """
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        bits = np.packbits(part >= 0, axis=1, bitorder="little")
        return np.concatenate([to_half(_mean(part)), bits], axis=1)

    return encode_rows(x, type="Q1_0", function=block)


def decode(data: U8) -> F32:
    """Return Q1_0 ``data``, uint8 (..., k * 18), as float32 (..., k * 128): eq. (2), exactly.

    >>> decode(np.array([0, 60, 245] + [255] * 15, np.uint8))[:5].tolist()
    [1.0, -1.0, 1.0, -1.0, 1.0]
    """

    def block(part: U8) -> F32:
        d = from_half(part[:, :2])[:, None]
        return np.where(np.unpackbits(part[:, 2:], axis=1, bitorder="little"), d, -d)

    return decode_rows(data, type="Q1_0", function=block)


def _mean(blocks: F32) -> F32:
    """Return d of each block, float32 (m,): eq. (1), one float32 addition after another."""
    magnitudes = np.ascontiguousarray(np.abs(blocks).T)
    total = magnitudes[0]
    for column in magnitudes[1:]:
        total = total + column
    return np.asarray(total / np.float32(128), np.float32)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=128)
    data = encode(block)
    with np.errstate(over="ignore"):
        d = _mean(block[None])[0]
    steps = [
        Step("d", f"mean |x| of 128 values, {128 - len(values)} of them padding", number(d)),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("bit", "x >= 0", "0 or 1"),
    ]
    shown = [str(int(bit)) for bit in np.unpackbits(data[2:], bitorder="little")]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q1_0",
    title="ggml Q1_0: signs, one scale a block of 128",
    bits_per_value=1.125,
    block_size=128,
    layout="byte 0..1: d, f16\nbyte 2..17: bit i is 1 where x[i] >= 0, lowest bit first",
    equation="x = d if bit else -d; d = mean|x|, bit = x >= 0",
    source="ggml src/ggml-quants.c, quantize_row_q1_0_ref",
    explain=_explain,
)
