r"""Layer normalization that an exporter wrote out, as one node.

::

    x -> ReduceMean -> Sub from x -> d     d -> Mul d -> ReduceMean -> Add epsilon -> Sqrt
                                           d -> Div by the root -> [Mul gain] -> [Add bias]

.. math::

    y = g\,\frac{x - \bar x}{\sqrt{\overline{(x - \bar x)^2} + \epsilon}} + b              \tag{1}

along the last axis. Opsets before 17 have no such operator. On codes the chain cannot be computed:
epsilon is 1e-5, a step of 8 bits is thousands of times that. As one node it stays float32.

In float32 it is another program for (1), as everything that `refquant.model.fold` does.

Left out: other axes, and chains of which another node reads a part.

Source: Ba, Kiros, Hinton, "Layer Normalization", 2016, eq. (4); ONNX ``LayerNormalization``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.model.fold_channels import only_reader, rebuilt
from refquant.model.graph import Graph, Node
from refquant.model.names import free_name

__all__ = ["fold_layer_norm"]


@dataclass(frozen=True)
class _Chain:
    x: str
    epsilon: float
    nodes: tuple[Node, ...]


def fold_layer_norm(graph: Graph) -> Graph:
    """Return ``graph`` with each written-out layer normalization as one node: eq. (1).

    The node has the name and the output of the chain's last one; a gain that is not there is a
    constant of ones, ``<node>.weight``.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> mean = {"axes": [-1], "keepdims": 1}
    >>> x = b.input("x", ("N", 4))
    >>> d = b.node("Sub", [x, b.node("ReduceMean", [x], attributes=mean)])
    >>> v = b.node("ReduceMean", [b.node("Mul", [d, d])], attributes=mean)
    >>> v = b.node("Add", [v, b.constant("epsilon", np.float32(1e-5))])
    >>> y = b.node("Div", [d, b.node("Sqrt", [v])], name="y")
    >>> [(node.op, node.name) for node in fold_layer_norm(b.graph([y])).nodes]
    [('LayerNormalization', 'y')]
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in {*node.inputs}:
            readers.setdefault(name, []).append(node)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    swaps: dict[str, Node | None] = {}
    constants: dict[str, NDArray[np.float32]] = {}
    taken = {*graph.values, *(node.name for node in graph.nodes)}
    for node in graph.nodes:
        chain = _chain(graph, node, makers, readers) if node.op == "Div" else None
        if chain is None:
            continue
        last, gain, bias, nodes = _affine(graph, node, readers)
        if not gain:
            gain = free_name(f"{last.name}.weight", taken)
            taken.add(gain)
            constants[gain] = np.ones(int(graph.values[node.outputs[0]].shape[-1]), np.float32)
        swaps.update(dict.fromkeys([n.name for n in (*chain.nodes, *nodes)]))
        swaps[last.name] = Node(
            last.name, "LayerNormalization", (chain.x, gain, *bias), last.outputs,
            {"axis": -1, "epsilon": chain.epsilon},
        )  # fmt: skip
    return rebuilt(graph, swaps, constants) if swaps else graph


def _chain(
    graph: Graph, div: Node, makers: Mapping[str, Node], readers: Mapping[str, list[Node]]
) -> _Chain | None:
    """Return what stands before the division, if it is (1) so far."""

    def made(name: str, op: str) -> Node | None:
        node = makers.get(name)
        alone = node is not None and only_reader(graph, name, readers) is not None
        return node if alone and node is not None and node.op == op else None

    difference, length = makers.get(div.inputs[0]), graph.values[div.outputs[0]].shape[-1]
    root = made(div.inputs[1], "Sqrt")
    add = None if root is None else made(root.inputs[0], "Add")
    if difference is None or difference.op != "Sub" or root is None or add is None:
        return None
    d = difference.outputs[0]
    epsilon = next((_number(graph, name) for name in add.inputs if name in graph.constants), None)
    other = next((name for name in add.inputs if name not in graph.constants), "")
    mean = made(other, "ReduceMean")
    square = None if mean is None else made(mean.inputs[0], "Mul")
    centre = made(difference.inputs[1], "ReduceMean")
    if mean is None or square is None or centre is None or epsilon is None:
        return None
    of_x = centre.inputs[0] == difference.inputs[0] and {*square.inputs} == {d}
    read = {node.name for node in readers[d]} == {square.name, div.name} and d not in graph.outputs
    last = all(_over_last(graph, node) for node in (mean, centre)) and isinstance(length, int)
    if not (of_x and read and last):
        return None
    inner = (centre, difference, square, mean, add, root, div)
    return _Chain(difference.inputs[0], epsilon, inner)


def _over_last(graph: Graph, mean: Node) -> bool:
    rank = len(graph.values[mean.inputs[0]].shape)
    axes = mean.attributes.get("axes", ())
    return axes in ((-1,), (rank - 1,)) and mean.attributes.get("keepdims", 1) == 1


def _number(graph: Graph, name: str) -> float | None:
    array = graph.constants[name]
    return float(array.ravel()[0]) if array.size == 1 and array.dtype == np.float32 else None


def _affine(
    graph: Graph, div: Node, readers: Mapping[str, list[Node]]
) -> tuple[Node, str, tuple[str, ...], list[Node]]:
    """Return the last node, gain and bias as far as there are, and the nodes before the last."""
    last, found, passed = div, dict[str, str](), list[Node]()
    size = graph.values[div.outputs[0]].shape[-1]
    for op in ("Mul", "Add"):
        after = only_reader(graph, last.outputs[0], readers)
        if after is None or after.op != op:
            continue
        operand = [name for name in after.inputs if name != last.outputs[0]]
        array = graph.constants.get(operand[0]) if len(operand) == 1 else None
        if array is None or array.dtype != np.float32 or array.shape != (size,):
            break
        found[op] = operand[0]
        passed.append(after)
        last = after
    return last, found.get("Mul", ""), (found["Add"],) if "Add" in found else (), passed
