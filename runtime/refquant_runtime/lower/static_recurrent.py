"""GRU and LSTM of codes: weights a row after the other, with what multiplies the sum of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import DTYPE_RANGE, Node, Value
from refquant_runtime.kernels import static_recurrent as kernels
from refquant_runtime.lower.context import (
    FIRST,
    Lowering,
    Params,
    f32_bits,
    nan_code,
    quant_of,
)
from refquant_runtime.lower.recurrent import state_places
from refquant_runtime.plan import At
from refquant_runtime.shapes_sequence import GATES
from refquant_runtime.weights import unpack

__all__ = ["lower_static_recurrent"]

Array = NDArray[Any]


def lower_static_recurrent(ctx: Lowering, node: Node) -> None:
    """Lower one layer, sample by sample, both of its directions at once."""
    x, w, r = (ctx.value(name) for name in node.inputs[:3])
    names = [*node.inputs[3:], "", "", "", ""]
    samples, steps, inputs = x.shape
    d, wide, hidden = r.shape
    source = ctx.read(x.name, FIRST)
    states = [ctx.read(name, FIRST) if name else None for name in names[2:4]]
    targets = [ctx.write(name, FIRST) for name in node.outputs]
    bias = ctx.value(names[0]).data if names[0] else None
    y = ctx.value(node.outputs[0])
    params: Params = {
        "directions": d, "reverse": int(node.attributes.get("direction") == "reverse"),
        "steps": steps, "inputs": inputs, "hidden": hidden, "gates": GATES[node.op],
        "after": node.attributes.get("linear_before_reset", 0), "has_bias": int(bias is not None),
        **_rulers(ctx, node, x, y),
        **ctx.constants.once((node.name, "codes"), lambda: {
            **_rows(ctx, "w", w, x, None if bias is None else bias[:, :wide]),
            **_rows(ctx, "r", r, y, None if bias is None else bias[:, wide:]),
        }),
    }  # fmt: skip
    kernel = kernels.static_gru if node.op == "GRU" else kernels.static_lstm
    for n in range(samples):
        own: Params = {"x": At(source, n * steps * inputs)}
        own |= state_places(n, samples, targets, states)
        reads = [source, *(state for state in states if state is not None)]
        ctx.emit(
            kernel, kernels.STATIC_RECURRENT, params=params | own, reads=reads, writes=targets,
            scratch=8 * hidden + 8 * wide + hidden + 64, macs=d * steps * wide * (inputs + hidden),
        )  # fmt: skip


def _rulers(ctx: Lowering, node: Node, x: Value, y: Value) -> Params:
    """Return how codes of the input are read, and codes of the output made."""
    arithmetic, quant = ctx.arithmetic(node), quant_of(y)
    low, high = DTYPE_RANGE[y.dtype]
    return {
        "x_zero": int(quant_of(x).zero_point), "x_signed": int(x.dtype == "int8"),
        "y_scale": f32_bits(float(quant.scale)), "y_zero": int(quant.zero_point),
        "y_signed": int(y.dtype == "int8"), "low": low, "high": high, "rule": arithmetic.rule,
        "nan": nan_code(arithmetic.nan, low, high),
    }  # fmt: skip


def _rows(ctx: Lowering, key: str, value: Value, read: Value, bias: Array | None) -> Params:
    """Return where the codes of a weight lie, and of each row its factor, its sum, its bias.

    ``read`` is the value that it is multiplied with.
    """
    codes = np.ascontiguousarray(unpack(value), np.int8)
    scale = np.asarray(quant_of(value).scale, np.float32)
    grid = scale.reshape(scale.shape or (1, 1, 1))
    per_row = np.broadcast_to(grid, (*codes.shape[:2], 1))[..., 0]
    added = np.zeros(codes.shape[:2], np.float32) if bias is None else bias
    with np.errstate(over="ignore", under="ignore"):
        factor = np.float32(quant_of(read).scale) * per_row
    return {
        key: ctx.constants.add(codes),
        f"{key}_factor": ctx.constants.add(np.ascontiguousarray(factor, np.float32)),
        f"{key}_sum": ctx.constants.add(codes.astype(np.int32).sum(axis=-1, dtype=np.int32)),
        f"{key}_bias": ctx.constants.add(np.ascontiguousarray(added, np.float32)),
    }
