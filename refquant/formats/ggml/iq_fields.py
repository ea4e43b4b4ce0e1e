r"""The fields of a block of IQ2 or IQ3, before they are packed into bytes; and how to find them.

A block of 256 is a scale d, codes c of the sub-blocks' scales, point numbers, and sign bytes:

.. math::

    \hat x_i = d \cdot (2 c + 1) \cdot u \cdot s_i \cdot g_i                      \tag{1}

(``iq_rows.py``). The five types differ in the layout, the grid, the sub-blocks' size, the search
(``iq_scales.py``), whether signs have even parity (``iq_signs.py``), and the factor on the stored
d, which ggml found by trying. A sub-block of zeros has scale code 0, point 0 and no minus signs:
none of the types has a zero, so it decodes to the smallest magnitude there is.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_iq2_xs_impl`` and its kin.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.iq_grids import grid_levels
from refquant.formats.ggml.iq_rows import grid_values, sub_scale_codes
from refquant.formats.ggml.iq_scales import GridSearch, fit_sub_blocks, largest_value
from refquant.formats.ggml.iq_signs import even_signs, split_signs

__all__ = ["GridFields", "GridReading", "find_fields"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class GridFields:
    """``scale`` d (m,), ``codes`` c (m, sub-blocks), ``points`` (m, groups), ``signs`` (m, 32)."""

    scale: F32
    codes: I32
    points: I32
    signs: U8


@dataclass(frozen=True, slots=True, eq=False)
class GridReading:
    """How a type reads its blocks: ``unpack`` returns the fields of bytes (m, block_bytes).

    ``grid`` is a key of ``iq_grids.GRIDS``, ``levels`` the value of each of its levels, ``unit`` u
    of eq. (1), and ``formula`` the sub-scale in words, for ``iq_card.grid_steps``.

    >>> one = np.ones((1, 64), np.int32)
    >>> fields = GridFields(np.ones(1, np.float32), one[:, :8], one, one[:, :32].astype(np.uint8))
    >>> odd = np.arange(1, 16, 2, dtype=np.float32)
    >>> reading = GridReading(lambda data: fields, "iq3_s", odd, 0.5, "d * (1 + 2 c) / 2")
    >>> reading.table()[1].tolist(), reading.decode(np.zeros((1, 110), np.uint8))[0, :5].tolist()
    ([3.0, 1.0, 1.0, 1.0], [-4.5, 1.5, 1.5, 1.5, 4.5])
    """

    unpack: Callable[[U8], GridFields]
    grid: str
    levels: F32
    unit: float
    formula: str

    def table(self) -> F32:
        """Return the points of the grid as values, (points, dimensions)."""
        return np.asarray(self.levels[grid_levels(self.grid)])

    def sub_scales(self, fields: GridFields) -> F32:
        """Return d (2 c + 1) u of each sub-block, (m, sub-blocks): exact, 11 + 5 bits."""
        steps = (1 + 2 * fields.codes).astype(np.float32)
        return fields.scale[:, None] * steps * np.float32(self.unit)

    def decode(self, blocks: U8) -> F32:
        """Return the values (m, 256) of bytes (m, block_bytes): eq. (1)."""
        fields = self.unpack(blocks)
        return grid_values(self.sub_scales(fields), self.table(), fields.points, fields.signs)


def find_fields(
    x: F32,
    weights: F32,
    *,
    sub_block: int,
    even: bool,
    search: GridSearch,
    start: tuple[F32, F32] | None = None,
) -> GridFields:
    """Return the fields of blocks ``x`` (m, 256), with ``weights`` of that shape; d as float32.

    ``even`` says whether signs have even parity. ``start`` is span and first scale of each
    sub-block, (m * 256 / sub_block,), None for max x and max x / Q; a span of 0 is a sub-block
    without a search.

    >>> search = GridSearch(
    ...     grid="iq3_s", distances=3, trials=9, step=0.2, refine="whole", smallest=0)
    >>> x = np.full((1, 256), -1, np.float32)
    >>> fields = find_fields(x, x * x, sub_block=32, even=False, search=search)
    >>> fields.codes[0].tolist(), int(fields.points[0, 0]), int(fields.signs[0, 0])
    ([15, 15, 15, 15, 15, 15, 15, 15], 437, 255)
    """
    values, signs = even_signs(x, weights) if even else split_signs(x)
    values, flat = values.reshape(-1, sub_block), weights.reshape(-1, sub_block)
    signs = signs.reshape(len(values), -1)
    largest = largest_value(values)
    live = (largest >= np.float32(search.smallest)) & (largest != 0)
    span, scale = (largest, largest / np.float32(search.top)) if start is None else start
    live &= ~(span <= 0)  # a NaN goes on, and is refused as a scale
    scales = np.zeros(len(values), np.float32)
    points = np.zeros((len(values), sub_block // 4 if search.top > 5 else sub_block // 8), np.int32)
    if live.any():
        scales[live], points[live] = fit_sub_blocks(
            values[live], flat[live], span=span[live], scale=scale[live], search=search
        )
    signs = signs * live[:, None].astype(np.uint8)
    signs ^= np.where(scales < 0, np.uint8(255), np.uint8(0))[:, None]
    d, codes = sub_scale_codes(np.abs(scales).reshape(len(x), -1), top=31)
    shape = (len(x), -1)
    return GridFields(d, codes, points.reshape(shape), signs.reshape(shape))
