"""Where the biases of a model are, and the model with others.

A bias is a constant, a number a row of the weight: ::

    Conv, Gemm        the third input; there may be none
    MatMul --> Add    the Add's constant, a number a column
    MatMul alone, GRU, LSTM, Gather    no bias of a product

`refquant.model.correct_bias` says which numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph, Node, Value, names_of
from refquant.model.names import free_name
from refquant.model.quantize_weights import WEIGHTED
from refquant.model.weight_slots import weight_slots

__all__ = ["Site", "bias_of", "place_of", "rebuilt", "record_of", "sites_of"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Site:
    """Where the bias of the layer ``node`` is: a constant of ``holder``, "" if there is none."""

    node: Node
    holder: Node
    bias: str


def sites_of(graph: Graph, weights: Mapping[str, F32]) -> tuple[dict[str, Site], list[str]]:
    """Return the place of the bias of each layer in ``weights``, and the slots that have none.

    >>> sites_of(Graph("g", (), (), {}, (), {}, {}, {}), {})
    ({}, [])
    """
    sites: dict[str, Site] = {}
    left: list[str] = []
    for node, _, slot in weight_slots(graph):
        if slot not in weights:
            continue
        add = _added(graph, node) if node.op == "MatMul" else None
        if node.op == "MatMul" and add is not None:
            bias = next(name for name in add.inputs if name != node.outputs[0])
            sites[node.name] = Site(node, add, bias)
        elif node.op in WEIGHTED and node.op != "MatMul":
            sites[node.name] = Site(node, node, (*node.inputs, "")[2])
        else:
            left.append(slot)
    return sites, left


def _added(graph: Graph, node: Node) -> Node | None:
    """Return the Add of a constant, one number a column, that alone reads the MatMul ``node``."""
    name, columns = node.outputs[0], graph.constants[node.inputs[1]].shape[-1:]
    readers = [n for n in graph.nodes if name in n.inputs]
    if len(readers) != 1 or readers[0].op != "Add" or name in graph.outputs:
        return None
    others = [n for n in readers[0].inputs if n != name]
    vector = len(others) == 1 and others[0] in graph.constants
    return readers[0] if vector and graph.constants[others[0]].shape == columns else None


def place_of(site: Site) -> int:
    """Return which input of the holder the bias is.

    >>> node = Node("y", "Gemm", ("x", "w"), ("y",))
    >>> place_of(Site(node, node, ""))
    2
    """
    return 2 if site.holder is site.node else site.holder.inputs.index(site.bias)


def bias_of(graph: Graph, site: Site, size: int) -> F32:
    """Return the bias there is, (size,), zeros for none.

    >>> node = Node("y", "Gemm", ("x", "w"), ("y",))
    >>> bias_of(Graph("g", (), (), {}, (node,), {}, {}, {}), Site(node, node, ""), 2).tolist()
    [0.0, 0.0]
    """
    return graph.constants[site.bias] if site.bias else np.zeros(size, np.float32)


def rebuilt(graph: Graph, sites: Mapping[str, Site], biases: Mapping[str, F32]) -> Graph:
    """Return ``graph`` with the ``biases``, each a constant of its own.

    A bias that is there keeps its name unless somebody else reads it, too; a new one is called
    ``<node>.bias``.

    >>> g = Graph("g", (), (), {}, (), {}, {}, {})
    >>> rebuilt(g, {}, {}) == g
    True
    """
    constants, values, taken = dict(graph.constants), dict(graph.values), set(names_of(graph))
    swaps: dict[str, Node] = {}
    for name, array in biases.items():
        site = sites[name]
        readers = sum(node.inputs.count(site.bias) for node in graph.nodes)
        label = site.bias
        if readers != 1 or not label or label in graph.outputs:
            label = free_name(f"{name}.bias", taken)
        taken.add(label)
        constants[label], values[label] = array, Value("float32", array.shape)
        place = place_of(site)
        padded = (*site.holder.inputs, *[""] * (place + 1 - len(site.holder.inputs)))
        inputs = (*padded[:place], label, *padded[place + 1 :])
        swaps[site.holder.name] = replace(site.holder, inputs=inputs)
    nodes = tuple(swaps.get(node.name, node) for node in graph.nodes)
    return replace(graph, nodes=nodes, constants=constants, values=values)


def record_of(
    graph: Graph,
    kind: str,
    sites: Mapping[str, Site],
    biases: Mapping[str, F32],
    left: list[str],
) -> dict[str, Any]:
    """Return as JSON by how much the bias of each node has moved, and what was left.

    >>> record_of(Graph("g", (), (), {}, (), {}, {}, {}), "analytic", {}, {}, ["gru"])
    {'kind': 'analytic', 'corrected': {}, 'left': ['gru']}
    """
    done = {
        name: float(np.abs(bias - bias_of(graph, sites[name], bias.size)).max())
        for name, bias in biases.items()
    }
    return {"kind": kind, "corrected": done, "left": left}
