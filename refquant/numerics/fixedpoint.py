r"""Fixed point: a positive real multiplier as an integer and a shift.

Integer processors multiply by 0.0375 as if it were

.. math::

    m \approx M \cdot 2^{s - 31}, \qquad 2^{30} \le M < 2^{31},                  \tag{1}

so that the product of an accumulator a with m is an integer product and two shifts. gemmlowp
splits the shift: by 31 in the *saturating rounding doubling high multiplication*,

.. math::

    \mathrm{SRDHM}(a, b) = \lfloor (a\,b + 2^{30}) / 2^{31} \rfloor,              \tag{2}

which rounds half up, and by -s in a *rounding division by a power of two*,

.. math::

    \mathrm{RDBPOT}(x, e) = \text{the integer nearest to } x / 2^e, \text{ ties away}. \tag{3}

gemmlowp writes (2) as "add 2**30, or 1 - 2**30 when negative, divide with truncation": for
negative p, ``ceil((p + 1 - 2**30) / 2**31)`` is ``floor((p + 2**30) / 2**31)``, so both are the
same function. Arm's VRSHL shifts like (3) but rounds half up,

.. math::

    \mathrm{VRSHL}(x, e) = \lfloor (x + 2^{e-1}) / 2^e \rfloor, \quad e \ge 1.    \tag{4}

All arithmetic is in int64, where nothing here overflows. Left out: negative multipliers.

References
----------
Jacob et al., CVPR 2018, section 2.2; gemmlowp ``fixedpoint/fixedpoint.h``; TensorFlow Lite
``QuantizeMultiplier``, ``kernels/internal/quantization_util.cc``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.rounding import round_to_integer

__all__ = [
    "decompose",
    "quantize_multiplier",
    "rounding_divide_by_pot",
    "rounding_shift_right",
    "srdhm",
]

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


def quantize_multiplier(real: ArrayLike) -> tuple[Int32, Int32]:
    """Return ``(M, s)`` of eq. (1), int32, for real (float64) multipliers that are not negative.

    M is rounded half away; below 2**-32 (s < -31) every int32 times m rounds to zero, and so do
    M and s. The error of a multiplier is at most 2**(s - 32). Shape (): NumPy scalars.

    >>> [int(v) for v in quantize_multiplier(0.25)]
    [1073741824, -1]
    """
    m, shift = decompose(real, num_bits=31, rule="half_away")
    vanishes = shift < -31
    m, shift = np.where(vanishes, 0, m), np.where(vanishes, 0, shift)
    return m.astype(np.int32)[()], shift.astype(np.int32)[()]


def decompose(real: ArrayLike, *, num_bits: int, rule: str) -> tuple[Int64, Int64]:
    """Return ``(M, s)`` with real = M * 2**(s - num_bits), 2**(num_bits-1) <= M < 2**num_bits.

    M is rounded to an integer by ``rule``, a key of ``ROUNDING``; a carry to 2**num_bits moves
    into s. Zero is (0, 0).

    >>> [int(v) for v in decompose(0.75, num_bits=15, rule="half_away")]
    [24576, 0]
    """
    wide = np.asarray(real, np.float64)
    if not (np.isfinite(wide) & (wide >= 0)).all():
        raise ValueError(f"a multiplier must be finite and not negative, got {wide}")
    fraction, exponent = np.frexp(wide)
    # Scaling by a power of two is exact, so the rule rounds the multiplier itself.
    m = round_to_integer(np.asarray(fraction * 2.0**num_bits), rule=rule).astype(np.int64)
    carry = m == 1 << num_bits
    return np.where(carry, m >> 1, m), exponent.astype(np.int64) + carry


def srdhm(a: ArrayLike, b: ArrayLike) -> Int32:
    """Return the high half of 2ab, rounded half up: eq. (2).

    ``a`` and ``b`` are int32 values that broadcast. One pair overflows, -2**31 times itself: it
    saturates to 2**31 - 1.

    >>> int(srdhm(-3, 1 << 30)), int(srdhm(-(2**31), -(2**31)))
    (-1, 2147483647)
    """
    product = _int32(a, "a") * _int32(b, "b")
    high = (product + (1 << 30)) >> 31
    result: Int32 = np.minimum(high, INT32_MAX).astype(np.int32)
    return result


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Int32:
    """Return x / 2**exponent rounded to nearest, ties away from zero: eq. (3).

    ``x`` int32, ``exponent`` 0 to 31; they broadcast.

    >>> rounding_divide_by_pot([-6, -5, 5, 6], 2).tolist()
    [-2, -1, 1, 2]
    """
    wide, e = _int32(x, "x"), _exponent(exponent)
    mask = (np.int64(1) << e) - 1
    threshold = (mask >> 1) + (wide < 0)  # a negative tie must not be rounded up
    result: Int32 = ((wide >> e) + ((wide & mask) > threshold)).astype(np.int32)
    return result


def rounding_shift_right(x: ArrayLike, exponent: ArrayLike) -> Int32:
    """Return x / 2**exponent rounded to nearest, ties up: eq. (4).

    ``x`` int32, ``exponent`` 0 to 31; they broadcast.

    >>> rounding_shift_right([-6, -5, 5, 6], 2).tolist()
    [-1, -1, 1, 2]
    """
    wide, e = _int32(x, "x"), _exponent(exponent)
    half = (np.int64(1) << e) >> 1  # 0 for a shift by 0
    result: Int32 = ((wide + half) >> e).astype(np.int32)
    return result


def _int32(x: ArrayLike, name: str) -> Int64:
    """Return int32 values in int64."""
    wide = np.asarray(x)
    if wide.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, got {wide.dtype}")
    if wide.size and not (wide.min() >= INT32_MIN and wide.max() <= INT32_MAX):
        raise ValueError(f"{name} must fit int32, got {int(wide.min())}..{int(wide.max())}")
    return wide.astype(np.int64)


def _exponent(exponent: ArrayLike) -> Int64:
    e = _int32(exponent, "exponent")
    if e.size and not (e.min() >= 0 and e.max() <= 31):
        raise ValueError(f"exponent must be in 0..31, got {int(e.min())}..{int(e.max())}")
    return e
