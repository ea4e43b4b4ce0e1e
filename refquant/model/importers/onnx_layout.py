r"""Transpositions that meet their inverse: models whose images have the channels last.

Such a model, exported to ONNX, has a ``Transpose`` before and behind every convolution::

    Conv -> T(0,2,3,1) -> Add -> T(0,3,1,2) -> Conv     becomes     Conv -> Add -> Conv

A transposed value is kept as what it is of, and in which order: v = base with axes p. An operator
that treats all elements alike is then one on bases,

.. math:: f(x^{p}) = f(x)^{p}, \qquad x^{p} \circ c = (x \circ c^{p^{-1}})^{p}             \tag{1}

with the constants c turned back at import; two transpositions are one,

.. math:: (x^{p})^{q} = x^{p \circ q}, \qquad (p \circ q)_i = p_{q_i}                      \tag{2}

and where the order is the plain one, none. What works along axes is told their new numbers. The
elements are the same, and so is the order in which sums add them (a reduction is moved only where
its axes keep their order), so every output has the same bits.

Left out: operators whose axes have fixed meanings (``Conv``, ``MatMul``, ``Reshape``): what they
read is transposed after all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Attribute, Graph, Node, Value
from refquant.model.operators import UNARY
from refquant.model.validate import validate

__all__ = ["settled"]

Perm = tuple[int, ...]
View = tuple[str, Perm]
Attributes = Mapping[str, Attribute]


def settled(graph: Graph) -> Graph:
    """Return the graph with the fewest transpositions this walk finds: eqs. (1), (2).

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2, 3))
    >>> h = b.node("Relu", [b.node("Transpose", [x], attributes={"perm": (0, 2, 1)})])
    >>> y = b.node("Transpose", [h], name="y", attributes={"perm": (0, 2, 1)})
    >>> [node.op for node in settled(b.graph([y])).nodes]
    ['Relu', 'Identity']
    """
    if not any(node.op == "Transpose" for node in graph.nodes):
        return graph
    walk = _Walk(graph)
    for node in graph.nodes:
        walk.step(node)
    made = walk.finished()
    before, after = (sum(node.op == "Transpose" for node in g.nodes) for g in (graph, made))
    return made if after < before else graph


@dataclass(slots=True)
class _Walk:
    """The new graph so far; ``views`` of the old names: what is transposed how."""

    graph: Graph
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with what is there before any node."""
        made = {name for node in self.graph.nodes for name in node.outputs}
        self.values.update({n: v for n, v in self.graph.values.items() if n not in made})
        self.constants.update(self.graph.constants)

    def step(self, node: Node) -> None:
        """Move the node onto bases if it can be, else give it what it reads."""
        if node.op == "Transpose":
            self._transpose(node)
        elif node.op not in _RULES or not self._moved(node):
            inputs = tuple(self.plain(name) if name else "" for name in node.inputs)
            self.nodes.append(replace(node, inputs=inputs))
            self.values.update({name: self.graph.values[name] for name in node.outputs})

    def plain(self, name: str) -> str:
        """Return ``name``, with its transposition, if there is one, as a node."""
        if name not in self.values:
            base, perm = self.views[name]
            straight = perm == tuple(range(len(perm)))
            given: Attributes = {} if straight else {"perm": perm}
            op = "Identity" if straight else "Transpose"
            if straight and name not in self._kept():
                return base
            self.nodes.append(Node(f"{name}/{op.lower()}", op, (base,), (name,), given))
            self.values[name] = self.graph.values[name]
        return name

    def _kept(self) -> set[str]:
        return {*self.graph.outputs, *(state.output for state in self.graph.states)}

    def _transpose(self, node: Node) -> None:
        x, y = node.inputs[0], node.outputs[0]
        rank = len(self.graph.values[x].shape)
        given = node.attributes.get("perm", tuple(reversed(range(rank))))
        assert isinstance(given, tuple), "check_signature: a list of integers"
        base, before = self.views.get(x, (x, tuple(range(rank))))
        self.views[y] = base, tuple(before[int(axis)] for axis in given)

    def _moved(self, node: Node) -> bool:
        """Add the node on bases, and say whether its rule allows it."""
        (y,) = node.outputs
        rank = len(self.graph.values[node.inputs[0]].shape)
        wide = max(len(self.graph.values[name].shape) for name in node.inputs)
        computed = [n for n in node.inputs[: _operands(node)] if n not in self.constants]
        perms = {self.views.get(name, ("", ()))[1] for name in computed}
        perm = next(iter(perms), ())
        if len(perms) != 1 or not perm or len(perm) != wide or perm == tuple(range(wide)):
            return False
        listed = node.op != "Gather" or len(self.graph.values[node.inputs[1]].shape) == 1
        found = _RULES[node.op](node, perm) if listed else None
        inputs = [self._operand(name, perm) for name in node.inputs[: _operands(node)]]
        if found is None or None in inputs or (rank != wide and node.op not in _TOGETHER):
            return False
        attributes, after = found
        straight, value = after == tuple(range(len(after))), self.graph.values[y]
        name = y if straight else self._free(f"{y}/turned")
        shape = list(value.shape)
        for place, axis in enumerate(after):
            shape[axis] = value.shape[place]
        self.values[name] = replace(value, shape=tuple(shape))
        rest = [self.plain(each) for each in node.inputs[_operands(node) :]]
        operands = (*(str(i) for i in inputs), *rest)
        self.nodes.append(Node(node.name, node.op, operands, (name,), attributes, node.contract))
        if not straight:
            self.views[y] = name, after
        return True

    def _operand(self, name: str, perm: Perm) -> str | None:
        """Return the base of an operand, or a constant turned back: eq. (1); None: has none."""
        if name in self.views:
            return self.views[name][0]
        value, array = self.values[name], self.constants[name]
        if value.quant is not None and value.quant.block_shape is not None:
            return None
        if array.ndim == 0:
            return name
        wide = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
        back = np.ascontiguousarray(wide.transpose(np.argsort(perm)))
        label = f"{name}/turned/{''.join(map(str, perm))}"
        while label in self.values:
            if label in self.constants and _same(self.constants[label], back):
                return label
            label += "_"
        self.constants[label] = back
        self.values[label] = replace(value, shape=tuple(back.shape))
        return label

    def _free(self, name: str) -> str:
        while name in self.values or name in self.graph.values:
            name += "_"
        return name

    def finished(self) -> Graph:
        """Return the graph, its outputs under their names, without constants nobody reads."""
        for name in self._kept():
            self.plain(name)
        read = {name for node in self.nodes for name in node.inputs}
        read |= {*self.graph.inputs, *self.graph.outputs, *(s.initial for s in self.graph.states)}
        for value in self.values.values():
            read.update(() if value.quant is None else value.quant.names)
        gone = self.constants.keys() - read
        made = replace(
            self.graph,
            values={n: v for n, v in self.values.items() if n not in gone},
            constants={n: a for n, a in self.constants.items() if n not in gone},
            nodes=tuple(self.nodes),
        )
        validate(made)
        return made


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def _operands(node: Node) -> int:
    """Return how many inputs have axes: a table of codes and places have not."""
    return 1 if node.op in UNARY or node.op == "Gather" else len(node.inputs)


