r"""The exact oracle of requantization: an accumulator times a multiplier, in every mode.

Written from ``docs/spec/operators.md`` section 4, one number at a time, in integers and fractions.
With :math:`(M, s)` the multiplier in fixed point and

.. math::

    \operatorname{SRDHM}(a, b) = \operatorname{half\_up}(a b / 2^{31}) \text{, saturated}    \tag{1}

    \operatorname{RDBPOT}(a, e) = \operatorname{half\_away}(a / 2^e)    \tag{2}

every mode is one rounding of a rational, or two of them, one after the other. What a mode cannot
compute raises: ``OverflowError`` where a result leaves int32, ``ValueError`` for a multiplier that
the mode does not have. Left out: the modes that end in reals (section 11), which no operator of
the catalogue ends in.

References
----------
``docs/spec/operators.md``, section 4.
Jacob and Warden, gemmlowp, ``fixedpoint/fixedpoint.h`` (the names SRDHM and RDBPOT).
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from refquant_conformance.rational import (
    add,
    float32,
    float64,
    multiply,
    round_exact,
)

__all__ = [
    "quantize_multiplier_exact",
    "requantize_exact",
]

_LOW, _HIGH = -(2**31), 2**31 - 1


def quantize_multiplier_exact(real: float) -> tuple[int, int]:
    """Return (M, shift) with real ~ M * 2^(shift - 31) and 2^30 <= M < 2^31.

    ``real`` is a float64 >= 0. Below 2^-32 (a shift below -31), and for 0, both are 0.

    >>> quantize_multiplier_exact(0.75), quantize_multiplier_exact(1 - 2.0**-40)
    ((1610612736, 0), (1073741824, 1))
    """
    m, shift = _decomposed(real, 31, "half_away")
    return (0, 0) if shift < -31 else (m, shift)


def requantize_exact(acc: int, multiplier: float, *, mode: str, zero_point: int = 0) -> int:
    """Return ``acc`` times ``multiplier``, rounded as ``mode`` says: eq. (1), (2).

    Without zero point and clamp; ``zero_point`` is for the modes that add it before they round.
    Modes of float32 round ``multiplier`` to it first.

    >>> [requantize_exact(-6, 0.25, mode=m) for m in ("float_rne", "gemmlowp_double", "single")]
    [-2, -2, -1]
    """
    if mode in _EARLY:
        return _EARLY[mode](acc, _f32(multiplier), zero_point)
    if mode in _FLOAT:
        return _clamp(_FLOAT[mode](acc, multiplier), _LOW, _HIGH)
    if mode not in _FIXED:
        known = ", ".join([*_FLOAT, *_FIXED, *_EARLY])
        raise ValueError(f"mode must be one of {known}; got {mode!r}")
    return _int32(_FIXED[mode](acc, multiplier))


def _float_rne(acc: int, m: float) -> int:
    return _whole(multiply(float32(acc), _f32(m)), "half_even")


def _float64_half_away(acc: int, m: float) -> int:
    return _whole(multiply(float64(acc), m, bits=64), "half_away")


def _dyadic(acc: int, m: float) -> int:
    mantissa, shift = _decomposed(m, 31, "half_away")
    product = Fraction(float64(acc * mantissa))
    return round_exact(product * Fraction(2) ** (shift - 31), "half_even")


def _zp_before_round(acc: int, m: float, z: int) -> int:
    moved = add(multiply(float64(acc), m, bits=64), float64(z), bits=64)
    return _clamp(_whole(moved, "half_even") - z, _LOW, _HIGH)


def _zp_before_round_f32(acc: int, m: float, z: int) -> int:
    moved = add(multiply(float32(acc), m), float32(z))
    whole = _whole(moved, "half_even")
    return (whole if _LOW <= whole <= _HIGH else _LOW) - z


def _double(acc: int, m: int, shift: int, second: str) -> int:
    high = round_exact(Fraction(_int32(acc * 2 ** max(shift, 0)) * m, 2**31), "half_up")
    return round_exact(Fraction(_clamp(high, _LOW, _HIGH), 2 ** max(-shift, 0)), second)


def _emulate_float(acc: int, m: float) -> int:
    mantissa, shift = _decomposed(m, 31, "half_down")
    return 0 if shift < -31 else _double(acc, mantissa, shift, "half_away")


def _single(acc: int, m: float) -> int:
    mantissa, shift = quantize_multiplier_exact(m)
    if shift > 30:
        mantissa, shift = 2**31 - 1, 30
    return _scaled(acc * mantissa, 31 - shift)


def _tosa(acc: int, m: float, *, double: bool) -> int:
    mantissa, shift = quantize_multiplier_exact(m)
    if shift > 29:
        raise ValueError(f"TOSA has no multiplier of 2^29 or more; got {m}")
    nudge = (2**30 if acc >= 0 else -(2**30)) if double and shift < 0 else 0
    return _scaled(acc * mantissa + nudge, 31 - shift)


def _scale16(acc: int, m: float) -> int:
    mantissa, shift = _decomposed(m, 15, "half_away")
    if shift > 13:
        raise ValueError(f"scale16 has no multiplier of 2^13 or more; got {m}")
    return 0 if 15 - shift > 62 else _scaled(acc * mantissa, 15 - shift)


def _tflite_int64(acc: int, m: float) -> int:
    mantissa, shift = quantize_multiplier_exact(m)
    if shift > 7:
        raise ValueError(f"tflite_int64 has no multiplier of 2^7 or more; got {m}")
    reduced = min(round_exact(Fraction(mantissa, 2**16), "half_up"), 2**15 - 1)
    return _scaled(acc * reduced, 15 - shift)


def _rndnu(acc: int, m: float) -> int:
    return round_exact(acc * Fraction(_xnnpack(m)), "half_up")


def _rndnu16(acc: int, m: float) -> int:
    mantissa, shift = _decomposed(_xnnpack(m), 15, "half_up")
    x = _clamp(round_exact(acc * Fraction(2) ** shift, "half_up"), -(2**15), 2**15 - 1)
    return _scaled(x * mantissa, 15)


def _pow2(acc: int, m: float) -> int:
    if math.frexp(m)[0] != 0.5:
        raise ValueError(f"pow2 has powers of two only; got {m}")
    if m > 1:
        _int32(acc * int(m))
    return round_exact(acc * Fraction(m), "half_up")


_FLOAT: Mapping[str, Callable[[int, float], int]] = {
    "float_rne": _float_rne,
    "float64_half_away": _float64_half_away,
    "dyadic": _dyadic,
}
_FIXED: Mapping[str, Callable[[int, float], int]] = {
    "gemmlowp_double": lambda a, m: _double(a, *quantize_multiplier_exact(m), "half_away"),
    "gemmlowp_double_f32": lambda a, m: _double(
        a, *quantize_multiplier_exact(_f32(m)), "half_away"
    ),
    "neon_double": lambda a, m: _double(a, *quantize_multiplier_exact(m), "half_up"),
    "emulate_float": _emulate_float,
    "single": _single,
    "tosa_double": lambda a, m: _tosa(a, m, double=True),
    "tosa_single": lambda a, m: _tosa(a, m, double=False),
    "scale16": _scale16,
    "tflite_int64": _tflite_int64,
    "rndnu": _rndnu,
    "rndnu16": _rndnu16,
    "pow2": _pow2,
}
_EARLY: Mapping[str, Callable[[int, float, int], int]] = {
    "float_zp_before_round": _zp_before_round,
    "float_zp_before_round_f32": _zp_before_round_f32,
}


def _decomposed(real: float, bits: int, rule: str) -> tuple[int, int]:
    """Return (M, shift) with real ~ M * 2^(shift - bits), M of ``bits`` bits; 0 for 0."""
    if real == 0:
        return 0, 0
    mantissa, shift = Fraction(real), 0
    while mantissa >= 1:
        mantissa, shift = mantissa / 2, shift + 1
    while mantissa < Fraction(1, 2):
        mantissa, shift = mantissa * 2, shift - 1
    m = round_exact(mantissa * 2**bits, rule)
    return (m // 2, shift + 1) if m == 2**bits else (m, shift)


def _scaled(product: int, right: int) -> int:
    return round_exact(Fraction(product) / Fraction(2) ** right, "half_up")


def _xnnpack(m: float) -> float:
    narrow = _f32(m)
    if not 2.0**-32 <= narrow < 256:
        raise ValueError(f"rndnu has multipliers in [2^-32, 256); got {m}")
    return narrow


def _f32(m: float) -> float:
    return m if math.isinf(m) else float32(Fraction(m))


def _whole(v: float, rule: str) -> int:
    """Return ``v`` as an integer; an infinity is one far beyond int32."""
    if math.isinf(v):
        return 2**40 if v > 0 else -(2**40)
    return round_exact(Fraction(v), rule)


def _int32(value: int) -> int:
    if not _LOW <= value <= _HIGH:
        raise OverflowError(f"{value} leaves int32")
    return value


def _clamp(q: int, low: int, high: int) -> int:
    return min(max(q, low), high)
