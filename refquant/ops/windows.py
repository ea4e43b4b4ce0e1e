"""Sliding windows: the data movement that convolutions and pools share.

A window of ``kernel`` positions, ``dilation`` apart, moves over an axis of ``length`` elements
in steps of ``stride``.  With ``begin`` and ``end`` padded elements there are

    out = floor((begin + length + end - dilation * (kernel - 1) - 1) / stride) + 1         (1)

outputs, and output ``o`` sees at kernel position (*tap*) ``k`` the element

    padded[o * stride + k * dilation].                                                     (2)

So one tap, over all outputs at once, is one strided slice of the padded input, and

    convolution = taps side by side (columns) + a dot product                              (3)

whatever the arithmetic of the dot product.  The columns run over taps first (row-major), then
over the input channels of the group: the normative order of ``docs/spec/operators.md`` §1.

Left out: ``auto_pad``, ``ceil_mode``, three and more spatial axes, transposed convolution.

Source: ONNX operators ``Conv`` and ``MaxPool`` (default domain), attributes of the same names.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Dot",
    "Window",
    "columns",
    "convolve",
    "pad_spatial",
    "plan_conv",
    "plan_window",
    "taps",
]

Array = NDArray[Any]
Dot = Callable[[Array, Array], Array]

# Columns of at most this many elements at a time: memory is needed by the image, not by the batch.
_CHUNK_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True)
class Window:
    """A checked window: one entry a spatial axis in each field."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    dilations: tuple[int, ...]
    output: tuple[int, ...]


