"""Float layers: Conv, Gemm, MatMul in float32, and weight-only, whose weights stay in codes."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import SUBBYTE, Node, Quant
from refquant_runtime.kernels import depthwise, gemm_f32
from refquant_runtime.kernels.packing import pack_f32_weights
from refquant_runtime.kernels.tap_sums import padded_channels
from refquant_runtime.lower.context import FIRST, LAST, Lowering, Params, bounds
from refquant_runtime.lower.windows import conv_window, is_depthwise, rows_of
from refquant_runtime.plan import At, Buffer
from refquant_runtime.weights import as_matrix, block_parameters, dequantized, unpack

__all__ = ["lower_float"]

Array = NDArray[Any]


def lower_float(ctx: Lowering, node: Node) -> None:
    """Lower one float layer with constant weights."""
    x, w, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    layout = LAST if node.op.startswith("Conv") else FIRST
    source, target = ctx.read(x.name, layout), ctx.write(y.name, layout)
    codes = as_matrix(node, unpack(w))
    bias = np.zeros(codes.shape[1], np.float32)
    if len(node.inputs) > 2 and node.inputs[2]:
        given = ctx.value(node.inputs[2]).data
        assert given is not None, "check.bind: a bias is a constant"
        bias = np.ascontiguousarray(np.broadcast_to(given, bias.shape))
    if is_depthwise(node, x, w):
        _depthwise(ctx, node, source, target, codes, bias)
    else:
        _tiles(ctx, node, source, target, codes, bias)


def _depthwise(
    ctx: Lowering, node: Node, source: Buffer, target: Buffer, codes: Array, bias: Array
) -> None:
    x, w = ctx.value(node.inputs[0]), ctx.value(node.inputs[1])
    window, taps, rows = conv_window(node, x, w, 2)
    n = x.shape[1]
    channels = padded_channels(n)
    padded = np.zeros((taps, channels), np.float32)
    padded[:, :n] = codes if w.quant is None else as_matrix(node, dequantized(w))
    params: Params = {
        **window, "x": source, "y": target, "n": n, "channels": channels, **bounds(node),
        "bias": ctx.constants.add(bias), "weights": ctx.constants.add(padded),
    }  # fmt: skip
    ctx.emit(
        depthwise.depthwise_f32, depthwise.FIELDS_F32, params=params, reads=[source],
        writes=[target], scratch=8 * channels + 4 * taps + 64, macs=rows * n * taps,
    )  # fmt: skip


def _tiles(
    ctx: Lowering, node: Node, source: Buffer, target: Buffer, codes: Array, bias: Array
) -> None:
    """Emit the tiled kernel, once a group of the convolution."""
    x, w = ctx.value(node.inputs[0]), ctx.value(node.inputs[1])
    group = node.attributes.get("group", 1) if node.op.startswith("Conv") else 1
    rows_k, columns = codes.shape
    per_group = columns // group
    window, positions, rows = rows_of(node, x, w, 2)
    kc = rows_k // positions
    for g in range(group):
        part = slice(g * per_group, (g + 1) * per_group)
        tile = ctx.tile(x, n=per_group, m=rows)
        params: Params = {
            **window, "x": At(source, 4 * g * kc), "y": target, "mr": tile.mr, "nr": tile.nr,
            "taps": positions, "copies": 1, "kc": kc, "n": per_group, "tile": tile.address,
            "pad_size": kc, "y_stride": columns, "y_begin": g * per_group, **bounds(node),
            "bias": ctx.constants.add(bias[part]),
            **ctx.constants.once(
                (node.name, g, tile.nr), partial(_weights, ctx, node, codes, part, tile.nr)
            ),
        }  # fmt: skip
        decoded = 0 if params["bits"] == 32 else 4 * rows_k * tile.nr
        ctx.emit(
            gemm_f32.gemm_f32, gemm_f32.FIELDS, params=params, reads=[source], writes=[target],
            scratch=4 * tile.mr * tile.nr + 4 * tile.mr * positions + 4 * kc + decoded + 64,
            macs=rows * per_group * rows_k,
        )  # fmt: skip


def _weights(ctx: Lowering, node: Node, codes: Array, part: slice, nr: int) -> Params:
    """Pack one group's weights: float32 panels, or codes with their tables of parameters."""
    w = ctx.value(node.inputs[1])
    if w.quant is None:
        matrix = np.ascontiguousarray(codes[:, part], np.float32)
        return {"bits": 32, "weights": ctx.constants.add(pack_f32_weights(matrix, nr=nr))}
    width = SUBBYTE.get(w.dtype, 8)
    bits = next(room for room in (2, 4, 8) if room >= width)  # how a kernel holds them
    panels = -(-(part.stop - part.start) // nr)

    def panelled(array: Array) -> Array:  # (rows, N) -> (panels, rows, nr)
        padded = np.zeros((array.shape[0], panels * nr), array.dtype)
        padded[:, : part.stop - part.start] = array[:, part]
        return padded.reshape(array.shape[0], panels, nr).transpose(1, 0, 2)

    block_of, scales, zeros = block_parameters(node, w)
    per_byte = 8 // bits
    rows = -(-codes.shape[0] // per_byte)
    low = np.zeros((rows * per_byte, codes.shape[1]), np.uint8)
    low[: codes.shape[0]] = codes.astype(np.int16).astype(np.uint8) & ((1 << bits) - 1)
    packed = np.zeros((rows, codes.shape[1]), np.uint8)
    for i in range(per_byte):
        packed |= low[i::per_byte] << np.uint8(i * bits)
    return {
        "bits": bits,
        "weights": ctx.constants.add(panelled(packed)),
        "panel_bytes": rows * nr,
        "scales": ctx.constants.add(panelled(scales)),
        "zeros": ctx.constants.add(panelled(zeros)),
        "block_of": ctx.constants.add(block_of),
        "groups": len(scales),
        "signed": int(w.dtype.startswith("int")),
        **_table(ctx, w.quant),
    }


def _table(ctx: Lowering, quant: Quant) -> Params:
    """Return the table that codes are read by, if there is one."""
    if quant.table is None:
        return {"tabled": 0}
    return {"tabled": 1, "table": ctx.constants.add(np.ascontiguousarray(quant.table))}
