r"""Probes: rulers, the inputs near ties, and the values beyond all staircases.

A ruler is a scale s and a zero point z of int8 codes. Its ties are

.. math::

    t_k = (k + \tfrac{1}{2})\, s                                                  \tag{1}

rounded to float32. Where s is no power of two, the tie itself is no float, and its neighbours are
where dividing and multiplying by a reciprocal part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RULERS", "Ruler", "near_ties", "special"]

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ruler:
    """A scale (a float32, as a Python float) and a zero point of int8 codes."""

    scale: float
    zero_point: int


RULERS: tuple[Ruler, ...] = tuple(
    Ruler(float(np.float32(scale)), zero_point)
    for zero_point in (0, 1, -1, 3, -128)
    for scale in (1.0, 0.1, 0.3, 0.7, 1 / 3, 0.0123, 1 / 127)
)
"""The rulers, the simplest first: by zero point, then by scale. Scale 1 divides exactly."""


def near_ties(ruler: Ruler) -> F32:
    """Return each tie in the range of int8 codes, with its two neighbours: eq. (1), both signs.

    >>> near_ties(Ruler(2.0, 0))[1:8:3].tolist()
    [1.0, 3.0, 5.0]
    """
    ties = ((np.arange(128) + 0.5) * np.float64(ruler.scale)).astype(np.float32)
    bits = ties.view(np.int32)[:, np.newaxis] + np.array([-1, 0, 1], np.int32)
    three = np.ascontiguousarray(bits.astype(np.int32)).view(np.float32).reshape(-1)
    return np.concatenate([three, -three])


def special(ruler: Ruler) -> F32:
    """Return zeros, numbers beyond the codes, beyond int32, infinities and NaN, in this order.

    >>> special(Ruler(1.0, 0))[:4].tolist()
    [0.0, -0.0, 130.0, -130.0]
    """
    scale = np.float64(ruler.scale)
    beyond = [130 * scale, 300 * scale, 2.0**31 * scale, 3e9 * scale, 2.0**40 * scale]
    values = np.array([*beyond, np.finfo(np.float32).max, np.inf], np.float32)
    both = np.stack([values, -values], axis=1).reshape(-1)
    return np.concatenate([np.array([0.0, -0.0], np.float32), both, np.array([np.nan], np.float32)])
