"""Fuse a float Relu or Clip into the layer before it.

The layer then clamps each element as it stores it: one pass over memory less. Allowed when the
layer's output has no other reader; the result has the same bits (``docs/spec/operators.md``).
"""

import math
from collections import Counter
from dataclasses import replace

from refquant_runtime.graph import Graph, Node

__all__ = ["fuse_bounds"]

DOT_PRODUCTS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul"])
LAYERS = DOT_PRODUCTS | {"Add", "ConvIntegerToFloat", "MatMulIntegerToFloat"}
LAYERS |= {"ConvTransposeIntegerToFloat"}
LAYERS |= {"ConvDynamicRange", "MatMulDynamicRange"}


def fuse_bounds(graph: Graph) -> Graph:
    """Return the graph with every fusable Relu and Clip folded into its layer."""
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    readers.update(graph.outputs)
    nodes: list[Node] = []
    producer: dict[str, int] = {}
    for node in graph.nodes:
        source = producer.get(node.inputs[0]) if node.op in ("Relu", "Clip") else None
        if (
            source is not None
            and nodes[source].op in LAYERS
            and _fusable(graph, nodes[source], node, readers)
        ):
            low = 0.0 if node.op == "Relu" else node.attributes.get("min", float("-inf"))
            high = float("inf") if node.op == "Relu" else node.attributes.get("max", float("inf"))
            layer = nodes[source]
            nodes[source] = replace(
                layer,
                outputs=node.outputs,
                attributes={**layer.attributes, "fused_min": low, "fused_max": high},
            )
            producer[node.outputs[0]] = source
            continue
        producer.update((name, len(nodes)) for name in node.outputs)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _fusable(graph: Graph, layer: Node, bound: Node, readers: Counter[str]) -> bool:
    """Return whether the layer may clamp in place of ``bound``.

    A clamp cannot tell -0.0 from +0.0, Clip with a bound of zero can. A dot product that starts at
    +0.0 never gives -0.0, so only the other layers care.
    """
    value = graph.values[layer.outputs[0]]
    low = bound.attributes.get("min", float("-inf"))
    if low == 0 and (layer.op not in DOT_PRODUCTS or math.copysign(1, low) < 0):
        return False
    weights = graph.values[layer.inputs[1]]
    computed = layer.op != "Add" and (
        weights.data is None or (layer.op == "MatMul" and len(weights.shape) > 2)
    )
    return (
        value.dtype == "float32"
        and readers[value.name] == 1
        and "fused_min" not in layer.attributes
        and len(bound.inputs) == 1
        and not computed
    )
