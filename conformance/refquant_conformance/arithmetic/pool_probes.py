"""Cases of means: windows of every count of elements, with equal ends and with others.

Half of the cases have one scale and zero point for both ends, the only ones that some engines and
some arithmetics take.
"""

from collections.abc import Sequence

import numpy as np

from refquant_conformance.arithmetic.conv_probes import scrambled
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case, Param
from refquant_conformance.types import code_range, storage

__all__ = ["mean_probes", "pool_probes", "unary_case"]

_ENDS = ((0.1, 0.1), (0.02, 0.02), (1 / 3, 0.3), (0.05, 0.0125), (0.5, 0.25), (0.7, 0.9))
_KERNELS = ((1, 2), (1, 3), (2, 2), (5, 1), (2, 3), (1, 7), (3, 3), (4, 4), (5, 5))


def unary_case(
    op: str,
    scheme: str,
    x: Array,
    ends: tuple[tuple[float, int], tuple[float, int]],
    **params: Param,
) -> Case:
    """Return the case of one tensor of codes; ``ends`` are scale and zero point of x and of y.

    >>> unary_case("qlinear_mean", "u8", np.zeros((1, 1, 2, 2)), ((1, 0), (1, 0))).types["y"]
    'uint8'
    """
    types = types_of(op, scheme)
    given: dict[str, Array] = {"x": np.asarray(x)}
    for name, (scale, zero_point) in zip(("x", "y"), ends, strict=True):
        given[f"{name}_scale"] = np.asarray(scale)
        given[f"{name}_zero_point"] = np.asarray(zero_point)
    inputs = {name: array.astype(storage(types[name])) for name, array in given.items()}
    return Case(op, scheme, inputs, params, types=types)


def _ends(scheme: str, k: int) -> tuple[tuple[float, int], tuple[float, int]]:
    qmin, qmax = code_range(types_of("qlinear_mean", scheme)["x"])
    middle = (qmin + qmax + 1) // 2
    sx, sy = _ENDS[k % len(_ENDS)]
    zx = (middle, qmin, middle + 5, middle - 3)[k % 4]
    return (sx, zx), (sy, zx if sx == sy else middle - k % 3)


def pool_probes(scheme: str) -> Sequence[Case]:
    """Return windows of 2 to 25 elements; on codes near the middle, near the ends, and mixed."""
    op, found = "qlinear_average_pool", []
    kind = types_of(op, scheme)["x"]
    for k, kernel in enumerate(_KERNELS):
        for ends in (0, 1, 2 + k % 4):
            x = scrambled(kind, (1, 3, 8 * kernel[0], 8 * kernel[1]), 7 * k + ends)
            where: dict[str, Param] = {"strides": kernel, "pads": (0, 0, 0, 0)}
            rules = _ends(scheme, ends)
            found.append(
                unary_case(op, scheme, _near(x, rules[0][1], k), rules, kernel=kernel, **where)
            )
    x = scrambled(kind, (2, 2, 7, 7), 99)
    for counted in (0, 1):
        for k, pads in enumerate(((1, 1, 1, 1), (1, 0, 0, 1))):
            strides: Param = (2, 1) if k else (1, 1)
            found.append(
                unary_case(op, scheme, x, _ends(scheme, 0), kernel=(3, 3), strides=strides,
                           pads=pads, count_include_pad=counted)
            )  # fmt: skip
    return found


def _near(x: Array, middle: int, k: int) -> Array:
    """Return codes near ``middle`` in every second case: there sums change their sign."""
    return x if k % 2 else (x.astype(np.int64) - middle) % 7 - 3 + np.clip(middle, -100, 250)


def mean_probes(scheme: str) -> Sequence[Case]:
    """Return planes of 1 to 63 elements, for all ends."""
    op, found = "qlinear_mean", []
    kind = types_of(op, scheme)["x"]
    qmin, qmax = code_range(kind)
    for k, (rows, columns) in enumerate(((1, 2), (1, 5), (2, 2), (3, 3), (7, 7), (9, 7), (4, 4))):
        for ends in range(len(_ENDS)):
            x = scrambled(kind, (1, 66, rows, columns), 11 * k + ends)
            near = _near(x, _ends(scheme, ends)[0][1], k + ends).clip(qmin, qmax)
            found.append(unary_case(op, scheme, near, _ends(scheme, ends)))
    return found
