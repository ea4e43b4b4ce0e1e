"""JSON of a ``.rq`` file to a :class:`Graph`, or a :class:`FormatError`.

Follows ``docs/spec/rq-format.md`` section 2: the form of every entry. What the operators demand of
their operands is checked by :mod:`refquant_runtime.check`.
"""

import math
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import FormatError
from refquant_runtime.fileformat import Container, read_container
from refquant_runtime.graph import DTYPE_RANGE, DTYPES, SUBBYTE, Graph, Node, Quant, Value

__all__ = ["read_graph"]

Array = NDArray[Any]
MAX_ELEMENTS = 2**31
REWRITE = "write the file again"


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read and check a ``.rq`` file."""
    container = read_container(path)
    return _Reader(container).graph()


class _Reader:
    """Walks the JSON once; every fault goes through :meth:`fail`."""

    def __init__(self, container: Container) -> None:
        self.path, self.tensors, self.json = container.path, container.tensors, container.graph
        self.sha256 = container.sha256

    def fail(self, where: str, problem: str, remedy: str = REWRITE) -> NoReturn:
        raise FormatError(self.path, where, problem, remedy)

    def graph(self) -> Graph:
        keys = {"name", "inputs", "outputs", "values", "nodes", "contracts", "meta"}
        self.keys("graph", self.json, keys, set())
        raw = self.kind("values", self.json["values"], dict)
        for tensor in self.tensors.keys() - raw.keys():
            self.fail(f"tensor {tensor!r}", "is not one of the graph's values")
        values = {name: self.value(name, entry) for name, entry in raw.items()}
        inputs = self.names("inputs", self.json["inputs"])
        outputs = self.names("outputs", self.json["outputs"])
        nodes = self.nodes(inputs, values)
        self.reachable(inputs, outputs, values, nodes)
        return Graph(
            self.path,
            self.kind("name", self.json["name"], str),
            inputs,
            outputs,
            values,
            nodes,
            self.contracts(nodes),
            self.kind("meta", self.json["meta"], dict),
            self.sha256,
            self.path.stat().st_size,
        )

    # -- small checks -------------------------------------------------------------------------

    def keys(self, where: str, entry: Any, required: set[str], optional: set[str]) -> None:
        if not isinstance(entry, dict):
            self.fail(where, "is not a JSON object")
        if missing := sorted(required - entry.keys()):
            self.fail(where, f"lacks {missing}")
        if unknown := sorted(entry.keys() - required - optional):
            self.fail(where, f"unknown key {unknown[0]!r}", "use a runtime that knows it")

    def kind(self, where: str, value: Any, kind: type) -> Any:
        if type(value) is not kind:
            self.fail(where, f"{value!r:.60} is not of type {kind.__name__}")
        return value

    def names(self, where: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.fail(where, f"{value!r:.60} is not a list of names")
        return tuple(value)

    # -- values -------------------------------------------------------------------------------

    def value(self, name: str, entry: Any) -> Value:
        where = f"value {name!r}"
        self.keys(where, entry, {"dtype", "shape"}, {"quant"})
        if not name:
            self.fail(where, "has an empty name")
        dtype, shape = entry["dtype"], entry["shape"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            self.fail(where, f"dtype {dtype!r} is none of {list(DTYPES)}")
        if not isinstance(shape, list) or len(shape) > 6:
            self.fail(where, f"shape {shape!r:.60} is not a list of at most 6 sizes")
        batched = bool(shape) and shape[0] == "N"
        sizes = tuple([0, *shape[1:]] if batched else shape)
        if not all(type(size) is int and size >= 0 for size in sizes):
            self.fail(where, f"shape {shape!r:.60} has a size that is not an integer >= 0")
        if math.prod(sizes[batched:]) >= MAX_ELEMENTS:
            self.fail(where, f"shape {shape!r:.60} has 2**31 elements or more")
        data = self.constant(where, name, dtype, sizes, batched)
        quant = None
        if "quant" in entry:
            quant = self.quant(where, dtype, sizes, entry["quant"], constant=data is not None)
        if dtype in SUBBYTE and data is None:
            self.fail(where, f"{dtype} is for constants only")
        return Value(name, dtype, sizes, batched, quant, data)

    def constant(
        self, where: str, name: str, dtype: str, shape: tuple[int, ...], batched: bool
    ) -> Array | None:
        data = self.tensors.get(name)
        if data is None:
            return None
        if batched:
            self.fail(where, "is a constant, but its shape has an 'N'")
        expected: tuple[int, ...] = shape
        physical = dtype
        if dtype in SUBBYTE:
            expected, physical = ((math.prod(shape) * SUBBYTE[dtype] + 7) // 8,), "uint8"
        if data.dtype.name != physical or data.shape != expected:
            self.fail(
                where,
                f"its tensor is {data.dtype.name}{list(data.shape)}, "
                f"expected {physical}{list(expected)}",
            )
        return data

    def quant(
        self, where: str, dtype: str, shape: tuple[int, ...], entry: Any, *, constant: bool
    ) -> Quant:
        where += " quant"
        self.keys(where, entry, {"scale", "zero_point"}, {"block_shape"})
        if dtype not in DTYPE_RANGE:
            self.fail(where, f"a {dtype} value cannot be quantized")
        named = [k for k in ("scale", "zero_point") if isinstance(entry[k], str)]
        block = entry.get("block_shape")
        if bool(named) != (block is not None):
            self.fail(where, "block_shape goes with named tensors, and only with them")
        grid: tuple[int, ...] = ()
        if block is not None:
            if not constant:
                self.fail(where, "only constants may have tensors of parameters")
            listed = isinstance(block, list) and len(block) == len(shape)
            if not listed or not all(type(b) is int and b >= 1 for b in block):
                self.fail(where, f"block_shape {block!r:.60} does not fit shape {list(shape)}")
            grid = tuple(-(-size // b) for size, b in zip(shape, block, strict=True))
        scale = self.parameter(where, "scale", entry["scale"], np.float32, grid)
        zero_point = self.parameter(where, "zero_point", entry["zero_point"], np.int32, grid)
        magnitude = np.abs(scale)
        if not (np.isfinite(scale) & (magnitude >= np.float32(2.0**-126)) & (scale > 0)).all():
            self.fail(where, "a scale is not a finite, normal, positive float32", "quantize again")
        low, high = DTYPE_RANGE[dtype] if dtype != "int32" else (0, 0)
        if ((zero_point < low) | (zero_point > high)).any():
            self.fail(where, f"a zero point is outside [{low}, {high}]", "quantize again")
        return Quant(scale, zero_point, None if block is None else tuple(block))

    def parameter(
        self, where: str, key: str, value: Any, dtype: Any, grid: tuple[int, ...]
    ) -> Array:
        if isinstance(value, str):
            tensor = self.tensors.get(value)
            if tensor is None or tensor.dtype != dtype or tensor.shape != grid:
                have = "absent" if tensor is None else f"{tensor.dtype.name}{list(tensor.shape)}"
                name = np.dtype(dtype).name
                self.fail(where, f"{key} {value!r} is {have}, expected {name}{list(grid)}")
            return tensor
        is_int = type(value) is int
        if not (is_int or (dtype is np.float32 and type(value) is float)):
            self.fail(where, f"{key} {value!r:.40} is neither a number nor a tensor's name")
        if is_int and abs(value) > 2**31 - 1:
            self.fail(where, f"{key} {value} is out of range")
        with np.errstate(over="ignore"):
            number = np.array(value, dtype)
        if number != value:
            self.fail(where, f"{key} {value!r} is not exactly a {np.dtype(dtype).name}")
        return number

    # -- nodes --------------------------------------------------------------------------------

    def nodes(self, inputs: tuple[str, ...], values: Mapping[str, Value]) -> tuple[Node, ...]:
        known = {name for name, value in values.items() if value.data is not None}
        for name in inputs:
            if name not in values or name in known:
                self.fail(f"input {name!r}", "is not declared, is a constant, or stands twice")
            known.add(name)
        result, names = [], set()
        for index, entry in enumerate(self.kind("nodes", self.json["nodes"], list)):
            node = self.node(f"node {index}", entry)
            where = f"node {node.name!r}"
            if not node.name or node.name in names:
                self.fail(where, "its name is empty or not unique")
            for name in node.inputs:
                if name and name not in known:
                    self.fail(where, f"input {name!r} is not produced before it", "sort the nodes")
            for name in node.outputs:
                if name not in values or name in known:
                    self.fail(where, f"output {name!r} is undeclared or produced twice")
                known.add(name)
            names.add(node.name)
            result.append(node)
        return tuple(result)

    def node(self, where: str, entry: Any) -> Node:
        self.keys(where, entry, {"name", "op", "inputs", "outputs", "attributes"}, {"contract"})
        attributes = self.kind(f"{where} attributes", entry["attributes"], dict)
        for key, value in attributes.items():
            items = value if isinstance(value, list) else [value]
            if not all(type(item) in (int, float, str) for item in items):
                self.fail(where, f"attribute {key!r} is {value!r:.60}, not numbers or a string")
        contract = entry.get("contract")
        if contract is not None:
            declared = self.kind("contracts", self.json["contracts"], dict)
            if self.kind(f"{where} contract", contract, str) not in declared:
                self.fail(where, f"contract {contract!r:.60} is not in the file's contracts")
        return Node(
            self.kind(f"{where} name", entry["name"], str),
            self.kind(f"{where} op", entry["op"], str),
            self.names(f"{where} inputs", entry["inputs"]),
            self.names(f"{where} outputs", entry["outputs"]),
            attributes,
            contract,
        )

    def contracts(self, nodes: tuple[Node, ...]) -> Mapping[str, Mapping[str, Any]]:
        contracts: dict[str, Any] = self.kind("contracts", self.json["contracts"], dict)
        for name, axes in contracts.items():
            self.kind(f"contract {name!r}", axes, dict)
        return contracts

    def reachable(
        self,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        values: Mapping[str, Value],
        nodes: tuple[Node, ...],
    ) -> None:
        produced = {name for node in nodes for name in node.outputs} | set(inputs)
        for name in outputs:
            if name not in produced:
                self.fail(f"output {name!r}", "is neither an input nor produced by a node")
        if len(set(outputs)) != len(outputs) or not outputs:
            self.fail("outputs", "are empty or named twice")
        for name, value in values.items():
            if value.data is None and name not in produced:
                self.fail(f"value {name!r}", "is neither a constant nor produced by a node")
