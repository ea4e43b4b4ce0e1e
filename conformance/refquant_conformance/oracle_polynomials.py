r"""The exact oracle of functions that engines evaluate by polynomials of fused operations.

Written from the equations of ``arithmetic.functions``, one number at a time: a fused operation is
one rounding of an exact sum, every other operation one of its own.

References
----------
As ``arithmetic.functions``.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, divide, float32, fused, multiply

__all__ = ["sigmoid_by_exponential", "sigmoid_rational", "tanh_rational"]


def _f(text: str) -> float:
    return float32(Fraction(text))


_SIGMOID_ABOVE = [
    *(_f("4.37031012579801e-11"), _f("1.15627324459942e-07"), _f("6.08574864600143e-05")),
    *(_f("8.51377133304701e-03"), _f("2.48287947061529e-01")),
]
_SIGMOID_BELOW = [
    *(_f("6.10247389755681e-13"), _f("5.76102136993427e-09"), _f("6.29106785017040e-06")),
    *(_f("1.70198817374094e-03"), _f("1.16817656904453e-01"), _f("9.93151921023180e-01")),
]
_TANH_ABOVE = [
    *(_f("-2.76076847742355e-16"), _f("2.00018790482477e-13"), _f("-8.60467152213735e-11")),
    *(_f("5.12229709037114e-08"), _f("1.48572235717979e-05"), _f("6.37261928875436e-04")),
    _f("4.89352455891786e-03"),
]
_TANH_BELOW = [
    *(_f("1.19825839466702e-06"), _f("1.18534705686654e-04"), _f("2.26843463243900e-03")),
    _f("4.89352518554385e-03"),
]
_EXP = [
    *(_f("0.00828929059"), _f("0.0418978221"), _f("0.166676521"), _f("0.499991506")),
    *(_f("0.999999701"), 1.0),
]


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    total = coefficients[0]
    for c in coefficients[1:]:
        total = fused(total, x, c)
    return total


def _rational(above: Sequence[float], below: Sequence[float], most: float, x: float) -> float:
    cut = min(max(x, -most), most)
    square = multiply(cut, cut)
    return divide(multiply(_polynomial(above, square), cut), _polynomial(below, square))


def sigmoid_rational(x: float) -> float:
    """Return the logistic function by a quotient of polynomials, for a float32.

    >>> sigmoid_rational(0.0), sigmoid_rational(-200.0) < 1e-7
    (0.5, True)
    """
    return max(add(_rational(_SIGMOID_ABOVE, _SIGMOID_BELOW, 18.0, x), 0.5), 0.0)


def tanh_rational(x: float) -> float:
    """Return the hyperbolic tangent by a quotient of polynomials, for a float32.

    >>> tanh_rational(0.0), tanh_rational(50.0)
    (0.0, 1.0)
    """
    return _rational(_TANH_ABOVE, _TANH_BELOW, 9.0, x)


def sigmoid_by_exponential(x: float) -> float:
    """Return the logistic function by the exponential of -|x|, for a float32.

    >>> sigmoid_by_exponential(0.0), sigmoid_by_exponential(50.0)
    (0.5, 1.0)
    """
    v = max(-abs(x), _f("-87.3365479"))
    n = math.floor(fused(v, _f("1.44269502"), 0.5))
    power = _polynomial(_EXP, fused(-float(n), _f("0.693147182"), v))
    power = multiply(multiply(power, math.ldexp(1.0, n - 1)), 2.0)
    t = divide(power, add(power, 1.0))
    return t if math.copysign(1.0, x) < 0 else add(1.0, -t)
