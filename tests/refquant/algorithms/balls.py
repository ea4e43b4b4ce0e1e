"""Numbers with a proven error: midpoint and radius in float64, every rounding accounted for.

Two computations of the same real number give balls that both hold it, so they overlap. That is a
test without a guessed tolerance: the bound comes out of the computation itself. Rounding of the
radii is covered by a factor 1 + 2**-30 at each step (a step has fewer than 2**20 roundings).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

U = 2.0**-53
SLACK = 1 + 2.0**-30
TINY = 2.0**-1000


@dataclass(frozen=True)
class Ball:
    """The real numbers within ``rad`` of ``mid``, elementwise."""

    mid: F64
    rad: F64

    def __add__(self, other: "Ball") -> "Ball":
        mid = self.mid + other.mid
        return Ball(mid, (self.rad + other.rad + U * np.abs(mid)) * SLACK)

    def __neg__(self) -> "Ball":
        return Ball(-self.mid, self.rad)

    def __mul__(self, other: "Ball") -> "Ball":
        mid = self.mid * other.mid
        rad = np.abs(self.mid) * other.rad + np.abs(other.mid) * self.rad + self.rad * other.rad
        return Ball(mid, (rad + U * np.abs(mid) + TINY) * SLACK)

    def __matmul__(self, other: "Ball") -> "Ball":
        a, b = np.abs(self.mid), np.abs(other.mid)
        k = self.mid.shape[-1]
        gamma = k * U / (1 - k * U)  # any order of the sum
        rad = a @ other.rad + self.rad @ b + self.rad @ other.rad + gamma * (a @ b) + TINY
        return Ball(self.mid @ other.mid, rad * SLACK)

    def __getitem__(self, index: Any) -> "Ball":
        return Ball(self.mid[index], self.rad[index])

    @property
    def transposed(self) -> "Ball":
        return Ball(np.swapaxes(self.mid, -1, -2), np.swapaxes(self.rad, -1, -2))

    def sum(self) -> "Ball":
        """Along the last axis, which stays with length 1."""
        size = self.mid.shape[-1] * U * np.abs(self.mid).sum(axis=-1, keepdims=True)
        rad = self.rad.sum(axis=-1, keepdims=True) + size
        return Ball(self.mid.sum(axis=-1, keepdims=True), rad * SLACK)

    def inverse(self) -> "Ball":
        """Of numbers above zero: |1/(m + d) - 1/m| <= r / (m (m - r))."""
        assert (self.mid > 2 * self.rad).all(), "a divisor that may be zero"
        mid = 1 / self.mid
        return Ball(mid, (self.rad / (self.mid * (self.mid - self.rad)) + U * mid) * SLACK)

    def root(self) -> "Ball":
        """Of numbers above zero: |sqrt(m + d) - sqrt(m)| <= r / sqrt(m)."""
        assert (self.mid > 2 * self.rad).all(), "a root of nearly nothing"
        mid = np.sqrt(self.mid)
        return Ball(mid, (self.rad / mid + U * mid) * SLACK)

    def exp(self) -> "Ball":
        """With a library's exp within 4 ulp, which all that NumPy has been built on are."""
        mid = np.exp(self.mid)
        return Ball(mid, mid * (np.expm1(self.rad) * SLACK + 8 * U) * SLACK)

    def overlaps(self, other: "Ball") -> NDArray[np.bool_]:
        return np.asarray(np.abs(self.mid - other.mid) <= (self.rad + other.rad) * SLACK)


def exact(x: NDArray[Any]) -> Ball:
    """Numbers that are what they are."""
    wide = x.astype(np.float64)
    return Ball(wide, np.zeros_like(wide))
