"""Where a window finds its rows: the offset tables of convolution, depthwise and pooling.

The first fields of a plan row describe a window that slides over images of ``in_h x in_w`` pixels,
``row_bytes`` bytes a pixel (channels last). Offsets count *elements* of ``1 << shift`` bytes from
the arena's start, in int32: the planner keeps the arena below 2 GiB.
"""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["TAPS", "WINDOW", "advance", "fill_offsets"]

WINDOW = [
    "x", "rows", "mr", "taps", "out_h", "out_w", "in_h", "in_w", "row_size", "image_size",
    "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w",
    "element", "copies",
]  # fmt: skip
(
    X, ROWS, MR, TAPS, OUT_H, OUT_W, IN_H, IN_W, ROW_SIZE, IMAGE_SIZE, KERNEL_W, STRIDE_H,
    STRIDE_W, PAD_H, PAD_W, DILATION_H, DILATION_W, ELEMENT, COPIES,
) = range(len(WINDOW))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def fill_offsets(p: Any, pad: int, first: int, offsets: Any) -> None:
    """Write ``offsets[tap * mr + r]``: where the arena holds that tap of pixel ``first + r``.

    ``p[X]``, ``pad``: bytes; ``row_size``, ``image_size``: elements. Rows past the end repeat the
    last one: a tile computes them, nobody stores them. ``taps`` counts every position ``copies``
    times: weights too wide for int8 are written as a sum of that many (see the packer).
    """
    mr, rows, size = p[MR], p[ROWS], p[ROW_SIZE]
    x = p[X] >> p[ELEMENT]
    positions = p[TAPS] // p[COPIES]
    if p[KERNEL_W] == 0:  # a plain matrix: one position, rows one after the other
        for r in range(mr):
            offsets[r] = np.int32(x + min(first + r, rows - 1) * size)
    else:
        slide(p, pad, first, offsets, positions)
    for i in range(positions * mr, p[TAPS] * mr):
        offsets[i] = offsets[i - positions * mr]


@njit(nogil=True, error_model="numpy")
def slide(p: Any, pad: int, first: int, offsets: Any, positions: int) -> None:
    """Fill the table of :func:`fill_offsets` for a real window, pixel after pixel."""
    mr, rows, size = p[MR], p[ROWS], p[ROW_SIZE]
    x = p[X] >> p[ELEMENT]
    outside = np.int32(pad >> p[ELEMENT])
    pixels = p[OUT_H] * p[OUT_W]
    image = first // pixels
    oy = (first - image * pixels) // p[OUT_W]
    ox = first - image * pixels - oy * p[OUT_W]
    base = x + image * p[IMAGE_SIZE]
    kernel_h = positions // p[KERNEL_W]
    for r in range(mr):
        tap = r
        for ky in range(kernel_h):
            iy = oy * p[STRIDE_H] - p[PAD_H] + ky * p[DILATION_H]
            row_in = iy >= 0 and iy < p[IN_H]
            line = base + iy * p[IN_W] * size
            ix = ox * p[STRIDE_W] - p[PAD_W]
            for _ in range(p[KERNEL_W]):
                if row_in and ix >= 0 and ix < p[IN_W]:
                    offsets[tap] = np.int32(line + ix * size)
                else:
                    offsets[tap] = outside
                tap += mr
                ix += p[DILATION_W]
        if first + r + 1 < rows:
            ox += 1
            if ox == p[OUT_W]:
                ox = 0
                oy += 1
                if oy == p[OUT_H]:
                    oy = 0
                    base += p[IMAGE_SIZE]


@njit(nogil=True, error_model="numpy")
def advance(p: Any, pad: int, row: int, anew: bool, offsets: Any) -> None:
    """Make the table of pixel ``row`` (``mr`` = 1) from that of the pixel before it.

    Inside the image every tap just moves on by one stride; at a border, or ``anew``, the table is
    filled from scratch.
    """
    line = row // p[OUT_W]
    ox = row - line * p[OUT_W]
    iy = (line % p[OUT_H]) * p[STRIDE_H] - p[PAD_H]
    left = (ox - 1) * p[STRIDE_W] - p[PAD_W]
    kernel_h = p[TAPS] // p[KERNEL_W] if p[KERNEL_W] > 0 else 1
    bottom = iy + (kernel_h - 1) * p[DILATION_H]
    right = left + p[STRIDE_W] + (p[KERNEL_W] - 1) * p[DILATION_W]
    inside = ox > 0 and iy >= 0 and bottom < p[IN_H] and left >= 0 and right < p[IN_W]
    if anew or not inside:
        fill_offsets(p, pad, row, offsets)
        return
    step = np.int32(p[STRIDE_W] * p[ROW_SIZE])
    for tap in range(p[TAPS]):
        offsets[tap] = np.int32(offsets[tap] + step)
