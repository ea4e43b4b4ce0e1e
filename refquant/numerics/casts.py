r"""Casts: what becomes of a rounded number that is no code.

A rounded value v lies anywhere on the float32 line, infinities and NaN included; a code lies in
``qmin..qmax``. There are three ways to cross, and backends take all three:

.. math::

    \mathrm{saturate}(v) &= \min(\max(v, q_{min}), q_{max}), \text{ in floating point} \tag{1} \\
    \mathrm{int32\_cast}(v) &= v \text{ if } -2^{31} \le v < 2^{31}, \text{else } -2^{31} \tag{2} \\
    \mathrm{wrap}(v) &= v \bmod 2^b, \text{ in the range of the codes} \tag{3}

Eq. (2) is what x86's ``cvtps2dq`` does: +inf becomes the smallest integer and, clamped later, the
smallest code. It is here because backends do so, and their bits must be reproducible; a cast of
an out-of-range float is undefined in C and NumPy, so it is spelled out. NaN has no place on the
line: eq. (1) asks for a policy.

References
----------
``docs/spec/operators.md`` section 2; Intel SDM, CVTPS2DQ (the integer indefinite value).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["int32_cast", "saturate", "wrap"]

NAN_POLICIES = ("qmin", "qmax", "zero_point", "error")


def saturate(
    v: ArrayLike, *, qmin: int, qmax: int, nan: str, zero_point: ArrayLike = 0
) -> NDArray[np.int32]:
    """Return the codes of rounded values ``v`` (zero point added): eq. (1).

    NaN becomes ``qmin``, ``qmax`` or the ``zero_point`` (which broadcasts), or is refused, as
    ``nan`` says. The clip is done in float64, which holds every float32 and every int32.

    >>> v = np.array([-np.inf, 3.0, 1e10, np.nan], np.float32)
    >>> saturate(v, qmin=-128, qmax=127, nan="qmin").tolist()
    [-128, 3, 127, -128]
    """
    if nan not in NAN_POLICIES:
        raise ValueError(f"nan must be one of {', '.join(NAN_POLICIES)}; got {nan!r}")
    wide = np.asarray(v, np.float64)
    missing = np.isnan(wide)
    if nan == "error" and missing.any():
        raise ValueError("v must not hold NaN, because the policy is nan='error'")
    substitute = {"qmin": qmin, "qmax": qmax, "zero_point": zero_point}.get(nan, qmin)
    codes: NDArray[np.int32] = np.clip(np.where(missing, substitute, wide), qmin, qmax).astype(
        np.int32
    )
    return codes


def int32_cast(v: ArrayLike) -> NDArray[np.int32]:
    """Return rounded values ``v`` as int32; outside of it, and for NaN, -2**31: eq. (2).

    >>> int32_cast(np.array([3.0, -5.0, 3e9, -np.inf, np.nan], np.float32)).tolist()
    [3, -5, -2147483648, -2147483648, -2147483648]
    """
    wide = np.asarray(v, np.float64)
    inside = (wide >= -(2.0**31)) & (wide < 2.0**31)  # false for NaN
    result: NDArray[np.int32] = np.where(inside, wide, -(2.0**31)).astype(np.int32)
    return result


def wrap(v: NDArray[np.integer[Any]], *, num_bits: int, signed: bool) -> NDArray[np.int64]:
    """Return the lowest ``num_bits`` (1 to 32) of integers, as two's complement if signed: eq. (3).

    >>> wrap(np.array([127, 128, 300, -129]), num_bits=8, signed=True).tolist()
    [127, -128, 44, 127]
    """
    if not 1 <= num_bits <= 32:
        raise ValueError(f"num_bits must be in 1..32, got {num_bits}")
    wide = np.asarray(v)
    if wide.dtype.kind not in "iu":
        raise ValueError(f"v must hold integers, got {wide.dtype}")
    low = wide.astype(np.int64) & ((1 << num_bits) - 1)
    half = np.int64(1 << (num_bits - 1)) if signed else np.int64(0)
    result: NDArray[np.int64] = (low ^ half) - half  # flips the sign bit, then restores its weight
    return result
