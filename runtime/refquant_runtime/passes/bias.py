"""Fuse the Add of a constant vector into the float MatMul before it.

The layer adds its bias as it stores: one pass over memory less. Both ways it is one addition after
the sum, so the bits are the same. Allowed when the product has no other reader.
"""

from collections import Counter
from dataclasses import replace

from refquant_runtime.graph import Graph, Node

__all__ = ["fuse_bias"]


def fuse_bias(graph: Graph) -> Graph:
    """Return the graph with every fusable Add folded into its product."""
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    readers.update(graph.outputs)
    nodes: list[Node] = []
    producer: dict[str, int] = {}
    for node in graph.nodes:
        source = _product(graph, node, nodes, producer, readers) if node.op == "Add" else None
        if source is None:
            producer.update((name, len(nodes)) for name in node.outputs)
            nodes.append(node)
            continue
        bias = next(name for name in node.inputs if graph.values[name].data is not None)
        layer = nodes[source]
        nodes[source] = replace(layer, inputs=(*layer.inputs, bias), outputs=node.outputs)
        producer[node.outputs[0]] = source
    return replace(graph, nodes=tuple(nodes))


def _product(
    graph: Graph, add: Node, nodes: list[Node], producer: dict[str, int], readers: Counter[str]
) -> int | None:
    """Return the place of the product that may take the constant of ``add`` as its bias."""
    constants = [name for name in add.inputs if graph.values[name].data is not None]
    if len(constants) != 1:
        return None
    (bias,) = constants
    other = add.inputs[0] if bias == add.inputs[1] else add.inputs[1]
    source = producer.get(other)
    if source is None or readers[other] != 1 or nodes[source].op != "MatMul":
        return None
    layer, value = nodes[source], graph.values[other]
    w = graph.values[layer.inputs[1]]
    fits = value.dtype == "float32" and graph.values[bias].shape == value.shape[-1:]
    plain = len(layer.inputs) == 2 and w.data is not None and len(w.shape) == 2
    return source if fits and plain else None
