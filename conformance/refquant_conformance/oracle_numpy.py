r"""The exact oracle of what NumPy's vector code computes: two functions, and sums in pairs.

Written from the equations of ``arithmetic.numpy_functions`` and ``arithmetic.pairwise``, one number
at a time: a fused operation is one rounding of an exact sum, every other operation one of its own.

References
----------
As ``arithmetic.numpy_functions`` and ``arithmetic.pairwise``.
"""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, divide, float32, fused, multiply, round_exact
from refquant_conformance.tanh_pieces import TANH_PIECES

__all__ = ["pairwise_exact", "sigmoid_of_quotient_exact", "tanh_of_pieces_exact"]


def _f(text: str) -> float:
    return float32(Fraction(text))


_ABOVE = [
    *(_f("0.0005082762527590694"), _f("0.0067578969905275045"), _f("0.05114512081637298")),
    *(_f("0.24736154348955208"), _f("0.7257664613233124"), _f("0.9999999999980871")),
]
_BELOW = [_f("0.021595093756858298"), _f("-0.27423353904116675"), 1.0]


def _horner(coefficients: Sequence[float], x: float) -> float:
    """The highest power first."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = fused(total, x, c)
    return total


def _exponential(x: float) -> float:
    """e^x for x not above 0."""
    if x <= _f("-103.97208404541015625"):
        return 0.0
    n = round_exact(Fraction(multiply(x, _f("1.44269502"))), "half_even")
    r = float32(Fraction(x) - n * Fraction(_f("0.693145752")))
    r = float32(Fraction(r) - n * Fraction(_f("0.00000142860677")))
    return float32(Fraction(divide(_horner(_ABOVE, r), _horner(_BELOW, r))) * Fraction(2) ** n)


def sigmoid_of_quotient_exact(x: float) -> float:
    """Return the logistic function of a float32, by an exponential that cannot overflow.

    >>> sigmoid_of_quotient_exact(0.0), sigmoid_of_quotient_exact(-math.inf)
    (0.5, 0.0)
    """
    power = _exponential(-abs(x))
    return divide(1.0 if x > 0 else power, add(1.0, power))


def tanh_of_pieces_exact(x: float) -> float:
    """Return the hyperbolic tangent of a float32, by one of 32 polynomials.

    >>> tanh_of_pieces_exact(-0.0), tanh_of_pieces_exact(-math.inf)
    (-0.0, -1.0)
    """
    size = abs(x)
    if size >= 16:
        return math.copysign(1.0, x)
    piece = 0
    if size >= 2.0**-5:
        fraction, exponent = math.frexp(size)  # 2^exponent * fraction, 1/2 <= fraction < 1
        piece = max(4 * (exponent + 4) + math.floor(8 * fraction) - 4 - 2, 0)
    words = TANH_PIECES[min(piece, 31)]
    shift, *rising = (struct.unpack("<f", struct.pack("<I", word))[0] for word in words)
    return math.copysign(_horner(rising[::-1], add(size, -shift)), x)


def pairwise_exact(values: Sequence[float]) -> float:
    """Return the float32 sum of numbers, halves of them first, and eight lanes of 128 and fewer.

    >>> pairwise_exact([2.0**24, *[1.0] * 7]), pairwise_exact([2.0**24, *[1.0] * 6])
    (16777222.0, 16777216.0)
    """
    n = len(values)
    if n > 128:
        half = n // 16 * 8
        return add(pairwise_exact(values[:half]), pairwise_exact(values[half:]))
    total, whole = 0.0, n // 8 * 8
    if whole:
        lanes = list(values[:8])
        for k in range(8, whole):
            lanes[k % 8] = add(lanes[k % 8], values[k])
        while len(lanes) > 1:
            lanes = [add(a, b) for a, b in zip(lanes[0::2], lanes[1::2], strict=True)]
        (total,) = lanes
    for value in values[whole:]:
        total = add(total, value)
    return total
