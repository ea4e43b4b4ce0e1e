r"""One value in two models: do its bits differ, where first, and how far.

A comparison that looks for a fault takes everything: ::

    reference   1  2  inf  nan  -inf          test   1  3  inf  nan  8
    differ         *                  *       2 of 5, first at [1]: 2 and 3
    in sums     +  +                          not the same infinity: no sum means anything

* Elements **differ** if the bits of what they mean do, or, of codes by one ruler, the codes. A
  minus zero is not a zero.
* Where both sides are the same infinity, or NaN, there is no distance, and it counts in no sum (a
  mask of -inf). Where one side alone is not finite, or another way, SQNR and cosine are NaN.
* **Codes** have a largest difference if both sides have one and the same ruler; so do integers that
  are no codes (sums, tokens), which have nothing else.

The sums are those of `refquant.model.metrics`, eq. (1) and (2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.channels import largest_of_channels
from refquant.evaluation.lockstep import Pair
from refquant.model.ends import from_outputs
from refquant.model.graph import Graph
from refquant.model.metrics import Moments, max_code_difference, moments, pooled
from refquant.model.reals import scale_of, zero_point_of

__all__ = ["Difference", "Place", "difference", "pooled_difference", "same_ruler"]

_UNKNOWN = Moments(math.nan, math.nan, math.nan, math.nan, math.inf)


@dataclass(frozen=True, slots=True)
class Place:
    """The element at ``index``, the sample first, and what both models make there."""

    index: tuple[int, ...]
    reference: float
    test: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How one value differs; ``not_finite`` and ``ranges`` (least, largest finite) of both sides.

    ``ranges`` are (inf, -inf) where nothing is finite. ``channels``: the largest magnitude of each
    of the reference's, None where it has none. ``errors`` is None of plain integers.
    """

    elements: int
    differing: int
    first: Place | None
    errors: Moments | None
    max_code_difference: int | None
    not_finite: tuple[int, int]
    ranges: tuple[tuple[float, float], tuple[float, float]]
    channels: NDArray[np.float64] | None


def same_ruler(graphs: Pair, names: tuple[str, str]) -> bool:
    """Say whether both values hold codes that mean the same.

    >>> from refquant.model.graph import Quant, Value
    >>> y = Value("int8", ("N",), Quant(0.5, 1))
    >>> g = Graph("g", ("y",), ("y",), {"y": y}, (), {}, {}, {})
    >>> same_ruler((g, g), ("y", "y"))
    True
    """
    values = [graph.values[name] for graph, name in zip(graphs, names, strict=True)]
    quants = [value.quant for value in values]
    if values[0].dtype != values[1].dtype or quants[0] is None or quants[1] is None:
        return False
    if quants[0].block_shape != quants[1].block_shape or quants[0].table or quants[1].table:
        return False
    return all(
        np.array_equal(of(graphs[0], names[0]), of(graphs[1], names[1]))
        for of in (scale_of, zero_point_of)
    )


def difference(
    graphs: Pair,
    name: str,
    reference: NDArray[Any],
    test: NDArray[Any],
    *,
    axis: int | None,
    begin: int = 0,
) -> Difference:
    """Return how the arrays of the value ``name``, as both make it, differ.

    ``axis`` of the channels, None for none; ``begin``: how many samples came before.

    >>> from refquant.model.graph import Value
    >>> g = Graph("g", ("y",), ("y",), {"y": Value("float32", ("N", 2))}, (), {}, {}, {})
    >>> found = difference((g, g), "y", np.float32([[3, 4]]), np.float32([[3, 4.5]]), axis=1)
    >>> found.differing, found.first, found.errors.sqnr_db
    (1, Place(index=(0, 1), reference=4.0, test=4.5), 20.0)
    """
    r = from_outputs(graphs[0], {name: reference})[name]
    t = from_outputs(graphs[1], {name: test})[name]
    plain = r.dtype.kind in "iu"
    codes = plain or same_ruler(graphs, (name, name))
    mask = reference != test if codes else _bits(r) != _bits(t)
    differing = int(np.count_nonzero(mask))
    first = None
    if differing:
        index = tuple(int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape))
        moved = (index[0] + begin, *index[1:]) if _has_batch(graphs[0], name) else index
        first = Place(moved, float(r[index]), float(t[index]))
    finite = np.isfinite(r), np.isfinite(t)
    return Difference(
        elements=int(r.size),
        differing=differing,
        first=first,
        errors=None if plain else _moments(r, t),
        max_code_difference=max_code_difference(reference, test) if codes else None,
        not_finite=(int((~finite[0]).sum()), int((~finite[1]).sum())),
        ranges=(_range(r[finite[0]]), _range(t[finite[1]])),
        channels=None if axis is None or plain else largest_of_channels(r, axis),
    )


def pooled_difference(parts: Sequence[Difference]) -> Difference:
    """Return the difference of all ``parts``, at least one, of one value, in the order of samples.

    >>> part = Difference(2, 0, None, None, 3, (0, 1), ((0.0, 1.0), (0.0, 2.0)), None)
    >>> whole = pooled_difference([part, part])
    >>> whole.elements, whole.max_code_difference, whole.not_finite, whole.ranges[1]
    (4, 3, (0, 2), (0.0, 2.0))
    """
    codes = [part.max_code_difference for part in parts if part.max_code_difference is not None]
    errors = [part.errors for part in parts if part.errors is not None]
    channels = [part.channels for part in parts if part.channels is not None]
    low = [min(part.ranges[i][0] for part in parts) for i in (0, 1)]
    high = [max(part.ranges[i][1] for part in parts) for i in (0, 1)]
    bad = [sum(part.not_finite[i] for part in parts) for i in (0, 1)]
    return Difference(
        elements=sum(part.elements for part in parts),
        differing=sum(part.differing for part in parts),
        first=next((part.first for part in parts if part.first is not None), None),
        errors=pooled(errors) if errors else None,
        max_code_difference=max(codes) if codes else None,
        not_finite=(bad[0], bad[1]),
        ranges=((low[0], high[0]), (low[1], high[1])),
        channels=np.max(channels, axis=0) if channels else None,
    )


def _moments(r: NDArray[Any], t: NDArray[Any]) -> Moments:
    odd = ~(np.isfinite(r) & np.isfinite(t))
    if not odd.any():
        return moments(r, t)
    if not np.array_equal(r[odd], t[odd], equal_nan=True):
        return _UNKNOWN
    return moments(r[~odd], t[~odd])


def _bits(array: NDArray[Any]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(array, np.float32).view(np.uint32)


def _range(finite: NDArray[Any]) -> tuple[float, float]:
    return (float(finite.min()), float(finite.max())) if finite.size else (math.inf, -math.inf)


def _has_batch(graph: Graph, name: str) -> bool:
    return graph.values[name].shape[:1] == ("N",)
