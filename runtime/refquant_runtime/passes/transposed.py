"""ConvTranspose as the convolution that it is: ``docs/spec/operators.md``, section 10.

``Stuff`` (ours, inside the runtime) puts ``strides - 1`` zeros between neighbours; then comes a
``Conv`` by the mirrored kernel, its channel axes exchanged inside each group.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import Graph, Node, Value
from refquant_runtime.shapes_imported import transposed_pads

__all__ = ["convolved"]


def convolved(graph: Graph) -> Graph:
    """Return the graph without transposed convolutions."""
    if not any(node.op == "ConvTranspose" for node in graph.nodes):
        return graph
    values, nodes = dict(graph.values), []
    for node in graph.nodes:
        if node.op != "ConvTranspose":
            nodes.append(node)
            continue
        stuff, conv = _two(values, node)
        nodes += [stuff, conv]
    return replace(graph, values=values, nodes=tuple(nodes))


def _two(values: dict[str, Value], node: Node) -> tuple[Node, Node]:
    """Return both nodes, and add what lies between them and the kernel to ``values``."""
    x, w = values[node.inputs[0]], values[node.inputs[1]]
    group = node.attributes.get("group", 1)
    strides, dilations, pads = transposed_pads(w.shape, node.attributes)
    sizes = [s * (n - 1) + 1 for s, n in zip(strides, x.shape[2:], strict=True)]
    wide, kernel = f"{node.name}/stuffed", f"{node.name}/mirrored"
    while wide in values or kernel in values:  # a name of the file's
        wide, kernel = f"{wide}'", f"{kernel}'"
    values[wide] = replace(x, name=wide, shape=(*x.shape[:2], *sizes), data=None)
    mirrored = _mirrored(w, group)
    values[kernel] = replace(w, name=kernel, shape=mirrored.shape, data=mirrored)
    stuff = Node(node.name, "Stuff", node.inputs[:1], (wide,), {"strides": strides}, None)
    attributes = {"pads": pads, "dilations": dilations, "group": group}
    inputs = (wide, kernel, *node.inputs[2:])
    return stuff, Node(node.name, "Conv", inputs, node.outputs, attributes, None)


def _mirrored(w: Value, group: int) -> NDArray[Any]:
    assert w.data is not None, "check_typed: a constant"
    grouped = w.data.reshape(group, w.shape[0] // group, *w.shape[1:]).swapaxes(1, 2)
    flat = grouped.reshape(-1, *grouped.shape[2:])
    return np.ascontiguousarray(np.flip(flat, tuple(range(2, flat.ndim))))
