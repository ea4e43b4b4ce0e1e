r"""The exact oracle of functions of reals: rounded once, or float32 step by step.

Once: :math:`e^x` is a power series of a small argument, squared again and again, in integers of 512
bits; far more than the 24 bits that are rounded to. That the error cannot reach them is checked
each time: both ends of its interval must round to the same float32.

.. math::

    e^x = \Bigl(\sum_k \frac{(x / 2^{16})^k}{k!}\Bigr)^{2^{16}}    \tag{1}

Step by step: the formulas of ``docs/spec/operators.md``, section 1, one rounding an operation.
``oracle_polynomials`` and ``oracle_numpy`` have what else engines compute.

References
----------
``docs/spec/operators.md``, section 1.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType

from refquant_conformance.oracle_numpy import sigmoid_of_quotient_exact, tanh_of_pieces_exact
from refquant_conformance.oracle_polynomials import (
    sigmoid_by_exponential,
    sigmoid_rational,
    tanh_rational,
)
from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = ["FUNCTIONS", "exp_stepwise", "exponential", "logarithm", "once"]

_BITS = 512
_SLACK = Fraction(1, 2**200)  # 16 squarings of an error of 2^-500 leave it far below


def exponential(x: Fraction) -> Fraction:
    """Return e^x for |x| < 200, with a relative error below 2^-200: eq. (1).

    >>> float(exponential(Fraction(1)))
    2.718281828459045
    """
    if abs(x) >= 200:
        raise ValueError(f"the series is for |x| < 200; got {float(x)}")
    small = round_exact(x * 2 ** (_BITS - 16), "half_even")
    total, term, k = 1 << _BITS, 1 << _BITS, 0
    while term:
        k += 1
        term = round_exact(Fraction(term * small, k << _BITS), "half_even")
        total += term
    for _ in range(16):
        total = total * total >> _BITS
    return Fraction(total, 1 << _BITS)


def logarithm(x: Fraction) -> Fraction:
    """Return ln x of a positive number, with an error below 2^-200.

    >>> float(logarithm(Fraction(10)))
    2.302585092994046
    """
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    m = x / Fraction(2) ** exponent  # in (1/2, 2)
    return exponent * _small_logarithm(Fraction(2)) + _small_logarithm(m)


def _small_logarithm(m: Fraction) -> Fraction:
    """2 artanh((m - 1) / (m + 1)), in fixed point."""
    ratio = (m - 1) / (m + 1)
    z = round_exact(ratio * 2**_BITS, "half_even")
    power, total, k = z, 0, 1
    while power:
        total += 2 * power // k
        power = round_exact(Fraction(power * z * z, 1 << (2 * _BITS)), "half_even")
        k += 2
    return Fraction(total, 1 << _BITS)


def once(value: Fraction) -> float:
    """Return the float32 of a positive or negative number known to 200 bits.

    ``ArithmeticError`` if the number is so near a tie that its error matters.
    """
    ends = {float32(value * (1 - _SLACK)), float32(value * (1 + _SLACK))}
    if len(ends) > 1 and value != 0:
        exact = float32(value)
        if Fraction(exact) != value:  # a float32 itself is no tie
            raise ArithmeticError(f"{float(value)} is within 2^-200 of a tie")
        return exact
    return ends.pop()


def _sigmoid_once(x: float) -> float:
    if abs(x) > 150:
        return 1.0 if x > 0 else 0.0
    return once(1 / (1 + exponential(Fraction(-x))))


def _tanh_once(x: float) -> float:
    if x == 0 or abs(x) > 90:
        return math.copysign(1.0, x) if x else x
    square = exponential(2 * Fraction(x))
    return once((square - 1) / (square + 1))


def _f(text: str) -> float:
    return float32(Fraction(text))


_EXP = [
    *(_f("1.9875691500e-4"), _f("1.3981999507e-3"), _f("8.3334519073e-3")),
    *(_f("4.1665795894e-2"), _f("1.6666665459e-1"), _f("5.0000001201e-1")),
]
_TANH = [
    *(_f("-5.70498872745e-3"), _f("2.06390887954e-2"), _f("-5.37397155531e-2")),
    *(_f("1.33314422036e-1"), _f("-3.33332819422e-1")),
]


def exp_stepwise(x: float) -> float:
    """Return ``Exp`` of section 1 for a float32.

    >>> exp_stepwise(0.0), exp_stepwise(-200.0), exp_stepwise(1.0)
    (1.0, 0.0, 2.7182817459106445)
    """
    if x > _f("88.72283"):
        return math.inf
    if x < _f("-103.97208"):
        return 0.0
    n = round_exact(Fraction(multiply(x, _f("1.44269504"))), "half_even")
    r = add(x, -multiply(float(n), _f("0.693359375")))
    r = add(r, -multiply(float(n), _f("-2.12194440e-4")))
    p = _polynomial(_EXP, r)
    y = add(add(multiply(p, multiply(r, r)), r), 1.0)
    half = n // 2
    return multiply(multiply(y, 2.0**half), 2.0 ** (n - half))


def _polynomial(coefficients: list[float], r: float) -> float:
    p = coefficients[0]
    for c in coefficients[1:]:
        p = add(multiply(p, r), c)
    return p


def _sigmoid_stepwise(x: float) -> float:
    return divide(1.0, add(1.0, exp_stepwise(-x)))


def _tanh_stepwise(x: float) -> float:
    a = abs(x)
    if a < 0.625:
        z = multiply(x, x)
        return add(multiply(multiply(_polynomial(_TANH, z), z), x), x)
    t = add(1.0, -divide(2.0, add(exp_stepwise(add(a, a)), 1.0)))
    return math.copysign(t, x)


FUNCTIONS: Mapping[tuple[str, str], Callable[[float], float]] = MappingProxyType(
    {
        ("sigmoid", "rounded_once"): _sigmoid_once,
        ("sigmoid", "stepwise"): _sigmoid_stepwise,
        ("sigmoid", "rational_fused"): sigmoid_rational,
        ("sigmoid", "exponential_fused"): sigmoid_by_exponential,
        ("sigmoid", "exponential_quotient"): sigmoid_of_quotient_exact,
        ("tanh", "rounded_once"): _tanh_once,
        ("tanh", "stepwise"): _tanh_stepwise,
        ("tanh", "rational_fused"): tanh_rational,
        ("tanh", "pieces_fused"): tanh_of_pieces_exact,
    }
)
"""Each function in each evaluation, of one float32."""
