"""Cases for properties that speak of every operator: probes of its arithmetic, or a sample."""

from refquant_conformance.adapters.samples import sample
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__ = ["ELEMENTWISE", "few"]

ELEMENTWISE = (
    *("quantize_linear", "dequantize_linear", "qlinear_add", "qlinear_mul", "qlinear_sigmoid"),
    *("qlinear_tanh", "qlinear_leaky_relu"),
)
"""Operators whose output has one element for each element of the data."""


def few(trial: Trial, count: int) -> list[Case]:
    """Return at most ``count`` cases of a cell, spread over its probes; other seeds, others.

    Cases that the contract refuses (NaN, for some) are left out.
    """
    if trial.arithmetic is None:
        return [sample(trial.op, trial.scheme)]
    probes = trial.arithmetic.probes(trial.scheme)
    start = trial.seed % len(probes)
    turned = [*probes[start:], *probes[:start]]
    step = max(1, len(turned) // count)
    chosen = [case for case in turned[::step] if _computed(trial, case)][:count]
    return chosen or [sample(trial.op, trial.scheme)]


def _computed(trial: Trial, case: Case) -> bool:
    return trial.axes is None or trial.expected(case) is not None
