"""Writing a graph by hand: for tests, lessons and importers.

A `Builder` collects values and nodes in the order they are named, infers shapes, and gives a
validated `Graph`. It is the one mutable thing of this package; graphs themselves never change.

>>> b = Builder("tiny")
>>> x = b.input("x", ("N", 2))
>>> w = b.constant("w", np.array([[1, 2], [3, 4]], np.float32))
>>> y = b.node("MatMul", [x, w], name="y")
>>> g = b.graph([y])
>>> g.values["y"].shape
('N', 2)
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.model.graph import DTYPES, Attribute, Graph, Node, Quant, Shape, State, Value
from refquant.model.names import free_name
from refquant.model.operators import MOVEMENT, check_signature
from refquant.model.operators_imported import IMPORTED, dtypes
from refquant.model.shapes import infer_shapes
from refquant.model.validate import validate

__all__ = ["Builder"]

_OUTPUT_DTYPES: Mapping[str, tuple[str, ...]] = {
    "DynamicQuantizeLinear": ("uint8", "float32", "uint8"),
    "MatMulInteger": ("int32",),
    "ConvInteger": ("int32",),
    "GRU": ("float32",) * 2,
    "LSTM": ("float32",) * 3,
    "DynamicQuantizeGRU": ("float32",) * 2,
    "DynamicQuantizeLSTM": ("float32",) * 3,
}


@dataclass(slots=True)
class Builder:
    """A graph in the making, called ``name``.

    ``reserved``: names that belong to somebody else, whom `free` leaves in peace.
    """

    name: str
    inputs: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    reserved: Collection[str] = frozenset()

    def free(self, name: str) -> str:
        """Return ``name``, or ``name_`` and so on if it is reserved: a name for something made.

        The same answer every time, so that what was made can be found again.

        >>> Builder("g", reserved={"w/scale"}).free("w/scale")
        'w/scale_'
        """
        return free_name(name, self.reserved)

    def input(
        self, name: str, shape: Shape, *, dtype: str = "float32", quant: Quant | None = None
    ) -> str:
        """Add an input of the graph and return its name."""
        self._add(name, Value(dtype, tuple(shape), quant))
        self.inputs.append(name)
        return name

    def constant(
        self,
        name: str,
        array: NDArray[Any],
        *,
        dtype: str | None = None,
        quant: Quant | None = None,
    ) -> str:
        """Add a constant and return its name.

        ``dtype`` is the array's, unless its codes are narrower than a byte (``"int4"``).
        """
        array = np.asarray(array)
        self._add(name, Value(dtype or array.dtype.name, tuple(array.shape), quant))
        self.constants[name] = array
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        name: str | None = None,
        attributes: Mapping[str, Attribute | list[int]] | None = None,
        contract: Contract | None = None,
        dtype: str | None = None,
        quant: Quant | None = None,
    ) -> str:
        """Add a node with one output of the node's name, and return that name.

        ``dtype`` and ``quant`` describe the output, of several the first. Without them movement,
        ``Relu`` and ``Clip`` keep those of their input, and everything else is float32
        (``MatMulInteger``: int32).
        """
        name = name or f"{op.lower()}_{len(self.nodes)}"
        return self.node_with(
            op,
            inputs,
            (name,),
            name=name,
            attributes=attributes,
            contract=contract,
            dtype=dtype,
            quant=quant,
        )[0]

    def node_with(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        name: str,
        attributes: Mapping[str, Attribute | list[int]] | None = None,
        contract: Contract | None = None,
        dtype: str | None = None,
        quant: Quant | None = None,
    ) -> tuple[str, ...]:
        """Add a node with the ``outputs`` named here, as ``DynamicQuantizeLinear`` needs."""
        frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in (attributes or {}).items()}
        label = None if contract is None else contract.name
        node = Node(name, op, tuple(inputs), tuple(outputs), frozen, label)
        check_signature(node)
        operands = [self.values[name] if name else None for name in inputs]
        shapes = infer_shapes(op, [None if v is None else v.shape for v in operands], frozen)
        described = _described(op, operands, dtype, quant, int(str(frozen.get("to", 0))))
        for output, shape, (kind, meaning) in zip(outputs, shapes, described, strict=True):
            self._add(output, Value(kind, shape, meaning))
        self.nodes.append(node)
        if contract is not None and self.contracts.setdefault(contract.name, contract) != contract:
            raise ValueError(f"two contracts are called {contract.name!r}; rename one")
        return tuple(outputs)

    def graph(
        self,
        outputs: Sequence[str],
        *,
        meta: Mapping[str, Any] | None = None,
        states: Sequence[State] = (),
    ) -> Graph:
        """Return the validated graph with these ``outputs`` and ``states``."""
        graph = Graph(
            self.name,
            tuple(self.inputs),
            tuple(outputs),
            dict(self.values),
            tuple(self.nodes),
            dict(self.constants),
            dict(self.contracts),
            dict(meta or {}),
            tuple(states),
        )
        validate(graph)
        return graph

    def _add(self, name: str, value: Value) -> None:
        if name in self.values:
            raise ValueError(f"a value called {name!r} is there already; choose another name")
        if value.dtype not in DTYPES:
            raise ValueError(f"dtype is one of {sorted(DTYPES)}, got {value.dtype!r}")
        self.values[name] = value


def _described(
    op: str, operands: Sequence[Value | None], dtype: str | None, quant: Quant | None, to: int
) -> list[tuple[str, Quant | None]]:
    """Return (dtype, quant) of each output."""
    first = operands[0]
    if dtype is not None:
        rest = _OUTPUT_DTYPES.get(op, ())[1:]  # the states of GRU and LSTM stay float32
        return [(dtype, quant), *((kind, None) for kind in rest)]
    if op in MOVEMENT or (op in ("Relu", "Clip") and len(operands) == 1):
        assert first is not None, "check_signature: input 0 of every operator is required"
        return [(first.dtype, first.quant)]
    if op in IMPORTED or op in ("Cast", "Gather"):
        values = [value for value in operands if value is not None]
        return [(kind, None) for kind in dtypes(op, values, to)]
    return [(kind, None) for kind in _OUTPUT_DTYPES.get(op, ("float32",))]
