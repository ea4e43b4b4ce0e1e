r"""The nearest grid point, as ggml looks for it: round, look up, and try a short list.

Of values x, the encoder first takes the nearest odd levels q = 2 l + 1 for the inverse scale
:math:`\kappa`,

.. math::

    l_i = \operatorname{clamp}(\operatorname{nearest\_int}((\kappa x_i - 1)/2),\ 0,\ b - 1) \tag{1}

Where the point is in the grid, that is the answer. Where it is not, the point is chosen from a
list made beforehand for that cell: the grid's points of the N *smallest distinct* distances

.. math::

    \delta(\ell, \ell') = \sum_i (\ell_i - \ell'_i)^2                             \tag{2}

by distance, then by number; N is 1, 2 or 3 by type. From the list the first of the least

.. math::

    D = \sum_i (v_i (s q_i - x_i)) (s q_i - x_i)                                  \tag{3}

in float32, in this order. So the answer need not be the nearest point of the grid: if x is at the
edge of its cell, or its weights v differ much, a point outside the list may be nearer. With the
scales of all-zero weights every D is 0 and the first of the list is taken.

**Left out**: the abort. Where no D is below the largest float32, ggml stops the process; this is a
``ValueError`` here.

References
----------
ggml ``src/ggml-quants.c``: ``iq2xs_init_impl``, ``iq3xs_init_impl``, ``iq2_find_best_neighbour``,
``iq3_find_best_neighbour``, ``iq1_find_best_neighbour2``.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import nearest_int
from refquant.formats.ggml.iq_grids import GRIDS, cell_numbers, grid_levels

__all__ = ["NeighbourLists", "best_listed", "nearest_points", "neighbour_lists"]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Bools = NDArray[np.bool_]

_CHUNK = 1 << 15  # candidates compared at a time: temporaries of that size stay in the cache


@dataclass(frozen=True, slots=True)
class NeighbourLists:
    """What to do with each cell of a grid.

    ``point`` (cells,) is its number or -1. The candidates of cell c are
    ``listed[first[c] : first[c] + count[c]]``.
    """

    point: I32
    first: I32
    count: I32
    listed: I32


@cache
def neighbour_lists(name: str, *, distances: int) -> NeighbourLists:
    """Return the lists of the grid ``name`` for N = ``distances``: eq. (2).

    >>> lists = neighbour_lists("iq3_xxs", distances=2)
    >>> int(lists.point[2]), int(lists.point[1])  # (2, 0, 0, 0) is point 1, (1, 0, 0, 0) is none
    (1, -1)
    >>> first = int(lists.first[1])
    >>> lists.listed[first : first + int(lists.count[1])].tolist()
    [0, 1, 3, 12, 58, 14, 15, 60, 61, 69, 70, 71]
    """
    grid, points = GRIDS[name], grid_levels(name)
    cells = np.arange(grid.levels**grid.dimensions)
    levels = np.stack([(cells // grid.levels**i) % grid.levels for i in range(grid.dimensions)], 1)
    point = np.full(len(cells), -1, np.int32)
    point[cell_numbers(points, base=grid.levels)] = np.arange(grid.size)

    away = np.zeros((len(cells), grid.size), np.int16)  # eq. (2)
    for axis in range(grid.dimensions):
        away += (levels[:, axis, None] - points[None, :, axis].astype(np.int64)).astype(
            np.int16
        ) ** 2
    limit = np.full((len(cells), 1), -1, np.int16)
    for _ in range(distances):
        limit = np.where(away > limit, away, np.int16(32767)).min(axis=1, keepdims=True)
    away[point >= 0] = 32767  # a point of the grid needs no list
    row, column = np.nonzero(away <= np.minimum(limit, 32766))
    order = np.lexsort((column, away[row, column], row))
    count = np.bincount(row, minlength=len(cells)).astype(np.int32)
    first = (np.cumsum(count) - count).astype(np.int32)
    return NeighbourLists(point, first, count, column[order].astype(np.int32))


def best_listed(
    cells: I32, x: F32, weights: F32, scale: F32, *, q: F32, name: str, distances: int
) -> I32:
    """Return for each of k groups the best point of its cell's list: eq. (3), int32 (k,).

    ``x`` and ``weights`` are (k, d), ``scale`` (k,), ``q`` (levels,) what each level stands for.

    >>> x, one = np.array([[3.4, 1, 1, 1]], np.float32), np.ones((1, 4), np.float32)
    >>> q = np.arange(1, 16, 2).astype(np.float32)
    >>> best_listed(np.array([1]), x, one, one[0, :1], q=q, name="iq3_xxs", distances=2).tolist()
    [1]
    """
    lists = neighbour_lists(name, distances=distances)
    chosen = np.empty(len(cells), np.int32)
    order = np.argsort(lists.count[cells], kind="stable")  # lists of like length together
    start = 0
    while start < len(order):
        longest = int(lists.count[cells[order[min(start + 255, len(order) - 1)]]])
        part = order[start : start + max(256, _CHUNK // max(longest, 64))]
        counts = lists.count[cells[part], None]
        places = np.minimum(np.arange(int(counts.max())), counts - 1)  # the last one fills up
        candidates = lists.listed[lists.first[cells[part], None] + places]
        apart = scale[part, None, None] * q - x[part, :, None]
        distance = _distances(weights[part, :, None] * apart * apart, candidates, name)
        # C compares with <: a NaN is never the least.
        distance = np.where(distance < np.finfo(np.float32).max, distance, np.float32(np.inf))
        best = np.argmin(distance, axis=1)
        if np.isinf(np.take_along_axis(distance, best[:, None], axis=1)).any():
            raise ValueError(
                "x: squares of values and weights must stay in float32; got a group to which no "
                "point of the grid has a finite distance (ggml aborts)"
            )
        chosen[part] = np.take_along_axis(candidates, best[:, None], axis=1)[:, 0]
        start += len(part)
    return chosen


def _distances(terms: F32, candidates: I32, name: str) -> F32:
    """Return eq. (3) of candidates (k, n), from the ``terms`` (k, d, levels) of its sum.

    The sum runs from the first axis to the last, so that of the first half of the axes is the same
    for all candidates that agree there: it is made once for all b^(d/2) of them.
    """
    k, dimensions, base = terms.shape
    half = dimensions // 2
    sums = terms[:, 0]
    for axis in range(1, half):
        sums = (terms[:, axis, :, None] + sums[:, None, :]).reshape(k, -1)
    points = grid_levels(name)
    head = cell_numbers(points[:, :half], base=base)
    row = np.arange(k, dtype=np.int32)[:, None]
    distance = sums.ravel().take(row * np.int32(sums.shape[1]) + head[candidates])
    for axis in range(half, dimensions):
        column = np.ascontiguousarray(terms[:, axis]).ravel()
        distance += column.take(row * np.int32(base) + points[:, axis].astype(np.int32)[candidates])
    return np.asarray(distance, np.float32)


def nearest_points(
    x: F32, weights: F32, inverse: F32, scale: F32, *, name: str, distances: int
) -> tuple[I32, Bools]:
    """Return the points of groups and whether each was in the grid: eq. (1), (3).

    ``x`` and ``weights`` are (m, groups, d), ``inverse`` and ``scale`` (m,); the results (m,
    groups).

    >>> x, one = np.array([[[3.4, 1, 1, 1], [5, 1, 1, 1]]], np.float32), np.ones(1, np.float32)
    >>> points, exact = nearest_points(
    ...     x, np.ones_like(x), one, one, name="iq3_xxs", distances=2)
    >>> points.tolist(), exact.tolist()
    ([[1, 1]], [[False, True]])
    """
    levels, lists = GRIDS[name].levels, neighbour_lists(name, distances=distances)
    half = np.float32(0.5) * (inverse[:, None, None] * x - np.float32(1))
    cells = cell_numbers(np.clip(nearest_int(half), 0, levels - 1), base=levels)
    points = lists.point[cells]
    exact = points >= 0
    off = ~exact
    if off.any():
        q = np.arange(1, 2 * levels, 2).astype(np.float32)
        scales = np.broadcast_to(scale[:, None], cells.shape)[off]
        points[off] = best_listed(
            cells[off], x[off], weights[off], scales, q=q, name=name, distances=distances
        )
    return points, exact
