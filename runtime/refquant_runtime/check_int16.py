"""Operators of 16-bit codes: dtypes, parameters, and the proof that no accumulator can overflow.

Follows ``docs/spec/operators.md`` sections 3 and 4. A broken rule raises ``ValueError``, what is
valid but not implemented here :class:`BeyondError`; :mod:`refquant_runtime.check` adds the file and
the node.
"""

import math

import numpy as np

from refquant_runtime.check_statistics import check_mean
from refquant_runtime.contracts import Arithmetic
from refquant_runtime.graph import DTYPE_RANGE, Node, Quant, Value
from refquant_runtime.rules import can, need
from refquant_runtime.transposed import channel_weights
from refquant_runtime.weights import EIGHT, integer_weights

__all__ = ["LIMITS", "PRODUCTS", "check_int16"]

LIMITS = {"tflite_int64": 2**47 - 1, "float64_half_away": 2**47 - 1}  # others: int32
PRODUCTS = (*LIMITS, "gemmlowp_double", "gemmlowp_double_f32", "neon_double")
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def check_int16(node: Node, present: list[Value], y: Value, arithmetic: Arithmetic) -> None:
    """Check one node of 16-bit codes."""
    op, x = node.op, present[0]
    if op == "QuantizeLinear":
        need(x.dtype == "float32", f"the input must be float32, got {x.dtype}")
        _codes(y)
        need(arithmetic.rule >= 0, "its contract quantizes rows only")
        return
    _codes(x)
    if op == "DequantizeLinear":
        need(y.dtype == "float32", f"the output must be float32, got {y.dtype}")
        return
    _codes(y)
    need(arithmetic.rule >= 0, f"contract {arithmetic.name!r} gives reals, not codes")
    table = len(present) == 2 and op not in (*_LAYERS, "Add", "Mul", "Softmax")
    can(table or x.dtype == y.dtype == "int16", f"{op} from {x.dtype} to {y.dtype}")
    if op in _LAYERS:
        _product(node, present, arithmetic)
    elif op in ("Add", "Mul"):
        _binary(node, present, y, arithmetic)
    elif op == "ReduceMean":
        can(arithmetic.mean == "folded_multiplier", f"a mean {arithmetic.mean} of int16")
        check_mean(node, x, y, arithmetic)
    elif op == "Softmax":
        _softmax(node, present, y, arithmetic)
    elif op in ("AveragePool", "GlobalAveragePool"):
        can(arithmetic.average_pool == "half_away", f"a pool {arithmetic.average_pool} of int16")
        count = math.prod(node.attributes.get("kernel_shape", x.shape[2:]))
        need(count * _reach(x) < 2**31, f"an int32 sum may reach {count * _reach(x)}")
        need(_same(x, y), "input and output must share dtype and parameters")
    elif table:
        _table(x, present[1], y)
    else:
        need(op in ("Relu", "Clip"), "needs a table of all codes as its second input")
        need(_same(x, y), "must share parameters")
        need(not node.attributes.keys() & {"min", "max"}, "clamps codes by clamp_min, clamp_max")


def _codes(value: Value) -> Quant:
    quant = value.quant
    if quant is None or value.dtype == "int32":
        raise ValueError(f"{value.name!r} must be codes with quant, got {value.dtype}")
    need(quant.block_shape is None, f"{value.name!r} must have one scale, got blocks")
    need(quant.plain, f"{value.name!r} has a table: it goes with a weight beside floats only")
    can(value.dtype in (*EIGHT, "int16"), f"{value.name!r} of {value.dtype}")
    return quant


def _reach(value: Value) -> int:
    low, high = DTYPE_RANGE[value.dtype]
    zero = int(_codes(value).zero_point)
    return max(high - zero, zero - low)


def _same(x: Value, y: Value) -> bool:
    a, b = _codes(x), _codes(y)
    same = np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)
    return x.dtype == y.dtype and bool(same)


