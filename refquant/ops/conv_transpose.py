"""Transposed convolution: every input element adds its kernel to the output.

With s = strides, d = dilations, p = pads, the element i of x reaches, through tap k, the output

    o = i s + k d - p.                                                                         (1)

Read from the output it is a convolution again, and computed as one: put s - 1 zeros between the
elements of x, pad it with d (k - 1) - p at either side (and ``output_padding`` at the end), mirror
the kernel, exchange its two channel axes inside each group:

    y = Conv(stuffed x, mirrored w),   out = s (n-1) + output_padding + d (k-1) + 1 - p - p'   (2)

The order of sums is that convolution's: a zero between elements adds +0.0 times a weight.

Left out: ``output_shape``, ``auto_pad`` (importers turn them into pads), pads beyond d (k - 1).

Source: ONNX ``ConvTranspose``; ``docs/spec/operators.md`` §10.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.ops.conv import conv_f32
from refquant.ops.rescale import need_float32

__all__ = ["conv_transpose", "transposed_pads"]

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
    if x.ndim not in (3, 4) or w.ndim != x.ndim or w.shape[0] != x.shape[1]:
        raise ValueError(
            f"ConvTranspose: x must be (N, C, L) or (N, C, H, W) and w (C, M/group, kernel), got "
            f"x {x.shape} and w {w.shape}"
        )
    if group < 1 or x.shape[1] % group:
        raise ValueError(f"ConvTranspose: group divides C = {x.shape[1]}, got {group}")
    rank = x.ndim - 2
    steps = tuple(strides or (1,) * rank)
    apart = tuple(dilations or (1,) * rank)
    around = transposed_pads(w.shape[2:], pads, apart, output_padding)
    stuffed = np.zeros(
        (*x.shape[:2], *(s * (n - 1) + 1 for s, n in zip(steps, x.shape[2:], strict=True))),
        np.float32,
    )
    stuffed[(slice(None), slice(None), *(slice(None, None, s) for s in steps))] = x
    grouped = w.reshape(group, w.shape[0] // group, *w.shape[1:]).swapaxes(1, 2)
    mirrored = np.flip(grouped.reshape(-1, *grouped.shape[2:]), tuple(range(2, w.ndim)))
    kernel = np.ascontiguousarray(mirrored)
    return conv_f32(stuffed, kernel, bias, pads=around, dilations=apart, group=group, sums=sums)


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
