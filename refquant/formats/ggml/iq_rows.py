r"""What the IQ types share: importance, weights of the search, grid values, scales of sub-blocks.

A block of 256 weights has one f16 scale d and small integer codes c for the scales of its
sub-blocks of 16 or 32. Eight weights are a grid point times signs:

.. math::

    \hat x_i = d \cdot (2 c + 1) \cdot u \cdot s_i \cdot g_i                      \tag{1}

where u is a power of two and g a table of small integers, both of the type. There are at most 11
bits in d, 5 in 2c + 1, 6 in g: the product is exact in float32, in any order.

The encoder minimizes a weighted error. From the importance a of a column (a mean of squared
activations) and the block's mean square :math:`\sigma^2 = f \cdot \sum x^2 / 256`, f = 1 or 2,

.. math::

    w_i = a_i \sqrt{\sigma^2 + x_i^2}, \qquad w_i = x_i^2 \text{ without importance}  \tag{2}

and the sub-blocks' scales s become codes by

.. math::

    d = \max s / T, \qquad c = \operatorname{clamp}(
        \operatorname{nearest\_int}((s / d - 1) / 2),\ 0,\ (T - 1) / 2)           \tag{3}

with s / d computed as s times the float32 1 / d. The d of eq. (3), not the stored half, chooses the
codes; most types then store d times a fudge factor.

**Arithmetic.** All float32, each operation rounded; sums strictly one element after the other.

References
----------
ggml ``src/ggml-quants.c``: the beginning and the end of every ``quantize_row_iq*_impl``.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import checked_importance, nearest_int, value_blocks
from refquant.formats.ggml.iq_signs import sign_factors
from refquant.formats.ggml.types import ggml_type

__all__ = [
    "encode_weighted",
    "grid_values",
    "search_weights",
    "sequential_sum",
    "sub_scale_codes",
    "variance",
]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

_CHUNK = 1 << 16  # elements worked on at a time: a block depends on no other


def encode_weighted(
    x: F32,
    importance: F32 | None,
    *,
    type: str,
    function: Callable[[F32, F32 | None], U8],
    required: bool = False,
) -> U8:
    """Return ``x`` (..., n) as bytes, by ``function`` of blocks and their importance, or None.

    ``function`` takes float32 (m, block_size), twice, and returns uint8 (m, block_bytes).
    ``ValueError`` for what ``blocks.value_blocks`` and ``blocks.checked_importance`` refuse, and
    for a missing importance where it is ``required``, as ggml does.

    >>> x = np.zeros((2, 64), np.float32)
    >>> encode_weighted(x, None, type="IQ4_NL", function=lambda x, w: np.zeros((len(x), 18))).shape
    (2, 36)
    """
    kind = ggml_type(type)
    blocks = value_blocks(x, type=type)
    shape = np.shape(x)
    weights = checked_importance(importance, n=shape[-1])
    if weights is None and required:
        raise ValueError(
            f"importance must be given for {kind.name}, as ggml requires: float32 of shape "
            f"({shape[-1]},), the mean squared activation of each column; got None"
        )
    if weights is not None:
        weights = np.broadcast_to(weights, shape).reshape(-1, kind.block_size)
    out = np.empty((len(blocks), kind.block_bytes), np.uint8)
    step = _CHUNK // kind.block_size
    with np.errstate(all="ignore"):  # as C: what overflows or is 0/0 is compared and not chosen
        for start in range(0, len(blocks), step):
            part = slice(start, start + step)
            out[part] = function(blocks[part], None if weights is None else weights[part])
    return out.reshape(*shape[:-1], kind.row_bytes(shape[-1]))


def sequential_sum(terms: F32) -> F32:
    """Return the sums over the last axis, one element after the other, in float32.

    ``np.sum`` adds in pairs and gets other bits: 2^24 + 1 stays 2^24, whatever follows.

    >>> float(sequential_sum(np.array([2.0**24, 1, 1, 1], np.float32))) - 2.0**24
    0.0
    """
    return np.asarray(np.add.accumulate(terms, axis=-1, dtype=np.float32)[..., -1], np.float32)


def variance(x: F32, *, factor: int) -> F32:
    """Return ``factor`` times the mean square of blocks (m, 256), as (m, 1).

    >>> variance(np.full((1, 256), 3, np.float32), factor=2).tolist()
    [[18.0]]
    """
    return np.float32(factor) * sequential_sum(x * x)[:, None] / np.float32(256)


def search_weights(x: F32, importance: F32 | None, *, factor: int) -> F32:
    """Return the weights of the search of blocks (m, 256): eq. (2).

    >>> search_weights(np.full((1, 256), 3, np.float32), None, factor=1)[0, :2].tolist()
    [9.0, 9.0]
    """
    if importance is None:
        return x * x
    return importance * np.sqrt(variance(x, factor=factor) + x * x)


def sub_scale_codes(scales: F32, *, top: int) -> tuple[F32, I32]:
    """Return d (m,) and codes (m, k) of the sub-blocks' scales (m, k): eq. (3), T = ``top``.

    Both are 0 where all scales are. ``ValueError`` for a NaN scale, which numbers whose squares
    leave float32 give; ggml aborts.

    >>> d, codes = sub_scale_codes(np.array([[3.1, 0.3, 0.0]], np.float32), top=31)
    >>> codes.tolist()
    [[15, 1, 0]]
    """
    if np.isnan(scales).any():
        raise ValueError("x: squares of values and weights must stay in float32; got a NaN scale")
    d = scales.max(axis=-1) / np.float32(top)
    codes = nearest_int(np.float32(0.5) * (np.float32(1) / d[:, None] * scales - np.float32(1)))
    codes = np.clip(codes, 0, (top - 1) // 2)
    return d, np.where(scales.max(axis=-1, keepdims=True) > 0, codes, 0).astype(np.int32)


def grid_values(scale: F32, table: F32, index: NDArray[np.integer], signs: U8) -> F32:
    """Return the values of points with signs, float32 (m, 256): eq. (1).

    ``scale`` (m, k) is that of each of k sub-blocks, ``table`` (points, dimensions) the grid in
    g's, ``index`` (m, 256 / dimensions), ``signs`` (m, 32).

    >>> table, index = np.array([[1.0] * 8, [3.0] * 8], np.float32), np.ones((1, 32), np.int64)
    >>> half, signs = np.full((1, 8), 0.5, np.float32), np.ones((1, 32), np.uint8)
    >>> grid_values(half, table, index, signs)[0, :3].tolist()
    [-1.5, 1.5, 1.5]
    """
    magnitudes = table[index].reshape(len(index), scale.shape[1], -1)
    values = (scale[:, :, None] * magnitudes).reshape(len(index), 256) * sign_factors(signs)
    return np.asarray(values, np.float32)
