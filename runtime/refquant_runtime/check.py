"""What every node demands of its operands, proved before anything runs.

Follows ``docs/spec/rq-format.md`` section 4 and ``docs/spec/operators.md``. After
:func:`bind` shapes are numbers, dtypes fit, parameters fit, and no accumulator can overflow;
kernels check nothing.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from refquant_runtime.check_operands import MOVEMENT, RAW, check_operands
from refquant_runtime.contracts import Arithmetic, arithmetic_of
from refquant_runtime.errors import FormatError, UnsupportedError
from refquant_runtime.graph import Graph, Node, Value
from refquant_runtime.shapes import OPERATORS
from refquant_runtime.shapes_movement import need

__all__ = ["bind"]


def bind(graph: Graph, batch: int) -> tuple[Graph, Mapping[str, Arithmetic]]:
    """Return the graph with ``N`` bound to ``batch``, every node checked, and its arithmetics."""
    values = {
        name: replace(value, shape=(batch, *value.shape[1:])) if value.batched else value
        for name, value in graph.values.items()
    }
    bound = replace(graph, values=values)
    arithmetics: dict[str, Arithmetic] = {}
    checker = _Checker(bound, arithmetics)
    unknown = [f"{node.op} ({node.name})" for node in graph.nodes if node.op not in OPERATORS]
    if unknown:
        raise UnsupportedError(
            f"{graph.path}: operators not known to this runtime: {', '.join(unknown)}; "
            "quantize the model without them or use a newer runtime"
        )
    for node in graph.nodes:
        if node.contract is not None and node.contract not in arithmetics:
            arithmetics[node.contract] = arithmetic_of(
                graph.path, node.contract, graph.contracts[node.contract]
            )
        try:
            checker.node(node)
        except ValueError as error:
            if isinstance(error, UnsupportedError):
                raise
            raise FormatError(
                graph.path, f"node {node.name!r} ({node.op})", str(error), "write the file again"
            ) from error
    return bound, arithmetics


class _Checker:
    """Applies the rules to one node after the other; errors are plain ``ValueError`` s."""

    def __init__(self, graph: Graph, arithmetics: Mapping[str, Arithmetic]) -> None:
        self.values, self.arithmetics = graph.values, arithmetics

    def node(self, node: Node) -> None:
        operator = OPERATORS[node.op]
        inputs = [self.values[name] if name else None for name in node.inputs]
        outputs = [self.values[name] for name in node.outputs]
        need(
            operator.required <= len(inputs) <= operator.most
            and all(value is not None for value in inputs[: operator.required]),
            f"takes {operator.required} to {operator.most} inputs, got {len(inputs)}",
        )
        if unknown := sorted(node.attributes.keys() - operator.attributes):
            raise ValueError(f"unknown attribute {unknown[0]!r}")
        shapes = operator.shapes([v.shape if v else None for v in inputs], node.attributes)
        need(len(outputs) == len(shapes), f"has {len(shapes)} outputs, got {len(outputs)}")
        for value, shape in zip(outputs, shapes, strict=True):
            need(
                value.shape == shape,
                f"output {value.name!r} is declared {list(value.shape)}, computed {list(shape)}",
            )
        self.batch(node, inputs, outputs)
        self.contract(node, inputs, outputs)
        self.attributes(node, outputs)
        check_operands(node, inputs, outputs, self.arithmetics)

    def batch(self, node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
        batched = any(value is not None and value.batched for value in inputs)
        scalars = outputs[1:] if node.op == "DynamicQuantizeLinear" else []
        for value in outputs:
            if value in scalars:
                continue
            need(value.batched == batched, f"output {value.name!r} gains or loses the 'N'")
        if batched and node.op == "Reshape":
            need(node.attributes["shape"][:1] == [0], "must keep 'N': its shape begins with 0")
        if batched and node.op == "Transpose":
            rank = len(outputs[0].shape)
            perm = node.attributes.get("perm", list(range(rank))[::-1])
            need(perm[0] == 0, "must keep 'N' first")
        if batched and node.op in ("Concat", "Softmax"):
            axis, rank = node.attributes.get("axis", -1), len(outputs[0].shape)
            need(axis % rank != 0, "works across samples: axis 0 is 'N'")
        if batched and node.op == "Pad":
            pads = node.attributes.get("pads", [0, 0])
            need(pads[0] == 0 and pads[len(pads) // 2] == 0, "pads 'N'")

    def contract(self, node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
        quantized = any(v is not None and v.quant for v in [*inputs, *outputs])
        needs = (quantized and node.op not in MOVEMENT) or node.op in RAW
        need(not needs or node.contract is not None, "needs a contract")
        need(needs or node.contract is None, "has a contract but computes nothing by it")

    def attributes(self, node: Node, outputs: list[Value]) -> None:
        for key in ("clamp_min", "clamp_max"):
            if key in node.attributes:
                value = node.attributes[key]
                low, high = (-128, 127) if outputs[0].dtype == "int8" else (0, 255)
                need(outputs[0].quant is not None, f"{key} is for quantized outputs")
                need(type(value) is int and low <= value <= high, f"{key} is {value!r}")
        low = node.attributes.get("clamp_min", -(2**31))
        need(low <= node.attributes.get("clamp_max", 2**31), "clamp_min exceeds clamp_max")
        for key in ("alpha", "beta", "min", "max", "value", "epsilon"):
            number = node.attributes.get(key, 0.0)
            need(type(number) in (int, float), f"attribute {key} is {number!r}, not a number")
            need(abs(number) <= float(np.finfo(np.float32).max), f"attribute {key} is too large")
        need(
            node.attributes.get("min", -np.inf) <= node.attributes.get("max", np.inf),
            "min exceeds max",
        )
