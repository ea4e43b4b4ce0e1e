r"""ggml's first 4- and 5-bit types with an importance: a search instead of a formula.

Given the importance a of each column of a matrix (the mean of the squares of what it is multiplied
by), ggml weighs the squared error of element i of a row by

.. math::

    w_i = a_i \sqrt{\sigma^2 + x_i^2}, \quad \sigma^2 = \frac{1}{n} \sum_{j=1}^{n} x_j^2    \tag{1}

with the mean over the whole *row*, summed from left to right in float32. The square root makes a
large value count more than a small one of the same column. Scale, minimum and codes of each block
of 32 then come from the searches of the K-quants: ``fit_scale`` for Q4_0 and Q5_0,
``fit_scale_min`` with 37 grids for Q4_1 and Q5_1, in which a minimum is never above zero.

As without an importance, d and m are rounded to halves after the codes are chosen. These searches
are compiled without fused multiply-add here; ``flavour`` has no meaning for them.

References
----------
ggml ``src/ggml-quants.c``, ``quantize_row_q4_0_impl`` to ``quantize_row_q5_1_impl``.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import checked_importance, value_blocks
from refquant.formats.ggml.k_blocks import columns
from refquant.formats.ggml.k_grids import Grids, fit_scale_min
from refquant.formats.ggml.k_search import fit_scale, sequential_sum
from refquant.formats.ggml.types import ggml_type

__all__ = ["encode_weighted", "search_minimum", "search_scale"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_CHUNK = 256  # blocks searched at a time: a candidate's arrays are 32 KiB, and fit the cache


def encode_weighted(
    x: F32, importance: F32, *, type: str, function: Callable[[F32, F32], U8]
) -> U8:
    """Return ``x`` (..., n) as bytes (..., n / 32 * block_bytes), by ``function``: eq. (1).

    ``function`` takes blocks, float32 (m, 32), and their weights, of the same shape; it returns
    uint8 (m, block_bytes). ``ValueError`` as in ``value_blocks`` and ``checked_importance``.

    >>> x, importance = np.full((1, 32), 3, np.float32), np.full(32, 2, np.float32)
    >>> def show(blocks, weights):  # 2 * sqrt(9 + 9)
    ...     print(round(float(weights[0, 0]), 3))
    ...     return np.zeros((len(blocks), 18), np.uint8)
    >>> encode_weighted(x, importance, type="Q4_0", function=show).shape
    8.485
    (1, 18)
    """
    kind = ggml_type(type)
    blocks = value_blocks(x, type=type)
    n = np.shape(x)[-1]
    columnwise = checked_importance(importance, n=n)
    out = np.empty((len(blocks), kind.block_bytes), np.uint8)
    if columnwise is not None and len(blocks):
        per_row = n // kind.block_size
        columnwise = columnwise.reshape(per_row, kind.block_size)
        with np.errstate(all="ignore"):  # an overflow, and 0 / 0 after it, as in C
            turned = columns(np.asarray(x).reshape(-1, n), n)  # sums go down a column, in C's order
            mean = sequential_sum(turned * turned) / np.float32(n)
            for start in range(0, len(blocks), _CHUNK):
                part = blocks[start : start + _CHUNK]
                row, place = np.divmod(np.arange(start, start + len(part)), per_row)
                weights = columnwise[place] * np.sqrt(mean[row, None] + part * part)
                out[start : start + _CHUNK] = function(part, weights)
    return out.reshape(*np.shape(x)[:-1], kind.row_bytes(n))


def search_scale(blocks: F32, weights: F32, *, half: int) -> tuple[F32, U8]:
    """Return d, float32 (m,), and codes of 0 to 2 half - 1, uint8 (m, 32), of Q4_0 and Q5_0.

    A block below 1e-15 has d = 0 and codes 0 (not ``half``: in ggml as here).

    >>> blocks = np.array([[4, 2, -1, 0]], np.float32)
    >>> [part.tolist() for part in search_scale(blocks, blocks * blocks, half=4)]
    [[-1.0], [[0, 2, 5, 4]]]
    """
    d, codes = fit_scale(
        columns(blocks, blocks.shape[1]), columns(weights, blocks.shape[1]), nmax=half
    )
    return d, np.ascontiguousarray(codes.T)


def search_minimum(blocks: F32, weights: F32, *, qmax: int) -> tuple[F32, F32, U8]:
    """Return d and m, float32 (m,), and codes of 0 to qmax, uint8 (m, 32), of Q4_1 and Q5_1.

    A constant block that is not above zero has d = 0 and codes 0.
    A minimum of zero that the search has kept has the sign of the block's first zero.

    >>> blocks = np.array([[-1, 0, 1, 2], [-0.0, 0, 0, 0]], np.float32)
    >>> [part.tolist() for part in search_minimum(blocks, np.ones_like(blocks), qmax=3)]
    [[1.0, 0.0], [-1.0, -0.0], [[0, 1, 2, 3], [0, 0, 0, 0]]]
    """
    unsigned = blocks + np.float32(0)  # -0.0 becomes 0.0: NumPy's min may return either
    d, m, codes = _fit(unsigned, weights, qmax=qmax, steps=36)
    first = (blocks == 0).argmax(axis=1)[:, None]
    negative = np.signbit(np.take_along_axis(blocks, first, axis=1))[:, 0]
    rows = np.flatnonzero((blocks.min(axis=1) == 0) & negative & (m == 0))
    if len(rows):
        # What the search has kept is what it returns without candidates: its error is not less.
        start = _fit(unsigned[rows], weights[rows], qmax=qmax, steps=-1)
        kept = (start[0] == d[rows]) & (start[2] == codes[rows]).all(axis=1)
        m[rows[kept]] = -0.0
    return d, m, codes


def _fit(blocks: F32, weights: F32, *, qmax: int, steps: int) -> tuple[F32, F32, U8]:
    size = blocks.shape[1]
    grids = Grids(nmax=qmax, start=-0.9, delta=0.05, steps=steps)
    with np.errstate(all="ignore"):
        d, negated, codes = fit_scale_min(columns(blocks, size), columns(weights, size), grids)
    return d, np.float32(0) - negated, np.ascontiguousarray(codes.T)
