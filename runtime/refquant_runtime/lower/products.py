"""MatMul of two computed tensors: nothing to pack, in floats and in codes."""

import math

import numpy as np

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels import reduce
from refquant_runtime.lower.context import FIRST, Lowering, Params, clamp_of, quant_of
from refquant_runtime.lower.fixedpoint import (
    fixed_multiplier,
    float_multiplier,
    mode_of,
    real_multiplier,
)
from refquant_runtime.weights import reach_of

__all__ = ["lower_matmul_codes", "lower_matmul_float"]


def lower_matmul_float(ctx: Lowering, node: Node) -> None:
    """Lower a float MatMul of two computed tensors, or with weights of rank 3 and more."""
    a, b, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    sources = [ctx.read(a.name, FIRST), ctx.read(b.name, FIRST)]
    target = ctx.write(y.name, FIRST)
    ctx.emit(
        reduce.matmul_f32, reduce.MATMUL,
        params={**batches(ctx, node, a, b, 4), "a": sources[0], "b": sources[1], "y": target},
        reads=sources, writes=[target], macs=math.prod(y.shape) * a.shape[-1],
    )  # fmt: skip


def lower_matmul_codes(ctx: Lowering, node: Node) -> None:
    """Lower an integer MatMul of two computed tensors."""
    a, b, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    aq, bq, yq = quant_of(a), quant_of(b), quant_of(y)
    n = b.shape[-1]
    arithmetic = ctx.arithmetic(node)
    low, high = clamp_of(node, y)
    zeros = ctx.constants.add(np.zeros(n, np.int32))
    params: Params = {
        **batches(ctx, node, a, b, 1),
        "signed_a": int(a.dtype == "int8"), "signed_b": int(b.dtype == "int8"),
        "a_zero": int(aq.zero_point), "b_zero": int(bq.zero_point),
        "seed": zeros, "x_zero": -1, "y_stride": n, "mode": mode_of(ctx, node),
        "zero_point": int(yq.zero_point), "low": low, "high": high,
    }  # fmt: skip
    if arithmetic.requantize == "float_rne":
        m32 = float_multiplier(ctx, node, aq.scale, bq.scale, yq.scale)
        params["multiplier"] = ctx.constants.add(np.full(n, m32, np.float32))
    else:
        mode = arithmetic.requantize
        real = np.full(n, real_multiplier(ctx, node, mode, aq.scale, bq.scale, yq.scale))
        bound = np.full(n, a.shape[-1] * reach_of(a) * reach_of(b))
        m, shift = fixed_multiplier(ctx, node, mode, real, bound)
        params |= {"multiplier": ctx.constants.add(m), "shift": ctx.constants.add(shift)}
    sources = [ctx.read(a.name, FIRST), ctx.read(b.name, FIRST)]
    target = ctx.write(y.name, FIRST)
    ctx.emit(
        reduce.matmul_i8, reduce.MATMUL,
        params=params | {"a": sources[0], "b": sources[1], "y": target},
        reads=sources, writes=[target], scratch=4 * n + 64, macs=math.prod(y.shape) * a.shape[-1],
    )  # fmt: skip


def batches(ctx: Lowering, node: Node, a: Value, b: Value, itemsize: int) -> Params:
    """Return the batch dimensions of a product of two computed tensors."""
    batch = math.prod(a.shape[:-2])
    if math.prod(b.shape[:-2]) != 1 and a.shape[:-2] != b.shape[:-2]:
        raise UnsupportedError(
            f"{ctx.graph.path}: node {node.name!r}: MatMul of {list(a.shape)} and "
            f"{list(b.shape)} needs equal leading dimensions; reshape or tile one of them"
        )
    rows, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    single = math.prod(b.shape[:-2]) == 1
    return {
        "rows": rows, "k": k, "n": n, "batches": batch, "a_batch": rows * k,
        "b_batch": 0 if single else k * n,
    }  # fmt: skip
