"""Identity copies, so what reads it can read its input: the same function, bit for bit.

What cannot go is a second name for something that keeps its own: an input, a constant or an output
of the graph that is an output once more. Exporters leave `Identity` behind where a training
framework had a dropout or a cast.

Source: ONNX operator ``Identity``.
"""

from dataclasses import replace

from refquant.model.graph import Graph, Node
from refquant.model.states import need_pure

__all__ = ["remove_identity"]


def remove_identity(graph: Graph) -> Graph:
    """Return ``graph`` without its `Identity` nodes, bit for bit the same function.

    One stays: between an output of the graph and an input, a constant or another output.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> y = b.node("Identity", [b.input("x", ("N", 2))], name="y")
    >>> [node.op for node in remove_identity(b.graph([y])).nodes]
    ['Identity']
    """
    need_pure(graph)
    for name in [node.name for node in graph.nodes if node.op == "Identity"]:
        # As it is now: an earlier step may have renamed its inputs.
        node = next(node for node in graph.nodes if node.name == name)
        graph = _without_identity(graph, node)
    return graph


def _without_identity(graph: Graph, node: Node) -> Graph:
    source, target = node.inputs[0], node.outputs[0]
    others = tuple(n for n in graph.nodes if n.name != node.name)
    if target not in graph.outputs:
        removed, kept = target, source
    elif source in graph.inputs or source in graph.constants or source in graph.outputs:
        return graph
    else:
        removed, kept = source, target
    renamed = tuple(
        replace(
            n,
            inputs=tuple(kept if name == removed else name for name in n.inputs),
            outputs=tuple(kept if name == removed else name for name in n.outputs),
        )
        for n in others
    )
    values = {name: value for name, value in graph.values.items() if name != removed}
    return replace(graph, nodes=renamed, values=values)
