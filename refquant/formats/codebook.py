r"""Codebooks: a short ascending list of reals; a code is the place of a real in it.

Weights are not spread evenly, so evenly spaced marks waste codes. A codebook c puts its marks where
it likes, and a value is written as the nearest entry:

.. math::

    k = \operatorname{argmin}_k |x - c_k|, \qquad \hat x = c_k                   \tag{1}

The nearest entry is found by comparing with midpoints, which are float32 numbers like all else:

.. math::

    m_k = \mathrm{f32}((c_k + c_{k+1}) / 2)                                       \tag{2}

    k_{low} = \#\{j : m_j < x\}, \qquad k_{high} = \#\{j : m_j \le x\}            \tag{3}

The two differ on a midpoint only: who writes ``x > m`` has ties low, who writes ``x >= m`` high; a
binary search over the entries may end on the even of the two places.

Left out: how x is made to fit the book (``refquant.formats.absmax_blocks``), books of vectors.

References
----------
bitsandbytes ``backends/default/ops.py`` (``torch.bucketize``: low), ``csrc/kernels.cu``
(``dQuantizeNF4``: low, ``dQuantize``: even).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["TIES", "float32_input", "fused_linspace", "midpoints", "nearest"]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]

TIES = ("low", "high", "even")


def float32_input(x: ArrayLike, *, finite: bool = False) -> F32:
    """Return ``x`` as an array; ``ValueError`` unless float32 (and finite, where asked).

    >>> float32_input(np.float32(2.5)).tolist()
    2.5
    """
    values = np.asarray(x)
    if values.dtype != np.float32:
        raise ValueError(f"x must be float32, got {values.dtype}")
    if finite and not np.isfinite(values).all():
        raise ValueError("x must be finite here; replace NaN and infinities before quantizing")
    return values


def fused_linspace(start: float, end: float, count: int) -> F32:
    """Return ``count`` (2 to 257) evenly spaced float32 from ``start`` to ``end``, as PyTorch's.

    The step is rounded to float32. The first half counts up from the start and the second down from
    the end, each by a fused multiply-add: one rounding. float64 holds product (24 + 9 bits) and sum
    exactly where the larger end is less than 2^20 steps.

    >>> fused_linspace(0.5, 1.0, 3).tolist()
    [0.5, 0.75, 1.0]
    """
    low, high = np.float32(start), np.float32(end)
    step = np.float64((high - low) / np.float32(count - 1))
    index = np.arange(count)
    up, down = np.float64(low) + step * index, np.float64(high) - step * (count - 1 - index)
    return np.where(index < count // 2, up, down).astype(np.float32)


def midpoints(values: F32) -> F32:
    """Return the float32 midpoints between neighbours of ``values``: eq. (2).

    >>> midpoints(np.array([-1, 0, 0.5], np.float32)).tolist()
    [-0.5, 0.25]
    """
    low, high, two = values[:-1], values[1:], np.float32(2)
    with np.errstate(over="ignore"):
        middle = (low + high) / two
    # A sum beyond float32: halves of such large numbers are exact.
    return np.asarray(np.where(np.isinf(middle), low / two + high / two, middle), np.float32)


def nearest(x: F32, values: F32, *, ties: str) -> Codes:
    """Return the places in ``values`` (ascending, 2 to 256) nearest to ``x``: eq. (3).

    A value on a midpoint takes the entry below (``low``), above (``high``), or the one with the
    even place (``even``). NaN takes the last place, infinities the ends. An x closer to a midpoint
    than the rounding of the midpoint counts as on it.

    >>> book = np.array([-1, 0, 0.5], np.float32)
    >>> x = np.array([-0.5, 0.25, 9.0], np.float32)
    >>> [nearest(x, book, ties=ties).tolist() for ties in TIES]
    [[0, 1, 2], [1, 2, 2], [0, 2, 2]]
    """
    if ties not in TIES:
        raise ValueError(f"ties must be one of {', '.join(TIES)}; got {ties!r}")
    if values.ndim != 1 or not 2 <= values.size <= 256 or not (values[1:] >= values[:-1]).all():
        raise ValueError(f"values must be 2 to 256 ascending entries, got shape {values.shape}")
    bounds = midpoints(values)
    low = np.searchsorted(bounds, x, side="left")
    if ties == "low":
        return low.astype(np.uint8)
    high = np.searchsorted(bounds, x, side="right")
    if ties == "high":
        return high.astype(np.uint8)
    return np.where(low % 2 == 0, low, high).astype(np.uint8)
