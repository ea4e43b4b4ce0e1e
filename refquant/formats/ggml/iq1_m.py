r"""IQ1_M: 1.75 bits a weight, the levels of IQ1_S with a scale for 16 and a shift for 8.

The need: better than IQ1_S at 1.5 bits, by smaller sub-blocks. There is no room for the half d: its
sixteen bits are **scattered** over the top bits of the four words that hold the scales::

    byte 0                      32                    48            56
         +---------------------+---------------------+-------------+
         | 32 x low 8 bits     | 16 bytes, high bits | 4 x u16, sc |
         +---------------------+---------------------+-------------+
    byte 32 + k: bits 0-2 and 4-6 are bits 8-10 of the points of groups 2 k and 2 k + 1, bits 3
    and 7 their shifts, 1 for down
    sc_j: bits 0-2, 3-5, 6-8, 9-11 are c of the sub-blocks 4 j to 4 j + 3, of 16 weights each;
    bits 12-15 are bits 4 j to 4 j + 3 of d

.. math::

    \hat x = d \cdot (2 c + 1) \cdot (g \pm \tfrac18), \qquad g \in \{-1, 0, 1\}    \tag{1}

The encoder finds the best split of each sub-block's sorted values with each of the four pairs of
shifts (``iq_ternary.py``): up up, up down, down up, down down. Then c is chosen as in IQ1_S, and d
is fitted to all 256 weights; 1.1125 times that d is stored.

The sums of a candidate, in float32, depend on their order, and ggml changed it in September 2026:

* ``reference``: each candidate's terms (w q) x and (w q) q one after the other, in sorted order;
* ``prefix_sums``: per half h of the sub-block, with A and B the prefix sums of w x and w,

  .. math::

    \langle x q \rangle_h &= A_n X_2 - (A_{i_1} + A_{i_2}) \tag{2} \\
    \langle q^2 \rangle_h &= B_n X_2^2 + B_{i_1} (X_0^2 - X_1^2) + B_{i_2} (X_1^2 - X_2^2) \tag{3}

Measured: 10 of 5000 random blocks differ, more where values repeat. There is **no zero**: a
sub-block of zeros is point 0, all -1, so that in a block with other numbers zeros decode to
-0.875 d. Left out: nothing.

References
----------
ggml ``src/ggml-common.h`` (``block_iq1_m``, ``iq1m_scale_t``), ``src/ggml-quants.c``
(``dequantize_row_iq1_m``, ``quantize_row_iq1_m_impl``); llama.cpp pull request 28706.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import checked_flavour, decode_rows, from_half, to_half
from refquant.formats.ggml.iq_card import ternary_steps
from refquant.formats.ggml.iq_grids import grid_levels
from refquant.formats.ggml.iq_rows import (
    encode_weighted,
    search_weights,
    sequential_sum,
    sub_scale_codes,
)
from refquant.formats.ggml.iq_ternary import (
    SHIFTED,
    Candidate,
    TernaryFields,
    best_split,
    snap_to_grid,
    ternary_values,
)

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

FLAVOURS = ("reference", "prefix_sums")
_SMALLEST = np.float32(1e-7)  # a sub-block whose largest magnitude is below has scale 0
_PAIRS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32)  # rows of SHIFTED of the two groups
_TRIPLES = np.array([0, 3, 6, 9], np.int32)  # where three bits of a u16 begin
_NIBBLES = np.array([0, 4, 8, 12], np.int32)  # where four bits of d begin


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return ``x``, float32 (..., n), as uint8 (..., n / 256 * 56), with ggml's search.

    ``importance`` is None or float32 (n,), finite, not negative. ``flavour`` is the order of the
    sums: ``reference`` (ggml until August 2026) or ``prefix_sums`` (since). ``ValueError`` if n is
    no multiple of 256, ``x`` is not finite, or its squares leave float32 so far that ggml aborts. A
    block of zeros is bytes of zero; a scale beyond 65504 becomes infinity.

    >>> x = np.tile(np.array([-0.875, 0.125, 1.125, 0.125], np.float32), 64)
    >>> decode(encode(x))[:4].tolist()
    [-0.9701156616210938, 0.13858795166015625, 1.2472915649414062, 0.13858795166015625]
    """
    sums = {"reference": _direct, "prefix_sums": _by_prefix}[checked_flavour(flavour, FLAVOURS)]

    def function(blocks: F32, weights: F32 | None) -> U8:
        w = search_weights(blocks, weights, factor=2).reshape(-1, 16)
        values = blocks.reshape(-1, 16)
        live = np.flatnonzero(np.abs(values).max(axis=1) >= _SMALLEST)
        order = np.argsort(values[live], axis=1, kind="stable").astype(np.int32)
        split = best_split(sums(values[live], w[live], order), order, choices=4)
        live, split = live[split.found], split.only_found()
        scales = np.zeros(len(values), np.float32)
        points, shifts = np.zeros((len(values), 2), np.int32), np.zeros((len(values), 2), np.int32)
        shifts[live] = _PAIRS[split.shift]
        points[live], scales[live] = snap_to_grid(values[live], w[live], split, shifts[live])
        return _pack(values, w, scales, points, shifts)

    return encode_weighted(x, importance, type="IQ1_M", function=function)


def decode(data: U8) -> F32:
    """Return uint8 (..., k * 56) as float32 (..., k * 256): eq. (1), exactly.

    Any bytes mean something; a d of infinity or NaN passes into the values.

    >>> data = np.zeros(56, np.uint8)
    >>> data[[0, 32, 53, 55]] = [1, 0b1000, 0xC0, 0x30]  # point 1, down; d = 0x3C00 = 1
    >>> data[48] = 1  # c = 1
    >>> decode(data)[[0, 1, 8]].tolist()
    [2.625, -3.375, -2.625]
    """
    return decode_rows(data, type="IQ1_M", function=_decode)


