"""The weights behind a value: what they are in both models, and how they are spread.

A value's weights are the constants of two or more axes that the node reads which makes it, in the
test model and in the reference; a weight has one name in both. Codes are compared by what they
mean, so a model that is quantized already may be the reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.channels import largest_of_channels
from refquant.evaluation.lockstep import Pair
from refquant.evaluation.spread import Spread, clip_of, spread_of_arrays
from refquant.model.graph import Graph
from refquant.model.metrics import Moments, moments
from refquant.model.reals import reals

__all__ = ["Weight", "weight", "weights_behind"]


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight: its histograms, and ``errors`` of the test model's; None if only one has it.

    ``channels``: the largest magnitude of each entry of the last axis but, of a convolution's
    weight, the first; of the reference's, or if it has none the test model's.
    """

    name: str
    dtypes: tuple[str | None, str | None]
    spread: Spread
    errors: Moments | None
    channels: NDArray[np.float64]


def weights_behind(graphs: Pair, values: Sequence[str]) -> list[str]:
    """Return the weights of the nodes that make ``values`` in either graph, each once, in order.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> w = b.constant("w", np.ones((2, 2), np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> weights_behind((g, g), ["y"])
    ['w']
    """
    makers = [{name: node for node in g.nodes for name in node.outputs} for g in graphs]
    found = [
        name
        for value in values
        for graph, made in reversed(list(zip(graphs, makers, strict=True)))
        if value in made
        for name in made[value].inputs
        if _is_weight(graph, name)
    ]
    return list(dict.fromkeys(found))


def weight(graphs: Pair, name: str) -> Weight:
    """Return the weight ``name``, which at least one of both has.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> w = b.constant("w", np.float32([[1, 2], [3, 4]]))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> found = weight((g, g), "w")
    >>> found.errors.noise, found.channels.tolist()
    (0.0, [3.0, 4.0])
    """
    arrays = [_reals(graph, name) for graph in graphs]
    clip = None
    if arrays[1] is not None:
        clip = clip_of(graphs[1], name, arrays[1].shape)
    r, t = arrays
    if r is not None and t is not None and r.shape != t.shape:
        r = None  # something else of the same name
    errors = None
    if r is not None and t is not None and np.isfinite(r).all() and np.isfinite(t).all():
        errors = moments(r, t)
    shown = r if r is not None else t
    assert shown is not None, "one of both has it"
    return Weight(
        name,
        (_dtype(graphs[0], name) if r is not None else None, _dtype(graphs[1], name)),
        spread_of_arrays(r, t, clip),
        errors,
        largest_of_channels(shown, 0 if shown.ndim > 2 else shown.ndim - 1),
    )


def _is_weight(graph: Graph, name: str) -> bool:
    array = graph.constants.get(name)
    if array is None or array.ndim < 2 or not array.size:
        return False
    return graph.values[name].quant is not None or array.dtype == np.float32


def _reals(graph: Graph, name: str) -> NDArray[np.float32] | None:
    if not _is_weight(graph, name):
        return None
    array = graph.constants[name]
    if graph.values[name].quant is None:
        return np.asarray(array, np.float32)
    return reals(graph, name, array)


def _dtype(graph: Graph, name: str) -> str | None:
    return graph.values[name].dtype if _is_weight(graph, name) else None
