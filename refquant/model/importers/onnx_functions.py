"""Functions of the model's own, put in place: a call becomes the nodes of the function's body.

A function has names for its inputs and outputs, and attributes that its nodes refer to::

    function scaled(x; alpha = 2) -> y         node scaled(a; alpha = 3) -> b
        c = Constant(value_float = @alpha)     scaled/1/c = Constant(value_float = 3)
        y = Mul(x, c)                          b = Mul(a, scaled/1/c)

Inputs and outputs take the names at the call, absent ones stay absent, everything else gets a name
of its own. An attribute that the call has not is the function's default, and without one it is
absent, too. A body may call other functions, and hold branches.

Refused: functions that call each other in a circle, calls more than 32 deep, more nodes than
`MOST_NODES` in all (two calls in each of fifty bodies are 2^50), a body of another opset than the
model's.

References: ONNX IR specification, "Functions"; ``onnx.proto3``, FunctionProto.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from refquant.model.importers.onnx_ends import outer
from refquant.model.importers.onnx_model import OnnxGraph, OnnxNode
from refquant.model.importers.onnx_wire import OnnxFormatError

__all__ = ["MOST_NODES", "Function", "Reference", "expanded"]

MOST_NODES = 1 << 15
"""Nodes that functions and loops may become."""

_MOST_LETTERS = 1 << 25  # of their names
_DEEPEST = 32
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute of a function's node that is the call's attribute ``name``."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function: what its body is called with; ``opsets`` of the operators in the body."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: Mapping[str, Any]
    nodes: tuple[OnnxNode, ...]
    opsets: Mapping[str, int]


def expanded(
    graph: OnnxGraph, functions: Mapping[Key, Function], opsets: Mapping[str, int]
) -> OnnxGraph:
    """Return ``graph`` with the bodies of ``functions`` in place of their calls.

    >>> body = (OnnxNode("", "Relu", ("x",), ("t",)), OnnxNode("", "Neg", ("t",), ("y",)))
    >>> f = Function(("x",), ("y",), (), {}, body, {"": 17})
    >>> call = OnnxNode("call", "f", ("a",), ("b",), {}, "own")
    >>> graph = OnnxGraph("g", (), ("b",), (call,), {})
    >>> nodes = expanded(graph, {("own", "f", ""): f}, {"": 17}).nodes
    >>> [(node.op, node.inputs, node.outputs) for node in nodes]
    [('Relu', ('a',), ('f/1/t',)), ('Neg', ('f/1/t',), ('b',))]
    """
    if not functions:
        return graph
    return _Expansion(functions, opsets).graph(graph, ())


class _Expansion:
    """Counts what was put in place so far."""

    def __init__(self, functions: Mapping[Key, Function], opsets: Mapping[str, int]) -> None:
        self.functions, self.opsets = functions, opsets
        self.calls = self.nodes = self.letters = 0

    def graph(self, graph: OnnxGraph, within: tuple[Key, ...]) -> OnnxGraph:
        nodes = [made for node in graph.nodes for made in self.node(node, within)]
        return replace(graph, nodes=tuple(nodes))

    def node(self, node: OnnxNode, within: tuple[Key, ...]) -> list[OnnxNode]:
        key = node.domain, node.op, node.overload
        self.nodes += bool(within)
        if self.nodes > MOST_NODES or self.letters > _MOST_LETTERS:
            raise OnnxFormatError(
                f"functions become more than {MOST_NODES} nodes, at {node.label!r:.80}; call fewer"
            )
        if key not in self.functions:
            inner = {
                name: self.graph(value, within) if isinstance(value, OnnxGraph) else value
                for name, value in node.attributes.items()
            }
            return [replace(node, attributes=inner)]
        if key in within or len(within) >= _DEEPEST:
            told = " calls itself" if key in within else f" is called {_DEEPEST} deep"
            raise OnnxFormatError(f"function {node.op!r:.80}{told}; inline it by hand")
        function = self.functions[key]
        _check_opsets(node, function, self.opsets)
        self.calls += 1
        body = _called(function, node, f"{node.op}/{self.calls}/")
        self.letters += sum(len(name) for n in body for name in (n.name, *n.inputs, *n.outputs))
        return [made for each in body for made in self.node(each, (*within, key))]


def _check_opsets(node: OnnxNode, function: Function, opsets: Mapping[str, int]) -> None:
    for domain, version in function.opsets.items():
        if opsets.get(domain, version) != version:
            raise OnnxFormatError(
                f"function {node.op!r:.80} has opset {version} of {domain or 'ONNX'!r}, the model "
                f"{opsets[domain]}; export the model again, inlined"
            )


def _called(function: Function, call: OnnxNode, prefix: str) -> list[OnnxNode]:
    """Return the nodes of one call."""
    if len(call.inputs) > len(function.inputs) or len(call.outputs) > len(function.outputs):
        raise OnnxFormatError(
            f"node {call.label!r:.80}: the function {call.op!r:.80} has {len(function.inputs)} "
            f"inputs and {len(function.outputs)} outputs; export the model again"
        )
    names = dict.fromkeys(function.inputs, "")
    names |= dict(zip(function.inputs, call.inputs, strict=False))
    direct = []
    for own, given in zip(function.outputs, call.outputs, strict=False):
        if own in function.inputs or names.get(own):  # an input, or one output twice
            direct.append(OnnxNode(f"{prefix}{given}", "Identity", (names[own],), (given,)))
        elif given:
            names[own] = given

    def new(name: str) -> str:
        return names.get(name, prefix + name) if name else ""

    given_attributes = {**function.defaults}
    given_attributes |= {k: v for k, v in call.attributes.items() if k in function.attributes}
    made = [_renamed(node, new, given_attributes, prefix) for node in function.nodes]
    return [*made, *(node for node in direct if node.outputs[0])]


def _renamed(
    node: OnnxNode, new: Callable[[str], str], given: Mapping[str, Any], prefix: str
) -> OnnxNode:
    return replace(
        node,
        name=prefix + node.name if node.name else "",
        inputs=tuple(map(new, node.inputs)),
        outputs=tuple(map(new, node.outputs)),
        attributes=_resolved(node.attributes, new, given),
    )


def _resolved(
    attributes: Mapping[str, Any], new: Callable[[str], str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return attributes without references; in branches, too."""
    result: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, Reference):
            if value.name in given:
                result[name] = given[value.name]
        elif isinstance(value, OnnxGraph):
            result[name] = _branch(outer(value, new), given)
        else:
            result[name] = value
    return result


def _branch(graph: OnnxGraph, given: Mapping[str, Any]) -> OnnxGraph:
    nodes = [
        replace(node, attributes=_resolved(node.attributes, lambda name: name, given))
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))
