"""Dtypes and parameters of a node's operands: ``docs/spec/operators.md``.

A broken rule raises ``ValueError``, what is valid but not implemented here :class:`BeyondError`;
:mod:`refquant_runtime.check` adds the file and the node. Products are the next module's:
:mod:`refquant_runtime.check_products`.
"""

import math
from collections.abc import Mapping

import numpy as np

from refquant_runtime.check_int16 import check_int16
from refquant_runtime.check_products import (
    check_dynamic_range,
    check_dynamic_recurrent,
    check_product,
    check_raw,
    check_static_recurrent,
)
from refquant_runtime.check_sequence import check_recurrent, check_typed, is_typed
from refquant_runtime.check_statistics import check_mean, check_softmax
from refquant_runtime.contracts import Arithmetic
from refquant_runtime.graph import Node, Quant, Value
from refquant_runtime.rules import can, need
from refquant_runtime.weights import EIGHT, codes_of, is_int16, reach_of

__all__ = ["MOVEMENT", "RAW", "check_operands"]

MOVEMENT = frozenset(
    [
        "Reshape",
        "Flatten",
        "Transpose",
        "Concat",
        "Pad",
        "Identity",
        "MaxPool",
        "GlobalMaxPool",
        "Slice",
        "Squeeze",
        "Unsqueeze",
    ]
)
RAW = frozenset(
    [
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "MatMulIntegerToFloat",
        "ConvIntegerToFloat",
        "ConvTransposeIntegerToFloat",
        "DynamicQuantizeGRU",
        "DynamicQuantizeLSTM",
    ]
)
LAYERS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul"])
WEIGHTS = {**dict.fromkeys(LAYERS, (1,)), "GRU": (1, 2), "LSTM": (1, 2)}
UNARY = frozenset(
    [
        *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu"),
        *("Log", "Neg", "Relu", "Requantize", "Sigmoid", "Softplus", "Sqrt", "Swish", "Tanh"),
    ]
)
ON_CODES = (
    LAYERS | UNARY | {"Add", "Mul", "AveragePool", "GlobalAveragePool", "ReduceMean", "Softmax"}
)


def check_operands(
    node: Node,
    inputs: list[Value | None],
    outputs: list[Value],
    arithmetics: Mapping[str, Arithmetic],
) -> None:
    """Check the dtypes and parameters of one node."""
    present = [value for value in inputs if value is not None]
    op, x, y = node.op, present[0], outputs[0]
    if op in MOVEMENT:
        _movement(node, [*present, y])
    elif op in ON_CODES | {"QuantizeLinear", "DequantizeLinear"} and is_int16(x, y):
        check_int16(node, present, y, arithmetics[str(node.contract)])
    elif op == "QuantizeLinear":
        _plain("the input", x)
        codes_of(y)
        need(arithmetics[str(node.contract)].rule >= 0, "its contract quantizes rows only")
    elif op == "DequantizeLinear":
        _dequantized(x, y)
    elif op == "DynamicQuantizeLinear":
        _plain("the input", x)
        kinds = [v.dtype for v in outputs]
        need(kinds == ["uint8", "float32", "uint8"], f"outputs are {kinds}")
        need(arithmetics[str(node.contract)].rule >= 0, "its contract quantizes rows only")
        need(not any(v.quant for v in outputs), "outputs carry no quant")
    elif op in ("DynamicQuantizeGRU", "DynamicQuantizeLSTM"):
        check_dynamic_recurrent(inputs, outputs)
        need(arithmetics[str(node.contract)].rule >= 0, "its contract quantizes rows only")
    elif op in ("ConvDynamicRange", "MatMulDynamicRange"):
        check_dynamic_range(node, inputs, y, arithmetics[str(node.contract)].requantize)
    elif op in RAW:
        check_raw(node, inputs, y)
    elif y.quant is not None and op in ("GRU", "LSTM"):
        check_static_recurrent(inputs, outputs, arithmetics[str(node.contract)])
    elif y.quant is not None and op in ON_CODES:
        _quantized(node, present, y, arithmetics[str(node.contract)])
    elif is_typed(op):
        check_typed(node, inputs, outputs)
    else:
        _floats(node, inputs, outputs)


def _plain(what: str, value: Value) -> None:
    """Check that a value is float32; such values have no quant."""
    need(value.dtype == "float32", f"{what} must be float32, got {value.dtype}")


def _dequantized(x: Value, y: Value) -> None:
    need(x.quant is not None, "takes quantized codes")
    can(x.dtype in (*EIGHT, "int32"), f"dequantizes {x.dtype}")
    can(x.quant is None or x.quant.block_shape is None, "dequantizes blocks")
    can(x.quant is None or x.quant.plain, "dequantizes by a table")
    _plain("the output", y)


