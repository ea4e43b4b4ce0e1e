"""What properties of quantizers share: which schemes, which zero points, walks along the reals."""

from collections.abc import Iterable, Sequence

import numpy as np

from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial
from refquant_conformance.types import INTEGERS, code_range

__all__ = [
    *("AWKWARD", "computes", "even_points", "odd_points", "moved", "nearest"),
    *("interior", "of_bytes", "of_tensors", "walk"),
]

AWKWARD = tuple(float(np.float32(s)) for s in (0.1, 1 / 3, 0.0375, 1 / 255, 0.003, 2.0**-14 / 3))
"""Scales whose reciprocal is no float."""


def of_tensors(trial: Trial) -> tuple[int, int]:
    """Return the range of the codes; skip what is not float32, an integer, one scale a tensor."""
    types = types_of(trial.op, trial.scheme)
    real, code = ("y", "x") if trial.op == "dequantize_linear" else ("x", "y")
    if types[real] != "float32" or types[code] not in INTEGERS:
        trial.skip("speaks of float32 and integer codes")
    if trial.scheme.endswith(("_channel", "_block")):
        trial.skip("QDQ-19 asks finer scales slice by slice")
    return code_range(types[code])


def of_bytes(trial: Trial) -> tuple[int, int]:
    """Return the range of 8-bit codes; skip others, of which the property says nothing new."""
    qmin, qmax = of_tensors(trial)
    if qmax - qmin != 255:
        trial.skip("a property of how reals are rounded: 8 bits say it all")
    return qmin, qmax


def computes(trial: Trial, op: str, scheme: str) -> bool:
    """Say whether the subject computes another cell."""
    return any(c.op == op and c.scheme == scheme for c in trial.subject.capabilities)


def even_points(qmin: int, qmax: int) -> list[int]:
    """Return even zero points: 0, 2 and one far from 0 (below 128: QDQ-17 asks beyond).

    >>> even_points(0, 255), even_points(-128, 127), even_points(-2, 1)
    ([0, 2, 100], [-100, 0, 2], [-2, 0])
    """
    far = min(100, (qmax - 3) // 2 * 2) if qmin == 0 else max(-100, qmin)
    return sorted(z for z in {0, 2, far} if qmin <= z <= qmax)


def odd_points(qmin: int, qmax: int) -> list[int]:
    """Return odd zero points.

    >>> odd_points(0, 255), odd_points(-128, 127)
    ([1, 3, 101], [-101, -1, 1, 3, 101])
    """
    far = 101 if qmax > 100 else 1
    return sorted(z for z in {1, 3, far, -1, -far} if qmin <= z <= qmax)


def walk(scheme: str, steps: Array, scale: float, zero_point: int) -> Case:
    """Return the case of the reals ``steps * scale``, each rounded to float32.

    >>> walk("f32_u8", np.array([0.5, 1.5]), 0.25, 0).inputs["x"].tolist()
    [0.125, 0.375]
    """
    return case_of(scheme, (steps * scale).astype(np.float32), scale, zero_point)


def moved(x: Array, ulps: Iterable[int]) -> Array:
    """Return float32 ``x`` moved by each number of units in the last place, one after the other.

    >>> moved(np.float32([1.0]), (-1, 0, 1)).tolist()
    [0.9999999403953552, 1.0, 1.0000001192092896]
    """
    found = []
    for count in ulps:
        near = x
        for _ in range(abs(count)):
            near = np.nextafter(near, np.float32(np.copysign(np.inf, count)))
        found.append(near)
    return np.concatenate(found)


def nearest(trial: Trial) -> bool:
    """Say whether the contract rounds to the nearest code, whatever it does at ties."""
    return trial.axes is None or str(trial.axes.get("rounding", "half")).startswith("half")


def interior(qmin: int, qmax: int, zero_point: int, most: int = 600) -> Sequence[int]:
    """Return the steps k whose tie k + 1/2 lies between two codes that are neither end."""
    return range(max(qmin - zero_point + 1, -most), min(qmax - zero_point - 1, most))
