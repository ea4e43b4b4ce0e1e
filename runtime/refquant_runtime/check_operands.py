"""Dtypes, parameters and accumulators of a node's operands: ``docs/spec/operators.md``.

A rule that is broken raises ``ValueError`` with the rule; :mod:`refquant_runtime.check` adds the
file and the node.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.contracts import Arithmetic
from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.shapes_movement import need
from refquant_runtime.weights import integer_weights, prove_accumulator

__all__ = ["MOVEMENT", "RAW", "check_operands"]

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


def check_operands(
    node: Node,
    inputs: list[Value | None],
    outputs: list[Value],
    arithmetics: Mapping[str, Arithmetic],
) -> None:
    """Check the dtypes and parameters of one node; a broken rule is a ``ValueError``."""
    present = [value for value in inputs if value is not None]
    op, x, y = node.op, present[0], outputs[0]
    if op in MOVEMENT:
        for value in [*present, y]:
            need(value.dtype == x.dtype, "inputs and output must have one dtype")
            need(_same_quant(value.quant, x.quant), "inputs and output must share parameters")
        need(x.dtype in ("float32", *EIGHT), f"does not move {x.dtype}")
        need(not x.quant or node.attributes.get("value", 0) == 0, "pads codes with 0.0 only")
    elif op == "QuantizeLinear":
        need(x.dtype == "float32", "takes float32")
        _codes(y)
    elif op == "DequantizeLinear":
        need(x.quant is not None and x.dtype in (*EIGHT, "int32"), "takes quantized codes")
        need(x.quant.block_shape is None if x.quant else False, "takes one scale a tensor")
        need(y.dtype == "float32" and y.quant is None, "gives float32")
    elif op == "DynamicQuantizeLinear":
        need(x.dtype == "float32", "takes float32")
        kinds = [v.dtype for v in outputs]
        need(kinds == ["uint8", "float32", "uint8"], f"outputs are {kinds}")
        need(not any(v.quant for v in outputs), "outputs carry no quant")
    elif op in RAW:
        _raw(node, inputs, outputs)
    elif x.dtype == "float32" and y.dtype == "float32":
        for value in present:
            weight = value is not x and op in INTEGER and value.quant is not None
            need(value.dtype == "float32" or weight, f"mixes float32 and {value.dtype}")
            need(not weight or value.data is not None, "quantized weights are constants")
        if op in INTEGER:
            need(len(present) < 3 or present[2].data is not None, "bias is a constant")
        need(op in INTEGER or len(present) < 2 or op in ("Add", "Sub", "Mul", "Div"),
              "a table goes with codes")  # fmt: skip
    else:
        _quantized(node, present, y, arithmetics)


def _codes(value: Value) -> Quant:
    quant = value.quant
    if quant is None or value.dtype not in EIGHT or quant.block_shape is not None:
        raise ValueError(f"{value.name!r} must be int8 or uint8 with one scale")
    return quant


def _quantized(
    node: Node, present: list[Value], y: Value, arithmetics: Mapping[str, Arithmetic]
) -> None:
    op, x = node.op, present[0]
    _codes(y)
    _codes(x)
    arithmetic = arithmetics[str(node.contract)]
    if op in INTEGER:
        _accumulator(node, present, y)
    elif op in ("Add", "Mul"):
        _codes(present[1])
    elif op in ("AveragePool", "GlobalAveragePool"):
        if arithmetic.average_pool == "half_away":
            need(_same_quant(x.quant, y.quant), "input and output must share parameters")
    elif op == "Softmax":
        need(arithmetic.softmax == "dequantize",
              f"contract {arithmetic.name!r} has no integer Softmax")  # fmt: skip
    elif len(present) == 2:
        table = present[1]
        need(table.data is not None and table.shape == (256,), "its table has 256 codes")
        need(table.dtype == y.dtype, "its table has the output's dtype")
    else:
        need(op in ("Relu", "Clip"), "needs a table of 256 codes as its second input")
        need(x.dtype == y.dtype and _same_quant(x.quant, y.quant), "must share parameters")


def _accumulator(node: Node, present: list[Value], y: Value) -> None:
    x, w = present[0], present[1]
    if w.data is None:
        need(node.op == "MatMul" and len(present) == 2, "weights must be constants")
        _codes(w)
        reach = 255 * 255 * x.shape[-1]
        need(reach < 2**31, f"int32 accumulators may overflow (up to {reach})")
        return
    if len(present) == 3:
        bias = present[2]
        need(bias.data is not None and bias.dtype == "int32", "bias is an int32 constant")
    quant = x.quant
    low, high = (-128, 127) if x.dtype == "int8" else (0, 255)
    zero = int(quant.zero_point) if quant else 0
    _prove(node, w, present[2].data if len(present) == 3 else None,
               max(zero - low, high - zero))  # fmt: skip


def _prove(node: Node, w: Value, bias: NDArray[Any] | None, reach: int) -> None:
    matrix, _ = integer_weights(node, w)
    prove_accumulator(matrix, bias, reach)


def _raw(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    x, w, y = inputs[0], inputs[1], outputs[0]
    assert x is not None
    assert w is not None
    to_float = node.op.endswith("ToFloat")
    need(x.dtype in (("uint8",) if to_float else EIGHT), f"x is {x.dtype}")
    need(x.quant is None, "x carries no quant")
    need(w.data is not None and w.dtype in EIGHT, "w must be an int8 or uint8 constant")
    need(y.dtype == ("float32" if to_float else "int32"), f"output is {y.dtype}")
    need(y.quant is None, "output carries no quant")
    zero = inputs[3] if to_float else (inputs[2] if len(inputs) > 2 else None)
    if to_float:
        scale = inputs[2]
        assert scale is not None
        assert zero is not None
        need(w.quant is not None and not np.any(w.quant.zero_point), "w has zero point 0")
        need(scale.dtype == "float32" and scale.shape == (), "x_scale is a float32 scalar")
        bias = inputs[4] if len(inputs) > 4 else None
        need(bias is None or (bias.dtype == "float32" and bias.data is not None),
              "bias is a float32 constant")  # fmt: skip
    else:
        need(w.quant is None, "w carries no quant: its zero point is an input")
        w_zero = inputs[3] if len(inputs) > 3 else None
        need(w_zero is None or (w_zero.data is not None and w_zero.dtype == w.dtype),
              "w's zero point is a constant of w's dtype")  # fmt: skip
        if w_zero is not None:
            matrix, _ = integer_weights(node, w)
            need(w_zero.shape in ((), (1,), (matrix.shape[-1],)),
                  f"w's zero point has shape {list(w_zero.shape)}")  # fmt: skip
    if zero is not None:
        need(zero.dtype == x.dtype and zero.shape in ((), (1,)),
              "x's zero point is one code of x's dtype")  # fmt: skip
    _prove(node, w, None, 255)


def _same_quant(a: Quant | None, b: Quant | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point))
