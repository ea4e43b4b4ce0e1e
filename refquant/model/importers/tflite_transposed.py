"""TRANSPOSE_CONV of int8 and of float32: `ConvTranspose`, by the contract of a convolution.

The inputs are the output's shape, weights (O, H, W, I), the pixels, perhaps a bias. The shape says
how much padding is cut off: total = (n - 1) stride + k - n', half of it before; where the output is
larger than what the kernel reaches, the rest of it is bias.

Left out: dynamic-range weights, fused activations of int8, SAME padding with strides larger than
the kernel where XNNPACK is asked for (it gives those back to LiteRT's optimized kernel, whose last
channels round otherwise than the groups of eight before them).

References: LiteRT ``kernels/transpose_conv.cc``, ``reference/integer_ops/transpose_conv.h``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Attribute
from refquant.model.importers.tflite_activations import finish, need_no_activation
from refquant.model.importers.tflite_layers import integer_operands
from refquant.model.importers.tflite_model import TfliteOperator, UnsupportedError
from refquant.model.importers.tflite_scope import FIRST, Scope

__all__ = ["transpose_conv"]

Array = NDArray[Any]


def transpose_conv(s: Scope, o: TfliteOperator) -> None:
    """TRANSPOSE_CONV: shape of the output, weights, pixels, bias."""
    w, size = s.constant(o.inputs[1]), s.numbers(o.inputs[0])
    x = s.tensor(o.inputs[2])
    if w is None or w.ndim != 4 or len(x.shape) != 4 or w.shape[3] != x.shape[3]:
        raise UnsupportedError("has weights that are computed, or fit no pixels")
    kernel, strides = w.shape[1:3], (_number(o, "StrideH"), _number(o, "StrideW"))
    if min(strides) < 1 or min(kernel) < 1 or len(size) != 4:
        raise ValueError(f"strides are positive and shapes have four axes, got {strides}, {size}")
    begins, ends = [], []
    for d, out, k, stride in zip(x.shape[1:3], size[1:3], kernel, strides, strict=True):
        full = (d - 1) * stride + k  # without padding
        total = max(full - out, 0) if o.options.get("Padding", 0) == 0 else 0
        begins.append(total // 2)
        ends.append(full - out - total // 2)
    if min(begins) < 0 or any(b >= k for b, k in zip(begins, kernel, strict=True)):
        raise UnsupportedError(f"pads {begins}, which is not less than its kernel {list(kernel)}")
    if s.quant(o.inputs[2]) is None:
        _reals(s, o, w, strides, begins, ends)
        return
    need_no_activation(o)
    wide = any(k < t for k, t in zip(kernel, strides, strict=True))
    if s.tool == "xnnpack" and o.options.get("Padding", 0) == 0 and wide:
        raise UnsupportedError(
            f"has strides {strides} larger than its kernel {list(kernel)}, beyond XNNPACK; import "
            "it for tflite_reference"
        )
    order = TfliteOperator(
        o.index, o.op, (o.inputs[2], o.inputs[1], *o.inputs[3:]), o.outputs, o.options
    )
    turned = w.transpose(3, 0, 1, 2)
    inputs, contract = integer_operands(s, order, turned, s.read(o.inputs[2], FIRST))
    attributes = _window(strides, begins, ends)
    s.write(o, "ConvTranspose", inputs, order=FIRST, attributes=attributes, contract=contract)


def _reals(
    s: Scope, o: TfliteOperator, w: Array, strides: tuple[int, int], begins: list[int],
    ends: list[int],
) -> None:  # fmt: skip
    if w.dtype != np.float32:
        raise UnsupportedError("is a dynamic-range layer")
    name = s.tensor(o.outputs[0]).name
    attributes = _window(strides, begins, ends)
    held = s.hold(s.free(f"{name}/weight"), w.transpose(3, 0, 1, 2))
    inputs = [s.read(o.inputs[2], FIRST), held]
    if len(o.inputs) > 3 and o.inputs[3] >= 0:
        bias = s.constant(o.inputs[3])
        if bias is None:
            raise UnsupportedError("has a bias that is computed")
        inputs.append(s.hold(s.free(f"{name}/bias"), bias))
    finish(s, o, "ConvTranspose", inputs, FIRST, attributes)


def _window(strides: tuple[int, int], begins: list[int], ends: list[int]) -> dict[str, Attribute]:
    """Return the attributes; negative padding at an end is more output."""
    return {
        "strides": strides,
        "pads": (*begins, *(max(e, 0) for e in ends)),
        "output_padding": tuple(max(-e, 0) for e in ends),
    }


def _number(o: TfliteOperator, name: str) -> int:
    return int(o.options.get(name, 1))  # type: ignore[arg-type]  # a number
