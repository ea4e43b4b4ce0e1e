"""Float convolution and matrix product, with weights in float32 or in codes (weight-only).

Contract: ``docs/spec/operators.md`` section 1: from +0.0, products in ascending order, each product
and each sum rounded to float32, then the bias, then a fused ``Relu`` or ``Clip``. The same bits on
every instruction set, because a tile adds in exactly this order and never fuses.

Weight-only: a panel of ``kc * taps`` rows by ``nr`` columns is decoded, ``(code - zero_point) *
scale`` or ``table[code] * scale``, into this thread's scratch, then used by all of the thread's
tiles. Codes lie packed, one byte holding ``8 / bits`` consecutive rows of one column.
"""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.abi import bits_f32, f32_at, i32_at, share, u8_at
from refquant_runtime.kernels.decode_rows import decode_row
from refquant_runtime.kernels.pointers import call_f32_tile, offset
from refquant_runtime.kernels.window import MR, ROWS, TAPS, WINDOW, fill_offsets

__all__ = ["FIELDS", "gemm_f32"]

FIELDS = (
    *WINDOW,
    *[
        "y",
        "weights",
        "bias",
        "n",
        "kc",
        "nr",
        "tile",
        "scratch",
        "scratch_size",
        "pad_size",
        "y_stride",
        "y_begin",
        "low",
        "high",
        "bits",
        "scales",
        "zeros",
        "block_of",
        "panel_bytes",
        "groups",
        "signed",
        "tabled",
        "table",
    ],
)  # fmt: skip
(
    Y, WEIGHTS, BIAS, N, KC, NR, TILE, SCRATCH, SCRATCH_SIZE, PAD_SIZE, Y_STRIDE, Y_BEGIN, LOW,
    HIGH, BITS, SCALES, ZEROS, BLOCK_OF, PANEL_BYTES, GROUPS, SIGNED, TABLED,
    TABLE,
) = range(len(WINDOW), len(FIELDS))  # fmt: skip


@njit(nogil=True, error_model="numpy")
def decode_panel(consts: Any, p: Any, panel: int, out: Any) -> None:
    """Dequantize one panel of codes into ``out``, rows of ``nr`` float32."""
    nr, bits = p[NR], p[BITS]
    codes = u8_at(consts, p[WEIGHTS] + panel * p[PANEL_BYTES])
    block_of, marks = i32_at(consts, p[BLOCK_OF]), f32_at(consts, p[TABLE])
    table = panel * p[GROUPS] * nr * 4
    mask, per_byte = np.int32((1 << bits) - 1), 8 // bits
    top = np.int32(1 << (bits - 1)) if p[SIGNED] else np.int32(0)
    for k in range(p[TAPS] * p[KC]):
        line = u8_at(codes, (k // per_byte) * nr)
        shift = np.int32((k % per_byte) * bits)
        scale = f32_at(consts, p[SCALES] + table + block_of[k] * nr * 4)
        row = k * nr
        if p[TABLED]:
            for j in range(nr):
                out[row + j] = marks[(np.int32(line[j]) >> shift) & mask] * scale[j]
            continue
        zero = f32_at(consts, p[ZEROS] + table + block_of[k] * nr * 4)
        decode_row(line, scale, zero, offset(out, row), nr, shift, mask, top)


def gemm_f32(arena: Any, consts: Any, p: Any, tid: int, nthreads: int) -> None:
    """Compute this thread's tiles of one float matrix product or convolution."""
    mr, nr, taps, kc, n, rows = p[MR], p[NR], p[TAPS], p[KC], p[N], p[ROWS]
    scratch = p[SCRATCH] + tid * p[SCRATCH_SIZE]  # sums, offsets, padding, decoded panel
    offsets_at = scratch + mr * nr * 4
    pad = offsets_at + mr * taps * 4
    acc, offsets, pad_row = f32_at(arena, scratch), i32_at(arena, offsets_at), f32_at(arena, pad)
    decoded = f32_at(arena, pad + p[PAD_SIZE] * 4)
    for i in range(p[PAD_SIZE]):
        pad_row[i] = np.float32(0)
    low, high = bits_f32(p[LOW]), bits_f32(p[HIGH])
    tiles, panels = (rows + mr - 1) // mr, (n + nr - 1) // nr
    begin, end = share(tiles * panels, tid, nthreads)
    ready = np.int64(-1)
    for item in range(begin, end):
        panel = item // tiles
        first = (item - panel * tiles) * mr
        fill_offsets(p, pad, first, offsets)
        if p[BITS] == 32:
            weights = f32_at(consts, p[WEIGHTS] + panel * taps * kc * nr * 4)
        else:
            weights = decoded
            if ready != panel:
                decode_panel(consts, p, panel, decoded)
                ready = panel
        call_f32_tile(p[TILE], f32_at(arena, 0), offsets, taps, kc, weights, acc)
        column = panel * nr
        bias = f32_at(consts, p[BIAS] + column * 4)
        for r in range(min(mr, rows - first)):
            line = f32_at(arena, scratch + r * nr * 4)
            row = (first + r) * p[Y_STRIDE] + p[Y_BEGIN] + column
            out = f32_at(arena, p[Y] + row * 4)
            for j in range(min(nr, n - column)):
                value = line[j] + bias[j]
                value = low if value <= low else value  # NaN passes
                out[j] = high if value > high else value
