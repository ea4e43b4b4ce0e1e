"""Integer convolution and matrix product: 8-bit codes in, codes, int32 or float32 out.

One kernel for all: ``acc[row, n] = seed[n] + sum over taps and channels of x * w`` on the tiles of
:mod:`refquant_runtime.kernels.tiles`. A convolution is a matrix product whose rows are gathered by
an **offset table**: for each tap of the window, where the row's channels begin (padding points to a
row of zero points). The table of one tile is filled just before the tile runs; a plain matrix
product has one tap. Contract: ``docs/spec/operators.md`` sections 3 to 5.

The weights' zero point is 0 here. That of x, the +128 that makes signed codes unsigned, and the
bias are folded into ``seed`` when the plan is built; int32 sums wrap on the way and are exact at
the end, because the loader proved that the final value fits.
"""

from typing import Any

import numpy as np

from refquant_runtime.kernels.abi import f32_at, i32_at, share, u8_at
from refquant_runtime.kernels.pointers import call_int8_tile
from refquant_runtime.kernels.requantize import EPILOGUE, MODE, X_SCALE, X_ZERO, store_row
from refquant_runtime.kernels.window import MR, ROWS, TAPS, WINDOW, fill_offsets

__all__ = ["FIELDS", "gemm_i8"]

FIELDS = (
    *WINDOW,
    *EPILOGUE,
    *[
        "weights",
        "n",
        "kc",
        "nr",
        "tile",
        "flip",
        "scratch",
        "scratch_size",
        "pad_value",
        "pad_size",
        "each_row",
    ],
)  # fmt: skip
(
    WEIGHTS, N, KC, NR, TILE, FLIP, SCRATCH, SCRATCH_SIZE, PAD_VALUE, PAD_SIZE, EACH_ROW,
) = range(len(WINDOW) + len(EPILOGUE), len(FIELDS))  # fmt: skip


def gemm_i8(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's tiles of one integer matrix product or convolution."""
    mr, nr, taps, kc, n, rows = p[MR], p[NR], p[TAPS], p[KC], p[N], p[ROWS]
    scratch = p[SCRATCH] + tid * p[SCRATCH_SIZE]  # sums, offsets, the row of padding
    offsets_at = scratch + mr * nr * 4
    pad = offsets_at + mr * taps * 4
    acc, offsets, pad_row = i32_at(arena, scratch), i32_at(arena, offsets_at), u8_at(arena, pad)
    x_zero, x_scale, pad_value = np.int64(0), np.float32(0), p[PAD_VALUE]
    if p[X_ZERO] >= 0:  # dynamic: the zero point is known only now
        pad_value = np.int64(u8_at(arena, p[X_ZERO])[0])
        x_zero = pad_value ^ (p[FLIP] & 255)
    if p[MODE] == 3 or p[MODE] > 5:
        x_scale = f32_at(arena, p[X_SCALE])[0]
    for i in range(p[PAD_SIZE]):
        pad_row[i] = np.uint8(pad_value)
    tiles, panels = (rows + mr - 1) // mr, (n + nr - 1) // nr
    begin, end = share(tiles * panels, tid, nthreads)
    for item in range(begin, end):
        panel = item // tiles  # panel by panel: its weights stay in the cache
        first = (item - panel * tiles) * mr
        fill_offsets(p, pad, first, offsets)
        weights = u8_at(consts, p[WEIGHTS] + panel * taps * kc * nr * 4)
        call_int8_tile(p[TILE], arena, offsets, taps, kc, weights, acc, np.uint32(p[FLIP]))
        column = panel * nr
        width = min(nr, n - column)
        for r in range(min(mr, rows - first)):
            line = i32_at(arena, scratch + r * nr * 4)
            if p[EACH_ROW]:
                x_zero = np.int64(u8_at(arena, p[X_ZERO])[first + r])
                x_scale = f32_at(arena, p[X_SCALE])[first + r]
            store_row(arena, consts, p, line, first + r, column, width, x_zero, x_scale)
