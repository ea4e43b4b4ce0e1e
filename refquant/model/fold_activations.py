r"""Activations that an exporter wrote out, as the one operator that they are.

Converters know `Mul` and `Clip` where a framework had a function: ::

    x -> Add 3 -> Clip 0, 6 -> Mul x -> Div 6                       HardSwish
    x -> HardSigmoid 1/6, 1/2 -> Mul x                              HardSwish
    x -> Mul 1 -> Sigmoid -> Mul x                                  Swish
    x -> Div sqrt(2) -> Erf -> Add 1 -> Mul x -> Mul 1/2            Gelu

In float32 the operator is another program for the same real function, as everything that
`refquant.model.fold` does. On codes it is one table, which rounds once, where the nodes of the
chain round once each, and to ranges that nobody wants: that of x times its gate is six times the
result's.

A product is taken apart into what it multiplies, whatever the order of its nodes; their constants
are one factor:

.. math::

    y = c \prod_i f_i, \qquad \{f_i\} = \{x, \text{gate}(x)\}                              \tag{1}

Left out: gates by other constants than these, and chains of which another node reads a part.

Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2 (HardSwish);
Ramachandran et al., "Searching for Activation Functions", 2017 (Swish); Hendrycks and Gimpel, 2016
(Gelu).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from refquant.model.fold_channels import only_reader, rebuilt
from refquant.model.graph import Graph, Node

__all__ = ["fold_activations"]

_NEARLY = 2.0**-21  # a constant that was rounded to float32, once or twice


@dataclass
class _Draft:
    graph: Graph
    makers: Mapping[str, Node]
    readers: Mapping[str, list[Node]]
    gone: set[str] = field(default_factory=set)  # nodes of the chain in hand

    def inner(self, name: str) -> Node | None:
        """Return the node that makes ``name``, if one node of the chain alone reads it."""
        maker = self.makers.get(name)
        alone = maker is not None and only_reader(self.graph, name, self.readers) is not None
        return maker if alone else None

    def number(self, name: str) -> float | None:
        """Return the constant ``name`` as a number, None if it is not one."""
        array = self.graph.constants.get(name)
        one = array is not None and array.size == 1 and array.ndim <= 1
        known = one and self.graph.values[name].dtype == "float32"
        return float(array.ravel()[0]) if known and array is not None else None

    def take(self, node: Node) -> None:
        self.gone.add(node.name)


def fold_activations(graph: Graph) -> Graph:
    """Return ``graph`` with each written-out `HardSwish`, `Swish` and `Gelu` as one node.

    The node has the name and the output of the chain's last one.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("tiny")
    >>> x = b.input("x", ("N", 2))
    >>> y = b.node("Mul", [x, b.node("Sigmoid", [x])], name="y")
    >>> [(node.op, node.name) for node in fold_activations(b.graph([y])).nodes]
    [('Swish', 'y')]
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:  # a square reads its operand twice
            readers.setdefault(name, []).append(node)
    d = _Draft(graph, {name: n for n in graph.nodes for name in n.outputs}, readers)
    swaps: dict[str, Node | None] = {}
    for node in graph.nodes:
        d.gone = set()
        found = _activation(d, node) if node.op in ("Mul", "Div") else None
        if found is not None and not d.gone & swaps.keys():
            swaps.update(dict.fromkeys(d.gone))
            swaps[node.name] = Node(node.name, found[0], (found[1],), node.outputs)
    return rebuilt(graph, swaps, {}) if swaps else graph


def _activation(d: _Draft, node: Node) -> tuple[str, str] | None:
    """Return the operator that the product ``node`` is, and what it is of."""
    factor, names = _factors(d, node)
    if len(names) != 2:
        return None
    for x, gate in (names, names[::-1]):
        before = set(d.gone)
        for op, expected, matches in _GATES:
            if math.isclose(factor, expected, rel_tol=_NEARLY) and matches(d, gate, x):
                return op, x
            d.gone = set(before)
    return None


def _factors(d: _Draft, node: Node) -> tuple[float, list[str]]:
    """Return the constant and the names that ``node`` multiplies: eq. (1)."""
    factor, names, left = 1.0, list[str](), [node]
    while left:
        each = left.pop()
        for index, name in enumerate(each.inputs):
            number, inner = d.number(name), d.inner(name)
            divisor = each.op == "Div" and index == 1
            if number is not None and (number or not divisor):
                factor = factor / number if divisor else factor * number
            elif divisor:
                return 0.0, []
            elif inner is not None and inner.op in ("Mul", "Div") and len(names) < 3:
                d.take(inner)
                left.append(inner)
            else:
                names.append(name)
    return factor, names


def _hard(d: _Draft, name: str, x: str) -> bool:
    """Say whether ``name`` is Clip(x + 3, 0, 6)."""
    clip = d.inner(name)
    if clip is None or clip.op != "Clip" or clip.attributes != {"min": 0, "max": 6}:
        return False
    d.take(clip)
    return _shifted(d, clip.inputs[0], 3.0) == x


def _hard_sigmoid(d: _Draft, name: str, x: str) -> bool:
    gate = d.inner(name)
    if gate is None or gate.op != "HardSigmoid" or gate.inputs[0] != x:
        return False
    d.take(gate)
    wanted = (("alpha", 1 / 6, 0.2), ("beta", 0.5, 0.5))
    given = [(gate.attributes.get(key, default), number) for key, number, default in wanted]
    return all(
        isinstance(value, int | float) and math.isclose(value, number, rel_tol=1e-5)
        for value, number in given
    )


def _sigmoid(d: _Draft, name: str, x: str) -> bool:
    gate = d.inner(name)
    if gate is None or gate.op != "Sigmoid":
        return False
    d.take(gate)
    return gate.inputs[0] == x or _scaled(d, gate.inputs[0], 1.0) == x


def _normal(d: _Draft, name: str, x: str) -> bool:
    """Say whether ``name`` is 1 + Erf(x / sqrt(2))."""
    inner = _shifted(d, name, 1.0)
    erf = None if inner is None else d.inner(inner)
    if erf is None or erf.op != "Erf":
        return False
    d.take(erf)
    return _scaled(d, erf.inputs[0], math.sqrt(0.5)) == x


def _shifted(d: _Draft, name: str, by: float) -> str | None:
    """Return v of ``name`` = v + ``by``."""
    add = d.inner(name)
    if add is None or add.op != "Add":
        return None
    for constant, other in (add.inputs, add.inputs[::-1]):
        if d.number(constant) == by:
            d.take(add)
            return other
    return None


def _scaled(d: _Draft, name: str, by: float) -> str | None:
    """Return v of ``name`` = v * ``by``."""
    node = d.inner(name)
    if node is None or node.op not in ("Mul", "Div"):
        return None
    d.take(node)
    factor, names = _factors(d, node)
    return names[0] if len(names) == 1 and math.isclose(factor, by, rel_tol=_NEARLY) else None


_GATES = (
    ("HardSwish", 1 / 6, _hard),
    ("HardSwish", 1.0, _hard_sigmoid),
    ("Swish", 1.0, _sigmoid),
    ("Gelu", 0.5, _normal),
)
