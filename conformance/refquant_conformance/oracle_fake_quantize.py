r"""The exact oracle of quantizers that are given as a range: FakeQuantize, alone or after a sum.

Written from the equations of ``arithmetic.fake_quantize``, one number at a time: with fl the
rounding to float32 and every operation rounded by itself,

.. math::

    q = q_{min} + \operatorname{half\_even}(
        \operatorname{fl}(\operatorname{fl}(c\,k) - \operatorname{fl}(lo\,k)))    \tag{1}

``fused`` sums are one rounding of the exact value. The threshold of shifts that count as equal, as
zero or as 128 are decimals of the source, as float32.

References
----------
OpenVINO, FakeQuantize-1; oneDNN, eltwise_linear.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = [
    "add_by_range_exact",
    "moved_by_range_exact",
    "mul_by_range_exact",
    "range_exact",
    "real_by_range_exact",
    "sum_by_range_exact",
]

Codes = tuple[int, int]
Operand = tuple[int, float, int]
"""Code, scale and zero point."""


def range_exact(
    x: float,
    rule: tuple[float, int],
    limits: tuple[int, int],
    *,
    rules: Sequence[tuple[float, int]],
) -> int:
    """Return the code of the float32 ``x`` by eq. (1) and the scale and zero point of ``rule``.

    ``rules`` are those of all elements, which decide together what is left out.

    >>> range_exact(0.3, (0.25, 3), (0, 255), rules=[(0.25, 3)])
    4
    """
    qmin, qmax = limits
    if qmax - qmin > 255 and all(one == (1.0, 0) for one in rules):
        cut = -(2**31)
        if math.isfinite(x) and abs(math.trunc(x)) < 2**31:
            cut = math.trunc(x)
        return (cut - qmin) % 2**16 + qmin
    centred = all(_centred(_ends(one, limits), limits) for one in rules)
    return _in_range(x, _ends(rule, limits), limits, centred)


def add_by_range_exact(a: Operand, b: Operand, y: tuple[float, int], limits: Codes) -> int:
    """Return the code of a + b: b counts, and the scale of a is one of b's.

    >>> add_by_range_exact((3, 0.5, 1), (5, 0.25, 0), (0.5, 0), (0, 255))
    4
    """
    moved = add(float32(a[2]), divide(multiply(float32(b[2]), b[1]), a[1]))
    left = Fraction(add(float32(a[0]), -moved)) * Fraction(divide(a[1], b[1]))
    ends = _ends(y, limits, unit=b[1])
    return _in_range(float32(left + b[0]), ends, limits, _centred(ends, limits))


def mul_by_range_exact(a: Operand, b: Operand, y: tuple[float, int], limits: Codes) -> int:
    """Return the code of a times b; without a zero point of b its scale joins that of a.

    >>> mul_by_range_exact((3, 0.5, 1), (5, 0.25, 0), (0.5, 0), (0, 255))
    2
    """
    left, right = float32(a[0] - a[2]), float32(b[0] - b[2])
    if b[2] == 0:
        v = multiply(multiply(left, multiply(a[1], b[1])), right)
    else:
        v = multiply(multiply(left, a[1]), multiply(right, b[1]))
    ends = _ends(y, limits)
    return _in_range(v, ends, limits, _centred(ends, limits))


def moved_by_range_exact(
    code: int, x: tuple[float, int], y: tuple[float, int], limits: Codes
) -> int:
    """Return the code, by the rule y, of a code of the rule x, which is the unit of the range.

    >>> moved_by_range_exact(3, (0.5, 1), (0.25, 0), (0, 255))
    4
    """
    return real_by_range_exact(float32(code - x[1]), y, limits, unit=x[0])


def real_by_range_exact(v: float, y: tuple[float, int], limits: Codes, *, unit: float = 1.0) -> int:
    """Return the code, by the rule y, of the float32 ``v`` times ``unit``.

    >>> real_by_range_exact(2.0, (0.25, 0), (0, 255), unit=0.5)
    4
    """
    ends = _ends(y, limits, unit=unit)
    return _in_range(v, ends, limits, _centred(ends, limits))


def _in_range(x: float, ends: tuple[float, float, float], limits: Codes, centred: bool) -> int:
    low, high, k = ends
    inside = low if math.isnan(x) or x <= low else min(x, high)
    product = multiply(inside, k)
    if centred:
        return round_exact(Fraction(product), "half_even")
    return round_exact(Fraction(add(product, -multiply(low, k))), "half_even") + limits[0]


def _centred(ends: tuple[float, float, float], limits: Codes) -> bool:
    """Return whether the shift is 128, of int8 codes: then it is left out."""
    near = abs(add(128.0, multiply(ends[0], ends[2]))) < _f32("0.0001")
    return limits == (-128, 127) and near


def sum_by_range_exact(
    total: Fraction | int,
    column: int,
    columns: Sequence[tuple[int, float]],
    *,
    scales: tuple[float, float],
    zero_point: int,
    codes: tuple[int, int],
    limits: tuple[int, int],
) -> int:
    """Return the code of a sum; ``columns`` are shift and scale of b of each.

    ``scales`` are those of a and of y.

    >>> sum_by_range_exact(10, 0, [(0, 0.25)], scales=(0.5, 0.5), zero_point=3, codes=(0, 255),
    ...                    limits=(0, 255))
    6
    """
    steps = float(codes[1] - codes[0])
    factors, shifts = [], []
    for move, scale in columns:
        unit = multiply(scales[0], scale)
        low, high = (
            add(divide(multiply(float(q - zero_point), scales[1]), unit), float32(move))
            for q in codes
        )
        width = add(high, -low)
        factors.append(divide(steps, width))
        shifts.append(divide(multiply(-low, steps), width))
    if all(abs(add(s, -shifts[0])) < _f32("0.00005") for s in shifts):
        shifts = [shifts[0]] * len(shifts)
    ends = [add(s, float(codes[0])) for s in shifts]
    if len(set(ends)) == 1 and abs(ends[0]) < multiply(steps, _f32("0.00001")):
        ends = [0.0] * len(ends)
    k, t, real = factors[column], ends[column], float32(total)
    if len(set(ends)) == 1 and len(set(factors)) == 1:
        moved = float32(Fraction(real) * Fraction(k) + Fraction(t))
    else:
        moved = add(multiply(real, k), t)
    return min(max(round_exact(Fraction(moved), "half_even"), limits[0]), limits[1])


def _ends(
    rule: tuple[float, int], limits: Codes, *, unit: float = 1.0
) -> tuple[float, float, float]:
    """Return the range of a quantizer in units, and the multiplier that comes of it."""
    low, high = (divide(multiply(float(q - rule[1]), rule[0]), unit) for q in limits)
    return low, high, divide(float(limits[1] - limits[0]), add(high, -low))


def _f32(decimal: str) -> float:
    return float32(Fraction(decimal))
