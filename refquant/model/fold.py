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

One that cannot disappear, for it stands behind a `Relu` or at an input, or its product has another
reader, is **lowered** to a `Mul` and an `Add`, which every runtime executes:

.. math::

    y = f_{32}(g)\, x + f_{32}(\text{bias} - \text{mean}\, g)                           \tag{3}

with constants of shape (C, 1, ..., 1), a number for each channel of axis 1. Each float32 result is
within :math:`\gamma_3 (|x| + |\text{mean}|)\,|g| + \gamma_2 |\text{bias}|` of the real function,
but for underflow: three roundings on the way of x, two on that of the rest.

Left out: normalization before a linear operator; it is lowered. A scheme with codes quantizes (3)
like any other `Mul` and `Add`: per tensor, so that gains of very different size lose bits.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2, eq. (14).
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.channels import along_channels
from refquant.model.fold_activations import fold_activations
from refquant.model.fold_channels import fold_channels
from refquant.model.fold_layer_norm import fold_layer_norm
from refquant.model.fold_scalars import fold_scalars
from refquant.model.graph import Graph, Node, Value
from refquant.model.identity import remove_identity
from refquant.model.names import free_name

__all__ = ["fold", "fold_batch_normalization", "lower_batch_normalization"]

Float = NDArray[np.float32]
Wide = NDArray[np.float64]

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_LINEAR = (*_CONVOLUTIONS, "Gemm", "MatMul")


def fold(graph: Graph) -> Graph:
    """Return ``graph`` without `Identity` and `BatchNormalization`, folded or else lowered.

    And without constants a channel behind a `Conv` (`refquant.model.fold_channels`), numbers before
    one (`fold_scalars`), and what an exporter wrote out (`fold_activations`, `fold_layer_norm`).

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> y = b.node("Relu", [b.node("Identity", [b.input("x", ("N", 2))])], name="y")
    >>> [node.op for node in fold(b.graph([y])).nodes]
    ['Relu']
    """
    plain = fold_activations(fold_layer_norm(remove_identity(graph)))
    folded = fold_batch_normalization(fold_channels(plain))
    return lower_batch_normalization(fold_scalars(folded))


