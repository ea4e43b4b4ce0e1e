"""Gather, Cast, normalizations, Attention, RotaryEmbedding: operators of sequences."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels import attention, rows
from refquant_runtime.kernels.tiles import f32_tiles_of
from refquant_runtime.lower.context import FIRST, KINDS, Lowering, Params, f32_bits
from refquant_runtime.plan import At, Buffer
from refquant_runtime.shapes_sequence import heads_of
from refquant_runtime.weights import dequantized, unpack

__all__ = [
    "lower_attention", "lower_cast", "lower_gather", "lower_normalization", "lower_rotary",
]  # fmt: skip


def lower_gather(ctx: Lowering, node: Node) -> None:
    """Lower Gather: rows that are copied, or decoded where the table is of codes."""
    table, indices = ctx.value(node.inputs[0]), ctx.value(node.inputs[1])
    y = ctx.value(node.outputs[0])
    axis = node.attributes.get("axis", 0) % len(table.shape)
    picked, target = ctx.read(indices.name, FIRST), ctx.write(y.name, FIRST)
    size = table.shape[axis]
    rule = f"node {node.name!r} (Gather): indices are in [{-size}, {size - 1}]"
    params: Params = {
        "y": target, "rows": size, "inner": math.prod(table.shape[axis + 1 :]),
        "count": math.prod(indices.shape), "indices": picked,
        "guard": ctx.guards.add(rule),
    }  # fmt: skip
    writes = [target, ctx.guards.buffer]
    if axis == 0 and len(table.shape) == 2 and _decodable(table, y):
        params |= ctx.constants.once(node.name, lambda: _coded(ctx, table))
        ctx.emit(rows.gather_decoded, rows.DECODE, params=params, reads=[picked], writes=writes)
        return
    reads = [picked]
    params |= {"outer": math.prod(table.shape[:axis]), "element": ctx.itemsize(y)}
    if table.data is not None:
        decode = table.quant is not None and y.quant is None
        params |= {"constant": 1, "x": ctx.constants.once(
            (node.name, "table"),
            lambda: ctx.constants.add(dequantized(table) if decode else _bytes(table)),
        )}  # fmt: skip
    else:
        params["x"] = source = ctx.read(table.name, FIRST)
        reads.append(source)
    ctx.emit(rows.gather, rows.GATHER, params=params, reads=reads, writes=writes)


def _decodable(table: Value, y: Value) -> bool:
    """Say whether a table is of weights, their parameters a grid of blocks."""
    return table.quant is not None and y.quant is None and table.quant.g_idx is None


def _bytes(value: Value) -> NDArray[Any]:
    """Return a constant as it lies in memory: codes of fewer bits take a byte."""
    data = unpack(value)
    wide = data.dtype.itemsize == 4
    return data if wide else data.astype(np.int16).astype(np.uint8)


def _coded(ctx: Lowering, table: Value) -> Params:
    """Return a matrix of codes and its parameters, a grid of one each block."""
    quant = table.quant
    assert quant is not None, "the caller asked"
    block = quant.block_shape or tuple(max(size, 1) for size in table.shape)
    grid = tuple(-(-size // b) for size, b in zip(table.shape, block, strict=True))
    scales = np.ascontiguousarray(np.broadcast_to(quant.scale, grid), np.float32)
    zeros = np.ascontiguousarray(np.broadcast_to(quant.zero_point, grid)).astype(np.float32)
    params: Params = {
        "codes": ctx.constants.add(_bytes(table)), "signed": int(table.dtype.startswith("int")),
        "scales": ctx.constants.add(scales), "zeros": ctx.constants.add(zeros),
        "block_rows": block[0], "block_columns": min(block[1], max(table.shape[1], 1)),
        "tabled": int(quant.table is not None),
    }  # fmt: skip
    if quant.table is not None:
        params["table"] = ctx.constants.add(np.ascontiguousarray(quant.table))
    return params


def lower_cast(ctx: Lowering, node: Node) -> None:
    """Lower Cast between float32, int32 and truths."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    layout = ctx.layout_of(x.name)
    source = ctx.read(x.name, layout)
    if x.dtype == y.dtype and x.dtype != "uint8":
        ctx.alias(y.name, layout, source)
        return
    target = ctx.write(y.name, layout)
    kind = 3 * KINDS[x.dtype] + KINDS[y.dtype]
    params: Params = {"x": source, "y": target, "n": math.prod(x.shape), "kind": kind}
    ctx.emit(rows.cast, rows.CAST, params=params, reads=[source], writes=[target])


def lower_normalization(ctx: Lowering, node: Node) -> None:
    """Lower LayerNormalization and RMSNormalization."""
    x = ctx.value(node.inputs[0])
    layer = node.op == "LayerNormalization"
    reads = [ctx.read(name, FIRST) for name in node.inputs if name]
    target = ctx.write(node.outputs[0], FIRST)
    params: Params = {
        "x": reads[0], "y": target, "rows": math.prod(x.shape[:-1]), "n": x.shape[-1],
        "scale": reads[1], "bias": reads[-1], "has_bias": int(layer and len(reads) == 3),
        "epsilon": f32_bits(node.attributes.get("epsilon", 1e-5)),
    }  # fmt: skip
    ctx.emit(rows.layer_norm if layer else rows.rms_norm, rows.NORMALIZE, params=params,
             reads=reads, writes=[target])  # fmt: skip


