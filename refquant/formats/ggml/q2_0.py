r"""Q2_0: two bits a weight, -1, 0, 1 or 2 steps, one scale for 64.

LAYOUT, 18 bytes for 64 values::

      byte 0      2                           18
      +-----------+---------------------+-   -+-------------+
      | d: f16 LE | q[3] q[2] q[1] q[0] | ... | q[63] q[62] ... |    two bits each
      +-----------+---------------------+-   -+-------------+

.. math::

    d &= \max|x| \tag{1} \\
    q &= \mathrm{clamp}(\mathrm{round}(x \otimes d^{-1}) + 1, 0, 3) \tag{2} \\
    \hat x &= \mathrm{half}(d) \cdot (q - 1) \tag{3}

with float32 operations and ties away from zero. Because d is the *maximum*, eq. (2) gives 0, 1 and
2 only: this encoder never writes code 3, two steps. A better encoder may, and eq. (3) reads it.
The codes are those of TQ2_0, in another order. d <= 2^-128 makes the reciprocal infinite: code 0
on x86, and d = 0. Left out: an importance, which ggml takes and does not use; likewise here.

References
----------
ggml ``src/ggml-common.h`` (``block_q2_0``), ``src/ggml-quants.c`` (``quantize_row_q2_0_ref``),
2026-08.
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
    reciprocal,
    to_half,
)
from refquant.numerics.casts import int32_cast
from refquant.numerics.rounding import round_half_away

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_SHIFTS = np.array([0, 2, 4, 6], np.uint8)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return float32 ``x`` (..., n) as Q2_0, uint8 (..., n / 64 * 18): eq. (1) and (2).

    n must be a multiple of 64; NaN and infinities are a ``ValueError``. A block of zeros has d = 0
    and codes 1; a d of 65520 or more becomes the half infinity.

    >>> x = np.zeros(64, np.float32)
    >>> x[:4] = -2, 2, 1, 0.9  # codes 0, 2, 2 (a tie), 1
    >>> data = encode(x)
    >>> data[:2].tolist(), bin(data[2]), data[3].tolist()
    ([0, 64], '0b1101000', 85)
    """
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        d = np.abs(part).max(axis=1)
        codes = _codes(part, d)
        packed = np.bitwise_or.reduce(codes.reshape(-1, 16, 4) << _SHIFTS, axis=2)
        return np.concatenate([to_half(d), packed], axis=1)

    return encode_rows(x, type="Q2_0", function=block)


def decode(data: U8) -> F32:
    """Return Q2_0 ``data``, uint8 (..., k * 18), as float32 (..., k * 64): eq. (3), exactly.

    >>> decode(np.array([0, 64, 0b11100100] + [0b01010101] * 15, np.uint8))[:5].tolist()
    [-2.0, 0.0, 2.0, 4.0, 0.0]
    """

    def block(part: U8) -> F32:
        out = ((part[:, 2:, None] >> _SHIFTS) & np.uint8(3)).reshape(-1, 64).astype(np.float32)
        out -= np.float32(1)
        out *= from_half(part[:, :2])[:, None]
        return out

    return decode_rows(data, type="Q2_0", function=block)


def _codes(blocks: F32, d: F32) -> U8:
    """Return the codes, uint8 of the shape of ``blocks``: eq. (2)."""
    with np.errstate(invalid="ignore", over="ignore"):  # zero times an infinite reciprocal
        v = round_half_away(blocks * reciprocal(d)[:, None])
    return np.clip(int32_cast(v).astype(np.int64) + 1, 0, 3).astype(np.uint8)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=64)
    data = encode(block)
    d = np.abs(block).max()
    steps = [
        Step("d", f"max |x| of 64 values, {64 - len(values)} of them padding", number(d)),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("q", f"round(x * {number(reciprocal(d))}) + 1, ties away from zero", "0, 1, 2"),
    ]
    shown = [f"{int(q)} = 0b{int(q):02b}" for q in _codes(block[None], d[None])[0]]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q2_0",
    title="ggml Q2_0: two bits, one scale a block of 64",
    bits_per_value=2.25,
    block_size=64,
    layout="byte 0..1: d, f16\nbyte 2 + j: q[4j] .. q[4j + 3], two bits each, the first lowest",
    equation="x = d * (q - 1); d = max|x|, q = clamp(round_half_away(x * (1/d)) + 1, 0, 3)",
    source="ggml src/ggml-quants.c, quantize_row_q2_0_ref (2026-08)",
    explain=_explain,
)
