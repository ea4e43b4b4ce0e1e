r"""The exact oracle of sums and products of codes, one output at a time.

Written from ``docs/spec/operators.md``, section 4 (Add, Mul), in fractions; every ``f32`` of the
text is one rounding of an exact number. An operand is ``(code, scale, zero_point)``.

References
----------
``docs/spec/operators.md``, sections 2 and 4.
"""

import math
from fractions import Fraction

from refquant_conformance.oracle_requantize import quantize_multiplier_exact, requantize_exact
from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = ["ADDS", "add_exact", "fused_real_exact", "mul_of_reals_exact", "quantized_exact"]

Operand = tuple[int, float, int]
Output = tuple[float, int]

ADDS = (
    *("dequantize", "scale_ratios", "tflite_shift20", "xnnpack_shift20"),
    *("tflite_shift20_shifted_first", "tflite_shift20_floored", "dequantize_fused"),
)
"""The sums that ``add_exact`` knows."""

_FAR = 2**40  # beyond every clamp, before and after a zero point


def add_exact(a: Operand, b: Operand, y: Output, *, how: str, limits: tuple[int, int]) -> int:
    """Return the code of a + b, by one of ``ADDS``; ``ValueError`` where it is not defined.

    >>> one, two = (5, 1.0, 0), (2.0, 0)
    >>> [add_exact(one, (0, 1.0, 0), two, how=how, limits=(-128, 127)) for how in ADDS]
    [2, 2, 3, 3, 3, 3, 2]
    """
    if how == "dequantize":
        return quantized_exact(add(_real(a), _real(b)), y, limits)
    if how == "dequantize_fused":
        total = add(fused_real_exact(a), fused_real_exact(b))
        whole = _whole(multiply(total, divide(1.0, y[0])))
        return _clamp((0 if whole is None else whole) + y[1], limits)
    if how == "scale_ratios":
        return _clamp(_by_ratios(a, b, y), limits)
    if how.startswith("tflite_shift20"):
        return _clamp(_by_shift(a, b, y, how), limits)
    if how == "xnnpack_shift20":
        return _clamp(_by_common_shift(a, b, y), limits)
    raise ValueError(f"add must be one of {', '.join(ADDS)}; got {how!r}")


def mul_of_reals_exact(a: Operand, b: Operand, y: Output, limits: tuple[int, int]) -> int:
    """Return the code of the float32 product of two dequantized codes.

    >>> mul_of_reals_exact((3, 0.5, 0), (5, 0.5, 0), (0.5, 0), (-128, 127))
    8
    """
    return quantized_exact(multiply(_real(a), _real(b)), y, limits)


def quantized_exact(
    v: float, y: Output, limits: tuple[int, int], *, zero_point_first: bool = False
) -> int:
    """Return clamp(round_half_even(f32(v / sy)) + zy); NaN is the smallest code.

    ``zero_point_first`` adds zy before it rounds, in float32.

    >>> quantized_exact(1.5, (1.0, 1), (0, 255))
    3
    >>> quantized_exact(1.5, (1.0, 1), (0, 255), zero_point_first=True)
    2
    """
    quotient = divide(v, y[0])
    if zero_point_first:
        quotient = add(quotient, float(y[1]))
    whole = _whole(quotient)
    return limits[0] if whole is None else _clamp(whole + (0 if zero_point_first else y[1]), limits)


def fused_real_exact(operand: Operand) -> float:
    """Return s q - f32(s z), rounded to float32 once.

    >>> fused_real_exact((3, 0.5, 1))
    1.0
    """
    code, scale, zero_point = operand
    return float32(Fraction(scale) * code - Fraction(multiply(scale, float(zero_point))))


def _real(operand: Operand) -> float:
    code, scale, zero_point = operand
    return multiply(float(code - zero_point), scale)


def _by_ratios(a: Operand, b: Operand, y: Output) -> int:
    ra, rb = divide(a[1], y[0]), divide(b[1], y[0])
    if not (math.isfinite(ra) and math.isfinite(rb)):
        raise ValueError(f"scale_ratios needs finite ratios; got {ra} and {rb}")
    inner = _fused(ra, a[2], multiply(rb, float(b[2])))
    fixed = add(float(y[1]), -inner)
    total = _fused(ra, a[0], _fused(rb, b[0], fixed))
    whole = _whole(total)
    return whole if whole is not None and -(2**31) <= whole < 2**31 else -(2**31)


def _fused(ratio: float, code: int, more: float) -> float:
    """Return f32(ratio * code + more), the product and the sum rounded to float64 before."""
    if not math.isfinite(more):
        return more
    product = multiply(ratio, float(code), bits=64)
    total = add(product, more, bits=64)
    return total if not math.isfinite(total) else float32(Fraction(total))


def _by_shift(a: Operand, b: Operand, y: Output, how: str) -> int:
    twice = 2 * max(a[1], b[1])
    sides = []
    for code, scale, zero_point in (a, b):
        moved, ratio = (code - zero_point) * 2**20, divide(scale, twice, bits=64)
        m, shift = quantize_multiplier_exact(ratio)
        if how == "tflite_shift20":
            sides.append(requantize_exact(moved, ratio, mode="gemmlowp_double"))
        elif how == "tflite_shift20_shifted_first":
            sides.append(_srdhm(math.floor(moved * Fraction(2) ** shift), m))
        else:
            sides.append(math.floor(_srdhm(moved, m) * Fraction(2) ** shift))
    last = divide(twice, multiply(2.0**20, y[0], bits=64), bits=64)
    return requantize_exact(sum(sides), last, mode="gemmlowp_double") + y[1]


def _srdhm(a: int, m: int) -> int:
    return round_exact(Fraction(a * m, 2**31), "half_up")


def _by_common_shift(a: Operand, b: Operand, y: Output) -> int:
    ratios = [divide(side[1], y[0]) for side in (a, b)]
    largest = max(ratios)
    if not (largest > 0 and math.isfinite(largest)):
        raise ValueError(f"xnnpack_shift20 needs positive, finite ratios; got {ratios}")
    exponent = 0
    while Fraction(2) ** (exponent + 1) <= Fraction(largest):
        exponent += 1
    while Fraction(2) ** exponent > Fraction(largest):
        exponent -= 1
    shift = 20 - exponent
    if not 1 <= shift <= 30:
        raise ValueError(f"xnnpack_shift20 has shifts of 1 to 30; got {shift}")
    ma, mb = (round_exact(Fraction(r) * 2**shift, "half_even") for r in ratios)
    total = 2 ** (shift - 1) + ma * (a[0] - a[2]) + mb * (b[0] - b[2])
    return int(total // 2**shift) + y[1]


def _whole(v: float) -> int | None:
    if math.isnan(v):
        return None
    if math.isinf(v):
        return _FAR if v > 0 else -_FAR
    return round_exact(Fraction(v), "half_even")


def _clamp(q: int, limits: tuple[int, int]) -> int:
    return min(max(q, limits[0]), limits[1])
