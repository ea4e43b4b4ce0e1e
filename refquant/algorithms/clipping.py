r"""The MSE grid: shrink each group's range by fixed factors, keep the one of least error.

At 3 and 4 bits the largest weight of a group costs the others their precision. Clipping it costs
one large error, and pays where the group is long. For each group of weights, and

.. math::

    f_i = 1 - \frac{i}{grid}, \qquad i = 0, 1, \dots, \lfloor grid \cdot max\_shrink \rfloor - 1
                                                                                        \tag{1}

the range is :math:`(f_i\,lo,\ f_i\,hi)`, and the first of least cost is kept:

.. math::

    J(f) = \sum_{j \in G} |\hat w_j(f) - w_j|^p                                          \tag{2}

:math:`f_0 = 1` is tried first, so the result is never worse than min-max by J. p = 2.4 is GPTQ's
and llm-compressor's choice: it punishes the one clipped weight a little more than p = 2.

**Arithmetic.** :math:`\hat w` is the contract's float32 value, the difference float32. Powers
other than 2 are :math:`e^{p \ln |e|}` by our own ``exp`` and ``log``, with the differences scaled
by a power of two so that the group's largest weight is in [0.5, 1); sums are float64, in column
order. So the choice is the same on every CPU. Factors whose J differ by less than
:math:`10^{-5}` of it may be decided unlike a tool that uses another ``pow``.

On activations the same search runs over a histogram: ``refquant.calibration.mse_grid``.

References
----------
IST-DASLab/gptq ``quant.py`` (``mse=True``: grid 100, max_shrink 0.8, p 2.4); llm-compressor's
``mse`` observer (max_shrink 0.2, and it stops after 5 factors without gain; here all are tried).
"""

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.rtn import min_max
from refquant.contracts import Contract
from refquant.formats.affine import choose_qparams, fake_quantize
from refquant.numerics.transcendental import exp, log

__all__ = ["mse_grid", "ordered_sum"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def mse_grid(
    groups: F32,
    *,
    dtype: str,
    symmetric: bool,
    contract: Contract,
    grid: int,
    max_shrink: float,
    norm: float,
) -> tuple[F32, F32]:
    """Return the best range ``(lo, hi)`` of each group, float32 (m, g) -> (m,), (m,): eq. (2).

    ``grid`` at least 1, ``max_shrink`` in (0, 1], ``norm`` in [1, 16]: GPTQ has 100, 0.8, 2.4.
    Bind the options with ``functools.partial`` to make a ``Clip`` for ``rtn`` and ``gptq``.
    A group of zeros keeps (0, 0).

    >>> from refquant.contracts import preset
    >>> group = np.array([[0, 1, 2, 3, 3, 3, 3.6]], np.float32)  # hi 3.6: marks 1.2 apart
    >>> lo, hi = mse_grid(group, dtype="uint2", symmetric=False, contract=preset("gptq"),
    ...                   grid=10, max_shrink=0.8, norm=2.0)
    >>> [round(float(end[0]), 3) for end in (lo, hi)]
    [0.0, 3.24]
    """
    if grid < 1 or not 0 < max_shrink <= 1 or not 1 <= norm <= 16:
        raise ValueError(
            "grid must be >= 1, max_shrink in (0, 1] and norm in [1, 16], "
            f"got {grid}, {max_shrink}, {norm}"
        )
    lo, hi = min_max(groups)
    best_lo, best_hi = lo.copy(), hi.copy()
    best = np.full(lo.shape, np.inf)
    unit = _power_of_two_above(np.maximum(np.abs(lo), np.abs(hi)))[:, None]
    for i in range(int(max_shrink * grid)):
        factor = np.float32(1 - i / grid)
        q = choose_qparams(
            (factor * lo)[:, None],
            (factor * hi)[:, None],
            dtype=dtype,
            symmetric=symmetric,
            contract=contract,
            block_shape=(1, groups.shape[1]),
        )
        error = np.abs(fake_quantize(groups, q, contract=contract) - groups) / unit
        cost = ordered_sum(np.ascontiguousarray(_power(error, norm).T))
        better = cost < best
        best = np.where(better, cost, best)
        best_lo = np.where(better, factor * lo, best_lo)
        best_hi = np.where(better, factor * hi, best_hi)
    return best_lo, best_hi


def ordered_sum(rows: NDArray[np.floating]) -> F64:
    """Return the sum over the first axis in float64, in ascending order: the same bits everywhere.

    >>> ordered_sum(np.array([[1e16], [1.0], [-1e16]])).tolist()
    [0.0]
    """
    total = np.zeros(rows.shape[1:])
    for row in rows:
        total += row
    return total


def _power(error: F32, norm: float) -> NDArray[np.floating]:
    """Return ``error ** norm`` of non-negative float32: exact squares, or our own exp and log."""
    if norm == 2:
        wide = error.astype(np.float64)
        return wide * wide
    if norm == 1:
        return error
    return exp(np.float32(norm) * log(error))


def _power_of_two_above(amax: F32) -> F32:
    """Return 2**e with amax / 2**e in [0.5, 1): a division by it is exact; 1 for amax = 0."""
    # 2**-126 is the least normal number: below it the quotient is smaller than 0.5, no harm.
    exponent = np.clip(np.frexp(amax)[1], -126, 127)
    return np.where(amax > 0, np.ldexp(np.float32(1), exponent), np.float32(1)).astype(np.float32)
