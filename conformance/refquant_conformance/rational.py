r"""Rounding, written from its definition: on exact fractions, one number at a time.

A rounding rule maps a real number v to an integer. With :math:`n = \lfloor v \rfloor` and
:math:`f = v - n \in [0, 1)`:

.. math::

    \operatorname{round}(v) = n \text{ or } n + 1    \tag{1}

The *nearest* rules take n if f < 1/2, n + 1 if f > 1/2, and differ only at the tie f = 1/2: the
even neighbour (``half_even``), the one away from zero (``half_away``), the larger (``half_up``),
the smaller (``half_down``). ``floor``, ``ceil`` and ``toward_zero`` are directed.

A float with p bits of precision and exponents from emin to emax is the set of numbers
:math:`\pm k \cdot 2^{e - p + 1}` with :math:`0 \le k < 2^p`, :math:`emin \le e \le emax`. A real
number is rounded to it by (1) in units of the last place of its binade, or of the smallest binade
(subnormals); what then needs an exponent beyond emax is infinite:

.. math::

    \operatorname{fl}(v) = \operatorname{half\_even}(v / u)\,u, \qquad
    u = 2^{\max(e,\,emin) - p + 1}, \quad 2^e \le |v| < 2^{e+1}    \tag{2}

This file shares no code with what it judges, and uses no floating-point operation except to hold
a result. Every float of at most 64 bits is held exactly by a Python ``float``.

References
----------
IEEE 754-2019, sections 3.3 (sets of numbers), 4.3 (rounding), 7.4 (overflow).
"""

import math
from fractions import Fraction

__all__ = [
    "ROUNDING_RULES",
    "add",
    "add_f32",
    "divide",
    "float16",
    "float32",
    "float64",
    "fused",
    "multiply",
    "round_exact",
]

ROUNDING_RULES = (
    "half_even",
    "half_away",
    "half_up",
    "half_down",
    "toward_zero",
    "floor",
    "ceil",
)

_HALF = Fraction(1, 2)


def round_exact(value: Fraction, rule: str) -> int:
    """Return the integer that ``rule`` gives for ``value``: eq. (1).

    >>> [round_exact(Fraction(5, 2), rule) for rule in ROUNDING_RULES]
    [2, 3, 3, 2, 2, 2, 3]
    >>> [round_exact(Fraction(-5, 2), rule) for rule in ROUNDING_RULES]
    [-2, -3, -2, -3, -2, -3, -2]
    """
    n = value.numerator // value.denominator  # Python's // is the floor
    fraction = value - n
    up_at_tie = {
        "half_even": n % 2 == 1,
        "half_away": value > 0,
        "half_up": True,
        "half_down": False,
    }
    if rule in up_at_tie:
        up = up_at_tie[rule] if fraction == _HALF else fraction > _HALF
    elif rule in ("floor", "ceil", "toward_zero"):
        up = fraction > 0 and (rule == "ceil" or (rule == "toward_zero" and value < 0))
    else:
        raise ValueError(f"rule must be one of {', '.join(ROUNDING_RULES)}; got {rule!r}")
    return n + 1 if up else n


def float32(value: Fraction | int) -> float:
    """Return the float32 nearest to ``value``, ties to even: eq. (2) with p = 24.

    A negative value that rounds to zero gives -0.0; zero itself gives +0.0.

    >>> float32(Fraction(1, 10))
    0.10000000149011612
    >>> float32(2**24 + 1), float32(Fraction(1, 2**150)), float32(2**128 - 2**103)
    (16777216.0, 0.0, inf)
    """
    return _nearest(int(value.numerator), int(value.denominator), _FORMATS[32])


def float16(value: Fraction | int) -> float:
    """Return the float16 nearest to ``value``, ties to even: eq. (2) with p = 11.

    >>> float16(Fraction(1, 10)), float16(2049), float16(65520), float16(Fraction(1, 2**25))
    (0.0999755859375, 2048.0, inf, 0.0)
    """
    return _nearest(int(value.numerator), int(value.denominator), _FORMATS[16])


def float64(value: Fraction | int) -> float:
    """Return the float64 nearest to ``value``, ties to even: eq. (2) with p = 53.

    >>> float64(Fraction(1, 10)), float64(2**53 + 1), float64(-(10**400))
    (0.1, 9007199254740992.0, -inf)
    """
    return _nearest(int(value.numerator), int(value.denominator), _FORMATS[64])


