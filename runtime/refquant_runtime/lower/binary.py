"""Add, Sub, Mul and Div: broadcasting folded to four dimensions, and each contract's numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels import elementwise
from refquant_runtime.lower.context import (
    FIRST,
    LAST,
    Lowering,
    Params,
    bounds,
    clamp_of,
    f32_bits,
    nan_code,
    permuted,
    quant_of,
    strides_of,
)
from refquant_runtime.lower.fixedpoint import (
    fixed_multiplier,
    float_multiplier,
    need_int32_when_shifted,
    quantize_multiplier,
    real_multiplier,
)
from refquant_runtime.plan import Buffer
from refquant_runtime.weights import reach_of, unpack

__all__ = ["broadcast", "folded", "lower_binary", "operand"]

_FLOAT_MODES = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5}


def operand(ctx: Lowering, value: Value, rank: int, layout: str) -> tuple[Buffer, list[int]]:
    """Return an operand's buffer and its shape, padded to ``rank``, in memory order."""
    shape = (1,) * (rank - len(value.shape)) + value.shape
    if value.data is not None:
        data: NDArray[Any] = unpack(value).reshape(shape)
        if layout == LAST and rank > 2:
            data = np.moveaxis(data, 1, -1)
        return ctx.resident(data, value.name, dtype=value.dtype), list(permuted(shape, layout))
    return ctx.read(value.name, layout), list(permuted(shape, layout))


def folded(
    out: Sequence[int], shapes: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Merge neighbouring dimensions that broadcast alike, down to four."""
    strides = [
        [0 if size == 1 and total != 1 else step
         for size, total, step in zip(shape, out, strides_of(tuple(shape)), strict=True)]
        for shape in shapes
    ]  # fmt: skip
    dims: list[int] = []
    steps: list[list[int]] = [[] for _ in shapes]
    for axis, size in enumerate(out):
        if size == 1:
            continue
        mergeable = bool(dims) and all(
            own[-1] == stride[axis] * size for own, stride in zip(steps, strides, strict=True)
        )
        if mergeable:
            dims[-1] *= size
            for own, stride in zip(steps, strides, strict=True):
                own[-1] = stride[axis]
        else:
            dims.append(size)
            for own, stride in zip(steps, strides, strict=True):
                own.append(stride[axis])
    while len(dims) < 4:
        dims.insert(0, 1)
        for own in steps:
            own.insert(0, 0)
    return dims, steps


def broadcast(ctx: Lowering, node: Node) -> tuple[Params, list[Buffer], Buffer]:
    """Return where the operands and the result of ``node`` lie: parameters, buffers read, written.

    Axes that lie together in both operands are one; more than four that remain are refused.
    """
    a, b, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    rank = len(y.shape)
    computed = [v for v in (a, b) if v.data is None]
    layout = FIRST
    if computed and all(len(v.shape) == rank for v in computed):
        layout = ctx.layout_of(computed[0].name)
    places = [operand(ctx, value, rank, layout) for value in (a, b)]
    target = ctx.write(y.name, layout)
    dims, steps = folded(permuted(y.shape, layout), [shape for _, shape in places])
    if len(dims) > 4:
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: this broadcast needs {len(dims)} dimensions, "
            "at most 4 are executed; reshape its operands to fewer"
        )
    params: Params = {"a": places[0][0], "b": places[1][0], "y": target}
    for axis in range(4):
        params |= {f"d{axis}": dims[axis], f"a{axis}": steps[0][axis], f"b{axis}": steps[1][axis]}
    return params, [buffer for buffer, _ in places], target


def lower_binary(ctx: Lowering, node: Node) -> None:
    """Lower Add, Sub, Mul, Div, Max or Min of floats, Add or Mul of codes."""
    a, b, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    params, reads, target = broadcast(ctx, node)
    integer = y.quant is not None
    params |= _integer_binary(ctx, node, a, b, y) if integer else {
        "mode": _FLOAT_MODES[node.op], **bounds(node)
    }  # fmt: skip
    ctx.emit(
        elementwise.binary_i8 if integer else elementwise.binary_f32, elementwise.BINARY,
        params=params, reads=reads, writes=[target],
    )  # fmt: skip


def _shifts(ctx: Lowering, node: Node, ra: Any, rb: Any) -> Params:
    """Return XNNPACK's multipliers of the ratios of scales, and the shift that they share."""
    ra, rb = np.float32(ra), np.float32(rb)
    shift = 0 if np.isinf(max(ra, rb)) else 20 - (int(np.frexp(max(ra, rb))[1]) - 1)
    if not 1 <= shift <= 30:
        raise UnsupportedError(f"{ctx.graph.path}: node {node.name!r}: scales are too far apart"
                               f" for {node.contract!r}; use another contract")  # fmt: skip
    return {
        "m1": int(np.rint(np.float64(ra) * 2.0**shift)),
        "m2": int(np.rint(np.float64(rb) * 2.0**shift)), "s1": shift,
    }  # fmt: skip


def _ratios(ctx: Lowering, node: Node, a: Value, b: Value, y: Value) -> Params:
    """Return the ratios of scales, and what the zero points add up to."""
    aq, bq, yq = quant_of(a), quant_of(b), quant_of(y)
    with np.errstate(over="ignore", under="ignore"):
        ra, rb = np.float32(aq.scale / yq.scale), np.float32(bq.scale / yq.scale)
    if not np.isfinite([ra, rb]).all():
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: a ratio of its scales is infinite; "
            "give the output a larger scale"
        )
    of_b = np.float32(np.float64(rb) * int(bq.zero_point))
    both = np.float32(np.float64(ra) * int(aq.zero_point) + np.float64(of_b))
    fixed = np.float32(np.float32(int(yq.zero_point)) - both)
    return {
        "a_scale": f32_bits(float(ra)), "b_scale": f32_bits(float(rb)),
        "y_scale": f32_bits(float(fixed)), "a_zero": _flip(a), "b_zero": _flip(b),
    }  # fmt: skip


