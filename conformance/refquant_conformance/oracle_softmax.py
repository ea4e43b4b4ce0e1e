r"""The exact oracle of softmax on codes, one output at a time.

Written from ``docs/spec/operators.md``, section 4 (Softmax), in integers and fractions; tables are
of exact exponentials, rounded once.

References
----------
``docs/spec/operators.md``, sections 1 and 4; gemmlowp, ``fixedpoint/fixedpoint.h``
(``exp_on_negative_values``); onnxruntime, QLinearSoftmax (``float_table_quotient``).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.oracle_elementwise import quantized_exact
from refquant_conformance.oracle_functions import exp_stepwise, exponential, logarithm, once
from refquant_conformance.oracle_requantize import quantize_multiplier_exact
from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = ["softmax_exact"]

Rule = tuple[float, int]
Limits = tuple[int, int]

_HIGH = 2**31 - 1


def softmax_exact(
    codes: Sequence[int], index: int, x: Rule, y: Rule, *, how: str, limits: Limits
) -> int:
    """Return the code of element ``index`` of the softmax of a row.

    >>> [softmax_exact([5, 5], 0, (1.0, 0), (1 / 256, -128), how=how, limits=(-128, 127))
    ...  for how in ("dequantize", "float_table", "float_table_quotient", "fixed_point_table")]
    [0, 0, 0, 0]
    """
    below = [max(codes) - code for code in codes]
    if how == "dequantize":
        reals = [multiply(float(code - x[1]), x[0]) for code in codes]
        e = [exp_stepwise(add(v, -max(reals))) for v in reals]
        return quantized_exact(divide(e[index], _sum(e)), y, limits)
    if how == "float_table":
        e = [_table(multiply(-x[0], float(d))) for d in below]
        r = divide(1.0, multiply(_sum(e), y[0]))
        return _clamp(round_exact(Fraction(multiply(e[index], r)), "half_away") + y[1], limits)
    if how == "float_table_quotient":
        return _clamp(_quotient(below, index, x[0], y), limits)
    if how != "fixed_point_table":
        raise ValueError(f"a softmax has no arithmetic {how!r}")
    return _clamp(_fixed_point(below, index, x[0]) + limits[0], limits)


def _sum(e: Sequence[float]) -> float:
    total = 0.0
    for v in e:
        total = add(total, v)
    return total


def _table(argument: float) -> float:
    return 0.0 if argument < -199 else once(exponential(Fraction(argument)))


def _quotient(below: Sequence[int], index: int, sx: float, y: Rule) -> int:
    """The table is as large as the sum leaves room for; product and quotient are of float64."""
    largest = Fraction(2**24 - 1) * 2**104
    room = once(logarithm(Fraction(float32(largest / len(below)))))
    shift = divide(max(0.0, add(room, -5.0, bits=64)), sx, bits=64)
    e = []
    for d in below:
        power = multiply(add(shift, -float(d), bits=64), sx, bits=64)
        e.append(0.0 if power < -199 else once(exponential(Fraction(power))))
    steps = float(math.floor(Fraction(divide(1.0, y[0]))))
    share = divide(multiply(e[index], steps, bits=64), _sum(e), bits=64)
    return round_exact(Fraction(share), "half_even") + y[1]


def _fixed_point(below: Sequence[int], index: int, sx: float) -> int:
    table = {d: _fixed_exponential(d, sx) for d in set(below)}
    total = sum(_pot(table[d], 12) for d in below)
    zeros = 32 - total.bit_length()
    if zeros < 4:
        return 0
    r = _reciprocal((total << zeros) - 2**31)
    return _pot(_srdhm(r, table[below[index]]), min(35 - zeros, 31))


def _fixed_exponential(d: int, sx: float) -> int:
    """exp(-d sx) with 31 bits, of a product with 26 bits after the point."""
    step = min(Fraction(sx) * 2**26, Fraction(_HIGH))
    m, shift = quantize_multiplier_exact(float(step))
    if d > (31 << 26) >> shift:
        return 0
    a = _srdhm(-d << shift, m)
    if a == 0:
        return _HIGH
    quarter = 1 << 24
    u = a % quarter - quarter  # in [-1/4, 0)
    t = (u << 5) + 2**28
    square = _srdhm(t, t)
    fourth = _pot(_srdhm(square, square), 2)
    tail = _pot(_srdhm(fourth + _srdhm(square, t), 715827883) + square, 1)
    y = 1895147668 + _srdhm(1895147668, t + tail)
    quarters = (u - a) // quarter
    for bit, power in enumerate((-0.25, -0.5, -1, -2, -4, -8, -16)):
        if quarters >> bit & 1:
            y = _srdhm(y, _POWERS[power])
    return y


_POWERS = {
    p: round_exact(exponential(Fraction(p)) * 2**31, "half_even")
    for p in (-0.25, -0.5, -1, -2, -4, -8, -16)
}


def _reciprocal(x: int) -> int:
    """1 / (1 + x), as the specification's ``recip``."""
    d = (x + 2**31) >> 1
    r = 1515870810 + _srdhm(d, -1010580540)
    for _ in range(3):
        r += _saturated(_srdhm(r, 2**29 - _srdhm(d, r)) * 4)
    return _saturated(r * 2)


def _srdhm(a: int, b: int) -> int:
    return _saturated(round_exact(Fraction(a * b, 2**31), "half_up"))


def _pot(a: int, e: int) -> int:
    return round_exact(Fraction(a, 2**e), "half_away")


def _saturated(v: int) -> int:
    return min(max(v, -(2**31)), _HIGH)


def _clamp(q: int, limits: Limits) -> int:
    return min(max(q, limits[0]), limits[1])
