"""X-15, X-16, X-18: what a backend says of itself is true.

It lists cells, names kernels, declares contracts. A list that is too long, a kernel that fell back
to another, a contract that is not kept: each makes every other line of a report worthless.
"""

from collections import defaultdict
from collections.abc import Mapping

from refquant_conformance.adapters.samples import sample
from refquant_conformance.arithmetic.base import candidates
from refquant_conformance.identify import first_difference
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties.registry import prop
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial, Unanswered

__all__: list[str] = []

_ALL = tuple(OPERATORS)
_CLAUSE = "protocol of this suite: a capability is a promise, Unsupported is an answer"


@prop("X-15", "unsupported_is_loud", ops=_ALL, clause=_CLAUSE, catches="2.8")
def loud(trial: Trial) -> None:
    """A cell that is listed is computed, and one that is not listed is refused or right."""
    case = sample(trial.op, trial.scheme)
    (answer,) = trial.subject.ask([case])
    trial.cases += 1
    if answer.kind in ("unsupported", "rejected"):
        trial.fail(case, f"listed among the capabilities, and {answer.kind}: {answer.reason}")
    if answer.kind != "result":
        raise Unanswered(answer, case)
    listed = {cell.scheme for cell in trial.subject.capabilities if cell.op == trial.op}
    if trial.scheme != min(listed):
        return  # the others of this operator are asked once
    for scheme in OPERATORS[trial.op].schemes:
        if scheme not in listed:
            _refused_or_right(trial, sample(trial.op, scheme))


def _refused_or_right(trial: Trial, case: Case) -> None:
    (answer,) = trial.subject.ask([case])
    trial.cases += 1
    if answer.kind in ("crashed", "hung"):  # neither refused nor right
        raise Unanswered(answer, case)
    if answer.kind != "result" or trial.arithmetic is None or trial.axes is None:
        return
    if case.scheme not in trial.arithmetic.schemes:
        return
    expected = trial.expected(case)
    if first_difference(expected, answer) is not None:
        seen = answer.result.outputs if answer.result else {}
        why = f"{case.scheme} is not listed, and is computed wrongly: answer it with Unsupported"
        trial.fail(case, why, expected=expected, observed=seen)


@prop("X-16", "provenance_truth", ops=_ALL, clause=_CLAUSE, catches="2.8")
def provenance(trial: Trial) -> None:
    """All answers that name the same kernel are explained by one contract."""
    if trial.arithmetic is None:
        trial.skip("the judge has no arithmetic to tell kernels apart by")
    arithmetic = trial.arithmetic
    probes = list(arithmetic.probes(trial.scheme))
    groups = defaultdict(list)
    for case, answer in zip(probes, trial.ask_all(probes), strict=True):
        if answer.result is not None and (kernel := answer.result.provenance.get("kernel")):
            groups[kernel].append((case, answer))
    if not groups:
        trial.skip("the backend names no kernels")
    for kernel, asked in groups.items():
        left = list(candidates(arithmetic))
        for case, answer in asked:
            left = [
                a for a in left if first_difference(arithmetic.compute(case, a), answer) is None
            ]
            if not left:
                trial.fail(case, f"kernel {kernel} computes this in another way than the others")


@prop("X-18", "runtime_equals_reference", ops=_ALL, clause="docs/spec/operators.md", catches="-")
def declared(trial: Trial) -> None:
    """A backend that declares a contract computes every probe by it, bit for bit."""
    (claim,) = trial.subject.send("declared", trial.op)
    if trial.arithmetic is None or not isinstance(claim, Mapping):
        trial.skip("nothing is declared, or the judge has no arithmetic for it")
    trial.expect(*trial.arithmetic.probes(trial.scheme))
