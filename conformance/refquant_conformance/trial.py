"""What a property gets to work with: somebody to ask, something to compare with, a way to fail.

A property is a function of a :class:`Trial`. It asks cases, and says what must hold::

    trial.expect(case)                     the answer is what the contract computes, bit for bit
    trial.outputs(case)                    the answer, for laws that need no contract
    trial.forall(strategy, body)           for many draws of a Hypothesis strategy; failures shrink
    trial.fail(case, "why", ...)           a counterexample
    trial.skip("why")                      the property says nothing about this scheme

The contract under test is ``trial.axes``: what the backend declares, or else what was identified.
Whenever an answer differs from the reference, and for a few elements of every case, the oracle
counts the same element again: if the two disagree the fault is ours, and is called so.
``trial.cases`` counts the elements of all answers, ``trial.compared`` those that were found equal
to what the contract computes, bit for bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic import Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.base import same_bits
from refquant_conformance.difference import first_difference, unlike
from refquant_conformance.profiles import PROFILES, Profile
from refquant_conformance.protocol import Array, Case
from refquant_conformance.subject import Subject
from refquant_conformance.verdict import Counterexample

__all__ = ["HarnessFault", "Mismatch", "NotApplicable", "Trial", "Unanswered"]

Drawn = TypeVar("Drawn")


class Mismatch(Exception):  # noqa: N818  a finding, not a fault of the program
    """The property does not hold; carries the counterexample."""

    def __init__(self, counterexample: Counterexample, mismatches: int = 1) -> None:
        super().__init__(counterexample.reason)
        self.counterexample = counterexample
        self.mismatches = mismatches


class Unanswered(Exception):  # noqa: N818  a finding, not a fault of the program
    """The backend did not compute the case; carries its answer."""

    def __init__(self, answer: Answer, case: Case) -> None:
        super().__init__(f"{answer.kind}: {answer.reason}")
        self.answer = answer
        self.case = case


class NotApplicable(Exception):  # noqa: N818  a finding, not a fault of the program
    """The property says nothing about this scheme."""


class HarnessFault(Exception):  # noqa: N818  ours: reported as HARNESS_ERROR
    """Oracle and reference disagree, or a property asked nonsense."""


@dataclass(slots=True)
class Trial:
    """One property, one cell, one subject."""

    subject: Subject
    op: str
    scheme: str
    arithmetic: Arithmetic | None
    axes: Axes | None
    profile: Profile = PROFILES["ci"]
    seed: int = 0
    cases: int = 0
    compared: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    axes_of: Callable[[Case], Axes | None] | None = None
    excused: Callable[[Case], bool] | None = None

    def ask(self, case: Case) -> Answer:
        """Return the backend's answer: a result or a rejection; raise ``Unanswered`` else."""
        (answer,) = self.ask_all([case])
        return answer

    def ask_all(self, cases: Sequence[Case]) -> list[Answer]:
        """Return one answer a case; many cases in one message are much faster than one by one."""
        answers = self.subject.ask(cases)
        for case, answer in zip(cases, answers, strict=True):
            if answer.kind not in ("result", "rejected"):
                raise Unanswered(answer, case)
            size = sum(a.size for a in answer.result.outputs.values()) if answer.result else 1
            self.cases += size
        return answers

    def outputs(self, case: Case) -> Outputs:
        """Return what the backend computes; a rejection fails the property."""
        answer = self.ask(case)
        if answer.result is None:
            self.fail(case, f"refused: {answer.reason}")
        return answer.result.outputs

    def ys(self, cases: Sequence[Case]) -> list[Array]:
        """Return output ``y`` of each case; a rejection fails the property."""
        found = []
        for case, answer in zip(cases, self.ask_all(cases), strict=True):
            if answer.result is None:
                self.fail(case, f"refused: {answer.reason}")
            found.append(answer.result.outputs["y"])
        return found

    def expect(self, *cases: Case) -> None:
        """Require that each answer is what ``axes`` computes, bit for bit."""
        for case, answer in zip(cases, self.ask_all(cases), strict=True):
            if self.contract_for(case) is not None or self.axes_of is None:
                self._compare(case, answer)

    def contract_for(self, case: Case) -> Axes | None:
        """Return the axes a case is held against; a deviation may change them, or have none."""
        return self.axes if self.axes_of is None else self.axes_of(case)

    def expected(self, case: Case) -> Outputs | None:
        """Return what ``axes`` computes by the reference; None if it refuses the inputs."""
        axes = self.contract_for(case)
        if self.arithmetic is None or axes is None:
            raise HarnessFault(f"no arithmetic for {self.op} {self.scheme}")
        computed = self.arithmetic.compute(case, axes)
        if computed is not None:
            for name, array in computed.items():
                for index in range(0, array.size, max(1, array.size // self.profile.audited)):
                    self._audit(case, computed, name, index)
        return computed

    def forall(
        self, strategy: st.SearchStrategy[Drawn], body: Callable[[Drawn], None], *, part: int = 1
    ) -> None:
        """Run ``body`` on draws of ``strategy``; raise what the smallest failing draw raises.

        ``part`` divides the number of draws: for bodies that ask many cases each.
        A backend that does not answer is not asked again: shrinking a crash means many crashes.
        """
        silent: list[Unanswered] = []
        failed: list[Mismatch] = []

        def once(drawn: Drawn) -> None:
            if silent:
                return
            try:
                body(drawn)
            except Unanswered as problem:
                silent.append(problem)
            except Mismatch as found:
                if self.excused is None or not self.excused(found.counterexample.case):
                    failed.append(found)
                    raise

        test = settings(
            max_examples=max(1, self.profile.examples // part),
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.target, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
        )(given(strategy)(once))
        try:
            seed(self.seed)(test)()
        except Flaky:  # it failed, and then did not: still a failure, of a backend that wavers
            if failed:
                raise failed[-1] from None
            raise
        if silent:
            raise silent[0]

    def fail(
        self,
        case: Case,
        reason: str,
        *,
        expected: Outputs | None = None,
        observed: Outputs | None = None,
    ) -> NoReturn:
        """Raise a counterexample to a law, which holds whatever the contract."""
        raise Mismatch(Counterexample(case, reason, expected or {}, observed or {}, law=True))

    def skip(self, reason: str) -> NoReturn:
        """Say that the property has nothing to say here."""
        raise NotApplicable(reason)

    def bounded(self, model: str, ratio: float) -> None:
        """Record the worst ratio of an error to the bound of an error model; <= 1 is within it."""
        self.bounds[model] = max(self.bounds.get(model, 0.0), ratio)

    def _compare(self, case: Case, answer: Answer) -> None:
        expected = self.expected(case)
        place = first_difference(expected, answer)
        if place is None:
            self.compared += sum(array.size for array in (expected or {}).values())
            return
        output, index = place
        observed = answer.result.outputs if answer.result else None
        if expected is None or observed is None or index < 0:
            reason = unlike(expected, answer, output)
            raise Mismatch(Counterexample(case, reason, expected or {}, observed or {}))
        self._audit(case, expected, output, index)
        self._fail_smallest(case, expected, observed, output, index)

    def _fail_smallest(
        self, case: Case, expected: Outputs, observed: Outputs, output: str, index: int
    ) -> NoReturn:
        """Fail with the differing element alone if it differs alone, else with the whole case."""
        assert self.arithmetic is not None, "expected() has looked"
        alone = self.arithmetic.element(case, index)
        answer = self.ask(alone)
        wanted = self.expected(alone)
        place = first_difference(wanted, answer)
        if place is not None and answer.result is not None and wanted is not None:
            self._raise(alone, wanted, answer.result.outputs, place[0], max(place[1], 0), "")
        self._raise(case, expected, observed, output, index, " (not when asked alone)")

    def _raise(
        self, case: Case, expected: Outputs, observed: Outputs, output: str, index: int, more: str
    ) -> NoReturn:
        wanted, got = (o[output].reshape(-1)[index].item() for o in (expected, observed))
        reason = f"{output}[{index}] is {got}, the contract computes {wanted}{more}"
        differing = int((~same_bits(observed[output], expected[output])).sum())
        raise Mismatch(Counterexample(case, reason, expected, observed), max(1, differing))

    def _audit(self, case: Case, computed: Outputs, output: str, index: int) -> None:
        """Compare one element of the reference with the oracle."""
        assert self.arithmetic is not None, "expected() has looked"
        axes = self.contract_for(case)
        assert axes is not None, "expected() has looked"
        told = computed[output].reshape(-1)[index].item()
        counted = self.arithmetic.exact(case, axes, output, index)
        if counted is None or (told != counted and not (np.isnan(told) and np.isnan(counted))):
            raise HarnessFault(
                f"{case.op} {case.scheme}: {output}[{index}] is {told} by the reference and "
                f"{counted} by the oracle, axes {dict(axes)}; "
                f"inputs { ({n: a.reshape(-1)[:4].tolist() for n, a in case.inputs.items()}) }"
            )
