r"""Q4_0: 32 weights in 18 bytes, one signed scale. ggml's first 4-bit type, and still its fastest.

LAYOUT, 18 bytes for 32 values::

      byte 0      2                                   18
      +-----------+-------------+-------------+-   -+-------------+
      | d: f16 LE | q[16]  q[0] | q[17]  q[1] | ... | q[31] q[15] |    split halves:
      +-----------+-------------+-------------+-   -+-------------+    high nibble, low nibble

.. math::

    d &= x_{\max|x|} \oslash (-8), \quad
        q = \min(\lfloor x \otimes d^{-1} \oplus 8.5 \rfloor, 15) \tag{1} \\
    \hat x &= \mathrm{half}(d) \cdot (q - 8) \tag{2}

The element of largest magnitude, with its sign, becomes code 0 = -8: d is negative if it is
positive. The other end reaches 7 steps only, so an equally large element of the other sign clips.
Eq. (1) is explained in ``legacy.py``: it depends on fused multiply-add (``flavour``), its ties go
up, and it divides by the float32 d, not by the half in the file.

With an importance, codes and d come from a search for the least weighted error:
``legacy_search.py``.

References
----------
ggml ``src/ggml-common.h`` (``block_q4_0``), ``src/ggml-quants.c`` (``quantize_row_q4_0_ref``,
``quantize_row_q4_0_impl``).
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
    to_half,
)
from refquant.formats.ggml.legacy import FLAVOURS, signed_extreme, truncated
from refquant.formats.ggml.legacy_search import encode_weighted, search_scale

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as Q4_0, uint8 (..., n / 32 * 18): eq. (1).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. ``flavour`` is
    ``reference`` or ``fma``; with an ``importance``, float32 (n,), it has no effect. A block of
    zeros has d = -0.0 and codes 8 (with an importance, 0.0 and 0). A d of 65520 or more becomes
    the half infinity, as in ggml, which later refuses such a file.

    >>> x = np.zeros(32, np.float32)
    >>> x[:3], x[16] = (4, -4, 0.25), -0.25  # d = -0.5: codes 0, 15 (16 clips), 8 (tie up), 9
    >>> encode(x)[:5].tolist()
    [0, 184, 144, 143, 136]
    """
    checked_flavour(flavour, FLAVOURS)

    def block(part: F32) -> U8:
        d = signed_extreme(part) / np.float32(-8)
        codes = truncated(part, d, offset=8.5, qmax=15, flavour=flavour)
        return _packed(d[:, 0], codes)

    def weighted(part: F32, weights: F32) -> U8:
        return _packed(*search_scale(part, weights, half=8))

    if importance is not None:
        return encode_weighted(x, importance, type="Q4_0", function=weighted)
    return encode_rows(x, type="Q4_0", function=block)


def decode(data: U8) -> F32:
    """Return Q4_0 ``data``, uint8 (..., k * 18), as float32 (..., k * 32): eq. (2), exactly.

    >>> data = np.array([0, 184, 0x90, 0x8F] + [0x88] * 14, np.uint8)
    >>> decode(data)[[0, 1, 2, 16]].tolist()
    [4.0, -3.5, -0.0, -0.5]
    """

    def block(part: U8) -> F32:
        out = np.empty((len(part), 32), np.float32)
        out[:, :16] = part[:, 2:] & np.uint8(15)
        out[:, 16:] = part[:, 2:] >> np.uint8(4)
        out -= np.float32(8)
        out *= from_half(part[:, :2])[:, None]
        return out

    return decode_rows(data, type="Q4_0", function=block)


def _packed(d: F32, codes: U8) -> U8:
    """Return the bytes of blocks with scales ``d`` (m,) and ``codes`` (m, 32)."""
    return np.concatenate([to_half(d), join_halves(codes)], axis=1)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    extreme = signed_extreme(block[None])
    d = extreme / np.float32(-8)
    with np.errstate(invalid="ignore"):  # 0 * inf, where 1 / d overflows: as in the encoder
        codes = truncated(block[None], d, offset=8.5, qmax=15, flavour="reference")[0]
    steps = [
        Step("extreme", "the element of largest magnitude, with its sign", number(extreme[0, 0])),
        Step("d", f"{number(extreme[0, 0])} / -8, in float32", number(d[0, 0])),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("q", f"min(trunc(x * {number(reciprocal(d)[0, 0])} + 8.5), 15)", "0..15, 8 is zero"),
    ]
    shown = [f"{int(q)} = 0b{int(q):04b}" for q in codes]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q4_0",
    title="ggml Q4_0: 4 bits, one signed scale a block of 32",
    bits_per_value=4.5,
    block_size=32,
    layout="byte 0..1: d, f16, low byte first\nbyte 2 + j: q[j] low nibble, q[j + 16] high nibble",
    equation="x = d * (q - 8); d = (x of largest |x|) / -8, q = min(trunc(x * (1/d) + 8.5), 15)",
    source="ggml src/ggml-quants.c, quantize_row_q4_0_ref",
    explain=_explain,
)
