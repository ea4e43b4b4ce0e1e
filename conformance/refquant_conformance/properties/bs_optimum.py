r"""The least squared error of a block, over every scale that its format can write.

.. math::

    \min_{d} \sum_i \min_{l \in L} (x_i - d\,l)^2                                  \tag{1}

with L the levels of a format, d every half (both signs), every power of two, or every E4M3 number.
Left out: types with a minimum or with scales of scales, whose optimum is a search of its own.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from refquant_conformance.protocol import Array

__all__ = ["LEVELS", "least_error"]

_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
_FP4 = np.concatenate([-_E2M1[:0:-1], _E2M1])
_IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113.0])
LEVELS: Mapping[str, Array] = MappingProxyType(
    {
        "q4_0": np.arange(-8.0, 8.0),
        "q5_0": np.arange(-16.0, 16.0),
        "q8_0": np.arange(-127.0, 128.0),
        "iq4_nl": _IQ4,
        "mxfp4": _FP4,
        "nvfp4": _FP4,
    }
)
"""The levels of formats with one scale for all elements that share it."""


def _scales(scheme: str, largest: float) -> Array:
    """Return every scale that puts the largest element between half and twice the last level."""
    last = float(np.abs(LEVELS[scheme]).max())
    if scheme == "mxfp4":
        return np.asarray(np.exp2(np.arange(-126.0, 127.0)))
    if scheme == "nvfp4":
        fraction, exponent = np.meshgrid(np.arange(8.0, 16.0) / 8, np.arange(-6.0, 9.0))
        return np.asarray((fraction * np.exp2(exponent)).reshape(-1))
    # Neighbours differ by a thousandth: every fourth is near enough, powers of two among them.
    halves = np.arange(4, 0x7C00, 4, dtype=np.uint16).view(np.float16).astype(np.float64)
    near = halves[(halves * last > largest / 2) & (halves * last < 2 * largest)]
    return np.concatenate([near, -near])


def least_error(scheme: str, x: Array) -> float:
    """Return eq. (1), summed over the parts of ``x`` that have a scale of their own.

    >>> least_error("q4_0", np.array([-8.0, 3.0]))
    0.0
    """
    if scheme == "nvfp4":
        return sum(_least(scheme, part) for part in x.reshape(-1, 16))
    return _least(scheme, x)


def _least(scheme: str, x: Array) -> float:
    scales = _scales(scheme, float(np.abs(x).max()))
    levels = np.sort(LEVELS[scheme])
    scaled = x.astype(np.float64) / scales[:, None]
    above = np.clip(np.searchsorted(levels, scaled), 1, levels.size - 1)
    low, high = levels[above - 1], levels[above]
    nearest = np.where(scaled - low < high - scaled, low, high)
    return float(((nearest * scales[:, None] - x) ** 2).sum(axis=1).min())
