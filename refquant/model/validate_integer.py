"""The rules of integer operators: docs/spec/operators.md, sections 3 and 4.

Dtypes and parameters of the operands, what the contract's axes ask of them, and the proofs that no
int32 accumulator can overflow, before anything is computed.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.qparams import QParams
from refquant.model.graph import DTYPES, Graph, Node, Value
from refquant.model.operators import UNARY
from refquant.model.params import channel_weights, qparams_of
from refquant.model.validate_codes import check_mean, check_softmax, codes_of
from refquant.model.validate_recurrent import check_static_recurrent
from refquant.ops.accumulate import AccumulatorOverflowError, accumulator_bound, prove_accumulator
from refquant.ops.dynamic_range import ORDERS
from refquant.ops.proofs import prove_add, prove_mul, prove_rescale
from refquant.ops.rescale import (
    accumulator_limit,
    channel_parameters,
    output_multiplier,
    rescale,
)

__all__ = ["INTEGER", "check_integer"]

_INT32_MAX = 2**31 - 1


def check_integer(graph: Graph, node: Node) -> None:
    """Refuse a quantized ``node`` of section 4 that its contract does not define."""
    codes_of(graph, node.outputs[0])
    _check_specified(graph, node)
    _check_clamp(graph, node)
    INTEGER[node.op](graph, node)


def _check_specified(graph: Graph, node: Node) -> None:
    """Refuse an operator that the contract leaves open; `Softmax` and pools: later."""
    contract = graph.contracts[node.contract or ""]
    axis = _AXIS.get(node.op, "")
    value = getattr(contract, axis) if axis else ""
    if value == "unspecified" or (axis == "requantize" and value in ORDERS):
        raise ValueError(
            f"contract {contract.name!r} leaves a quantized {node.op} unspecified (axis {axis}); "
            "dequantize before it"
        )


_AXIS: Mapping[str, str] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "Mul"), "requantize"),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool"), "average_pool"),
    "Add": "add",
    "ReduceMean": "mean",
}


def _check_clamp(graph: Graph, node: Node) -> None:
    dtype = DTYPES[graph.values[node.outputs[0]].dtype]
    low = node.attributes.get("clamp_min", dtype.qmin)
    high = node.attributes.get("clamp_max", dtype.qmax)
    assert isinstance(low, int), "check_signature: an integer"
    assert isinstance(high, int), "check_signature: an integer"
    if not dtype.qmin <= low <= high <= dtype.qmax:
        raise ValueError(
            f"clamp_min <= clamp_max are codes in [{dtype.qmin}, {dtype.qmax}], got {low}, {high}"
        )


def _check_product(graph: Graph, node: Node) -> None:
    """Check `Conv`, `ConvTranspose`, `Gemm`, `MatMul`: x, w and perhaps an int32 bias."""
    x_name, w_name, bias_name = (*node.inputs, "")[:3]
    x = codes_of(graph, x_name)
    w = graph.values[w_name]
    if node.op == "MatMul" and w_name not in graph.constants and not bias_name:
        _check_computed_product(graph, node, x)
        return
    if w.quant is None or w_name not in graph.constants or DTYPES[w.dtype].bits > 16:
        raise ValueError(f"the weight {w_name!r} is a constant of codes with quant, got {w.dtype}")
    if node.op == "MatMul" and len(w.shape) != 2:
        raise ValueError(f"the weight {w_name!r} of a quantized MatMul is (K, N), got {w.shape}")
    if bias_name:
        limit = accumulator_limit(x.dtype, graph.contracts[node.contract or ""])
        _check_bias(graph, bias_name, limit)
    _prove_product(graph, node, x, w_name, bias_name)


def _check_bias(graph: Graph, name: str, limit: int) -> None:
    """Refuse a bias that is no int32 constant, nor an int64 one of a sum of 48 bits."""
    b = graph.values[name]
    wide = limit > _INT32_MAX and b.dtype == "int64"
    if name not in graph.constants or not (wide or b.dtype == "int32") or b.quant is None:
        raise ValueError(
            f"the bias {name!r} is an int32 constant with quant, got {b.dtype} "
            f"{'with' if b.quant else 'without'} quant; int64 is for sums of 48 bits"
        )
    bias = graph.constants[name]
    most = max(-int(bias.min(initial=0)), int(bias.max(initial=0)))
    if wide and most > limit:  # first: the proof is computed in int64
        raise AccumulatorOverflowError(f"the bias {name!r} reaches {most} > {limit}; clip it")


def _check_computed_product(graph: Graph, node: Node, x: Value) -> None:
    """Check a `MatMul` of two computed tensors: all that is known of the codes is their range."""
    w = codes_of(graph, node.inputs[1])
    a, b, y = (qparams_of(graph, name) for name in (*node.inputs, *node.outputs))
    reaches = [
        max(DTYPES[v.dtype].qmax - int(q.zero_point), int(q.zero_point) - DTYPES[v.dtype].qmin)
        for v, q in ((x, a), (w, b))
    ]
    if x.shape[-1] == "T":
        raise ValueError("a sum along T has any length, so int32 may overflow; leave it float32")
    bound = int(x.shape[-1]) * reaches[0] * reaches[1]
    if bound > _INT32_MAX:
        raise ValueError(f"the int32 sum can reach {bound} > {_INT32_MAX}; split the product")
    contract = graph.contracts[node.contract or ""]
    multiplier = output_multiplier(a.scale, b.scale, y.scale, contract=contract)
    _prove_multiplier(node, np.array([bound]), multiplier, y, contract)


def _prove_product(graph: Graph, node: Node, x: Value, w_name: str, bias_name: str) -> None:
    """Prove section 3, and section 4's condition on the left shift of ``gemmlowp_double``."""
    codes, w_qparams = channel_weights(graph, node, w_name)
    rows = node.op != "MatMul" and (node.op != "Gemm" or node.attributes.get("transB", 0) == 1)
    axis = 0 if rows else codes.ndim - 1
    x_qparams = qparams_of(graph, node.inputs[0])
    w_scale, _ = channel_parameters(node.op, w_qparams, codes.shape, axis=axis)
    zeros = w_qparams.zero_point, x.dtype, int(x_qparams.zero_point)
    bias = graph.constants[bias_name] if bias_name else None
    contract = graph.contracts[node.contract or ""]
    limit = accumulator_limit(x.dtype, contract)
    prove_accumulator(codes, *zeros, bias, channel_axis=axis, name=node.name, limit=limit)
    bound = accumulator_bound(codes, *zeros, bias, channel_axis=axis)
    y_qparams = qparams_of(graph, node.outputs[0])
    multiplier = output_multiplier(x_qparams.scale, w_scale, y_qparams.scale, contract=contract)
    _prove_multiplier(node, bound, multiplier, y_qparams, contract)


