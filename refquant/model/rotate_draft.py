"""A graph while it is being rotated: what is to change, collected first and done at once.

Rotations meet in one constant: the weight of ``o`` is turned on its inputs by the heads' R2 and on
its outputs by the stream's R1. Here each only says what it wants, and at the end every constant is
made float64 once, turned by all of them in order, and rounded to float32 once.

A value whose numbers are turned is no longer what its name says, so it is called
``<value>/rotated``; nodes keep their names. A constant that others read as it was becomes two: the
turned one is called ``<constant>/<node>``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Attribute, Graph, Node, Value, names_of
from refquant.model.names import free_name

__all__ = ["Draft", "Record", "Turn"]

F64 = NDArray[np.float64]
Turn = Callable[[F64], F64]
Record = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """Changes to the float32 ``graph``; ``records`` say what they are, ``turned`` whose inputs.

    It changes as it goes; the graph does not.
    """

    graph: Graph
    records: list[Record] = field(default_factory=list)
    turned: set[str] = field(default_factory=set)
    _nodes: dict[str, Node] = field(default_factory=dict)
    _behind: dict[str, list[Node]] = field(default_factory=dict)
    _turns: dict[tuple[str, int], list[Turn]] = field(default_factory=dict)
    _values: dict[str, Value] = field(default_factory=dict)
    _constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Know the names that there are."""
        self._taken |= names_of(self.graph)

    def node(self, name: str) -> Node:
        """Return the node ``name`` as it is by now."""
        if name not in self._nodes:
            self._nodes |= {node.name: node for node in self.graph.nodes}
        return self._nodes[name]

    def change(self, node: Node) -> None:
        """Let ``node`` stand where the node of its name does."""
        self.node(node.name)
        self._nodes[node.name] = node

    def turn(self, node: Node, index: int, by: Turn) -> None:
        """Turn the constant that ``node`` reads at input ``index``, after all turns before."""
        self._turns.setdefault((node.name, index), []).append(by)

    def free(self, name: str) -> str:
        """Return ``name``, or ``name_`` and so on, which is nobody's, and take it."""
        free = free_name(name, self._taken)
        self._taken.add(free)
        return free

    def value(self, like: str, name: str) -> str:
        """Add a value called ``name``, or nearly so, of the shape of ``like``; return its name."""
        made = self.free(name)
        self._values[made] = self._values.get(like) or self.graph.values[like]
        return made

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add a float32 constant called ``name``, or nearly so; return its name."""
        made = self.free(name)
        self._constants[made] = np.asarray(array, np.float32)
        self._values[made] = Value("float32", tuple(array.shape))
        return made

    def behind(self, value: str, op: str, operands: tuple[str, ...], output: str,
               attributes: Mapping[str, Attribute]) -> str:  # fmt: skip
        """Add a node that makes ``output`` directly behind whoever makes ``value``.

        It is called as its output, or ``<output>/<op>`` where a node has that name. Of several,
        the first one added comes first.
        """
        name = output if output not in self._names() else self.free(f"{output}/{op}")
        node = Node(name, op, operands, (output,), dict(attributes))
        self._behind.setdefault(value, []).append(node)
        return output

    def reshaped(self, name: str, shape: tuple[int | str, ...]) -> None:
        """Say that the added value ``name`` has another shape than what it is like."""
        self._values[name] = Value("float32", shape)

    def read(self, node_name: str, old: str, new: str) -> None:
        """Let a node read the value ``new`` in place of ``old``."""
        node = self.node(node_name)
        self.change(replace(node, inputs=tuple(new if n == old else n for n in node.inputs)))

    def write(self, node_name: str, new: str) -> None:
        """Let a node call its only output ``new``."""
        self.change(replace(self.node(node_name), outputs=(new,)))

    def done(self) -> Graph:
        """Return the graph with all changes, once. `ValueError` for a constant beyond float32."""
        constants = {**self.graph.constants, **self._constants}
        values = {**self.graph.values, **self._values}
        counts: dict[str, int] = {}
        for node in self.graph.nodes:
            for name in self.node(node.name).inputs:
                counts[name] = counts.get(name, 0) + 1
        for (name, index), turns in self._turns.items():
            node = self.node(name)
            old = node.inputs[index]
            array = _turned(old, constants[old], turns)
            if counts[old] == 1 and old not in self.graph.outputs:
                constants[old] = array
                continue
            new = self.constant(f"{old}/{name}", array)
            constants[new], values[new] = array, self._values[new]
            counts[old] -= 1
            inputs = (*node.inputs[:index], new, *node.inputs[index + 1 :])
            self.change(replace(node, inputs=inputs))
        nodes = self._in_order()
        used = {n for node in nodes for n in (*node.inputs, *node.outputs)}
        kept = used | {*self.graph.inputs, *self.graph.outputs}
        return replace(
            self.graph,
            nodes=nodes,
            values={n: v for n, v in values.items() if n in kept},
            constants={n: a for n, a in constants.items() if n in kept},
        )

    def _in_order(self) -> tuple[Node, ...]:
        result: list[Node] = []

        def add(value: str) -> None:
            for node in self._behind.get(value, ()):
                result.append(node)
                for output in node.outputs:
                    add(output)

        for name in self.graph.inputs:
            add(name)
        for old in self.graph.nodes:
            node = self.node(old.name)
            result.append(node)
            for output in node.outputs:
                add(output)
        return tuple(result)

    def _names(self) -> set[str]:
        nodes = {node.name for node in self.graph.nodes}
        return nodes | {node.name for added in self._behind.values() for node in added}


def _turned(name: str, array: NDArray[Any], turns: list[Turn]) -> NDArray[np.float32]:
    wide = array.astype(np.float64)
    for turn in turns:
        wide = turn(wide)
    with np.errstate(over="ignore"):
        result = wide.astype(np.float32)
    if not np.isfinite(result).all():
        raise ValueError(
            f"constant {name!r}: rotated, it must be finite float32; look at its largest element"
        )
    return result
