"""What every node demands of its operands, proved before anything runs.

Follows ``docs/spec/rq-format.md`` section 4 and ``docs/spec/operators.md``. After
:func:`bind` shapes are numbers, dtypes fit, parameters fit, and no accumulator can overflow;
kernels check nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.contracts import Arithmetic, arithmetic_of
from refquant_runtime.errors import FormatError, UnsupportedError
from refquant_runtime.graph import Graph, Node, Quant, Value
from refquant_runtime.shapes import OPERATORS
from refquant_runtime.weights import integer_weights, prove_accumulator

__all__ = ["MOVEMENT", "bind"]

MOVEMENT = frozenset(
    ["Reshape", "Flatten", "Transpose", "Concat", "Pad", "Identity", "MaxPool", "GlobalMaxPool"]
)
INTEGER = frozenset(["Conv", "Gemm", "MatMul"])
ELEMENTWISE = frozenset(["Add", "Mul", "AveragePool", "GlobalAveragePool", "Softmax"])
RAW = frozenset(
    [
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "MatMulIntegerToFloat",
        "ConvIntegerToFloat",
    ]
)
EIGHT = ("int8", "uint8")


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


def _need(condition: bool, rule: str) -> None:
    if not condition:
        raise ValueError(rule)


def _same_quant(a: Quant | None, b: Quant | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point))


class _Checker:
    """Applies the rules to one node after the other; errors are plain ``ValueError`` s."""

    def __init__(self, graph: Graph, arithmetics: Mapping[str, Arithmetic]) -> None:
        self.values, self.arithmetics = graph.values, arithmetics

    def node(self, node: Node) -> None:
        operator = OPERATORS[node.op]
        inputs = [self.values[name] if name else None for name in node.inputs]
        outputs = [self.values[name] for name in node.outputs]
        _need(
            operator.required <= len(inputs) <= operator.most
            and all(value is not None for value in inputs[: operator.required]),
            f"takes {operator.required} to {operator.most} inputs, got {len(inputs)}",
        )
        if unknown := sorted(node.attributes.keys() - operator.attributes):
            raise ValueError(f"unknown attribute {unknown[0]!r}")
        shapes = operator.shapes([v.shape if v else None for v in inputs], node.attributes)
        _need(len(outputs) == len(shapes), f"has {len(shapes)} outputs, got {len(outputs)}")
        for value, shape in zip(outputs, shapes, strict=True):
            _need(
                value.shape == shape,
                f"output {value.name!r} is declared {list(value.shape)}, computed {list(shape)}",
            )
        self.batch(node, inputs, outputs)
        self.contract(node, inputs, outputs)
        self.attributes(node, outputs)
        self.operands(node, [v for v in inputs if v is not None], inputs, outputs)

    def batch(self, node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
        batched = any(value is not None and value.batched for value in inputs)
        scalars = outputs[1:] if node.op == "DynamicQuantizeLinear" else []
        for value in outputs:
            if value in scalars:
                continue
            _need(value.batched == batched, f"output {value.name!r} gains or loses the 'N'")
        if batched and node.op == "Reshape":
            _need(node.attributes["shape"][:1] == [0], "must keep 'N': its shape begins with 0")
        if batched and node.op == "Transpose":
            rank = len(outputs[0].shape)
            perm = node.attributes.get("perm", list(range(rank))[::-1])
            _need(perm[0] == 0, "must keep 'N' first")
        if batched and node.op in ("Concat", "Softmax"):
            axis, rank = node.attributes.get("axis", -1), len(outputs[0].shape)
            _need(axis % rank != 0, "works across samples: axis 0 is 'N'")
        if batched and node.op == "Pad":
            pads = node.attributes.get("pads", [0, 0])
            _need(pads[0] == 0 and pads[len(pads) // 2] == 0, "pads 'N'")

    def contract(self, node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
        quantized = any(v is not None and v.quant for v in [*inputs, *outputs])
        needs = (quantized and node.op not in MOVEMENT) or node.op in RAW
        _need(not needs or node.contract is not None, "needs a contract")
        _need(needs or node.contract is None, "has a contract but computes nothing by it")

    def attributes(self, node: Node, outputs: list[Value]) -> None:
        for key in ("clamp_min", "clamp_max"):
            if key in node.attributes:
                value = node.attributes[key]
                low, high = (-128, 127) if outputs[0].dtype == "int8" else (0, 255)
                _need(outputs[0].quant is not None, f"{key} is for quantized outputs")
                _need(type(value) is int and low <= value <= high, f"{key} is {value!r}")
        low = node.attributes.get("clamp_min", -(2**31))
        _need(low <= node.attributes.get("clamp_max", 2**31), "clamp_min exceeds clamp_max")
        for key in ("alpha", "beta", "min", "max", "value", "epsilon"):
            number = node.attributes.get(key, 0.0)
            _need(type(number) in (int, float), f"attribute {key} is {number!r}, not a number")
            _need(abs(number) <= float(np.finfo(np.float32).max), f"attribute {key} is too large")
        _need(
            node.attributes.get("min", -np.inf) <= node.attributes.get("max", np.inf),
            "min exceeds max",
        )

    # -- dtypes and parameters ------------------------------------------------------------------

    def operands(
        self, node: Node, present: list[Value], inputs: list[Value | None], outputs: list[Value]
    ) -> None:
        op, x, y = node.op, present[0], outputs[0]
        if op in MOVEMENT:
            for value in [*present, y]:
                _need(value.dtype == x.dtype, "inputs and output must have one dtype")
                _need(_same_quant(value.quant, x.quant), "inputs and output must share parameters")
            _need(x.dtype in ("float32", *EIGHT), f"does not move {x.dtype}")
            _need(not x.quant or node.attributes.get("value", 0) == 0, "pads codes with 0.0 only")
        elif op == "QuantizeLinear":
            _need(x.dtype == "float32", "takes float32")
            self.codes(y)
        elif op == "DequantizeLinear":
            _need(x.quant is not None and x.dtype in (*EIGHT, "int32"), "takes quantized codes")
            _need(x.quant.block_shape is None if x.quant else False, "takes one scale a tensor")
            _need(y.dtype == "float32" and y.quant is None, "gives float32")
        elif op == "DynamicQuantizeLinear":
            _need(x.dtype == "float32", "takes float32")
            kinds = [v.dtype for v in outputs]
            _need(kinds == ["uint8", "float32", "uint8"], f"outputs are {kinds}")
            _need(not any(v.quant for v in outputs), "outputs carry no quant")
        elif op in RAW:
            self.raw(node, inputs, outputs)
        elif x.dtype == "float32" and y.dtype == "float32":
            for value in present:
                weight = value is not x and op in INTEGER and value.quant is not None
                _need(value.dtype == "float32" or weight, f"mixes float32 and {value.dtype}")
                _need(not weight or value.data is not None, "quantized weights are constants")
            if op in INTEGER:
                _need(len(present) < 3 or present[2].data is not None, "bias is a constant")
            _need(op in INTEGER or len(present) < 2 or op in ("Add", "Sub", "Mul", "Div"),
                  "a table goes with codes")  # fmt: skip
        else:
            self.quantized(node, present, y)

    def codes(self, value: Value) -> Quant:
        quant = value.quant
        if quant is None or value.dtype not in EIGHT or quant.block_shape is not None:
            raise ValueError(f"{value.name!r} must be int8 or uint8 with one scale")
        return quant

    def quantized(self, node: Node, present: list[Value], y: Value) -> None:
        op, x = node.op, present[0]
        self.codes(y)
        self.codes(x)
        arithmetic = self.arithmetics[str(node.contract)]
        if op in INTEGER:
            self.accumulator(node, present, self.values[y.name])
        elif op in ("Add", "Mul"):
            self.codes(present[1])
        elif op in ("AveragePool", "GlobalAveragePool"):
            if arithmetic.average_pool == "half_away":
                _need(_same_quant(x.quant, y.quant), "input and output must share parameters")
        elif op == "Softmax":
            _need(arithmetic.softmax == "dequantize",
                  f"contract {arithmetic.name!r} has no integer Softmax")  # fmt: skip
        elif len(present) == 2:
            table = present[1]
            _need(table.data is not None and table.shape == (256,), "its table has 256 codes")
            _need(table.dtype == y.dtype, "its table has the output's dtype")
        else:
            _need(op in ("Relu", "Clip"), "needs a table of 256 codes as its second input")
            _need(x.dtype == y.dtype and _same_quant(x.quant, y.quant), "must share parameters")

    def accumulator(self, node: Node, present: list[Value], y: Value) -> None:
        x, w = present[0], present[1]
        if w.data is None:
            _need(node.op == "MatMul" and len(present) == 2, "weights must be constants")
            self.codes(w)
            reach = 255 * 255 * x.shape[-1]
            _need(reach < 2**31, f"int32 accumulators may overflow (up to {reach})")
            return
        if len(present) == 3:
            bias = present[2]
            _need(bias.data is not None and bias.dtype == "int32", "bias is an int32 constant")
        quant = x.quant
        low, high = (-128, 127) if x.dtype == "int8" else (0, 255)
        zero = int(quant.zero_point) if quant else 0
        self.prove(node, w, present[2].data if len(present) == 3 else None,
                   max(zero - low, high - zero))  # fmt: skip

    def prove(self, node: Node, w: Value, bias: NDArray[Any] | None, reach: int) -> None:
        matrix, _ = integer_weights(node, w)
        prove_accumulator(matrix, bias, reach)

    def raw(self, node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
        x, w, y = inputs[0], inputs[1], outputs[0]
        assert x is not None
        assert w is not None
        to_float = node.op.endswith("ToFloat")
        _need(x.dtype in (("uint8",) if to_float else EIGHT), f"x is {x.dtype}")
        _need(x.quant is None, "x carries no quant")
        _need(w.data is not None and w.dtype in EIGHT, "w must be an int8 or uint8 constant")
        _need(y.dtype == ("float32" if to_float else "int32"), f"output is {y.dtype}")
        _need(y.quant is None, "output carries no quant")
        zero = inputs[3] if to_float else (inputs[2] if len(inputs) > 2 else None)
        if to_float:
            scale = inputs[2]
            assert scale is not None
            assert zero is not None
            _need(w.quant is not None and not np.any(w.quant.zero_point), "w has zero point 0")
            _need(scale.dtype == "float32" and scale.shape == (), "x_scale is a float32 scalar")
            bias = inputs[4] if len(inputs) > 4 else None
            _need(bias is None or (bias.dtype == "float32" and bias.data is not None),
                  "bias is a float32 constant")  # fmt: skip
        else:
            _need(w.quant is None, "w carries no quant: its zero point is an input")
            w_zero = inputs[3] if len(inputs) > 3 else None
            _need(w_zero is None or (w_zero.data is not None and w_zero.dtype == w.dtype),
                  "w's zero point is a constant of w's dtype")  # fmt: skip
            if w_zero is not None:
                matrix, _ = integer_weights(node, w)
                _need(w_zero.shape in ((), (1,), (matrix.shape[-1],)),
                      f"w's zero point has shape {list(w_zero.shape)}")  # fmt: skip
        if zero is not None:
            _need(zero.dtype == x.dtype and zero.shape in ((), (1,)),
                  "x's zero point is one code of x's dtype")  # fmt: skip
        self.prove(node, w, None, 255)
