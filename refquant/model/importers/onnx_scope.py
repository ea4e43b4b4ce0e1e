"""The graph in the making: what each name of an ONNX model has become.

What that can be: `refquant.model.importers.onnx_items`.

`Scope` looks names up, makes constants, adds nodes. A lowering raises `Unsupported` with a reason;
the importer collects them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.model.build import Builder
from refquant.model.graph import Attribute, Graph, Quant, Shape, State
from refquant.model.importers.onnx_items import (
    OURS,
    Filled,
    Item,
    Known,
    Reals,
    Seen,
    Spread,
    Turned,
    Unsupported,
)
from refquant.model.importers.onnx_known import has_letters
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_sizes import listed
from refquant.model.reals import reals as reals_of

__all__ = ["Filled", "Item", "Known", "Reals", "Scope", "Seen", "Turned", "Unsupported"]

Array = NDArray[Any]


@dataclass(slots=True)
class Scope:
    """Names, the builder, and who reads what; see the module."""

    b: Builder
    opset: int
    outputs: frozenset[str]
    items: dict[str, Item] = field(default_factory=dict)
    readers: dict[str, list[OnnxNode]] = field(default_factory=dict)
    unfused: list[dict[str, str]] = field(default_factory=list)
    doors: dict[str, str] = field(default_factory=dict)
    makers: dict[str, OnnxNode] = field(default_factory=dict)
    contract: Contract | None = None
    current: OnnxNode | None = None
    why: str = ""
    streaming: bool = False
    states: list[State] = field(default_factory=list)

    def item(self, name: str) -> Item:
        """Return what ``name`` stands for."""
        return self.items[name]

    def has(self, node: OnnxNode, index: int) -> bool:
        """Say whether the optional input is there."""
        return index < len(node.inputs) and bool(node.inputs[index])

    def known(self, node: OnnxNode, index: int, what: str) -> Array | None:
        """Return the array of an input that must be known, None if it is absent."""
        if not self.has(node, index):
            return None
        item = self.items[node.inputs[index]]
        if not isinstance(item, Known):
            raise Unsupported(f"{what} (input {index}) must be a constant")
        return item.array

    def ints(self, node: OnnxNode, index: int, what: str) -> tuple[int, ...] | None:
        """Return the integers that an attribute ``what`` says in older opsets, or an input."""
        if what in node.attributes:
            return tuple(node.attributes[what])
        array = self.known(node, index, what)
        return None if array is None else listed(array, what)

    def shape(self, name: str) -> Shape:
        """Return the shape of what ``name`` stands for."""
        item = self.items[name]
        if isinstance(item, Known):
            return tuple(int(d) for d in item.array.shape)
        if isinstance(item, Filled | Spread):
            return item.shape
        shape = self.b.values[item.value].shape
        return tuple(shape[axis] for axis in item.perm) if isinstance(item, Turned) else shape

    def dtype(self, name: str) -> str:
        """Return ONNX's dtype of ``name``."""
        item = self.items[name]
        return "float32" if isinstance(item, Reals) else item.dtype

    def value(self, node: OnnxNode, index: int, *, like: str | None = None) -> str:
        """Return the input as a value of our graph; a constant is one of the dtype ``like``."""
        return self.value_of(node.inputs[index], like=like)

    def value_of(self, name: str, *, like: str | None = None) -> str:
        """Return what ``name`` stands for as a value of our graph."""
        item = self.items[name]
        if isinstance(item, Seen):
            return item.value
        if isinstance(item, Known):
            return self._constant(name, item, like or item.dtype)
        if isinstance(item, Reals):
            return self.dequantized(name, item)
        if isinstance(item, Turned):
            turned = self.node("Transpose", [item.value], name, {"perm": item.perm})
            self.items[name] = Seen(turned, item.dtype)
            return turned
        raise Unsupported(f"{name!r} has a size that only a run knows; give the inputs sizes")

    def real(self, node: OnnxNode, index: int) -> str:
        """Return the input as a float32 value of our graph."""
        name = node.inputs[index]
        if self.dtype(name) != "float32":
            raise Unsupported(f"input {index} is {self.dtype(name)}; only float32 is computed with")
        return self.value_of(name)

    def reals(self, node: OnnxNode) -> list[str]:
        """Return all inputs as float32 values."""
        return [self.real(node, i) if name else "" for i, name in enumerate(node.inputs)]

    def view(self) -> Graph:
        """Return what there is so far as a graph; nothing of it is checked."""
        b = self.b
        return Graph(
            b.name, tuple(b.inputs), (), b.values, tuple(b.nodes), b.constants, b.contracts, {}
        )

    def dequantized(self, name: str, item: Reals) -> str:
        """Add the ``DequantizeLinear`` after all; what made it necessary is in ``unfused``."""
        if item.value in self.b.constants:
            return self.constant(
                name, reals_of(self.view(), item.value, self.b.constants[item.value])
            )
        if name in self.doors:  # another reader may still compute with the codes
            return self.doors[name]
        if self.current is not None:
            told = {"node": item.maker.label, "op": item.maker.op}
            reader = f"{self.current.op} {self.current.label!r}"
            self.unfused.append({**told, "reason": f"{reader} needs reals: {self.why}"})
        made = self.node("DequantizeLinear", [item.value], name, contract=self.contract)
        self.doors[name] = made
        return made

    def _constant(self, name: str, item: Known, dtype: str) -> str:
        """Return the constant ``name``; of integers, the ones our graph has."""
        array = item.array
        if has_letters(array):
            raise Unsupported(f"{name!r} is a size that only a run knows; give the inputs sizes")
        ours = OURS.get(dtype, dtype)
        if ours not in ("float32", "int32", "uint8", "int8"):
            raise Unsupported(f"{name!r} is {item.dtype}; only float32 is computed with")
        if array.dtype.kind in "iu" and ours == "int32" and array.size:
            limits = np.iinfo(np.int32)
            if not limits.min <= array.min() <= array.max() <= limits.max:
                raise Unsupported(f"{name!r} has integers beyond int32")
        label = f"{name}/constant" if name in self.outputs else name
        return self.constant(label, array.astype(ours, copy=False))

    def constant(self, name: str, array: Array) -> str:
        """Return a constant with these bits, called ``name`` or like it."""
        label = name
        while label in self.b.values:
            old = self.b.constants.get(label)
            same = old is not None and old.dtype == array.dtype and old.shape == array.shape
            if old is not None and same and old.tobytes() == array.tobytes():
                return label
            label += "_"
        return self.b.constant(label, np.ascontiguousarray(array).reshape(array.shape))

    def scalar(self, node: OnnxNode, number: float) -> str:
        """Return a float32 constant of no axes."""
        return self.constant(f"{node.label}/{np.float32(number)!s}", np.asarray(number, np.float32))

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        output: str,
        attributes: Mapping[str, Attribute | list[int]] | None = None,
        *,
        contract: Contract | None = None,
        dtype: str | None = None,
        quant: Quant | None = None,
    ) -> str:
        """Add a node of our graph with the one output ``output``, or like it; return its name."""
        return self.nodes(
            op, inputs, (output,), attributes, contract=contract, dtype=dtype, quant=quant
        )[0]

    def nodes(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Attribute | list[int]] | None = None,
        *,
        contract: Contract | None = None,
        dtype: str | None = None,
        quant: Quant | None = None,
    ) -> tuple[str, ...]:
        """Add a node of our graph; return the names of its outputs."""
        names: list[str] = []
        for output in outputs:
            label = output or f"{outputs[0] or op}/{len(names)}"
            while label in self.b.values or label in names:
                label += "_"
            names.append(label)
        return self.b.node_with(
            op, inputs, names, name=names[0], attributes=attributes,
            contract=contract, dtype=dtype, quant=quant,
        )  # fmt: skip

    def emit(
        self,
        node: OnnxNode,
        op: str,
        inputs: Sequence[str],
        attributes: Mapping[str, Attribute | list[int]] | None = None,
        *,
        dtype: str = "float32",
    ) -> None:
        """Add the node that computes the first output of ``node``, of ONNX's ``dtype``."""
        made = self.node(op, inputs, node.outputs[0], attributes)
        self.items[node.outputs[0]] = Seen(made, dtype)

    def step(
        self,
        node: OnnxNode,
        op: str,
        inputs: Sequence[str],
        attributes: Mapping[str, Attribute | list[int]] | None = None,
    ) -> str:
        """Add a node in between; return its output."""
        return self.node(op, inputs, f"{node.outputs[0]}/{op.lower()}", attributes)

    def alias(self, node: OnnxNode, name: str) -> None:
        """Let the first output of ``node`` be what ``name`` is."""
        self.items[node.outputs[0]] = self.items[name]
