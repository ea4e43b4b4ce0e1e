r"""Palettes: the codebook is made for the tensor, by k-means in one dimension.

With 2^b marks of free choice, the best are those with the least squared error, each value weighted
by its importance :math:`f_i` (1, or the diagonal of the Fisher information):

.. math::

    \min_{c, k} \sum_i f_i\,(x_i - c_{k_i})^2                                    \tag{1}

The marks of a sorted list cut it into intervals, so there are two ways:

* ``lloyd`` begins with the quantiles (j + 0.5) / 2^b and alternates eq. (2) with the nearest mark
  until no value moves: a local minimum, deterministic;
* ``optimal`` finds the best cuts by dynamic programming over the n distinct values, in :math:`n^2
  2^b` steps: the global minimum, for n up to 2048 (with 8 bits, ten seconds).

.. math::

    c_j = \frac{\sum_{i: k_i = j} f_i x_i}{\sum_{i: k_i = j} f_i}, \qquad
    D_j(n) = \min_{m < n} \bigl(D_{j-1}(m) + \mathrm{cost}(m, n)\bigr)              \tag{2}

Layout::

    values: f32 (groups, 2^b), each row ascending | codes: u8, of the tensor's shape, b bits used

A group is ``group_size`` neighbours along ``axis`` with all else (per channel: 1; per tensor: the
whole axis). Clustering is float64, marks are rounded to float32, and values then take the nearest
of these, ties low. A group with fewer distinct values than marks is kept exactly, the last mark
repeated. NaN and infinities are refused: they have no mean.
Left out: vectors as entries (coremltools ``cluster_dim``), marks that are quantized themselves.

References
----------
Lloyd, "Least squares quantization in PCM", 1982; Wang and Song, "Ckmeans.1d.dp", 2011 (optimal);
Kim et al., "SqueezeLLM", 2023, section 4.1 (Fisher weights); coremltools "Palettization Overview".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array, count_of
from refquant.formats.codebook import float32_input, nearest

__all__ = ["CARD", "MAX_OPTIMAL", "METHODS", "Palette", "dequantize", "palettize"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

METHODS = ("lloyd", "optimal")
MAX_OPTIMAL = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Codes of the tensor's shape, and the ``values`` (groups, 2^num_bits) of its groups."""

    codes: NDArray[np.uint8]
    values: F32
    axis: int
    group_size: int


def palettize(
    x: ArrayLike,
    *,
    num_bits: int,
    method: str,
    axis: int,
    group_size: int,
    importance: NDArray[np.floating[Any]] | None = None,
) -> Palette:
    """Return ``x`` (float32, finite, 1-D or more) with a palette for each group of channels.

    ``num_bits`` is 1 to 8, ``method`` one of ``METHODS``; the last group may be short.
    ``importance`` has the shape of ``x``, is finite, not negative, and not zero for a whole group.

    >>> x = np.array([0, 1, 10, 11], np.float32)
    >>> p = palettize(x, num_bits=1, method="lloyd", axis=0, group_size=4)
    >>> p.values.tolist(), p.codes.tolist()
    ([[0.5, 10.5]], [0, 0, 1, 1])
    """
    array = float32_input(x, finite=True)
    if array.ndim < 1 or not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis must be an axis of x, shape {array.shape}; got {axis}")
    num_bits = count_of(num_bits, name="num_bits")
    group_size = count_of(group_size, name="group_size")
    if num_bits > 8:
        raise ValueError(f"num_bits must be in 1..8, got {num_bits}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    f = np.ones(array.shape) if importance is None else _real(importance)
    if f.shape != array.shape or not np.isfinite(f).all() or (f < 0).any():
        raise ValueError(f"importance must be finite, >= 0, of shape {array.shape}; got {f.shape}")
    rows, weights = np.moveaxis(array, axis, 0), np.moveaxis(f, axis, 0)
    codes = np.zeros(rows.shape, np.uint8)
    starts = range(0, rows.shape[0], group_size) if array.size else range(0)
    values = np.zeros((len(starts), 1 << num_bits), np.float32)
    for group, start in enumerate(starts):
        part = slice(start, start + group_size)
        values[group] = _marks(rows[part], weights[part], 1 << num_bits, method)
        codes[part] = nearest(rows[part], values[group], ties="low")
    return Palette(np.moveaxis(codes, 0, axis), values, axis % array.ndim, group_size)


def dequantize(palette: Palette) -> F32:
    """Return the marks that the codes name, float32 of their shape.

    >>> x = np.array([[0, 1], [5, 5]], np.float32)
    >>> dequantize(palettize(x, num_bits=1, method="optimal", axis=0, group_size=1)).tolist()
    [[0.0, 1.0], [5.0, 5.0]]
    """
    values = np.asarray(palette.values)
    if values.dtype != np.float32 or values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"values must be float32 (groups, marks), got {np.shape(values)}")
    codes = code_array(palette.codes, low=0, high=values.shape[1] - 1)
    if codes.ndim < 1 or not -codes.ndim <= palette.axis < codes.ndim:
        raise ValueError(f"axis must be an axis of codes, {codes.shape}; got {palette.axis}")
    size = count_of(palette.group_size, name="group_size")
    rows = np.moveaxis(codes, palette.axis, 0)
    groups = -(-rows.shape[0] // size) if codes.size else values.shape[0]
    if groups != values.shape[0]:
        raise ValueError(f"values must have {groups} groups, got {values.shape[0]}")
    group = np.arange(rows.shape[0]) // size
    marks = values[group.reshape((-1,) + (1,) * (rows.ndim - 1)), rows]
    return np.ascontiguousarray(np.moveaxis(marks, 0, palette.axis))


def _real(importance: NDArray[np.floating[Any]]) -> F64:
    array = np.asarray(importance)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"importance must be real numbers, got {array.dtype}")
    with np.errstate(invalid="ignore"):  # a signalling NaN, refused by the caller
        return array.astype(np.float64)


