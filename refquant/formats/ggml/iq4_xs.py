r"""IQ4_XS: 4.25 bits a weight, the values of IQ4_NL with 6-bit scales in blocks of 256.

The need: IQ4_NL pays half a bit a weight for its scales. Here eight sub-blocks of 32 have 6-bit
scales l and share one half: a quarter of a bit::

    byte 0          2            4             8                          136
         +----------+------------+-------------+----------+--    --+----------+
         | d, half  | high, u16  | low, 4 x u8 | 16 bytes |  ...   | 16 bytes |
         +----------+------------+-------------+----------+--    --+----------+
    bits 2 k, 2 k + 1 of "high" are bits 4, 5 of l_k; byte k / 2 of "low" has bits 0-3 of l_k
    (k even) in its low nibble; the codes of a sub-block are split halves as in IQ4_NL

.. math::

    \hat x = d \cdot (l - 32) \cdot V_q                                           \tag{1}

The encoder fits a scale s to every sub-block as IQ4_NL does (``iq4_nl.py``; the weights see the
mean square of all 256), and takes the one of largest magnitude, S, the first of several, for

.. math::

    d = -S / 32, \qquad
    l - 32 = \operatorname{clamp}(\operatorname{nearest\_int}(s / d),\ -32,\ 31)    \tag{2}

so that the largest is -32 exactly, with s / d as s times the float32 1 / d. The codes are then
chosen again by the float32 d (l - 32). A sub-block of scale 0 has all codes 8. All float32.
Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq4_xs``), ``src/ggml-quants.c`` (``dequantize_row_iq4_xs``,
``quantize_row_iq4_nl_impl``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.ggml.blocks import (
    decode_rows,
    from_half,
    join_halves,
    nearest_int,
    reciprocal,
    split_halves,
    to_half,
)
from refquant.formats.ggml.iq4_nl import VALUES, fit_scales, nearest_values
from refquant.formats.ggml.iq_card import padding_step
from refquant.formats.ggml.iq_rows import encode_weighted, sequential_sum

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

_PAIRS = np.arange(0, 16, 2, dtype=np.int32)  # where the high bits of l_k begin


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 136), with ggml's search.

    ``importance`` is None or float32 (n,), finite, not negative. ``ValueError`` if n is no multiple
    of 256 or ``x`` is not finite. A block of zeros has d = -0.0, l = 32 and codes 8, and so has one
    whose squares are beyond float32. A scale beyond 65504 becomes infinity.

    >>> x = np.repeat(np.array([32, 16, -1, 0, 0, 0, 0, 0], np.float32), 32) * np.float32(127)
    >>> data = encode(x)  # the fit ends a bit above 1
    >>> data[:8].tolist(), decode(data)[[0, 32, 64]].tolist()
    ([127, 188, 164, 170, 0, 1, 0, 0], [4064.46875, 2032.234375, -127.0146484375])
    """
    return encode_weighted(x, importance, type="IQ4_XS", function=_encode)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 136) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(136, np.uint8)
    >>> data[[1, 2, 4, 8]] = [60, 2, 1, 15]  # d = 1, l_0 = 33, first code 15
    >>> decode(data)[[0, 1, 32]].tolist()
    [113.0, -127.0, 4064.0]
    """
    return decode_rows(data, type="IQ4_XS", function=_decode)


def _encode(x: F32, importance: F32 | None) -> U8:
    weights = x * x
    if importance is not None:
        square = sequential_sum(weights)[:, None] * np.float32(2 / 256)
        weights = importance * np.sqrt(square + weights)
    sub_blocks = x.reshape(-1, 8, 32)
    scales = fit_scales(x.reshape(-1, 32), weights.reshape(-1, 32)).reshape(-1, 8)
    known = np.where(np.abs(scales) > 0, scales, np.float32(0))  # no NaN is the largest
    first = np.argmax(np.abs(known), axis=-1)[:, None]
    d = np.asarray(-np.take_along_axis(known, first, axis=-1) / np.float32(32), np.float32)
    multiple = np.clip(nearest_int(reciprocal(d) * scales), -32, 31)  # eq. (2)
    inverse = reciprocal(d * multiple.astype(np.float32))
    codes = nearest_values(inverse[:, :, None] * sub_blocks)
    stored = multiple + 32
    high = np.bitwise_or.reduce((stored >> 4) << _PAIRS, axis=-1).astype("<u2")
    low = ((stored[:, ::2] & 15) | ((stored[:, 1::2] & 15) << 4)).astype(np.uint8)
    half = to_half(d[:, 0])
    return np.concatenate(
        [half, high[:, None].view(np.uint8), low, join_halves(codes).reshape(-1, 128)], axis=-1
    )


def _multiples(blocks: U8) -> I32:
    """Return l - 32 of each sub-block, (m, 8)."""
    high = np.ascontiguousarray(blocks[:, 2:4]).view("<u2").astype(np.int32)
    low = np.stack([blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4], axis=-1).reshape(-1, 8)
    return np.asarray((low | (((high >> _PAIRS) & 3) << 4)) - 32, np.int32)


def _decode(blocks: U8) -> F32:
    scales = from_half(blocks[:, :2])[:, None] * _multiples(blocks).astype(np.float32)
    values = VALUES[split_halves(blocks[:, 8:].reshape(-1, 8, 16))]
    return np.asarray(scales[:, :, None] * values, np.float32).reshape(-1, 256)


def _explain(x: F32) -> Sequence[Step]:
    data = encode(padded_block(x, block_size=256))
    codes = split_halves(data[8:].reshape(8, 16)).reshape(256)
    d, multiples = from_half(data[:2]), _multiples(data.reshape(1, -1))[0]
    steps = [*padding_step(x, block_size=256)]
    steps.append(Step("d", "-(the largest sub-block's scale) / 32, as a half", number(d)))
    for k in range(-(-len(x) // 32)):
        steps.append(Step(f"sub-scale[{k}]", f"d * {multiples[k]}", number(d * multiples[k])))
    shown = [
        f"0b{code:04b}, sub-scale[{i // 32}] * {VALUES[code]:.0f}"
        for i, code in enumerate(codes[: len(x)].tolist())
    ]
    return [*steps, *value_steps(x, shown, decode(data))]


CARD = Card(
    name="iq4_xs",
    title="IQ4_XS: 4.25 bits, uneven values, 6-bit scales",
    bits_per_value=4.25,
    block_size=256,
    layout="d f16 | u16: 8 x 2 high bits of l | 4 x u8: two low nibbles | 8 x 16 bytes of codes",
    equation="x = d * (l - 32) * V[q], V as in iq4_nl",
    source="ggml src/ggml-common.h (block_iq4_xs), src/ggml-quants.c",
    explain=_explain,
)
