"""Layers with weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, of float32, int8, or both.

Weights turn to our order: (O, H, W, I) and (1, H, W, C * multiplier) become (M, C/group, H, W), a
depthwise convolution is one of as many groups as channels; the rows of FULLY_CONNECTED stay rows.
Padding SAME is what Keras means by it: as many outputs as strides fit, the odd element at the end.
float32 activations with int8 weights: `refquant.model.importers.tflite_hybrid`; int16 ones:
`refquant.model.importers.tflite_int16_layers`.

Left out: weights that are computed, sparse or of int4, shuffled formats.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.model.graph import Attribute, Quant
from refquant.model.importers.tflite_activations import clamps, finish
from refquant.model.importers.tflite_hybrid import hybrid_conv, hybrid_rows, is_hybrid
from refquant.model.importers.tflite_int16_layers import int16_arithmetic
from refquant.model.importers.tflite_kernels import contract_of
from refquant.model.importers.tflite_model import TfliteOperator, TfliteTensor, UnsupportedError
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.importers.tflite_weights import check_weight, scales_of

__all__ = ["conv", "depthwise_conv", "fully_connected", "integer_operands", "window"]

Array = NDArray[Any]


def conv(s: Scope, o: TfliteOperator) -> None:
    """CONV_2D: input, weights (O, H, W, I), bias."""
    w = _weights(s, o)
    _convolution(s, o, w.transpose(0, 3, 1, 2), channel=0, group=None)


def depthwise_conv(s: Scope, o: TfliteOperator) -> None:
    """DEPTHWISE_CONV_2D: input, weights (1, H, W, C * multiplier), bias."""
    w = _weights(s, o)
    if w.ndim != 4 or w.shape[0] != 1:
        raise ValueError(f"weights are (1, H, W, C), got {list(w.shape)}")
    channels = s.tensor(o.inputs[0]).shape[-1]
    _convolution(s, o, w.transpose(3, 0, 1, 2), channel=3, group=channels)


def fully_connected(s: Scope, o: TfliteOperator) -> None:
    """FULLY_CONNECTED: input, whose last axis or axes are summed, weights (O, I), bias."""
    w = _weights(s, o)
    if o.options.get("WeightsFormat", 0):
        raise UnsupportedError("has shuffled weights")
    if w.ndim != 2:
        raise ValueError(f"weights are (O, I), got {list(w.shape)}")
    x, y = s.tensor(o.inputs[0]), s.tensor(o.outputs[0])
    quant = s.quant(o.inputs[0])
    source = s.read(o.inputs[0])
    if len(y.shape) > 2:  # every position by itself
        inner = [*s.builder.values[source].shape]
        if inner[-1] != w.shape[1]:
            raise UnsupportedError("joins axes of its input and keeps the others")
        _rows(s, o, w, source, quant)
        return
    batch = 0 if s.batched else s.elements(x.index) // max(w.shape[1], 1)
    if s.batched and s.elements(x.index) != w.shape[1]:
        raise ValueError(f"sums {w.shape[1]} elements of {s.elements(x.index)}")
    if len(x.shape) != 2:
        name = s.free(f"{y.name}/rows")
        attributes: dict[str, Attribute] = {"shape": (batch, w.shape[1])}
        source = s.builder.node("Reshape", [source], name=name, attributes=attributes)
    _rows(s, o, w, source, quant)


def _rows(s: Scope, o: TfliteOperator, w: Array, source: str, quant: Quant | None) -> None:
    """Multiply by the rows of ``w``: Gemm for two axes, MatMul by the columns for more."""
    if is_hybrid(s, o):
        hybrid_rows(s, o, w, source)
        return
    gemm = len(s.builder.values[source].shape) == 2
    inputs, contract = _operands(s, o, w if gemm else w.T, source, channel=0, rows=0 if gemm else 1)
    attributes: dict[str, Attribute] = {"transB": 1} if gemm else {}
    if quant is not None:
        attributes |= clamps(s, o)
        s.write(o, "Gemm" if gemm else "MatMul", inputs, attributes=attributes, contract=contract)
        return
    if gemm:
        finish(s, o, "Gemm", inputs, AS_IS, attributes)
    elif len(inputs) == 2:
        finish(s, o, "MatMul", inputs, AS_IS, attributes)
    else:
        product = s.write(o, "MatMul", inputs[:2], last=False)
        finish(s, o, "Add", [product, inputs[2]], AS_IS, {})


def _convolution(s: Scope, o: TfliteOperator, w: Array, *, channel: int, group: int | None) -> None:
    x = s.tensor(o.inputs[0])
    if len(x.shape) != 4:
        raise ValueError(f"input is (N, H, W, C), got {list(x.shape)}")
    if group is None:  # TFLite has no attribute for it: fewer channels of weights are groups
        group = x.shape[3] // w.shape[1] if w.shape[1] and x.shape[3] % w.shape[1] == 0 else 1
    attributes = window(o, x.shape[1:3], w.shape[2:])
    attributes["group"] = group
    if is_hybrid(s, o):
        hybrid_conv(s, o, w, attributes, channel=channel)
        return
    inputs, contract = _operands(s, o, w, s.read(o.inputs[0], FIRST), channel=channel)
    if contract is None:
        finish(s, o, "Conv", inputs, FIRST, attributes)
        return
    s.write(o, "Conv", inputs, order=FIRST, attributes=attributes | clamps(s, o), contract=contract)


def window(
    o: TfliteOperator, spatial: tuple[int, ...], kernel: tuple[int, ...]
) -> dict[str, Attribute]:
    """Return strides, dilations and pads of a window, in ONNX's words.

    >>> o = TfliteOperator(0, "CONV_2D", (), (), {"Padding": 0, "StrideH": 2, "StrideW": 2})
    >>> window(o, (5, 4), (3, 3))["pads"]
    (1, 0, 1, 1)
    """
    strides = tuple(int(v) for v in (o.options.get("StrideH", 1), o.options.get("StrideW", 1)))  # type: ignore[arg-type]  # numbers
    dilations = tuple(int(o.options.get(f"Dilation{d}Factor", 1)) for d in "HW")  # type: ignore[arg-type]  # numbers
    if min(*strides, *dilations) < 1 or o.options.get("Padding", 0) not in (0, 1):
        raise ValueError(f"strides and dilations are positive, got {strides} and {dilations}")
    begins, ends = [], []
    for size, k, stride, dilation in zip(spatial, kernel, strides, dilations, strict=True):
        total = 0
        if o.options.get("Padding", 0) == 0:
            extent = dilation * (k - 1) + 1
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return {"strides": strides, "dilations": dilations, "pads": (*begins, *ends)}


def _weights(s: Scope, o: TfliteOperator) -> Array:
    w = s.constant(o.inputs[1])
    x, kind = s.tensor(o.inputs[0]), s.tensor(o.inputs[1]).dtype
    if s.tensor(o.inputs[1]).special:
        raise UnsupportedError(f"has weights that are {s.tensor(o.inputs[1]).special}")
    if w is None:
        raise UnsupportedError("has weights that are computed")
    if x.dtype == "float32" and w.dtype not in (np.float32, np.int8):
        raise UnsupportedError(f"is a dynamic-range layer: float32 activations, {kind} weights")
    if x.dtype != "float32" and w.dtype != np.int8:
        raise UnsupportedError(f"has weights of {kind}, not int8")
    return w


def _operands(
    s: Scope, o: TfliteOperator, w: Array, source: str, *, channel: int, rows: int = 0
) -> tuple[list[str], Contract | None]:
    """Add weight and bias; return the operands, and the contract of an integer layer.

    ``channel``: which axis of the file's weight has the output channels, ``rows``: of ``w``.
    """
    tensor, name = s.tensor(o.inputs[1]), s.tensor(o.outputs[0]).name
    bias = s.constant(o.inputs[2]) if len(o.inputs) > 2 and o.inputs[2] >= 0 else None
    if len(o.inputs) > 2 and o.inputs[2] >= 0 and bias is None:
        raise UnsupportedError("has a bias that is computed")
    x = s.quant(o.inputs[0])
    if (x is None) != (s.quant(o.outputs[0]) is None):
        raise UnsupportedError("has codes on one side and reals on the other")
    if x is None:
        inputs = [source, s.hold(s.free(f"{name}/weight"), w)]
        if bias is not None:
            inputs.append(s.hold(s.free(f"{name}/bias"), bias))
        return inputs, None
    quant, scale = _weight_quant(s, tensor, w, f"{name}/weight", channel, rows=rows)
    inputs = [source, s.hold(s.free(f"{name}/weight"), w, quant=quant)]
    if s.wide(o):
        bias, contract = int16_arithmetic(s, o, w, bias)
    else:
        contract = contract_of(s.tool, o.op, given_back=bool(tensor.zero_point.any()))
    if bias is not None:
        if bias.dtype != np.int32 and not (s.wide(o) and bias.dtype == np.int64):
            raise UnsupportedError(f"has a bias of {bias.dtype.name}, not int32")
        with np.errstate(over="ignore", under="ignore"):
            step = scale * np.float32(x.scale)  # for people, but a scale as any other
        inputs.append(_bias(s, bias, step, f"{name}/bias"))
    return inputs, contract


def integer_operands(
    s: Scope, o: TfliteOperator, w: Array, source: str
) -> tuple[list[str], Contract | None]:
    """Add weight (C, M, H, W), whose output channels are axis 1, and bias of an int8 layer."""
    if w.dtype != np.int8:
        raise UnsupportedError(f"has weights of {s.tensor(o.inputs[1]).dtype}, not int8")
    return _operands(s, o, w, source, channel=0, rows=1)


def _weight_quant(
    s: Scope, tensor: TfliteTensor, w: Array, name: str, channel: int, *, rows: int
) -> tuple[Quant, NDArray[np.float32]]:
    """Return the parameters of a weight whose output channels are the axis ``rows``."""
    check_weight(tensor)
    if tensor.scale.size == 1:
        return Quant(float(tensor.scale[0]), int(tensor.zero_point[0])), tensor.scale
    quant, shape = scales_of(s, tensor, w.shape, name, channel=channel, axis=rows)
    if not tensor.zero_point.any():
        return quant, tensor.scale
    zeros = s.hold(s.free(f"{name}/zero_point"), tensor.zero_point.astype(np.int32).reshape(shape))
    return replace(quant, zero_point=zeros), tensor.scale


def _bias(s: Scope, bias: Array, scale: NDArray[np.float32], name: str) -> str:
    if scale.size == 1:
        return s.hold(s.free(name), bias, quant=Quant(float(scale[0]), 0))
    held = s.hold(s.free(f"{name}/scale"), scale)
    return s.hold(s.free(name), bias, quant=Quant(held, 0, (1,)))
