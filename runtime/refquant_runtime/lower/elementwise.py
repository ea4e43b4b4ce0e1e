"""Tables, float functions, Softmax, and conversions between reals and codes."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from refquant_runtime.graph import DTYPE_RANGE, Node, Value
from refquant_runtime.kernels import convert, curves, elementary, elementwise, reduce
from refquant_runtime.lower.context import (
    FIRST,
    Lowering,
    Params,
    clamp_of,
    f32_bits,
    nan_code,
    quant_of,
)
from refquant_runtime.plan import Buffer
from refquant_runtime.weights import unpack

__all__ = [
    "lower_dequantize",
    "lower_dynamic_quantize",
    "lower_quantize",
    "lower_softmax",
    "lower_unary",
]

# Attributes of the float functions, in the order of the kernel's a and b, with ONNX's defaults.
_ATTRIBUTES: dict[str, tuple[tuple[str, float], ...]] = {
    "Elu": (("alpha", 1.0),),
    "LeakyRelu": (("alpha", 0.01),),
    "HardSigmoid": (("alpha", 0.2), ("beta", 0.5)),
    "Clip": (("min", -np.inf), ("max", np.inf)),
    "HardSwish": (("", 1 / 6), ("", 0.5)),
}


def _pointwise(
    ctx: Lowering, node: Node, kernel: Callable[..., None], fields: Sequence[str], own: Params
) -> None:
    """Emit a kernel that maps element to element, in whatever layout the input has."""
    name = node.inputs[0]
    layout = ctx.layout_of(name)
    source, target = ctx.read(name, layout), ctx.write(node.outputs[0], layout)
    params: Params = {"x": source, "y": target, "n": math.prod(ctx.value(name).shape), **own}
    ctx.emit(kernel, fields, params=params, reads=[source], writes=[target])


def lower_unary(ctx: Lowering, node: Node) -> None:
    """Lower a function of one tensor: a table for codes, the function itself for floats."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    if x.quant is None:
        pairs = _ATTRIBUTES.get(node.op, ())
        numbers = [f32_bits(node.attributes.get(key, default)) for key, default in pairs]
        name = "GeluTanh" if node.attributes.get("approximate") == "tanh" else node.op
        own: Params = {"function": elementary.FUNCTIONS[name]}
        own |= dict(zip(("a", "b"), numbers, strict=False))
        kernel = curves.CURVES.get(name, elementwise.unary_f32)
        _pointwise(ctx, node, kernel, elementwise.UNARY, own)
        return
    if len(node.inputs) > 1 and node.inputs[1]:
        table = unpack(ctx.value(node.inputs[1]))
    else:
        low, high = clamp_of(node, y)
        lowest, highest = DTYPE_RANGE[x.dtype]
        codes = np.arange(lowest, highest + 1)
        table = np.maximum(codes, x.quant.zero_point) if node.op == "Relu" else codes
        table = np.clip(table, low, high)
    if x.dtype == "int8":  # from "code - qmin" to the code's own byte
        table = np.roll(table, 128)
    own = {"table": ctx.constants.add(table.astype(np.int16).astype(np.uint8))}
    _pointwise(ctx, node, elementwise.table_i8, elementwise.TABLE, own)


def _quantize_params(ctx: Lowering, node: Node, y: Value) -> Params:
    arithmetic, quant = ctx.arithmetic(node), quant_of(y)
    low, high = DTYPE_RANGE[y.dtype]
    return {
        "scale": f32_bits(float(quant.scale)), "zero": int(quant.zero_point), "low": low,
        "high": high, "rule": arithmetic.rule, "nan": nan_code(arithmetic.nan, low, high),
    }  # fmt: skip


def _dequantize_params(x: Value) -> Params:
    quant = quant_of(x)
    kind = {"uint8": 0, "int8": 1, "int32": 2}[x.dtype]
    return {"scale": f32_bits(float(quant.scale)), "zero": int(quant.zero_point), "kind": kind}


def lower_quantize(ctx: Lowering, node: Node) -> None:
    """Lower QuantizeLinear."""
    own = _quantize_params(ctx, node, ctx.value(node.outputs[0]))
    _pointwise(ctx, node, convert.quantize, convert.QUANTIZE, own)


def lower_dequantize(ctx: Lowering, node: Node) -> None:
    """Lower DequantizeLinear."""
    own = _dequantize_params(ctx.value(node.inputs[0]))
    _pointwise(ctx, node, convert.dequantize, convert.DEQUANTIZE, own)


def lower_dynamic_quantize(ctx: Lowering, node: Node) -> None:
    """Lower DynamicQuantizeLinear: codes, and two scalars that later steps read."""
    name = node.inputs[0]
    layout = ctx.layout_of(name)
    source, target = ctx.read(name, layout), ctx.write(node.outputs[0], layout)
    scale, zero = ctx.write(node.outputs[1], FIRST), ctx.write(node.outputs[2], FIRST)
    arithmetic = ctx.arithmetic(node)
    params: Params = {
        "x": source, "y": target, "n": math.prod(ctx.value(name).shape), "scale": scale,
        "zero": zero, "rule": arithmetic.rule,
        "nan": 255 if arithmetic.nan == "qmax" else 0,
    }  # fmt: skip
    ctx.emit(convert.dynamic_quantize, convert.DYNAMIC, params=params, reads=[source],
             writes=[target, scale, zero])  # fmt: skip


def lower_softmax(ctx: Lowering, node: Node) -> None:
    """Lower Softmax; of codes: to floats, Softmax, and back."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    source = ctx.read(x.name, FIRST)
    axis = node.attributes.get("axis", -1) % len(x.shape)
    n = math.prod(x.shape)
    if x.quant is not None:
        real = Buffer(4 * n, "softmax input")
        ctx.emit(convert.dequantize, convert.DEQUANTIZE, reads=[source], writes=[real],
                 params={"x": source, "y": real, "n": n, **_dequantize_params(x)})  # fmt: skip
        source = real
    target = ctx.write(y.name, FIRST)
    result = target if y.quant is None else Buffer(4 * n, "softmax output")
    params: Params = {
        "x": source, "y": result, "outer": math.prod(x.shape[:axis]), "n": x.shape[axis],
        "inner": math.prod(x.shape[axis + 1 :]),
    }  # fmt: skip
    ctx.emit(reduce.softmax_f32, reduce.SOFTMAX, params=params, reads=[source], writes=[result])
    if y.quant is not None:
        back: Params = {"x": result, "y": target, "n": n, **_quantize_params(ctx, node, y)}
        ctx.emit(convert.quantize, convert.QUANTIZE, params=back, reads=[result], writes=[target])
