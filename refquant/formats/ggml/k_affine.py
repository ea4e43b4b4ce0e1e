r"""Scale and minimum in two levels: what Q2_K, Q4_K and Q5_K share.

A sub-block j of 16 or 32 has a scale and a minimum, both small integers, of which a super-block's
two halves ``d`` and ``dmin`` are the unit:

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i - d_{min} m_j)                               \tag{1}

Encoding goes down and up again: fit every sub-block by itself (``k_grids.py``), fit ``d`` to the
scales, round, and compute the codes anew with what a decoder will see. Without importance, the
largest scale gets the largest code,

.. math::

    d = \mathrm{f16}(\max s / s_{max}), \quad
    s_j \leftarrow \mathrm{round}(s_j \cdot (s_{max} / \max s))                    \tag{2}

where :math:`s_j` is rounded for the *unrounded* d. With importance h, the weights are

.. math::

    w_i = h_i \sqrt{c \textstyle\sum_{256} x^2 / 256 + x_i^2}                      \tag{3}

and d and :math:`s_j` come from ``k_descent.fit_positive``, with the sum of w in each sub-block as
its weight.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q2_K_ref``, ``quantize_row_q2_K_impl`` and those of q4_K
and q5_K, which repeat the same steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.blocks import from_half, nearest_int, to_half
from refquant.formats.ggml.k_blocks import columns, rows
from refquant.formats.ggml.k_descent import fit_positive
from refquant.formats.ggml.k_grids import Grids, fit_scale_min
from refquant.formats.ggml.k_search import final_codes, sequential_sum

__all__ = ["AffineFit", "AffineKind", "decode_affine", "fit_affine", "importance_weights", "recode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineKind:
    """What differs: elements of a sub-block, the largest s, c of eq. (3), weights, and grids."""

    size: int
    scale_max: int
    sigma_factor: int
    plain_weights: Callable[[F32], F32]  # of columns, where there is no importance
    plain: Grids
    weighted: Grids


@dataclass(frozen=True, slots=True)
class AffineFit:
    """Super-blocks before packing: two halves as bytes (m, 2), then uint8 (m, 256 / size or 256).

    The codes are those of the search: they stay where the scale rounds to 0.
    """

    d: U8
    dmin: U8
    scales: U8
    minimums: U8
    codes: U8


def fit_affine(blocks: F32, importance: F32 | None, kind: AffineKind) -> AffineFit:
    """Return the fit of super-blocks (m, 256): eq. (2), or with importance (m, 256) eq. (3).

    >>> from refquant.formats.ggml.k_grids import Grids
    >>> kind = AffineKind(size=16, scale_max=15, sigma_factor=1, plain_weights=np.abs,
    ...                   plain=Grids(3, -0.5, 0.1, 15), weighted=Grids(3, -0.9, 0.05, 36))
    >>> x = np.tile(np.arange(4, dtype=np.float32), (1, 64))
    >>> with np.errstate(divide="ignore"):
    ...     fit = fit_affine(x, None, kind)
    >>> from_half(fit.d).tolist(), fit.scales[0, :2].tolist(), fit.codes[0, :4].tolist()
    ([0.066650390625], [15, 15], [0, 1, 2, 3])
    """
    x = columns(blocks, kind.size)
    count = blocks.shape[1] // kind.size
    if importance is None:
        scale, minimum, codes = fit_scale_min(x, kind.plain_weights(x), kind.plain)
        d, s = _largest_scale(columns(scale[None], count), kind.scale_max)
        dmin, m = _largest_scale(columns(minimum[None], count), kind.scale_max)
    else:
        w = importance_weights(blocks, importance, size=kind.size, factor=kind.sigma_factor)
        scale, minimum, codes = fit_scale_min(x, w, kind.weighted)
        sum_w = columns(sequential_sum(w)[None], count)
        d, s = fit_positive(columns(scale[None], count), sum_w, nmax=kind.scale_max)
        dmin, m = fit_positive(columns(minimum[None], count), sum_w, nmax=kind.scale_max)
    return AffineFit(to_half(d), to_half(dmin), rows(s, count), rows(m, count), rows(codes, 256))


def importance_weights(blocks: F32, importance: F32, *, size: int, factor: int) -> F32:
    """Return the weights of eq. (3) as columns of ``size``; ``factor`` is c, 1 or 2.

    >>> x = np.zeros((1, 256), np.float32)
    >>> x[0, 0] = 16
    >>> importance_weights(x, np.full_like(x, 3), size=16, factor=1)[1:3, 0].tolist()
    [3.0, 3.0]
    """
    sum_x2 = sequential_sum(columns(blocks * blocks, 256))
    sigma2 = np.float32(factor) * sum_x2 / np.float32(256)
    return columns(importance * np.sqrt(sigma2[:, None] + blocks * blocks), size)


def _largest_scale(values: F32, scale_max: int) -> tuple[F32, U8]:
    """Return d and the codes of eq. (2) for columns of non-negative values; NaN does not count.

    A value below 0, which is possible by rounding, wraps modulo 256 as in C.
    """
    top = np.float32(scale_max)
    largest = np.fmax.reduce(values, axis=0, initial=np.float32(0))
    inverse = np.where(largest > 0, top / largest, np.float32(0))
    largest = largest + np.float32(0)  # a maximum of zeros is +0, not -0
    return largest / top, nearest_int(inverse * values).astype(np.uint8)


def recode(blocks: F32, fit: AffineFit, scales: U8, minimums: U8, kind: AffineKind) -> U8:
    """Return the codes (m, 256) for the scales and minimums (m, 256 / size) as stored.

    >>> from refquant.formats.ggml.q4_k import KIND
    >>> d, s = to_half(np.ones(1, np.float32)), np.ones((1, 8), np.uint8)
    >>> fit = AffineFit(d, d, s, s, np.zeros((1, 256), np.uint8))
    >>> recode(np.full((1, 256), 2, np.float32), fit, s, s, KIND)[0, :2].tolist()
    [3, 3]
    """
    scale = (from_half(fit.d)[:, None] * scales).reshape(-1)
    minimum = (from_half(fit.dmin)[:, None] * minimums).reshape(-1)
    searched = columns(fit.codes, kind.size)
    x = columns(blocks, kind.size)
    codes = final_codes(x, searched, scale, minimum, qmin=0, qmax=kind.plain.nmax)
    return rows(codes, 256)


def decode_affine(d: U8, dmin: U8, scales: U8, minimums: U8, codes: U8) -> F32:
    """Return the values (m, 256) of eq. (1); both products are exact in float32.

    >>> d, s = to_half(np.array([0.5], np.float32)), np.full((1, 8), 3, np.uint8)
    >>> decode_affine(d, d, s, s, np.full((1, 256), 4, np.uint8))[0, :2].tolist()  # 1.5 * 4 - 1.5
    [4.5, 4.5]
    """
    values = codes.reshape(*scales.shape, -1).astype(np.float32)
    with np.errstate(invalid="ignore"):  # an infinite half times a code of 0, inf - inf: NaN
        values *= (from_half(d)[:, None] * scales)[:, :, None]
        values -= (from_half(dmin)[:, None] * minimums)[:, :, None]
    return values.reshape(len(codes), -1)
