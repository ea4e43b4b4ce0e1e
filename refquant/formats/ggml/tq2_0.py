r"""TQ2_0: ternary weights, two bits each. For models trained with weights of -1, 0 and 1.

LAYOUT, 66 bytes for 256 values::

      byte 0                      32                     64          66
      +---------------------------+----------------------+-----------+
      | values 0..127             | values 128..255      | d: f16 LE |
      +---------------------------+----------------------+-----------+

      byte m of 32:   bits  7..6     5..4     3..2     1..0
                            x[m+96]  x[m+64]  x[m+32]  x[m]

.. math::

    d &= \max|x| \tag{1} \\
    q &= \mathrm{round}(x \otimes d^{-1}) + 1 \in \{0, 1, 2\} \tag{2} \\
    \hat x &= \mathrm{half}(d) \cdot (q - 1) \tag{3}

with float32 operations and ties away from zero in eq. (2): half of d counts as d. Code 3 is never
written; decoded, it means 2 d. The scale is the maximum, so that ternary weights come back exactly;
on other weights it is poor. d <= 2^-128 makes the reciprocal infinite: code 1 on x86, and d = 0.
Left out: an importance, which ggml ignores for this type; it is checked and ignored here too.

References
----------
ggml ``src/ggml-common.h`` (``block_tq2_0``), ``src/ggml-quants.c`` (``quantize_row_tq2_0_ref``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import row_length
from refquant.formats.ggml.blocks import (
    cast_to_byte,
    checked_importance,
    decode_rows,
    encode_rows,
    from_half,
    reciprocal,
    to_half,
)
from refquant.numerics.rounding import round_half_away

__all__ = ["CARD", "decode", "encode", "ternary_codes"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_SHIFTS = np.array([0, 2, 4, 6], np.uint8)[:, None]


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return float32 ``x`` (..., n) as TQ2_0, uint8 (..., n / 256 * 66): eq. (1) and (2).

    n must be a multiple of 256; NaN and infinities are a ``ValueError``. A block of zeros has d = 0
    and codes 1; a d of 65520 or more becomes the half infinity.

    >>> x = np.zeros(256, np.float32)
    >>> x[[0, 32, 64, 96]] = -2, 2, 1, 0.9  # codes 0, 2, 2 (a tie), 1
    >>> data = encode(x)
    >>> bin(data[0]), data[1].tolist(), data[64:].tolist()
    ('0b1101000', 85, [0, 64])
    """
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        d, codes = ternary_codes(part)
        fields = codes.reshape(-1, 2, 4, 32) << _SHIFTS
        packed = np.bitwise_or.reduce(fields, axis=2).reshape(-1, 64)
        return np.concatenate([packed, to_half(d[:, 0])], axis=1)

    return encode_rows(x, type="TQ2_0", function=block)


def decode(data: U8) -> F32:
    """Return TQ2_0 ``data``, uint8 (..., k * 66), as float32 (..., k * 256): eq. (3), exactly.

    >>> data = np.array([0b11100100] + [0b01010101] * 63 + [0, 64], np.uint8)
    >>> decode(data)[[0, 32, 64, 96, 1]].tolist()
    [-2.0, 0.0, 2.0, 4.0, 0.0]
    """

    def block(part: U8) -> F32:
        fields = (part[:, :64].reshape(-1, 2, 1, 32) >> _SHIFTS) & np.uint8(3)
        out = fields.reshape(-1, 256).astype(np.float32)
        out -= np.float32(1)
        out *= from_half(part[:, 64:])[:, None]
        return out

    return decode_rows(data, type="TQ2_0", function=block)


def ternary_codes(blocks: F32) -> tuple[F32, U8]:
    """Return d, float32 (m, 1), and codes of 0, 1, 2, uint8 of the shape of ``blocks``: eq. (1-2).

    >>> d, codes = ternary_codes(np.array([[-2, 2, 1, 0.9]], np.float32))
    >>> d.tolist(), codes.tolist()
    ([[2.0]], [[0, 2, 2, 1]])
    """
    d = np.abs(blocks).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):  # zero times an infinite reciprocal
        v = round_half_away(blocks * reciprocal(d))
    return d, cast_to_byte(v) + np.uint8(1)  # modulo 256: -1 + 1 is 0


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=256)
    data = encode(block)
    d, codes = ternary_codes(block[None])
    steps = [
        Step("d", f"max |x| of 256 values, {256 - len(values)} of them padding", number(d[0, 0])),
        Step("d stored", "nearest half", number(from_half(data[64:]))),
        Step("q", f"round(x * {number(reciprocal(d)[0, 0])}) + 1, ties away from zero", "0, 1, 2"),
    ]
    shown = [f"{int(q)} = 0b{int(q):02b}" for q in codes[0]]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="tq2_0",
    title="ggml TQ2_0: ternary, two bits a value",
    bits_per_value=2.0625,
    block_size=256,
    layout=(
        "byte 0..31: values m, m+32, m+64, m+96, two bits each, the first lowest\n"
        "byte 32..63: the same of values 128..255\n"
        "byte 64..65: d, f16"
    ),
    equation="x = d * (q - 1); d = max|x|, q = round_half_away(x * (1/d)) + 1",
    source="ggml src/ggml-quants.c, quantize_row_tq2_0_ref",
    explain=_explain,
)
