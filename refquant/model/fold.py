r"""Folding: fewer nodes that compute the same function of the reals.

**Batch normalization** after a linear operator is linear, so it disappears into the weights. With

.. math::

    g = \frac{\text{scale}}{\sqrt{\text{var} + \epsilon}}                           \tag{1}

for each output channel, :math:`(w x + b - \text{mean})\, g + \text{bias} = w' x + b'` where

.. math::

    w' = g\,w, \qquad b' = (b - \text{mean})\, g + \text{bias}                      \tag{2}

(1) and (2) are evaluated in float64 and rounded to float32 once: each folded constant is within
half an ulp, or next to it, of the exact one. The result is another float32 program for the same
real function; it agrees with the unfolded one within the rounding of both, not bit for bit.

**Identity** copies; what reads it can read its input.

Left out: normalization before a linear operator, and after one whose channels are not at axis 1.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2, eq. (14).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph, Node, Value

__all__ = ["fold", "fold_batch_normalization", "remove_identity"]

Float = NDArray[np.float32]
Wide = NDArray[np.float64]

_LINEAR = ("Conv", "Gemm", "MatMul")


def fold(graph: Graph) -> Graph:
    """Return ``graph`` without `Identity` and without foldable `BatchNormalization`.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> y = b.node("Relu", [b.node("Identity", [b.input("x", ("N", 2))])], name="y")
    >>> [node.op for node in fold(b.graph([y])).nodes]
    ['Relu']
    """
    return fold_batch_normalization(remove_identity(graph))


def remove_identity(graph: Graph) -> Graph:
    """Return ``graph`` without its `Identity` nodes, bit for bit the same function.

    One stays: between an output of the graph and an input, a constant or another output.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> y = b.node("Identity", [b.input("x", ("N", 2))], name="y")
    >>> [node.op for node in remove_identity(b.graph([y])).nodes]
    ['Identity']
    """
    for name in [node.name for node in graph.nodes if node.op == "Identity"]:
        graph = _without_identity(graph, _node(graph, name))
    return graph


def fold_batch_normalization(graph: Graph) -> Graph:
    """Return ``graph`` with each foldable `BatchNormalization` inside its linear operator: eq. (2).

    Foldable: the only reader of a float32 `Conv`, `Gemm` or `MatMul` with constant weights, on the
    channels these make. `Conv` and `Gemm` gain a bias, `MatMul` an `Add`. The constants are new,
    called ``<node>.weight`` and ``<node>.bias``. A ``var + epsilon`` that is not positive, and
    folded weights beyond float32, are a `ValueError`.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> w = b.constant("w", np.ones((1, 1, 1, 1), np.float32))
    >>> h = b.node("Conv", [b.input("x", ("N", 1, 2, 2)), w], name="conv")
    >>> numbers = {"gain": 2.0, "shift": 1.0, "mean": 0.5, "var": 1.0}
    >>> names = [b.constant(k, np.array([v], np.float32)) for k, v in numbers.items()]
    >>> y = b.node("BatchNormalization", [h, *names], name="y", attributes={"epsilon": 0.0})
    >>> folded = fold_batch_normalization(b.graph([y]))
    >>> [node.op for node in folded.nodes]
    ['Conv']
    >>> [float(folded.constants[part].item()) for part in ("conv.weight", "conv.bias")]
    [2.0, 0.0]
    """
    for name in [node.name for node in graph.nodes if node.op == "BatchNormalization"]:
        norm = _node(graph, name)
        linear = _foldable(graph, norm)
        if linear is not None:
            graph = _folded(graph, linear, norm)
    return graph


def _node(graph: Graph, name: str) -> Node:
    """Return the node as it is now: an earlier step may have renamed its inputs."""
    return next(node for node in graph.nodes if node.name == name)


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


def _foldable(graph: Graph, norm: Node) -> Node | None:
    """Return the linear node that ``norm`` folds into, None if there is none."""
    name = norm.inputs[0]
    readers = [n for n in graph.nodes if name in n.inputs]
    producer = next((n for n in graph.nodes if name in n.outputs), None)
    if producer is None or producer.op not in _LINEAR or len(readers) != 1:
        return None
    constants = [*producer.inputs[1:], *norm.inputs[1:]]
    plain = all(
        item in graph.constants and graph.values[item].dtype == "float32"
        for item in constants
        if item
    )
    # The channels of a product are its last axis, those of a normalization are axis 1.
    two_axes = (
        len(graph.values[name].shape) == 2 and len(graph.values[producer.inputs[1]].shape) == 2
    )
    channels = producer.op == "Conv" or two_axes
    return producer if plain and channels and name not in graph.outputs else None


def _folded(graph: Graph, linear: Node, norm: Node) -> Graph:
    gain, mean, offset = _affine(graph, norm)
    w = graph.constants[linear.inputs[1]].astype(np.float64)
    rows = linear.op == "Conv" or linear.attributes.get("transB", 0) == 1
    along = (-1, *(1,) * (w.ndim - 1)) if rows else (1, -1)
    has_bias = len(linear.inputs) > 2 and linear.inputs[2] != ""
    b = graph.constants[linear.inputs[2]].astype(np.float64) if has_bias else np.zeros(1)
    weight = _constant_name(graph, linear, 1, "weight")
    bias = _constant_name(graph, linear, 2, "bias")
    constants = {
        weight: _to_float32(norm, w * gain.reshape(along)),
        bias: _to_float32(norm, (b - mean) * gain + offset),
    }
    if linear.op == "MatMul":
        first = replace(linear, inputs=(linear.inputs[0], weight))
        second = Node(norm.name, "Add", (linear.outputs[0], bias), norm.outputs)
        return _replaced(graph, {linear.name: first, norm.name: second}, constants)
    first = replace(linear, inputs=(linear.inputs[0], weight, bias), outputs=norm.outputs)
    return _replaced(graph, {linear.name: first, norm.name: None}, constants)


def _affine(graph: Graph, norm: Node) -> tuple[Wide, Wide, Wide]:
    """Return g of eq. (1), mean and bias, in float64."""
    scale, bias, mean, var = (graph.constants[n].astype(np.float64) for n in norm.inputs[1:])
    epsilon = norm.attributes.get("epsilon", 1e-5)
    assert isinstance(epsilon, int | float), "validated: a number"
    if not (var + epsilon > 0).all():
        raise ValueError(
            f"node {norm.name!r}: var + epsilon must be > 0, got {float((var + epsilon).min())}"
        )
    gain: Wide = scale / np.sqrt(var + epsilon)
    return gain, mean, bias


def _to_float32(norm: Node, array: Wide) -> Float:
    with np.errstate(over="ignore"):
        result = array.astype(np.float32)
    if not np.isfinite(result).all():
        raise ValueError(f"node {norm.name!r}: folded, its constants must be finite float32")
    return result


def _replaced(
    graph: Graph, swaps: Mapping[str, Node | None], constants: Mapping[str, NDArray[Any]]
) -> Graph:
    """Swap nodes, add ``constants``, and drop values that the old nodes alone had."""
    nodes = tuple(
        node for node in (swaps.get(old.name, old) for old in graph.nodes) if node is not None
    )
    swapped = [old for old in graph.nodes if old.name in swaps]
    before = {name for old in swapped for name in (*old.inputs, *old.outputs)}
    used = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    quants = [value.quant for value in graph.values.values() if value.quant is not None]
    parameters = {item for quant in quants for item in (quant.scale, quant.zero_point)}
    gone = before - used - parameters - set(graph.inputs) - set(graph.outputs)
    described = {name: Value("float32", tuple(a.shape)) for name, a in constants.items()}
    values = {**graph.values, **described}
    arrays = {**graph.constants, **constants}
    return replace(
        graph,
        nodes=nodes,
        values={name: value for name, value in values.items() if name not in gone},
        constants={name: array for name, array in arrays.items() if name not in gone},
    )


def _constant_name(graph: Graph, linear: Node, index: int, suffix: str) -> str:
    """Return a name for the operand's successor, which may be that of the operand it replaces."""
    old = linear.inputs[index] if len(linear.inputs) > index else ""
    readers = [node for node in graph.nodes for name in node.inputs if name == old]
    taken = graph.values.keys() - ({old} if len(readers) == 1 else set())
    name = f"{linear.name}.{suffix}"
    while name in taken:
        name += "_"
    return name
