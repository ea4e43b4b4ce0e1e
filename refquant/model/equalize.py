r"""Cross-layer equalization of a graph: which layers scale each other's channels.

A **path** is a row of linear nodes, each read by one node only, through functions that positive
factors pass unchanged:

::

    Conv --> Relu --> Conv(depthwise) --> Relu --> MaxPool --> Conv --> Add --> ...
    |________ s12 ________|______________ s23 ______________|        a second reader of
                       one triple                                    anything ends the path

A path is cut from its beginning, as the published code does: a depthwise node with a node behind it
makes a **triple** of what stands around it, two neighbours make a **pair**; the last node of one is
the first of the next. `refquant.algorithms.cross_layer_equalization` does the arithmetic. Since
neighbours share a node, one pass does not make all ranges equal: passes repeat, in this order, to
a fixed point of

.. math::

    r^{out}_i(n) = r^{in}_i(n + 1) \qquad \text{for all neighbours n, n + 1}                 \tag{1}

or ``sweeps`` times. The function of the graph stays the same but for the rounding of the new
constants.

High biases move afterwards, where a `Relu` alone stands between two nodes, where the second pads
nothing and where the first had a batch normalization folded into it: that one's ``bias`` and
``scale`` are mean and deviation, by the statistics of training.

Left out: `Clip` (not homogeneous: cutting at 6 / s needs a number a channel), `PRelu`, layers whose
constants somebody else reads, and paths through an `Add`, whose inputs would all need one s.

References
----------
Nagel et al., arXiv:1906.04721, section 4.1; AIMET, ``convert_layer_group_to_cls_sets`` (the cut).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.cross_layer_equalization import (
    Linear,
    absorb_high_bias,
    equalize_pair,
    equalize_triple,
)
from refquant.model.channels import channel_axis
from refquant.model.fold import fold
from refquant.model.graph import Graph, Node, Value, names_of
from refquant.model.names import free_name
from refquant.model.quantize_weights import has_constant_weight, is_depthwise

__all__ = ["Equalization", "equalize", "equalized"]

F64 = NDArray[np.float64]

_ANYWHERE = ("Relu", "LeakyRelu")
_BETWEEN_CONVS = (*_ANYWHERE, "MaxPool", "AveragePool", "GlobalAveragePool")
_SETTLED = 2.0**-10  # a sweep that moves no range by more has nothing to do: 1/16 of an int8 step


@dataclass(frozen=True, slots=True)
class Equalization:
    """The new ``graph``; which ``nodes`` share channels; ``scales`` s and ``absorbed`` c by node.

    Both are of the node's output channels: it was divided by s, over all sweeps together.
    """

    graph: Graph
    nodes: tuple[tuple[str, ...], ...]
    scales: Mapping[str, F64]
    absorbed: Mapping[str, F64]


def equalize(graph: Graph, *, sweeps: int, absorb_bias: bool) -> Graph:
    """Return the float32 ``graph``, folded and equalized: the graph of `equalized`.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", np.float32([[8]]))])
    >>> y = b.node("MatMul", [b.node("Relu", [h]), b.constant("v", np.float32([[2]]))], name="y")
    >>> g = equalize(b.graph([y]), sweeps=1, absorb_bias=False)
    >>> g.constants["w"].item(), g.constants["v"].item()
    (4.0, 4.0)
    """
    return equalized(graph, sweeps=sweeps, absorb_bias=absorb_bias).graph


def equalized(graph: Graph, *, sweeps: int, absorb_bias: bool) -> Equalization:
    """Return the float32 ``graph``, folded and equalized, and what was done: eq. (1).

    A graph without a path is returned folded. ``ValueError`` for ``sweeps`` below 1, and for
    weights on a path that are NaN or infinite or leave float32.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", np.float32([[8]]))], name="h")
    >>> y = b.node("MatMul", [b.node("Relu", [h]), b.constant("v", np.float32([[2]]))], name="y")
    >>> done = equalized(b.graph([y]), sweeps=1, absorb_bias=False)
    >>> done.nodes, done.scales["h"].tolist()
    ((('h', 'y'),), [2.0])
    """
    if sweeps < 1:
        raise ValueError(f"sweeps must be at least 1, got {sweeps}")
    statistics = _statistics(graph)
    graph = fold(graph)
    nodes = {node.name: node for node in graph.nodes}
    sets = tuple(part for path in _paths(graph) for part in _cut(graph, path))
    layers = {name: _layer(graph, nodes[name]) for part in sets for name in part}
    scales = {name: np.ones(layers[name].weight.shape[0]) for part in sets for name in part[:-1]}
    for _ in range(sweeps):
        if sum([_scaled(layers, part, scales) for part in sets]) == 0:  # all of them, in order
            break
    absorbed = _absorbed(graph, sets, layers, scales, statistics) if absorb_bias else {}
    for name, layer in layers.items():
        graph = _with_layer(graph, nodes[name], layer)
    return Equalization(graph, sets, scales, absorbed)


def _statistics(graph: Graph) -> dict[str, tuple[F64, F64]]:
    """Return mean and deviation of the values that batch normalization gives."""
    return {
        node.outputs[0]: (
            graph.constants[node.inputs[2]].astype(np.float64),
            graph.constants[node.inputs[1]].astype(np.float64),
        )
        for node in graph.nodes
        if node.op == "BatchNormalization" and {*node.inputs[1:3]} <= graph.constants.keys()
    }


def _paths(graph: Graph) -> Iterator[list[Node]]:
    """Yield the rows of linear nodes, longest first from where they begin."""
    following = {n.name: _next(graph, n) for n in graph.nodes if _usable(graph, n)}
    inside = {after.name for after in following.values() if after is not None}
    for node in graph.nodes:
        if node.name in following and node.name not in inside:
            path = [node]
            while (after := following[path[-1].name]) is not None:
                path.append(after)
            yield path


def _usable(graph: Graph, node: Node) -> bool:
    """Say whether ``node`` is linear with constants that nobody else reads."""
    if not has_constant_weight(graph, node) or node.op == "ConvTranspose":
        return False
    readers = [name for n in graph.nodes for name in n.inputs]
    names = [name for name in node.inputs[1:] if name]
    return all(readers.count(name) == 1 and name not in graph.outputs for name in names)


def _next(graph: Graph, node: Node) -> Node | None:
    """Return the linear node that alone reads ``node`` through homogeneous functions."""
    name, convolution = node.outputs[0], node.op == "Conv"
    while name not in graph.outputs:
        readers = [n for n in graph.nodes for i in n.inputs if i == name]
        if len(readers) != 1:
            return None
        after = readers[0]
        if after.op not in (_BETWEEN_CONVS if convolution else _ANYWHERE):
            fits = _usable(graph, after) and (after.op == "Conv") == convolution
            return after if fits and after.inputs[0] == name else None
        name = after.outputs[0]
    return None


def _cut(graph: Graph, path: list[Node]) -> Iterator[tuple[str, ...]]:
    names, start = [node.name for node in path], 0
    while start + 1 < len(path):
        middle = path[start + 1]
        shape = graph.constants[middle.inputs[1]].shape
        single = is_depthwise(middle, shape) and shape[0] == middle.attributes["group"]
        size = 3 if single and start + 2 < len(path) else 2
        yield tuple(names[start : start + size])
        start += size - 1


def _layer(graph: Graph, node: Node) -> Linear:
    """Return the node's constants with the outputs first."""
    w = graph.constants[node.inputs[1]]
    w = w if channel_axis(node, w.ndim) == 0 else np.ascontiguousarray(w.T)
    bias = graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
    groups = node.attributes.get("group", 1)
    assert isinstance(groups, int), "validated: an integer"
    return Linear(w, bias, groups)


