r"""The exact oracle of products that are rescaled in steps of float32, one output at a time.

Written from the equations of ``arithmetic/rescale_steps.py``, every operation a fraction that is
rounded to float32 where the text rounds:

.. math::

    \operatorname{fl}(a \circ b), \qquad
    \mathrm{fma}(a, b, c) = \operatorname{fl}(a\,b + c)                                    \tag{1}

References
----------
``arithmetic/rescale_steps.py``, equations (1) to (3).
"""

import math
from fractions import Fraction

from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = ["rescale_in_steps_exact"]


def rescale_in_steps_exact(
    acc: int,
    bias: int | None,
    scales: tuple[float, float, float],
    *,
    zero_point: int,
    limits: tuple[int, int],
    mode: str,
    divided: bool,
) -> int:
    """Return the code of a sum without its bias; ``divided`` is the second form of t in (2).

    >>> rescale_in_steps_exact(5, None, (1.0, 0.5, 1.0), zero_point=1, limits=(0, 255),
    ...                        mode="float32_steps", divided=False)
    4
    """
    sa, sb, sy = scales
    unit, total = multiply(sa, sb), float32(acc)
    real = 0.0 if bias is None else multiply(float32(bias), unit)
    if mode == "float32_steps":
        v = multiply(add(multiply(multiply(total, sa), sb), real), divide(1.0, sy))
        return _code(add(v, float(zero_point)), 0, "half_even", limits)
    if mode == "factors_half_away":
        factor = divide(1.0, multiply(divide(1.0, sa), divide(1.0, sb)))
        v = multiply(add(multiply(total, factor), real), divide(1.0, sy))
        return _code(v, 0, "half_away", limits)
    if mode != "float_rne_real_bias":
        raise ValueError(f"mode must be one of rescale_steps; got {mode!r}")
    if bias is not None:
        total = add(total, divide(real, unit)) if divided else _fused(real, unit, total)
    return _code(multiply(total, divide(unit, sy)), zero_point, "half_even", limits)


def _fused(real: float, unit: float, total: float) -> float:
    """Return real / unit + total, by the float32 reciprocal and one rounding."""
    inverse = divide(1.0, unit)
    if not (math.isfinite(real) and math.isfinite(inverse)):
        return add(multiply(real, inverse), total)
    return float32(Fraction(real) * Fraction(inverse) + Fraction(total))


def _code(v: float, zero_point: int, rule: str, limits: tuple[int, int]) -> int:
    if math.isnan(v):
        return limits[0]
    if math.isinf(v):
        return limits[1] if v > 0 else limits[0]
    return min(max(round_exact(Fraction(v), rule) + zero_point, limits[0]), limits[1])
