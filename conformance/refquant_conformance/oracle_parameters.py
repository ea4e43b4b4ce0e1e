r"""The exact oracle of parameters: which scale and zero point a range of reals gives.

Written from ``docs/spec/operators.md``, sections 2 (``DynamicQuantizeLinear``) and 2.1, in
fractions that are rounded wherever the text computes: every operation of a chosen precision is

.. math::

    \operatorname{fl}(a \circ b), \qquad \operatorname{fl} \text{ of 32 or 64 bits}    \tag{1}

Only integer zero points: what a float zero point or an offset is, no operator of the catalogue
returns. ``ArithmeticError`` for a range that gives no finite scale.

References
----------
``docs/spec/operators.md``, sections 2 and 2.1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from refquant_conformance.rational import (
    add,
    divide,
    float16,
    float32,
    float64,
    multiply,
    round_exact,
)

__all__ = ["choose_exact", "dynamic_exact"]

Axes = Mapping[str, str | bool | float]

_TINY = 2.0**-126


@dataclass(frozen=True, slots=True)
class _Step:
    """A scale as computed, as stored, and whether ``zero_range_scale`` took its place."""

    exact: float
    stored: float
    replaced: bool


def choose_exact(
    lo: float, hi: float, *, qmin: int, qmax: int, symmetric: bool, axes: Axes
) -> tuple[float, int]:
    """Return (scale, zero point) of the float32 range ``[lo, hi]`` by ``axes``, section 2.1.

    >>> plain = {"parameter_dtype": "float32", "small_range": "replace", "zero_range_scale": 1.0,
    ...          "inverse": "of_scale", "scale_dtype": "float32", "range_includes_zero": True,
    ...          "zero_point_from": "qmin", "zero_point_rounding": "half_even",
    ...          "zero_point_dtype": "parameter_dtype", "symmetric_scale": "amax_over_qmax"}
    >>> choose_exact(-1.0, 3.0, qmin=-8, qmax=7, symmetric=False, axes=plain)
    (0.2666666805744171, -4)
    """
    if axes["small_range"] == "unit_range" and lo == 0 == hi:
        lo, hi = -1.0, 1.0
    if symmetric:
        return _symmetric(lo, hi, qmin, qmax, axes)
    return _asymmetric(lo, hi, qmin, qmax, axes)


def _symmetric(lo: float, hi: float, qmin: int, qmax: int, axes: Axes) -> tuple[float, int]:
    bits = _bits(axes)
    middle = 0 if qmin < 0 or axes.get("zero_point") == "none" else (qmax + 1) // 2
    if qmin < 0 and axes.get("weight_range") == "narrow":
        qmin += 1
    if axes.get("range_includes_zero", True):  # not told apart where only amax counts
        lo, hi = min(lo, 0.0), max(hi, 0.0)
    if axes["small_range"] == "floor_width":
        hi = max(hi, add(lo, _given(axes), bits=bits))
    amax = max(abs(lo), abs(hi))
    rule = axes["symmetric_scale"]
    if rule == "amax_over_qmax":
        step = _step(amax, float(qmax - middle), axes)
    elif rule == "signed_amax_over_qmin":
        step = _step(lo if abs(lo) >= abs(hi) else hi, float(qmin - middle), axes)
    else:
        whole = rule == "half_range_if_negative" and lo >= 0
        step = _step(amax, float(qmax - qmin) if whole else (qmax - qmin) / 2, axes)
    return step.stored, middle


def _asymmetric(lo: float, hi: float, qmin: int, qmax: int, axes: Axes) -> tuple[float, int]:
    bits, replace = _bits(axes), axes["small_range"] == "replace"
    if axes["range_includes_zero"] or (lo == hi and replace):
        lo, hi = min(lo, 0.0), max(hi, 0.0)
    width = add(hi, -lo, bits=bits)
    if axes["small_range"] == "floor_width":
        width = max(width, _given(axes))
    steps = float(qmax - qmin)
    step = _step(width, steps, axes)
    if axes["small_range"] == "fbgemm_limits":
        before = _f32(divide(width, steps, bits=bits))
        lo, hi = _fbgemm_ends(lo, hi, before, step, steps)
    if step.replaced and replace:
        return step.stored, min(max(0, qmin), qmax)
    scale = step.exact
    if axes["zero_point_dtype"] == "float64_of_stored_scale":
        bits, scale = 64, step.stored
    return step.stored, min(max(_zero_point(lo, hi, scale, (qmin, qmax), bits, axes), qmin), qmax)


def _zero_point(
    lo: float, hi: float, scale: float, codes: tuple[int, int], bits: int, axes: Axes
) -> int:
    (qmin, qmax), rule = codes, str(axes["zero_point_rounding"])
    low, high = divide(lo, scale, bits=bits), divide(hi, scale, bits=bits)
    if axes["zero_point_from"] == "qmin_after_rounding":
        whole = round_exact(Fraction(low), rule)
        return round_exact(Fraction(_real(qmin - whole, bits)), "half_even")
    from_low = add(float(qmin), -low, bits=bits)
    if axes["zero_point_from"] == "nearer_end":
        below = add(float(abs(qmin)), abs(low), bits=bits)
        above = add(float(abs(qmax)), abs(high), bits=bits)
        if not below < above:
            from_low = add(float(qmax), -high, bits=bits)
    return round_exact(Fraction(from_low), rule)


def _step(span: float, steps: float, axes: Axes) -> _Step:
    """Return the scale of ``span`` in ``steps``: the last two items of section 2.1."""
    bits, given, rule = _bits(axes), _given(axes), axes["small_range"]
    scale = divide(span, steps, bits=bits)
    small = _small(scale, span, axes)
    exact = given if small else scale
    inverse = None
    if axes["inverse"] in ("stored", "stored_by_reciprocal"):
        if small:
            wide = divide(1.0, given, bits=bits)
        elif axes["inverse"] == "stored":
            wide = divide(steps, span, bits=bits)
        else:
            wide = multiply(steps, divide(1.0, span, bits=bits), bits=bits)
        if rule == "hqq_limits":
            wide = min(wide, 2e4)
        inverse = _f32(wide)
        exact = given if small else divide(1.0, inverse)
    if rule == "fbgemm_limits" and _f32(exact) < _f32(6.1e-5):
        exact = _f32(6.1e-5)
    stored = _f32(exact)
    if not math.isfinite(stored):
        raise ArithmeticError(f"{span} over {steps} is no float32")
    if axes["scale_dtype"] == "float16":
        stored = float16(Fraction(stored)) or given
        if not math.isfinite(stored):
            raise ArithmeticError(f"{span} over {steps} is no float16")
    return _Step(exact, stored, small)


def _small(scale: float, span: float, axes: Axes) -> bool:
    rule, size = axes["small_range"], abs(scale)
    if rule == "fbgemm_limits":
        return abs(_f32(scale)) <= 2.0**-128
    if size < _TINY:
        return True
    if rule == "floor_scale":
        return size < _given(axes)
    if rule == "below_sqrt_tiny":
        return size < 2.0**-63
    if rule == "amax_to_2_24":
        return abs(span) <= 2.0**-24
    return rule == "hqq_limits" and abs(span) <= _f32(1e-4)


def _fbgemm_ends(
    lo: float, hi: float, before: float, step: _Step, steps: float
) -> tuple[float, float]:
    """Return the range that gives z where FBGEMM raised the scale, in float32."""
    if step.replaced or not before < step.stored:
        return lo, hi
    reach = multiply(step.stored, steps)
    if lo == 0:
        return lo, reach
    if hi == 0:
        return -reach, hi
    factor = divide(step.stored, before)
    return multiply(lo, factor), multiply(hi, factor)


def dynamic_exact(
    lo: float, hi: float, *, qmin: int, qmax: int, nan: bool, axes: Axes
) -> tuple[float, int]:
    """Return (scale, zero point) of ``DynamicQuantizeLinear``, section 2; ``nan``: x holds some.

    ``range_scale``, ``zero_range``, ``nan_in_range`` and ``range_zero_point`` are the axes.

    >>> axes = {"range_scale": "divide_f32", "zero_range": "one", "nan_in_range": "ignored",
    ...         "range_zero_point": "half_even"}
    >>> dynamic_exact(-1.0, 1.55, qmin=0, qmax=255, nan=False, axes=axes)
    (0.009999999776482582, 100)
    """
    if nan and axes["nan_in_range"] == "propagates":
        return math.nan, min(max(0, qmin), qmax)
    lo, hi, steps = min(lo, 0.0), max(hi, 0.0), float(qmax - qmin)
    width = add(hi, -lo)
    if axes["range_scale"] == "multiply_f32":
        scale = multiply(width, divide(1.0, steps))
    elif axes["range_scale"] == "divide_f64":
        scale = _f32(divide(add(hi, -lo, bits=64), steps, bits=64))
    else:
        scale = divide(width, steps)
    if scale == 0:
        instead = {"one": 1.0, "zero": 0.0, "one_step": divide(1.0, steps)}
        return instead[str(axes["zero_range"])], min(max(0, qmin), qmax)
    low = divide(lo, scale)
    if math.isnan(low):  # infinity over infinity
        return scale, min(max(0, qmin), qmax)
    if axes["range_zero_point"] == "half_even_before":
        real = float(qmin - round_exact(Fraction(low), "half_even"))
    else:
        real = add(float(qmin), -low)
    rule = "half_away" if axes["range_zero_point"] == "half_away" else "half_even"
    return scale, min(max(round_exact(Fraction(real), rule), qmin), qmax)


def _bits(axes: Axes) -> int:
    return 64 if axes["parameter_dtype"] == "float64" else 32


def _real(value: int, bits: int) -> float:
    return float64(value) if bits == 64 else float32(value)


def _given(axes: Axes) -> float:
    return float(axes["zero_range_scale"])


def _f32(value: float) -> float:
    return value if not math.isfinite(value) else float32(Fraction(value))
