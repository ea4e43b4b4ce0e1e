r"""Which inputs of a node are weights, what each is called, and along which axes its rows run.

Most layers have one weight. `Gather` reads rows of a table, GRU and LSTM multiply by two matrices
for each direction: W with the inputs, R with the state. ::

    operator            input   constant       rows (channels)   summed over
    Conv, Gemm transB     1     (n, ...)       axis 0            the rest
    Gemm, MatMul          1     (k, n)         axis 1            axis 0
    Gather                0     (V, ...)       axis 0            nothing: a row is looked up
    GRU, LSTM             1     (D, G H, I)    axes 0 and 1      axis 2
                          2     (D, G H, H)    axes 0 and 1      axis 2

A **slot** is such an input. Rules, codes and checkpoints call it by the node's name; the second one
of a recurrent layer by ``name[2]``, so that what had one weight keeps its name.

Only beside float32 activations: integer forms exist of `Conv`, `Gemm` and `MatMul`. A table of one
axis, whose every element would need a scale, stays float32; so does one that is not read by rows.

References
----------
docs/spec/operators.md, sections 1 and 7 (weights of codes); `refquant.model.operators.WEIGHTS`.
"""

from collections.abc import Iterator

import numpy as np

from refquant.model.graph import Graph, Node
from refquant.model.operators import WEIGHTS
from refquant.model.quantize_weights import WEIGHTED, has_constant_weight

__all__ = ["check_slot_names", "slot_name", "slots", "weight_slots"]


def slots(graph: Graph, node: Node) -> tuple[int, ...]:
    """Return the inputs of ``node`` that are float32 constants and may become codes.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> table = b.constant("t", np.ones((5, 2), np.float32))
    >>> y = b.node("Gather", [table, b.input("ids", ("N", "T"), dtype="int32")])
    >>> g = b.graph([y])
    >>> slots(g, g.nodes[0])
    (0,)
    """
    if node.op in WEIGHTED:
        return (1,) if has_constant_weight(graph, node) else ()
    if node.attributes.get("axis", 0) != 0:
        return ()  # a table that is read along another axis: its rows are no rows of memory
    return tuple(i for i in WEIGHTS.get(node.op, ()) if _is_matrix(graph, node.inputs[i]))


def slot_name(node: Node, index: int) -> str:
    """Return what rules and codes of the weight at input ``index`` are called.

    >>> gru = Node("enc", "GRU", ("x", "w", "r"), ("y", "h"))
    >>> slot_name(gru, 1), slot_name(gru, 2)
    ('enc', 'enc[2]')
    """
    first = WEIGHTS[node.op][0]
    return node.name if index == first else f"{node.name}[{index}]"


def weight_slots(graph: Graph) -> Iterator[tuple[Node, int, str]]:
    """Yield (node, input, name) of every slot, in the graph's order.

    >>> from refquant.model.graph import Graph
    >>> list(weight_slots(Graph("g", (), (), {}, (), {}, {}, {})))
    []
    """
    for node in graph.nodes:
        for index in slots(graph, node):
            yield node, index, slot_name(node, index)


def check_slot_names(graph: Graph) -> None:
    """Refuse a graph in which a node has the name of another node's second weight.

    >>> check_slot_names(Graph("g", (), (), {}, (), {}, {}, {}))
    """
    nodes = {node.name for node in graph.nodes}
    for node, index, name in weight_slots(graph):
        if name != node.name and name in nodes:
            raise ValueError(
                f"node {name!r} has the name of the weight at input {index} of node "
                f"{node.name!r}; rename one"
            )


def _is_matrix(graph: Graph, name: str) -> bool:
    table = graph.constants.get(name)
    return table is not None and table.dtype == np.float32 and table.ndim > 1