def _strides(x: Value, heads: int, d: int) -> tuple[int, int]:
    """Return the elements from head to head and from step to step."""
    return (x.shape[2] * d, d) if len(x.shape) == 4 else (d, heads * d)


def lower_attention(ctx: Lowering, node: Node) -> None:
    """Lower Attention, sample by sample."""
    q, k, v = (ctx.value(name) for name in node.inputs[:3])
    counts = [node.attributes.get(f"{kind}_num_heads", 0) for kind in ("q", "kv")]
    heads, queries, d = heads_of(q.shape, counts[0])
    groups, keys, _ = heads_of(k.shape, counts[1])
    e = heads_of(v.shape, counts[1])[2]
    reads = [ctx.read(name, FIRST) for name in node.inputs if name]
    target = ctx.write(node.outputs[0], FIRST)
    scale = node.attributes.get("scale", 1 / math.sqrt(d))
    tile = next(t for t in f32_tiles_of(ctx.isa) if t.nr == attention.WIDTH and t.mr > 1)
    params: Params = {
        "q": reads[0], "k": reads[1], "v": reads[2], "y": target, "heads": heads, "groups": groups,
        "queries": queries, "keys": keys, "d": d, "e": e, "scale": f32_bits(scale),
        "causal": node.attributes.get("is_causal", 0), "mr": tile.mr, "tile": tile.address,
        **_mask(ctx, node, reads),
    }  # fmt: skip
    for name, x, count, size in (("q", q, heads, d), ("k", k, groups, d), ("v", v, groups, e)):
        params[f"{name}_head"], params[f"{name}_row"] = _strides(x, count, size)
    y = ctx.value(node.outputs[0])
    params["y_head"], params["y_row"] = _strides(y, heads, e)
    width = attention.WIDTH
    room = 4 * (d * width + (keys + tile.mr) * width + e * keys + (e + tile.mr) * width)
    places = {"q": reads[0], "k": reads[1], "v": reads[2], "y": target}
    if "mask" in params:
        places["mask"] = reads[3]
    for n in range(q.shape[0]):
        ctx.emit(
            attention.attention, attention.ATTENTION, reads=reads, writes=[target],
            params=params | _sample(n, q.shape[0], places), scratch=256 + room + 64,
            macs=heads * queries * keys * (d + e),
        )  # fmt: skip


def _sample(n: int, samples: int, places: Mapping[str, Buffer]) -> Params:
    """Return where sample ``n`` of each operand begins; a mask may have one for all."""
    return {name: At(b, n * (b.nbytes // samples)) for name, b in places.items()}


def _mask(ctx: Lowering, node: Node, reads: list[Buffer]) -> Params:
    """Return where the mask is, and its strides: 0 where it broadcasts."""
    if len(node.inputs) < 4 or not node.inputs[3]:
        return {"has_mask": 0}
    shape = ctx.value(node.inputs[3]).shape
    wide = (1,) * (4 - len(shape)) + shape
    if wide[0] == 1 and ctx.value(node.inputs[0]).shape[0] > 1:
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: one mask for several samples is not "
            "implemented; give each its own, or make the samples the axis N"
        )
    row, head = wide[3], wide[3] * wide[2]
    return {
        "has_mask": 1, "mask": reads[3], "mask_head": head if wide[1] > 1 else 0,
        "mask_row": row if wide[2] > 1 else 0, "mask_column": int(wide[3] > 1),
    }  # fmt: skip


def lower_rotary(ctx: Lowering, node: Node) -> None:
    """Lower RotaryEmbedding."""
    x, angles = ctx.value(node.inputs[0]), ctx.value(node.inputs[1])
    heads, steps, d = heads_of(x.shape, node.attributes.get("num_heads", 0))
    half = (node.attributes.get("rotary_embedding_dim", 0) or d) // 2
    source, positions = ctx.read(x.name, FIRST), ctx.read(node.inputs[3], FIRST)
    target = ctx.write(node.outputs[0], FIRST)
    head_step, row_step = _strides(x, heads, d)
    last = angles.shape[0] - 1
    rule = f"node {node.name!r} (RotaryEmbedding): positions are in [0, {last}]"
    params: Params = {
        "x": source, "y": target, "positions": positions, "guard": ctx.guards.add(rule),
        "angles": angles.shape[0], "heads": heads, "steps": steps, "head_step": head_step,
        "row_step": row_step, "half": half, "d": d,
        "interleaved": node.attributes.get("interleaved", 0),
    }  # fmt: skip
    reads = [source, positions]
    for key, name in (("cos", node.inputs[1]), ("sin", node.inputs[2])):
        if ctx.value(name).data is not None:
            params |= {key: ctx.table(name), f"{key}_constant": 1}
        else:
            params[key] = place = ctx.read(name, FIRST)
            reads.append(place)
    places = {"x": source, "y": target, "positions": positions}
    for n in range(x.shape[0]):
        ctx.emit(attention.rotary, attention.ROTARY, reads=reads,
                 params=params | _sample(n, x.shape[0], places),
                 writes=[target, ctx.guards.buffer])  # fmt: skip
