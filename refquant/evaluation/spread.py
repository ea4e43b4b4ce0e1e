r"""Histograms of a value in two models over the same bins, and where its codes end.

Codes reach from the least to the largest, and no further; what is beyond is clipped:

.. math::

    l = s\,(q_\mathrm{min} - z), \qquad h = s\,(q_\mathrm{max} - z)                        \tag{1}

of the test model; an element of the reference is **clipped** if it is beyond by more than half a
step s, so that its error is larger than rounding makes it. Weights have a range a block; a table
(NF4, FP8, ...) ends at its least and largest entry, and anything beyond is clipped. ::

    reference  .  .  x  x  X  X  x  x  .  .  .           bins over the finite elements of both
    test             x  x  X  X  x  X
                    l|                |h                 5 of the reference are clipped

The bins need the range before the first element comes: `refquant.evaluation.trace` has seen it. A
constant has one bin of the width 1 around it, and what is not finite is in none.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.lockstep import Pair, lockstep, paired_pieces
from refquant.evaluation.walk import Arrays
from refquant.model.ends import from_outputs
from refquant.model.graph import DTYPES, Graph
from refquant.model.reals import reals

__all__ = ["BINS", "Clip", "Spread", "clip_of", "histogram", "spread_of_arrays", "spreads"]

BINS = 48
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Clip:
    """Eq. (1): the range of all blocks, that of the narrowest, and bounds with half a step more."""

    widest: Range
    narrowest: Range
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """``counts`` of reference and test (None: it has no such value) between ``edges``.

    ``clip`` is of the test's codes, None where it has none; ``clipped`` how many ``elements`` of
    the reference are beyond it, None where there is nothing to count.
    """

    edges: NDArray[np.float64]
    counts: tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]
    clip: tuple[Range, Range] | None
    clipped: int | None
    elements: int


def clip_of(graph: Graph, name: str, shape: tuple[int, ...]) -> Clip | None:
    """Return where the codes of the value ``name`` end, of an array of ``shape``: eq. (1).

    None if it has no codes.

    >>> from refquant.model.graph import Quant, Value
    >>> y = Value("int8", ("N",), Quant(0.5, 1))
    >>> clip_of(Graph("g", ("y",), ("y",), {"y": y}, (), {}, {}, {}), "y", (3,)).widest
    (-64.5, 63.0)
    """
    value = graph.values[name]
    if value.quant is None or math.prod(shape) == 0:
        return None
    dtype = DTYPES[value.dtype]
    ends = [dtype.qmin, dtype.qmax]
    if value.quant.table is not None:
        table = graph.constants[value.quant.table]
        marks = np.where(np.isfinite(table), table, np.nan)
        ends = [int(np.nanargmin(marks)), int(np.nanargmax(marks))]
    # Without blocks one element says it; with blocks each has its own.
    size = (1,) * len(shape) if value.quant.block_shape is None else shape
    low, high = (
        reals(graph, name, np.full(size, end, dtype.container)).astype(np.float64) for end in ends
    )
    # Of float32 ends; a step is known as well as these.
    half = (high - low) * (0.0 if value.quant.table else 0.5 / (ends[1] - ends[0]))
    widest = (float(low.min()), float(high.max()))
    least = int(np.argmin(high - low))
    narrowest = (float(low.flat[least]), float(high.flat[least]))
    return Clip(widest, narrowest, low - half, high + half)


def histogram(array: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many finite elements are in each bin; the last one has its right edge, too.

    >>> histogram(np.float32([0, 1, 1, 2, np.inf]), np.array([0.0, 1.0, 2.0])).tolist()
    [1, 3]
    """
    return np.histogram(array.astype(np.float64), edges)[0].astype(np.int64)


def spread_of_arrays(
    reference: NDArray[Any] | None, test: NDArray[Any] | None, clip: Clip | None
) -> Spread:
    """Return the histograms of two arrays of reals; None for a side that does not have it.

    >>> found = spread_of_arrays(np.float32([0, 48]), np.float32([0, 24]), None)
    >>> found.counts[0][[0, -1]].tolist(), found.counts[1][[0, 24]].tolist()
    ([1, 1], [1, 1])
    """
    sides = [side for side in (reference, test) if side is not None]
    finite = [side[np.isfinite(side)] for side in sides]
    low = min((float(f.min()) for f in finite if f.size), default=0.0)
    high = max((float(f.max()) for f in finite if f.size), default=0.0)
    edges = _edges(low, high)
    counted = [None if side is None else histogram(side, edges) for side in (reference, test)]
    return Spread(
        edges,
        (counted[0], counted[1]),
        None if clip is None else (clip.widest, clip.narrowest),
        None if clip is None or reference is None else _clipped(reference, clip),
        max((side.size for side in sides), default=0),
    )


def spreads(
    graphs: Pair,
    inputs: tuple[Arrays, Arrays],
    ranges: Mapping[str, Collection[Range]],
    *,
    sums: str,
    advance: Callable[[int], None] = lambda done: None,
) -> dict[str, Spread]:
    """Return the histograms of the values of both that ``ranges`` names, with their ranges.

    The data go through both models once more: memory is that of the histograms.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> x = {"x": np.float32([[1, -1]])}
    >>> found = spreads((g, g), (x, x), {"y": [(0.0, 1.0)]}, sums="ordered")["y"]
    >>> found.counts[0][[0, -1]].tolist(), found.elements
    ([1, 1], 2)
    """
    edges = {name: _edges_of(both) for name, both in ranges.items()}
    parts: dict[str, list[Spread]] = {name: [] for name in ranges}
    for pair in paired_pieces(graphs, inputs):
        for name, r, t in lockstep(graphs, pair, frozenset(ranges), sums=sums):
            clip = clip_of(graphs[1], name, t.shape)
            both = (
                from_outputs(graphs[0], {name: r})[name],
                from_outputs(graphs[1], {name: t})[name],
            )
            parts[name].append(Spread(
                edges[name], (histogram(both[0], edges[name]), histogram(both[1], edges[name])),
                None if clip is None else (clip.widest, clip.narrowest),
                None if clip is None else _clipped(both[0], clip), both[0].size,
            ))  # fmt: skip
        advance(len(pair[0][graphs[0].inputs[0]]) if graphs[0].inputs else 1)
    return {name: _pooled(found) for name, found in parts.items()}


def _pooled(parts: list[Spread]) -> Spread:
    first = parts[0]
    counts = [np.asarray(sum(c for p in parts if (c := p.counts[i]) is not None)) for i in (0, 1)]
    clipped = [part.clipped for part in parts if part.clipped is not None]
    elements = sum(part.elements for part in parts)
    return Spread(
        first.edges, (counts[0], counts[1]), first.clip, sum(clipped) if clipped else None, elements
    )


def _clipped(array: NDArray[Any], clip: Clip) -> int:
    with np.errstate(invalid="ignore"):  # NaN is nowhere
        return int(np.count_nonzero((array < clip.low) | (array > clip.high)))


def _edges_of(ranges: Collection[Range]) -> NDArray[np.float64]:
    known = [r for r in ranges if r[0] <= r[1]]  # (inf, -inf): nothing is finite
    return _edges(min((r[0] for r in known), default=0.0), max((r[1] for r in known), default=0.0))


def _edges(low: float, high: float) -> NDArray[np.float64]:
    edges = np.linspace(low, high, BINS + 1)
    if low == high or not (np.diff(edges) > 0).all():  # a constant, or narrower than its digits
        width = max(1.0, abs(low) * 2.0**-40)
        return np.array([low - width / 2, high + width / 2])
    return edges
