r"""The search of IQ1_S and IQ1_M: the best split of sorted values into three, then the grid.

A weight becomes -1, 0 or 1, shifted by a common 1/8 up or down, times a scale:

.. math::

    X^+ = (-1, 0, 1) + \tfrac18, \qquad X^- = (-1, 0, 1) - \tfrac18               \tag{1}

Without the grid the best levels are found exactly: in sorted order they are i_1 times -1, then 0,
then 1 from i_2 on. Every (i_1, i_2), 0 <= i_1 <= i_2 <= n, and every shift is tried, in this
order, i_2 inside; the scale of a candidate is a weighted least-squares fit, and it wins if

.. math::

    \langle x q \rangle^2 > \text{best} \cdot \langle q^2 \rangle, \qquad
    s = \langle x q \rangle / \langle q^2 \rangle, \quad
    \text{best} \leftarrow s \langle x q \rangle                                  \tag{2}

with best = -FLT_MAX to begin with. A negative s turns levels and shift around. Groups of eight that
are no point of the grid then take the best of the list of their cell (``iq_nearest.py``, eq. (3)
with weights w and the q of eq. (1)), and s is fitted once more.

Equal values are sorted as they stand (a stable sort, as glibc's ``qsort`` is; C promises none, so
with another C library ggml may write other bytes). -0.0 and 0.0 are equal.

**Left out**: ggml's second search through the whole grid, for groups to which no listed point has a
finite distance: it reads beyond its arrays. Here that is a ``ValueError``.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_iq1_s_impl``, ``quantize_row_iq1_m_impl``,
``iq1_find_best_neighbour2``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.iq_grids import cell_numbers, grid_levels
from refquant.formats.ggml.iq_nearest import best_listed, neighbour_lists
from refquant.formats.ggml.iq_rows import sequential_sum

__all__ = [
    "SHIFTED",
    "Split",
    "TernaryFields",
    "best_split",
    "snap_to_grid",
    "ternary_values",
]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

SHIFTED = np.array([[-0.875, 0.125, 1.125], [-1.125, -0.125, 0.875]], np.float32)
"""Eq. (1): row 0 is shifted up, row 1 down."""
_DISTANCES = 3

Candidate = tuple[int, int, int, F32, F32]


@dataclass(frozen=True, slots=True)
class Split:
    """The best candidate of k sub-blocks.

    ``levels`` 0..2 (k, n), ``shift`` 0..choices - 1 (k,), ``scale`` (k,), 0 or more, and ``found``
    (k,): false where no candidate has a fit, as with weights of 0.
    """

    levels: U8
    shift: I32
    scale: F32
    found: NDArray[np.bool_]

    def only_found(self) -> "Split":
        """Return the sub-blocks that were found."""
        f = self.found
        return Split(self.levels[f], self.shift[f], self.scale[f], f[f])


@dataclass(frozen=True, slots=True)
class TernaryFields:
    """The fields of m blocks before they are packed.

    d ``scale`` (m,), ``codes`` c (m, sub-blocks), ``points`` (m, 32) and ``shifts`` (m, 32), which
    are rows of ``SHIFTED``.
    """

    scale: F32
    codes: I32
    points: I32
    shifts: I32


def best_split(candidates: Iterator[Candidate], order: I32, *, choices: int) -> Split:
    """Return the winner of the ``candidates`` (i_1, i_2, shift, <xq>, <qq>), in order: eq. (2).

    ``order`` (k, n) sorts the values, the sums are (k,). Shift j and shift ``choices`` - 1 - j are
    each other's mirror images.

    >>> one = np.ones(1, np.float32)
    >>> order = np.array([[1, 0, 2]])
    >>> split = best_split(iter([(0, 3, 0, one, one), (1, 2, 1, -2 * one, one)]), order, choices=2)
    >>> split.levels.tolist(), split.shift.tolist(), split.scale.tolist()
    ([[1, 2, 0]], [0], [2.0])
    """
    k, n = order.shape
    best = np.full(k, -np.finfo(np.float32).max, np.float32)
    scale = np.zeros(k, np.float32)
    chosen = np.full((3, k), -1, np.int32)
    for first, second, shift, xq, qq in candidates:
        better = (qq > 0) & (xq * xq > best * qq)
        if better.any():
            fitted = xq / qq
            np.copyto(scale, fitted, where=better)
            np.copyto(best, fitted * xq, where=better)
            chosen[:, better] = np.array([[first], [second], [shift]], np.int32)
    rank = np.arange(n)
    by_rank = (rank >= chosen[0, :, None]).astype(np.uint8) + (rank >= chosen[1, :, None])
    levels = np.empty((k, n), np.uint8)
    np.put_along_axis(levels, order, by_rank.astype(np.uint8), axis=1)
    turned = scale < 0
    levels = np.where(turned[:, None], 2 - levels, levels).astype(np.uint8)
    shift_of = np.where(turned, choices - 1 - chosen[2], chosen[2])
    return Split(levels, np.asarray(shift_of, np.int32), np.abs(scale), chosen[0] >= 0)


def snap_to_grid(x: F32, weights: F32, split: Split, shifts: I32) -> tuple[I32, F32]:
    """Return the points (k, groups) and the scale fitted again (k,) of sub-blocks ``x`` (k, n).

    ``shifts`` (k, groups) is the row of ``SHIFTED`` of each group of eight.

    >>> x = np.array([[-1, 1, 0, 0, 0, 0, 0, 0]], np.float32)
    >>> levels = (x + 1).astype(np.uint8)
    >>> split = Split(levels, np.zeros(1, np.int32), np.ones(1, np.float32), np.ones(1, bool))
    >>> points, scale = snap_to_grid(x, np.ones_like(x), split, np.zeros((1, 1), np.int32))
    >>> (grid_levels("iq1")[points[0, 0]].astype(int) - 1).tolist(), scale.tolist()
    ([-1, 1, 0, 0, 0, 0, 0, 0], [1.0])
    """
    groups = x.reshape(*shifts.shape, 8)
    weighed = weights.reshape(groups.shape)
    cells = cell_numbers(split.levels.reshape(groups.shape), base=3)
    points = neighbour_lists("iq1", distances=_DISTANCES).point[cells]
    off = points < 0
    scales = np.broadcast_to(split.scale[:, None], off.shape)
    for row in (0, 1):
        part = off & (shifts == row)
        if part.any():
            points[part] = best_listed(
                cells[part], groups[part], weighed[part], scales[part], q=SHIFTED[row], name="iq1",
                distances=_DISTANCES,
            )  # fmt: skip
    levels = grid_levels("iq1")[points]
    q = SHIFTED[shifts[:, :, None], levels].reshape(x.shape)
    xq, qq = sequential_sum(weights * q * x), sequential_sum(weights * q * q)
    again = off.any(axis=1) & (xq > 0) & (qq > 0)
    return points, np.where(again, xq / qq, split.scale)


def ternary_values(fields: TernaryFields) -> F32:
    """Return d (2 c + 1) (g +- 1/8), float32 (m, 256): at most 19 bits, so exactly.

    >>> zeros = np.zeros((1, 32), np.int32)
    >>> fields = TernaryFields(np.ones(1, np.float32), np.ones((1, 8), np.int32), zeros, zeros)
    >>> ternary_values(fields)[0, :2].tolist()
    [-2.625, -2.625]
    """
    scales = fields.scale[:, None] * (2 * fields.codes + 1).astype(np.float32)
    q = SHIFTED[fields.shifts[:, :, None], grid_levels("iq1")[fields.points]]
    return (scales[:, :, None] * q.reshape(*scales.shape, -1)).reshape(-1, 256)