def _marks(x: F32, f: F64, count: int, method: str) -> F32:
    """Return the ``count`` marks of one group, ascending: eq. (1)."""
    distinct, inverse = np.unique(x, return_inverse=True)
    if distinct.size <= count:
        return np.concatenate([distinct, np.repeat(distinct[-1:], count - distinct.size)])
    weights = np.bincount(inverse.reshape(-1), f.reshape(-1)).astype(np.float64)
    if not weights.sum() > 0:
        raise ValueError("importance must not be zero for all of a group")
    # Distances from the mean: sums of squares then lose the fewest digits.
    wide = distinct.astype(np.float64)
    middle = np.average(wide, weights=weights)
    points = wide - middle
    found = (
        _lloyd(points, weights, count) if method == "lloyd" else _optimal(points, weights, count)
    )
    return np.sort((found + middle).astype(np.float32))


def _sums(points: F64, weights: F64) -> list[F64]:
    """Return the running sums of f, f x and f x^2, from 0."""
    rows = (np.cumsum(weights * points**power) for power in (0, 1, 2))
    return [np.concatenate([np.zeros(1), row]) for row in rows]


def _lloyd(points: F64, weights: F64, count: int) -> F64:
    """Return the marks that eq. (2), left, settles on; a mark without values stays where it is."""
    mass, moment, _ = _sums(points, weights)
    places = np.searchsorted(mass[1:], (np.arange(count) + 0.5) / count * mass[-1])
    marks = points[np.minimum(places, points.size - 1)]
    seen: set[bytes] = set()
    while (
        True
    ):  # every round lowers eq. (1); where rounding hides that, a cut that was seen ends it
        bounds = (marks[:-1] + marks[1:]) / 2
        cuts = np.concatenate([[0], np.searchsorted(points, bounds, side="right"), [points.size]])
        if cuts.tobytes() in seen:
            break
        seen.add(cuts.tobytes())
        f, fx = np.diff(mass[cuts]), np.diff(moment[cuts])
        marks = np.where(f > 0, fx / np.where(f > 0, f, 1), marks)
    return np.asarray(marks, np.float64)


def _optimal(points: F64, weights: F64, count: int) -> F64:
    """Return the marks of the least eq. (1), by eq. (2), right; of equal cuts the first."""
    n = points.size
    if n > MAX_OPTIMAL:
        raise ValueError(
            f"method 'optimal' takes {MAX_OPTIMAL} distinct values, got {n}; use lloyd"
        )
    mass, moment, square = _sums(points, weights)
    f = mass[None, :] - mass[:, None]
    fx = moment[None, :] - moment[:, None]
    cost = square[None, :] - square[:, None] - fx * fx / np.where(f > 0, f, 1)
    cost = np.where(np.arange(n + 1)[:, None] < np.arange(n + 1)[None, :], cost, np.inf)
    best, choices = cost[0], []  # best[j]: of the first j points, with the marks so far
    for _ in range(count - 1):
        total = best[:, None] + cost
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
    marks, end = np.zeros(count), n
    for mark in range(count - 1, -1, -1):
        start = int(choices[mark - 1][end]) if mark else 0
        inside = f[start, end] > 0
        marks[mark] = fx[start, end] / f[start, end] if inside else points[start]
        end = start
    return marks


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    palette = palettize(x, num_bits=2, method="lloyd", axis=0, group_size=x.size)
    marks = ", ".join(number(v) for v in palette.values[0])
    codes = [f"0b{int(code):02b}" for code in palette.codes]
    return [Step("values", "k-means, 4 marks", marks), *value_steps(x, codes, dequantize(palette))]


CARD = Card(
    name="palette",
    title="Palette: marks made for the tensor by k-means",
    bits_per_value=2.0,
    block_size=0,
    layout="values f32 (groups, 2^bits), ascending | codes, 1 to 8 bits",
    equation="x = values[group][code]",
    source="Lloyd 1982; SqueezeLLM section 4.1; coremltools palettization",
    explain=_explain,
)