def _integer_binary(ctx: Lowering, node: Node, a: Value, b: Value, y: Value) -> Params:
    """Return the arithmetic's numbers for Add or Mul of codes."""
    arithmetic = ctx.arithmetic(node)
    aq, bq, yq = quant_of(a), quant_of(b), quant_of(y)
    mode = arithmetic.add if node.op == "Add" else arithmetic.requantize
    low, high = clamp_of(node, y)
    params: Params = {
        "mode": elementwise.INTEGER_MODES[mode], "low": low, "high": high,
        "flip_a": _flip(a), "flip_b": _flip(b), "a_zero": int(aq.zero_point) + _flip(a),
        "b_zero": int(bq.zero_point) + _flip(b), "y_zero": int(yq.zero_point),
        "nan": nan_code(arithmetic.nan, low, high),
        "a_scale": f32_bits(float(aq.scale)), "b_scale": f32_bits(float(bq.scale)),
        "y_scale": f32_bits(float(yq.scale)),
    }  # fmt: skip
    sa, sb, sy = (np.float64(q.scale) for q in (aq, bq, yq))
    if mode in ("float_rne", "float_zp_before_round_f32"):
        params["y_scale"] = f32_bits(float_multiplier(ctx, node, aq.scale, bq.scale, yq.scale))
    elif mode == "scale_ratios":
        params |= _ratios(ctx, node, a, b, y)
    elif mode == "tflite_shift20":
        twice = 2 * max(sa, sb)
        real = np.array([sa / twice, sb / twice, twice / (2.0**20 * sy)])
        m, s = quantize_multiplier(real)
        for i in range(3):
            params |= {f"m{i + 1}": int(m[i]), f"s{i + 1}": int(s[i])}
        bound = 2**19 * (reach_of(a) + reach_of(b))
        need_int32_when_shifted(ctx, node, np.array(bound), s[2])
    elif node.op == "Mul":
        real = real_multiplier(ctx, node, mode, aq.scale, bq.scale, yq.scale).reshape(1)
        m, s = fixed_multiplier(ctx, node, mode, real, np.array([reach_of(a) * reach_of(b)]))
        params |= {"m1": int(m.view(np.int64)[0] if m.dtype.kind == "f" else m[0]), "s1": int(s[0])}
    elif mode == "xnnpack_shift20":
        with np.errstate(over="ignore", under="ignore"):
            params |= _shifts(ctx, node, aq.scale / yq.scale, bq.scale / yq.scale)
    return params


def _flip(value: Value) -> int:
    """Return 128 for signed codes: flipping their top bit makes them unsigned, 128 larger."""
    return 128 if value.dtype == "int8" else 0
