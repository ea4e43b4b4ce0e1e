"""An oracle for packings: one big Python integer, whose bits are walked one by one.

Shares nothing with the packers but the idea that a word is a number.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def number(units: Iterable[int], width: int) -> int:
    """The units of ``width`` bits (words, bytes), the first lowest, as one integer."""
    return sum((int(unit) % (1 << width)) << (index * width) for index, unit in enumerate(units))


def field(total: int, start: int, num_bits: int) -> int:
    """The ``num_bits`` bits of ``total`` from bit ``start``, walked bit by bit."""
    return sum(((total >> (start + j)) & 1) << j for j in range(num_bits))


def dense(units: Sequence[int], width: int, num_bits: int, count: int) -> list[int]:
    """The fields of a stream without gaps, the lowest bit first."""
    total = number(units, width)
    return [field(total, i * num_bits, num_bits) for i in range(count)]


def padded(units: Sequence[int], width: int, num_bits: int, count: int) -> list[int]:
    """As many whole fields a unit as fit, the lowest bit first; the rest of the unit is nothing."""
    each = width // num_bits
    total = number(units, width)
    return [
        field(total, (i // each) * width + (i % each) * num_bits, num_bits) for i in range(count)
    ]


def codes_of(shape: tuple[int, ...], num_bits: int, *, seed: int, low: int = 0) -> Array:
    """Codes of any kind: uniform, or only the ends of the range, or all the same, by the seed."""
    rng = np.random.default_rng(seed)
    high = low + (1 << num_bits) - 1
    if seed % 3 == 0:
        return rng.integers(low, high + 1, shape)
    if seed % 3 == 1:
        return rng.choice(np.array([low, high]), shape)
    return np.full(shape, rng.integers(low, high + 1))
