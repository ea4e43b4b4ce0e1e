r"""A constant factor and a constant term before convolutions disappear into them.

Some networks learn two numbers behind each activation (PaddlePaddle's "learnable affine block"): ::

    HardSwish -> Mul a -> Add b -> Conv w, c            HardSwish -> Conv w', c'
                               '-> Conv ...                      '-> Conv ...

.. math::

    w' = a\,w, \qquad c' = c + b \sum w                                                    \tag{1}

over the weights of each output channel, in float64, rounded to float32 once. A convolution that
pads adds zeros behind the term, not before it: there the factor moves and the term stays, as
:math:`b / a`,

.. math::

    w\,(a h + b) = (a w)\,(h + b / a)                                                      \tag{2}

Like the folding of `refquant.model.fold`, it is another float32 program for the same real function.
On codes it is more: two roundings to 8 bits, of all channels by one scale, are not made.

Left out: numbers a channel, other products than `Conv`, and what something else reads, too.

Source: distributivity.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refquant.model.fold_channels import only_reader, rebuilt
from refquant.model.graph import Graph, Node
from refquant.model.names import free_name

__all__ = ["fold_scalars"]


def fold_scalars(graph: Graph) -> Graph:
    """Return ``graph`` with single numbers before `Conv` inside it: eq. (1) and (2).

    New constants are called ``<node>.weight``, ``<node>.bias`` and ``<node>.term``. What would not
    be finite stays as it is.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> h = b.node("Mul", [b.input("x", ("N", 1, 2, 2)), b.constant("a", np.float32(2))], name="h")
    >>> h = b.node("Add", [h, b.constant("b", np.float32(3))], name="sum")
    >>> w = b.constant("w", np.ones((1, 1, 1, 1), np.float32))
    >>> folded = fold_scalars(b.graph([b.node("Conv", [h, w], name="y")]))
    >>> [(n.op, n.inputs) for n in folded.nodes]
    [('Conv', ('x', 'y.weight', 'y.bias'))]
    >>> [float(folded.constants[name].item()) for name in ("y.weight", "y.bias")]
    [2.0, 3.0]
    """
    for name in [node.name for node in graph.nodes if node.op in ("Add", "Mul", "Div")]:
        node = next((n for n in graph.nodes if n.name == name), None)
        if node is not None:
            graph = _moved(graph, node)
    return graph


def _moved(graph: Graph, node: Node) -> Graph:
    """Return the graph with ``node``, and the `Add` behind a factor, inside what reads it."""
    readers: dict[str, list[Node]] = {}
    for each in graph.nodes:
        for name in each.inputs:
            readers.setdefault(name, []).append(each)
    found = _number(graph, node)
    if found is None:
        return graph
    x, number = found
    factor, term, add, last = 1.0, 0.0, None, node
    if node.op == "Add":
        term = number
    else:
        factor = number if node.op == "Mul" else 1 / number
        add = only_reader(graph, node.outputs[0], readers)
        behind = _number(graph, add) if add is not None and add.op == "Add" else None
        if add is not None and behind is not None:
            term, last = behind[1], add
    convs = readers.get(last.outputs[0], [])
    fit = all(_takes(graph, conv, last.outputs[0]) for conv in convs)
    if not convs or not fit or last.outputs[0] in graph.outputs or factor == 0:
        return graph
    padded = any(any(_pads(conv)) for conv in convs) and term != 0
    if padded and (last is node):
        return graph  # the term alone: it is where it has to be
    return _folded(graph, (node, last), x, convs, (factor, term), padded=padded)


def _number(graph: Graph, node: Node) -> tuple[str, float] | None:
    """Return what a node computes with one constant number: (the other operand, the number)."""
    pairs = ((0, 1),) if node.op == "Div" else ((0, 1), (1, 0))
    for i, j in pairs:
        array = graph.constants.get(node.inputs[j])
        x = graph.values[node.inputs[i]]
        if array is None or array.size != 1 or array.dtype != np.float32 or array.ndim > 1:
            continue
        number = float(array.ravel()[0])
        if node.inputs[i] not in graph.constants and x.dtype == "float32" and len(x.shape) > 1:
            return (node.inputs[i], number) if number and np.isfinite(number) else None
    return None


def _takes(graph: Graph, conv: Node, name: str) -> bool:
    """Say whether ``name`` is what ``conv`` convolves, by constants of its own graph."""
    constants = [n for n in conv.inputs[1:] if n]
    known = all(n in graph.constants and graph.values[n].dtype == "float32" for n in constants)
    return conv.op == "Conv" and conv.inputs[0] == name and name not in constants and known


def _pads(conv: Node) -> tuple[int, ...]:
    pads = conv.attributes.get("pads", ())
    assert isinstance(pads, tuple), "validated: integers"
    return tuple(int(p) for p in pads)


def _folded(
    graph: Graph,
    ends: tuple[Node, Node],
    x: str,
    convs: list[Node],
    numbers: tuple[float, float],
    *,
    padded: bool,
) -> Graph:
    (first, last), (factor, term) = ends, numbers
    constants: dict[str, NDArray[np.float32]] = {}
    taken = {*graph.values, *(node.name for node in graph.nodes)}

    def fresh(name: str, array: NDArray[np.float64]) -> str:
        label = free_name(name, taken)
        taken.add(label)
        constants[label] = array.astype(np.float32)
        return label

    swaps: dict[str, Node | None] = {first.name: None, last.name: None}
    source = x
    with np.errstate(over="ignore", invalid="ignore"):
        if padded:
            moved = fresh(f"{last.name}.term", np.asarray(term / factor))
            swaps[last.name] = replace(last, inputs=(x, moved))
            source = last.outputs[0]
        for conv in convs:
            w = graph.constants[conv.inputs[1]].astype(np.float64)
            has_bias = len(conv.inputs) > 2 and conv.inputs[2] != ""
            names = [fresh(f"{conv.name}.weight", w * factor)]
            if has_bias or (term and not padded):
                c = graph.constants[conv.inputs[2]].astype(np.float64) if has_bias else 0.0
                whole = w.reshape(len(w), -1).sum(axis=1) * (0.0 if padded else term)
                names.append(fresh(f"{conv.name}.bias", c + whole))
            swaps[conv.name] = replace(conv, inputs=(source, *names))
    if not all(np.isfinite(array).all() for array in constants.values()):
        return graph
    return rebuilt(graph, swaps, constants)
