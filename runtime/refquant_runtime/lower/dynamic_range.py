"""Layers of dynamic range: their input to codes and back, around the integer kernels."""

import math

import numpy as np

from refquant_runtime.contracts import TO_REALS
from refquant_runtime.graph import Node
from refquant_runtime.kernels import dynamic_range
from refquant_runtime.kernels.requantize import MODES
from refquant_runtime.lower.context import FIRST, LAST, Lowering, Params, bounds, nan_code
from refquant_runtime.lower.integer import emit_products
from refquant_runtime.plan import Buffer
from refquant_runtime.weights import integer_weights

__all__ = ["lower_dynamic_range"]


def lower_dynamic_range(ctx: Lowering, node: Node) -> None:
    """Lower ConvDynamicRange and MatMulDynamicRange."""
    x, w, bias = (ctx.value(name) for name in node.inputs)
    assert bias.data is not None, "check: a constant"
    window = node.op.startswith("Conv")
    layout = LAST if window else FIRST
    source, target = ctx.read(x.name, layout), ctx.write(node.outputs[0], layout)
    rows = 1 if window else max(math.prod(x.shape[:-1]), 1)
    codes = Buffer(math.prod(x.shape), "codes of a range")
    scale, zero = Buffer(4 * rows, "scales of rows"), Buffer(rows, "zero points of rows")
    arithmetic = ctx.arithmetic(node)
    symmetric, order = node.attributes["symmetric"], arithmetic.requantize
    low = -127 if symmetric else -128
    params: Params = {
        "x": source, "y": codes, "rows": rows, "n": math.prod(x.shape) // rows, "scale": scale,
        "zero": zero, "kind": 0 if symmetric else 2 if arithmetic.inverse == "stored" else 1,
        "low": low, "rule": arithmetic.row_rule, "nan": nan_code(arithmetic.nan, low, 127),
    }  # fmt: skip
    ctx.emit(dynamic_range.quantize_rows, dynamic_range.ROWS, params=params, reads=[source],
             writes=[codes, scale, zero])  # fmt: skip
    matrix, scales = integer_weights(node, w)
    channels = matrix.shape[1]
    late = np.zeros(channels, np.int32)  # in which channels the weight's scale comes last
    if order == "float32_weight_first_by_four":
        late[channels // 4 * 4 :] = 1
    product: Params = {
        "y": target, "flip": 0, "mode": MODES[TO_REALS[order]], "x_zero": zero, "x_scale": scale,
        "each_row": int(rows > 1), "has_bias": 1, **bounds(node),
        "seed": ctx.constants.add(late * 0),
        "weight_sum": ctx.constants.add(matrix.astype(np.int64).sum(axis=0).astype(np.int32)),
        "multiplier": ctx.constants.add(np.ascontiguousarray(scales, np.float32)),
        "shift": ctx.constants.add(late), "bias": ctx.constants.add(bias.data),
    }  # fmt: skip
    emit_products(ctx, node, product, [codes, scale, zero], target, matrix)
