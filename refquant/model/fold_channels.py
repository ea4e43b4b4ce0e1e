r"""Constants a channel, behind a convolution, disappear into it.

Converters leave biases and batch normalizations of other frameworks as they were computed there:
`Add`, `Sub`, `Mul`, `Div` with a constant for each channel, behind a `Transpose` if the channels
are the last axis there: ::

    Conv -> [Transpose] -> Add b -> Sub mean -> Mul gain -> Add offset
    Conv'-> [Transpose]

Each is affine, so the chain is :math:`y = g\,(w x + b) + s` with a number a channel, and

.. math::

    w' = g\,w, \qquad b' = g\,b + s                                                        \tag{1}

evaluated in float64, the whole chain, and rounded to float32 once. Like the folding of
`refquant.model.fold`, it is another float32 program for the same real function. On codes it is
more: four roundings to 8 bits by one scale for all channels are not made.

Left out: what stands behind a sum or a `Relu`, other products than `Conv`, and constants that
differ within a channel.

Source: as for `refquant.model.fold`; the chain itself is distributivity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.channels import along_channels, channel_count
from refquant.model.graph import Graph, Node, Value, names_of
from refquant.model.names import free_name

__all__ = ["fold_channels", "only_reader", "rebuilt"]

Wide = NDArray[np.float64]

_AFFINE = ("Add", "Sub", "Mul", "Div")


@dataclass(frozen=True, slots=True)
class _Chain:
    """What follows ``conv``: perhaps ``turn``, then ``nodes``, which are y = gain * x + shift."""

    conv: Node
    turn: Node | None
    nodes: tuple[Node, ...]
    gain: Wide
    shift: Wide


def fold_channels(graph: Graph) -> Graph:
    """Return ``graph`` with each chain of constants a channel inside its `Conv`: eq. (1).

    The constants are new, called ``<node>.weight`` and ``<node>.bias``. A chain whose folded
    constants would not be finite stays as it is.

    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> w = b.constant("w", np.ones((1, 1, 1, 1), np.float32))
    >>> h = b.node("Conv", [b.input("x", ("N", 1, 2, 2)), w], name="conv")
    >>> h = b.node("Transpose", [h], name="turned", attributes={"perm": [0, 2, 3, 1]})
    >>> h = b.node("Sub", [h, b.constant("mean", np.float32([0.5]))], name="sub")
    >>> y = b.node("Mul", [h, b.constant("gain", np.float32([2]))], name="y")
    >>> folded = fold_channels(b.graph([y]))
    >>> [(node.op, node.outputs[0]) for node in folded.nodes]
    [('Conv', 'conv'), ('Transpose', 'y')]
    >>> [float(folded.constants[name].item()) for name in ("conv.weight", "conv.bias")]
    [2.0, -1.0]
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in {*node.inputs}:
            readers.setdefault(name, []).append(node)
    swaps: dict[str, Node | None] = {}
    constants: dict[str, NDArray[np.float32]] = {}
    taken = set(names_of(graph))
    for conv in graph.nodes:
        chain = _chain(graph, conv, readers) if conv.op in ("Conv", "ConvTranspose") else None
        if chain is not None and chain.nodes:
            _fold(graph, chain, swaps, constants, taken)
    return rebuilt(graph, swaps, constants) if swaps else graph


def only_reader(graph: Graph, name: str, readers: Mapping[str, list[Node]]) -> Node | None:
    """Return the one node that reads the value, None if there are others.

    >>> only_reader(Graph("g", (), (), {}, (), {}, {}, {}), "x", {"x": []}) is None
    True
    """
    found = readers.get(name, [])
    return found[0] if len(found) == 1 and name not in graph.outputs else None


