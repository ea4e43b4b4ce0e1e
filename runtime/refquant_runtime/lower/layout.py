"""Pools and pure movement: Reshape, Transpose, Concat, Pad."""

import math

import numpy as np

from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels import pool
from refquant_runtime.lower.context import (
    FIRST,
    LAST,
    Lowering,
    Params,
    clamp_of,
    f32_bits,
    permuted,
    strides_of,
)
from refquant_runtime.lower.windows import window_fields
from refquant_runtime.plan import Buffer
from refquant_runtime.shapes import window

__all__ = [
    "lower_alias", "lower_concat", "lower_interleave", "lower_pad", "lower_pool", "lower_slice",
    "lower_stuff", "lower_transpose",
]  # fmt: skip


def lower_pool(ctx: Lowering, node: Node) -> None:
    """Lower the four pools; a global one is a window as large as the image."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    whole = node.op.startswith("Global")
    kernel = list(x.shape[2:]) if whole else node.attributes["kernel_shape"]
    shape = window(x.shape, kernel, {} if whole else node.attributes)
    n, taps = x.shape[1], math.prod(shape.kernel)
    source, target = ctx.read(x.name, LAST), ctx.write(y.name, LAST)
    integer = x.dtype != "float32"
    params: Params = {
        **window_fields(shape, x, 0 if integer else 2), "x": source, "y": target, "n": n,
        "signed": int(x.dtype == "int8"),
        "count_pad": node.attributes.get("count_include_pad", 0),
    }  # fmt: skip
    average = "Average" in node.op
    if integer and average:
        assert x.quant is not None
        assert y.quant is not None
        low, high = clamp_of(node, y)
        params |= {
            "half_away": int(ctx.arithmetic(node).average_pool == "half_away"),
            "x_scale": f32_bits(float(x.quant.scale)), "y_scale": f32_bits(float(y.quant.scale)),
            "x_zero": int(x.quant.zero_point), "y_zero": int(y.quant.zero_point),
            "low": low, "high": high,
        }  # fmt: skip
    kernels = {
        (True, True): pool.average_pool_i8,
        (True, False): pool.average_pool_f32,
        (False, True): pool.max_pool_i8,
        (False, False): pool.max_pool_f32,
    }
    ctx.emit(
        kernels[average, integer], pool.FIELDS, params=params, reads=[source], writes=[target],
        scratch=8 * n + 4 * taps + 64,
    )  # fmt: skip


def lower_alias(ctx: Lowering, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity: the same bytes under another shape."""
    layout = ctx.layout_of(node.inputs[0]) if node.op == "Identity" else FIRST
    ctx.alias(node.outputs[0], layout, ctx.read(node.inputs[0], layout))


def lower_transpose(ctx: Lowering, node: Node) -> None:
    """Transpose in file order."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    perm = node.attributes.get("perm", list(range(len(x.shape)))[::-1])
    rank = len(perm)
    if rank > 2 and perm in ([0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]):
        # Channels first and last are two orders that we keep anyway: other words, the same bytes.
        from_first = perm[1] == rank - 1
        before, after = (FIRST, LAST) if from_first else (LAST, FIRST)
        ctx.alias(y.name, after, ctx.read(x.name, before))
        return
    source, target = ctx.read(x.name, FIRST), ctx.write(y.name, FIRST)
    strides = strides_of(x.shape)
    ctx.copy(
        source, target, ctx.itemsize(x), y.shape, tuple(strides[a] for a in perm),
        strides_of(y.shape),
    )  # fmt: skip


def lower_concat(ctx: Lowering, node: Node) -> None:
    """Copy every input to its place in the output."""
    y = ctx.value(node.outputs[0])
    layout = ctx.layout_of(node.inputs[0])
    target = ctx.write(y.name, layout)
    axis = node.attributes["axis"] % len(y.shape)
    steps = strides_of(permuted(y.shape, layout))
    place = _axis_in_memory(axis, len(y.shape), layout)
    begin = 0
    for name in node.inputs:
        x = ctx.value(name)
        source = ctx.read(name, layout)
        dims = permuted(x.shape, layout)
        ctx.copy(source, target, ctx.itemsize(x), dims, strides_of(dims), steps,
                 to_offset=begin * steps[place])  # fmt: skip
        begin += x.shape[axis]


def lower_pad(ctx: Lowering, node: Node) -> None:
    """Fill the output with the padding, then copy the input into its middle."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    layout = ctx.layout_of(x.name)
    source, target = ctx.read(x.name, layout), ctx.write(y.name, layout)
    rank = len(x.shape)
    before = node.attributes.get("pads", [0] * (2 * rank))[:rank]
    steps = strides_of(permuted(y.shape, layout))
    offset = sum(
        amount * steps[_axis_in_memory(axis, rank, layout)] for axis, amount in enumerate(before)
    )
    ctx.fill(target, ctx.itemsize(x), _pad_bits(node, x))
    dims = permuted(x.shape, layout)
    ctx.copy(source, target, ctx.itemsize(x), dims, strides_of(dims), steps, to_offset=offset)


