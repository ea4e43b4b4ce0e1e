"""Sums of codes that are no products: the rules of `Softmax` and `ReduceMean`.

docs/spec/operators.md, section 4: dtypes and parameters, the tables of `Softmax`, and that no int32
sum can overflow, before anything is computed.
"""

import math

import numpy as np

from refquant.model.graph import DTYPES, Graph, Node, Quant, Value
from refquant.model.params import qparams_of
from refquant.ops.mean import folded_multiplier
from refquant.ops.softmax import TABLES

__all__ = ["check_mean", "check_softmax", "codes_of"]

_INT32_MAX = 2**31 - 1
_MOST = 4095  # sums of exponentials have 12 integer bits: 4095 ones, and their rounding, fit
_MOST_INT16 = 2**16 - 1  # of 15 bits each, in 31


def codes_of(graph: Graph, name: str, *, most_bits: int = 16) -> Value:
    """Return the value ``name`` if it is of codes, one scale for all."""
    value = graph.values[name]
    if value.quant is None or DTYPES[value.dtype].bits > most_bits:
        raise ValueError(
            f"{name!r} has quant and at most {most_bits} bits, as the other operands have, "
            f"got {value.dtype} {'with' if value.quant else 'without'} quant"
        )
    if value.quant.block_shape is not None:
        raise ValueError(f"{name!r} is quantized per tensor, got blocks {value.quant.block_shape}")
    return value


def check_softmax(graph: Graph, node: Node) -> None:
    """Refuse a `Softmax` of codes that its contract does not define, or a table that is none."""
    x = codes_of(graph, node.inputs[0])
    contract = graph.contracts[node.contract or ""]
    table = (*node.inputs, "")[1]
    if contract.softmax == "unspecified" or bool(table) != (contract.softmax in TABLES):
        raise ValueError(
            f"contract {contract.name!r} leaves a quantized Softmax {contract.softmax}, and it has "
            f"{'a' if table else 'no'} table; dequantize before it"
        )
    if table:
        if contract.softmax == "fixed_point_table" and x.dtype == "int16":
            _check_int16(graph, node, x, table)
            return
        codes_of(graph, node.inputs[0], most_bits=8)
        y = codes_of(graph, node.outputs[0], most_bits=8)
        _check_table(graph, table, contract.softmax)
        if contract.softmax == "fixed_point_table":
            _check_fixed_point(node, x, y)


def _check_table(graph: Graph, name: str, kind: str) -> None:
    value, table = graph.values[name], graph.constants.get(name)
    dtype, one = ("int32", _INT32_MAX) if kind == "fixed_point_table" else ("float32", 1.0)
    if kind == "float_table_quotient" and table is not None and table.size and table[0] < np.inf:
        one = max(float(table[0]), 1.0)  # any, as long as no sum is 0
    described = (value.dtype, value.shape, value.quant) == (dtype, (256,), None)
    if table is None or not described or table[0] != one or not _in_order(table):
        raise ValueError(
            f"the table {name!r} is a constant of 256 {dtype}, the first {one}, none of the others "
            f"larger than the one before or below 0; got {value.dtype} {list(value.shape)}"
        )


def _check_int16(graph: Graph, node: Node, x: Value, name: str) -> None:
    """Refuse what `refquant.ops.softmax_int16` does not define."""
    y, value, table = graph.values[node.outputs[0]], graph.values[name], graph.constants.get(name)
    if (y.dtype, y.quant) != ("int16", Quant(2.0**-15, 0)):
        raise ValueError(
            f"softmax fixed_point_table of int16 gives int16 with scale 2^-15 and zero point 0, "
            f"got {y.dtype} with {y.quant}"
        )
    described = (value.dtype, value.shape, value.quant) == ("int16", (1 << 16,), None)
    if table is None or not described or table.min() < 0 or table[0] < 1 << 14:
        raise ValueError(
            f"the table {name!r} is a constant of 65536 int16, none below 0, the first at least "
            f"16384; got {value.dtype} {list(value.shape)}"
        )
    _need_short(node, x, _MOST_INT16, "of int16 ")


def _in_order(table: np.ndarray) -> bool:
    return bool((table[1:] <= table[:-1]).all() and table[-1] >= 0)  # false for NaN


def _check_fixed_point(node: Node, x: Value, y: Value) -> None:
    assert y.quant is not None, "codes_of: it has quant"
    if (y.quant.scale, y.quant.zero_point) != (2.0**-8, DTYPES[y.dtype].qmin):
        raise ValueError(
            f"softmax fixed_point_table has the output scale 1/256 and zero point "
            f"{DTYPES[y.dtype].qmin}, got {y.quant.scale} and {y.quant.zero_point}"
        )
    _need_short(node, x, _MOST, "")


def _need_short(node: Node, x: Value, most: int, kind: str) -> None:
    """Refuse a `Softmax` along an axis whose exponentials, in fixed point, int32 cannot sum."""
    axis = node.attributes.get("axis", -1)
    assert isinstance(axis, int), "check_signature: an integer"
    length = x.shape[axis]
    if isinstance(length, str) or length > most:
        raise ValueError(
            f"softmax fixed_point_table {kind}sums at most {most} elements, got {length}; use "
            "another contract"
        )


def check_mean(graph: Graph, node: Node) -> None:
    """Refuse a `ReduceMean` of codes whose sums can leave int32."""
    x = codes_of(graph, node.inputs[0])
    axes = node.attributes["axes"]
    assert isinstance(axes, tuple), "check_signature: a list of integers"
    lengths = [x.shape[axis] for axis in axes]
    if "T" in lengths:
        raise ValueError("a sum along T has any length, so int32 may overflow; leave it float32")
    n = math.prod(int(d) for d in lengths)
    dtype = DTYPES[x.dtype]
    x_qparams, y_qparams = (qparams_of(graph, name) for name in (node.inputs[0], node.outputs[0]))
    sx, sy = np.float32(x_qparams.scale), np.float32(y_qparams.scale)
    with np.errstate(over="ignore"):
        ratio = sx / sy
    if not (np.isfinite(ratio) and ratio > 0):
        raise ValueError(
            f"the multiplier sx / sy is finite and positive, got {ratio}; use positive scales, and "
            "a larger one for the output"
        )
    zero_point = int(x_qparams.zero_point)
    bound = n * max(dtype.qmax - zero_point, zero_point - dtype.qmin, dtype.qmax, -dtype.qmin)
    if graph.contracts[node.contract or ""].mean == "folded_multiplier":
        bound <<= max(folded_multiplier(sx, sy, n)[1], 0)
    if bound > _INT32_MAX:
        raise ValueError(f"the int32 sum can reach {bound} > {_INT32_MAX}; use fewer elements")
