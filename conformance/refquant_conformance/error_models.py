r"""The error models: how far an output of floats may be from the real that it stands for.

A bound without a derivation is a guess. Each model has an id, a derivation in the docstring of its
function, and a test that shows an input whose error is at least a quarter of the bound: a bound
that nothing comes near finds nothing.

With u = 2^-24, the unit roundoff of float32, one rounding is :math:`\mathrm{fl}(v) = v (1 + d)`,
:math:`|d| \le u`, for normal v.

References
----------
Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, section 2.2 (u, the model).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODELS", "em_qdq", "em_qps"]

Real = NDArray[np.float64]
_U = 2.0**-24


def em_qdq(x: Real, scale: float, zero_point: int, *, nearest: bool = True) -> Real:
    r"""Return the bound of :math:`|(q - z) s - x|` for the code q of an x inside the range.

    The quotient is :math:`v = (x / s)(1 + d_1)(1 + d_2)`: two roundings, for who multiplies by a
    rounded reciprocal. If z is added before rounding there is a third, of v + z. Rounding to the
    nearest integer moves by 1/2 at most (other rules: by less than 1), so

    .. math::

        |(q - z) s - x| \le \tfrac{s}{2} + (2u + u^2)|x| + u (|x| (1 + 3u) + |z| s)

    >>> float(em_qdq(np.array([0.0]), 2.0, 0)[0])
    1.0
    """
    size = np.abs(x)
    rounding = scale * (0.5 if nearest else 1.0)
    return np.asarray(rounding + (3 + 4 * _U) * _U * size + _U * abs(zero_point) * scale)


def em_qps(end: float, scale: float) -> float:
    r"""Return the bound of what a range's end loses beyond the outermost code.

    The scale is one quotient of one difference, computed in float32 and rounded: relative error
    3u at most; z is a rounded quotient, so it moves the codes by s/2 and by two more roundings
    of an end:

    .. math::

        \text{loss} \le \tfrac{s}{2} + 8 u |end| + 4 u n s, \qquad n \le 255

    where 4 u n s is what n scales, each off by 3u, and z's own roundings add up to.

    >>> em_qps(0.0, 2.0) > 1.0
    True
    """
    return scale / 2 + 8 * _U * abs(end) + 4 * _U * 255 * abs(scale)


MODELS: Mapping[str, str] = MappingProxyType(
    {
        "EM-QDQ": "half a scale, and three roundings of the quotient",
        "EM-QPS": "half a scale, and the roundings of scale and zero point",
    }
)
"""Every model by id, in one line."""
