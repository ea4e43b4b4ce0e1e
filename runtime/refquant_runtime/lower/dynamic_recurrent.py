"""LSTM of dynamic codes: weights a row after the other, their scales and sums."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels.dynamic_recurrent import DYNAMIC_LSTM, dynamic_lstm
from refquant_runtime.lower.context import FIRST, Lowering, Params, quant_of
from refquant_runtime.lower.recurrent import state_places
from refquant_runtime.plan import At
from refquant_runtime.weights import unpack

__all__ = ["lower_dynamic_lstm"]

Array = NDArray[Any]


def lower_dynamic_lstm(ctx: Lowering, node: Node) -> None:
    """Lower one layer, sample by sample, both of its directions at once."""
    x, w, r = (ctx.value(name) for name in node.inputs[:3])
    names = [*node.inputs[3:], "", "", "", ""]
    bias = ctx.value(names[0]).data if names[0] else None
    samples, steps, inputs = x.shape
    d, wide, hidden = r.shape
    source = ctx.read(x.name, FIRST)
    states = [ctx.read(name, FIRST) if name else None for name in names[2:4]]
    targets = [ctx.write(name, FIRST) for name in node.outputs]
    arithmetic = ctx.arithmetic(node)
    added = np.zeros((d, wide), np.float32) if bias is None else bias[:, :wide] + bias[:, wide:]
    params: Params = {
        "directions": d, "reverse": int(node.attributes.get("direction") == "reverse"),
        "steps": steps, "inputs": inputs, "hidden": hidden, "rule": arithmetic.rule,
        "nan": 255 if arithmetic.nan == "qmax" else 0, "has_bias": int(bias is not None),
        **ctx.constants.once((node.name, "codes"), lambda: {
            "bias": ctx.constants.add(np.ascontiguousarray(added, np.float32)),
            **_rows(ctx, "w", w), **_rows(ctx, "r", r),
        }),
    }  # fmt: skip
    each = 4 * steps * inputs
    for n in range(samples):
        own: Params = {"x": At(source, n * each), **state_places(n, samples, targets, states)}
        reads = [source, *(state for state in states if state is not None)]
        ctx.emit(
            dynamic_lstm, DYNAMIC_LSTM, params=params | own, reads=reads, writes=targets,
            scratch=24 * hidden + max(inputs, hidden) + 128,
            macs=d * steps * wide * (inputs + hidden),
        )  # fmt: skip


def _rows(ctx: Lowering, key: str, value: Value) -> Params:
    """Return where the codes of a weight lie, and of each row the scale and the sum."""
    codes = np.ascontiguousarray(unpack(value), np.int8)
    scale = np.asarray(quant_of(value).scale, np.float32)
    grid = scale.reshape(scale.shape or (1, 1, 1))
    per_row = np.ascontiguousarray(np.broadcast_to(grid, (*codes.shape[:2], 1))[..., 0])
    return {
        key: ctx.constants.add(codes),
        f"{key}_scale": ctx.constants.add(per_row),
        f"{key}_sum": ctx.constants.add(codes.astype(np.int32).sum(axis=-1, dtype=np.int32)),
    }
