r"""Q5_0: Q4_0 with a fifth bit. 32 weights in 22 bytes, one signed scale.

LAYOUT, 22 bytes for 32 values::

      byte 0      2                6                                    22
      +-----------+----------------+-------------+-   -+-------------+
      | d: f16 LE | qh: 32 bits LE | q[16]  q[0] | ... | q[31] q[15] |
      +-----------+----------------+-------------+-   -+-------------+

      bit i of qh is bit 4 of q[i]; the nibbles are bits 0..3, in split halves

.. math::

    d &= x_{\max|x|} \oslash (-16), \quad
        q = \min(\lfloor x \otimes d^{-1} \oplus 16.5 \rfloor, 31) \tag{1} \\
    \hat x &= \mathrm{half}(d) \cdot (q - 16) \tag{2}

The fifth bits stand apart, because five does not divide a byte: a kernel spreads 32 of them over
a register at once. Eq. (1) is explained in ``legacy.py``: signed scale, fused multiply-add
(``flavour``), ties up, the float32 d.

With an importance, codes and d come from a search for the least weighted error:
``legacy_search.py``.

References
----------
ggml ``src/ggml-common.h`` (``block_q5_0``), ``src/ggml-quants.c`` (``quantize_row_q5_0_ref``,
``quantize_row_q5_0_impl``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.ggml.blocks import (
    checked_flavour,
    decode_rows,
    encode_rows,
    from_half,
    join_halves,
    reciprocal,
    split_halves,
    to_half,
)
from refquant.formats.ggml.legacy import (
    FLAVOURS,
    join_fifth,
    signed_extreme,
    split_fifth,
    truncated,
)
from refquant.formats.ggml.legacy_search import encode_weighted, search_scale

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as Q5_0, uint8 (..., n / 32 * 22): eq. (1).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. ``flavour`` is
    ``reference`` or ``fma``; with an ``importance``, float32 (n,), it has no effect. A block of
    zeros has d = -0.0 and codes 16 (with an importance, 0.0 and 0). A d of 65520 or more becomes
    the half infinity, as in ggml, which later refuses such a file.

    >>> x = np.zeros(32, np.float32)
    >>> x[:3], x[16] = (8, -8, 0.25), -0.25  # d = -0.5: codes 0, 31 (32 clips), 16 (tie up), 17
    >>> encode(x)[:9].tolist()
    [0, 184, 254, 255, 255, 255, 16, 15, 0]
    """
    checked_flavour(flavour, FLAVOURS)

    def block(part: F32) -> U8:
        d = signed_extreme(part) / np.float32(-16)
        return _packed(d[:, 0], truncated(part, d, offset=16.5, qmax=31, flavour=flavour))

    def weighted(part: F32, weights: F32) -> U8:
        return _packed(*search_scale(part, weights, half=16))

    if importance is not None:
        return encode_weighted(x, importance, type="Q5_0", function=weighted)
    return encode_rows(x, type="Q5_0", function=block)


def decode(data: U8) -> F32:
    """Return Q5_0 ``data``, uint8 (..., k * 22), as float32 (..., k * 32): eq. (2), exactly.

    >>> data = np.array([0, 184, 254, 255, 255, 255, 0x10, 0x0F] + [0] * 14, np.uint8)
    >>> decode(data)[[0, 1, 2, 16]].tolist()
    [8.0, -7.5, -0.0, -0.5]
    """

    def block(part: U8) -> F32:
        out = join_fifth(split_halves(part[:, 6:]), part[:, 2:6]).astype(np.float32)
        out -= np.float32(16)
        out *= from_half(part[:, :2])[:, None]
        return out

    return decode_rows(data, type="Q5_0", function=block)


def _packed(d: F32, codes: U8) -> U8:
    """Return the bytes of blocks with scales ``d`` (m,) and ``codes`` (m, 32)."""
    low, high = split_fifth(codes)
    return np.concatenate([to_half(d), high, join_halves(low)], axis=1)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    extreme = signed_extreme(block[None])
    d = extreme / np.float32(-16)
    with np.errstate(invalid="ignore"):  # 0 * inf, where 1 / d overflows: as in the encoder
        codes = truncated(block[None], d, offset=16.5, qmax=31, flavour="reference")[0]
    steps = [
        Step("extreme", "the element of largest magnitude, with its sign", number(extreme[0, 0])),
        Step("d", f"{number(extreme[0, 0])} / -16, in float32", number(d[0, 0])),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("q", f"min(trunc(x * {number(reciprocal(d)[0, 0])} + 16.5), 31)", "0..31, 16 is zero"),
    ]
    shown = [f"{int(q)} = 0b{int(q) >> 4}_{int(q) & 15:04b}" for q in codes]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q5_0",
    title="ggml Q5_0: 5 bits, one signed scale a block of 32",
    bits_per_value=5.5,
    block_size=32,
    layout=(
        "byte 0..1: d, f16\nbyte 2..5: bit 4 of q[i] is bit i, little-endian\n"
        "byte 6 + j: bits 0..3 of q[j] low nibble, of q[j + 16] high nibble"
    ),
    equation="x = d * (q - 16); d = (x of largest |x|) / -16, q = min(trunc(x * (1/d) + 16.5), 31)",
    source="ggml src/ggml-quants.c, quantize_row_q5_0_ref",
    explain=_explain,
)
