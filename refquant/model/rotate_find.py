"""What touches a value linearly: the roles of nodes around a stream.

A **stream** is the sum that a transformer's layers add to, all values of it together: ::

    Gather --> x0 --> Add --> x1 --> Add --> x2 ...      writers: Gather, MatMul (and its Add of a
                |      ^       |      ^                  vector); in between: Add of two
               norm    |      norm    |                  readers: norms, and linear layers
                '-> .. o       '-> .. down

An **entry** is a value of the stream that no constant can turn, because its maker is not linear; an
**exit** is one that somebody reads, or the graph gives, as it was. Both cost a rotation while the
model runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refquant.model.channels import channel_axis
from refquant.model.graph import Graph, Node
from refquant.model.quantize_weights import has_constant_weight

__all__ = [
    "NORMS",
    "Links",
    "Stream",
    "Writer",
    "find_streams",
    "input_axis",
    "linear",
    "writers_of",
]

NORMS = ("LayerNormalization", "RMSNormalization")


@dataclass(frozen=True, slots=True)
class Writer:
    """A constant that a value is linear in: input ``index`` of ``node``, along ``axis``."""

    node: str
    index: int
    axis: int


@dataclass(slots=True)
class Stream:
    """Values of ``size`` elements that are one sum; see above for the lists, names all of them."""

    size: int
    values: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Links:
    """Who makes and who reads each value of ``graph``."""

    graph: Graph
    makers: Mapping[str, Node]
    readers: Mapping[str, tuple[Node, ...]]

    @classmethod
    def of(cls, graph: Graph) -> "Links":
        """Look at all nodes once."""
        readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs):
                readers.setdefault(name, []).append(node)
        makers = {name: node for node in graph.nodes for name in node.outputs}
        return cls(graph, makers, {name: tuple(nodes) for name, nodes in readers.items()})

    def reads(self, value: str) -> tuple[Node, ...]:
        """Return the nodes that read ``value``, each once."""
        return self.readers.get(value, ())

    def computed(self, node: Node) -> tuple[str, ...]:
        """Return the inputs of ``node`` that are no constants."""
        return tuple(n for n in node.inputs if n and n not in self.graph.constants)

    def shape(self, value: str) -> tuple[int | str, ...]:
        """Return the shape of ``value``."""
        return self.graph.values[value].shape


def linear(graph: Graph, node: Node, value: str) -> bool:
    """Say whether ``node`` is a product of vectors ``value`` and a constant matrix of float32.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> y = b.node("MatMul", [b.input("x", ("N", 2)), b.constant("w", np.ones((2, 3), np.float32))])
    >>> g = b.graph([y])
    >>> linear(g, g.nodes[0], "x"), linear(g, g.nodes[0], "w")
    (True, False)
    """
    plain = node.op in ("MatMul", "Gemm") and has_constant_weight(graph, node)
    return plain and node.inputs[0] == value and value not in graph.constants


def input_axis(graph: Graph, node: Node) -> int:
    """Return the axis of the weight of a linear ``node`` that the inputs lie along.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> y = b.node("MatMul", [b.input("x", ("N", 2)), b.constant("w", np.ones((2, 3), np.float32))])
    >>> g = b.graph([y])
    >>> input_axis(g, g.nodes[0])
    0
    """
    return 1 - channel_axis(node, graph.constants[node.inputs[1]].ndim)


def writers_of(graph: Graph, node: Node) -> list[Writer]:
    """Return the constants that the output of a linear ``node`` is linear in: weight and bias.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> y = b.node("MatMul", [b.input("x", ("N", 2)), b.constant("w", np.ones((2, 3), np.float32))])
    >>> writers_of(b.graph([y]), b.nodes[0])
    [Writer(node='matmul_0', index=1, axis=1)]
    """
    writers = [Writer(node.name, 1, channel_axis(node, graph.constants[node.inputs[1]].ndim))]
    if len(node.inputs) > 2 and node.inputs[2]:
        writers.append(Writer(node.name, 2, 0))
    return writers


def find_streams(links: Links) -> list[Stream]:
    """Return the streams that a norm of the graph reads, in the order of their first norms.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x, one = b.input("x", ("N", 2)), b.constant("one", np.ones(2, np.float32))
    >>> y = b.node("MatMul", [b.node("RMSNormalization", [x, one], name="norm"),
    ...                       b.constant("w", np.ones((2, 2), np.float32))])
    >>> find_streams(Links.of(b.graph([b.node("Add", [x, y], name="z")])))[0].values
    ['x', 'z', 'matmul_1']
    """
    seen: set[str] = set()
    found: list[Stream] = []
    places = {node.name: i for i, node in enumerate(links.graph.nodes)}
    for node in links.graph.nodes:
        if node.op not in NORMS or node.inputs[0] in seen or not _has_constants(links, node):
            continue
        size = links.shape(node.inputs[0])[-1]
        if not isinstance(size, int) or node.inputs[0] in links.graph.constants:
            continue
        stream, waiting = Stream(size), [node.inputs[0]]
        while waiting:
            value = waiting.pop()
            if value not in seen:
                seen.add(value)
                stream.values.append(value)
                waiting += [*_made(links, stream, value), *_read(links, stream, value)]
        stream.norms.sort(key=places.__getitem__)
        found.append(stream)
    return found


def _made(links: Links, stream: Stream, value: str) -> tuple[str, ...]:
    """Note who writes ``value``; return the values that it is the sum of."""
    node = links.makers.get(value)
    graph = links.graph
    if node is not None and node.op == "Add":
        parts = _summands(links, node)
        if parts:
            vector = next((i for i, n in enumerate(node.inputs) if n in graph.constants), None)
            if vector is not None:
                axis = graph.constants[node.inputs[vector]].ndim - 1
                stream.writers.append(Writer(node.name, vector, axis))
            return parts
    if node is not None and node.op == "Gather" and _is_table(graph, node):
        stream.writers.append(Writer(node.name, 0, 1))
        return ()
    if node is not None and linear(graph, node, node.inputs[0]):
        stream.writers += writers_of(graph, node)
        return ()
    stream.entries.append(value)
    return ()


def _summands(links: Links, node: Node) -> tuple[str, ...]:
    """Return the values that an `Add` adds element by element, none for another kind of sum."""
    shape = links.shape(node.outputs[0])
    parts = links.computed(node)
    if not parts or any(links.shape(part) != shape for part in parts):
        return ()
    constants = [links.shape(n) for n in node.inputs if n in links.graph.constants]
    return parts if all(s[-1:] == shape[-1:] for s in constants) else ()


def _is_table(graph: Graph, node: Node) -> bool:
    table = graph.constants.get(node.inputs[0])
    return table is not None and table.ndim == 2 and graph.values[node.inputs[0]].quant is None


def _read(links: Links, stream: Stream, value: str) -> list[str]:
    """Note who reads ``value``; return the sums that it is part of."""
    sums: list[str] = []
    apart = value in links.graph.outputs
    for node in links.reads(value):
        if node.op == "Add" and _summands(links, node):
            sums.append(node.outputs[0])
        elif node.op in NORMS and value not in node.inputs[1:] and _has_constants(links, node):
            stream.norms.append(node.name)
        elif linear(links.graph, node, value):
            stream.readers.append(node.name)
        else:
            apart = True
    if apart and value not in stream.entries:
        stream.exits.append(value)
    return sums


def _has_constants(links: Links, node: Node) -> bool:
    return all(name in links.graph.constants for name in node.inputs[1:] if name)