def divide(x: float, y: float, *, bits: int = 32) -> float:
    """Return x / y rounded once to a float of ``bits`` (16, 32, 64); specials by IEEE 754.

    >>> divide(1.0, 3.0), divide(-1.0, 0.0), divide(math.inf, -2.0), divide(0.0, 0.0)
    (0.3333333432674408, -inf, -inf, nan)
    """
    sign = math.copysign(1.0, x) * math.copysign(1.0, y)
    if math.isnan(x) or math.isnan(y) or (x == 0 == y) or (math.isinf(x) and math.isinf(y)):
        return math.nan
    if math.isinf(x) or y == 0:
        return sign * math.inf
    if math.isinf(y) or x == 0:
        return sign * 0.0
    (a, b), (c, d) = x.as_integer_ratio(), y.as_integer_ratio()
    return _nearest(a * d if c > 0 else -a * d, b * abs(c), _format(bits))


def multiply(x: float, y: float, *, bits: int = 32) -> float:
    """Return x * y rounded once to a float of ``bits`` (16, 32, 64); specials by IEEE 754.

    >>> multiply(0.1, 3.0, bits=64), multiply(2.0**100, -(2.0**100)), multiply(0.0, math.inf)
    (0.30000000000000004, -inf, nan)
    """
    if x and y and math.isfinite(x) and math.isfinite(y):
        (a, b), (c, d) = x.as_integer_ratio(), y.as_integer_ratio()
        return _nearest(a * c, b * d, _format(bits))
    if math.isnan(x) or math.isnan(y) or (math.isinf(x) and y == 0) or (x == 0 and math.isinf(y)):
        return math.nan
    sign = math.copysign(1.0, x) * math.copysign(1.0, y)
    return sign * (math.inf if x and y else 0.0)


def add(x: float, y: float, *, bits: int = 32) -> float:
    """Return x + y rounded once to a float of ``bits`` (16, 32, 64); specials by IEEE 754.

    >>> add(2.0**24, 1.0), add(2.0**24, 1.0, bits=64), add(math.inf, -math.inf)
    (16777216.0, 16777217.0, nan)
    """
    if math.isnan(x) or math.isnan(y) or (math.isinf(x) and x == -y):
        return math.nan
    if math.isinf(x) or math.isinf(y):
        return x if math.isinf(x) else y
    if x == 0 == y:
        return x if math.copysign(1.0, x) == math.copysign(1.0, y) else 0.0
    (a, b), (c, d) = x.as_integer_ratio(), y.as_integer_ratio()
    return _nearest(a * d + c * b, b * d, _format(bits))


def add_f32(x: float, y: float) -> float:
    """Return x + y rounded once to float32.

    >>> add_f32(2.0**24, 1.0), add_f32(math.inf, -1.0), add_f32(math.inf, -math.inf)
    (16777216.0, inf, nan)
    """
    return add(x, y)


def fused(x: float, y: float, z: float) -> float:
    """Return x * y + z of finite numbers, rounded once to float32; an exact zero is +0.0.

    >>> fused(1 + 2.0**-12, 1 + 2.0**-12, -1.0) == 2.0**-11 + 2.0**-24
    True
    """
    (a, b), (c, d), (e, f) = (v.as_integer_ratio() for v in (x, y, z))
    return _nearest(a * c * f + e * b * d, b * d * f, _FORMATS[32])


_FORMATS = {16: (11, -14, 15), 32: (24, -126, 127), 64: (53, -1022, 1023)}
"""By bits: p, emin and emax of eq. (2)."""


def _format(bits: int) -> tuple[int, int, int]:
    if bits not in _FORMATS:
        raise ValueError(f"bits must be 16, 32 or 64; got {bits}")
    return _FORMATS[bits]


def _nearest(above: int, below: int, form: tuple[int, int, int]) -> float:
    """Return eq. (2) of a quotient of integers, ``below`` positive; it need not be reduced.

    In integers throughout: v / u is a quotient of integers as well, u being a power of two.
    """
    precision, emin, emax = form
    size = abs(above)
    if not size:
        return 0.0
    # floor(log2): a quotient of integers of a and b bits lies in (2^(a-b-1), 2^(a-b+1)).
    e = size.bit_length() - below.bit_length()
    if (size < below << e) if e >= 0 else (size << -e < below):
        e -= 1
    unit = max(e, emin) - precision + 1
    if unit >= 0:
        below <<= unit
    else:
        size <<= -unit
    k, rest = divmod(size, below)
    k += 2 * rest > below or (2 * rest == below and k % 2 == 1)
    sign = -1.0 if above < 0 else 1.0
    if k.bit_length() + unit > emax + 1:
        return sign * math.inf
    return sign * math.ldexp(k, unit)  # exact: it is a float
