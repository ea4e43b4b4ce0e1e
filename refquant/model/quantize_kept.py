r"""What stays in float32 though it has an integer form: where 8 bits lose what the model lives on.

**A root of squares**: a magnitude, a norm. With a ruler of 256 steps for :math:`x`, a ruler of as
many for :math:`x^2` has a step that is as large as the square of 1/16 of the range: whatever was
below a sixteenth becomes 0, and the root brings it back as 0. Codes of :math:`x` see down to 1/256.

.. math::

    y = \sqrt{\textstyle\sum_i x_i^2 + c}                                                  \tag{1}

So squares, their sums and the root are computed on reals, from the codes of :math:`x` to codes of
:math:`y`. (Spectra are such roots: silero's detector of speech lost a half of what it knows of
quiet frames.)

**Movement of an input that no integer layer reads**: codes of it would cost precision and serve
nobody. It is what often stands between a state and a layer that adds to it in float32::

    c ----> QuantizeLinear --> Transpose --> DequantizeLinear --> LSTM      256 values for a cell
    c ----> Transpose --> LSTM                                              what we make

`refquant.model.quantize_plan` asks here.
"""

from collections.abc import Collection, Mapping

from refquant.model.graph import Graph, Node
from refquant.model.operators import MOVEMENT

__all__ = ["idle_movement", "roots_of_squares"]

_INSIDE = frozenset({"Add", "ReduceSum", "ReduceMean", *MOVEMENT})


def roots_of_squares(graph: Graph) -> set[str]:
    """Return the names of the nodes that compute eq. (1): squares, sums of them, roots.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2))
    >>> two = b.node("Add", [b.node("Mul", [x, x], name="xx"), b.node("Mul", [x, x], name="yy")])
    >>> g = b.graph([b.node("Sqrt", [two], name="root")])
    >>> sorted(roots_of_squares(g))
    ['add_2', 'root', 'xx', 'yy']
    """
    made = {name: node for node in graph.nodes for name in node.outputs}
    found: set[str] = set()
    for node in graph.nodes:
        if node.op == "Sqrt":
            found |= _under(graph, node, made) or set()
    return found


def _under(graph: Graph, root: Node, made: Mapping[str, Node]) -> set[str] | None:
    """Return the nodes of one root, or None where it is of something else."""
    nodes, squares, todo = {root.name}, 0, list(root.inputs)
    while todo:
        name = todo.pop()
        node = made.get(name)
        if name in graph.constants:
            continue
        if node is not None and node.op == "Mul" and node.inputs[0] == node.inputs[1]:
            squares += 1
        elif node is not None and node.op in _INSIDE:
            todo += node.inputs
        else:
            return None
        nodes.add(node.name)
    return nodes if squares else None


def idle_movement(graph: Graph, coded: Collection[str]) -> set[str]:
    """Return the names of nodes that only move inputs of the graph, to no reader in ``coded``.

    ``coded`` are names of nodes that compute on codes, those that are asked about among them; the
    states of a `GRU` or `LSTM` it reads as reals all the same.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> c = b.node("Flatten", [b.input("c", ("N", 2, 1))], name="flat")
    >>> g = b.graph([b.node("Tanh", [c], name="y")])
    >>> idle_movement(g, {"flat"}), idle_movement(g, {"flat", "y"})
    ({'flat'}, set())
    """
    raw, movers = {*graph.inputs, *graph.constants}, []
    for node in graph.nodes:
        if node.name in coded and node.op in MOVEMENT and raw.issuperset(node.inputs):
            movers.append(node)
            raw.update(node.outputs)
    idle: set[str] = set()
    for node in reversed(movers):
        readers = {n.name for n in graph.nodes if set(node.outputs) & set(_read_as_codes(n))}
        if not (readers & set(coded)) - idle:
            idle.add(node.name)
    return idle


def _read_as_codes(node: Node) -> tuple[str, ...]:
    return node.inputs[:1] if node.op in ("GRU", "LSTM") else node.inputs
