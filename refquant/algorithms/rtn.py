r"""Round to nearest: what every other algorithm has to beat.

A matrix of weights, shape (n, k) = (outputs, inputs), is cut into groups of g columns of one row.
Each group gets a range, the range a ruler, and each weight its nearest mark:

.. math::

    (lo, hi) = \mathrm{clip}(w_{i,G}), \qquad (s, z) = \mathrm{choose\_qparams}(lo, hi) \tag{1}

    q_{ij} = \operatorname{clamp}(\operatorname{round}(w_{ij} / s) + z,\ q_{min},\ q_{max}) \tag{2}

with the contract's division, rounding and parameters (``refquant.formats.affine``). The range is
the group's own, (min, max), or what a clipping method returns: ``refquant.algorithms.clipping``,
``octav``, ``aciq``. No data are looked at, and no weight knows of another; that is the weakness:
errors of inputs that move together add up. GPTQ lets them cancel.

References
----------
Krishnamoorthi, arXiv:1806.08342, section 2; GPTQ's ``--nearest`` baseline.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.weight import QuantizedWeight, group_indices
from refquant.contracts import Contract
from refquant.formats.affine import choose_qparams, quantize
from refquant.numerics.ranges import dtype_range

__all__ = ["Clip", "check_weight", "min_max", "rtn"]

F32 = NDArray[np.float32]

Clip: TypeAlias = Callable[[F32], tuple[F32, F32]]
"""From groups, float32 (m, g), to their ranges ``(lo, hi)``, float32 (m,) each."""


def rtn(
    w: F32, *, group_size: int | None, dtype: str, symmetric: bool, contract: Contract, clip: Clip
) -> QuantizedWeight:
    """Return the codes of ``w``, float32 (n, k), each weight to its nearest mark: eq. (1), (2).

    ``group_size`` divides k; None is one group a row. ``dtype`` (``uint4``, ``int8`` ...) and
    ``symmetric`` say which codes and rulers; ``clip`` which range, ``min_max`` for no clipping.
    ``ValueError`` for an empty, infinite or NaN matrix, and what ``choose_qparams`` refuses.

    >>> from refquant.contracts import preset
    >>> w = np.array([[0.0, 0.4, 3.0, 1.0]], np.float32)
    >>> q = rtn(w, group_size=2, dtype="uint2", symmetric=False, contract=preset("gptq"),
    ...         clip=min_max)
    >>> q.codes.tolist(), q.scale.round(4).tolist()
    ([[0, 3, 3, 1]], [[0.13330000638961792, 1.0]])
    """
    w = check_weight(w)
    n, k = w.shape
    g_idx = group_indices(k, group_size=group_size)
    size = k if group_size is None else group_size
    lo, hi = clip(w.reshape(-1, size))
    qparams = choose_qparams(
        lo.reshape(n, -1),
        hi.reshape(n, -1),
        dtype=dtype,
        symmetric=symmetric,
        contract=contract,
        block_shape=(1, size),
    )
    codes = quantize(w, qparams, contract=contract)
    qmin, qmax = dtype_range(dtype)
    scale, zero_point = np.asarray(qparams.scale), np.asarray(qparams.zero_point)
    return QuantizedWeight(
        codes, scale, zero_point, g_idx, num_bits=(qmax - qmin).bit_length(), signed=qmin < 0
    )


def min_max(groups: F32) -> tuple[F32, F32]:
    """Return the smallest and the largest element of each group: nothing is clipped.

    >>> [ends.tolist() for ends in min_max(np.array([[1, -2, 3]], np.float32))]
    [[-2.0], [3.0]]
    """
    return groups.min(axis=1), groups.max(axis=1)


def check_weight(w: F32) -> F32:
    """Return ``w`` if it is a matrix of weights: float32, two axes, not empty, finite.

    >>> check_weight(np.zeros((2, 0), np.float32))
    Traceback (most recent call last):
    ValueError: w must be float32 (n, k) and not empty, got float32 (2, 0)
    """
    w = np.asarray(w)
    if w.dtype != np.float32 or w.ndim != 2 or not w.size:
        raise ValueError(f"w must be float32 (n, k) and not empty, got {w.dtype} {w.shape}")
    if bad := int(np.count_nonzero(~np.isfinite(w))):
        raise ValueError(f"w must be finite, got {bad} NaN or infinity in {w.size} weights")
    return w
