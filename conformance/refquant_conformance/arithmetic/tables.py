r"""How the float32 result f of a function becomes a code.

* ``quotient``: half_even(f / s_y) + z_y;
* ``reciprocal_half_away``: half_away(f * f32(1 / s_y)) + z_y;
* ``reciprocal_zero_point_first``: half_even(f32(f * f32(1 / s_y)) + z_y);
* ``fused_reciprocal``: half_even(f * f32(1 / s_y)) + z_y, f of the real f32(s_x q - f32(s_x z_x));
* ``by_range``: ``fake_quantize``, eq. (2).

References
----------
LiteRT ``kernels/internal/common.h``; XNNPACK ``src/reference/unary-elementwise.cc``.
"""

from fractions import Fraction

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics.rounding import round_half_away
from refquant_conformance.arithmetic.fake_quantize import reals_by_range
from refquant_conformance.arithmetic.rules import rule
from refquant_conformance.oracle_fake_quantize import real_by_range_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.rational import add, divide, multiply, round_exact
from refquant_conformance.types import code_range

__all__ = ["TABLES", "table_exactly", "table_of_reals"]

TABLES: tuple[AxisValue, ...] = (
    *("quotient", "reciprocal_half_away", "reciprocal_zero_point_first", "fused_reciprocal"),
    "by_range",
)
"""The ways."""


def table_of_reals(v: Array, how: AxisValue, case: Case) -> Array:
    """Return the codes, not clamped, of float32 results by the output's scale and zero point."""
    y = rule(case, "y")
    sy, zy = np.float32(y[0]), np.float32(y[1])
    with np.errstate(all="ignore"):
        if how == "by_range":
            return reals_by_range(v, (case.inputs["y_scale"], y[1]), case.types["y"])
        if how == "quotient":
            return np.asarray(np.rint(v / sy) + zy)
        steps = v * (np.float32(1) / sy)
        if how == "reciprocal_half_away":
            return np.asarray(round_half_away(steps) + zy)
        if how == "fused_reciprocal":
            return np.asarray(np.rint(steps) + zy)
        return np.asarray(np.rint(steps + zy))


def table_exactly(v: float, how: AxisValue, case: Case) -> int:
    """Return one code of ``table_of_reals`` by the oracle."""
    sy, zy = rule(case, "y")
    if how == "by_range":
        return real_by_range_exact(v, (sy, zy), code_range(case.types["y"]))
    if how == "quotient":
        return round_exact(Fraction(divide(v, sy)), "half_even") + zy
    steps = multiply(v, divide(1.0, sy))
    if how == "reciprocal_zero_point_first":
        return round_exact(Fraction(add(steps, float(zy))), "half_even")
    rounding = "half_away" if how == "reciprocal_half_away" else "half_even"
    return round_exact(Fraction(steps), rounding) + zy