def lower_slice(ctx: Lowering, node: Node) -> None:
    """Copy a part of the input."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    source, target = ctx.read(x.name, FIRST), ctx.write(y.name, FIRST)
    steps, begin = strides_of(x.shape), 0
    for axis, start in zip(node.attributes["axes"], node.attributes["starts"], strict=True):
        place = axis % len(x.shape)
        begin += slice(start, None).indices(x.shape[place])[0] * steps[place]
    ctx.copy(source, target, ctx.itemsize(x), y.shape, steps, strides_of(y.shape),
             from_offset=begin)  # fmt: skip


def lower_stuff(ctx: Lowering, node: Node) -> None:
    """Put zeros between neighbours, channels last: what a transposed convolution slides over."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    source, target = ctx.read(x.name, LAST), ctx.write(y.name, LAST)
    dims = permuted(x.shape, LAST)
    steps = strides_of(permuted(y.shape, LAST))
    apart = (1, *node.attributes["strides"], 1)
    wide = tuple(step * by for step, by in zip(steps, apart, strict=True))
    size = ctx.itemsize(x)
    ctx.fill(target, size, _pad_bits(node, x))
    ctx.copy(source, target, size, dims, strides_of(dims), wide)


def lower_interleave(ctx: Lowering, node: Node) -> None:
    """Put the phases of a transposed convolution between each other, and cut off what is over."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    source, target, size = ctx.read(x.name, LAST), ctx.write(y.name, LAST), ctx.itemsize(y)
    group, per = node.attributes["group"], y.shape[1] // node.attributes["group"]
    high, across = (1, *node.attributes["strides"])[-2:]
    rows, columns = (1, *x.shape[2:])[-2:]
    top, left = (0, *node.attributes["begins"])[-2:]
    height, width = (1, *y.shape[2:])[-2:]
    m, long = group * per, columns * across * group * per  # of a row of all phases
    cut = (rows * high, columns * across) != (height, width)
    all_of = Buffer(x.shape[0] * rows * high * long * size, f"{y.name} (uncut)") if cut else target
    inner = columns * high * across * m  # of a row of the source
    axes = [  # size, step in the source, step in the target
        (x.shape[0] * rows, inner, high * long),
        (high, across * per, long),
        (group, high * across * per, per),
        (across, per, m),
        (columns, inner // columns, across * m),
        (per, 1, 1),
    ]
    if per < 8 and columns > per:  # the longest run inside
        axes[4:] = axes[:3:-1]
    sizes, from_steps, to_steps = (tuple(axis[i] for axis in axes) for i in range(3))
    ctx.copy(source, all_of, size, sizes, from_steps, to_steps)
    if cut:
        dims, steps = (x.shape[0], height, width * m), (rows * high * long, long, 1)
        ctx.copy(all_of, target, size, dims, steps, strides_of(dims),
                 from_offset=top * long + left * m)  # fmt: skip


def _pad_bits(node: Node, x: Value) -> int:
    if x.dtype == "float32":
        return f32_bits(np.float32(node.attributes.get("value", 0.0)))
    return int(x.quant.zero_point) & (65535 if x.dtype == "int16" else 255) if x.quant else 0


def _axis_in_memory(axis: int, rank: int, layout: str) -> int:
    """Return where an axis of the file lies in memory."""
    if layout == FIRST or rank < 3 or axis == 0:
        return axis
    return rank - 1 if axis == 1 else axis - 1
