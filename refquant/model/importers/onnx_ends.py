"""The ends of an import: a branch that is put in place, the graph without what nobody reads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.importers.onnx_model import OnnxGraph, OnnxNode, captured

__all__ = ["OnnxUnsupportedError", "inlined", "outer", "without_unused"]


class OnnxUnsupportedError(ValueError):
    """Nodes that cannot be imported, all of them: ``nodes`` has (name, operator, reason)."""

    def __init__(self, nodes: Sequence[tuple[str, str, str]]) -> None:
        """Write the message from the ``nodes``."""
        self.nodes = tuple(nodes)
        lines = [f"  {name} ({op}): {reason}" for name, op, reason in self.nodes]
        super().__init__("\n".join([f"{len(lines)} nodes cannot be imported:", *lines]))


def inlined(graph: OnnxGraph, prefix: str) -> OnnxGraph:
    """Return the branch with its own names prefixed: those it takes from around it stay.

    >>> node = OnnxNode("n", "Add", ("x", "y"), ("y2",))
    >>> inlined(OnnxGraph("then", (), ("y2",), (node,), {}), "if/").nodes[0].outputs
    ('if/y2',)
    """
    outside = captured(graph)

    def new(name: str) -> str:
        return name if not name or name in outside else prefix + name

    def rename(node: OnnxNode) -> OnnxNode:
        inner = {
            k: outer(v, new) if isinstance(v, OnnxGraph) else v for k, v in node.attributes.items()
        }
        return replace(
            node,
            name=prefix + node.name,
            inputs=tuple(map(new, node.inputs)),
            outputs=tuple(map(new, node.outputs)),
            attributes=inner,
        )

    return OnnxGraph(
        graph.name,
        (),
        tuple(map(new, graph.outputs)),
        tuple(map(rename, graph.nodes)),
        {new(name): tensor for name, tensor in graph.constants.items()},
    )


def outer(graph: OnnxGraph, new: Any) -> OnnxGraph:
    """Return a graph in a graph, where the names it takes from around it have changed.

    >>> node = OnnxNode("n", "Add", ("x", "y"), ("y2",))
    >>> outer(OnnxGraph("then", (), ("y2",), (node,), {}), str.upper).nodes[0].inputs
    ('X', 'Y')
    """
    outside = captured(graph)

    def renamed(name: str) -> str:
        return str(new(name)) if name in outside else name

    nodes = tuple(
        replace(
            node,
            inputs=tuple(map(renamed, node.inputs)),
            attributes={
                k: outer(v, renamed) if isinstance(v, OnnxGraph) else v
                for k, v in node.attributes.items()
            },
        )
        for node in graph.nodes
    )
    outputs = tuple(map(renamed, graph.outputs))
    return OnnxGraph(graph.name, graph.inputs, outputs, nodes, graph.constants)


def without_unused(b: Builder, outputs: list[str], meta: Mapping[str, Any]) -> Graph:
    """Return the graph without nodes and constants that lead to no output.

    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2))
    >>> names = [b.node("Relu", [x], name="y"), b.node("Neg", [x], name="unused")]
    >>> [node.name for node in without_unused(b, ["y"], {}).nodes]
    ['y']
    """
    needed, kept = set(outputs), []
    for node in reversed(b.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(name for name in node.inputs if name)
    b.nodes[:] = kept[::-1]
    made = {name for node in b.nodes for name in node.outputs}
    for name in list(b.values):
        quant = b.values[name].quant
        if name in needed and quant is not None:
            needed.update(quant.names)
    for name in list(b.values):
        if name not in needed and name not in made and name not in b.inputs:
            del b.values[name]
            b.constants.pop(name, None)
    used = {node.contract for node in b.nodes}
    for contract in list(b.contracts):
        if contract not in used:
            del b.contracts[contract]
    try:
        return b.graph(outputs, meta=meta)
    except ValueError as error:
        raise OnnxUnsupportedError([(b.name, "graph", str(error))]) from error
