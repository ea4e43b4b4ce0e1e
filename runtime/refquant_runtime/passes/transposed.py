"""ConvTranspose as the convolution that it is: :mod:`refquant_runtime.transposed`.

::

    phases     x -> Conv (group * s * s * M/group channels) -> Interleave -> y
    mirrored   x -> Stuff (s - 1 zeros between neighbours) -> Conv -> y

Phases multiply nothing with the zeros between, so codes take them, but where every channel has one
kernel of its own, for which there is a better one. Reals take them if no tap of a phase is missing
and all weights are finite: an infinite input times a weight that is not there would be NaN. Weights
beside reals are decoded here, once. ``Stuff`` and ``Interleave`` are ours, inside the runtime.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from refquant_runtime.graph import Graph, Node, Value
from refquant_runtime.shapes_imported import transposed_pads
from refquant_runtime.transposed import decoded, mirrored, phased, repeated

__all__ = ["convolved"]

_OWN = ("strides", "pads", "dilations", "output_padding", "kernel_shape")


def convolved(graph: Graph) -> Graph:
    """Return the graph without transposed convolutions."""
    if not any(node.op.startswith("ConvTranspose") for node in graph.nodes):
        return graph
    values, nodes = dict(graph.values), list[Node]()
    for node in graph.nodes:
        if node.op.startswith("ConvTranspose"):
            nodes += _two(values, node)
        else:
            nodes.append(node)
    return replace(graph, values=values, nodes=tuple(nodes))


def _two(values: dict[str, Value], node: Node) -> tuple[Node, Node]:
    """Return both nodes, and add what lies between them and the kernel to ``values``."""
    x, w = values[node.inputs[0]], values[node.inputs[1]]
    dynamic = node.op != "ConvTranspose"
    codes = dynamic or values[node.outputs[0]].quant is not None
    if not codes:
        w = decoded(w)
    strides, dilations, _ = transposed_pads(w.shape, node.attributes)
    whole = all(
        d == 1 and k % s == 0 for k, s, d in zip(w.shape[2:], strides, dilations, strict=True)
    )
    group = node.attributes.get("group", 1)
    depthwise = group > 1 and group == x.shape[1] == w.shape[1] * group
    # A dynamic zero point is known in a run only, so it cannot be put between neighbours here.
    if dynamic or (not depthwise and (codes or (whole and _finite(w)))):
        return _phases(values, node, w)
    return _stuffed(values, node, w)


def _conv(
    values: dict[str, Value], node: Node, kernel: Value, ends: tuple[str, str], more: dict[str, Any]
) -> Node:
    """Return the convolution of ``node`` by ``kernel``, a new constant, between two values."""
    kept = {key: value for key, value in node.attributes.items() if key not in _OWN}
    name = _free(values, f"{node.name}/kernel")
    values[name] = replace(kernel, name=name)
    op = node.op.replace("Transpose", "")
    inputs = (ends[0], name, *node.inputs[2:])
    return Node(node.name, op, inputs, (ends[1],), kept | more, node.contract)


def _stuffed(values: dict[str, Value], node: Node, w: Value) -> tuple[Node, Node]:
    x, group = values[node.inputs[0]], node.attributes.get("group", 1)
    strides, dilations, pads = transposed_pads(w.shape, node.attributes)
    sizes = [s * (n - 1) + 1 for s, n in zip(strides, x.shape[2:], strict=True)]
    wide = _free(values, f"{node.name}/stuffed")
    values[wide] = replace(x, name=wide, shape=(*x.shape[:2], *sizes), data=None)
    stuff = Node(node.name, "Stuff", node.inputs[:1], (wide,), {"strides": strides}, None)
    more = {"pads": pads, "dilations": dilations, "group": group}
    return stuff, _conv(values, node, mirrored(w, group), (wide, node.outputs[0]), more)


def _phases(values: dict[str, Value], node: Node, w: Value) -> tuple[Node, Node]:
    x, y = values[node.inputs[0]], values[node.outputs[0]]
    group, rank = node.attributes.get("group", 1), len(w.shape) - 2
    strides, dilations, _ = transposed_pads(w.shape, node.attributes)
    begins = node.attributes.get("pads", [0] * 2 * rank)[:rank]
    kernel = phased(w, group, strides, dilations)
    first = [p // s for p, s in zip(begins, strides, strict=True)]  # q of the first output
    last = [(o - 1 + p) // s for o, p, s in zip(y.shape[2:], begins, strides, strict=True)]
    before = [j - 1 - q for j, q in zip(kernel.shape[2:], first, strict=True)]
    after = [max(q - (n - 1), 0) for q, n in zip(last, x.shape[2:], strict=True)]
    sizes = [
        n + b + a - j + 1
        for n, b, a, j in zip(x.shape[2:], before, after, kernel.shape[2:], strict=True)
    ]
    parts = _free(values, f"{node.name}/phases")
    values[parts] = replace(y, name=parts, shape=(x.shape[0], kernel.shape[0], *sizes))
    node = _with_bias(values, node, group, strides)
    conv = _conv(values, node, kernel, (node.inputs[0], parts),
                 {"pads": before + after, "group": group})  # fmt: skip
    cut = [p % s for p, s in zip(begins, strides, strict=True)]
    attributes = {"strides": strides, "group": group, "begins": cut}
    return conv, Node(node.name, "Interleave", (parts,), node.outputs, attributes, None)


def _with_bias(values: dict[str, Value], node: Node, group: int, strides: list[int]) -> Node:
    """Return the node with a bias for each phase, if it has one."""
    place = 2 if node.op == "ConvTranspose" else 4
    bias = (*node.inputs, "", "")[place] if len(node.inputs) > place else ""
    if not bias or math.prod(strides) == 1:
        return node
    data = values[bias].data
    assert data is not None, "check: a bias is a constant"
    name, wide = _free(values, f"{node.name}/bias"), repeated(data, group, strides)
    values[name] = replace(values[bias], name=name, shape=wide.shape, data=wide)
    return replace(node, inputs=(*node.inputs[:place], name))


def _finite(w: Value) -> bool:
    return w.data is not None and bool(np.isfinite(w.data).all())


def _free(values: dict[str, Value], name: str) -> str:
    while name in values:  # a name of the file's
        name = f"{name}'"
    return name
