r"""Sums of float32 as NumPy makes them: halves first, and eight lanes of what is short.

.. math::

    S_n = \begin{cases}
        S_{h} \oplus S_{n - h}, \quad h = 8 \lfloor n / 16 \rfloor & n > 128 \\
        ((\ell_0 \oplus \ell_1) \oplus (\ell_2 \oplus \ell_3)) \oplus
        ((\ell_4 \oplus \ell_5) \oplus (\ell_6 \oplus \ell_7)), \text{ then the rest} & n \ge 8 \\
        ((x_0 \oplus x_1) \oplus x_2) \oplus \dots & n < 8
    \end{cases}                                                                            \tag{1}

Lane :math:`\ell_k` is :math:`x_k \oplus x_{k+8} \oplus \dots`; the rest, what eights leave over, is
added one after the other. A mean of a window is :math:`S_n \oslash n` of those of its elements that
count, padding among them only if it does: so windows at the border are cut otherwise.

Left out: sums over anything but the last, contiguous axes.

References
----------
NumPy 2.4.6, ``numpy/_core/src/umath/loops_utils.h.src`` (``pairwise_sum``); onnx 1.23,
``onnx/reference/ops/op_pool_common.py``.
"""

import numpy as np

from refquant.ops.windows import pad_spatial, taps
from refquant_conformance.arithmetic.geometry import Geometry
from refquant_conformance.protocol import Array

__all__ = ["pairwise_means", "pairwise_sums"]

_LANES, _SHORT = 8, 128


def pairwise_sums(x: Array) -> Array:
    """Return the sums of float32 along the last axis: eq. (1).

    >>> [pairwise_sums(np.float32([2**24] + [1] * n)).item() for n in (6, 7)]
    [16777216.0, 16777222.0]
    """
    n = x.shape[-1]
    if n > _SHORT:
        half = n // (2 * _LANES) * _LANES
        return np.asarray(pairwise_sums(x[..., :half]) + pairwise_sums(x[..., half:]))
    total, whole = np.zeros(x.shape[:-1], np.float32), n // _LANES * _LANES
    if whole:
        lanes = x[..., :_LANES]
        for k in range(_LANES, whole, _LANES):
            lanes = lanes + x[..., k : k + _LANES]
        while lanes.shape[-1] > 1:
            lanes = lanes[..., 0::2] + lanes[..., 1::2]
        total = lanes[..., 0]
    for k in range(whole, n):
        total = total + x[..., k]
    return np.asarray(total, np.float32)


def pairwise_means(real: Array, window: Geometry, counted: int) -> Array:
    """Return the means of the windows over float32 images (N, C, H, W): NaN of no element.

    ``counted`` is 1 if padding counts.
    """
    plan = window.window()
    seen = np.stack(list(taps(pad_spatial(real, plan, 0.0), plan)), axis=-1)
    ones = np.ones((1, 1, *window.size), np.bool_)
    inside = np.stack(list(taps(pad_spatial(ones, plan, bool(counted)), plan)), axis=-1)[0, 0]
    means = np.empty(seen.shape[:-1], np.float32)
    kinds, which = np.unique(inside.reshape(-1, inside.shape[-1]), axis=0, return_inverse=True)
    at = which.reshape(inside.shape[:-1])
    with np.errstate(invalid="ignore"):
        for number, counts in enumerate(kinds):
            total = pairwise_sums(seen[:, :, at == number][..., counts])
            means[:, :, at == number] = total / np.float32(counts.sum())
    return means
