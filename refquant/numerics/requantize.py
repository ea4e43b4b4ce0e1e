r"""Requantization: from the accumulator's scale to the output's, in seventeen arithmetics.

An int32 accumulator a counts in steps of :math:`s_x s_w`, the output in steps of :math:`s_y`, so

.. math::

    y \approx a\,m, \qquad m = s_x s_w / s_y .                                   \tag{1}

Everybody computes (1), each differently: the multiplier has 16, 24, 31 or 53 bits, the product
is rounded once or twice, ties go up, away or to even. Each choice is a *mode*.

With ``(M, s) = quantize_multiplier(m)``, :math:`p = a M` and :math:`n = 31 - s`:

.. math::

    \text{single} &= \lfloor (p + 2^{n-1}) / 2^{n} \rfloor \tag{2} \\
    \text{tosa\_double} &= \lfloor (p + 2^{n-1} \pm 2^{30} [n > 31]) / 2^{n} \rfloor,
        \quad \text{+ for } a \ge 0, \text{- for } a < 0 \tag{3} \\
    \text{gemmlowp\_double} &=
        \mathrm{RDBPOT}(\mathrm{SRDHM}(a\,2^{\max(s,0)}, M), \max(-s, 0)) \tag{4} \\
    \text{float\_rne} &= \mathrm{rint}(f_{32}(f_{32}(a)\, m)) \tag{5} \\
    \text{float64\_half\_away} &= \mathrm{sign}(a)\,
        \lfloor |f_{64}(a\, m)| + 1/2 \rfloor \tag{6}

(3) and (4) are one function, written twice; ``docs/concepts/requantization.md`` has the proof.
The fixed-point modes refuse a result, or a shifted accumulator, that leaves int32: there the
originals are undefined, assert, or wrap. The float modes saturate to int32 instead, and
``rndnu16`` to int16 (`refquant.numerics.rndnu16`).

Left out: modes whose result depends on the zero point, but for two that are too common to leave out
(``ZERO_POINT_MODES``). The source of a mode is in the docstring of its function.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.fixedpoint import (
    decompose,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_shift_right,
    srdhm,
)
from refquant.numerics.requantize_float import (
    dyadic,
    float64_half_away,
    float_rne,
    float_zp_before_round,
    float_zp_before_round_f32,
)
from refquant.numerics.rndnu16 import rndnu16

__all__ = ["INT48_MODES", "REQUANTIZE_MODES", "ZERO_POINT_MODES", "requantize"]

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Signed = NDArray[np.signedinteger[Any]]


def requantize(
    acc: ArrayLike, multiplier: ArrayLike, *, mode: str, zero_point: ArrayLike | None = None
) -> Int64:
    """Return ``acc * multiplier``, eq. (1), rounded as ``mode`` says, before zero point and clamp.

    ``acc`` holds int32 values (int48 in the modes of ``INT48_MODES``). Multipliers are reals,
    finite and not negative, and broadcast (one a channel); ``float_rne``, ``gemmlowp_double_f32``,
    ``rndnu``, ``rndnu16`` and the modes of ``ZERO_POINT_MODES`` round them to float32 first; only
    these need ``zero_point``.

    >>> [int(requantize(-6, 0.25, mode=m)) for m in ("gemmlowp_double", "neon_double", "float_rne")]
    [-2, -1, -2]
    """
    if mode not in REQUANTIZE_MODES:
        raise ValueError(f"mode must be one of {', '.join(REQUANTIZE_MODES)}; got {mode!r}")
    real = np.asarray(multiplier, np.float64)
    if not ((real >= 0) & (real <= np.finfo(np.float32).max)).all():  # false for NaN
        raise ValueError(f"multiplier must be a finite float32 and not negative, got {real}")
    wide = _integers(np.asarray(acc), num_bits=48 if mode in INT48_MODES else 32, what="acc")
    if mode in _EARLY:
        if zero_point is None:
            raise ValueError(f"zero_point is needed by the mode {mode!r}, got None")
        return _EARLY[mode](wide, real, np.asarray(zero_point, np.float64))
    if zero_point is not None:
        raise ValueError(
            f"zero_point is for {' and '.join(ZERO_POINT_MODES)} only, the mode is {mode!r}"
        )
    result = _MODES[mode](wide, real)
    if mode not in _FLOAT_MODES:
        _integers(result, num_bits=32, what="the result")
    return result


def gemmlowp_double(acc: Int64, real: Float64) -> Int64:
    """Eq. (4): gemmlowp, TensorFlow Lite's reference default, CMSIS-NN's default. Ties away."""
    m, shift = quantize_multiplier(real)
    return _double(acc, m, shift, rounding_divide_by_pot)


def gemmlowp_double_f32(acc: Int64, real: Float64) -> Int64:
    """Eq. (4) of a multiplier that is a float32: TensorFlow Lite's MUL."""
    return gemmlowp_double(acc, real.astype(np.float32).astype(np.float64))


