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

__all__ = ["range_exact", "sum_by_range_exact"]


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
    low, high, k = _ends(rule, limits)
    inside = low if math.isnan(x) or x <= low else min(x, high)
    product = multiply(inside, k)
    centred = all(
        abs(add(128.0, multiply(end, factor))) < _f32("0.0001")
        for end, _, factor in (_ends(one, limits) for one in rules)
    )
    if (qmin, qmax) == (-128, 127) and centred:
        return round_exact(Fraction(product), "half_even")
    return round_exact(Fraction(add(product, -multiply(low, k))), "half_even") + qmin


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


def _ends(rule: tuple[float, int], limits: tuple[int, int]) -> tuple[float, float, float]:
    """Return the range of a quantizer, and the multiplier that comes of it."""
    low, high = (multiply(float(q - rule[1]), rule[0]) for q in limits)
    return low, high, divide(float(limits[1] - limits[0]), add(high, -low))


def _f32(decimal: str) -> float:
    return float32(Fraction(decimal))
