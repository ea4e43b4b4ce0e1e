r"""Q4_1: 32 weights in 20 bytes, a scale and a minimum.

LAYOUT, 20 bytes for 32 values::

      byte 0      2           4                                   20
      +-----------+-----------+-------------+-------------+-   -+-------------+
      | d: f16 LE | m: f16 LE | q[16]  q[0] | q[17]  q[1] | ... | q[31] q[15] |
      +-----------+-----------+-------------+-------------+-   -+-------------+

.. math::

    d &= (\max x \ominus \min x) \oslash 15, \quad
        q = \min(\lfloor (x \ominus \min x) \otimes d^{-1} \oplus \tfrac12 \rfloor, 15) \tag{1} \\
    \hat x &= \mathrm{half}(d) \otimes q \oplus \mathrm{half}(m), \quad m = \min x \tag{2}

The minimum need not be below zero: a block of 100, 101, 102 spends no code on zero (and a zero in
it has no exact code). Eq. (1) is explained in ``legacy.py``: fused multiply-add (``flavour``), ties
up, the float32 d and minimum. The product in eq. (2) is exact, the sum rounds once.

With an importance, codes, d and m come from a search for the least weighted error:
``legacy_search.py``.

References
----------
ggml ``src/ggml-common.h`` (``block_q4_1``), ``src/ggml-quants.c`` (``quantize_row_q4_1_ref``,
``quantize_row_q4_1_impl``).
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
from refquant.formats.ggml.legacy import FLAVOURS, from_minimum, truncated
from refquant.formats.ggml.legacy_search import encode_weighted, search_minimum

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as Q4_1, uint8 (..., n / 32 * 20): eq. (1).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. ``flavour`` is
    ``reference`` or ``fma``; with an ``importance``, float32 (n,), it has no effect.
    A constant block has d = 0 and codes 0. A range beyond float32 has d = infinity and codes 0; d
    or m beyond 65519 become the half infinity: as in ggml, which later refuses the file.

    >>> x = np.full(32, 1.0, np.float32)
    >>> x[:3], x[16] = (1.25, 8.5, 4.75), 2.0  # d = 0.5, m = 1: codes 1 (tie up), 15, 8 (tie), 2
    >>> encode(x)[:7].tolist()
    [0, 56, 0, 60, 33, 15, 8]
    """
    checked_flavour(flavour, FLAVOURS)

    def block(part: F32) -> U8:
        d, low = from_minimum(part, qmax=15)
        codes = truncated(part - low, d, offset=0.5, qmax=15, flavour=flavour)
        return _packed(d[:, 0], low[:, 0], codes)

    def weighted(part: F32, weights: F32) -> U8:
        return _packed(*search_minimum(part, weights, qmax=15))

    if importance is not None:
        return encode_weighted(x, importance, type="Q4_1", function=weighted)
    return encode_rows(x, type="Q4_1", function=block)


def decode(data: U8) -> F32:
    """Return Q4_1 ``data``, uint8 (..., k * 20), as float32 (..., k * 32): eq. (2).

    >>> data = np.array([0, 56, 0, 60, 0x21, 0x0F, 0x08] + [0] * 13, np.uint8)
    >>> decode(data)[[0, 1, 2, 3, 16]].tolist()
    [1.5, 8.5, 5.0, 1.0, 2.0]
    """

    def block(part: U8) -> F32:
        out = np.empty((len(part), 32), np.float32)
        out[:, :16] = part[:, 4:] & np.uint8(15)
        out[:, 16:] = part[:, 4:] >> np.uint8(4)
        out *= from_half(part[:, :2])[:, None]
        out += from_half(part[:, 2:4])[:, None]
        return out

    return decode_rows(data, type="Q4_1", function=block)


def _packed(d: F32, low: F32, codes: U8) -> U8:
    """Return the bytes of blocks with scales ``d`` (m,), minima (m,) and ``codes`` (m, 32)."""
    return np.concatenate([to_half(d), to_half(low), join_halves(codes)], axis=1)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    d, low = from_minimum(block[None], qmax=15)
    with np.errstate(over="ignore", invalid="ignore"):
        codes = truncated(block - low, d, offset=0.5, qmax=15, flavour="reference")[0]
    high, least, step = number(block.max()), number(low[0, 0]), number(d[0, 0])
    steps = [
        Step("m", f"min of 32 values, {32 - len(values)} of them padding", least),
        Step("d", f"({high} - {least}) / 15, in float32", step),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("m stored", "nearest half", number(from_half(data[2:4]))),
        Step("q", f"min(trunc((x - m) * {number(reciprocal(d)[0, 0])} + 0.5), 15)", "0..15"),
    ]
    shown = [f"{int(q)} = 0b{int(q):04b}" for q in codes]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q4_1",
    title="ggml Q4_1: 4 bits, a scale and a minimum a block of 32",
    bits_per_value=5.0,
    block_size=32,
    layout=(
        "byte 0..1: d, f16\nbyte 2..3: m, f16\nbyte 4 + j: q[j] low nibble, q[j + 16] high nibble"
    ),
    equation="x = d * q + m; m = min x, d = (max x - m) / 15, "
    "q = min(trunc((x - m) * (1/d) + .5), 15)",
    source="ggml src/ggml-quants.c, quantize_row_q4_1_ref",
    explain=_explain,
)
