"""Codebooks in exact fractions, written from the definitions; shares no code with refquant."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.oracle import float32


def place(x: float, bounds: Sequence[float], ties: str) -> int:
    """The place of ``x`` among ascending ``bounds``, one comparison at a time."""
    count = 0
    for j, bound in enumerate(bounds):
        up = Fraction(x) > Fraction(bound)
        if Fraction(x) == Fraction(bound):
            up = {"low": False, "high": True, "even": (j + 1) % 2 == 0}[ties]
        count += up
    return count


def bounds_of(values: Sequence[float]) -> list[float]:
    """The float32 numbers nearest to the middles of neighbours."""
    pairs = itertools.pairwise(values)
    return [float32((Fraction(a) + Fraction(b)) / 2) for a, b in pairs]


def encode(
    x: Sequence[float], bounds: Sequence[float], *, block_size: int, ties: str, tail: str
) -> tuple[list[int], list[float]]:
    """Places among ``bounds`` and absmax of finite ``x`` in blocks, every operation rounded once.

    ``tail`` is ``divide`` (bnb_torch: floor 1e-38, the ragged tail divides) or ``multiply``.
    """
    codes: list[int] = []
    stored: list[float] = []
    for start in range(0, len(x), block_size):
        block = x[start : start + block_size]
        a = max(abs(v) for v in block)
        floor = max(a, float32(Fraction(10) ** -38)) if tail == "divide" else a
        ragged = len(block) < block_size and tail == "divide"
        stored.append(floor if ragged else a)
        inverse = float32(1 / Fraction(floor)) if floor else 0.0
        for v in block:
            ratio = Fraction(v) / Fraction(floor) if ragged else Fraction(v) * Fraction(inverse)
            scaled = max(Fraction(-1), min(Fraction(1), Fraction(float32(ratio))))
            codes.append(place(float(scaled), bounds, ties))
    return codes, stored
