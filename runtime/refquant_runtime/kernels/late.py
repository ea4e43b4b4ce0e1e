"""Add and Mul of codes whose zero point is added before rounding: the contract ``ort_elementwise``.

Contract: ``docs/spec/operators.md`` section 4, ``add = scale_ratios`` and ``requantize =
float_zp_before_round_f32``. What a sum becomes that int32 has not is the lowest integer.
"""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["add_ratios", "cast_f32", "less_zero", "multiply_late"]


@njit(nogil=True, error_model="numpy", inline="always")
def less_zero(codes: Any, at: int, flip: Any, zero: Any) -> Any:
    """Return code - zero point; both were moved to unsigned by flipping the top bit."""
    return np.int32(np.int32(np.uint8(codes[at] ^ flip)) - zero)


@njit(nogil=True, error_model="numpy", inline="always")
def cast_f32(value: Any) -> Any:
    """Return a rounded float32 as an integer; -2^31 for what int32 has not, as on x86."""
    inside = value >= np.float32(-2147483648.0) and value < np.float32(2147483648.0)
    return np.int32(value) if inside else np.int32(-2147483648)


@njit(nogil=True, error_model="numpy")
def add_ratios(a: Any, step_a: int, fa: Any, za: Any, ra: Any, b: Any, step_b: int, fb: Any,
               zb: Any, rb: Any, fixed: Any, out: Any, begin: int, end: int, low: Any,
               high: Any) -> None:  # fmt: skip
    """``ra qa + f32(rb qb + fixed)``: products are exact in float64, each sum is rounded."""
    wide_a, wide_b, first = np.float64(ra), np.float64(rb), np.float64(fixed)
    for i in range(begin, end):
        part = np.float32(wide_b * np.float64(less_zero(b, i * step_b, fb, zb)) + first)
        code = np.float64(less_zero(a, i * step_a, fa, za))
        total = np.float32(wide_a * code + np.float64(part))
        out[i] = np.uint8(min(max(cast_f32(np.rint(total)), low), high))


@njit(nogil=True, error_model="numpy")
def multiply_late(a: Any, step_a: int, fa: Any, za: Any, b: Any, step_b: int, fb: Any, zb: Any,
                  multiplier: Any, zero: Any, out: Any, begin: int, end: int, low: Any,
                  high: Any) -> None:  # fmt: skip
    """``f32(f32(f32((qa - za) (qb - zb)) m) + zy)``, rounded."""
    for i in range(begin, end):
        code_a, code_b = less_zero(a, i * step_a, fa, za), less_zero(b, i * step_b, fb, zb)
        scaled = np.float32(np.float32(np.int32(code_a * code_b)) * multiplier)
        out[i] = np.uint8(min(max(cast_f32(np.rint(np.float32(scaled + zero))), low), high))