def _direct(x: F32, weights: F32, order: I32) -> Iterator[Candidate]:
    """Yield all splits with sums of terms in sorted order, for sub-blocks (k, 16)."""
    w = np.take_along_axis(weights, order, axis=1).T[:, None, :]
    v = np.take_along_axis(x, order, axis=1).T[:, None, :]
    # q of [level][rank, pair of shifts, sub-block]: the shift is that of the value's group of eight
    row = _PAIRS[:, (order // 8).T].transpose(1, 0, 2)
    q = [SHIFTED[row, level] for level in range(3)]
    terms = [np.stack([w * each * v, w * each * each]) for each in q]  # (2, rank, pair, k)
    n = x.shape[1]
    to_first = np.zeros((2, 4, len(x)), np.float32)
    for i in range(n + 1):
        to_second = to_first
        for j in range(i, n + 1):
            sums = to_second
            for rank in range(j, n):
                sums = sums + terms[2][:, rank]
            for pair in range(4):
                yield i, j, pair, sums[0, pair], sums[1, pair]
            if j < n:
                to_second = to_second + terms[1][:, j]
        if i < n:
            to_first = to_first + terms[0][:, i]


def _by_prefix(x: F32, weights: F32, order: I32) -> Iterator[Candidate]:
    """Yield all splits with the sums of eq. (2) and (3), for sub-blocks (k, 16)."""
    w = np.take_along_axis(weights, order, axis=1).T
    wx = w * np.take_along_axis(x, order, axis=1).T
    group, n, start = (order // 8).T, x.shape[1], np.zeros((1, len(x)), np.float32)
    a, b = (
        [
            np.concatenate([start, np.add.accumulate(np.where(group == h, part, 0), axis=0)])
            for h in (0, 1)
        ]
        for part in (wx, w)
    )
    square = SHIFTED * SHIFTED
    for i in range(n + 1):
        for j in range(i, n + 1):
            xq, qq = np.empty((2, 2, 2, len(x)), np.float32)  # [half, row of SHIFTED]
            for h in (0, 1):
                inner = a[h][i] + a[h][j]
                for row in (0, 1):
                    first, second, third = square[row]
                    last = SHIFTED[row, 2]
                    xq[h, row] = a[h][n] * last - inner
                    qq[h, row] = b[h][n] * last * last + b[h][i] * (first - second)
                    qq[h, row] += b[h][j] * (second - third)
            for pair, (left, right) in enumerate(_PAIRS):
                yield i, j, pair, xq[0, left] + xq[1, right], qq[0, left] + qq[1, right]


def _pack(x: F32, weights: F32, scales: F32, points: I32, shifts: I32) -> U8:
    """Return the bytes of blocks, from sub-blocks (16 m, 16) and what was found for them."""
    d, codes = sub_scale_codes(scales.reshape(-1, 16), top=15)
    odd = (2 * codes + 1).astype(np.float32).reshape(-1, 1, 1)
    q = SHIFTED[shifts[:, :, None], grid_levels("iq1")[points]] * odd
    q, w, x = (part.reshape(-1, 256) for part in (q, weights, x))
    xq, qq = sequential_sum(w * q * x), sequential_sum(w * q * q)
    fitted = np.where(qq > 0, xq / qq, d) * np.float32(1.1125)
    used = d > 0
    half = to_half(np.where(used, fitted, np.float32(0))).view("<u2").astype(np.int32)

    words = np.bitwise_or.reduce(codes.reshape(-1, 4, 4) << _TRIPLES, axis=-1)
    words |= ((half >> _NIBBLES) & 15) << 12
    down = shifts.reshape(-1, 16, 2) * used[:, None, None]
    nibbles = (points >> 8).reshape(-1, 16, 2) | (down << 3)
    high = nibbles[:, :, 0] | (nibbles[:, :, 1] << 4)
    parts = [points.reshape(-1, 32) & 255, high, words.astype("<u2").view(np.uint8)]
    return np.concatenate([part.astype(np.uint8) for part in parts], axis=-1)


def _unpack(blocks: U8) -> TernaryFields:
    words = np.ascontiguousarray(blocks[:, 48:]).view("<u2").astype(np.int32)
    half = np.bitwise_or.reduce((words >> 12) << _NIBBLES, axis=-1).astype("<u2")
    codes = ((words[:, :, None] >> _TRIPLES) & 7).reshape(-1, 16)
    nibbles = np.stack([blocks[:, 32:48] & 15, blocks[:, 32:48] >> 4], axis=-1).reshape(-1, 32)
    points = blocks[:, :32].astype(np.int32) | ((nibbles.astype(np.int32) & 7) << 8)
    scale = from_half(half[:, None].view(np.uint8))
    return TernaryFields(scale, codes, points, (nibbles >> 3).astype(np.int32))


def _decode(blocks: U8) -> F32:
    return ternary_values(_unpack(blocks))


def _explain(x: F32) -> Sequence[Step]:
    return ternary_steps(
        x, encode=encode, unpack=_unpack, how="1.1125 * (a fit to the whole block), as a half"
    )


CARD = Card(
    name="iq1_m",
    title="IQ1_M: 1.75 bits, three levels with a shift",
    bits_per_value=1.75,
    block_size=256,
    layout="32 low bytes of points | 16 x 2 x (3 high bits, shift) | 4 x u16: 4 x c, 4 bits of d",
    equation="x = d * (2 c + 1) * ({-1, 0, 1} +- 1/8)",
    source="ggml src/ggml-common.h (block_iq1_m, iq1m_scale_t), src/ggml-quants.c",
    explain=_explain,
)