def _scaled(layers: dict[str, Linear], part: tuple[str, ...], scales: dict[str, F64]) -> bool:
    """Equalize one pair or triple; say whether a range has moved."""
    old = [layers[name] for name in part]
    if len(part) == 2:
        *new, s = equalize_pair(*old)
        found = [s]
    else:
        first, middle, last, s12, s23 = equalize_triple(*old)
        new, found = [first, middle, last], [s12, s23]
    layers.update(zip(part, new, strict=True))
    for name, s in zip(part, found, strict=False):
        scales[name] = scales[name] * s
    return any(float(np.abs(s - 1.0).max()) > _SETTLED for s in found)


def _absorbed(
    graph: Graph,
    sets: tuple[tuple[str, ...], ...],
    layers: dict[str, Linear],
    scales: Mapping[str, F64],
    statistics: Mapping[str, tuple[F64, F64]],
) -> dict[str, F64]:
    """Move high biases between neighbours with a `Relu` alone between them."""
    nodes = {node.name: node for node in graph.nodes}
    moved: dict[str, F64] = {}
    for part in sets:
        for before, after in pairwise(part):
            value, second = nodes[before].outputs[0], nodes[after]
            relu = next(n for n in graph.nodes if value in n.inputs)
            alone = relu.op == "Relu" and relu.outputs[0] == second.inputs[0]
            if not alone or value not in statistics or _pads(second) or second.op == "MatMul":
                continue  # a float MatMul has no bias
            mean, std = (part / scales[before] for part in statistics[value])
            pair = absorb_high_bias(layers[before], layers[after], mean=mean, std=std)
            layers[before], layers[after], moved[before] = pair
    return moved


def _pads(node: Node) -> bool:
    pads = node.attributes.get("pads", ())
    return isinstance(pads, tuple) and any(pads)


def _with_layer(graph: Graph, node: Node, layer: Linear) -> Graph:
    """Return ``graph`` with the constants of ``node`` replaced; a new bias has a name."""
    old = graph.constants[node.inputs[1]]
    w = layer.weight if channel_axis(node, old.ndim) == 0 else np.ascontiguousarray(layer.weight.T)
    constants: dict[str, NDArray[Any]] = {**graph.constants, node.inputs[1]: w}
    values, nodes = dict(graph.values), graph.nodes
    if layer.bias is not None:
        name = (*node.inputs, "", "")[2]
        if not name:
            name = free_name(f"{node.name}.bias", names_of(graph))
            values[name] = Value("float32", layer.bias.shape)
            new = replace(node, inputs=(*node.inputs[:2], name))
            nodes = tuple(new if n.name == node.name else n for n in nodes)
        constants[name] = layer.bias
    return replace(graph, nodes=nodes, values=values, constants=constants)
