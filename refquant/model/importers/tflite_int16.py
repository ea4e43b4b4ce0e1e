"""Operators of int16 codes: ``INT16``, from TFLite's name to the function that lowers it.

``ALIKE`` is of all dtypes.

Codes of 16 bits are symmetric: their zero point is 0. XNNPACK takes none of them, so both tools
compute by LiteRT's own kernels, and these agree but in the layers
(`refquant.model.importers.tflite_int16_layers`)::

    ADD, SUB                       tflite_reference, 15 bits of headroom for 20
    MUL                            tflite_mul
    DEQUANTIZE, MEAN               tflite_reference
    QUANTIZE of reals              tflite_reference, by XNNPACK's column tflite_builtin
    AVERAGE_POOL_2D, MAX_POOL_2D   tflite_reference
    SOFTMAX                        tflite_reference, with a table of 65536 exponentials
    MAXIMUM, MINIMUM               codes to reals and back
    LOGISTIC, TANH, RELU, RELU6, LEAKY_RELU, ABS, and QUANTIZE of codes   a table of all codes

Left out, refused by name: what is not in ``INT16``; an ADD or SUB of scales that are all powers of
two with the option ``pot_scale_int16``; a SUB of smaller steps than it subtracts from, most of
which have ties; by XNNPACK LOGISTIC and TANH of the scale 2^-12 (LiteRT's
optimized kernels are others there), and QUANTIZE of reals that are no multiple of eight (the rest
is rounded otherwise).

References: LiteRT ``kernels/add.cc``, ``mul.cc``, ``quantize.cc``, ``activations.cc``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.formats.qparams import QParams
from refquant.model.graph import DTYPES, Attribute, Quant
from refquant.model.importers import (
    tflite_composed,
    tflite_fixed,
    tflite_layers,
    tflite_moves,
    tflite_pixels,
    tflite_pools,
    tflite_reductions,
    tflite_slices,
    tflite_transposed,
    tflite_truths,
)
from refquant.model.importers.tflite_activations import clamps
from refquant.model.importers.tflite_fixed import need_odd_products
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.importers.tflite_steps import hold_table, mapped
from refquant.model.importers.tflite_tables import OPERATORS
from refquant.numerics.requantize import requantize
from refquant.numerics.rounding import round_half_away
from refquant.ops.curves_int16 import curve_int16, nearest_power
from refquant.ops.softmax_int16 import softmax_table_int16

__all__ = ["ALIKE", "INT16", "unknown"]


def unknown(s: Scope, o: TfliteOperator) -> None:
    """Refuse an operator that is not in ``INT16``."""
    raise UnsupportedError("of int16 is not known")


def _binary(s: Scope, o: TfliteOperator) -> None:
    """ADD, SUB and MUL of int16; SUB adds ~q, whose zero point is -1: the codes of -b, exactly."""
    a, b = o.inputs[:2]
    quants = _quants(s, [a, b, o.outputs[0]])
    powers = [nearest_power(np.float32(quant.scale)) for quant in quants]
    if o.op != "MUL" and o.options.get("PotScaleInt16", True) and None not in powers:
        raise UnsupportedError("of int16 has scales that are powers of two, and pot_scale_int16")
    computed = [i for i in (a, b) if s.constant(i) is None]
    ours = all(len(s.tensor(i).shape) == 4 for i in computed)
    order = FIRST if ours and any(s.at(i) == FIRST for i in computed) else AS_IS
    contract = preset("tflite_mul" if o.op == "MUL" else "tflite_reference")
    names = [s.read(i, order) for i in (a, b)]
    if o.op == "SUB":
        need_odd_products(*quants[:2], bits=16)
        turned = np.arange((1 << 15) - 1, -(1 << 15) - 1, -1).astype(np.int16)
        negative = Quant(quants[1].scale, -1)
        names[1] = mapped(s, o, names[1], turned, negative, "negated", contract)
    s.write(
        o, "Mul" if o.op == "MUL" else "Add", names, order=order,
        attributes=clamps(s, o), contract=contract,
    )  # fmt: skip


def _quants(s: Scope, indices: list[int]) -> list[Quant]:
    """Return the parameters of int16 tensors, and refuse others beside them."""
    found = [(s.tensor(i).dtype, s.quant(i)) for i in indices]
    quants = [quant for dtype, quant in found if dtype == "int16" and quant is not None]
    if len(quants) < len(found):
        raise UnsupportedError(f"mixes int16 and {', '.join(sorted({d for d, _ in found}))}")
    return quants


def _unary(s: Scope, o: TfliteOperator) -> None:
    """Lower a function of one int16 tensor: a table of 65536 codes."""
    before, after = _quants(s, [o.inputs[0], o.outputs[0]])
    op, _ = OPERATORS[o.op]
    alpha = float(np.float32(o.options.get("Alpha", 0.0)))  # type: ignore[arg-type]  # a number
    x, y = _ruler(before, "int16"), _ruler(after, "int16")
    codes = _curve(s, op, x, y) if op in ("Sigmoid", "Tanh") else _fixed(o.op, alpha, x, y)
    table = np.clip(codes, -(1 << 15), (1 << 15) - 1).astype(np.int16)
    attributes: dict[str, Attribute] = dict(OPERATORS[o.op][1])
    if o.op == "LEAKY_RELU":
        attributes["alpha"] = alpha
    _by_table(s, o, op, table, after, preset("tflite_reference"), attributes)


def _curve(s: Scope, op: str, x: QParams, y: QParams) -> NDArray[Any]:
    if float(y.scale) != 2.0**-15:
        raise UnsupportedError(f"of int16 has the output scale {float(y.scale)}, not 2^-15")
    power = nearest_power(np.float32(x.scale))
    if s.tool == "xnnpack" and (power == -12 or (power == -11 and op == "Tanh")):
        raise UnsupportedError(
            f"of int16 has the input scale {float(x.scale)}, for which LiteRT's optimized kernel "
            "is another; import it for tflite_reference"
        )
    return curve_int16(op, np.float32(x.scale))


def _fixed(op: str, alpha: float, x: QParams, y: QParams) -> NDArray[Any]:
    offset = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
    if op == "LEAKY_RELU":
        return tflite_fixed.leaky_relu(offset, np.float32(alpha), x, y)
    if op == "ABS":
        return tflite_fixed.absolute(offset, x, y)
    ratio = np.float64(np.float32(x.scale) / np.float32(y.scale))
    codes = np.maximum(requantize(offset, ratio, mode="gemmlowp_double_f32"), 0)
    six = round_half_away(np.asarray(np.float32(6) / np.float32(y.scale)))
    return np.minimum(codes, int(min(float(six), 32768.0))) if op == "RELU6" else codes


def _quantize(s: Scope, o: TfliteOperator) -> None:
    """QUANTIZE of reals to int16, or of codes where one side has 16 bits."""
    before, after = s.quant(o.inputs[0]), s.quant(o.outputs[0])
    assert after is not None, "one side is int16, and reals are on the other at most"
    contract = preset("tflite_reference")
    if before is None:
        if s.tool == "xnnpack":
            contract = preset("tflite_builtin")
            if (n := s.elements(o.inputs[0])) % 8:
                raise UnsupportedError(
                    f"to int16 has {n} elements, no multiple of eight, and LiteRT rounds the rest "
                    "in another way; import it for tflite_reference"
                )
        order = s.at(o.inputs[0])
        x = s.read(o.inputs[0], order)
        s.write(o, "QuantizeLinear", [x], order=order, contract=contract)
        return
    kinds = s.tensor(o.inputs[0]).dtype, s.tensor(o.outputs[0]).dtype
    (low, high), limits = ((DTYPES[k].qmin, DTYPES[k].qmax) for k in kinds)
    offset = np.arange(low, high + 1, dtype=np.int64) - int(before.zero_point)
    real = np.float64(np.float32(before.scale)) / np.float64(np.float32(after.scale))
    moved = requantize(offset, real, mode="gemmlowp_double") + int(after.zero_point)
    _by_table(s, o, "Requantize", np.clip(moved, *limits).astype(kinds[1]), after, contract, {})


def _dequantize(s: Scope, o: TfliteOperator) -> None:
    """DEQUANTIZE of int16 that is computed."""
    if s.quant(o.outputs[0]) is not None or s.constant(o.inputs[0]) is not None:
        raise UnsupportedError("of int16 is not known")
    order = s.at(o.inputs[0])
    x = s.read(o.inputs[0], order)
    s.write(o, "DequantizeLinear", [x], order=order, contract=preset("tflite_reference"))


def _softmax(s: Scope, o: TfliteOperator) -> None:
    """SOFTMAX of int16 along the last axis."""
    before, after = _quants(s, [o.inputs[0], o.outputs[0]])
    beta = float(np.float32(o.options.get("Beta", 0.0)))  # type: ignore[arg-type]  # a number
    if beta <= 0 or after.scale != 2.0**-15:
        raise UnsupportedError(f"of int16 has beta {beta} and the output scale {after.scale}")
    table = softmax_table_int16(_ruler(before, "int16"), beta=beta)
    held = hold_table(s, o, table, None)
    contract = preset("tflite_reference")
    s.write(o, "Softmax", [s.read(o.inputs[0]), held], attributes={"axis": -1}, contract=contract)


def _ruler(quant: Quant, dtype: str) -> QParams:
    return QParams(np.float32(quant.scale), np.int32(quant.zero_point), None, dtype)


def _by_table(
    s: Scope, o: TfliteOperator, op: str, table: NDArray[Any], after: Quant, contract: Contract,
    attributes: Mapping[str, Attribute],
) -> None:  # fmt: skip
    order = s.at(o.inputs[0])
    inputs = [s.read(o.inputs[0], order), hold_table(s, o, table, after)]
    s.write(o, op, inputs, order=order, attributes=attributes, contract=contract)


ALIKE: Mapping[str, Callable[[Scope, TfliteOperator], None]] = {
    "CONV_2D": tflite_layers.conv,
    "DEPTHWISE_CONV_2D": tflite_layers.depthwise_conv,
    "FULLY_CONNECTED": tflite_layers.fully_connected,
    "TRANSPOSE_CONV": tflite_transposed.transpose_conv,
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), tflite_composed.extreme),
    "AVERAGE_POOL_2D": tflite_pools.average_pool,
    "MAX_POOL_2D": tflite_pools.max_pool,
    "MEAN": tflite_pools.mean,
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN"), tflite_reductions.reduce_extreme),
    "RESHAPE": tflite_moves.reshape,
    "SQUEEZE": tflite_moves.squeeze,
    "EXPAND_DIMS": tflite_moves.expand_dims,
    "TRANSPOSE": tflite_moves.transpose,
    "PAD": tflite_moves.pad,
    "CONCATENATION": tflite_moves.concatenation,
    "SLICE": tflite_slices.slice_part,
    "STRIDED_SLICE": tflite_slices.strided_slice,
    "SPLIT": tflite_slices.split,
    "SPLIT_V": tflite_slices.split_v,
    "PACK": tflite_slices.pack,
    "UNPACK": tflite_slices.unpack,
    "GATHER": tflite_slices.gather,
    "MIRROR_PAD": tflite_pixels.mirror_pad,
    **dict.fromkeys(tflite_truths.COMPARE, tflite_truths.compare),
    **dict.fromkeys(("SELECT", "SELECT_V2"), tflite_truths.select),
    "CAST": tflite_truths.cast,
}
"""The operators that one function lowers, whatever their tensors are of."""

INT16: Mapping[str, Callable[[Scope, TfliteOperator], None]] = {
    **ALIKE,
    **dict.fromkeys(("ADD", "SUB", "MUL"), _binary),
    **dict.fromkeys(("LOGISTIC", "TANH", "RELU", "RELU6", "LEAKY_RELU", "ABS"), _unary),
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "SOFTMAX": _softmax,
}
"""The operators that are known of int16."""
