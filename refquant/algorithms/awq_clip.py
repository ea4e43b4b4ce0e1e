r"""AWQ's second search: cut the extremes of a group, if its part of the output gains.

A group's step is set by its largest weight. Cutting that weight to :math:`\beta M` shrinks the step
of all the others by :math:`\beta`, at the price of one large error. For the group g of a row, with
w the weights (already scaled) and x the inputs of its columns,

.. math::

    M = \max_{j \in g} |w_j|, \qquad
    \beta_i = 1 - \frac{i}{20}, \quad i = 0 \dots 9                               \tag{1}

    e_i = \frac{1}{T} \sum_t \Bigl( \sum_{j \in g} x_{tj}\,(\hat w_j - w_j) \Bigr)^2, \quad
    \hat w = Q(\operatorname{clamp}(w,\ -\beta_i M,\ \beta_i M))                  \tag{2}

    M^* = \beta_{i^*} M, \quad i^* = \text{the first of least } e_i               \tag{3}

so each group of each row decides alone, and i = 0 is no cut: no e gets worse. But errors of
the groups of a row add up, and their sum is not looked at. The search sees at most ``max_samples``
samples: every step-th, with step = samples // max_samples.

float32: the cuts and Q. float64: (2), by the group's own :math:`X_g^T X_g`.

References
----------
llm-awq ``awq/quantize/auto_clip.py``, which needs at least ``max_samples`` samples; AutoAWQ
``_compute_best_clip``. The paper does not mention the step.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.weight import QuantizedWeight, group_indices

__all__ = ["clip_groups", "search_clip"]

F32 = NDArray[np.float32]


def search_clip(
    w: F32,
    x: F32,
    *,
    rounding: Callable[[F32], QuantizedWeight],
    group_size: int,
    grid: int,
    max_shrink: float,
    max_samples: int,
) -> F32:
    """Return the largest magnitude that each group keeps, float32 (n, groups): eq. (3).

    ``w`` is (n, k), ``x`` what it reads, (samples, k); both finite float32. ``grid`` is the 20 of
    eq. (1), and ``int(max_shrink * grid)`` the number of its steps.

    >>> w = np.array([[8, 1, 1, 1]], np.float32)
    >>> x = np.array([[0, 1, 1, 1]], np.float32)
    >>> from refquant.algorithms.awq import round_groups
    >>> limit = search_clip(w, x, rounding=lambda w: round_groups(w, num_bits=2, group_size=4),
    ...                     group_size=4, grid=20, max_shrink=0.5, max_samples=512)
    >>> round(float(limit[0, 0]), 6)  # the 8 meets zeros: nobody misses it
    4.4
    """
    if w.ndim != 2 or x.ndim != 2 or w.shape[1] != x.shape[1] or not x.size:
        raise ValueError(f"x must be (samples, k) with w (n, k), got {x.shape} and {w.shape}")
    if grid < 1 or not 0 <= max_shrink <= 1 or max_samples < 1:
        raise ValueError(
            "grid and max_samples must be at least 1 and max_shrink in 0..1, "
            f"got {grid}, {max_samples} and {max_shrink}"
        )
    group_indices(w.shape[1], group_size=group_size)  # refuses what does not divide
    seen = x[:: max(1, len(x) // max_samples)].astype(np.float64)
    by_group = seen.reshape(len(seen), -1, group_size).transpose(1, 0, 2)
    h = by_group.transpose(0, 2, 1) @ by_group / len(seen)  # (groups, group_size, group_size)

    largest = np.abs(w).reshape(len(w), -1, group_size).max(axis=2)
    best, least = largest, np.full(largest.shape, np.inf)
    for step in range(int(max_shrink * grid)):
        limit = largest * np.float32(1 - step / grid)
        error = _error(w, rounding(clip_groups(w, limit)).dequantize(), h)
        better = error < least
        best, least = np.where(better, limit, best), np.where(better, error, least)
    return np.asarray(best, np.float32)


def clip_groups(w: F32, limit: F32) -> F32:
    """Return ``w`` (n, k) with each group of a row cut at ``limit`` (n, groups): clamp of eq. (2).

    >>> clip_groups(np.array([[3, -5, 1, 2]], np.float32), np.array([[4, 1]], np.float32)).tolist()
    [[3.0, -4.0, 1.0, 1.0]]
    """
    n, groups = limit.shape
    edge = limit[:, :, None]
    cut = np.clip(w.reshape(n, groups, -1), -edge, edge)
    return np.asarray(cut, np.float32).reshape(w.shape)


def _error(w: F32, rounded: F32, h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return e of eq. (2), (n, groups)."""
    groups, size, _ = h.shape
    d = (rounded.astype(np.float64) - w).reshape(len(w), groups, size).transpose(1, 0, 2)
    return np.asarray(((d @ h) * d).sum(axis=2).T)
