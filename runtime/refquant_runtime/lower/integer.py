"""Integer layers: Conv, Gemm, MatMul on codes, and ONNX's raw and dynamic forms.

Here zero points, biases and the +128 of signed codes become one int32 seed a channel, scales one
multiplier a channel, and weights wider than int8 a sum of int8 parts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import Node
from refquant_runtime.kernels import depthwise, gemm_i8
from refquant_runtime.kernels.packing import pack_int8_weights
from refquant_runtime.kernels.requantize import MODES
from refquant_runtime.kernels.tap_sums import padded_channels
from refquant_runtime.kernels.tiles import SIGNED
from refquant_runtime.lower.context import (
    FIRST,
    LAST,
    Lowering,
    Params,
    bounds,
    clamp_of,
    quant_of,
)
from refquant_runtime.lower.fixedpoint import (
    fixed_multiplier,
    float_multiplier,
    mode_of,
    real_multiplier,
)
from refquant_runtime.lower.windows import conv_window, is_depthwise, rows_of
from refquant_runtime.plan import At, Buffer
from refquant_runtime.weights import integer_weights, reach_of

__all__ = ["emit_products", "lower_integer"]

Array = NDArray[Any]


def lower_integer(ctx: Lowering, node: Node) -> None:
    """Lower one integer layer with constant weights."""
    x, w, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    raw = "Integer" in node.op
    to_float = node.op.endswith("ToFloat")
    zero = ctx.inputs(node)[3] if raw and not to_float and len(node.inputs) > 3 else None
    matrix, scales = integer_weights(node, w, zero)
    layout = LAST if node.op.startswith("Conv") else FIRST
    source, target = ctx.read(x.name, layout), ctx.write(y.name, layout)
    reads = [source]
    params: Params = {"y": target, "flip": SIGNED if x.dtype == "int8" else 0, "x_zero": -1}
    params |= _raw(ctx, node, matrix, scales, reads) if raw else _static(ctx, node, matrix, scales)
    emit_products(ctx, node, params, reads, target, matrix)


def emit_products(
    ctx: Lowering, node: Node, params: Params, reads: list[Buffer], target: Buffer, matrix: Array
) -> None:
    """Emit the kernel of the layer's shape: codes ``reads[0]`` times ``matrix``."""
    if is_depthwise(node, ctx.value(node.inputs[0]), ctx.value(node.inputs[1])):
        _depthwise(ctx, node, params, reads, target, matrix)
    else:
        _tiles(ctx, node, params, reads, target, matrix)


def _static(ctx: Lowering, node: Node, matrix: Array, scales: Array) -> Params:
    """Seed, multiplier and clamp of a layer whose parameters are all known."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    xq, yq = quant_of(x), quant_of(y)
    bias = ctx.value(node.inputs[2]).data if len(node.inputs) > 2 and node.inputs[2] else None
    reach = int(xq.zero_point) + (128 if x.dtype == "int8" else 0)
    seed = -reach * matrix.astype(np.int64).sum(axis=0)
    if bias is not None:
        seed = seed + bias
    arithmetic = ctx.arithmetic(node)
    low, high = clamp_of(node, y)
    params: Params = {
        "seed": ctx.constants.add(_wrap(seed)),
        "mode": mode_of(ctx, node),
        "pad_value": int(xq.zero_point) & 255,
        "zero_point": int(yq.zero_point),
        "low": low,
        "high": high,
    }
    if arithmetic.requantize == "float_rne":
        multiplier = float_multiplier(ctx, node, xq.scale, scales, yq.scale)
        return params | {"multiplier": ctx.constants.add(multiplier)}
    mode = arithmetic.requantize
    real = real_multiplier(ctx, node, mode, xq.scale, scales, yq.scale)
    bound = np.abs(matrix.astype(np.int64)).sum(axis=0) * reach_of(x)
    bound = bound + (0 if bias is None else np.abs(bias.astype(np.int64)))
    m, shift = fixed_multiplier(ctx, node, mode, real, bound)
    return params | {"multiplier": ctx.constants.add(m), "shift": ctx.constants.add(shift)}


def _raw(ctx: Lowering, node: Node, matrix: Array, scales: Array, reads: list[Buffer]) -> Params:
    """Zero point, scale and bias of a layer whose input's parameters are known at run time."""
    to_float = node.op.endswith("ToFloat")
    x = ctx.value(node.inputs[0])
    sums = matrix.astype(np.int64).sum(axis=0)
    params: Params = {"mode": MODES["float32" if to_float else "int32"]}
    zero = node.inputs[3 if to_float else 2] if len(node.inputs) > 2 else ""
    seed = np.zeros_like(sums)
    if zero:
        params["x_zero"] = place = ctx.read(zero, FIRST)
        reads.append(place)
    elif x.dtype == "int8":
        seed = -128 * sums
    params |= {"seed": ctx.constants.add(_wrap(seed)), "weight_sum": ctx.constants.add(_wrap(sums))}
    if to_float:
        params["x_scale"] = place = ctx.read(node.inputs[2], FIRST)
        reads.append(place)
        bias = ctx.value(node.inputs[4]).data if len(node.inputs) > 4 and node.inputs[4] else None
        params["has_bias"] = int(bias is not None)
        params |= bounds(node)
        params["multiplier"] = ctx.constants.add(np.ascontiguousarray(scales, np.float32))
        params["bias"] = ctx.constants.add(
            np.zeros(len(sums), np.float32) if bias is None else bias
        )
    return params