def _alike(node: Node, perm: Perm) -> tuple[Attributes, Perm] | None:
    return node.attributes, perm


def _along(node: Node, perm: Perm) -> tuple[Attributes, Perm] | None:
    """Concat, Softmax, Gather of a list of places: one axis."""
    axis = node.attributes.get("axis", -1 if node.op == "Softmax" else 0)
    return {**node.attributes, "axis": perm[int(str(axis))]}, perm


def _pad(node: Node, perm: Perm) -> tuple[Attributes, Perm] | None:
    pads, rank = _ints(node, "pads"), len(perm)
    made = [0] * 2 * rank
    for place, axis in enumerate(perm):
        made[axis], made[rank + axis] = pads[place], pads[rank + place]
    return {**node.attributes, "pads": tuple(made)}, perm


def _slice(node: Node, perm: Perm) -> tuple[Attributes, Perm] | None:
    return {**node.attributes, "axes": tuple(perm[axis] for axis in _ints(node, "axes"))}, perm


def _reduce(node: Node, perm: Perm) -> tuple[Attributes, Perm] | None:
    """Only where the axes keep their order: sums ascend in row-major order."""
    axes = sorted(axis % len(perm) for axis in _ints(node, "axes"))
    moved = tuple(perm[axis] for axis in axes)
    if list(moved) != sorted(moved):
        return None
    made = {**node.attributes, "axes": moved}
    if node.attributes.get("keepdims", 1):
        return made, perm
    left = [axis for place, axis in enumerate(perm) if place not in axes]
    return made, tuple(sorted(left).index(axis) for axis in left)


def _ints(node: Node, key: str) -> Sequence[int]:
    value = node.attributes[key]
    assert isinstance(value, tuple), "check_signature: a list of integers"
    return [int(item) for item in value]


_TOGETHER = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Max", "Min", "Where", "And", "Or"),
        *("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"),
    }
)
_RULES: Mapping[str, Callable[[Node, Perm], tuple[Attributes, Perm] | None]] = {
    **dict.fromkeys(_TOGETHER, _alike),
    **dict.fromkeys(UNARY, _alike),
    **dict.fromkeys(("Floor", "Ceil", "Round", "Sign", "Not", "Cast", "Identity"), _alike),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _alike),
    **dict.fromkeys(("Concat", "Softmax", "Gather"), _along),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
    "Pad": _pad,
    "Slice": _slice,
}