def _chain(graph: Graph, conv: Node, readers: Mapping[str, list[Node]]) -> _Chain | None:
    operands = [name for name in conv.inputs[1:] if name]
    if any(graph.values[n].dtype != "float32" or n not in graph.constants for n in operands):
        return None
    rank, axis, turn = len(graph.values[conv.outputs[0]].shape), 1, None
    name = conv.outputs[0]
    after = only_reader(graph, name, readers)
    if after is not None and after.op == "Transpose":
        perm = after.attributes.get("perm", tuple(range(rank))[::-1])
        assert isinstance(perm, tuple), "validated: integers"
        turn, axis, name = after, perm.index(1), after.outputs[0]
        after = only_reader(graph, name, readers)
    channels = channel_count(conv, graph.constants[conv.inputs[1]].shape)
    gain, shift = np.ones(channels), np.zeros(channels)
    nodes = []
    while after is not None and after.op in _AFFINE:
        step = _step(graph, after, name, (rank, axis, channels))
        if step is None:
            break
        gain, shift = gain * step[0], shift * step[0] + step[1]
        nodes.append(after)
        name = after.outputs[0]
        after = only_reader(graph, name, readers)
    return _Chain(conv, turn, tuple(nodes), gain, shift)


def _step(
    graph: Graph, node: Node, name: str, place: tuple[int, int, int]
) -> tuple[Wide, Wide] | None:
    """Return gain and shift of one node, None if its constant is not one number a channel."""
    rank, axis, channels = place
    left, right = node.inputs
    other = right if left == name else left
    if left == right or other not in graph.constants or graph.values[other].dtype != "float32":
        return None
    array = graph.constants[other].astype(np.float64)
    along = [1] * rank
    along[axis] = array.size
    if array.ndim > rank or array.size not in (1, channels):
        return None
    if array.reshape((1,) * (rank - array.ndim) + array.shape).shape != tuple(along):
        return None
    c = np.broadcast_to(array.reshape(-1), (channels,))
    one, none = np.ones(channels), np.zeros(channels)
    if node.op == "Add":
        return one, c
    if node.op == "Sub":
        return (one, -c) if left == name else (-one, c)
    if node.op == "Mul":
        return c, none
    return (1 / c, none) if left == name and (c != 0).all() else None


def _fold(
    graph: Graph,
    chain: _Chain,
    swaps: dict[str, Node | None],
    constants: dict[str, NDArray[np.float32]],
    taken: set[str],
) -> None:
    conv, last = chain.conv, chain.nodes[-1]
    w = graph.constants[conv.inputs[1]].astype(np.float64)
    bias = conv.inputs[2] if len(conv.inputs) > 2 else ""
    b = graph.constants[bias].astype(np.float64) if bias else np.zeros(len(chain.gain))
    with np.errstate(over="ignore", invalid="ignore"):
        weight = (w * along_channels(conv, w.shape, chain.gain)).astype(np.float32)
        offset = (b * chain.gain + chain.shift).astype(np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(offset).all()):
        return
    names = []
    for part, array in (("weight", weight), ("bias", offset)):
        name = free_name(f"{conv.name}.{part}", taken)
        taken.add(name)
        names.append(name)
        constants[name] = array
    output = conv.outputs if chain.turn is not None else last.outputs
    swaps[conv.name] = replace(conv, inputs=(conv.inputs[0], *names), outputs=output)
    if chain.turn is not None:
        swaps[chain.turn.name] = replace(chain.turn, outputs=last.outputs)
    swaps.update({node.name: None for node in chain.nodes})


def rebuilt(
    graph: Graph, swaps: Mapping[str, Node | None], constants: Mapping[str, NDArray[Any]]
) -> Graph:
    """Swap nodes, add constants, and drop what nobody reads any more.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Neg", [b.input("x", ("N", 2))], name="y")])
    >>> rebuilt(g, {"y": Node("y", "Abs", ("x",), ("y",))}, {}).nodes[0].op
    'Abs'
    """
    found = [swaps.get(node.name, node) for node in graph.nodes]
    nodes = tuple(node for node in found if node is not None)
    swapped = [node for node in graph.nodes if node.name in swaps]
    before = {name for node in swapped for name in (*node.inputs, *node.outputs)}
    used = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    gone = before - used - set(graph.inputs) - set(graph.outputs)
    values = {k: v for k, v in graph.values.items() if k not in gone}
    arrays = {k: v for k, v in graph.constants.items() if k not in gone}
    for name, array in constants.items():
        values[name], arrays[name] = Value("float32", tuple(array.shape)), array
    return replace(graph, nodes=nodes, values=values, constants=arrays)