def _movement(node: Node, values: list[Value]) -> None:
    x = values[0]
    for value in values:
        need(value.dtype == x.dtype, "inputs and output must have one dtype")
        need(_same_quant(value.quant, x.quant), "inputs and output must share parameters")
    if node.op == "Pad" and x.dtype != "float32":
        need(x.quant is not None, f"a plain {x.dtype} has no code for 0")
        need(node.attributes.get("value", 0) == 0, "pads codes with their zero point: value is 0")
    wide = x.dtype == "int32" and node.op not in ("Pad", "MaxPool", "GlobalMaxPool")
    short = x.dtype == "int16" and x.quant is not None
    can(wide or short or x.dtype in ("float32", *EIGHT), f"moves {x.dtype}")


def _floats(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    """Check float32 arithmetic, its weights perhaps codes."""
    need(node.op not in {*UNARY, "Softmax"} or len(inputs) == 1, "a table goes with codes")
    need(node.op != "Requantize", "goes with codes")
    need(node.op != "MatMul" or len(inputs) < 3, "a float32 MatMul has no bias: use Add")
    for index, value in enumerate(inputs):
        if value is None:
            continue
        if index in WEIGHTS.get(node.op, ()) and value.quant is not None:
            need(value.data is not None, "quantized weights are constants")
            need(value.dtype != "int32", "weights have at most 16 bits")
            can(value.dtype not in ("int16", "uint16"), f"weights of {value.dtype}")
            can(node.op != "MatMul" or len(value.shape) == 2, "a stack of quantized weights")
        elif node.op == "RotaryEmbedding" and index == 3:
            need(value.dtype == "int32" and value.quant is None, "positions are int32")
        else:
            _plain(f"input {value.name!r}", value)
    for value in outputs:
        _plain("an output", value)
    if node.op in ("GRU", "LSTM"):
        check_recurrent(inputs)
        return
    if node.op == "BatchNormalization":
        constant = all(value is not None and value.data is not None for value in inputs[1:])
        can(constant, "a normalization by computed numbers")
    w = inputs[1] if len(inputs) > 1 else None
    bias = inputs[2] if len(inputs) > 2 else None
    constant = w is None or w.data is not None or node.op not in LAYERS - {"MatMul"}
    can(constant, "computed weights")
    can(node.op not in LAYERS or bias is None or bias.data is not None, "a computed bias")
    low, high = node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)
    can(low <= high, f"min {low} above max {high}")


def _quantized(node: Node, present: list[Value], y: Value, arithmetic: Arithmetic) -> None:
    op, x = node.op, present[0]
    codes_of(y)
    codes_of(x)
    need(arithmetic.rule >= 0, f"contract {arithmetic.name!r} gives reals, not codes")
    if op in LAYERS:
        check_product(node, present)
    elif op in ("Add", "Mul"):
        codes_of(present[1])
    elif op in ("AveragePool", "GlobalAveragePool"):
        _average(node, x, y, arithmetic)
    elif op == "ReduceMean":
        check_mean(node, x, y, arithmetic)
    elif op == "Softmax":
        check_softmax(node, present, y, arithmetic)
    elif len(present) == 2:
        table = present[1]
        need(table.data is not None, "its table is a constant")
        need(table.dtype == y.dtype, "its table has the output's dtype")
        need(table.quant is None or _same_quant(table.quant, y.quant), "its table is the output's")
    else:
        need(op in ("Relu", "Clip"), "needs a table of 256 codes as its second input")
        need(x.dtype == y.dtype and _same_quant(x.quant, y.quant), "must share parameters")
        need(not node.attributes.keys() & {"min", "max"}, "clamps codes by clamp_min, clamp_max")


def _average(node: Node, x: Value, y: Value, arithmetic: Arithmetic) -> None:
    count = math.prod(node.attributes.get("kernel_shape", x.shape[2:]))
    need(count * reach_of(x) < 2**31, f"an int32 sum may reach {count * reach_of(x)}")
    assert x.quant is not None, "codes_of: checked"
    assert y.quant is not None, "codes_of: checked"
    with np.errstate(over="ignore", under="ignore"):
        finite = bool(np.isfinite(x.quant.scale / y.quant.scale))
    need(finite, "its multiplier sx / sy is infinite: the output needs a larger scale")
    if arithmetic.average_pool == "half_away":
        same = x.dtype == y.dtype and _same_quant(x.quant, y.quant)
        need(same, "input and output must share dtype and parameters")


def _same_quant(a: Quant | None, b: Quant | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(
        a.block_shape == b.block_shape
        and a.plain
        and b.plain
        and np.array_equal(a.scale, b.scale)
        and np.array_equal(a.zero_point, b.zero_point)
    )
