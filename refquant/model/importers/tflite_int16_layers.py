"""Layers of int16 activations and int8 weights (16x8): which accumulator, which rescaling.

TFLite sums into what the bias is, int64 or int32, and each kernel has its own way back. Measured
with LiteRT 2.3.0 on x86, code for code (``tests/outsiders/test_litert_int16.py``); XNNPACK takes no
int16, so its column is what LiteRT's own kernels do without it::

                        int64 bias, or none    int32 bias, tflite_reference     int32 bias, xnnpack
    CONV_2D             tflite_int16           tflite_reference                 tflite_builtin *
    DEPTHWISE_CONV_2D   tflite_int16           LiteRT refuses it                LiteRT refuses it
    TRANSPOSE_CONV      tflite_int16           not known                        not known
    FULLY_CONNECTED     tflite_reference_fc    tflite_reference_fc              tflite_builtin

    * tflite_reference where there are groups

Only the option ``quantized_bias_type`` makes a bias int32; a FULLY_CONNECTED without a bias counts
as int32 by XNNPACK's column. A CONV_2D has a bias.

A bias stays int64 where int32 does not hold it: a channel of tiny weights has one.

Left out: a bias beyond 48 bits; sums that int32 cannot hold beside an int32 bias, where LiteRT
wraps; weights with a zero point that is not 0; one scale for all rows of a FULLY_CONNECTED in
XNNPACK's column with int32, where the multiplier is of a product in float32.

References: LiteRT ``kernels/conv.cc`` (EvalQuantizedPerChannel16x8), ``depthwise_conv.cc``,
``fully_connected.cc``; ``reference/integer_ops/fully_connected.h``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract, preset
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import Scope

__all__ = ["int16_arithmetic"]

Array = NDArray[Any]
_INT32_MAX = 2**31 - 1
_INT48_MAX = 2**47 - 1
_INT32 = 2  # of TensorType


def int16_arithmetic(
    s: Scope, o: TfliteOperator, w: Array, bias: Array | None
) -> tuple[Array | None, Contract]:
    """Return the bias, int32 if that holds it, and the contract of a layer of int16 activations.

    ``w``: codes of the weights, one sum an output channel, whichever axis that is.
    """
    kinds = [s.tensor(i).dtype for i in (o.inputs[0], o.outputs[0])]
    if kinds != ["int16", "int16"]:
        raise UnsupportedError(f"makes {kinds[1]} of {kinds[0]}")
    if s.tensor(o.inputs[1]).zero_point.any():
        raise UnsupportedError("of int16x8 has weights with a zero point that is not 0")
    kind = "int64" if bias is None else bias.dtype.name
    narrow = o.options.get("QuantizedBiasType", 0) == _INT32
    if kind not in ("int32", "int64") or (bias is not None and narrow != (kind == "int32")):
        raise UnsupportedError(f"of int16x8 has a bias of {kind}, which LiteRT reads as another")
    if (narrow and o.op == "DEPTHWISE_CONV_2D") or (bias is None and o.op == "CONV_2D"):
        raise UnsupportedError(f"of int16x8 has {'an int32' if narrow else 'no'} bias")
    if bias is not None and np.abs(bias.astype(np.float64)).max(initial=0) > _INT48_MAX:
        raise UnsupportedError("of int16x8 has a bias beyond 48 bits, which LiteRT's sums have")
    fully = o.op == "FULLY_CONNECTED"
    optimized = s.tool == "xnnpack" and (narrow or (fully and bias is None))
    groups = not fully and s.tensor(o.inputs[0]).shape[-1] != w.shape[1]
    if optimized and fully and s.tensor(o.inputs[1]).scale.size == 1:
        raise UnsupportedError(
            "of int16x8 has one scale for all rows and no int64 bias, for which LiteRT's optimized "
            "kernel has a multiplier of its own; import it for tflite_reference"
        )
    if optimized and not groups:
        name = "tflite_builtin"
    elif fully:
        name = "tflite_reference_fc"
        if narrow:
            _need_int32(w, bias)
    else:
        name = "tflite_reference" if narrow else "tflite_int16"
    return (None if bias is None else _narrowest(bias)), preset(name)


def _narrowest(bias: Array) -> Array:
    """Return the bias as int32 where that holds it; a file of version 1 has no other."""
    fits = bias.min(initial=0) >= -_INT32_MAX and bias.max(initial=0) <= _INT32_MAX
    return bias.astype(np.int32) if fits else bias.astype(np.int64)


def _need_int32(w: Array, bias: Array | None) -> None:
    """Refuse weights, rows or columns, whose sums can leave int32."""
    most = max(int(np.abs(w.astype(np.int64)).sum(axis=axis).max(initial=0)) for axis in (0, 1))
    most = most * 32768 + (0 if bias is None else int(np.abs(bias.astype(np.int64)).max(initial=0)))
    if most > _INT32_MAX:
        raise UnsupportedError(f"of int16x8 has int32 sums of up to {most}, which wrap in LiteRT")
