r"""Rounding to integers: seven deterministic rules and one random rule.

A rounding rule sends a real number to one of the two integers around it. All rules agree
except on which one; the rules called *half* take the nearest, and differ on ties only:

.. math::

    \mathrm{half\_even}(x)  &= \text{the nearest integer, ties to the even one} \tag{1} \\
    \mathrm{half\_away}(x)  &= \mathrm{sign}(x)\,\lfloor |x| + \tfrac12 \rfloor \tag{2} \\
    \mathrm{half\_up}(x)    &= \lfloor x + \tfrac12 \rfloor \tag{3} \\
    \mathrm{half\_down}(x)  &= \lceil x - \tfrac12 \rceil \tag{4} \\
    \mathrm{stochastic}(x, u) &= \lfloor x + u \rfloor, \quad u \in [0, 1) \tag{5}

The equations are over the real numbers. Adding one half *in floating point* is a famous bug:
0.49999997 + 0.5 is 1.0 in float32. So the functions below never add to ``x``: they look at the
distance to the integer below (or above), a subtraction that floating point does exactly, or
rounds without crossing one half.

Every function takes a float array or scalar and returns the same dtype. NaN and infinities pass,
the sign of zero is kept (-0.3 becomes -0.0), and values too large for a fraction are integers
already. Left out: rounding to fewer bits of a float (the float formats do that).

References
----------
IEEE 754-2019, section 4.3 (1, 2, and the directed rules); gemmlowp ``fixedpoint.h`` and Arm
VRSHL (3); QONNX ``IntQuant`` rounding modes (the list of names).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ROUNDING",
    "round_ceil",
    "round_floor",
    "round_half_away",
    "round_half_down",
    "round_half_even",
    "round_half_up",
    "round_stochastic",
    "round_to_integer",
    "round_toward_zero",
]

FloatT = TypeVar("FloatT", bound=NDArray[np.floating[Any]] | np.floating[Any] | float)


def round_half_even(x: FloatT) -> FloatT:
    """Return the nearest integer, ties to the even one: eq. (1). ONNX, PyTorch, IEEE default.

    >>> round_half_even(np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])).tolist()
    [-2.0, -2.0, -0.0, 0.0, 2.0, 2.0]
    """
    y: FloatT = np.rint(x)  # type: ignore[assignment]
    return y


def round_half_away(x: FloatT) -> FloatT:
    """Return the nearest integer, ties away from zero: eq. (2). C's ``round``, TFLite.

    >>> round_half_away(np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])).tolist()
    [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]
    """
    with np.errstate(invalid="ignore"):  # inf - inf: the comparison below is then false
        whole = np.trunc(x)
        step = np.abs(x - whole) >= 0.5
        y: FloatT = whole + np.copysign(step, x)
    return y


def round_half_up(x: FloatT) -> FloatT:
    """Return the nearest integer, ties toward plus infinity: eq. (3). Arm VRSHL, TOSA.

    >>> round_half_up(np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])).tolist()
    [-2.0, -1.0, -0.0, 1.0, 2.0, 3.0]
    """
    with np.errstate(invalid="ignore"):
        below = np.floor(x)
        step = x - below >= 0.5
        y: FloatT = np.copysign(below + step, x)  # copysign: -1 + 1 is +0.0, the sign is x's
    return y


def round_half_down(x: FloatT) -> FloatT:
    """Return the nearest integer, ties toward minus infinity: eq. (4).

    >>> round_half_down(np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])).tolist()
    [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]
    """
    with np.errstate(invalid="ignore"):
        above = np.ceil(x)
        step = above - x >= 0.5
        y: FloatT = np.copysign(above - step, x)
    return y


def round_toward_zero(x: FloatT) -> FloatT:
    """Return the integer part: C's cast to an integer, without its overflow.

    >>> round_toward_zero(np.array([-1.9, -0.5, 0.5, 1.9])).tolist()
    [-1.0, -0.0, 0.0, 1.0]
    """
    y: FloatT = np.trunc(x)  # type: ignore[assignment]
    return y


def round_floor(x: FloatT) -> FloatT:
    """Return the largest integer that is not above ``x``: an arithmetic right shift.

    >>> round_floor(np.array([-1.9, -0.5, 0.5, 1.9])).tolist()
    [-2.0, -1.0, 0.0, 1.0]
    """
    y: FloatT = np.floor(x)  # type: ignore[assignment]
    return y


def round_ceil(x: FloatT) -> FloatT:
    """Return the smallest integer that is not below ``x``.

    >>> round_ceil(np.array([-1.9, -0.5, 0.5, 1.9])).tolist()
    [-1.0, -0.0, 1.0, 2.0]
    """
    y: FloatT = np.ceil(x)  # type: ignore[assignment]
    return y


def round_stochastic(x: FloatT, *, bits: NDArray[np.unsignedinteger[Any]], num_bits: int) -> FloatT:
    """Return ``floor(x + bits / 2**num_bits)``, exactly: eq. (5).

    ``bits`` are random integers below ``2**num_bits`` (at most 32), one an element of ``x``; the
    caller draws them, so equal bits give equal results. A value with fraction f goes up for
    floor(f * 2**num_bits) of the 2**num_bits patterns (of equal weight: the rule is unbiased up
    to 2**-num_bits); integers stay.

    >>> x = np.array([0.75, 0.75, -0.25, 3.0], np.float32)
    >>> round_stochastic(x, bits=np.array([0, 1, 3, 3], np.uint8), num_bits=2).tolist()
    [0.0, 1.0, -0.0, 3.0]
    """
    if not 1 <= num_bits <= 32:
        raise ValueError(f"num_bits must be in 1..32, got {num_bits}")
    if bits.dtype.kind != "u":
        raise ValueError(f"bits must be unsigned integers, got {bits.dtype}")
    if bits.size and int(bits.max()) >> num_bits:
        raise ValueError(f"bits must be below 2**{num_bits}, got {int(bits.max())}")
    u = bits / np.float64(2.0**num_bits)  # exact in float64
    with np.errstate(invalid="ignore"):
        # Exact distances: to the integer below for x >= 0, to the one above for x < 0
        # (-1e-30 - floor(-1e-30) would round to 1).
        from_below = np.floor(x) + (x - np.floor(x) >= 1.0 - u)
        from_above = np.ceil(x) - (np.ceil(x) - x > u)
    y: FloatT = np.where(np.less(x, 0.0), from_above, from_below)[()]
    return y


ROUNDING: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "half_even": round_half_even,
        "half_away": round_half_away,
        "half_up": round_half_up,
        "half_down": round_half_down,
        "toward_zero": round_toward_zero,
        "floor": round_floor,
        "ceil": round_ceil,
    }
)


def round_to_integer(x: FloatT, *, rule: str) -> FloatT:
    """Return ``x`` rounded by the named rule: a key of ``ROUNDING``.

    >>> [float(round_to_integer(np.float32(-2.5), rule=rule)) for rule in ROUNDING]
    [-2.0, -3.0, -2.0, -3.0, -2.0, -3.0, -2.0]
    """
    if rule not in ROUNDING:
        raise ValueError(f"rule must be one of {', '.join(ROUNDING)}; got {rule!r}")
    y: FloatT = ROUNDING[rule](x)
    return y
