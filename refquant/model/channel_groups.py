r"""Where in a graph a channel can be divided here and multiplied there, and nothing changes.

AWQ and SmoothQuant want the input x of some layers to be x / s. That is free where somebody who
makes x has a number a channel of its own, and everybody who reads x is a linear layer: ::

    LayerNormalization g, b --> x --> MatMul q          g / s, b / s    W s, for all three
                                 |--> MatMul k
                                 '--> MatMul v

    Conv W, b --> Relu --> x --> Conv                   rows of W and b / s      W s
    MatMul up --> Mul(gate) --> x --> MatMul down       columns of up / s        W s
    MatMul v  --> Attention --> x --> MatMul out        (as many heads of values as of queries)
    MatMul qkv --> Slice v --> Attention --> x ...      the last rows of qkv / s

A **group** is the value x, its maker and its readers. Between maker and x stand only functions with
:math:`f(x / s) = f(x) / s` that nobody else reads. All constants involved have one reader.
Where one layer makes several values, taken apart by `Slice`, the last of them can be divided.

Left out: readers that are convolutions in groups, a `Gelu` on the way (not homogeneous), values
that an `Add` reads as well (the residual of a transformer, which is why its norms do the work).

References
----------
Lin et al., "AWQ", arXiv:2306.00978, section 3.2, and Xiao et al., "SmoothQuant", arXiv:2211.10438,
section 4 (where the scales go); `refquant.algorithms.channel_scales` (the arithmetic).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.channel_scales import divide_norm, divide_rows, scale_columns
from refquant.model.channels import channel_axis
from refquant.model.graph import Graph, Node
from refquant.model.quantize_weights import has_constant_weight
from refquant.model.states import need_pure

__all__ = ["Group", "channel_groups", "rescaled", "taps_last"]

F32 = NDArray[np.float32]

_NORMS = ("LayerNormalization", "RMSNormalization")
_ANYWHERE = ("Relu", "LeakyRelu")
_BETWEEN_CONVS = (*_ANYWHERE, "MaxPool", "AveragePool", "GlobalAveragePool")


@dataclass(frozen=True, slots=True)
class Group:
    """The ``value`` x, the node that ``maker`` names, and the nodes that read x.

    ``bias`` is the constant that an `Add` behind a `MatMul` adds, empty if there is none.
    """

    value: str
    maker: Node
    readers: tuple[Node, ...]
    bias: str


def channel_groups(graph: Graph) -> tuple[Group, ...]:
    """Return the groups of the float32 ``graph``, in the order of their readers.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", np.float32([[8]]))], name="h")
    >>> r = b.node("Relu", [h], name="r")
    >>> y = b.node("MatMul", [r, b.constant("v", np.float32([[2]]))], name="y")
    >>> [(g.value, g.maker.name, g.readers[0].name) for g in channel_groups(b.graph([y]))]
    [('r', 'h', 'y')]
    """
    need_pure(graph)
    return tuple(_found(graph))


def rescaled(graph: Graph, scales: Mapping[str, F32]) -> Graph:
    """Return ``graph`` with the value of each group in ``scales`` (value -> s) divided by s.

    The function stays the same but for the rounding of the new constants. `ValueError` for a value
    that is none of a group's, and where a constant would leave float32.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", np.float32([[8]]))], name="h")
    >>> y = b.node("MatMul", [h, b.constant("v", np.float32([[2]]))], name="y")
    >>> g = rescaled(b.graph([y]), {"h": np.float32([4])})
    >>> g.constants["w"].item(), g.constants["v"].item()
    (2.0, 8.0)
    """
    groups = {group.value: group for group in channel_groups(graph)}
    constants = dict(graph.constants)
    for value, s in scales.items():
        if value not in groups:
            raise ValueError(f"value {value!r} has no channels that can be scaled")
        group = groups[value]
        _divide(group, constants, s)
        for node in group.readers:
            name = node.inputs[1]
            w = constants[name]
            constants[name] = _back(node, scale_columns(taps_last(node, w), s), w.shape)
    return replace(graph, constants=constants)


def taps_last(node: Node, w: F32) -> F32:
    """Return the weight of a reader as (n, C), or (n taps, C) of a convolution: C channels of x.

    >>> taps_last(Node("c", "Conv", ("x", "w"), ("y",)), np.zeros((4, 3, 2, 2), np.float32)).shape
    (16, 3)
    """
    if node.op == "Conv":
        return np.ascontiguousarray(np.moveaxis(w, 1, -1)).reshape(-1, w.shape[1])
    return np.ascontiguousarray(w if channel_axis(node, w.ndim) == 0 else w.T)


def _back(node: Node, matrix: F32, shape: tuple[int, ...]) -> F32:
    """Return the weight of ``shape`` that `taps_last` has made a matrix of."""
    if node.op == "Conv":
        laid = matrix.reshape(shape[0], *shape[2:], shape[1])
        return np.ascontiguousarray(np.moveaxis(laid, -1, 1))
    return np.ascontiguousarray(matrix if channel_axis(node, len(shape)) == 0 else matrix.T)


def _divide(group: Group, constants: dict[str, NDArray[Any]], s: F32) -> None:
    """Divide what the maker has a channel."""
    names = (*group.maker.inputs, "", "")
    weight, bias = names[1], group.bias or names[2]
    w, b = constants[weight], constants[bias] if bias else None
    if group.maker.op in _NORMS:
        divided, shift = divide_norm(w, b, s)
        constants[weight] = divided
    else:
        rows = channel_axis(group.maker, w.ndim) == 0
        matrix = w.reshape(len(w), -1) if rows else np.ascontiguousarray(w.T)
        new, shift = divide_rows(matrix, b, s)
        constants[weight] = new.reshape(w.shape) if rows else np.ascontiguousarray(new.T)
    if bias and shift is not None:
        constants[bias] = shift


def _found(graph: Graph) -> Iterator[Group]:
    counts: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            counts[name] = counts.get(name, 0) + 1
    makers = {name: node for node in graph.nodes for name in node.outputs}
    seen: set[str] = set()
    for node in graph.nodes:
        value = node.inputs[0] if node.inputs else ""
        if value in seen or value in graph.outputs or not _reads(graph, node, counts):
            continue
        seen.add(value)
        readers = tuple(n for n in graph.nodes if value in n.inputs)
        same = all(_reads(graph, n, counts) and n.inputs[0] == value for n in readers)
        kinds = {n.op == "Conv" for n in readers}
        if not same or len(kinds) > 1 or counts[value] != len(readers):
            continue
        found = _maker(graph, value, makers, counts, kinds == {True})
        if found is not None:
            yield Group(value, found[0], readers, found[1])


def _reads(graph: Graph, node: Node, counts: Mapping[str, int]) -> bool:
    """Say whether ``node`` is linear in its first input, by a constant of its own."""
    plain = _linear(graph, node) and node.attributes.get("group", 1) == 1
    return plain and counts[node.inputs[1]] == 1 and node.inputs[1] not in graph.outputs


def _maker(
    graph: Graph, value: str, makers: Mapping[str, Node], counts: Mapping[str, int], conv: bool
) -> tuple[Node, str] | None:
    """Return the node that has a number a channel of ``value``, and the bias added behind it."""
    node, bias = makers.get(value), ""
    if node is None:
        return None
    if node.op in _NORMS:
        return (node, "") if not conv and _own(graph, node.inputs[1:], counts) else None
    if _linear(graph, node):
        fits = (node.op == "Conv") == conv and _own(graph, node.inputs[1:], counts)
        return (node, "") if fits else None
    before = [name for name in node.inputs if name and name not in graph.constants]
    if node.op == "Add" and len(before) == 1 and not conv:
        bias = next(name for name in node.inputs if name in graph.constants)
        product = makers.get(before[0])
        alone = counts[before[0]] == 1 and before[0] not in graph.outputs
        if product is None or product.op != "MatMul" or not alone or counts[bias] != 1:
            return None
        columns = graph.constants[product.inputs[1]].shape[-1:] if _linear(graph, product) else None
        vector = graph.constants[bias].shape == columns
        return (product, bias) if vector and _own(graph, product.inputs[1:], counts) else None
    if node.op == "Slice" and not conv and _last_part(graph, node):
        found = _maker(graph, node.inputs[0], makers, counts, conv)
        return found if found is not None and found[0].op not in _NORMS else None
    for name in _through(graph, node, conv):
        if counts[name] == 1 and name not in graph.outputs:
            found = _maker(graph, name, makers, counts, conv)
            if found is not None and found[0].op not in _NORMS:
                return found
    return None


def _through(graph: Graph, node: Node, conv: bool) -> tuple[str, ...]:
    """Return the inputs that ``node`` is homogeneous in, channel by channel."""
    if node.op in (_BETWEEN_CONVS if conv else _ANYWHERE):
        return node.inputs[:1]
    shape = graph.values[node.outputs[0]].shape
    if node.op == "Mul":
        return tuple(name for name in node.inputs if graph.values[name].shape == shape)[::-1]
    if node.op == "Attention" and graph.values[node.inputs[2]].shape[-1:] == shape[-1:]:
        return node.inputs[2:3]
    return ()


def _last_part(graph: Graph, node: Node) -> bool:
    """Say whether a `Slice` takes the last channels, and all who read its input take others."""
    name = node.inputs[0]
    own = _channels(graph, node)
    others = [_channels(graph, n) for n in graph.nodes if name in n.inputs and n is not node]
    if own is None or own[1] != graph.values[name].shape[-1] or name in graph.outputs:
        return False
    return all(other is not None and other[1] <= own[0] for other in others)


def _channels(graph: Graph, node: Node) -> tuple[int, int] | None:
    """Return which channels, of the last axis, a `Slice` takes; None if it takes anything else."""
    shape = graph.values[node.inputs[0]].shape
    if node.op != "Slice" or not isinstance(shape[-1], int):
        return None
    axes, starts, ends = (node.attributes[key] for key in ("axes", "starts", "ends"))
    assert isinstance(axes, tuple), "validate has looked"
    assert isinstance(starts, tuple), "validate has looked"
    assert isinstance(ends, tuple), "validate has looked"
    if [axis % len(shape) for axis in axes] != [len(shape) - 1]:
        return None
    begin, stop, _ = slice(starts[0], ends[0]).indices(shape[-1])
    return begin, stop


def _linear(graph: Graph, node: Node) -> bool:
    return has_constant_weight(graph, node) and node.op != "ConvTranspose"


def _own(graph: Graph, names: tuple[str, ...], counts: Mapping[str, int]) -> bool:
    """Say whether ``names`` are constants that nobody else reads."""
    there = [name for name in names if name]
    return all(
        name in graph.constants and counts[name] == 1 and name not in graph.outputs
        for name in there
    )
