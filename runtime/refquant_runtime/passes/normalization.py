"""BatchNormalization as the three operations that it is: ``docs/spec/operators.md``, section 1.

With ``g = f32(scale / f32(sqrt(f32(var + epsilon))))``, known when the plan is made, it is a Sub, a
Mul and an Add of constants, one rounding each.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import Graph, Node, Value

__all__ = ["unrolled"]


def unrolled(graph: Graph) -> Graph:
    """Return the graph without batch normalizations."""
    if not any(node.op == "BatchNormalization" for node in graph.nodes):
        return graph
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        nodes += _three(values, node) if node.op == "BatchNormalization" else [node]
    return replace(graph, values=values, nodes=tuple(nodes))


def _three(values: dict[str, Value], node: Node) -> list[Node]:
    """Return the nodes, and add their constants and what lies between them to ``values``."""
    x = values[node.inputs[0]]
    scale, bias, mean, variance = (_data(values[name]) for name in node.inputs[1:])
    with np.errstate(all="ignore"):  # a variance below 0, an epsilon that is not enough
        root = np.sqrt(variance + np.float32(node.attributes.get("epsilon", 1e-5)))
        gain = np.asarray(scale / root, np.float32)
    made, name = list[Node](), node.inputs[0]
    for op, array in (("Sub", mean), ("Mul", gain), ("Add", bias)):
        shape = (array.size, *(1,) * (len(x.shape) - 2))
        constant = _new(values, f"{node.name}/{op}/by")
        values[constant] = Value(constant, "float32", shape, False, None, array.reshape(shape))
        y = node.outputs[0]
        if op != "Add":
            y = _new(values, f"{node.name}/{op}")
            values[y] = replace(values[node.outputs[0]], name=y)
        made.append(Node(node.name, op, (name, constant), (y,), {}, None))
        name = y
    return made


def _data(value: Value) -> NDArray[Any]:
    assert value.data is not None, "check_operands: a constant"
    return value.data


def _new(values: dict[str, Value], name: str) -> str:
    """Return a name that no value has."""
    while name in values:
        name += "'"
    return name
