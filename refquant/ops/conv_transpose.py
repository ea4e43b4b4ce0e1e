"""Transposed convolution: every input element adds its kernel to the output.

With s = strides, d = dilations, p = pads, the element i of x reaches, through tap k, the output

    o = i s + k d - p.                                                                         (1)

Read from the output it is a convolution again, and computed as one: put s - 1 zeros between the
elements of x, pad it with d (k - 1) - p at either side (and ``output_padding`` at the end), mirror
the kernel, exchange its two channel axes inside each group:

    y = Conv(stuffed x, mirrored w),   out = s (n-1) + output_padding + d (k-1) + 1 - p - p'   (2)

The order of sums is that convolution's: a zero between elements adds +0.0 times a weight. On codes
a zero is the zero point, which adds nothing, and sums are exact: :mod:`refquant.ops.conv`, eq. (2)
and (4), of the same x and w. Weights are (C, M/group, kernel), so output channels are axis 1, and
one scale an output channel is a grid (group, M/group, 1, 1), each of blocks (C/group, 1, kernel);
a grid (1, M/group, 1, 1), ONNX's ``axis`` = 1, is shared by the groups.

Left out: ``output_shape``, ``auto_pad`` (importers turn them into pads), pads beyond d (k - 1).

Source: ONNX ``ConvTranspose``; ``docs/spec/operators.md`` §4, §5 and §10. TFLite's
``reference/integer_ops/transpose_conv.h`` has the same exact sum, then bias, then requantization.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.ops.conv import conv_f32, conv_integer_to_float, conv_quantized
from refquant.ops.rescale import need_float32, scalar_parameters

__all__ = [
    "conv_transpose",
    "conv_transpose_integer_to_float",
    "conv_transpose_quantized",
    "mirrored",
    "mirrored_qparams",
    "transposed_pads",
]

Array = NDArray[Any]
Float = NDArray[np.float32]


def conv_transpose(
    x: Float,
    w: Float,
    bias: Float | None = None,
    *,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    group: int = 1,
    sums: str = "ordered",
) -> Float:
    """Return eq. (2): ``x`` (N, C, spatial), ``w`` (C, M/group, kernel), result (N, M, spatial).

    >>> x = np.array([[[1, 2]]], np.float32)
    >>> conv_transpose(x, np.array([[[1, 10]]], np.float32), strides=[2]).tolist()
    [[[1.0, 10.0, 2.0, 20.0]]]
    """
    need_float32("ConvTranspose", x=x, w=w)
    window = strides, pads, dilations, output_padding
    stuffed, kernel, given = _convolution("ConvTranspose", x, w, 0, *window, group)
    return conv_f32(stuffed, kernel, bias, **given, sums=sums)


def conv_transpose_quantized(
    x: Array,
    w: Array,
    bias: NDArray[np.int32] | None = None,
    *,
    x_qparams: QParams,
    w_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    group: int = 1,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Array:
    """Return the codes of eq. (2) of codes; between the elements of x are zero points.

    Weights are quantized per tensor or per output channel (above); ``bias`` (M,) is int32 in units
    of sx * sw[c]; clamps are codes of y. `ValueError` as `refquant.ops.conv.conv_quantized`.

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> x_qparams = QParams(np.float32(1), np.int32(-1), None, "int8")
    >>> x, w = np.array([[[0, 1]]], np.int8), np.array([[[1, 10]]], np.int8)
    >>> conv_transpose_quantized(x, w, np.array([100], np.int32), x_qparams=x_qparams,
    ...     w_qparams=one, y_qparams=one, contract=preset("onnx"), strides=[3]).tolist()
    [[[101, 110, 100, 102, 120]]]
    """
    _, zero_point = scalar_parameters("ConvTranspose", "x", x_qparams)
    window = strides, pads, dilations, output_padding
    stuffed, kernel, given = _convolution("ConvTranspose", x, w, zero_point, *window, group)
    return conv_quantized(
        stuffed,
        kernel,
        bias,
        x_qparams=x_qparams,
        w_qparams=mirrored_qparams(w_qparams, w.shape, group),
        y_qparams=y_qparams,
        contract=contract,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
        **given,
    )


def conv_transpose_integer_to_float(
    x: Array,
    w: Array,
    bias: Float | None = None,
    *,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike,
    w_qparams: QParams,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    group: int = 1,
) -> Float:
    """Return the float32 result of a dynamically quantized transposed convolution.

    ``x``, ``x_scale`` and ``x_zero_point`` are the outputs of ``DynamicQuantizeLinear``; the zero
    point of the weights is 0.

    >>> w_q = QParams(scale=np.float32(2), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> x, w = np.array([[[7]]], np.uint8), np.array([[[3, 4]]], np.int8)
    >>> conv_transpose_integer_to_float(x, w, x_scale=0.5, x_zero_point=5, w_qparams=w_q).tolist()
    [[[6.0, 8.0]]]
    """
    op, zero_point = "ConvTransposeIntegerToFloat", np.asarray(x_zero_point)
    if zero_point.size != 1:
        raise ValueError(f"{op}: x_zero_point must be one number, got shape {zero_point.shape}")
    window = strides, pads, dilations, output_padding
    stuffed, kernel, given = _convolution(op, x, w, int(zero_point.reshape(())), *window, group)
    return conv_integer_to_float(
        stuffed,
        kernel,
        bias,
        x_scale=x_scale,
        x_zero_point=zero_point,
        w_qparams=mirrored_qparams(w_qparams, w.shape, group),
        **given,
    )


def _convolution(
    op: str,
    x: Array,
    w: Array,
    zero: int,
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
    output_padding: Sequence[int] | None,
    group: int,
) -> tuple[Array, Array, Mapping[str, Any]]:
    """Return the operands of eq. (2), ``zero`` between the elements of x, and its attributes."""
    if x.ndim not in (3, 4) or w.ndim != x.ndim or w.shape[0] != x.shape[1]:
        raise ValueError(
            f"{op}: x must be (N, C, L) or (N, C, H, W) and w (C, M/group, kernel), got "
            f"x {x.shape} and w {w.shape}"
        )
    if group < 1 or x.shape[1] % group:
        raise ValueError(f"{op}: group divides C = {x.shape[1]}, got {group}")
    rank = x.ndim - 2
    steps = tuple(strides or (1,) * rank)
    apart = tuple(dilations or (1,) * rank)
    around = transposed_pads(w.shape[2:], pads, apart, output_padding)
    sizes = (s * (n - 1) + 1 for s, n in zip(steps, x.shape[2:], strict=True))
    stuffed = np.full((*x.shape[:2], *sizes), zero, x.dtype)
    stuffed[(slice(None), slice(None), *(slice(None, None, s) for s in steps))] = x
    return stuffed, mirrored(w, group), {"pads": around, "dilations": apart, "group": group}


def mirrored(w: Array, group: int = 1) -> Array:
    """Return the kernel (M, C/group, kernel) of the convolution for ``w`` (C, M/group, kernel).

    >>> mirrored(np.array([[[1, 10]], [[2, 20]]])).tolist()
    [[[10, 1], [20, 2]]]
    """
    grouped = w.reshape(group, w.shape[0] // group, *w.shape[1:]).swapaxes(1, 2)
    flat = grouped.reshape(-1, *grouped.shape[2:])
    return np.ascontiguousarray(np.flip(flat, tuple(range(2, w.ndim))))


def mirrored_qparams(qparams: QParams, shape: tuple[int, ...], group: int = 1) -> QParams:
    """Return the parameters of `mirrored` weights of ``shape``: (M, 1, ...), one a channel.

    `ValueError` unless they are one number, or the grid (group, M/group, 1, ...) or, shared by the
    groups, (1, M/group, 1, ...).

    >>> q = QParams(np.float32([[[1], [2]]]), np.int32(np.zeros((1, 2, 1))), (4, 1, 3), "int8")
    >>> mirrored_qparams(q, (4, 2, 3), 2).scale.tolist()
    [[[1.0]], [[2.0]], [[1.0]], [[2.0]]]
    """
    if qparams.block_shape is None:
        return qparams
    rest = (1,) * (len(shape) - 2)
    parts: list[Any] = []
    for name, values in (("scale", qparams.scale), ("zero point", qparams.zero_point)):
        array = np.asarray(values)
        if array.size != 1 and array.shape not in ((group, shape[1], *rest), (1, shape[1], *rest)):
            raise ValueError(
                f"ConvTranspose: the {name} of w {shape} must be one number or one an output "
                f"channel (shape {(group, shape[1], *rest)}, or {(1, shape[1], *rest)} for all "
                f"groups), got shape {array.shape}; dequantize finer blocks first"
            )
        wide = np.broadcast_to(array.reshape(array.shape[:2]), (group, shape[1]))
        parts.append(wide.reshape(-1, 1, *rest))
    block = (1, shape[0] // group, *shape[2:])
    return QParams(parts[0], parts[1], block, qparams.dtype, qparams.narrow)


def transposed_pads(
    kernel: Sequence[int],
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
    output_padding: Sequence[int] | None,
) -> tuple[int, ...]:
    """Return what pads the stuffed x: d (k - 1) - p before, and so on after it; all >= 0.

    >>> transposed_pads((3,), (1, 1), None, (1,))
    (1, 2)
    """
    rank = len(kernel)
    given = tuple(pads or (0,) * 2 * rank)
    extra = tuple(output_padding or (0,) * rank)
    apart = tuple(dilations or (1,) * rank)
    reach = [d * (k - 1) for k, d in zip(kernel, apart, strict=True)]
    begins = [r - p for r, p in zip(reach, given[:rank], strict=True)]
    ends = [r - p + e for r, p, e in zip(reach, given[rank:], extra, strict=True)]
    if min(given + extra) < 0 or min(begins + ends) < 0:
        raise ValueError(
            f"ConvTranspose: pads are at most dilations * (kernel - 1) = {reach}, got {given}"
        )
    return (*begins, *ends)
