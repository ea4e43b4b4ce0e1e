r"""Staircases: a contract's codes for *all* float32, by where each code begins.

With a fixed scale and zero point every contract is monotone: a larger x never has a smaller code.
So the positive floats, which are in the order of their bit patterns, fall into one interval a
code, and the code c begins at

.. math::

    T(c) = \min \{\, m : q(m) \ge c \,\}                                          \tag{1}

found by bisection of the patterns (on the negative side by :math:`q(-m) \le c`). Two contracts
agree on every float32 between the bounds exactly if all their T agree, and the smallest float on
which they do not is

.. math::

    m^* = \min \{\, \min(T_A(c), T_B(c)) : T_A(c) \ne T_B(c) \,\}                 \tag{2}

Nothing is sampled: (2) is the minimum over all of them, and the probability that a standard normal
number gets two codes is the measure of the intervals in between,

.. math::

    P = \sum_{[a, b)} \tfrac{1}{2} \left( \operatorname{erf}(b / \sqrt 2) - \operatorname{erf}(a /
        \sqrt 2) \right), \quad [a, b) \in \bigcup_c [\min(T_A, T_B), \max(T_A, T_B))        \tag{3}

to 10^-13. Only values from some bound on are left out: ``BOUND`` marks, where a cast to int32 may
overflow, or the range of the codes itself where a contract wraps; there a staircase ends.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOUND", "NEVER", "first_difference", "gaussian_share", "staircase", "up_to"]

Bits = NDArray[np.int64]
Codes = NDArray[np.integer[Any]]
Quantizer = Callable[[NDArray[np.float32]], Codes]

BOUND = 2.0**30
"""Magnitudes, in marks, up to which a staircase is followed if nothing wraps before."""

NEVER = np.iinfo(np.int64).max
"""The T of a code that no value below the bound has."""


def staircase(
    quantize: Quantizer, *, scale: float, qmin: int, qmax: int, bound: float = BOUND
) -> Bits:
    """Return T of eq. (1), int64 of shape (2, qmax - qmin + 1): the positive side, the negative.

    ``quantize`` maps float32 to codes in [qmin, qmax], never falling up to ``bound * scale``.
    Column c belongs to the code qmin + c; one that is not reached below the bound is NEVER.

    >>> def one_bit(x):
    ...     return np.clip(np.rint(x), -1, 1).astype(np.int64)
    >>> steps = staircase(one_bit, scale=1.0, qmin=-1, qmax=1)
    >>> hex(int(steps[0, 2])), hex(int(np.float32(0.5).view(np.int32)))
    ('0x3f000001', '0x3f000000')
    """
    codes = np.arange(qmin, qmax + 1)
    top = int(np.float32(bound * scale).view(np.int32))
    sides = []
    for sign in (1, -1):

        def reached(bits: Bits, sign: int = sign) -> NDArray[np.bool_]:
            x = bits.astype(np.int32).view(np.float32) * np.float32(sign)
            got = quantize(x).astype(np.int64)
            return np.asarray(got >= codes if sign > 0 else got <= codes)

        low, high = np.full(codes.shape, -1, np.int64), np.full(codes.shape, top, np.int64)
        never = ~reached(high)
        while (high - low).max() > 1:
            middle = np.maximum((low + high) // 2, 0)
            here = reached(middle)
            high, low = np.where(here, middle, high), np.where(here, low, middle)
        sides.append(np.where(never, NEVER, high))
    return np.stack(sides)


def up_to(steps: Bits, magnitude: float) -> Bits:
    """Return a staircase that ends at ``magnitude``: codes that begin later are NEVER.

    >>> int((up_to(np.array([[0, 2**30], [0, 1]]), 1.0) == NEVER).sum())
    1
    """
    return np.where(steps > int(np.float32(magnitude).view(np.int32)), NEVER, steps)


def first_difference(a: Bits, b: Bits) -> float | None:
    """Return the float32 of least magnitude on which two staircases differ: eq. (2), or None.

    Both must end at one magnitude. Where both signs differ, the positive one is returned.

    >>> a = staircase(lambda x: np.clip(np.rint(x), -1, 1).astype(int), scale=1.0, qmin=-1, qmax=1)
    >>> b = staircase(lambda x: np.clip(np.trunc(x), -1, 1).astype(int), scale=1.0, qmin=-1, qmax=1)
    >>> first_difference(a, b) == float(np.nextafter(np.float32(0.5), np.float32(1)))
    True
    >>> first_difference(a, a) is None
    True
    """
    sides = [_first_of_side(mine, theirs) for mine, theirs in zip(a, b, strict=True)]
    first = min(sides)
    if first == NEVER:
        return None
    magnitude = float(np.int32(first).view(np.float32))
    return magnitude if sides[0] == first else -magnitude


def gaussian_share(a: Bits, b: Bits) -> float:
    """Return the probability that a number from N(0, 1) gets two codes: eq. (3).

    >>> a = staircase(lambda x: np.clip(np.rint(x), -1, 1).astype(int), scale=1.0, qmin=-1, qmax=1)
    >>> b = staircase(lambda x: np.clip(np.trunc(x), -1, 1).astype(int), scale=1.0, qmin=-1, qmax=1)
    >>> round(gaussian_share(a, b), 6)  # of 0.5 < |x| < 1: 2 * (0.841345 - 0.691462)
    0.299765
    """
    total = 0.0
    for mine, theirs in zip(a, b, strict=True):
        ends = np.stack([np.minimum(mine, theirs), np.maximum(mine, theirs)], axis=1)
        reached = 0.0  # what lies below is counted, so that overlapping intervals count once
        for low, high in sorted(ends[ends[:, 0] < ends[:, 1]].tolist()):
            begin, end = max(_magnitude(low), reached), _magnitude(high)
            if end > begin:
                total += (math.erf(end / math.sqrt(2)) - math.erf(begin / math.sqrt(2))) / 2
                reached = end
    return total


def _magnitude(bits: int) -> float:
    """Return the float32 of these bits; infinity for NEVER."""
    return math.inf if bits == NEVER else float(np.int32(bits).view(np.float32))


def _first_of_side(a: Bits, b: Bits) -> int:
    """Return the pattern of eq. (2) on one side, NEVER if there is none."""
    apart = a != b
    return int(np.minimum(a, b)[apart].min()) if apart.any() else int(NEVER)