def neon_double(acc: Int64, real: Float64) -> Int64:
    """Eq. (4) with VRSHL for RDBPOT: TensorFlow Lite ``MultiplyByQuantizedMultiplier4Rows``."""
    m, shift = quantize_multiplier(real)
    return _double(acc, m, shift, rounding_shift_right)


def emulate_float(acc: Int64, real: Float64) -> Int64:
    """Eq. (4), M rounded half down: tflite-micro's ``TFLITE_EMULATE_FLOAT``, ``IntegerFrExp``."""
    m, shift = decompose(real, num_bits=31, rule="half_down")
    m, shift = np.where(shift < -31, 0, m), np.where(shift < -31, 0, shift)
    return _double(acc, m, shift, rounding_divide_by_pot)


def single(acc: Int64, real: Float64) -> Int64:
    """Eq. (2), exact but for M; ties up: ``TFLITE_SINGLE_ROUNDING``, ruy. s is at most 30."""
    m, shift = quantize_multiplier(real)
    m, shift = np.where(shift > 30, (1 << 31) - 1, m), np.minimum(shift, 30)
    return _round_shift(acc * m.astype(np.int64), 31 - shift.astype(np.int64))


def tosa_single(acc: Int64, real: Float64) -> Int64:
    """Eq. (2) for shifts 2 <= n <= 62: TOSA RESCALE, ``apply_scale_32(double_round=false)``."""
    m, n = _tosa_scale_32(real)
    return _round_shift(acc * m, n)


def tosa_double(acc: Int64, real: Float64) -> Int64:
    """Eq. (3) for shifts 2 <= n <= 62: TOSA RESCALE, ``apply_scale_32(double_round=true)``."""
    m, n = _tosa_scale_32(real)
    nudge = np.where(n > 31, np.where(acc >= 0, 1 << 30, -(1 << 30)), 0)
    return _round_shift(acc * m + nudge, n)


def scale16(acc: Int64, real: Float64) -> Int64:
    """Eq. (2) with 15-bit M (n = 15 - s) on int48: TOSA ``apply_scale_16``, its int16 networks."""
    m, shift = decompose(real, num_bits=15, rule="half_away")
    n = 15 - shift
    if (n < 2).any():
        raise ValueError(f"multiplier must be below 2**13 for 'scale16', got {real.max()}")
    # Beyond TOSA's largest shift the result is 0, whatever int48 comes.
    return _round_shift(acc * np.where(n > 62, 0, m), np.minimum(n, 62))


def tflite_int64(acc: Int64, real: Float64) -> Int64:
    """Eq. (2), M cut to 16 bits (n = 15 - s), on int48: int16x8 of TensorFlow Lite and CMSIS-NN."""
    m, shift = quantize_multiplier(real)
    if (shift > 7).any():
        raise ValueError(f"multiplier must be below 2**7 for 'tflite_int64', got {real.max()}")
    reduced = np.where(m < 0x7FFF0000, (m.astype(np.int64) + (1 << 15)) >> 16, 0x7FFF)
    return _round_shift(acc * reduced, 15 - shift.astype(np.int64))


