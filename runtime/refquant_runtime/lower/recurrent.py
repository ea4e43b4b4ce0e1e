"""GRU and LSTM: the input's products of all steps by tiles, then the steps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import Node, Value
from refquant_runtime.kernels import gemm_f32, recurrent
from refquant_runtime.kernels.packing import pack_f32_weights
from refquant_runtime.kernels.tiles import f32_tiles_of
from refquant_runtime.lower.context import FIRST, Lowering, Params, f32_bits
from refquant_runtime.plan import At, Buffer
from refquant_runtime.shapes_sequence import GATES
from refquant_runtime.weights import dequantized

__all__ = ["lower_recurrent", "state_places"]

Array = NDArray[Any]
_WIDEST = 64  # columns of a panel, at most


def _reals(value: Value) -> Array:
    """Return weights as float32: (D, gates * hidden, ...)."""
    assert value.data is not None, "check_recurrent: a constant"
    return value.data if value.quant is None else dequantized(value)


def lower_recurrent(ctx: Lowering, node: Node) -> None:
    """Lower one layer, sample by sample, both of its directions at once."""
    x, w, r = (ctx.value(name) for name in node.inputs[:3])
    names = [*node.inputs[3:], "", "", "", ""]
    bias = _reals(ctx.value(names[0])) if names[0] else None
    samples, steps, _ = x.shape
    d, wide, hidden = r.shape
    source = ctx.read(x.name, FIRST)
    states = [ctx.read(name, FIRST) if name else None for name in names[2:4]]
    targets = [ctx.write(name, FIRST) for name in node.outputs]
    params: Params = {
        "directions": d, "reverse": int(node.attributes.get("direction") == "reverse"),
        "steps": steps, "hidden": hidden, "gates": GATES[node.op],
        "after": node.attributes.get("linear_before_reset", 0),
        **ctx.constants.once((node.name, "r"), lambda: _state_weights(ctx, node.op, r, bias)),
    }  # fmt: skip
    room = 4 * (2 * hidden + GATES[node.op] * (hidden + _WIDEST)) + 64
    products = Buffer(4 * d * steps * wide, "gates")
    kernel = recurrent.gru if node.op == "GRU" else recurrent.lstm
    for n in range(samples):
        for direction in range(d):
            _products(ctx, node, (source, n), x, w, bias, direction, products)
        own: Params = {"a": products, **state_places(n, samples, targets, states)}
        reads = [products, *(state for state in states if state is not None)]
        ctx.emit(kernel, recurrent.RECURRENT, params=params | own, reads=reads, writes=targets,
                 scratch=room, macs=d * steps * wide * hidden)  # fmt: skip


def state_places(
    n: int, samples: int, targets: list[Buffer], states: list[Buffer | None]
) -> dict[str, int | Buffer | At]:
    """Return where the states and results of sample ``n`` lie."""
    places: dict[str, int | Buffer | At] = {}
    for name, buffer in zip(("y", "last_h", "last_c"), targets, strict=False):
        places[name] = At(buffer, n * (buffer.nbytes // samples))
    for name, state in zip(("h", "c"), states, strict=True):
        places[f"has_{name}"] = int(state is not None)
        where = targets[0] if state is None else state  # any place: nobody reads it
        places[f"first_{name}"] = At(where, 0 if state is None else n * (where.nbytes // samples))
    return places


def _state_weights(ctx: Lowering, op: str, r: Value, bias: Array | None) -> Params:
    """Pack ``r``, gate by gate, so that a gate begins with a panel."""
    d, wide, hidden = r.shape
    gates = GATES[op]
    rows_of_one = [tile for tile in f32_tiles_of(ctx.isa) if tile.mr == 1]
    tile = max(rows_of_one, key=lambda tile: (hidden >= tile.nr, tile.nr))
    matrices = _reals(r).reshape(d * gates, hidden, hidden)
    packed = [pack_f32_weights(np.ascontiguousarray(m.T), nr=tile.nr) for m in matrices]
    panels = -(-hidden // tile.nr)
    params: Params = {
        "weights": ctx.constants.add(np.concatenate([p.reshape(-1) for p in packed])),
        "panels": panels, "panel_size": hidden * tile.nr, "nr": tile.nr, "tile": tile.address,
        "has_bias": int(bias is not None),
    }  # fmt: skip
    if bias is not None:
        params["bias"] = ctx.constants.add(np.ascontiguousarray(bias[:, wide:]))
    return params


def _products(
    ctx: Lowering, node: Node, source: tuple[Buffer, int], x: Value, w: Value,
    bias: Array | None, direction: int, products: Buffer,
) -> None:  # fmt: skip
    """Emit ``a = dot(x_t, w) + bias`` for all steps of one direction."""
    buffer, n = source
    steps, size = x.shape[1:]
    wide = w.shape[1]
    tile = ctx.tile(x, n=wide, m=steps)

    def packed() -> Params:
        matrix = np.ascontiguousarray(_reals(w)[direction].T, np.float32)
        added = np.zeros(wide, np.float32) if bias is None else bias[direction, :wide]
        return {
            "weights": ctx.constants.add(pack_f32_weights(matrix, nr=tile.nr)),
            "bias": ctx.constants.add(np.ascontiguousarray(added)),
        }

    params: Params = {
        "rows": steps, "row_size": size, "kernel_w": 0, "element": 2, "y_begin": 0,
        "x": At(buffer, 4 * n * steps * size), "y": At(products, 4 * direction * steps * wide),
        "mr": tile.mr, "nr": tile.nr, "taps": 1, "copies": 1, "kc": size, "n": wide,
        "tile": tile.address, "pad_size": 0, "y_stride": wide, "low": f32_bits(-np.inf),
        "high": f32_bits(np.inf), "bits": 32,
        **ctx.constants.once((node.name, "w", direction, tile.nr), packed),
    }  # fmt: skip
    ctx.emit(
        gemm_f32.gemm_f32, gemm_f32.FIELDS, params=params, reads=[buffer], writes=[products],
        scratch=4 * tile.mr * tile.nr + 4 * tile.mr + 64, macs=steps * wide * size,
    )  # fmt: skip
