r"""Small floats: one algorithm to encode and decode every format of ``minifloat_formats``.

A float format is a fixed-point format whose step follows the magnitude. Between two powers of two
the step is constant, so encoding is: find the power of two, divide by the step, round to an
integer. With m mantissa bits and the smallest normal exponent e_min,

.. math::

    e &= \max(\lfloor \log_2 |x| \rfloor,\ e_{min}) \tag{1} \\
    n &= \mathrm{round}(x / 2^{e - m}) \tag{2} \\
    \mathrm{magnitude} &= (e - e_{min}) \cdot 2^m + |n| \tag{3}

and the code is the magnitude with the sign in front. Eq. (3) needs no case for subnormals (e =
e_min, |n| < 2^m), nor for a carry (|n| = 2^(m+1) is the first magnitude of the next binade).
Division by a power of two is exact, in float32 and in float64, so eq. (2) rounds **once**: a
float64 must not be made a float32 before, which would round twice.

What no magnitude stands for is policy, and backends differ:

* a finite number that rounds beyond the largest: ``overflow`` = ``saturate`` (the largest number),
  ``inf``, ``nan``, or ``ieee`` (infinity, or the largest number if the rule rounds towards it);
* an infinity: ``infinity``, by default the same as for numbers (ONNX's FNUZ types saturate
  numbers and make infinities NaN);
* NaN: ``nan`` = ``nan``, ``zero``, ``negative_zero``, ``max``, or ``error``.

An unsigned format also ends at its low end: a number that rounds below zero is an overflow, which
saturates to code 0. E8M0 has no zero, so 0.0 is one too; a positive number below 2^-127 is not: it
becomes 2^-127 by every rule. E8M0's only significand, 1, is odd: ``half_even`` takes ties up.

References
----------
IEEE 754-2019, sections 4.3 and 7.4 (``ieee``); OCP 8-bit Floating Point Specification 1.0
(saturating and non-saturating conversion); ONNX, "Float stored in 8 bits" (``infinity``).
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.minifloat_formats import FloatFormat
from refquant.numerics.rounding import ROUNDING, round_stochastic, round_to_integer

__all__ = ["NAN_POLICIES", "OVERFLOW_POLICIES", "decode", "encode"]

Floats = NDArray[np.floating[Any]]
Codes = NDArray[np.unsignedinteger[Any]]
Bools = NDArray[np.bool_]

OVERFLOW_POLICIES = ("saturate", "nan", "inf", "ieee")
NAN_POLICIES = ("nan", "zero", "negative_zero", "max", "error")


@cache
def _values(format: FloatFormat) -> NDArray[np.float32]:
    """Return what each code means, by eq. (1) and (2) of ``minifloat_formats``; NaN is quiet."""
    m = format.mantissa_bits
    codes = np.arange(1 << format.num_bits)
    magnitude = codes & ((1 << (format.exponent_bits + m)) - 1)
    field, mantissa = magnitude >> m, magnitude & ((1 << m) - 1)
    normal = (field > 0) | (not format.has_subnormals)
    exponent = np.maximum(field - format.bias, format.min_exponent)
    x = np.ldexp((mantissa + (normal << m)).astype(np.float64), exponent - m)
    if format.nan == "negative_zero":
        x[format.nan_code] = np.nan
    else:
        x[magnitude > format.max_code] = np.nan
    if format.has_inf:
        x[magnitude == format.inf_code] = np.inf
    if format.sign_bits:
        x = np.where(codes >> (format.num_bits - 1), -x, x)
    values: NDArray[np.float32] = x.astype(np.float32)
    values.flags.writeable = False  # it is shared by all callers
    return values


def decode(codes: ArrayLike, format: FloatFormat) -> NDArray[np.float32]:
    """Return what the codes (integers in [0, 2^num_bits), any shape) mean: float32, exactly.

    >>> from refquant.numerics.minifloat_formats import FLOAT_FORMATS
    >>> decode([0x00, 0x01, 0x08, 0x7E, 0x7F, 0x80], FLOAT_FORMATS["e4m3fn"]).tolist()
    [0.0, 0.001953125, 0.015625, 448.0, nan, -0.0]
    """
    index = np.asarray(codes)
    if index.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers, got {index.dtype}")
    limit = 1 << format.num_bits
    low, high = (int(index.min()), int(index.max())) if index.size else (0, 0)
    if low < 0 or high >= limit:
        raise ValueError(f"codes of {format.name} must be in 0..{limit - 1}, got {low}..{high}")
    return np.asarray(_values(format)[index], np.float32)


def encode(
    x: ArrayLike,
    format: FloatFormat,
    *,
    rounding: str = "half_even",
    overflow: str = "saturate",
    infinity: str | None = None,
    nan: str | None = None,
    bits: NDArray[np.unsignedinteger[Any]] | None = None,
    num_bits: int | None = None,
) -> Codes:
    """Return the codes of ``x`` (float16, float32 or float64, any shape), rounded once: eq. (1-3).

    ``rounding`` is a key of ``ROUNDING``, or ``stochastic`` with random ``bits`` below
    2**num_bits, one an element. ``infinity`` is None (as ``overflow``), ``saturate``, ``nan`` or
    ``inf``; ``nan`` None is ``nan`` for formats that have one, ``error`` for the others. The codes
    are uint8, or uint16 for more than 8 bits. A policy the format has no code for is a ValueError.

    >>> from refquant.numerics.minifloat_formats import FLOAT_FORMATS
    >>> x = np.array([0.25, 0.75, -2.5, 100.0], np.float32)
    >>> encode(x, FLOAT_FORMATS["e2m1"]).tolist()
    [0, 2, 12, 7]
    >>> encode(x, FLOAT_FORMATS["e2m1"], rounding="half_away").tolist()
    [1, 2, 13, 7]
    >>> e5m2 = FLOAT_FORMATS["e5m2"]
    >>> [int(encode(1e6, e5m2, overflow=how)) for how in ("saturate", "nan", "inf")]
    [123, 126, 124]
    """
    values = _floats(x)
    default = "error" if format.nan_code is None else "nan"
    on_nan = default if nan is None else nan
    _check_policies(format, rounding, overflow, infinity, on_nan)
    finite, negative = np.isfinite(values), np.signbit(values)
    if not format.has_subnormals:
        negative |= values == 0  # there is no zero: it is as far outside as -1
    numbers = np.where(finite, values, values.dtype.type(0))
    magnitude = _magnitude(numbers, format, rounding, bits, num_bits)
    codes = _with_sign(magnitude, negative, format)

    outside = magnitude > format.max_code
    if not format.sign_bits:
        outside |= negative & ((magnitude > 0) | (not format.has_subnormals))
    codes[outside] = _outside(overflow, rounding, negative[outside], format)
    endless, unknown = np.isinf(values), np.isnan(values)
    same = "inf" if overflow == "ieee" else overflow
    how = same if infinity is None else infinity
    codes[endless] = _outside(how, rounding, negative[endless], format)
    if unknown.any():
        codes[unknown] = _nan_codes(on_nan, negative[unknown], format)
    return codes.astype(np.uint8 if format.num_bits <= 8 else np.uint16)


def _floats(x: ArrayLike) -> Floats:
    """Return ``x`` as float32 or float64, unchanged in value."""
    values = np.asarray(x)
    if values.dtype not in (np.float16, np.float32, np.float64):
        raise ValueError(f"x must be float16, float32 or float64, got {values.dtype}")
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _check_policies(
    format: FloatFormat, rounding: str, overflow: str, infinity: str | None, nan: str
) -> None:
    rules = (*ROUNDING, "stochastic")
    if rounding not in rules:
        raise ValueError(f"rounding must be one of {', '.join(rules)}; got {rounding!r}")
    if overflow not in OVERFLOW_POLICIES:
        raise ValueError(
            f"overflow must be one of {', '.join(OVERFLOW_POLICIES)}; got {overflow!r}"
        )
    if infinity not in (None, *OVERFLOW_POLICIES[:3]):
        raise ValueError(f"infinity must be None, saturate, nan or inf; got {infinity!r}")
    if nan not in NAN_POLICIES:
        raise ValueError(f"nan must be one of {', '.join(NAN_POLICIES)}; got {nan!r}")
    wanted = {overflow, infinity}
    lacks = [
        ("an infinity", wanted & {"inf", "ieee"} and not format.has_inf),
        ("NaN", "nan" in {nan, *wanted} and format.nan_code is None),
        ("a zero", nan == "zero" and not format.has_subnormals),
        ("a negative zero", nan == "negative_zero" and not format.negative_zero),
    ]
    for what, missing in lacks:
        if missing:
            chosen = f"overflow={overflow!r}, infinity={infinity!r}, nan={nan!r}"
            raise ValueError(f"{format.name} has no code for {what}; got {chosen}")


def _magnitude(
    x: Floats,
    format: FloatFormat,
    rounding: str,
    bits: NDArray[np.unsignedinteger[Any]] | None,
    num_bits: int | None,
) -> NDArray[np.int32]:
    """Return eq. (3) for finite numbers, as if the format had no largest number."""
    m, lowest = format.mantissa_bits, format.min_exponent
    _, above = np.frexp(x)  # |x| in [2^(above - 1), 2^above)
    exponent = np.where(x == 0, lowest, np.maximum(above - 1, lowest)).astype(np.int32)
    n = np.ldexp(x, m - exponent)
    if (rounding == "stochastic") != (bits is not None) or (bits is None) != (num_bits is None):
        raise ValueError("rounding='stochastic' takes bits and num_bits, other rules take neither")
    if bits is not None and num_bits is not None:
        if bits.shape != x.shape:
            raise ValueError(f"bits must have the shape of x, {x.shape}; got {bits.shape}")
        n = round_stochastic(n, bits=bits, num_bits=num_bits)
    else:
        n = round_to_integer(n, rule=rounding)
    first = 0 if format.has_subnormals else 1 << m  # without subnormals, |n| = 2^m is magnitude 0
    whole = np.abs(n).astype(np.int32) - first
    return np.asarray(np.maximum(((exponent - lowest) << m) + whole, 0), np.int32)


def _with_sign(magnitude: NDArray[np.int32], negative: Bools, format: FloatFormat) -> NDArray[Any]:
    """Return the codes of magnitudes; without a negative zero, a negative 0 is 0."""
    if not format.sign_bits:
        return np.array(magnitude)
    signed = negative if format.negative_zero else negative & (magnitude > 0)
    return np.array(magnitude | (signed.astype(np.int32) << (format.num_bits - 1)))


def _outside(policy: str, rounding: str, negative: Bools, format: FloatFormat) -> NDArray[Any]:
    """Return the codes of numbers beyond either end of the range."""
    if policy == "nan":
        return _nan_codes("nan", negative, format)
    largest = np.full(negative.shape, format.max_code, np.int32)
    if format.has_inf and policy != "saturate":
        to_zero = {
            "toward_zero": np.ones_like(negative),
            "floor": ~negative,
            "ceil": negative,
        }.get(rounding, np.zeros_like(negative))
        infinite = ~to_zero if policy == "ieee" else np.ones_like(negative)
        largest += infinite  # the magnitude of infinity follows the largest number
    if not format.sign_bits:
        largest[negative] = 0  # the low end
    return _with_sign(largest, negative, format)


def _nan_codes(policy: str, negative: Bools, format: FloatFormat) -> NDArray[Any]:
    """Return the codes of NaN; a format with both keeps its sign."""
    if policy == "error":
        raise ValueError(f"x must not hold NaN: {format.name} with nan='error'")
    if policy != "nan":
        sign = 1 << (format.num_bits - 1)
        same = {"zero": 0, "negative_zero": sign, "max": format.max_code}[policy]
        return np.full(negative.shape, same, np.int32)
    signed = negative & format.negative_zero
    code = np.full(negative.shape, format.nan_code, np.int32)
    return code | (signed.astype(np.int32) << (format.num_bits - 1))
