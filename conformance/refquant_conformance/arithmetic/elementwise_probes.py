"""Cases of sums and products of codes: every pair of codes, for scales that make ties of each kind.

Two tensors of 8-bit codes have 2^16 pairs of codes, few enough to ask them all each time.
"""

from collections.abc import Sequence

import numpy as np

from refquant_conformance.arithmetic.product_probes import FORMED
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range, storage

__all__ = ["Rule", "add_probes", "all_pairs", "binary_case", "mul_probes"]

Rule = tuple[float, int]


def binary_case(op: str, scheme: str, a: Array, b: Array, rules: tuple[Rule, Rule, Rule]) -> Case:
    """Return the case of two tensors of codes; ``rules`` are scale and zero point of a, b, y.

    >>> case = binary_case("qlinear_add", "u8", [1], [2], ((1, 0), (1, 0), (2, 0)))
    >>> case.inputs["a"].dtype.name, float(case.inputs["y_scale"])
    ('uint8', 2.0)
    """
    types = types_of(op, scheme)
    given: dict[str, Array] = {"a": np.asarray(a), "b": np.asarray(b)}
    for name, (scale, zero_point) in zip(("a", "b", "y"), rules, strict=True):
        given[f"{name}_scale"] = np.asarray(scale)
        given[f"{name}_zero_point"] = np.asarray(zero_point)
    inputs = {name: array.astype(storage(types[name])) for name, array in given.items()}
    return Case(op, scheme, inputs, {}, types=types)


def all_pairs(op: str, scheme: str, rules: tuple[Rule, Rule, Rule]) -> Case:
    """Return the case of every pair of codes, (256, 256)."""
    qmin, qmax = code_range(types_of(op, scheme)["a"])
    codes = np.arange(qmin, qmax + 1)
    a, b = np.meshgrid(codes, codes, indexing="ij")
    return binary_case(op, scheme, a, b, rules)


def _middles(scheme: str) -> tuple[int, int]:
    qmin, qmax = code_range(types_of("qlinear_add", scheme)["a"])
    return (qmin + qmax + 1) // 2, qmin


def add_probes(scheme: str) -> Sequence[Case]:
    """Return all pairs for: ties, ratios far apart, awkward scales, odd zero points."""
    middle, qmin = _middles(scheme)
    scales = (
        *((1.0, 1.0, 2.0), (0.5, 0.25, 0.5), (0.1, 0.1, 0.1), (0.1, 0.0375, 0.05)),
        *((1 / 3, 0.02, 0.3), (0.003, 0.9, 0.7), (0.07, 0.05, 0.0125), (2.0**-12, 1.0, 1.0)),
    )
    found = []
    for k, (sa, sb, sy) in enumerate(scales):
        za, zb, zy = middle + 3 * (k % 3), qmin + 7 * k, middle - 5 * (k % 2)
        found.append(all_pairs("qlinear_add", scheme, ((sa, za), (sb, zb), (sy, zy))))
    return found


def mul_probes(scheme: str) -> Sequence[Case]:
    """Return all pairs for multipliers of every kind; the largest accumulator is 2^16 here."""
    middle, qmin = _middles(scheme)
    scales = (
        *((0.5, 0.25, 0.5), (0.25, 2.0**-5, 1.0), (0.1, 0.0375, 0.1), (0.02, 0.003, 0.002)),
        *((1 - 2.0**-16, 1 + 2.0**-16, 2.0), (1 - 2.0**-17, 0.5, 16.0), (1 / 3, 1 / 127, 0.03)),
        *FORMED,
    )
    found = []
    for k, (sa, sb, sy) in enumerate(scales):
        zero_points = (middle + k % 3, qmin if k % 4 == 3 else middle, middle + 3 * (k % 2))
        rules = [(s, z) for s, z in zip((sa, sb, sy), zero_points, strict=True)]
        found.append(all_pairs("qlinear_mul", scheme, (rules[0], rules[1], rules[2])))
    return found
