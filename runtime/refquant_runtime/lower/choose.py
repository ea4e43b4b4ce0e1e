"""Comparisons, Where, extremes, the k largest: operators of imported models."""

import math

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Node
from refquant_runtime.kernels import choose
from refquant_runtime.lower.binary import folded, operand
from refquant_runtime.lower.context import FIRST, KINDS, Lowering, Params
from refquant_runtime.lower.statistics import lined_up

__all__ = ["lower_choice", "lower_extreme", "lower_top_k"]


def lower_choice(ctx: Lowering, node: Node) -> None:
    """Lower a comparison, a connective of truths, or Where."""
    values = [ctx.value(name) for name in node.inputs]
    y = ctx.value(node.outputs[0])
    rank = len(y.shape)
    places = [operand(ctx, value, rank, FIRST) for value in values]
    target = ctx.write(y.name, FIRST)
    dims, steps = folded(y.shape, [shape for _, shape in places])
    if len(dims) > 4:
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: this broadcast needs {len(dims)} dimensions, "
            "at most 4 are executed; reshape its operands to fewer"
        )
    where = node.op == "Where"
    params: Params = {
        "y": target, "mode": choose.CHOICES.get(node.op, 0),
        "kind": KINDS[values[1 if where else 0].dtype],
    }  # fmt: skip
    for index, key in enumerate("abc"):
        source = index if index < len(places) else 0
        params[key] = places[source][0]
        params |= {f"{key}{axis}": steps[source][axis] for axis in range(4)}
    params |= {f"d{axis}": dims[axis] for axis in range(4)}
    ctx.emit(
        choose.select if where else choose.compare, choose.SELECT, params=params,
        reads=[buffer for buffer, _ in places], writes=[target],
    )  # fmt: skip


def lower_extreme(ctx: Lowering, node: Node) -> None:
    """Lower ReduceMax, ReduceMin, ArgMax, ArgMin."""
    x = ctx.value(node.inputs[0])
    rank, place = len(x.shape), node.op.startswith("Arg")
    given = [node.attributes.get("axis", 0)] if place else node.attributes["axes"]
    axes = sorted(axis % rank for axis in given)
    source, outer, n, inner = lined_up(ctx, x, ctx.read(x.name, FIRST), axes)
    target = ctx.write(node.outputs[0], FIRST)
    params: Params = {
        "x": source, "y": target, "outer": outer, "n": n, "inner": inner,
        "least": int(node.op.endswith("Min")), "place": int(place),
        "last": node.attributes.get("select_last_index", 0),
    }  # fmt: skip
    ctx.emit(choose.extreme, choose.EXTREME, params=params, reads=[source], writes=[target])


def lower_top_k(ctx: Lowering, node: Node) -> None:
    """Lower TopK."""
    x = ctx.value(node.inputs[0])
    axis = node.attributes.get("axis", -1) % len(x.shape)
    source = ctx.read(x.name, FIRST)
    values, places = (ctx.write(name, FIRST) for name in node.outputs)
    params: Params = {
        "x": source, "y": values, "places": places, "outer": math.prod(x.shape[:axis]),
        "n": x.shape[axis], "inner": math.prod(x.shape[axis + 1 :]), "k": node.attributes["k"],
        "least": 1 - node.attributes.get("largest", 1),
    }  # fmt: skip
    ctx.emit(choose.top_k, choose.TOP, params=params, reads=[source], writes=[values, places])
