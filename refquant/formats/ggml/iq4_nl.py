r"""IQ4_NL: 4.5 bits a weight, sixteen values that are dense near zero.

The need: Q4_0 has sixteen evenly spaced values, but weights are mostly small. Here a code is the
number of one of sixteen integers, spaced 12 apart in the middle and 24 at the ends, and 32 of them
share a half::

    byte 0          2                                             18
         +----------+---------+---------+--       --+---------+
         | d, half  | q0, q16 | q1, q17 |    ...    | q15, 31 |    low nibble first, split halves
         +----------+---------+---------+--       --+---------+

.. math::

    \hat x = d \cdot V_q, \qquad V = (-127, -104, -83, -65, -49, -35, -22, -10,
        1, 13, 25, 38, 53, 69, 89, 113)                                           \tag{1}

There is **no zero**: V has 1 instead. The sign of d is free: the end that reaches 127 is for the
value of largest magnitude, m. The encoder tries 1 + 15 scales, first d = -m / V_0, then

.. math::

    1 / d_t = (t + V_0) / m, \qquad t = -7, \dots, 7                              \tag{2}

gives each x the nearest V (eq. 3), and fits d to it by weighted least squares,

.. math::

    q_i &= k \text{ of the } V_k \text{ nearest to } x_i / d_t, \text{ of two the upper}  \tag{3} \\
    d &= \langle V x \rangle / \langle V^2 \rangle, \qquad
        \langle V x \rangle^2 > \text{best} \cdot \langle V^2 \rangle \text{ wins}  \tag{4}

with the weights of ``iq_rows.py``, eq. (2), f = 2 over the block's 32 values; x^2 without
importance. At the end the codes are chosen once more, by the float32 d, and d is rounded to a half.
All float32, sums from left to right. Left out: ggml's ``quantize_row_iq4_nl_ref``, without trials.

References
----------
ggml ``src/ggml-common.h`` (``block_iq4_nl``, ``kvalues_iq4nl``), ``src/ggml-quants.c``
(``dequantize_row_iq4_nl``, ``quantize_row_iq4_nl_impl``, ``best_index_int8``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.ggml.blocks import (
    decode_rows,
    from_half,
    join_halves,
    reciprocal,
    split_halves,
    to_half,
)
from refquant.formats.ggml.iq_card import padding_step
from refquant.formats.ggml.iq_rows import encode_weighted, sequential_sum

__all__ = ["CARD", "VALUES", "decode", "encode", "fit_scales", "nearest_values"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

VALUES = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)
VALUES.flags.writeable = False
_TRIALS = 7
_SMALLEST = np.float32(1e-15)  # a block whose largest magnitude is below has scale 0


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 32 * 18), with ggml's search.

    ``importance`` is None or float32 (n,), finite, not negative. ``ValueError`` if n is no multiple
    of 32 or ``x`` is not finite. A block of zeros has scale 0 and, as in ggml, the codes of 0 / 0:
    8. A scale beyond 65504 becomes infinity.

    >>> data = encode(np.array([-127, 89, 1, 0] + 28 * [1], np.float32))
    >>> data[:6].tolist(), decode(data)[:4].tolist()
    ([0, 60, 128, 142, 136, 136], [-127.0, 89.0, 1.0, 1.0])
    """
    return encode_weighted(x, importance, type="IQ4_NL", function=_encode)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 18) as float32 (..., k * 32): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> decode(np.array([0, 60] + 16 * [0x8F], np.uint8))[[0, 16]].tolist()
    [113.0, 1.0]
    """
    return decode_rows(data, type="IQ4_NL", function=_decode)


def nearest_values(x: F32) -> U8:
    """Return the code of the value nearest to each ``x``, any shape: eq. (3).

    The distances are float32 differences, which are exact or far from a tie. A NaN has code 15.

    >>> nearest_values(np.array([-200, -115.5, 0.0, 7.0, np.inf], np.float32)).tolist()
    [0, 1, 8, 9, 15]
    """
    upper = np.clip(np.searchsorted(VALUES, x, side="right"), 1, 15)
    lower_is_nearer = x - VALUES[upper - 1] < VALUES[upper] - x
    return np.asarray(upper - lower_is_nearer, np.uint8)


def fit_scales(x: F32, weights: F32) -> F32:
    """Return the best scale of each block, (m,) of (m, 32), by eq. (2) to (4); 0 for zeros.

    >>> fit_scales(np.array([[-254, 178, 2, 2]], np.float32), np.ones((1, 4), np.float32)).tolist()
    [2.0]
    """
    first = np.argmax(np.abs(x), axis=-1)[:, None]
    largest = np.take_along_axis(x, first, axis=-1)[:, 0]
    xv, vv = _sums(x, weights, np.float32(1) / (-largest / VALUES[0]))
    scale = np.where(vv > 0, xv / vv, np.float32(0))
    best = scale * xv
    for t in range(-_TRIALS, _TRIALS + 1):
        xv, vv = _sums(x, weights, (np.float32(t) + VALUES[0]) / largest)
        better = (vv > 0) & (xv * xv > best * vv)
        scale = np.where(better, xv / vv, scale)
        best = np.where(better, scale * xv, best)
    return np.where(np.abs(largest) < _SMALLEST, np.float32(0), scale)


def _sums(x: F32, weights: F32, inverse: F32) -> tuple[F32, F32]:
    """Return the two sums of eq. (4) for the codes at one inverse scale a block."""
    v = VALUES[nearest_values(inverse[:, None] * x)]
    return sequential_sum(weights * v * x), sequential_sum(weights * v * v)


def _encode(x: F32, importance: F32 | None) -> U8:
    weights = x * x
    if importance is not None:
        square = sequential_sum(weights)[:, None] * np.float32(2 / 32)
        weights = importance * np.sqrt(square + weights)
    scale = fit_scales(x, weights)
    codes = nearest_values(reciprocal(scale)[:, None] * x)
    return np.concatenate([to_half(scale), join_halves(codes)], axis=-1)


def _decode(blocks: U8) -> F32:
    return from_half(blocks[:, :2])[:, None] * VALUES[split_halves(blocks[:, 2:])]


def _explain(x: F32) -> Sequence[Step]:
    data = encode(padded_block(x, block_size=32))
    codes = split_halves(data[2:])
    steps = [*padding_step(x, block_size=32)]
    steps.append(Step("d", "the best of 16 scales, as a half", number(from_half(data[:2]))))
    shown = [f"0b{code:04b}, d * {VALUES[code]:.0f}" for code in codes[: len(x)].tolist()]
    return [*steps, *value_steps(x, shown, decode(data))]


CARD = Card(
    name="iq4_nl",
    title="IQ4_NL: 4.5 bits, sixteen uneven values",
    bits_per_value=4.5,
    block_size=32,
    layout="d f16 | 16 x u8: codes j (low nibble) and j + 16",
    equation="x = d * V[q], V = -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113",
    source="ggml src/ggml-common.h (block_iq4_nl, kvalues_iq4nl), src/ggml-quants.c",
    explain=_explain,
)
