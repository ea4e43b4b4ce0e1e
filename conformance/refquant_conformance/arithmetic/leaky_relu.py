r"""Codes of a leaky ReLU: by its reals, or by a multiplier for each side of zero.

f = f32(alpha x) below zero, x above; f becomes a code as ``tables`` says. If x has no zero point,
``by_range`` takes f of the codes, and divides the range of y by the scale of x.

Two ways form no real at all: ``two_multipliers`` with 31 bits and two roundings
(``gemmlowp_double``), and ``two_multipliers_8_bits`` with 8 bits after the point and ties up.

References
----------
LiteRT ``reference/leaky_relu.h``; XNNPACK ``src/qs8-vlrelu``; OpenVINO 2026.4.1,
``src/common/low_precision_transformations/src/prelu.cpp`` (for the scale of x behind it).
"""

from fractions import Fraction

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics.requantize import requantize
from refquant_conformance.arithmetic.fake_quantize import reals_by_range
from refquant_conformance.arithmetic.rules import rule
from refquant_conformance.arithmetic.tables import table_exactly, table_of_reals
from refquant_conformance.oracle_fake_quantize import real_by_range_exact
from refquant_conformance.oracle_requantize import requantize_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import divide, multiply, round_exact
from refquant_conformance.types import code_range

__all__ = ["SLOPES", "leaky_codes", "leaky_exactly"]

SLOPES: tuple[AxisValue, ...] = ("two_multipliers", "two_multipliers_8_bits")
"""The ways without reals."""


def leaky_codes(case: Case, offset: Array, real: Array, how: AxisValue) -> Array:
    """Return the codes, not clamped; ``offset`` is q - z, ``real`` what it means."""
    y, alpha = rule(case, "y"), np.float32(float(case.params["alpha"]))  # type: ignore[arg-type]  # a number
    sx, sy = case.inputs["x_scale"], case.inputs["y_scale"]
    if how == "by_range" and not int(case.inputs["x_zero_point"]):
        q = offset.astype(np.float32)
        return reals_by_range(np.where(q < 0, alpha * q, q), (sy, y[1]), case.types["y"], unit=sx)
    if how not in SLOPES:
        return table_of_reals(np.where(real < 0, alpha * real, real), how, case)
    up = np.float32(sx / sy)
    if how == "two_multipliers":
        down = np.float32(np.float32(sx * alpha) / sy)
        moved = [requantize(offset, np.float64(m), mode="gemmlowp_double") for m in (up, down)]
        return np.where(offset >= 0, *moved) + y[1]
    slopes = [int(np.rint(np.float32(256) * m)) for m in (up, np.float32(up * alpha))]
    return (np.where(offset >= 0, *slopes) * offset + 256 * y[1] + 128) >> 8


def leaky_exactly(case: Case, offset: int, real: float, how: AxisValue) -> int:
    """Return one code of ``leaky_codes`` by the oracle."""
    alpha = float(np.float32(float(case.params["alpha"])))  # type: ignore[arg-type]  # a number
    (sx, zx), y = rule(case, "x"), rule(case, "y")
    if how == "by_range" and zx == 0:
        v = multiply(alpha, float(offset)) if offset < 0 else float(offset)
        return real_by_range_exact(v, y, code_range(case.types["y"]), unit=sx)
    if how not in SLOPES:
        return table_exactly(multiply(alpha, real) if real < 0 else real, how, case)
    up = divide(sx, y[0])
    if how == "two_multipliers":
        m = up if offset >= 0 else divide(multiply(sx, alpha), y[0])
        return requantize_exact(offset, m, mode="gemmlowp_double") + y[1]
    m = up if offset >= 0 else multiply(up, alpha)
    eight = round_exact(Fraction(m) * 256, "half_even")
    return round_exact(Fraction(eight * offset + 256 * y[1], 256), "half_up")
