"""Operators of 16-bit codes: the kernels are plain loops, the numbers are those of 8 bits."""

import math

import numpy as np

from refquant_runtime.graph import DTYPE_RANGE, Node, Value
from refquant_runtime.kernels import int16, int16_products
from refquant_runtime.lower.binary import broadcast
from refquant_runtime.lower.context import (
    FIRST,
    LAST,
    Lowering,
    Params,
    clamp_of,
    f32_bits,
    nan_code,
    quant_of,
)
from refquant_runtime.lower.fixedpoint import (
    fixed_multiplier,
    need_int32_when_shifted,
    quantize_multiplier,
    real_multiplier,
)
from refquant_runtime.lower.int16_products import lower_product, need_int32, reach
from refquant_runtime.lower.statistics import lined_up
from refquant_runtime.lower.windows import window_fields
from refquant_runtime.shapes import window
from refquant_runtime.weights import unpack

__all__ = ["lower_int16"]


def lower_int16(ctx: Lowering, node: Node) -> None:
    """Lower one node that takes or gives codes of 16 bits."""
    op = node.op
    if op in ("Conv", "Gemm", "MatMul"):
        lower_product(ctx, node)
    elif op in ("Add", "Mul"):
        _binary(ctx, node)
    elif op.endswith("Pool"):
        _pool(ctx, node)
    elif op == "ReduceMean":
        _mean(ctx, node)
    elif op == "Softmax":
        _softmax(ctx, node)
    elif op in ("QuantizeLinear", "DequantizeLinear"):
        _convert(ctx, node)
    else:
        _table(ctx, node)


def _binary(ctx: Lowering, node: Node) -> None:
    a, b, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    params, reads, target = broadcast(ctx, node)
    low, high = clamp_of(node, y)
    params |= {
        "a_zero": int(quant_of(a).zero_point), "b_zero": int(quant_of(b).zero_point),
        "y_zero": int(quant_of(y).zero_point), "low": low, "high": high,
        **_sum_or_product(ctx, node, a, b, y),
    }  # fmt: skip
    ctx.emit(int16.binary_i16, int16.BINARY, params=params,
             reads=reads, writes=[target])  # fmt: skip


def _sum_or_product(ctx: Lowering, node: Node, a: Value, b: Value, y: Value) -> Params:
    sa, sb, sy = (np.float64(quant_of(v).scale) for v in (a, b, y))
    if node.op == "Add":
        twice = 2 * max(sa, sb)
        m, s = quantize_multiplier(np.array([sa / twice, sb / twice, twice / (2.0**15 * sy)]))
        bound = np.array(2**14 * (reach(a) + reach(b)))
        need_int32_when_shifted(ctx, node, bound, s[2])
        numbers: Params = {f"m{i + 1}": int(m[i]) for i in range(3)}
        return numbers | {f"s{i + 1}": int(s[i]) for i in range(3)} | {"mode": int16.SUM}
    mode, bound = ctx.arithmetic(node).requantize, np.array([reach(a) * reach(b)])
    scales = quant_of(a).scale, quant_of(b).scale, quant_of(y).scale
    real = real_multiplier(ctx, node, mode, *scales).reshape(1)
    m, s = quantize_multiplier(real)
    if mode == "tflite_int64":
        need_int32(ctx, node, bound, m, s)
    else:
        fixed_multiplier(ctx, node, mode, real, bound)
    return {
        "m1": int(m[0]), "s1": int(s[0]), "mode": int16_products.MODES[mode],
        "y_scale": int(real.astype(np.float64).view(np.int64)[0]),
    }  # fmt: skip


def _pool(ctx: Lowering, node: Node) -> None:
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    whole = node.op.startswith("Global")
    kernel = list(x.shape[2:]) if whole else node.attributes["kernel_shape"]
    shape = window(x.shape, kernel, {} if whole else node.attributes)
    source, target = ctx.read(x.name, LAST), ctx.write(y.name, LAST)
    low, high = clamp_of(node, y)
    params: Params = {
        **window_fields(shape, x, 1), "x": source, "y": target, "n": x.shape[1],
        "count_pad": node.attributes.get("count_include_pad", 0),
        "half_away": int("Average" in node.op), "x_zero": int(quant_of(x).zero_point),
        "low": low, "high": high,
    }  # fmt: skip
    ctx.emit(int16.pool_i16, int16.POOL, params=params, reads=[source], writes=[target],
             scratch=4 * math.prod(shape.kernel) + 2 * x.shape[1] + 64)  # fmt: skip


