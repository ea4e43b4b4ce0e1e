"""The rules of dynamic and raw integer operators: docs/spec/operators.md, section 5.

What x is, is known at run time only, so the proof that an accumulator cannot leave int32 takes the
whole range of its dtype, and of its zero point's, unless the zero point is a constant.
"""

import math

import numpy as np

from refquant.model.graph import DTYPES, Graph, Node, Value
from refquant.model.params import channel_weights, qparams_of
from refquant.ops.accumulate import prove_accumulator
from refquant.ops.dynamic_lstm import row_scales
from refquant.ops.rescale import channel_parameters

__all__ = ["check_dynamic", "check_weight"]

_INT32_MAX = 2**31 - 1


def check_dynamic(graph: Graph, node: Node) -> None:
    """Refuse a node of section 5 whose operands have other dtypes, or that could overflow."""
    if node.op == "DynamicQuantizeLinear":
        _need(graph, node.inputs[0], ("float32",))
        for name, dtype in zip(node.outputs, ("uint8", "float32", "uint8"), strict=True):
            _need(graph, name, (dtype,))
    elif node.op in ("DynamicQuantizeGRU", "DynamicQuantizeLSTM"):
        _check_recurrent(graph, node)
    elif node.op.endswith("ToFloat"):
        _check_to_float(graph, node)
    else:
        _check_raw(graph, node)


def _check_raw(graph: Graph, node: Node) -> None:
    """Check `MatMulInteger` and `ConvInteger`: x, w, zero point of x, of w."""
    x_name, w_name, x_zero, w_zero = (*node.inputs, "", "")[:4]
    x = _need(graph, x_name, ("uint8", "int8"))
    w = _need(graph, w_name, ("uint8", "int8"))
    axis = 0 if node.op == "ConvInteger" else -1
    if x_zero:
        _need(graph, x_zero, (x.dtype,), shapes=[(), (1,)])
    if w_zero:
        _need(graph, w_zero, (w.dtype,), shapes=[(), (1,), (w.shape[axis],)])
    _need(graph, node.outputs[0], ("int32",))
    _prove_raw(graph, node, x, x_zero, w_name, w_zero, axis)


def _prove_raw(
    graph: Graph, node: Node, x: Value, x_zero: str, w_name: str, w_zero: str, axis: int
) -> None:
    reach: int | None = None  # of x's zero point: unknown
    if not x_zero:
        reach = 0
    elif x_zero in graph.constants:
        reach = int(graph.constants[x_zero].reshape(-1)[0])
    if w_name in graph.constants and (not w_zero or w_zero in graph.constants):
        zero = graph.constants[w_zero] if w_zero else np.zeros((), np.int32)
        codes = graph.constants[w_name]
        # A stack of matrices is as many proofs; one convolution is one.
        stack = [codes] if axis == 0 else codes.reshape(-1, *codes.shape[-2:])
        for part in stack:
            prove_accumulator(
                part, zero, x.dtype, reach, None, channel_axis=axis % part.ndim, name=node.name
            )
        return
    shape = graph.values[w_name].shape  # every code and every zero point is possible
    terms = shape[-2] if axis else math.prod(int(d) for d in shape[1:])
    if int(terms) * 255 * 255 > _INT32_MAX:
        raise ValueError(
            f"the int32 accumulator of {terms} products of 8-bit codes can overflow: "
            f"at most {_INT32_MAX // 255**2} are allowed; make the weight a constant"
        )


def _check_to_float(graph: Graph, node: Node) -> None:
    """Check `MatMulIntegerToFloat` and convolutions like it: x, w, scale, zero point, bias."""
    x_name, _, x_scale, x_zero, bias = (*node.inputs, "")[:5]
    _need(graph, x_name, ("uint8",))
    _need(graph, x_scale, ("float32",), shapes=[(), (1,)])
    _need(graph, x_zero, ("uint8",), shapes=[(), (1,)])
    if bias:
        _need(graph, bias, ("float32",))
    _need(graph, node.outputs[0], ("float32",))
    check_weight(graph, node, bits=16)


def check_weight(graph: Graph, node: Node, *, bits: int) -> None:
    """Refuse a weight, the second operand, that is no constant of symmetric codes, or too large.

    A code has at most ``bits`` bits; the accumulator of uint8 inputs must stay within int32.
    """
    w_name = node.inputs[1]
    w = graph.values[w_name]
    if w.quant is None or w_name not in graph.constants or DTYPES[w.dtype].bits > bits:
        raise ValueError(f"the weight {w_name!r} is a constant of codes with quant, got {w.dtype}")
    codes = graph.constants[w_name]
    if node.op.startswith("MatMul") and codes.ndim != 2:
        raise ValueError(f"the weight {w_name!r} is (K, N), got {list(codes.shape)}")
    axis = 0 if node.op.startswith("Conv") else 1
    codes, qparams = channel_weights(graph, node, w_name)
    _, zero_point = channel_parameters(node.op, qparams, codes.shape, axis=axis)
    if zero_point.any():
        raise ValueError(f"the zero point of the weight {w_name!r} is 0; quantize it symmetrically")
    prove_accumulator(codes, 0, "uint8", None, None, channel_axis=axis, name=node.name)


def _check_recurrent(graph: Graph, node: Node) -> None:
    """Check a recurrent layer: weights of int8 codes, all else float32; each row's sum."""
    for name in (node.inputs[0], *node.inputs[3:], *node.outputs):
        if name:
            _need(graph, name, ("float32",))
    for name in node.inputs[1:3]:
        w = graph.values[name]
        if w.quant is None or name not in graph.constants or w.dtype != "int8":
            raise ValueError(f"the weight {name!r} is a constant of int8 codes, got {w.dtype}")
        codes = graph.constants[name]
        row_scales(codes, qparams_of(graph, name))
        for part in codes:
            prove_accumulator(part, 0, "uint8", None, None, channel_axis=0, name=node.name)


def _need(
    graph: Graph,
    name: str,
    dtypes: tuple[str, ...],
    *,
    shapes: list[tuple[int | str, ...]] | None = None,
) -> Value:
    """Return the value ``name`` if it is plain and of one of these dtypes and shapes."""
    value = graph.values[name]
    if value.dtype not in dtypes or value.quant is not None:
        raise ValueError(
            f"{name!r} is {' or '.join(dtypes)} without quant, got {value.dtype} "
            f"{'with' if value.quant else 'without'} quant"
        )
    if shapes is not None and value.shape not in shapes:
        raise ValueError(
            f"{name!r} has shape {' or '.join(str(list(s)) for s in shapes)}, "
            f"got {list(value.shape)}"
        )
    return value
