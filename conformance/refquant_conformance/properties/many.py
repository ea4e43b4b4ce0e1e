"""X-19: a claim of exactness rests on at least 100,000 elements of each cell.

Probes identify, and are few; domains that can be walked are walked by the properties of their
operators. This one asks for many elements wherever an operator has many, so that what is rare, or
begins beyond a size (a counter of 16 bits, a kernel for large inputs), has a place to show.

What shows once in 100,000 elements shows with one seed and not with the next. The profile ``ci``
has the same verdict with any seed, so it draws from two streams that are always the same: together
they show everything that five seeds were seen to show of the backends we know. The other profiles
draw from the seed of the run, as a search must.
"""

import numpy as np

from refquant_conformance.bulk import GROWN, can_grow, grown
from refquant_conformance.properties.probes import few
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__ = ["ENOUGH", "stream", "streams"]

ENOUGH = 100_000
"""Elements, of each cell."""

_PARTS = (70_001, 40_001)  # outputs: the first are more than 16 bits count
_ALWAYS = (2, 3)
_CLAUSE = "the clause of the operator: it holds for every element"


@prop("X-19", "many_elements", ops=tuple(GROWN), clause=_CLAUSE, catches="counters of 16 bits")
def many(trial: Trial) -> None:
    """At least 100,000 elements, most of them near ties, are what the contract computes."""
    if trial.arithmetic is None or trial.axes is None:
        trial.skip("the judge has no arithmetic to compare with")
    cases = sorted(_rich(few(trial, 8)), key=lambda case: _cost(trial, case))
    for stream in streams(trial):
        rng = np.random.default_rng([stream, 19])
        for number, part in enumerate(_PARTS):
            case = cases[min(number, len(cases) - 1)]
            outputs = trial.expected(case)
            if outputs is not None:
                size = sum(array.size for array in outputs.values())
                trial.expect(grown(case, -(-part // size), rng))


def streams(trial: Trial) -> tuple[int, ...]:
    """Return the seeds to draw from: always the same ones in the profile ``ci``.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.profiles import PROFILES
    >>> from refquant_conformance.subject import Local
    >>> asked = Local(load_backend("reference:onnx")), "cast", "f32_f16", None, None
    >>> [streams(Trial(*asked, PROFILES[name], seed=7)) for name in ("ci", "full")]
    [(2, 3), (7,)]
    """
    return _ALWAYS if trial.profile.name == "ci" else (trial.seed,)


def stream(trial: Trial) -> int:
    """Return one seed to draw from, as ``streams``: for sums that are ties in few draws."""
    return streams(trial)[-1] + 1


def _rich(cases: list[Case]) -> list[Case]:
    """Return the cases that have something to draw from; those that have most if none has."""

    def told(case: Case) -> int:
        data = case.inputs["x" if "x" in case.inputs else "a"]
        return int(np.isfinite(data).sum()) if can_grow(case) else 0

    most = max(map(told, cases))
    return [case for case in cases if told(case) >= min(most, 16)]


def _cost(trial: Trial, case: Case) -> float:
    """Return how many elements go in for one that comes out."""
    outputs = trial.expected(case)
    if outputs is None:
        return float("inf")
    made = sum(array.size for array in outputs.values())
    return sum(array.size for array in case.inputs.values()) / max(1, made)
