"""GRU and LSTM of codes: the input's products of all steps by tiles of bytes, then the steps.

``GRU`` and ``LSTM`` whose parameters the file has (docs/spec/operators.md, section 4), and
``DynamicQuantizeGRU`` and ``DynamicQuantizeLSTM``, whose ranges the run finds (section 5).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.graph import DTYPE_RANGE, Node, Value
from refquant_runtime.kernels import convert, gemm_i8
from refquant_runtime.kernels.coded_recurrent import CODED_RECURRENT, coded_recurrent
from refquant_runtime.kernels.packing import pack_int8_weights
from refquant_runtime.kernels.requantize import MODES
from refquant_runtime.kernels.tiles import SIGNED, Tile, int8_tile
from refquant_runtime.lower.context import (
    FIRST,
    Lowering,
    Params,
    f32_bits,
    nan_code,
    quant_of,
)
from refquant_runtime.lower.recurrent import state_places
from refquant_runtime.plan import At, Buffer
from refquant_runtime.shapes_sequence import GATES
from refquant_runtime.weights import unpack

__all__ = ["lower_coded_recurrent"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Codes:
    """Codes of a sample's input: the fields of the product that reads them, and their buffers.

    ``zero``: what is taken off each code, as uint8, if it is known before the run.
    """

    params: Params
    reads: list[Buffer]
    zero: int = 0


def lower_coded_recurrent(ctx: Lowering, node: Node) -> None:
    """Lower one layer, sample by sample, both of its directions at once."""
    x, w, r = (ctx.value(name) for name in node.inputs[:3])
    names = [*node.inputs[3:], "", "", "", ""]
    bias = ctx.value(names[0]).data if names[0] else None
    samples, steps, _ = x.shape
    d, wide, hidden = r.shape
    source = ctx.read(x.name, FIRST)
    states = [ctx.read(name, FIRST) if name else None for name in names[2:4]]
    targets = [ctx.write(name, FIRST) for name in node.outputs]
    late = node.op == "DynamicQuantizeLSTM"  # both biases are added to both sums
    tile = int8_tile(ctx.isa, n=hidden, m=1)
    params: Params = {
        "directions": d, "reverse": int(node.attributes.get("direction") == "reverse"),
        "steps": steps, "hidden": hidden, "gates": GATES[node.op],
        "after": node.attributes.get("linear_before_reset", 0), **_rulers(ctx, node),
        **ctx.constants.once((node.name, "r"), lambda: _state_weights(ctx, r, bias, tile, late)),
    }  # fmt: skip
    room = 64 + 4 * tile.mr * tile.nr + 4 * (2 * hidden + wide) + hidden + 8
    scale = None if x.quant is None else ctx.resident(np.full(1, x.quant.scale, "f4"), "scale")
    products = Buffer(4 * d * steps * wide, "gates")
    input_bias = None if late or bias is None else bias[:, :wide]
    for n in range(samples):
        codes = _made(ctx, node, x, source, n) if scale is None else _given(x, source, scale, n)
        for direction in range(d):
            _products(ctx, node, codes, x, w, input_bias, direction, products)
        own: Params = {"a": products, **state_places(n, samples, targets, states)}
        reads = [products, *(state for state in states if state is not None)]
        ctx.emit(coded_recurrent, CODED_RECURRENT, params=params | own, reads=reads, writes=targets,
                 scratch=room, macs=d * steps * wide * hidden)  # fmt: skip


def _rulers(ctx: Lowering, node: Node) -> Params:
    """Return how codes of the state are made: by the output's parameters, or by its own range."""
    arithmetic, y = ctx.arithmetic(node), ctx.value(node.outputs[0])
    params: Params = {"rule": arithmetic.rule, "dynamic": int(y.quant is None)}
    low, high = (0, 255) if y.quant is None else DTYPE_RANGE[y.dtype]
    params |= {"low": low, "high": high, "nan": nan_code(arithmetic.nan, low, high)}
    if y.quant is None:
        return params
    return params | {
        "y_scale": f32_bits(float(quant_of(y).scale)), "y_zero": int(quant_of(y).zero_point),
        "flip": SIGNED if y.dtype == "int8" else 0,
    }  # fmt: skip


def _row_scales(w: Value) -> Array:
    """Return the scale of each row of a weight (D, rows, K), which has that many or fewer."""
    scale = np.asarray(quant_of(w).scale, np.float32)
    grid = scale.reshape(scale.shape or (1, 1, 1))
    return np.ascontiguousarray(np.broadcast_to(grid, (*w.shape[:2], 1))[..., 0])


