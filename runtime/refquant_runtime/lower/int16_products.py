"""Layers of 16-bit activations: weights by column, seeds of 64 bits, one multiplier a column."""

import numpy as np

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.graph import DTYPE_RANGE, Node, Value
from refquant_runtime.kernels import int16_products
from refquant_runtime.lower.context import FIRST, LAST, Lowering, Params, clamp_of, quant_of
from refquant_runtime.lower.fixedpoint import (
    fixed_multiplier,
    need_int32_when_shifted,
    quantize_multiplier,
    real_multiplier,
)
from refquant_runtime.lower.windows import rows_of
from refquant_runtime.weights import integer_weights

__all__ = ["lower_product", "need_int32", "reach"]


def reach(value: Value) -> int:
    """Return the largest distance of a code from its zero point."""
    low, high = DTYPE_RANGE[value.dtype]
    zero = int(quant_of(value).zero_point)
    return max(high - zero, zero - low)


def lower_product(ctx: Lowering, node: Node) -> None:
    """Lower Conv, Gemm, MatMul of int16 activations and constant weights."""
    x, w, y = ctx.value(node.inputs[0]), ctx.value(node.inputs[1]), ctx.value(node.outputs[0])
    conv = node.op == "Conv"
    matrix, scales = integer_weights(node, w)
    layout = LAST if conv else FIRST
    source, target = ctx.read(x.name, layout), ctx.write(y.name, layout)
    fields, taps, rows = rows_of(node, x, w, 1)
    group = node.attributes.get("group", 1) if conv else 1
    n, channels = matrix.shape[1], matrix.shape[0] // taps
    bias = ctx.value(node.inputs[2]).data if len(node.inputs) > 2 and node.inputs[2] else None
    seed = -int(quant_of(x).zero_point) * matrix.astype(np.int64).sum(axis=0)
    bound = np.abs(matrix.astype(np.int64)).sum(axis=0) * reach(x)
    if bias is not None:
        seed, bound = seed + bias, bound + np.abs(bias.astype(np.int64))
    low, high = clamp_of(node, y)
    params: Params = {
        **fields, "taps": taps, "x": source, "y": target, "n": n, "channels": channels,
        "per_group": n // group, "weights": ctx.constants.add(matrix.T.astype(np.int16)),
        "seed": ctx.constants.add(seed.astype(np.int64)), "x_zero": int(quant_of(x).zero_point),
        "y_zero": int(quant_of(y).zero_point), "low": low, "high": high, "mr": 1, "copies": 1,
        **_rescaling(ctx, node, scales, bound),
    }  # fmt: skip
    ctx.emit(
        int16_products.conv_i16, int16_products.FIELDS, params=params, reads=[source],
        writes=[target], scratch=4 * taps + 2 * fields["row_size"] + 64,
        macs=rows * n * matrix.shape[0],
    )  # fmt: skip


def _rescaling(ctx: Lowering, node: Node, scales: np.ndarray, bound: np.ndarray) -> Params:
    """Return multipliers, shifts and reals of a product's columns; what leaves int32 is refused."""
    mode = ctx.arithmetic(node).requantize
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    real = real_multiplier(ctx, node, mode, quant_of(x).scale, scales, quant_of(y).scale)
    real = np.broadcast_to(real, bound.shape)
    if mode == "float64_half_away":
        fixed_multiplier(ctx, node, mode, real, bound)
    m, shift = quantize_multiplier(real)
    if mode == "tflite_int64":
        need_int32(ctx, node, bound, m, shift)
    elif mode != "float64_half_away":
        need_int32_when_shifted(ctx, node, bound, shift)
    return {
        "mode": int16_products.MODES[mode], "multiplier": ctx.constants.add(m),
        "shift": ctx.constants.add(shift), "real": ctx.constants.add(np.array(real, np.float64)),
    }  # fmt: skip


def need_int32(
    ctx: Lowering, node: Node, bound: np.ndarray, m: np.ndarray, shift: np.ndarray
) -> None:
    """Refuse ``tflite_int64`` of a column whose result, at its bound, leaves int32."""
    for size, mantissa, s in zip(bound.tolist(), m.tolist(), shift.tolist(), strict=True):
        reduced = min((mantissa + (1 << 15)) >> 16, 0x7FFF)
        if s > 7 or (size * reduced + (1 << (14 - s)) >> (15 - s)) > 2**31 - 1:
            raise UnsupportedError(
                f"{ctx.graph.path}: node {node.name!r}: its rescaled accumulator can leave int32; "
                "give the output a larger scale"
            )
