r"""The exact oracle of products of reals and codes: one output, one rounding at a time.

A weight stands for (q - z) s. Products and sums are rounded to float32, or both at once where they
are fused; ``lanes`` is a vector of 16 sums, whose elements are added at the end within quarters
first, ((v0 + v1) + v2) + v3, and then quarters: (r0 + r2) + (r1 + r3). Of ``halves`` the second
eight are added to the first, then the second four, and so on.

References
----------
onnxruntime, MatMulNBits; its vectors of 16 are measured.
"""

from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, float32, multiply

__all__ = ["weighted_sum_exact"]

_LANES = 16


def weighted_sum_exact(
    a: Sequence[float], steps: Sequence[int], scales: Sequence[float], *, sums: str, scale: str
) -> float:
    """Return the float32 sum of a times steps times scales; ``steps`` are q - z.

    >>> weighted_sum_exact([1.0, 2.0], [3, -1], [0.5, 0.5], sums="ordered", scale="of_weights")
    0.5
    """
    if scale == "of_sums":
        return _by_blocks(a, steps, scales, sums)
    weights = [multiply(float(q), s) for q, s in zip(steps, scales, strict=True)]
    return _sum(a, weights, sums)


def _by_blocks(
    a: Sequence[float], steps: Sequence[int], scales: Sequence[float], sums: str
) -> float:
    total, start = 0.0, 0
    for k in range(1, len(a) + 1):
        if k == len(a) or scales[k] != scales[start]:
            part = _sum(a[start:k], [float(q) for q in steps[start:k]], sums)
            total, start = add(total, multiply(part, scales[start])), k
    return total


def _sum(a: Sequence[float], w: Sequence[float], sums: str) -> float:
    if sums in ("lanes", "halves"):
        return _of_lanes(a, w, by_quarters=sums == "lanes")
    total = 0.0
    for x, y in zip(a, w, strict=True):
        total = add(total, multiply(x, y)) if sums == "ordered" else _fused(x, y, total)
    return total


def _fused(x: float, y: float, z: float) -> float:
    return float32(Fraction(x) * Fraction(y) + Fraction(z))


def _of_lanes(a: Sequence[float], w: Sequence[float], *, by_quarters: bool) -> float:
    lanes = [0.0] * _LANES
    for k, (x, y) in enumerate(zip(a, w, strict=True)):
        lanes[k % _LANES] = _fused(x, y, lanes[k % _LANES])
    if not by_quarters:
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [add(x, y) for x, y in zip(lanes[:half], lanes[half:], strict=True)]
        return lanes[0]
    quarters = []
    for i in range(0, _LANES, 4):
        total = add(lanes[i], lanes[i + 1])
        quarters.append(add(add(total, lanes[i + 2]), lanes[i + 3]))
    return add(add(quarters[0], quarters[2]), add(quarters[1], quarters[3]))