def _mean(ctx: Lowering, node: Node) -> None:
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    axes = sorted(axis % len(x.shape) for axis in node.attributes["axes"])
    source, outer, n, inner = lined_up(ctx, x, ctx.read(x.name, FIRST), axes)
    target = ctx.write(y.name, FIRST)
    ratio = np.float64(quant_of(x).scale) / np.float64(quant_of(y).scale)
    m, shift = (int(v) for v in quantize_multiplier(np.asarray(ratio)))
    left = min(n.bit_length() - 1, 32, 31 + shift)
    low, high = clamp_of(node, y)
    params: Params = {
        "x": source, "y": target, "outer": outer, "n": n, "inner": inner,
        "multiplier": (m << left) // n, "shift": shift - left,
        "x_zero": int(quant_of(x).zero_point), "y_zero": int(quant_of(y).zero_point),
        "low": low, "high": high,
    }  # fmt: skip
    ctx.emit(int16.mean_i16, int16.MEAN, params=params, reads=[source], writes=[target])


def _softmax(ctx: Lowering, node: Node) -> None:
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    axis = node.attributes.get("axis", -1) % len(x.shape)
    source, target = ctx.read(x.name, FIRST), ctx.write(y.name, FIRST)
    params: Params = {
        "x": source, "y": target, "outer": math.prod(x.shape[:axis]), "n": x.shape[axis],
        "inner": math.prod(x.shape[axis + 1 :]), "table": ctx.table(node.inputs[1]),
        "points": ctx.constants.add(np.array(_reciprocals(), np.int16)),
    }  # fmt: skip
    ctx.emit(int16.softmax_i16, int16.SOFTMAX, params=params, reads=[source], writes=[target])


def _reciprocals() -> list[int]:
    """Return 2^15 / (1 + i/512) at 513 points, each less half the error of its chord: exactly."""

    def rounded(numerator: int, denominator: int) -> int:  # half away from zero
        size = (2 * abs(numerator) + denominator) // (2 * denominator)
        return size if numerator >= 0 else -size

    points = []
    for i in range(512):
        at, middle, behind = (1024 + 2 * i + k for k in range(3))
        mark = rounded(1 << 25, at)
        chord = rounded((1 << 25) + mark * behind, 2 * behind)
        points.append(min(mark - rounded(chord - rounded(1 << 25, middle), 2), 32767))
    return [*points, 1 << 14]


def _convert(ctx: Lowering, node: Node) -> None:
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    layout = ctx.layout_of(x.name)
    source, target = ctx.read(x.name, layout), ctx.write(y.name, layout)
    quant = quant_of(y if node.op == "QuantizeLinear" else x)
    params: Params = {
        "x": source, "y": target, "n": math.prod(x.shape), "scale": f32_bits(float(quant.scale)),
        "zero": int(quant.zero_point),
    }  # fmt: skip
    if node.op == "DequantizeLinear":
        ctx.emit(int16.dequantize_i16, int16.DEQUANTIZE, params=params, reads=[source],
                 writes=[target])  # fmt: skip
        return
    low, high = DTYPE_RANGE[y.dtype]
    arithmetic = ctx.arithmetic(node)
    own: Params = {"low": low, "high": high, "rule": arithmetic.rule,
                   "nan": nan_code(arithmetic.nan, low, high)}  # fmt: skip
    ctx.emit(int16.quantize_i16, int16.QUANTIZE, params=params | own, reads=[source],
             writes=[target])  # fmt: skip


def _table(ctx: Lowering, node: Node) -> None:
    """A function of one tensor; Relu and Clip of equal parameters have a table made here."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    lowest, highest = DTYPE_RANGE[x.dtype]
    if len(node.inputs) > 1 and node.inputs[1]:
        table = unpack(ctx.value(node.inputs[1]))
    else:
        codes = np.arange(lowest, highest + 1)
        table = np.maximum(codes, quant_of(x).zero_point) if node.op == "Relu" else codes
        table = np.clip(table, *clamp_of(node, y)).astype(np.int16)
    table = np.roll(table, lowest)  # from "code - qmin" to the code's own bits
    layout = ctx.layout_of(x.name)
    source, target = ctx.read(x.name, layout), ctx.write(y.name, layout)
    params: Params = {
        "x": source, "y": target, "table": ctx.constants.add(np.ascontiguousarray(table)),
        "n": math.prod(x.shape), "wide_x": int(x.dtype == "int16"),
        "wide_y": int(y.dtype == "int16"),
    }  # fmt: skip
    ctx.emit(int16.table_i16, int16.TABLE, params=params, reads=[source], writes=[target])
