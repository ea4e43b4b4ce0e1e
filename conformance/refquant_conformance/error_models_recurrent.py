r"""The error models of one step of an LSTM and of a GRU in float32.

A sum s of n terms and biases is off by :math:`\gamma_n \sum |\cdot|` at most (EM-DOT-ANY). The
logistic function and tanh are off by 8u of their own, which is what fast rational forms have; they
carry an error of their argument on by 1/4 and by 1. With :math:`e_g` for the error of gate g so
found, a product ab of such numbers is off by

.. math::

    |a| e_b + |b| e_a + e_a e_b + u |ab|    \tag{1}

and a sum by the sum of both errors and u of itself.

References
----------
ONNX LSTM-22, GRU-22; :mod:`.error_models`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Near", "gru_step", "lstm_step"]

Real = NDArray[np.float64]
_U = 2.0**-24
_OWN = 8 * _U


@dataclass(frozen=True, slots=True)
class Near:
    """A true value, and how far from it float32 may be; sums and products by (1).

    >>> two = Near(np.array([2.0]), np.array([0.5]))
    >>> float((two * two).value[0]), round(float((two * two).off[0]), 3)
    (4.0, 2.25)
    """

    value: Real
    off: Real

    def __add__(self, other: "Near") -> "Near":
        """Return the rounded sum."""
        total = self.value + other.value
        off = self.off + other.off
        return Near(total, off + _U * (np.abs(total) + off))

    def __mul__(self, other: "Near") -> "Near":
        """Return the rounded product."""
        made = self.value * other.value
        off = np.abs(self.value) * other.off + np.abs(other.value) * self.off
        off = off + self.off * other.off
        return Near(made, off + _U * (np.abs(made) + off))

    def sigmoid(self) -> "Near":
        """Return the logistic function of it."""
        return Near(1 / (1 + np.exp(-self.value)), self.off / 4 + _OWN)

    def tanh(self) -> "Near":
        """Return the hyperbolic tangent of it."""
        return Near(np.tanh(self.value), self.off + _OWN)

    def less_than_one(self) -> "Near":
        """Return 1 less it."""
        return Near(1 - self.value, self.off + _U)


def _exactly(v: Real) -> Near:
    return Near(v, np.zeros_like(v))


def _dot(a: Near, w: Real, bias: Real | None) -> Near:
    """Return a w^T + bias."""
    value, sizes = a.value @ w.T, (np.abs(a.value) + a.off) @ np.abs(w).T
    terms = w.shape[1] + 1
    if bias is not None:
        value, sizes, terms = value + bias, sizes + np.abs(bias), terms + 1
    gamma = terms * _U / (1 - terms * _U)
    return Near(value, a.off @ np.abs(w).T + gamma * sizes)


def _part(v: Near, gate: int, size: int) -> Near:
    at = slice(gate * size, (gate + 1) * size)
    return Near(v.value[:, at], v.off[:, at])


def lstm_step(x: Real, given: Mapping[str, Real]) -> tuple[Near, Near]:
    """Return h and c after one step: x (N, I), the others by the names of the operator ``lstm``.

    >>> zeros = {"w": np.zeros((4, 1)), "r": np.zeros((4, 1)), "h": np.zeros((1, 1))}
    >>> h, c = lstm_step(np.zeros((1, 1)), {**zeros, "c": np.full((1, 1), 2.0)})
    >>> float(c.value[0, 0])
    1.0
    """
    a, b, size = _both(x, given)
    total = a + b
    i, o, f = (_part(total, gate, size).sigmoid() for gate in range(3))
    c = f * _exactly(given["c"]) + i * _part(total, 3, size).tanh()
    return o * c.tanh(), c


def gru_step(x: Real, given: Mapping[str, Real], *, late: bool) -> Near:
    """Return h after one step; ``late`` as ``linear_before_reset``.

    >>> zeros = {"w": np.zeros((3, 1)), "r": np.zeros((3, 1)), "h": np.full((1, 1), 2.0)}
    >>> float(gru_step(np.zeros((1, 1)), zeros, late=True).value[0, 0])
    1.0
    """
    a, b, size = _both(x, given)
    total, h = a + b, _exactly(given["h"])
    z, reset = (_part(total, gate, size).sigmoid() for gate in range(2))
    if late:
        inner = reset * _part(b, 2, size)
    else:
        bias = given.get("bias")
        last = None if bias is None else bias[len(given["w"]) + 2 * size :]
        inner = _dot(reset * h, given["r"][2 * size :], last)
    n = (_part(a, 2, size) + inner).tanh()
    return z.less_than_one() * n + z * h


def _both(x: Real, given: Mapping[str, Real]) -> tuple[Near, Near, int]:
    """Return the products with the input and with the state, and the number of units."""
    rows, bias = len(given["w"]), given.get("bias")
    own, other = (None, None) if bias is None else (bias[:rows], bias[rows:])
    a = _dot(_exactly(x), given["w"], own)
    return a, _dot(_exactly(given["h"]), given["r"], other), given["h"].shape[1]