def _state_weights(
    ctx: Lowering, r: Value, bias: Array | None, tile: Tile, late: bool
) -> Params:  # fmt: skip
    """Pack ``r``, gate by gate, so that a gate begins with a panel; scale and sum of each row."""
    d, wide, hidden = r.shape
    codes = np.ascontiguousarray(unpack(r), np.int8)
    gates = codes.reshape(d * wide // hidden, hidden, hidden)
    packed = [pack_int8_weights(gate.T.copy(), taps=1, nr=tile.nr) for gate in gates]
    kc = -(-hidden // 4)
    params: Params = {
        "weights": ctx.constants.add(np.concatenate(packed)), "panels": -(-hidden // tile.nr),
        "panel_size": 4 * kc * tile.nr, "kc": kc, "mr": tile.mr, "nr": tile.nr,
        "tile": tile.address, "scales": ctx.constants.add(_row_scales(r)),
        "sums": ctx.constants.add(codes.astype(np.int32).sum(axis=-1, dtype=np.int32)),
        "has_bias": int(bias is not None and not late), "late": int(bias is not None and late),
    }  # fmt: skip
    if bias is not None:
        added = bias[:, :wide] + bias[:, wide:] if late else bias[:, wide:]
        params["bias"] = ctx.constants.add(np.ascontiguousarray(added, np.float32))
    return params


def _given(x: Value, source: Buffer, scale: Buffer, n: int) -> _Codes:
    """Return codes that came with parameters; ``scale`` holds theirs."""
    signed = x.dtype == "int8"
    zero = int(quant_of(x).zero_point) + (128 if signed else 0)
    place = At(source, n * x.shape[1] * x.shape[2])
    params: Params = {"x": place, "x_scale": scale, "x_zero": -1, "flip": SIGNED if signed else 0}
    return _Codes(params, [source, scale], zero)


def _made(ctx: Lowering, node: Node, x: Value, source: Buffer, n: int) -> _Codes:
    """Emit what makes codes of all steps of a sample, by their range."""
    count, rule = x.shape[1] * x.shape[2], ctx.arithmetic(node)
    codes, scale, zero = Buffer(count, "codes"), Buffer(4, "scale"), Buffer(1, "zero point")
    params: Params = {
        "x": At(source, 4 * n * count), "y": codes, "n": count, "scale": scale, "zero": zero,
        "rule": rule.rule, "nan": nan_code(rule.nan, 0, 255),
    }  # fmt: skip
    ctx.emit(convert.dynamic_quantize, convert.DYNAMIC, params=params, reads=[source],
             writes=[codes, scale, zero])  # fmt: skip
    made: Params = {"x": codes, "x_scale": scale, "x_zero": zero, "flip": 0}
    return _Codes(made, [codes, scale, zero])


def _products(
    ctx: Lowering, node: Node, codes: _Codes, x: Value, w: Value, bias: Array | None,
    direction: int, products: Buffer,
) -> None:  # fmt: skip
    """Emit ``a = f32(f32(acc) * f32(sx * sw)) + bias`` for all steps of one direction."""
    steps, size = x.shape[1:]
    wide, kc = w.shape[1], -(-size // 4)
    tile = ctx.tile(x, n=wide, m=steps, codes=True)

    def packed() -> Params:
        rows = np.ascontiguousarray(unpack(w), np.int8)[direction]
        sums = rows.astype(np.int64).sum(axis=-1)
        added = np.zeros(wide, np.float32) if bias is None else bias[direction]
        # modulo 2^32: the loader has proved that what is left in the end fits
        seed = (-codes.zero * sums).astype(np.uint32).view(np.int32)
        return {
            "weights": ctx.constants.add(pack_int8_weights(rows.T.copy(), taps=1, nr=tile.nr)),
            "multiplier": ctx.constants.add(_row_scales(w)[direction].copy()),
            "weight_sum": ctx.constants.add(sums.astype(np.int32)),
            "seed": ctx.constants.add(seed),
            "bias": ctx.constants.add(np.ascontiguousarray(added, np.float32)),
        }

    params: Params = {
        **codes.params, "rows": steps, "row_size": size, "kernel_w": 0, "element": 0, "y_begin": 0,
        "y": At(products, 4 * direction * steps * wide), "mr": tile.mr, "nr": tile.nr, "taps": 1,
        "copies": 1, "kc": kc, "n": wide, "tile": tile.address, "pad_size": 0, "y_stride": wide,
        "mode": MODES["float32"], "has_bias": int(bias is not None), "low": f32_bits(-np.inf),
        "high": f32_bits(np.inf),
        **ctx.constants.once((node.name, "w", direction, tile.nr), packed),
    }  # fmt: skip
    ctx.emit(
        gemm_i8.gemm_i8, gemm_i8.FIELDS, params=params, reads=codes.reads, writes=[products],
        scratch=4 * tile.mr * tile.nr + 4 * tile.mr + 64, macs=steps * wide * size,
    )  # fmt: skip
