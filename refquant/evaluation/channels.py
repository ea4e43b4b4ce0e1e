r"""Channels of activations and weights, and those that are far larger than the others.

One scale for all channels of an activation has to reach the largest of them; the others share what
steps are left. The **outlier ratio** says how bad it is:

.. math::

    m_c = \max_i |x_{i,c}|, \qquad
    \mathrm{ratio} = \frac{\max_c m_c}{\mathrm{median}_c\, m_c}                            \tag{1}

over finite elements. A ratio of 16 leaves the median channel four bits fewer than it could have. ::

    channel   0     1     2     3
    m         1.0   1.2   0.8   16        median 1.1, ratio 14.5: channel 3

The channels of a value are its axis 1 behind a convolution, and behind what leaves that axis as it
is; else they are the last axis, as in every transformer. No axis, where that is as long as the data
make it: attention scores have no channels.

References
----------
Dettmers et al., "LLM.int8()" (2022), section 4, for what outliers do; (1) is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph, Node

__all__ = ["Outliers", "channel_axes", "largest_of_channels", "outliers"]

_TURNS = frozenset({"MatMul", "Gemm", "Transpose", "Reshape", "Flatten", "Gather", "Attention"})


@dataclass(frozen=True, slots=True)
class Outliers:
    """The ``channels`` with the largest magnitudes, largest first, the median, and eq. (1)."""

    channels: tuple[tuple[int, float], ...]
    median: float
    ratio: float
    count: int


def channel_axes(graph: Graph) -> dict[str, int]:
    """Return the axis of the channels of each value that a node makes and that has one.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> w = b.constant("w", np.zeros((8, 3, 1, 1), np.float32))
    >>> h = b.node("Conv", [b.input("x", ("N", 3, 5, 5)), w], name="h")
    >>> channel_axes(b.graph([b.node("Flatten", [b.node("Relu", [h], name="r")], name="y")]))
    {'h': 1, 'r': 1, 'y': 1}
    """
    found: dict[str, int] = {}
    behind: set[str] = set()  # a convolution
    for node in graph.nodes:
        for name in filter(None, node.outputs):
            shape = graph.values[name].shape
            if node.op.startswith("Conv") or _leaves(graph, node, name, behind):
                behind.add(name)
            axis = 1 if name in behind else len(shape) - 1
            if axis > 0 and isinstance(shape[axis], int):
                found[name] = axis
    return found


def largest_of_channels(array: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return m of (1): the largest finite magnitude of each channel, 0 where there is none.

    >>> largest_of_channels(np.float32([[1, -3], [2, np.nan]]), 1).tolist()
    [2.0, 3.0]
    """
    size = np.abs(array.astype(np.float64))
    size[~np.isfinite(size)] = 0.0
    rest = tuple(i for i in range(array.ndim) if i != axis)
    return np.asarray(size.max(axis=rest, initial=0.0))


def outliers(largest: NDArray[np.float64], *, count: int) -> Outliers:
    """Return the ``count`` largest channels of m, and eq. (1); ``inf`` where the median is zero.

    No channels, or zeros alone, have the ratio 1.

    >>> outliers(np.array([1.0, 1.2, 1.0, 16.0]), count=1)
    Outliers(channels=((3, 16.0),), median=1.1, ratio=14.545454545454545, count=4)
    """
    if not largest.size or not largest.any():
        return Outliers((), 0.0, 1.0, int(largest.size))
    order = np.argsort(-largest, kind="stable")[:count]
    median = float(np.median(largest))
    top = float(largest.max())
    return Outliers(
        tuple((int(c), float(largest[c])) for c in order),
        median,
        top / median if median > 0 else float("inf"),
        int(largest.size),
    )


def _leaves(graph: Graph, node: Node, name: str, behind: set[str]) -> bool:
    """Say whether ``node`` hands on the axis 1 of an input that comes from a convolution."""
    if node.op in _TURNS:
        return False
    shapes: Mapping[str, tuple[Any, ...]] = {n: graph.values[n].shape for n in node.inputs if n}
    shape = graph.values[name].shape
    return any(
        n in behind and len(s) == len(shape) and s[1:2] == shape[1:2] for n, s in shapes.items()
    )
