"""The requantization modes that compute in floating point: `refquant.numerics.requantize` has all.

Each takes an int64 accumulator that holds int32, and float64 multipliers, and saturates to int32.
Equations are numbered there.

References: in the docstring of each function.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.fixedpoint import decompose
from refquant.numerics.rounding import round_half_away

__all__ = [
    "dyadic",
    "float64_half_away",
    "float_rne",
    "float_zp_before_round",
    "float_zp_before_round_f32",
]

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def float_rne(acc: Int64, real: Float64) -> Int64:
    """Eq. (5), all in float32, half to even: XNNPACK ``fp32``, ORT MLAS, FBGEMM, PyTorch."""
    with np.errstate(over="ignore", under="ignore"):  # an infinite product saturates
        scaled = acc.astype(np.float32) * real.astype(np.float32)
    return _saturate_int32(np.rint(scaled).astype(np.float64))


def float64_half_away(acc: Int64, real: Float64) -> Int64:
    """Eq. (6), one product in float64, ties away: TensorFlow Lite's reference FULLY_CONNECTED."""
    return _saturate_int32(round_half_away(acc * real))


def float_zp_before_round(acc: Int64, real: Float64, zero_point: Float64) -> Int64:
    """``rint(a * m + z) - z``, m a float32: ``onnx.reference`` QLinearMatMul and QLinearConv.

    In float64: NumPy promotes int32 * float32. Adding an odd zero point before rounding half to
    even moves every tie.
    """
    m = real.astype(np.float32).astype(np.float64)
    return _saturate_int32(np.rint(acc * m + zero_point) - zero_point)


def float_zp_before_round_f32(acc: Int64, real: Float64, zero_point: Float64) -> Int64:
    """``cast(rint(f32(f32(f32(a) * m) + f32(z)))) - z``: ONNX Runtime's MLAS, QLinearMul.

    Two roundings to float32 before the one to an integer; the cast makes -2**31 of what int32 has
    not, as x86 does, so it does not saturate.
    """
    with np.errstate(over="ignore", under="ignore"):
        scaled = acc.astype(np.float32) * real.astype(np.float32)
        moved = np.rint(scaled + zero_point.astype(np.float32)).astype(np.float64)
    inside = (moved >= -(2.0**31)) & (moved < 2.0**31)
    whole: Int64 = np.where(inside, moved, -(2.0**31)).astype(np.int64)
    return whole - zero_point.astype(np.int64)


def dyadic(acc: Int64, real: Float64) -> Int64:
    """``rint(f64(a * M) / 2**n)``, product and rounding in float64: HAWQ-V3 ``fixedpoint_mul``."""
    m, shift = decompose(real, num_bits=31, rule="half_away")
    return _saturate_int32(np.rint(np.ldexp((acc * m).astype(np.float64), shift - 31)))


def _saturate_int32(v: Float64) -> Int64:
    result: Int64 = np.clip(v, -(2.0**31), 2.0**31 - 1).astype(np.int64)
    return result
