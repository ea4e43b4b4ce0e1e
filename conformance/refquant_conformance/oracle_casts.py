r"""The exact oracle of casts to small floats: one number, in fractions, by a search among values.

A format's magnitudes :math:`v_0 < v_1 < \dots < v_n` are fractions, and so is the number, whatever
type it came from. It lies on a value, or between two neighbours; the rule chooses one:

.. math::

    v_i \le |x| < v_{i+1}: \quad \text{code } i \text{ or } i + 1                  \tag{1}

Beyond the last value stands one more, the next the format would have, so that it is decided there
in the same way whether a number rounds beyond the range. With ``via_f32`` the number is rounded
to a float32 before; nothing else is ever rounded.

References
----------
OCP 8-bit Floating Point Specification 1.0; OCP Microscaling Formats 1.0; IEEE 754-2019.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any

from refquant_conformance.float_oracle import SMALL_FLOATS, SmallFloat, values
from refquant_conformance.rational import float32

__all__ = ["FORMS", "cast_exact", "decode_exact"]

FORMS: Mapping[str, SmallFloat] = MappingProxyType(
    {
        **{f"float8_{name}": SMALL_FLOATS[name] for name in ("e4m3fn", "e4m3fnuz", "e5m2")},
        "float8_e5m2fnuz": SMALL_FLOATS["e5m2fnuz"],
        "float8_e8m0fnu": SMALL_FLOATS["e8m0"],
        "float6_e2m3fn": SmallFloat(True, 2, 3, 1, 0, 0, True, False),
        "float6_e3m2fn": SmallFloat(True, 3, 2, 3, 0, 0, True, False),
        "float4_e2m1fn": SmallFloat(True, 2, 1, 1, 0, 0, True, False),
        "bfloat16": SmallFloat(True, 8, 7, 127, 128, 0x7FC0, True, True),
        "float16": SmallFloat(True, 5, 10, 15, 1024, 0x7E00, True, True),
    }
)
"""The targets by their logical types. FP6 and FP4 have no NaN: their row says 0, unasked."""

_ENDLESS = ("float8_e5m2", "bfloat16", "float16")


@cache
def _steps(name: str) -> list[Fraction]:
    """Return the magnitudes in order, and after them the next that the format would have."""
    form = FORMS[name]
    found = values(replace(form, reserved=0)) if form.reserved else values(form)
    count = len(found) - form.reserved
    if form.reserved:
        return found[: count + 1]
    return [*found, 2 * found[-1] - found[-2]]


def _sign_bit(name: str) -> int:
    form = FORMS[name]
    return 1 << (form.exponent_bits + form.mantissa_bits)


def decode_exact(code: int, name: str) -> float:
    """Return what a code means; every such number is a float32.

    >>> decode_exact(0x7E, "float8_e4m3fn"), decode_exact(0, "float8_e8m0fnu") == 2.0**-127
    (448.0, True)
    """
    form, top = FORMS[name], _sign_bit(name)
    negative, magnitude = (code // top, code % top) if form.signed else (0, code)
    steps = _steps(name)
    sign = -1.0 if negative else 1.0
    if not form.minus_zero and form.signed and code == form.nan:
        return math.nan
    if magnitude < len(steps) - 1:
        return sign * float(steps[magnitude])
    if name in _ENDLESS and magnitude == len(steps) - 1:
        return sign * math.inf
    return math.nan


def _rounded(x: Fraction, name: str, rule: str, *, negative: bool) -> int:
    """Return the magnitude of eq. (1); the number of values where x rounds beyond them."""
    steps = _steps(name)
    i = bisect_right(steps, x) - 1
    if i >= len(steps) - 1:
        return len(steps) - 1
    if i < 0:
        return 0  # below the least value of a format without zero
    low, high = steps[i], steps[i + 1]
    if x == low:
        return i
    if rule == "nearest_log2":
        return i + (x * x >= low * high)
    twice = 2 * x - low - high
    up = {
        "half_even": twice > 0 or (twice == 0 and i % 2 == 1),
        "half_away": twice >= 0,
        "half_down": twice > 0 or (twice == 0 and negative),
        "half_up": twice > 0 or (twice == 0 and not negative),
        "toward_zero": False,
        "floor": negative,
        "ceil": not negative,
    }[rule]
    return i + up


def cast_exact(x: float, name: str, axes: Mapping[str, Any]) -> int | float | None:
    """Return the code of ``x`` (an int is exact, too) in the format; None where NaN is refused.

    ``axes`` are those of ``arithmetic.cast``. float16 is returned as the number it means.

    >>> cast_exact(1.0625, "float8_e4m3fn", {"rounding": "half_even"})
    56
    """
    code = _code(x, name, axes)
    if axes.get("nan_sign") == "all_ones" and math.isnan(decode_exact(code or 0, name)):
        code = 2 * _sign_bit(name) - 1  # any NaN, also of what lies beyond
    return decode_exact(code, name) if code is not None and name == "float16" else code


def _code(x: float, name: str, axes: Mapping[str, Any]) -> int | None:
    form = FORMS[name]
    negative = math.copysign(1.0, x) < 0
    if isinstance(x, float) and math.isnan(x):
        return _nan(name, negative, axes)
    if isinstance(x, float) and math.isinf(x):
        policy = axes.get("fnuz_infinity", axes.get("infinity", "ieee"))
        return _beyond(name, negative, "saturate" if name in _SMALLEST else policy)
    number = abs(Fraction(x))
    if axes.get("via") == "via_f32":
        through = float32(number)
        if math.isinf(through):
            policy = axes.get("fnuz_infinity", axes.get("infinity", "ieee"))
            return _beyond(name, negative, "saturate" if name in _SMALLEST else policy)
        number = Fraction(through)
    if not form.has_zero:
        return _scale(number, negative, axes)
    magnitude = _rounded(number, name, str(axes["rounding"]), negative=negative)
    if magnitude == len(_steps(name)) - 1:
        default = "saturate" if name in _SMALLEST else "ieee"
        return _beyond(
            name, negative, default if name in _SMALLEST else str(axes.get("fp_overflow", default))
        )
    signed = negative and (form.minus_zero or magnitude > 0)
    return magnitude | (_sign_bit(name) if signed else 0)


_SMALLEST = ("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn")


def _scale(number: Fraction, negative: bool, axes: Mapping[str, Any]) -> int:
    """Return the code of an E8M0, which has neither sign nor zero."""
    if number == 0:
        return 0xFF if axes["of_zero"] == "nan" else 0
    if negative and axes["of_negative"] != "absolute":
        return 0xFF if axes["of_negative"] == "nan" else 0
    rule = {"floor": "toward_zero", "half_up_cast": "half_away", "even_code": "half_even"}
    rule = rule.get(axes["e8m0"], axes["e8m0"])
    magnitude = _rounded(number, "float8_e8m0fnu", str(rule), negative=False)
    if magnitude == len(_steps("float8_e8m0fnu")) - 1:
        return _beyond("float8_e8m0fnu", False, str(axes["fp_overflow"]))
    return magnitude


def _beyond(name: str, negative: bool, policy: str) -> int:
    """Return the code of what lies beyond the range."""
    form = FORMS[name]
    last = len(_steps(name)) - 2
    if not form.signed:
        return 0xFF if policy != "saturate" else (0 if negative else last)
    sign = _sign_bit(name) if negative else 0
    if policy == "saturate":
        return last | sign
    if policy == "ieee" and name in _ENDLESS:
        return (last + 1) | sign
    return form.nan | (sign if form.signed_nan else 0)


def _nan(name: str, negative: bool, axes: Mapping[str, Any]) -> int | None:
    form = FORMS[name]
    if name in _SMALLEST:
        top = _sign_bit(name)
        codes = {"zero": 0, "negative_zero": top, "max": top - 1}
        codes["opposite_zero"] = 0 if negative else top
        return codes.get(str(axes["nan_becomes"]))
    kept = negative and form.signed_nan and axes.get("nan_sign") == "kept"
    return form.nan | (_sign_bit(name) if kept else 0)
