"""A model as data: values, nodes and constants.

A `Graph` is what a `.rq` file says (docs/spec/rq-format.md, section 2), held in memory:

* a **value** is a tensor's description: dtype, shape, and what its codes mean;
* a **constant** is a value whose array is in the file (codes narrower than a byte are held one
  to an element, in int8 or uint8);
* a **node** applies one operator (docs/spec/operators.md) to values and names the contract,
  that is the arithmetic, it computes in.

There is no behaviour here: `refquant.model.validate` says which graphs are meaningful,
`refquant.model.execute` what they compute, `refquant.model.states` what a stream keeps. Left out:
control flow, dynamic shapes other than the batch ``"N"`` and the length ``"T"`` of a sequence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract

__all__ = [
    "DTYPES",
    "Attribute",
    "Dtype",
    "Graph",
    "Node",
    "Quant",
    "Shape",
    "State",
    "Value",
    "dependents",
    "fits",
    "has_batch",
    "has_length",
    "names_of",
]

Attribute = int | float | str | tuple[int, ...]
Shape = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Dtype:
    """An element type: ``bits`` wide, codes in ``[qmin, qmax]``, held in memory as ``container``.

    >>> DTYPES["int4"].qmin, DTYPES["int4"].qmax, str(DTYPES["int4"].container)
    (-8, 7, 'int8')
    """

    bits: int
    qmin: int
    qmax: int
    container: np.dtype[Any]


def _integer(bits: int, signed: bool) -> Dtype:
    qmin = -(1 << (bits - 1)) if signed else 0
    container = np.dtype(f"{'int' if signed else 'uint'}{max(bits, 8)}")
    return Dtype(bits, qmin, qmin + (1 << bits) - 1, container)


DTYPES: Mapping[str, Dtype] = {
    "float32": Dtype(32, 0, 0, np.dtype(np.float32)),  # a float has no codes: the range is empty
    "int64": _integer(64, True),  # biases of 48-bit sums only
    **{f"int{bits}": _integer(bits, True) for bits in (32, 16)},
    "uint16": _integer(16, False),
    **{
        f"{kind}{bits}": _integer(bits, kind == "int")
        for bits in (8, 7, 6, 5, 4, 3, 2)
        for kind in ("int", "uint")
    },
}


@dataclass(frozen=True, slots=True)
class Quant:
    """What codes mean: real = scale * (code - zero_point), or scale * table[code].

    ``scale`` is a float that is exactly a float32, or the name of a constant, float32 or itself of
    codes; ``zero_point`` an integer, or the name of an int32 or float32 constant; ``block_shape``
    is the shape of the block of elements that shares one entry of those constants (None: numbers,
    one block). ``table`` names the float32 constant of what each code means, ``g_idx`` the int32
    constant that says which block of an axis each index belongs to (None: neighbours). A float zero
    point, a table and ``g_idx`` are for weights beside float32 activations only.
    """

    scale: float | str
    zero_point: int | str
    block_shape: tuple[int, ...] | None = None
    table: str | None = None
    g_idx: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The constants that it names.

        >>> Quant("w/scale", 0, (1, 32), table="nf4").names
        ('w/scale', 'nf4')
        """
        fields = (self.scale, self.zero_point, self.table, self.g_idx)
        return tuple(name for name in fields if isinstance(name, str))


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor's description.

    The first entry of ``shape`` may be ``"N"``, the batch; others ``"T"``, the length of sequences.
    """

    dtype: str
    shape: Shape
    quant: Quant | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One operator applied to values; ``""`` is an absent optional input.

    Lists of integers in ``attributes`` are tuples. ``contract``, a key of ``Graph.contracts``, is
    None for float arithmetic and for pure movement of codes.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    contract: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """``input`` is what ``output`` was in the run before; at first the constant ``initial``.

    ``""``: zeros, of codes the zero point.
    """

    name: str
    input: str
    output: str
    initial: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A whole model. Compare with ``==``: constants are equal if their bytes are.

    ``nodes`` stand in an order of execution. Nothing acts on ``meta``, JSON for people.

    >>> x = Value("float32", ("N", 4))
    >>> node = Node("relu", "Relu", ("x",), ("y",))
    >>> g = Graph("tiny", ("x",), ("y",), {"x": x, "y": x}, (node,), {}, {}, {})
    >>> g == Graph("tiny", ("x",), ("y",), {"y": x, "x": x}, (node,), {}, {}, {})
    True
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    contracts: Mapping[str, Contract]
    meta: Mapping[str, Any]
    states: tuple[State, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Say whether both are the same model, bit for bit (NaN equals the same NaN)."""
        if not isinstance(other, Graph):
            return NotImplemented
        return (
            self.name == other.name
            and self.inputs == other.inputs
            and self.outputs == other.outputs
            and self.values == other.values
            and self.nodes == other.nodes
            and self.contracts == other.contracts
            and self.meta == other.meta
            and self.states == other.states
            and self.constants.keys() == other.constants.keys()
            and all(_same_array(a, other.constants[k]) for k, a in self.constants.items())
        )

    __hash__ = None  # type: ignore[assignment]  # it holds arrays


def names_of(graph: Graph) -> frozenset[str]:
    """Return the names of values and nodes.

    >>> x = Value("float32", ("N", 4))
    >>> node = Node("relu", "Relu", ("x",), ("y",))
    >>> sorted(names_of(Graph("tiny", ("x",), ("y",), {"x": x, "y": x}, (node,), {}, {}, {})))
    ['relu', 'x', 'y']
    """
    return frozenset(graph.values) | {node.name for node in graph.nodes}


def has_batch(graph: Graph) -> bool:
    """Say whether the inputs begin with ``"N"``: the graph is a function of one sample.

    >>> x = Value("float32", ("N", 2))
    >>> has_batch(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}))
    True
    """
    return any(graph.values[name].shape[:1] == ("N",) for name in graph.inputs)


def has_length(graph: Graph) -> bool:
    """Say whether an input has an axis ``"T"``: the graph takes sequences of any length.

    >>> x = Value("float32", ("N", "T", 2))
    >>> has_length(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}))
    True
    """
    return any("T" in graph.values[name].shape for name in graph.inputs)


def fits(shape: Shape, got: Sequence[int], sizes: dict[str, int]) -> bool:
    """Say whether an array of shape ``got`` is one of ``shape``; ``sizes`` learns new letters.

    >>> sizes = {"N": 3}
    >>> fits(("N", "T", 4), (3, 7, 4), sizes), sizes
    (True, {'N': 3, 'T': 7})
    """
    return len(shape) == len(got) and all(
        (sizes.setdefault(d, n) if isinstance(d, str) else d) == n
        for d, n in zip(shape, got, strict=True)
    )


def dependents(nodes: Sequence[Node], inputs: Sequence[str]) -> frozenset[str]:
    """Return the names of all values that depend on ``inputs``, these included.

    >>> sorted(dependents([Node("a", "Relu", ("x",), ("y",))], ["x"]))
    ['x', 'y']
    """
    reached = set(inputs)
    for node in nodes:
        if reached.intersection(node.inputs):
            reached.update(node.outputs)
    return frozenset(reached)


def _same_array(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