def _product(node: Node, present: list[Value], arithmetic: Arithmetic) -> None:
    x, w = present[0], present[1]
    need(w.quant is not None and w.dtype != "int32", "weights are codes with quant")
    can(w.data is not None, "computed weights of int16 activations")
    need(w.quant is not None and w.quant.plain, "weights are integers on a ruler")
    need(node.op.startswith("Conv") or len(w.shape) == 2, f"weights are (K, N), got {w.shape}")
    can(w.dtype not in ("int16", "uint16"), f"weights of {w.dtype}")
    bias = present[2] if len(present) == 3 else None
    limit = LIMITS.get(arithmetic.requantize, 2**31 - 1)
    if bias is not None:
        _need_bias(bias, limit)
    can(arithmetic.requantize in PRODUCTS, f"int16 with requantize {arithmetic.requantize}")
    matrix, _ = integer_weights(node, channel_weights(node, w))
    bound = np.abs(matrix.astype(np.int64)).sum(axis=0) * _reach(x)
    if bias is not None and bias.data is not None:
        bound = bound + np.abs(bias.data.astype(np.int64))
    if bound.size and int(bound.max()) > limit:
        channel = int(bound.argmax())
        raise ValueError(
            f"the accumulator of output channel {channel} may reach {int(bound[channel])}, beyond "
            f"{limit}; use smaller weights, a smaller bias, or split the layer"
        )


def _need_bias(bias: Value, limit: int) -> None:
    """Check a bias: int32, or int64 where sums have 48 bits; its own magnitude before any sum."""
    wide = bias.dtype == "int64" and limit > 2**31
    described = bias.data is not None and bias.quant is not None
    need(described and (wide or bias.dtype == "int32"), "bias is an int32 constant with quant")
    codes = np.asarray(bias.data)
    far = max(int(codes.max(initial=0)), -int(codes.min(initial=0)))
    need(not wide or far <= limit, f"bias reaches {far}, beyond {limit}; clip it")


def _binary(node: Node, present: list[Value], y: Value, arithmetic: Arithmetic) -> None:
    for value in present:
        _codes(value)
        can(value.dtype == "int16", f"int16 beside {value.dtype}")
    if node.op == "Add":
        can(arithmetic.add == "tflite_shift20", f"an addition {arithmetic.add} of int16")
        return
    can(arithmetic.requantize in PRODUCTS, f"int16 with requantize {arithmetic.requantize}")
    bound = _reach(present[0]) * _reach(present[1])
    need(bound < 2**31, f"the product of two codes may reach {bound}")


def _softmax(node: Node, present: list[Value], y: Value, arithmetic: Arithmetic) -> None:
    can(arithmetic.softmax == "fixed_point_table", f"a softmax {arithmetic.softmax} of int16")
    need(len(present) == 2, "softmax fixed_point_table has a table")
    x, table = present
    plain = table.data is not None and table.quant is None and table.dtype == "int16"
    need(plain and table.shape == (65536,), "its table is a plain constant of 65536 int16")
    data = np.asarray(table.data)
    need(int(data.min()) >= 0 and int(data[0]) >= 1 << 14, "its table is from 0 on, first 16384")
    quant = _codes(y)
    fits = (float(quant.scale), int(quant.zero_point)) == (2.0**-15, 0)
    need(fits, "fixed_point_table of int16 gives scale 2^-15 and zero point 0")
    length = x.shape[node.attributes.get("axis", -1)]
    need(length < 65536, f"fixed_point_table of int16 sums 65535 elements, got {length}")


def _table(x: Value, table: Value, y: Value) -> None:
    low, high = DTYPE_RANGE[x.dtype]
    need(table.data is not None, "its table is a constant")
    need(table.dtype == y.dtype, "its table has the output's dtype")
    need(table.shape == (high - low + 1,), f"its table has an entry for each code of {x.dtype}")
    same = table.quant is None or _same(table, y)
    need(same, "its table is the output's")
