"""One backend under question: what each cell was identified as, and what a property says of it.

The judge asks all cells, the pytest plug-in one at a time; both go through an :class:`Inquiry`,
which asks the probes of a cell once.
"""

import os
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from refquant.contracts.axes import AxisValue
from refquant_conformance.adapters import BackendError
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic import Arithmetic, Axes, arithmetic_of
from refquant_conformance.arithmetic.base import name_axes
from refquant_conformance.deviations import Deviation
from refquant_conformance.excuse import excused
from refquant_conformance.identify import Identification, identify
from refquant_conformance.profiles import PROFILES, Profile
from refquant_conformance.properties import PROPERTIES, Property
from refquant_conformance.protocol import Capability
from refquant_conformance.subject import Subject
from refquant_conformance.trial import HarnessFault, Mismatch, NotApplicable, Trial, Unanswered
from refquant_conformance.verdict import Cell, Counterexample

__all__ = ["Inquiry", "try_property"]


@dataclass(slots=True)
class Inquiry:
    """A subject, how hard to look, and what is known of its deviations.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.subject import Local
    >>> asked = Inquiry(Local(load_backend("reference:onnx")))
    >>> asked.check(PROPERTIES["QDQ-02"], Capability("quantize_linear", "f32_u8")).verdict
    'BIT_EXACT'
    """

    subject: Subject
    profile: Profile = PROFILES["ci"]
    seed: int = 0
    deviations: Sequence[Deviation] = ()
    _found: dict[Capability, tuple[Identification, Axes | None]] = field(default_factory=dict)

    def identified(self, cell: Capability) -> Identification | None:
        """Return what a cell was identified as; None if the judge has no arithmetic for it."""
        if arithmetic_of(cell.op, cell.scheme) is None:
            return None
        return self._of(cell)[0]

    def check(self, one: Property, cell: Capability) -> Cell | None:
        """Return the line of a property; None where it says nothing about the scheme."""
        arithmetic = arithmetic_of(cell.op, cell.scheme)
        axes = None if arithmetic is None else self._of(cell)[1]
        trial = Trial(self.subject, cell.op, cell.scheme, arithmetic, axes, self.profile, self.seed)
        row = try_property(one, trial)
        return (
            None
            if row is None
            else self._with_program(excused(row, trial, self.deviations, _again))
        )

    def _with_program(self, row: Cell) -> Cell:
        """Add a program that asks the counterexample again, if the backend can write one."""
        if row.counterexample is None or row.verdict != "FAILS":
            return row
        (program,) = self.subject.send("repro", row.counterexample.case)
        return replace(row, repro=program) if isinstance(program, str) else row

    def _of(self, cell: Capability) -> tuple[Identification, Axes | None]:
        """Identify a cell, and choose the contract that its properties are held against."""
        if cell not in self._found:
            arithmetic = arithmetic_of(cell.op, cell.scheme)
            assert arithmetic is not None, "both callers have looked"
            declared = self._declared(cell.op)
            found = identify(self.subject, cell.op, cell.scheme, prefer=declared)
            self._found[cell] = found, _under_test(arithmetic, found, declared)
        return self._found[cell]

    def _declared(self, op: str) -> Axes | None:
        """Return the contract that is claimed; ``BackendError`` if the claim is none."""
        (reply,) = self.subject.send("declared", op)
        if isinstance(reply, Answer) and reply.kind == "broken":
            raise BackendError(f"{self.subject.info.name}: {reply.reason}")
        if reply is None or isinstance(reply, Answer):
            return None
        if not isinstance(reply, Mapping):
            raise BackendError(
                f"{self.subject.info.name}: declared({op!r}) must return axes by name or None; "
                f"got {type(reply).__name__}"
            )
        claim: Axes = reply
        return claim


def _again(identifier: str, trial: Trial) -> Cell | None:
    return try_property(PROPERTIES[identifier], trial)


def _under_test(
    arithmetic: Arithmetic, found: Identification, declared: Axes | None
) -> Axes | None:
    """Return what is declared, completed by what was found; or what was found, or is nearest."""
    seen = found.consistent[0] if found.consistent else found.nearest
    if declared is None:
        return seen
    complete: dict[str, AxisValue] = {}
    for axis, values in arithmetic.axes.items():
        wanted = arithmetic.spec.get(axis)
        fallback = values[0] if wanted is None else wanted
        claimed = declared.get(axis)  # what is no value of this family was said of another
        if claimed is None or claimed not in values:
            claimed = seen[axis] if seen else fallback
        complete[axis] = claimed
    return complete


_SILENT = {"unsupported": "UNSUPPORTED", "crashed": "CRASHED", "hung": "HUNG"}


def try_property(one: Property, trial: Trial) -> Cell | None:
    """Check a property; return its line, or None where it says nothing about the scheme."""
    started = time.perf_counter()
    verdict, detail, mismatches = "", "", 0
    counterexample: Counterexample | None = None
    try:
        one.check(trial)
    except NotApplicable:
        return None
    except Mismatch as found:
        verdict, detail = "FAILS", str(found)
        counterexample, mismatches = found.counterexample, found.mismatches
    except HarnessFault as fault:
        verdict, detail = "HARNESS_ERROR", str(fault)
    except Unanswered as silence:
        verdict, detail = _SILENT.get(silence.answer.kind, "HARNESS_ERROR"), silence.answer.reason
        if verdict in ("CRASHED", "HUNG"):
            counterexample = Counterexample(silence.case, detail, law=True)
    except Exception as error:  # one line is lost, not the run
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        verdict, detail = "HARNESS_ERROR", f"{type(error).__name__}: {error} ({where})"
    else:
        verdict, detail = _passed(trial)
    axes = trial.axes or {}
    spec = trial.arithmetic.spec if trial.arithmetic else {}
    return Cell(
        property=one.id,
        op=trial.op,
        scheme=trial.scheme,
        verdict=verdict,
        contract=name_axes(axes, spec=spec, arithmetic=trial.arithmetic) if axes else "",
        axes=dict(axes),
        cases=trial.cases,
        compared=trial.compared,
        mismatches=mismatches,
        detail=detail,
        counterexample=counterexample,
        seconds=time.perf_counter() - started,
    )


def _passed(trial: Trial) -> tuple[str, str]:
    """Return the verdict of a property that holds, and what is worth a word."""
    if trial.notes:
        return "SPEC_AMBIGUOUS", "; ".join(f"{flag}: {seen}" for flag, seen in trial.notes.items())
    if trial.bounds:
        worst = ", ".join(f"{model} {ratio:.3g}" for model, ratio in trial.bounds.items())
        return "WITHIN_BOUND", worst
    spec = trial.arithmetic.spec if trial.arithmetic else {}
    axes = trial.axes or {}
    meets = all(wanted is None or axes.get(axis) == wanted for axis, wanted in spec.items())
    return ("BIT_EXACT" if meets else "BIT_EXACT_CONTRACT"), ""
