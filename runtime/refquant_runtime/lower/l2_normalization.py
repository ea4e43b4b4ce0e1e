"""L2Normalization: vectors of codes along the last axis, one after another."""

import math

from refquant_runtime.graph import Node
from refquant_runtime.kernels import unit_length
from refquant_runtime.lower.context import FIRST, Lowering, Params, quant_of

__all__ = ["lower_l2_normalization"]


def lower_l2_normalization(ctx: Lowering, node: Node) -> None:
    """Lower L2Normalization."""
    x, y = ctx.value(node.inputs[0]), ctx.value(node.outputs[0])
    source, target = ctx.read(x.name, FIRST), ctx.write(y.name, FIRST)
    params: Params = {
        "x": source, "y": target, "vectors": math.prod(x.shape[:-1]), "n": x.shape[-1],
        "x_zero": int(quant_of(x).zero_point),
    }  # fmt: skip
    ctx.emit(
        unit_length.unit_length, unit_length.UNIT_LENGTH, params=params, reads=[source],
        writes=[target],
    )  # fmt: skip
