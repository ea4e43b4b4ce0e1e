"""Layers of dynamic range: float32 activations, int8 weights (``tf.lite.Optimize.DEFAULT``).

Nothing in the file says how what comes in is quantized; each kernel has its way. Measured with
LiteRT 2.3.0 on x86, to the bit (``tests/outsiders/test_litert_hybrid.py``)::

                              tool "xnnpack"               tool "tflite_reference"
    FULLY_CONNECTED           xnnpack_hybrid, a row        tflite_hybrid, a row *
    CONV_2D, one scale        xnnpack_hybrid, a sample **  tflite_hybrid, a sample, symmetric
    CONV_2D, a scale a        xnnpack_hybrid, a sample **  tflite_hybrid_conv, a sample
      channel, or groups
    DEPTHWISE_CONV_2D         tflite_hybrid_depthwise      tflite_hybrid, a sample

    *  symmetric, unless the option asymmetric_quantize_inputs is set, which XNNPACK does not read
    ** a pixel by itself where kernel and strides are 1 and there are no groups: XNNPACK computes
       that as FULLY_CONNECTED

Left out: TRANSPOSE_CONV, BATCH_MATMUL, recurrent layers; int4 weights; a CONV_2D with groups, or a
DEPTHWISE_CONV_2D, with one scale, which LiteRT itself does not prepare.

References: LiteRT ``kernels/conv.cc`` (Prepare), ``fully_connected.cc``, ``depthwise_conv.cc``,
``delegates/xnnpack/xnnpack_delegate.cc``; XNNPACK ``src/subgraph/convolution-2d.c``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.graph import Attribute, Quant
from refquant.model.importers.tflite_activations import finish
from refquant.model.importers.tflite_model import TfliteOperator, TfliteTensor, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.importers.tflite_weights import check_weight, scales_of

__all__ = ["hybrid_conv", "hybrid_rows", "is_hybrid"]

Array = NDArray[Any]


def is_hybrid(s: Scope, o: TfliteOperator) -> bool:
    """Say whether a layer has float32 activations and int8 weights."""
    return s.tensor(o.inputs[0]).dtype == "float32" and s.tensor(o.inputs[1]).dtype == "int8"


def hybrid_rows(s: Scope, o: TfliteOperator, w: Array, source: str) -> None:
    """FULLY_CONNECTED: rows (..., K) times ``w`` (N, K), each row quantized by itself."""
    delegated = s.tool == "xnnpack"
    symmetric = not delegated and not o.options.get("AsymmetricQuantizeInputs", False)
    contract = preset("xnnpack_hybrid" if delegated else "tflite_hybrid")
    inputs = _operands(s, o, source, w.T, channel=0, column=True)
    attributes: dict[str, Attribute] = {"symmetric": int(symmetric)}
    finish(s, o, "MatMulDynamicRange", inputs, AS_IS, attributes, contract)


def hybrid_conv(
    s: Scope, o: TfliteOperator, w: Array, attributes: dict[str, Attribute], *, channel: int
) -> None:
    """CONV_2D and DEPTHWISE_CONV_2D: ``w`` (M, C/group, H, W); ``attributes`` of the window."""
    tensor = s.tensor(o.inputs[1])
    if not tensor.scale.size:
        raise UnsupportedError("has int8 weights without scales")
    grouped = o.op == "CONV_2D" and attributes["group"] != 1
    if tensor.scale.size != w.shape[0] and (grouped or o.op != "CONV_2D"):
        raise UnsupportedError("has one scale for all of its groups, which LiteRT does not prepare")
    plain = attributes["strides"] == (1, 1) and w.shape[2:] == (1, 1) and not grouped
    if s.tool == "xnnpack" and o.op == "CONV_2D" and plain and sum(w.shape[:2]) > 2:
        rows = w.reshape(w.shape[:2])
        inputs = _operands(s, o, s.read(o.inputs[0]), rows.T, channel=channel, column=True)
        finish(
            s, o, "MatMulDynamicRange", inputs, AS_IS, {"symmetric": 0}, preset("xnnpack_hybrid")
        )
        return
    name, symmetric = _arithmetic(s.tool, o.op, tensor, grouped=grouped)
    inputs = _operands(s, o, s.read(o.inputs[0], FIRST), w, channel=channel, column=False)
    finish(
        s, o, "ConvDynamicRange", inputs, FIRST, {**attributes, "symmetric": symmetric},
        preset(name),
    )  # fmt: skip


def _arithmetic(tool: str, op: str, tensor: TfliteTensor, *, grouped: bool) -> tuple[str, int]:
    """Return the contract's name, and whether parameters are symmetric."""
    if op == "DEPTHWISE_CONV_2D":
        return ("tflite_hybrid_depthwise" if tool == "xnnpack" else "tflite_hybrid"), 0
    if tool == "xnnpack":
        return "xnnpack_hybrid", 0
    several = bool((tensor.scale != tensor.scale[0]).any())
    return ("tflite_hybrid_conv", 0) if several or grouped else ("tflite_hybrid", 1)


def _operands(
    s: Scope, o: TfliteOperator, source: str, w: Array, *, channel: int, column: bool
) -> list[str]:
    """Add weight and bias (zeros, where there is none); return the operands."""
    tensor, name = s.tensor(o.inputs[1]), s.tensor(o.outputs[0]).name
    check_weight(tensor)
    if tensor.zero_point.any():
        raise UnsupportedError("has weights with a zero point that is not 0")
    axis = w.ndim - 1 if column else 0
    if tensor.scale.size == 1:
        quant = Quant(float(tensor.scale[0]), 0)
    else:
        quant, _ = scales_of(s, tensor, w.shape, f"{name}/weight", channel=channel, axis=axis)
    held = s.hold(s.free(f"{name}/weight"), w, quant=quant)
    return [source, held, s.hold(s.free(f"{name}/bias"), _bias(s, o, w.shape[axis]))]


def _bias(s: Scope, o: TfliteOperator, channels: int) -> Array:
    if len(o.inputs) < 3 or o.inputs[2] < 0:
        return np.zeros(channels, np.float32)
    bias = s.constant(o.inputs[2])
    if bias is None:
        raise UnsupportedError("has a bias that is computed")
    if bias.dtype != np.float32:
        raise UnsupportedError(f"has a bias of {bias.dtype.name}, not float32")
    if bias.shape != (channels,):
        raise ValueError(f"has a bias of {list(bias.shape)} for {channels} channels")
    return bias
