"""Single precision, one number at a time, in Python: an oracle for the order of float32 sums.

Every operation is computed in float64 and rounded once: for +, -, *, / and sqrt of float32 numbers
that is the correctly rounded float32 result (float64 has more than twice its bits, plus two).
The transcendental functions have tests of their own; here they are taken as given.
"""

import math
import struct
from collections.abc import Iterable

import numpy as np

from refquant.numerics import elementary


def f(x: float) -> float:
    """Round to float32."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def total(terms: Iterable[float]) -> float:
    s = 0.0
    for term in terms:
        s = f(s + term)
    return s


def dot(a: Iterable[float], b: Iterable[float]) -> float:
    return total(f(x * y) for x, y in zip(a, b, strict=True))


def exp(x: float) -> float:
    return float(elementary.exp(np.float32(x)))


def sigmoid(x: float) -> float:
    return float(elementary.sigmoid(np.float32(x)))


def tanh(x: float) -> float:
    return float(elementary.tanh(np.float32(x)))


def root(x: float) -> float:
    return f(math.sqrt(x))


def softmax(row: list[float]) -> list[float]:
    e = [exp(f(x - max(row))) for x in row]
    s = total(e)
    return [f(x / s) for x in e]


def rough(rng: np.random.Generator, *shape: int) -> "np.typing.NDArray[np.float32]":
    """Numbers of very different sizes, so that another order of a sum gives other bits."""
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)
    return x.astype(np.float32)
