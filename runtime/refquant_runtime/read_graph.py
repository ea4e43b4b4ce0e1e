"""JSON of a ``.rq`` file to a :class:`Graph`, or a :class:`FormatError`.

Follows ``docs/spec/rq-format.md`` section 2: the form of every entry. What the operators demand of
their operands is checked by :mod:`refquant_runtime.check`.
"""

import os
from collections.abc import Mapping
from typing import Any

from refquant_runtime.contracts import check_axes
from refquant_runtime.errors import UnsupportedError
from refquant_runtime.fields import Fields
from refquant_runtime.fileformat import Container, read_container
from refquant_runtime.graph import Graph, Node, State, Value
from refquant_runtime.read_states import StateReader
from refquant_runtime.read_values import ValueReader
from refquant_runtime.shapes import OPERATORS, VERSION_2

__all__ = ["read_graph"]

SECOND = frozenset(("int64", *(f"{u}int{bits}" for bits in (7, 6, 5, 3) for u in ("", "u"))))
BIASED = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # their third input may be int64


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read and check a ``.rq`` file."""
    container = read_container(path)
    return _Reader(container).graph()


class _Reader(Fields):
    """Walks the JSON once; every fault goes through :meth:`fail`."""

    def __init__(self, container: Container) -> None:
        super().__init__(container.path)
        self.container, self.json = container, container.graph

    def graph(self) -> Graph:
        keys = {"name", "inputs", "outputs", "values", "nodes", "contracts", "meta"}
        self.keys("graph", self.json, keys, {"states"})
        raw = self.kind("values", self.json["values"], dict)
        if self.container.version != "refquant/1":
            self.within_reach()
        tensors = self.container.tensors
        for tensor in tensors.keys() - raw.keys():
            self.fail(f"tensor {tensor!r}", "is not one of the graph's values")
        contracts = self.contracts()
        signs = any(axes["negative_scale"] for axes in contracts.values())
        reader = ValueReader(self.path, tensors, raw, signs=signs)
        values = {name: reader.value(name, entry) for name, entry in raw.items()}
        if self.container.version == "refquant/1":
            self.first_version(values)
        inputs = self.names("inputs", self.json["inputs"])
        outputs = self.names("outputs", self.json["outputs"])
        nodes = self.nodes(inputs, values)
        self.biases_only(values, nodes)
        produced = self.reachable(inputs, outputs, values, nodes)
        states: tuple[State, ...] = ()
        if "states" in self.json:
            if self.container.version == "refquant/1":
                self.fail("states", "are what only refquant/2 has")
            states = StateReader(self.path, values, inputs, produced).states(self.json["states"])
        return Graph(
            self.path,
            self.kind("name", self.json["name"], str),
            inputs,
            outputs,
            values,
            nodes,
            contracts,
            self.kind("meta", self.json["meta"], dict),
            self.container.sha256,
            self.container.nbytes,
            states,
        )

    def within_reach(self) -> None:
        """Name the operators that this runtime lacks before it reads anything else."""
        for index, entry in enumerate(self.kind("nodes", self.json["nodes"], list)):
            op = entry.get("op") if isinstance(entry, dict) else None
            if isinstance(op, str) and op not in OPERATORS:
                raise UnsupportedError(
                    f"{self.path}: node {index} ({op!r:.60}): the operator is not implemented; use "
                    "a newer runtime, or run the model in the reference"
                )

    def first_version(self, values: Mapping[str, Value]) -> None:
        """Refuse in a file of the first version what only the second has."""
        for name, value in values.items():
            quant = value.quant
            scale = self.json["values"][name]["quant"]["scale"] if quant else None
            coded = isinstance(scale, str) and self.container.tensors[scale].dtype != "float32"
            odd = value.dtype in SECOND or (quant and not quant.plain)
            if odd or coded or value.lengths:
                self.fail(f"value {name!r}", "has what refquant/1 has no words for: a dtype, a "
                          "table, g_idx, scales of codes, or the length 'T'")  # fmt: skip
        for index, entry in enumerate(self.kind("nodes", self.json["nodes"], list)):
            if not isinstance(entry, dict):
                continue  # refused by `node`
            inputs = entry.get("inputs")
            op, attributes = entry.get("op"), entry.get("attributes")
            tabled = op == "Softmax" and isinstance(inputs, list) and len(inputs) > 1
            later = isinstance(op, str) and op in VERSION_2
            if later or tabled or (op == "Gelu" and attributes):
                self.fail(f"node {index}", f"is {op!r:.40} as only refquant/2 has it")

    def biases_only(self, values: Mapping[str, Value], nodes: tuple[Node, ...]) -> None:
        """Refuse 64-bit integers but in a constant that is the bias of layers, and no more."""
        long = {name for name, value in values.items() if value.dtype == "int64"}
        for name in long:
            if values[name].data is None:
                self.fail(f"value {name!r}", "is int64 and no constant")
        for node in nodes if long else ():
            for place, name in enumerate(node.inputs):
                if name in long and not (place == 2 and node.op in BIASED):
                    self.fail(f"node {node.name!r}", f"input {name!r} is int64, but no bias")

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
            listed = isinstance(value, list) and all(type(item) is int for item in value)
            if not listed and type(value) not in (int, float, str):
                rule = "neither a number, a string nor a list of integers"
                self.fail(where, f"attribute {key!r} is {value!r:.60}, {rule}")
        contract = entry.get("contract")
        if "contract" in entry:
            declared = self.json["contracts"]
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

    def contracts(self) -> Mapping[str, Mapping[str, Any]]:
        contracts: dict[str, Any] = self.kind("contracts", self.json["contracts"], dict)
        for name, axes in contracts.items():
            where = f"contract {name!r}"
            self.kind(where, axes, dict)
            if not name:
                self.fail(where, "has an empty name")
            try:
                check_axes(axes)
            except ValueError as error:
                self.fail(where, str(error), "write the file again, or use a runtime that knows it")
            if axes["zero_point"] in ("float", "offset"):
                said = f"has zero points that are no integers ({axes['zero_point']!r})"
                self.fail(where, said, "use another contract")
        return contracts

    def reachable(
        self,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        values: Mapping[str, Value],
        nodes: tuple[Node, ...],
    ) -> set[str]:
        """Check that everything is made by something; return what a run makes or is given."""
        produced = {name for node in nodes for name in node.outputs} | set(inputs)
        for name in outputs:
            if name not in produced:
                self.fail(f"output {name!r}", "is neither an input nor produced by a node")
        if len(set(outputs)) != len(outputs) or not outputs:
            self.fail("outputs", "are empty or named twice")
        for name, value in values.items():
            if value.data is None and name not in produced:
                self.fail(f"value {name!r}", "is neither a constant nor produced by a node")
        return produced
