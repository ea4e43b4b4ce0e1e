r"""The exact oracle of means of codes: of windows, and of whole planes, one output at a time.

Written from ``docs/spec/operators.md``, section 4 (AveragePool, ReduceMean), in integers and
fractions. ``codes`` are the elements of a window that lie inside the image, in row-major order,
``n`` how many count. Rules are ``(scale, zero_point)``.

References
----------
``docs/spec/operators.md``, section 4; onnxruntime, QLinearAveragePool (the values ``dequantize``
and ``dequantize_zero_point_first``); ``oracle_numpy`` (``dequantize_pairwise``).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.oracle_elementwise import quantized_exact
from refquant_conformance.oracle_numpy import pairwise_exact
from refquant_conformance.oracle_requantize import quantize_multiplier_exact
from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = ["average_exact", "mean_exact"]

Rule = tuple[float, int]
Limits = tuple[int, int]


def average_exact(
    codes: Sequence[int], n: int, x: Rule, y: Rule, *, how: str, limits: Limits
) -> int:
    """Return the code of the mean of a window; ``ValueError`` where ``how`` is not defined.

    >>> one = (1.0, 0)
    >>> [average_exact([1, 2], 2, one, one, how=how, limits=(-128, 127))
    ...  for how in ("float_multiplier", "half_away", "tosa_reciprocal", "dequantize")]
    [2, 2, 2, 2]
    """
    total = sum(code - x[1] for code in codes)  # padding that counts is the zero point
    if how == "float_multiplier":
        m = divide(x[0], multiply(y[0], float(n)))
        return _clamp(_even(multiply(float32(total), m)) + y[1], limits)
    if how == "float_multiplier_ratio_first":
        m = divide(divide(x[0], y[0]), float(n))
        return _clamp(_even(multiply(float32(total), m)) + y[1], limits)
    if how == "half_away":
        if x != y:
            raise ValueError("half_away has equal parameters of input and output")
        raw = total + x[1] * n
        return _clamp(_divided(raw + n // 2 if raw > 0 else raw - n // 2, n), limits)
    if how == "tosa_reciprocal":
        if x[0] != y[0]:
            raise ValueError("tosa_reciprocal has equal scales of input and output")
        k = (n - 1).bit_length()
        m = (2**30 + 1) * 2**k // n
        return _clamp((total * m + 2 ** (29 + k)) // 2 ** (30 + k) + y[1], limits)
    if how not in ("dequantize", "dequantize_zero_point_first", "dequantize_pairwise"):
        raise ValueError(f"an average has no arithmetic {how!r}")
    reals, real = [multiply(float(code - x[1]), x[0]) for code in codes], 0.0
    for value in reals:
        real = add(real, value)
    if how == "dequantize_pairwise":
        real = pairwise_exact(reals)
    early = how == "dequantize_zero_point_first"
    return quantized_exact(divide(real, float(n)), y, limits, zero_point_first=early)


def mean_exact(codes: Sequence[int], x: Rule, y: Rule, *, how: str, limits: Limits) -> int:
    """Return the code of the mean of all ``codes``.

    >>> one = (1.0, 0)
    >>> [mean_exact([2, 3], one, one, how=how, limits=(-128, 127))
    ...  for how in ("folded_multiplier", "float_zero_point", "float_multiplier")]
    [3, 2, 2]
    """
    n = len(codes)
    if how == "folded_multiplier":
        return _clamp(_folded(sum(codes) - n * x[1], n, x[0], y[0]) + y[1], limits)
    if how == "float_zero_point":
        m = multiply(divide(x[0], y[0]), divide(1.0, float(n)))
        shifted = add(float(y[1]), -multiply(multiply(float(n), float(x[1])), m))
        return _clamp(_even(add(multiply(float32(sum(codes)), m), shifted)), limits)
    if how.startswith("rounded_zero_point"):
        second = "half_away" if how == "rounded_zero_point" else "half_up"
        return _rounded_zero_point(sum(codes), n, x, y, limits, second)
    return average_exact(codes, n, x, y, how=how, limits=limits)


def _folded(total: int, n: int, sx: float, sy: float) -> int:
    m, shift = quantize_multiplier_exact(divide(sx, sy, bits=64))
    left = min(n.bit_length() - 1, 32, 31 + shift)
    return _double(total, m * 2**left // n, shift - left, "half_away")


def _rounded_zero_point(total: int, n: int, x: Rule, y: Rule, limits: Limits, second: str) -> int:
    """The zero point of the input, in codes of the output, is rounded before it is taken off."""
    shifted = divide(multiply(float(x[1]), x[0]), y[0])
    shifted = add(shifted, 0.5 if shifted > 0 else -0.5)
    bias = y[1] - math.trunc(shifted)
    m, shift = quantize_multiplier_exact(divide(x[0], multiply(float(n), y[0])))
    return _clamp(_double(total, m, shift, second) + bias, limits)


def _double(total: int, m: int, shift: int, second: str) -> int:
    high = round_exact(Fraction(total * 2 ** max(shift, 0) * m, 2**31), "half_up")
    return round_exact(Fraction(high, 2 ** max(-shift, 0)), second)


def _even(v: float) -> int:
    return 2**40 if math.isinf(v) else round_exact(Fraction(v), "half_even")


def _divided(a: int, n: int) -> int:
    """Divide as C does: toward zero."""
    return a // n if a >= 0 else -(-a // n)


def _clamp(q: int, limits: Limits) -> int:
    return min(max(q, limits[0]), limits[1])
