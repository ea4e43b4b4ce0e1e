"""Convolution: the same window, five kinds of arithmetic around it.

    conv_f32               y = f32 products and sums in the normative order, + bias            (1)
    conv_quantized         q_y = clamp(requantize(acc, sx * sw[c] / sy) + zy)                  (2)
    conv_integer           y = acc, as int32                                                   (3)
    conv_integer_to_float  y = f32(f32(f32(acc) * f32(sx * sw[c])) + bias[c])                  (4)

with ``acc`` of :mod:`refquant.ops.accumulate`, eq. (1).  Layout is channels first, 1-D and 2-D,
grouped, dilated, depthwise (``group`` = C); weights are (M, C/group, kernel).

Left out: ``auto_pad`` (write the pads), transposed convolution, 3-D.

Source: ``docs/spec/operators.md`` §1, §4 and §5; ONNX ``Conv``, ``QLinearConv``, ``ConvInteger``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.numerics.dot import matmul_f32
from refquant.ops.accumulate import Acc, conv_accumulate, int32_accumulator
from refquant.ops.rescale import (
    add_bias,
    channel_parameters,
    need_float32,
    output_multiplier,
    rescale,
    scalar_parameters,
    to_float,
)
from refquant.ops.windows import convolve, plan_conv

__all__ = ["conv_f32", "conv_integer", "conv_integer_to_float", "conv_quantized"]

Float = NDArray[np.float32]
Codes = NDArray[Any]


def conv_f32(
    x: Float,
    w: Float,
    bias: Float | None = None,
    *,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    sums: str = "ordered",
) -> Float:
    """Return the float32 convolution: eq. (1), kernel position first, then input channel.

    ``x`` (N, C, spatial), ``w`` (M, C/group, kernel), ``bias`` (M,); padding is +0.0.
    ``sums``: see `refquant.numerics.dot`.

    >>> x = np.array([[[1.0, 2.0, 3.0]]], np.float32)
    >>> conv_f32(x, np.array([[[1.0, 10.0]]], np.float32), pads=[1, 0]).tolist()
    [[[10.0, 21.0, 32.0]]]
    """
    need_float32("Conv", x=x, w=w)
    window = plan_conv("Conv", x, w, strides=strides, pads=pads, dilations=dilations, group=group)
    with np.errstate(over="ignore", invalid="ignore"):  # inf and NaN travel as IEEE 754 says
        y = convolve(x, w, window, group=group, dot=partial(matmul_f32, sums=sums))
    return add_bias("Conv", y, bias, axis=1)


def conv_quantized(
    x: Codes,
    w: Codes,
    bias: NDArray[np.int32] | None = None,
    *,
    x_qparams: QParams,
    w_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of the quantized convolution: eq. (2).

    Weights are quantized per tensor or per output channel (axis 0); ``bias`` is int32 in units of
    sx * sw[c].  ``clamp_min`` and ``clamp_max`` are codes of y (a fused ``Relu`` or ``Clip``).

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> x, w = np.array([[[100, 50]]], np.int8), np.array([[[2]]], np.int8)
    >>> conv_quantized(x, w, x_qparams=one, w_qparams=one, y_qparams=one,
    ...                contract=preset("onnx"), clamp_max=120).tolist()
    [[[120, 100]]]
    """
    sx, zx = scalar_parameters("Conv", "x", x_qparams)
    sy, _ = scalar_parameters("Conv", "y", y_qparams)
    sw, zw = channel_parameters("Conv", w_qparams, w.shape, axis=0)
    acc = conv_accumulate(
        x,
        w,
        x_zero_point=zx,
        w_zero_point=zw,
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=group,
    )
    acc = add_bias("Conv", acc, bias, axis=1)
    multiplier = output_multiplier(sx, sw, sy, contract=contract)
    return rescale(
        "Conv",
        acc,
        multiplier.reshape(-1, *(1,) * (x.ndim - 2)),
        y_qparams=y_qparams,
        contract=contract,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def conv_integer(
    x: Codes,
    w: Codes,
    *,
    x_zero_point: ArrayLike = 0,
    w_zero_point: ArrayLike = 0,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
) -> NDArray[np.int32]:
    """Return the accumulator of ONNX ``ConvInteger``: eq. (3).

    ``w_zero_point`` is one number or one an output channel.  A sum outside int32 is an error.

    >>> conv_integer(np.array([[[7]]], np.uint8), np.array([[[3]]], np.int8),
    ...              x_zero_point=5).tolist()
    [[[6]]]
    """
    acc = conv_accumulate(
        x,
        w,
        x_zero_point=x_zero_point,
        w_zero_point=w_zero_point,
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=group,
    )
    return int32_accumulator(acc, op="ConvInteger")


def conv_integer_to_float(
    x: Codes,
    w: Codes,
    bias: Float | None = None,
    *,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike,
    w_qparams: QParams,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
) -> Float:
    """Return the float32 result of a dynamically quantized convolution: eq. (4).

    ``x``, ``x_scale`` and ``x_zero_point`` are the outputs of ``DynamicQuantizeLinear``;
    the zero point of the weights is 0; without ``bias`` nothing is added.

    >>> w_q = QParams(scale=np.float32(2), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> conv_integer_to_float(np.array([[[7]]], np.uint8), np.array([[[3]]], np.int8),
    ...     np.array([1.0], np.float32), x_scale=0.5, x_zero_point=5, w_qparams=w_q).tolist()
    [[[7.0]]]
    """
    sw, zw = channel_parameters("ConvIntegerToFloat", w_qparams, w.shape, axis=0)
    acc: Acc = conv_accumulate(
        x,
        w,
        x_zero_point=x_zero_point,
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=group,
    )
    y = to_float("ConvIntegerToFloat", acc, x_scale, sw, zw, axis=1)
    return add_bias("ConvIntegerToFloat", y, bias, axis=1)