def plan_window(
    op: str,
    spatial: Sequence[int],
    *,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
) -> Window:
    """Check the attributes of ``op`` against ``spatial`` and count the outputs: eq. (1).

    ``pads`` is ONNX's: all begins, then all ends.  ``None`` is ONNX's default (1, or 0 for pads).

    >>> plan_window("Conv", (5,), kernel=(3,), strides=(2,), pads=(1, 0), dilations=None).output
    (2,)
    """
    rank = len(spatial)
    if rank not in (1, 2):
        raise ValueError(
            f"{op}: input must have 1 or 2 spatial axes (N C L or N C H W), got {rank}"
        )
    if any(length < 1 for length in spatial):
        raise ValueError(f"{op}: every spatial axis needs at least one element, got {spatial}")
    kernel = _integers(op, "kernel_shape", kernel, rank, 1)
    strides = _integers(op, "strides", (1,) * rank if strides is None else strides, rank, 1)
    dilations = _integers(op, "dilations", (1,) * rank if dilations is None else dilations, rank, 1)
    pads = _integers(op, "pads", (0,) * 2 * rank if pads is None else pads, 2 * rank, 0)
    begins, ends = pads[:rank], pads[rank:]
    output = []
    for axis, length in enumerate(spatial):
        padded = begins[axis] + length + ends[axis]
        extent = dilations[axis] * (kernel[axis] - 1) + 1
        if extent > padded:
            raise ValueError(
                f"{op}: on spatial axis {axis} the window covers {extent} elements but the padded "
                f"input has {padded}; use a smaller kernel or dilation, or larger pads"
            )
        output.append((padded - extent) // strides[axis] + 1)
    return Window(kernel, strides, begins, ends, dilations, tuple(output))


def plan_conv(
    op: str,
    x: Array,
    w: Array,
    *,
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
    dilations: Sequence[int] | None,
    group: int,
) -> Window:
    """Check the operands of the convolution ``op`` and return its window.

    ``x`` is (N, C, spatial), ``w`` is (M, C/group, kernel); ``group`` divides C and M.

    >>> x, w = np.zeros((1, 4, 8, 8)), np.zeros((6, 2, 3, 3))
    >>> plan_conv("Conv", x, w, strides=None, pads=None, dilations=None, group=2).output
    (6, 6)
    """
    if x.ndim not in (3, 4) or w.ndim != x.ndim:
        raise ValueError(
            f"{op}: x must be (N, C, L) or (N, C, H, W) and w have as many axes, "
            f"got x {x.shape} and w {w.shape}"
        )
    channels, (out_channels, per_group) = x.shape[1], w.shape[:2]
    if channels < 1 or out_channels < 1:
        raise ValueError(f"{op}: x and w need at least one channel, got x {x.shape}, w {w.shape}")
    if group < 1 or channels % group or out_channels % group:
        raise ValueError(
            f"{op}: attribute group must be >= 1 and divide C = {channels} and M = {out_channels}, "
            f"got {group}"
        )
    if per_group * group != channels:
        raise ValueError(
            f"{op}: w must be (M, C/group, kernel) with C/group = {channels // group}, "
            f"got w {w.shape}; transpose the weights or correct group"
        )
    return plan_window(
        op, x.shape[2:], kernel=w.shape[2:], strides=strides, pads=pads, dilations=dilations
    )


def _integers(op: str, name: str, values: Sequence[int], count: int, least: int) -> tuple[int, ...]:
    numbers = tuple(int(value) for value in values)
    if len(numbers) != count or any(number < least for number in numbers):
        raise ValueError(
            f"{op}: attribute {name} must be {count} integers >= {least}, got {list(values)}"
        )
    return numbers


def pad_spatial(x: Array, window: Window, value: float) -> Array:
    """Surround the spatial axes of ``x`` (N, C, spatial) with ``value``.

    >>> window = plan_window("Conv", (1,), kernel=(2,), strides=None, pads=(1, 2), dilations=None)
    >>> pad_spatial(np.array([[[5]]]), window, 9).tolist()
    [[[9, 5, 9, 9]]]
    """
    widths = [(0, 0), (0, 0), *zip(window.begins, window.ends, strict=True)]
    return np.pad(x, widths, constant_values=value)


def taps(padded: Array, window: Window) -> Iterator[Array]:
    """Yield a view (N, C, output) for each tap, row-major: eq. (2).

    >>> window = plan_window("Conv", (4,), kernel=(2,), strides=None, pads=None, dilations=(2,))
    >>> [view.tolist() for view in taps(np.array([[[10, 11, 12, 13]]]), window)]
    [[[[10, 11]]], [[[12, 13]]]]
    """
    for position in itertools.product(*(range(size) for size in window.kernel)):
        slices = [
            slice(start := k * dilation, start + (out - 1) * stride + 1, stride)
            for k, dilation, stride, out in zip(
                position, window.dilations, window.strides, window.output, strict=True
            )
        ]
        yield padded[(slice(None), slice(None), *slices)]


def columns(x: Array, window: Window, *, group: int) -> Array:
    """Lay the taps of ``x`` (N, C, spatial) side by side: (group, taps * C/group, N * outputs).

    Padding is 0 (integers: the caller has subtracted the zero point).

    >>> window = plan_window("Conv", (3,), kernel=(2,), strides=None, pads=None, dilations=None)
    >>> columns(np.array([[[1, 2, 3], [4, 5, 6]]]), window, group=1).tolist()
    [[[1, 2], [4, 5], [2, 3], [5, 6]]]
    """
    images, channels = x.shape[:2]
    per_group, outputs = channels // group, math.prod(window.output)
    result = np.empty((group, math.prod(window.kernel), per_group, images, outputs), x.dtype)
    for tap, view in enumerate(taps(pad_spatial(x, window, 0), window)):
        grouped = view.reshape(images, group, per_group, outputs)
        result[:, tap] = grouped.transpose(1, 2, 0, 3)  # -> (group, C/group, N, outputs)
    return result.reshape(group, result.shape[1] * per_group, images * outputs)


def convolve(x: Array, w: Array, window: Window, *, group: int, dot: Dot) -> Array:
    """Convolve ``x`` (N, C, spatial) with ``w`` (M, C/group, kernel) by ``dot``: eq. (3).

    ``dot`` multiplies (group, M/group, K) by (group, K, P), K in the order of the columns.
    Shapes were checked by the caller.  Returns (N, M, output).

    >>> window = plan_window("Conv", (3,), kernel=(2,), strides=None, pads=None, dilations=None)
    >>> x, w = np.array([[[1, 2, 3]]]), np.array([[[1, 10]]])
    >>> convolve(x, w, window, group=1, dot=np.matmul).tolist()
    [[[21, 32]]]
    """
    images, out_channels = x.shape[0], w.shape[0]
    by_tap = w.reshape(group, out_channels // group, w.shape[1], -1).swapaxes(2, 3)
    rows = by_tap.reshape(group, out_channels // group, -1)  # K = (taps, C/group)
    outputs = math.prod(window.output)
    widest = max(out_channels, group * rows.shape[2]) * outputs
    step = max(1, _CHUNK_ELEMENTS // widest)
    parts = []
    for start in range(0, max(images, 1), step):  # an empty batch is one empty part
        part = x[start : start + step]
        sums = dot(rows, columns(part, window, group=group))  # (group, M/group, N * outputs)
        by_image = sums.reshape(out_channels, len(part), outputs).swapaxes(0, 1)
        parts.append(by_image.reshape(len(part), out_channels, *window.output))
    return np.concatenate(parts)
