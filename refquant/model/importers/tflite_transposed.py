"""TRANSPOSE_CONV of int8 and of float32: a convolution of pixels with zeros between them.

The inputs are the output's shape, weights (O, H, W, I), the pixels, perhaps a bias. The pixels are
spread by the strides, which on codes is movement (zero points are padded in, where zeros are
meant), the kernel is mirrored, and what is left is an ordinary convolution with exact sums::

    (N, C, H, W) -> (N, C, H, 1, W, 1) -Pad-> (N, C, H, s, W, t) -> (N, C, s H, t W) -> Conv

The last s - 1 rows are zeros, too: they count as padding at the end. float32 has `ConvTranspose`.

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
    pads = (
        *(k - 1 - b for k, b in zip(kernel, begins, strict=True)),
        *(k - 1 - e - (t - 1) for k, e, t in zip(kernel, ends, strides, strict=True)),
    )
    source = _spread(s, o, s.read(o.inputs[2], FIRST), strides)
    pads, source = _cropped(s, o, source, pads)
    mirrored = w[:, ::-1, ::-1].transpose(0, 3, 1, 2)
    order = TfliteOperator(
        o.index, o.op, (o.inputs[2], o.inputs[1], *o.inputs[3:]), o.outputs, o.options
    )
    inputs, contract = integer_operands(s, order, mirrored, source)
    attributes: dict[str, Attribute] = {"pads": pads, "strides": (1, 1)}
    s.write(o, "Conv", inputs, order=FIRST, attributes=attributes, contract=contract)


def _reals(
    s: Scope, o: TfliteOperator, w: Array, strides: tuple[int, int], begins: list[int],
    ends: list[int],
) -> None:  # fmt: skip
    if w.dtype != np.float32:
        raise UnsupportedError("is a dynamic-range layer")
    name = s.tensor(o.outputs[0]).name
    more = tuple(max(-e, 0) for e in ends)
    attributes: dict[str, Attribute] = {
        "strides": strides, "pads": (*begins, *(max(e, 0) for e in ends)), "output_padding": more,
    }  # fmt: skip
    held = s.hold(s.free(f"{name}/weight"), w.transpose(3, 0, 1, 2))
    inputs = [s.read(o.inputs[2], FIRST), held]
    if len(o.inputs) > 3 and o.inputs[3] >= 0:
        bias = s.constant(o.inputs[3])
        if bias is None:
            raise UnsupportedError("has a bias that is computed")
        inputs.append(s.hold(s.free(f"{name}/bias"), bias))
    finish(s, o, "ConvTranspose", inputs, FIRST, attributes)


def _spread(s: Scope, o: TfliteOperator, name: str, strides: tuple[int, int]) -> str:
    """Put ``strides - 1`` zero points behind every pixel."""
    if strides == (1, 1):
        return name
    _, c, h, w = s.builder.values[name].shape
    first, label = (0 if s.batched else s.tensor(o.inputs[2]).shape[0]), o.index
    size = s.tensor(o.outputs[0]).name
    assert isinstance(c, int), "an image"
    assert isinstance(h, int), "an image"
    assert isinstance(w, int), "an image"
    apart: dict[str, Attribute] = {"shape": (first, c, h, 1, w, 1)}
    name = s.builder.node("Reshape", [name], name=s.free(f"{size}/{label}/apart"), attributes=apart)
    pads = (0, 0, 0, 0, 0, 0, 0, 0, 0, strides[0] - 1, 0, strides[1] - 1)
    name = s.builder.node(
        "Pad", [name], name=s.free(f"{size}/{label}/spread"), attributes={"pads": pads}
    )
    joined: dict[str, Attribute] = {"shape": (first, c, h * strides[0], w * strides[1])}
    return s.builder.node(
        "Reshape", [name], name=s.free(f"{size}/{label}/joined"), attributes=joined
    )


def _cropped(
    s: Scope, o: TfliteOperator, name: str, pads: tuple[int, ...]
) -> tuple[tuple[int, ...], str]:
    """Cut off what negative padding at the ends means."""
    if min(pads) >= 0:
        return pads, name
    shape = s.builder.values[name].shape
    axes = [axis for axis in (2, 3) if pads[axis] < 0]
    ends = [int(shape[axis]) + pads[axis] for axis in axes]
    if min(pads[:2]) < 0 or min(ends) < 1:
        raise UnsupportedError("cuts off more than it spreads")
    attributes: dict[str, Attribute] = {
        "axes": tuple(axes), "starts": (0,) * len(axes), "ends": tuple(ends),
    }  # fmt: skip
    quant = s.builder.values[name].quant
    label = s.free(f"{s.tensor(o.outputs[0]).name}/{o.index}/cut")
    made = s.builder.node("Slice", [name], name=label, attributes=attributes, dtype="int8",
                          quant=quant)  # fmt: skip
    return tuple(max(p, 0) for p in pads), made


def _number(o: TfliteOperator, name: str) -> int:
    return int(o.options.get(name, 1))  # type: ignore[arg-type]  # a number
