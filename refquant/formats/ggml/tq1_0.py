r"""TQ1_0: ternary weights, five to a byte. 3^5 = 243 fits into 256 with 5% to spare.

LAYOUT, 54 bytes for 256 values::

      byte 0            32              48           52          54
      +-----------------+---------------+------------+-----------+
      | x[0..159]       | x[160..239]   | x[240..255]| d: f16 LE |
      | 5 a byte, 32    | 5 a byte, 16  | 4 a byte, 4|           |
      | apart           | apart         | apart      |           |
      +-----------------+---------------+------------+-----------+

Byte m of the first part holds values m, m+32, m+64, m+96, m+128; the first is the highest digit of
a number in base 3. That number t < 243 is not stored itself, but as a fraction of 256:

.. math::

    t &= 81 q_0 + 27 q_1 + 9 q_2 + 3 q_3 + q_4 \tag{1} \\
    b &= \lceil 256\, t / 243 \rceil \tag{2} \\
    q_n &= \lfloor 3 \cdot (3^n b \bmod 256) / 256 \rfloor \tag{3} \\
    \hat x &= \mathrm{half}(d) \cdot (q - 1) \tag{4}

b/256 is a little above t/243, the base-3 fraction 0.q0q1q2q3q4; multiplying by 3^n modulo 1 shifts
n digits out, and the integer part of three times the rest is the next one. So a digit costs two
multiplications and no division: this is why the byte is a fraction. In the last part :math:`q_4`
is 0, a filler. d and the codes are those of TQ2_0.

Thirteen bytes are never written (no t leads to them); eq. (3) still gives them digits of 0, 1, 2.
Left out: an importance, which ggml ignores for this type; it is checked and ignored here too.

References
----------
ggml ``src/ggml-common.h`` (``block_tq1_0``), ``src/ggml-quants.c`` (``quantize_row_tq1_0_ref``).
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
from refquant.formats.ggml.tq2_0 import ternary_codes

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

# (first value, first byte, bytes, digits a byte) of the three parts.
_PARTS = ((0, 0, 32, 5), (160, 32, 16, 5), (240, 48, 4, 4))
_BYTES = ((256 * np.arange(243) + 242) // 243).astype(np.uint8)  # eq. (2) for every t
_DIGITS = ((np.arange(256)[:, None] * 3 ** np.arange(5) % 256) * 3 >> 8).astype(np.uint8)  # eq. (3)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return float32 ``x`` (..., n) as TQ1_0, uint8 (..., n / 256 * 54): eq. (1) and (2).

    n must be a multiple of 256; NaN and infinities are a ``ValueError``. A block of zeros has d = 0
    and codes 1; a d of 65520 or more becomes the half infinity.

    >>> x = np.zeros(256, np.float32)
    >>> x[[0, 32, 64]] = -2, 2, 1  # digits 0, 2, 2, 1, 1: t = 54 + 18 + 3 + 1 = 76
    >>> data = encode(x)  # 256 * 76 / 243 = 80.07; all digits 1: t = 121, 127.47
    >>> data[:2].tolist(), data[51:].tolist()  # the last part: t = 120, 126.42
    ([81, 128], [127, 0, 64])
    """
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        d, codes = ternary_codes(part)
        out = np.empty((len(part), 54), np.uint8)
        for value, byte, width, count in _PARTS:
            digits = codes[:, value : value + count * width].reshape(-1, count, width)
            t = np.zeros((len(part), width), np.uint8)
            for n in range(count):
                t += digits[:, n] * np.uint8(3 ** (4 - n))
            out[:, byte : byte + width] = _BYTES[t]
        out[:, 52:] = to_half(d[:, 0])
        return out

    return encode_rows(x, type="TQ1_0", function=block)


def decode(data: U8) -> F32:
    """Return TQ1_0 ``data``, uint8 (..., k * 54), as float32 (..., k * 256): eq. (3) and (4).

    >>> data = np.array([81] + [128] * 47 + [127] * 4 + [0, 64], np.uint8)
    >>> decode(data)[[0, 32, 64, 96, 128, 1, 255]].tolist()
    [-2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0]
    """

    def block(part: U8) -> F32:
        out = np.empty((len(part), 256), np.float32)
        for value, byte, width, count in _PARTS:
            digits = _DIGITS[part[:, byte : byte + width]][..., :count]  # (m, width, count)
            out[:, value : value + count * width] = digits.swapaxes(1, 2).reshape(len(part), -1)
        out -= np.float32(1)
        out *= from_half(part[:, 52:])[:, None]
        return out

    return decode_rows(data, type="TQ1_0", function=block)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=256)
    data = encode(block)
    d, codes = ternary_codes(block[None])
    digits = codes[0, [0, 32, 64, 96, 128]].tolist()
    t = int(np.dot(digits, [81, 27, 9, 3, 1]))
    steps = [
        Step("d", f"max |x| of 256 values, {256 - len(values)} of them padding", number(d[0, 0])),
        Step("d stored", "nearest half", number(from_half(data[52:]))),
        Step("q", f"round(x * {number(reciprocal(d)[0, 0])}) + 1, ties away from zero", "0, 1, 2"),
        Step(
            "t of byte 0", f"x[0], x[32], x[64], x[96], x[128]: digits {digits} in base 3", f"{t}"
        ),
        Step("byte 0", f"ceil(256 * {t} / 243)", f"0x{int(data[0]):02x}"),
    ]
    return [*steps, *value_steps(values, [f"digit {int(q)}" for q in codes[0]], decode(data))]


CARD = Card(
    name="tq1_0",
    title="ggml TQ1_0: ternary, five values a byte",
    bits_per_value=1.6875,
    block_size=256,
    layout=(
        "byte 0..31: values m, m+32, m+64, m+96, m+128 as base-3 digits, the first highest\n"
        "byte 32..47: values 160 + m, m+16, m+32, m+48, m+64\n"
        "byte 48..51: values 240 + m, m+4, m+8, m+12, and a digit 0\n"
        "byte 52..53: d, f16"
    ),
    equation="x = d * (q - 1); d = max|x|, q = round_half_away(x * (1/d)) + 1\n"
    "byte = ceil(256 t / 243), t the digits q in base 3",
    source="ggml src/ggml-quants.c, quantize_row_tq1_0_ref",
    explain=_explain,
)
