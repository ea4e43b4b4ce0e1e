"""FF-12: rounding by chance is fair, goes to neighbours only, and can be repeated.

References
----------
Connolly, Higham, Mary, "Stochastic rounding and its probabilistic backward error analysis", 2021,
section 2: the probability of the upper neighbour is the distance to the lower one.
"""

import math

import numpy as np

from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import float_format
from refquant_conformance.operators import types_of
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Array, Case
from refquant_conformance.trial import Trial

__all__ = ["reals_of", "stochastic_case"]

_COUNT = 4096
_SHARES = (0.25, 0.5, 0.875)


def stochastic_case(scheme: str, x: Array, seed: int) -> Case:
    """Return the case of float32 that are rounded by chance."""
    types = types_of("stochastic_cast", scheme)
    return Case("stochastic_cast", scheme, {"x": x.astype(np.float32)}, {"seed": seed}, types=types)


def reals_of(scheme: str, codes: Array) -> Array:
    """Return what codes mean, float64.

    >>> reals_of("f32_bf16", np.array([0x3F80], np.uint16)).tolist()
    [1.0]
    """
    return decode(codes, float_format(scheme[4:])).astype(np.float64)


@prop("FF-12", "stochastic", ops=("stochastic_cast",), catches="-",
      clause="the upper neighbour with the probability of the distance to the lower")  # fmt: skip
def fair(trial: Trial) -> None:
    """What a format holds stays; the rest goes to a neighbour, fairly, the same with one seed."""
    top = {"f32_bf16": 0x4100, "f32_e4m3fn": 0x50, "f32_e5m2": 0x48}[trial.scheme]
    held = np.arange(top - 64, top)
    reals = reals_of(trial.scheme, held)
    exact = stochastic_case(trial.scheme, np.concatenate([reals, -reals, [0.0]]), 3)
    back = reals_of(trial.scheme, trial.outputs(exact)["y"])
    if (back != exact.inputs["x"]).any():
        at = int(np.argmax(back != exact.inputs["x"]))
        trial.fail(exact, f"{exact.inputs['x'][at]} is held, and became {back[at]}")
    for sign, share, at in ((1, _SHARES[0], 5), (-1, _SHARES[1], 17), (1, _SHARES[2], 40)):
        low, high = reals[at], reals[at + 1]
        x = np.full(_COUNT, sign * (low + share * (high - low)))
        one, again, other = (stochastic_case(trial.scheme, x, seed) for seed in (1, 1, 2))
        first, second, third = trial.ys([one, again, other])
        if (first != second).any():
            trial.fail(again, "one seed gives two answers")
        if (first == third).all():
            trial.fail(other, "two seeds give one answer: nothing is by chance")
        for case, codes in ((one, first), (other, third)):
            _neighbours(trial, case, sign * reals_of(trial.scheme, codes), (low, high), share)


def _neighbours(
    trial: Trial, case: Case, seen: Array, ends: tuple[float, float], share: float
) -> None:
    """Fail if something is no neighbour, or if too many go one way: four sigma of a binomial."""
    low, high = ends
    outside = (seen != low) & (seen != high)
    if outside.any():
        trial.fail(case, f"{case.inputs['x'][0]} became {seen[np.argmax(outside)]}, no neighbour")
    up, sigma = int((seen == high).sum()), math.sqrt(share * (1 - share) * seen.size)
    if abs(up - share * seen.size) > 4 * sigma:
        trial.fail(case, f"{up} of {seen.size} went up, {share * seen.size:.0f} are to be expected")