def fold_batch_normalization(graph: Graph) -> Graph:
    """Return ``graph`` with each foldable `BatchNormalization` inside its linear operator: eq. (2).

    Foldable: the only reader of a float32 convolution, `Gemm` or `MatMul` of constant weights, on
    the channels these make. These gain a bias, but `MatMul` an `Add`. The constants are new,
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


def lower_batch_normalization(graph: Graph) -> Graph:
    """Return ``graph`` with each `BatchNormalization` as a `Mul` and an `Add`: eq. (3).

    The `Add` has the node's name, the `Mul` is called ``<node>.mul``; the constants are called
    ``<node>.weight`` and ``<node>.bias``. One whose parameters are not float32 constants stays as
    it is. `ValueError` as in `fold_batch_normalization`.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> h = b.node("Relu", [b.input("x", ("N", 1, 2))])
    >>> numbers = {"gain": 2.0, "shift": 1.0, "mean": 0.5, "var": 1.0}
    >>> names = [b.constant(k, np.array([v], np.float32)) for k, v in numbers.items()]
    >>> y = b.node("BatchNormalization", [h, *names], name="y", attributes={"epsilon": 0.0})
    >>> lowered = lower_batch_normalization(b.graph([y]))
    >>> [(node.op, node.name) for node in lowered.nodes]
    [('Relu', 'relu_0'), ('Mul', 'y.mul'), ('Add', 'y')]
    >>> [lowered.constants[name].tolist() for name in ("y.weight", "y.bias")]
    [[[2.0]], [[0.0]]]
    """
    for norm in graph.nodes:  # none of them reads what another one's lowering renames
        if norm.op == "BatchNormalization" and _constant(graph, norm.inputs[1:]):
            graph = _lowered(graph, norm)
    return graph


def _node(graph: Graph, name: str) -> Node:
    """Return the node as it is now: an earlier step may have renamed its inputs."""
    return next(node for node in graph.nodes if node.name == name)


def _foldable(graph: Graph, norm: Node) -> Node | None:
    """Return the linear node that ``norm`` folds into, None if there is none."""
    name = norm.inputs[0]
    readers = [n for n in graph.nodes if name in n.inputs]
    producer = next((n for n in graph.nodes if name in n.outputs), None)
    if producer is None or producer.op not in _LINEAR or len(readers) != 1:
        return None
    plain = _constant(graph, [*producer.inputs[1:], *norm.inputs[1:]])
    # The channels of a product are its last axis, those of a normalization are axis 1.
    two_axes = (
        len(graph.values[name].shape) == 2 and len(graph.values[producer.inputs[1]].shape) == 2
    )
    channels = producer.op in _CONVOLUTIONS or two_axes
    return producer if plain and channels and name not in graph.outputs else None


def _constant(graph: Graph, names: Sequence[str]) -> bool:
    """Say whether all ``names``, but those of omitted inputs, are float32 constants."""
    return all(n in graph.constants and graph.values[n].dtype == "float32" for n in names if n)


def _lowered(graph: Graph, norm: Node) -> Graph:
    gain, mean, offset = _affine(graph, norm)
    x = graph.values[norm.inputs[0]]
    along = (-1, *(1,) * (len(x.shape) - 2))
    names = {part: _free(graph, f"{norm.name}.{part}") for part in ("weight", "bias", "mul")}
    constants = {
        names["weight"]: _to_float32(norm, names["weight"], gain.reshape(along)),
        names["bias"]: _to_float32(norm, names["bias"], (offset - mean * gain).reshape(along)),
    }
    first = Node(names["mul"], "Mul", (norm.inputs[0], names["weight"]), (names["mul"],))
    second = Node(norm.name, "Add", (names["mul"], names["bias"]), norm.outputs)
    graph = replace(graph, values={**graph.values, names["mul"]: x})
    return _replaced(graph, {norm.name: (first, second)}, constants)


def _folded(graph: Graph, linear: Node, norm: Node) -> Graph:
    gain, mean, offset = _affine(graph, norm)
    w = graph.constants[linear.inputs[1]].astype(np.float64)
    has_bias = len(linear.inputs) > 2 and linear.inputs[2] != ""
    b = graph.constants[linear.inputs[2]].astype(np.float64) if has_bias else np.zeros(1)
    weight = _constant_name(graph, linear, 1, "weight")
    bias = _constant_name(graph, linear, 2, "bias")
    constants = {
        weight: _to_float32(norm, weight, w * along_channels(linear, w.shape, gain)),
        bias: _to_float32(norm, bias, (b - mean) * gain + offset),
    }
    if linear.op == "MatMul":
        first = replace(linear, inputs=(linear.inputs[0], weight))
        second = Node(norm.name, "Add", (linear.outputs[0], bias), norm.outputs)
        return _replaced(graph, {linear.name: (first,), norm.name: (second,)}, constants)
    first = replace(linear, inputs=(linear.inputs[0], weight, bias), outputs=norm.outputs)
    return _replaced(graph, {linear.name: (first,), norm.name: ()}, constants)


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


def _to_float32(norm: Node, name: str, array: Wide) -> Float:
    with np.errstate(over="ignore"):
        result = array.astype(np.float32)
    if bad := int((~np.isfinite(result)).sum()):
        raise ValueError(
            f"node {norm.name!r}: folded, its constants must be finite float32, but {name!r} has "
            f"{bad} of {result.size} elements that are not; look at the constants before folding"
        )
    return result


def _replaced(
    graph: Graph, swaps: Mapping[str, tuple[Node, ...]], constants: Mapping[str, NDArray[Any]]
) -> Graph:
    """Swap nodes, add ``constants``, and drop values that the old nodes alone had."""
    nodes = tuple(node for old in graph.nodes for node in swaps.get(old.name, (old,)))
    swapped = [old for old in graph.nodes if old.name in swaps]
    before = {name for old in swapped for name in (*old.inputs, *old.outputs)}
    used = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    quants = [value.quant for value in graph.values.values() if value.quant is not None]
    parameters = {item for quant in quants for item in quant.names}
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
    return _free(graph, f"{linear.name}.{suffix}", {old} if len(readers) == 1 else set())


def _free(graph: Graph, name: str, leaving: Set[str] = frozenset()) -> str:
    """Return ``name``, or ``name_`` and so on: no value's and no node's but those ``leaving``."""
    taken = (graph.values.keys() - leaving) | {node.name for node in graph.nodes}
    return free_name(name, taken)
