"""What an ONNX model is, as data: nodes, constants, inputs, and the rules they keep.

`refquant.model.importers.onnx_read` makes these from a file; nothing after it sees a protobuf.
Attributes are numbers, texts, tuples of them, tensors, or graphs (the branches of ``If``).

Checked here: a name is produced once; nodes are sorted so that inputs come first, which ONNX asks
for and not every file keeps; a cycle is an error.

Left out: sequences, optionals, sparse tensors, training. Functions of the model's own:
`refquant.model.importers.onnx_functions`.

References: ONNX IR specification.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from refquant.model.importers.onnx_wire import OnnxFormatError

__all__ = [
    "OPSETS",
    "OnnxGraph",
    "OnnxInput",
    "OnnxModel",
    "OnnxNode",
    "Opaque",
    "Tensor",
    "captured",
    "check_graph",
    "check_opsets",
    "sort_nodes",
    "used_by",
]

Array = NDArray[Any]
OPSETS = range(9, 26)
_DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass(frozen=True, slots=True)
class Opaque:
    """An attribute or constant of a kind that no operator of ours takes: ``what`` it is."""

    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """An array and what ONNX calls its elements: ``int4`` is held in int8, one to an element."""

    array: Array
    dtype: str


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node: ``""`` is ONNX's own domain, and among the inputs an absent one."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""
    overload: str = ""

    @property
    def label(self) -> str:
        """Return what errors call it: its name, or what it produces."""
        return self.name or next((name for name in self.outputs if name), "")


@dataclass(frozen=True, slots=True)
class OnnxInput:
    """An input: dtype as NumPy calls it; sizes as numbers, letters, or None: nothing is said."""

    name: str
    dtype: str
    dims: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class OnnxGraph:
    """A graph, or a branch of ``If`` (which sees the names around it, too)."""

    name: str
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor | Opaque]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """A whole file: the graph, opsets by domain, who made it, the SHA-256 of its bytes.

    ``size`` is how many bytes it has, files beside it included; ``notes`` are for the graph's meta.
    """

    graph: OnnxGraph
    opsets: Mapping[str, int]
    producer: str
    digest: str
    size: int
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """Return the version of ONNX's own operators."""
        return self.opsets[""]


def check_opsets(opsets: Mapping[str, int], nodes: Sequence[OnnxNode]) -> None:
    """Refuse an opset outside 9 to 25, and nodes of domains that nobody here knows.

    >>> check_opsets({"": 17}, [])
    >>> check_opsets({"": 8}, [])
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: opset 8 is not one of 9 to 25; convert the \
model with onnx.version_converter
    """
    if "" not in opsets:
        raise OnnxFormatError("the model imports no opset of ONNX's own operators; export it again")
    if opsets[""] not in OPSETS:
        raise OnnxFormatError(
            f"opset {opsets['']} is not one of {OPSETS[0]} to {OPSETS[-1]}; "
            "convert the model with onnx.version_converter"
        )
    strange = sorted({node.domain for node in nodes} - set(_DOMAINS))
    if strange:
        names = [f"{n.label} ({n.domain}.{n.op})" for n in nodes if n.domain in strange]
        raise OnnxFormatError(
            f"domains {strange} are unknown, there are {list(_DOMAINS[1:])}: "
            f"{', '.join(names[:20])}; replace these nodes"
        )


def check_graph(graph: OnnxGraph) -> OnnxGraph:
    """Return ``graph`` with its nodes in order; `OnnxFormatError` for names that are there twice.

    >>> a = OnnxNode("a", "Relu", ("x",), ("y",))
    >>> b = OnnxNode("b", "Relu", ("y",), ("z",))
    >>> x = OnnxInput("x", "float32", (1,))
    >>> [n.name for n in check_graph(OnnxGraph("g", (x,), ("z",), (b, a), {})).nodes]
    ['a', 'b']
    """
    seen = set(graph.constants)
    made = [*(i.name for i in graph.inputs), *(o for n in graph.nodes for o in n.outputs if o)]
    for name in made:
        if name in seen:
            raise OnnxFormatError(f"the name {name!r} stands for two values; rename one")
        seen.add(name)
    return replace(graph, nodes=sort_nodes(graph.nodes))


def captured(graph: OnnxGraph) -> set[str]:
    """Return the names that the nodes and outputs of ``graph`` take from around it.

    >>> node = OnnxNode("a", "Add", ("x", "y"), ("z",))
    >>> sorted(captured(OnnxGraph("then", (), ("z",), (node,), {})))
    ['x', 'y']
    """
    used = {name for node in graph.nodes for name in used_by(node)} | set(graph.outputs)
    own = {name for node in graph.nodes for name in node.outputs}
    return used - own - set(graph.constants) - {i.name for i in graph.inputs}


def used_by(node: OnnxNode) -> list[str]:
    """Return the names that ``node`` reads, those that its branches take from outside included.

    >>> used_by(OnnxNode("a", "Clip", ("x", "", "y"), ("z",)))
    ['x', 'y']
    """
    inner = [captured(a) for a in node.attributes.values() if isinstance(a, OnnxGraph)]
    return [*(name for name in node.inputs if name), *sorted(set().union(*inner))]


def sort_nodes(nodes: Sequence[OnnxNode]) -> tuple[OnnxNode, ...]:
    """Return ``nodes`` so that each comes after those it reads; as they are, if they do already.

    >>> a, b = OnnxNode("a", "Relu", ("y",), ("x",)), OnnxNode("b", "Relu", ("x",), ("y",))
    >>> sort_nodes([a, b])
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: the nodes ['a', 'b'] wait for each other \
in a circle; cut it
    """
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    needs = [{maker[name] for name in used_by(node) if name in maker} for node in nodes]
    if all(j < i for i, before in enumerate(needs) for j in before):
        return tuple(nodes)
    waiting = [len(before) for before in needs]
    after: list[list[int]] = [[] for _ in nodes]
    for i, before in enumerate(needs):
        for j in before:
            after[j].append(i)
    ready = [i for i in range(len(nodes)) if not waiting[i]][::-1]
    order: list[int] = []
    while ready:
        order.append(ready.pop())
        for i in after[order[-1]]:
            waiting[i] -= 1
            if not waiting[i]:
                ready.append(i)
    if len(order) < len(nodes):
        stuck = [node.label for node, left in zip(nodes, waiting, strict=True) if left]
        raise OnnxFormatError(f"the nodes {stuck[:5]} wait for each other in a circle; cut it")
    return tuple(nodes[i] for i in order)