def _prove_multiplier(
    node: Node, bound: NDArray[np.int64], multiplier: NDArray[Any], y: QParams, contract: Contract
) -> None:
    prove_rescale(bound, multiplier, contract=contract, name=node.name)
    # What is defined for the extreme accumulators is defined for those between them.
    rescale(node.op, np.stack([-bound, bound]), multiplier, y_qparams=y, contract=contract)


def _check_binary(graph: Graph, node: Node) -> None:
    for name in node.inputs:
        codes_of(graph, name)
    a, b, y = (qparams_of(graph, name) for name in (*node.inputs, *node.outputs))
    prove = prove_add if node.op == "Add" else prove_mul
    contract = graph.contracts[node.contract or ""]
    prove(a_qparams=a, b_qparams=b, y_qparams=y, contract=contract, name=node.name)


def _check_average(graph: Graph, node: Node) -> None:
    x = codes_of(graph, node.inputs[0])
    contract = graph.contracts[node.contract or ""]
    window = node.attributes.get("kernel_shape", x.shape[2:])
    assert isinstance(window, tuple), "check_signature: a list of integers"
    dtype, x_qparams = DTYPES[x.dtype], qparams_of(graph, node.inputs[0])
    zero_point = int(x_qparams.zero_point)
    reach = max(dtype.qmax - zero_point, zero_point - dtype.qmin)
    bound = math.prod(int(d) for d in window) * reach
    if bound > _INT32_MAX:
        raise ValueError(f"the int32 sum can reach {bound} > {_INT32_MAX}; use a smaller window")
    if contract.average_pool in ("half_away", "tosa_reciprocal"):
        _need_equal(graph, node, f"average_pool {contract.average_pool}")
    y_scale = np.float32(qparams_of(graph, node.outputs[0]).scale)
    with np.errstate(over="ignore"):
        ratio = np.float32(x_qparams.scale) / y_scale
    if not (np.isfinite(ratio) and ratio >= 0):
        raise ValueError(
            f"the multiplier sx / sy is finite and not negative, got {ratio}; use positive scales, "
            "and a larger one for the output"
        )


def _check_unary(graph: Graph, node: Node) -> None:
    if len(node.inputs) == 2 and node.inputs[1]:
        _check_table(graph, node)
        return
    x = codes_of(graph, node.inputs[0])
    if node.op not in ("Relu", "Clip"):
        raise ValueError("on codes it needs its table of all codes as second input")
    _need_equal(graph, node, f"{node.op} without a table")
    assert x.quant is not None, "codes_of: it has quant"
    if not isinstance(x.quant.scale, str) and x.quant.scale < 0:
        raise ValueError(f"with scale {x.quant.scale} < 0 codes are not in order; use a table")
    if "min" in node.attributes or "max" in node.attributes:
        raise ValueError("on codes its bounds are clamp_min and clamp_max; replace min and max")


def _check_table(graph: Graph, node: Node) -> None:
    x, output = (codes_of(graph, name) for name in (node.inputs[0], node.outputs[0]))
    table = graph.values[node.inputs[1]]
    same = table.dtype == output.dtype and table.quant in (None, output.quant)
    entries = DTYPES[x.dtype].qmax - DTYPES[x.dtype].qmin + 1
    if node.inputs[1] not in graph.constants or not same or table.shape != (entries,):
        raise ValueError(
            f"the table {node.inputs[1]!r} is a constant of the output's dtype {output.dtype} with "
            f"{entries} entries, got {table.dtype} {list(table.shape)}"
        )


def _need_equal(graph: Graph, node: Node, what: str) -> None:
    x, y = graph.values[node.inputs[0]], graph.values[node.outputs[0]]
    if (x.dtype, x.quant) != (y.dtype, y.quant):
        raise ValueError(
            f"{what} needs equal dtype and quant of input and output, "
            f"got {x.dtype} {x.quant} and {y.dtype} {y.quant}"
        )


INTEGER: Mapping[str, Callable[[Graph, Node], None]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), _check_product),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool"), _check_average),
    **dict.fromkeys(UNARY, _check_unary),
    **dict.fromkeys(("Add", "Mul"), _check_binary),
    **dict.fromkeys(("GRU", "LSTM"), check_static_recurrent),
    "ReduceMean": check_mean,
    "Softmax": check_softmax,
}