def _tiles(
    ctx: Lowering, node: Node, params: Params, reads: list[Buffer], target: Buffer, matrix: Array
) -> None:
    """Emit the tiled kernel, once a group of the convolution."""
    x, w = ctx.value(node.inputs[0]), ctx.value(node.inputs[1])
    group = node.attributes.get("group", 1) if node.op.startswith("Conv") else 1
    per_group, columns = matrix.shape[1] // group, matrix.shape[1]
    window, positions, rows = rows_of(node, x, w, 0)
    channels = matrix.shape[0] // positions
    for g in range(group):
        parts = _int8_parts(matrix[:, g * per_group : (g + 1) * per_group])
        tile = ctx.tile(x, n=per_group, m=rows, codes=True)
        taps, kc = positions * len(parts), -(-channels // 4)
        packed = pack_int8_weights(np.concatenate(parts), taps=taps, nr=tile.nr)
        own: Params = {
            **window, "x": At(reads[0], g * channels), "mr": tile.mr, "nr": tile.nr, "taps": taps,
            "copies": len(parts), "kc": kc, "n": per_group, "tile": tile.address,
            "weights": ctx.constants.add(packed), "pad_size": 4 * kc, "y_stride": columns,
            "y_begin": g * per_group,
        }  # fmt: skip
        for key in ("seed", "multiplier", "shift", "weight_sum", "bias"):
            table = params.get(key)
            if isinstance(table, int):  # one entry a column: skip the groups before this one
                wide = key == "multiplier" and params["mode"] == MODES["float64_half_away"]
                own[key] = table + (8 if wide else 4) * g * per_group
        ctx.emit(
            gemm_i8.gemm_i8, gemm_i8.FIELDS, params=params | own, reads=reads, writes=[target],
            scratch=4 * tile.mr * tile.nr + 4 * tile.mr * taps + 4 * kc + 64,
            macs=rows * per_group * matrix.shape[0],
        )  # fmt: skip


def _depthwise(
    ctx: Lowering, node: Node, params: Params, reads: list[Buffer], target: Buffer, matrix: Array
) -> None:
    x, w = ctx.value(node.inputs[0]), ctx.value(node.inputs[1])
    window, taps, rows = conv_window(node, x, w, 0)
    n = x.shape[1]
    channels = padded_channels(n)
    padded = np.zeros((taps, channels), np.int16)
    padded[:, :n] = matrix
    own: Params = {
        **window, "x": reads[0], "mr": 1, "taps": taps, "copies": 1, "n": n, "y_stride": n,
        "channels": channels, "weights": ctx.constants.add(padded),
    }  # fmt: skip
    ctx.emit(
        depthwise.depthwise_i8,
        depthwise.FIELDS,
        params=params | own,
        reads=reads,
        writes=[target],
        scratch=4 * channels + 4 * taps + channels + 64,
        macs=rows * n * taps,
    )


def _int8_parts(matrix: Array) -> list[Array]:
    """Write int32 weights as a sum of int8 matrices: one, unless a zero point made them wider."""
    parts = []
    rest = matrix
    while True:
        part = np.clip(rest, -128, 127)
        parts.append(part.astype(np.int8))
        rest = rest - part
        if not rest.any():
            return parts


def _wrap(values: Array) -> Array:
    """Return the low 32 bits: sums wrap on the way and are exact at the end."""
    return values.astype(np.int64).astype(np.uint64).astype(np.uint32).view(np.int32)