def rndnu(acc: Int64, real: Float64) -> Int64:
    """Eq. (2) with the 24 bits of a float32 m: XNNPACK ``rndnu`` ("round to nearest, up"), Arm."""
    if not ((real >= 2.0**-32) & (real < 256)).all():
        raise ValueError(f"multiplier must be in [2**-32, 256) for 'rndnu', got {real}")
    m, shift = decompose(real.astype(np.float32), num_bits=24, rule="half_even")  # exact
    return _round_shift(acc * m, 24 - shift)


def pow2(acc: Int64, real: Float64) -> Int64:
    """``floor(a * m + 1/2)`` for m = 2**k, a rounding shift, ties up: CMSIS-NN's legacy q7 kernels.

    Other quantizers with power-of-two scales (TQT: half to even; Xilinx DPU) choose other ties.
    """
    fraction, exponent = np.frexp(real)
    if not (fraction == 0.5).all():
        raise ValueError(f"multiplier must be a power of two for 'pow2', got {real}")
    right = 1 - exponent.astype(np.int64)  # m = 2**-right
    return _round_shift(_shift_left(acc, np.maximum(-right, 0)), np.clip(right, 0, 62))


_FUNCTIONS: tuple[Callable[[Int64, Float64], Int64], ...] = (
    float_rne,
    float64_half_away,
    gemmlowp_double,
    gemmlowp_double_f32,
    neon_double,
    single,
    tosa_double,
    tosa_single,
    scale16,
    tflite_int64,
    rndnu,
    rndnu16,
    emulate_float,
    dyadic,
    pow2,
)
_MODES = MappingProxyType({function.__name__: function for function in _FUNCTIONS})
# These saturate:
_FLOAT_MODES = ("float_rne", "float64_half_away", "dyadic")
INT48_MODES = ("scale16", "tflite_int64", "float64_half_away")  # accumulators of int16
_EARLY = MappingProxyType(
    {mode.__name__: mode for mode in (float_zp_before_round, float_zp_before_round_f32)}
)
ZERO_POINT_MODES: tuple[str, ...] = tuple(_EARLY)
REQUANTIZE_MODES: tuple[str, ...] = (*_MODES, *ZERO_POINT_MODES)


def _round_shift(p: Int64, n: Int64) -> Int64:
    """Return floor((p + 2**(n-1)) / 2**n), for 0 <= n <= 62 and |p| <= 2**62: no overflow."""
    result: Int64 = (p + ((np.int64(1) << n) >> 1)) >> n
    return result


def _double(
    acc: Int64,
    m: Signed,
    shift: Signed,
    divide: Callable[[NDArray[np.int32], Signed], NDArray[np.int32]],
) -> Int64:
    """Return eq. (4) with ``divide`` for RDBPOT: two roundings."""
    high = srdhm(_shift_left(acc, np.maximum(shift, 0)), m)
    return divide(high, np.maximum(-shift, 0)).astype(np.int64)


def _shift_left(acc: Int64, left: Signed) -> Int64:
    """Return acc * 2**left, which must be an int32."""
    shifted: Int64 = acc << np.minimum(left, 32).astype(np.int64)  # by 32 only zero stays inside
    return _integers(shifted, num_bits=32, what="acc shifted left by a multiplier >= 1")


def _tosa_scale_32(real: Float64) -> tuple[Int64, Int64]:
    m, shift = quantize_multiplier(real)
    if (shift > 29).any():
        raise ValueError(f"multiplier must be below 2**29 for TOSA, got {real.max()}")
    return m.astype(np.int64), 31 - shift.astype(np.int64)


def _integers(v: NDArray[Any], *, num_bits: int, what: str) -> Int64:
    """Return ``v`` as int64, if it holds integers of ``num_bits`` bits."""
    if v.dtype.kind not in "iu":
        raise ValueError(f"{what} must hold integers, got {v.dtype}")
    limit = 1 << (num_bits - 1)
    if v.size and not (v.min() >= -limit and v.max() < limit):
        raise ValueError(f"{what} must fit int{num_bits}, got {int(v.min())}..{int(v.max())}")
    return v.astype(np.int64)
