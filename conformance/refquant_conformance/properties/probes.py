"""Cases for properties that speak of every operator: probes of its arithmetic, or a sample."""

from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__ = ["ELEMENTWISE", "few", "many_small"]

_BUDGET = 1 << 18  # elements that go in

ELEMENTWISE = (
    *("quantize_linear", "dequantize_linear", "qlinear_add", "qlinear_mul", "qlinear_sigmoid"),
    *("qlinear_tanh", "qlinear_leaky_relu"),
)
"""Operators whose output has one element for each element of the data."""


def few(trial: Trial, count: int) -> list[Case]:
    """Return at most ``count`` cases of a cell, spread over its probes.

    Under the profile ``ci`` they are the same for every seed, so that a backend that errs in some
    has one verdict; other profiles turn through the probes, as the seed says. Cases that the
    contract refuses (NaN, for some) are left out.
    """
    if trial.arithmetic is None:
        return [sample(trial.op, trial.scheme)]
    probes = trial.arithmetic.probes(trial.scheme)
    start = 0 if trial.profile.name == "ci" else trial.seed % len(probes)
    turned = [*probes[start:], *probes[:start]]
    step = max(1, len(turned) // count)
    chosen = [case for case in turned[::step] if _computed(trial, case)][:count]
    return chosen or [sample(trial.op, trial.scheme)]


def many_small(trial: Trial) -> list[Case]:
    """Return the probes of a cell, the small ones first, as far as some 100,000 elements go.

    The same for every seed: what shows in one probe of twenty must not show with some seeds only.
    """
    if trial.arithmetic is None:
        return [sample(trial.op, trial.scheme)]
    chosen: list[Case] = []
    total = 0
    for case in sorted(trial.arithmetic.probes(trial.scheme), key=_size):
        total += _size(case)
        if total > _BUDGET and len(chosen) >= 3:
            break
        if _computed(trial, case):
            chosen.append(case)
    return chosen or [sample(trial.op, trial.scheme)]


def _size(case: Case) -> int:
    return sum(array.size for array in case.inputs.values())


def _computed(trial: Trial, case: Case) -> bool:
    """Whether the contract under test computes a case, and does not refuse it."""
    if trial.axes is None or trial.arithmetic is None:
        return True
    return trial.arithmetic.compute(case, trial.axes) is not None
