r"""Q5_1: Q4_1 with a fifth bit. 32 weights in 24 bytes, a scale and a minimum.

LAYOUT, 24 bytes for 32 values::

      byte 0      2           4                8                                  24
      +-----------+-----------+----------------+-------------+-   -+-------------+
      | d: f16 LE | m: f16 LE | qh: 32 bits LE | q[16]  q[0] | ... | q[31] q[15] |
      +-----------+-----------+----------------+-------------+-   -+-------------+

      bit i of qh is bit 4 of q[i]; the nibbles are bits 0..3, in split halves

.. math::

    d &= (\max x \ominus \min x) \oslash 31, \quad
        q = \lfloor (x \ominus \min x) \otimes d^{-1} \oplus \tfrac12 \rfloor \tag{1} \\
    \hat x &= \mathrm{half}(d) \otimes q \oplus \mathrm{half}(m), \quad m = \min x \tag{2}

Eq. (1) is explained in ``legacy.py``: fused multiply-add (``flavour``), ties up, the float32 d and
minimum. C keeps the low five bits instead of a minimum with 31; the largest x gives
31.5 + 2^-18 at most, so there is no difference.

With an importance, codes, d and m come from a search for the least weighted error:
``legacy_search.py``.

References
----------
ggml ``src/ggml-common.h`` (``block_q5_1``), ``src/ggml-quants.c`` (``quantize_row_q5_1_ref``,
``quantize_row_q5_1_impl``).
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
    from_minimum,
    join_fifth,
    split_fifth,
    truncated,
)
from refquant.formats.ggml.legacy_search import encode_weighted, search_minimum

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as Q5_1, uint8 (..., n / 32 * 24): eq. (1).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. ``flavour`` is
    ``reference`` or ``fma``; with an ``importance``, float32 (n,), it has no effect.
    A constant block has d = 0 and codes 0. A range beyond float32 has d = infinity and codes 0; d
    or m beyond 65519 become the half infinity: as in ggml, which later refuses the file.

    >>> x = np.full(32, 1.0, np.float32)
    >>> x[:3], x[16] = (1.25, 16.5, 4.75), 2.0  # d = 0.5, m = 1: codes 1 (tie up), 31, 8 (tie), 2
    >>> encode(x)[:11].tolist()
    [0, 56, 0, 60, 2, 0, 0, 0, 33, 15, 8]
    """
    checked_flavour(flavour, FLAVOURS)

    def block(part: F32) -> U8:
        d, low = from_minimum(part, qmax=31)
        codes = truncated(part - low, d, offset=0.5, qmax=31, flavour=flavour)
        return _packed(d[:, 0], low[:, 0], codes)

    def weighted(part: F32, weights: F32) -> U8:
        return _packed(*search_minimum(part, weights, qmax=31))

    if importance is not None:
        return encode_weighted(x, importance, type="Q5_1", function=weighted)
    return encode_rows(x, type="Q5_1", function=block)


def decode(data: U8) -> F32:
    """Return Q5_1 ``data``, uint8 (..., k * 24), as float32 (..., k * 32): eq. (2).

    >>> data = np.array([0, 56, 0, 60, 2, 0, 0, 0, 0x21, 0x0F, 0x08] + [0] * 13, np.uint8)
    >>> decode(data)[[0, 1, 2, 3, 16]].tolist()
    [1.5, 16.5, 5.0, 1.0, 2.0]
    """

    def block(part: U8) -> F32:
        out = join_fifth(split_halves(part[:, 8:]), part[:, 4:8]).astype(np.float32)
        out *= from_half(part[:, :2])[:, None]
        out += from_half(part[:, 2:4])[:, None]
        return out

    return decode_rows(data, type="Q5_1", function=block)


def _packed(d: F32, low: F32, codes: U8) -> U8:
    """Return the bytes of blocks with scales ``d`` (m,), minima (m,) and ``codes`` (m, 32)."""
    nibbles, fifth = split_fifth(codes)
    return np.concatenate([to_half(d), to_half(low), fifth, join_halves(nibbles)], axis=1)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    d, low = from_minimum(block[None], qmax=31)
    with np.errstate(over="ignore", invalid="ignore"):
        codes = truncated(block - low, d, offset=0.5, qmax=31, flavour="reference")[0]
    high, least, step = number(block.max()), number(low[0, 0]), number(d[0, 0])
    steps = [
        Step("m", f"min of 32 values, {32 - len(values)} of them padding", least),
        Step("d", f"({high} - {least}) / 31, in float32", step),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("m stored", "nearest half", number(from_half(data[2:4]))),
        Step("q", f"trunc((x - m) * {number(reciprocal(d)[0, 0])} + 0.5)", "0..31"),
    ]
    shown = [f"{int(q)} = 0b{int(q) >> 4}_{int(q) & 15:04b}" for q in codes]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q5_1",
    title="ggml Q5_1: 5 bits, a scale and a minimum a block of 32",
    bits_per_value=6.0,
    block_size=32,
    layout=(
        "byte 0..1: d, f16\nbyte 2..3: m, f16\nbyte 4..7: bit 4 of q[i] is bit i, little-endian\n"
        "byte 8 + j: bits 0..3 of q[j] low nibble, of q[j + 16] high nibble"
    ),
    equation="x = d * q + m; m = min x, d = (max x - m) / 31, q = trunc((x - m) * (1/d) + .5)",
    source="ggml src/ggml-quants.c, quantize_row_q5_1_ref",
    explain=_explain,
)
