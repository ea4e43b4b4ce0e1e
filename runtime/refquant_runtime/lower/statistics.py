"""ReduceMean and ReduceSum, and Softmax of codes by a table."""

import math

import numpy as np

from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels import statistics
from refquant_runtime.lower.context import (
    FIRST,
    LAST,
    Lowering,
    Params,
    clamp_of,
    f32_bits,
    quant_of,
    strides_of,
)
from refquant_runtime.lower.fixedpoint import quantize_multiplier
from refquant_runtime.plan import Buffer

__all__ = ["lined_up", "lower_mean", "lower_softmax_codes"]

_RULES = {"float_table": 0, "fixed_point_table": 1, "float_table_quotient": 2}


def lower_softmax_codes(ctx: Lowering, node: Node) -> None:
    """Lower a Softmax of codes that has a table."""
    x, y, table = (ctx.value(name) for name in (*node.inputs[:1], *node.outputs, node.inputs[1]))
    assert table.data is not None, "check_operands: a constant"
    axis = node.attributes.get("axis", -1) % len(x.shape)
    source, target = ctx.read(x.name, FIRST), ctx.write(y.name, FIRST)
    low, high = clamp_of(node, y)
    params: Params = {
        "x": source, "y": target, "outer": math.prod(x.shape[:axis]), "n": x.shape[axis],
        "inner": math.prod(x.shape[axis + 1 :]), "table": ctx.constants.add(table.data),
        "rule": _RULES[ctx.arithmetic(node).softmax], "flip": 128 if x.dtype == "int8" else 0,
        "y_scale": f32_bits(np.float32(quant_of(y).scale)), "y_zero": int(quant_of(y).zero_point),
        "low": low, "high": high,
    }  # fmt: skip
    ctx.emit(statistics.softmax_codes, statistics.SOFTMAX_CODES, params=params, reads=[source],
             writes=[target])  # fmt: skip


def lined_up(
    ctx: Lowering, x: Value, source: Buffer, axes: list[int]
) -> tuple[Buffer, int, int, int]:
    """Return a buffer whose elements along ``axes`` are the middle of (outer, n, inner)."""
    n = math.prod(x.shape[axis] for axis in axes)
    if axes == list(range(axes[0], axes[-1] + 1)):
        outer, inner = math.prod(x.shape[: axes[0]]), math.prod(x.shape[axes[-1] + 1 :])
        return source, outer, n, inner
    order = [axis for axis in range(len(x.shape)) if axis not in axes] + axes
    turned = Buffer(source.nbytes, f"{x.name} (axes {axes} last)")
    steps = strides_of(x.shape)
    dims = tuple(x.shape[axis] for axis in order)
    ctx.copy(source, turned, ctx.itemsize(x), dims, tuple(steps[axis] for axis in order),
             strides_of(dims))  # fmt: skip
    return turned, math.prod(x.shape) // max(n, 1), n, 1


def lower_mean(ctx: Lowering, node: Node) -> None:
    """Lower ReduceMean, ReduceSum; along all of an image, channels last."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    rank = len(x.shape)
    axes = sorted(axis % rank for axis in node.attributes["axes"])
    plane = rank > 2 and axes == list(range(2, rank))
    source = ctx.read(x.name, LAST if plane else FIRST)
    target = ctx.write(y.name, FIRST)  # a plane of one pixel lies in both orders alike
    if plane:
        outer, n, inner = x.shape[0], math.prod(x.shape[2:]), x.shape[1]
    else:
        source, outer, n, inner = lined_up(ctx, x, source, axes)
    if y.quant is None:  # an empty sum has no elements to count its lines by
        outer, inner = (outer, inner) if n else (math.prod(y.shape), 1)
    params: Params = {"x": source, "y": target, "outer": outer, "n": n, "inner": inner}
    if y.quant is None:
        params["real"] = int(node.op == "ReduceSum")
        ctx.emit(statistics.mean_f32, statistics.MEAN, params=params, reads=[source],
                 writes=[target])  # fmt: skip
        return
    ctx.emit(statistics.mean_i8, statistics.MEAN, params=params | _arithmetic(ctx, node, x, y, n),
             reads=[source], writes=[target], scratch=4 * inner + 64)  # fmt: skip


def _arithmetic(ctx: Lowering, node: Node, x: Value, y: Value, n: int) -> Params:
    xq, yq = quant_of(x), quant_of(y)
    sx, sy, zx, zy = xq.scale, yq.scale, int(xq.zero_point), int(yq.zero_point)
    low, high = clamp_of(node, y)
    params: Params = {
        "signed": int(x.dtype == "int8"), "x_zero": zx, "y_zero": zy, "low": low, "high": high,
    }  # fmt: skip
    if ctx.arithmetic(node).mean == "float_zero_point":
        with np.errstate(over="ignore", under="ignore"):
            step = np.float32(np.float32(sx / sy) * np.float32(np.float32(1) / np.float32(n)))
            less = np.float32(np.float32(np.float32(n) * np.float32(zx)) * step)
        shifted = np.float32(np.float32(zy) - less)
        return params | {"real": 1, "multiplier": f32_bits(step), "shift": f32_bits(shifted)}
    ratio = np.asarray(np.float64(sx) / np.float64(sy))
    m, shift = (int(v) for v in quantize_multiplier(ratio))
    left = min(n.bit_length() - 1, 32, 31 + shift)
    return params | {"real": 0, "multiplier": (m << left) // n, "shift": shift - left}
