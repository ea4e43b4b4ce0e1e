"""The judge: identify each cell of a backend, then hold it to what it declared or was found to be.

For every operator and scheme that a backend says it computes:

1. *identify*: which contracts explain all answers to the probes;
2. *verify*: every property of the operator, with the declared contract, or else the identified one,
   as the exact yardstick;
3. *compare*: that contract with the one that the specification demands.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from refquant.contracts.axes import AxisValue
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic import Arithmetic, Axes, arithmetic_of
from refquant_conformance.arithmetic.base import name_axes
from refquant_conformance.deviations import Deviation
from refquant_conformance.excuse import excused, stale
from refquant_conformance.identify import Identification, identify
from refquant_conformance.operators import types_of
from refquant_conformance.profiles import PROFILES, Profile
from refquant_conformance.properties import PROPERTIES, Property, for_op
from refquant_conformance.protocol import Capability, Info
from refquant_conformance.subject import Subject
from refquant_conformance.trial import HarnessFault, Mismatch, NotApplicable, Trial, Unanswered
from refquant_conformance.verdict import Cell

__all__ = ["Judgement", "judge", "try_property"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that was found out about one backend with one set of knobs."""

    info: Info
    profile: str
    seed: int
    identified: tuple[Identification, ...]
    cells: tuple[Cell, ...]
    knobs: dict[str, str | int] = field(default_factory=dict)

    @property
    def red(self) -> tuple[Cell, ...]:
        """The lines that make a run fail."""
        return tuple(cell for cell in self.cells if cell.red)


def judge(
    subject: Subject,
    *,
    profile: Profile = PROFILES["ci"],
    seed: int = 0,
    ops: Iterable[str] = (),
    schemes: Iterable[str] = (),
    properties: Iterable[str] = (),
    deviations: Sequence[Deviation] = (),
    today: date | None = None,
) -> Judgement:
    """Identify and verify every cell that ``subject`` says it computes.

    ``ops``, ``schemes`` and ``properties`` restrict what is asked; empty means all. Cells come in
    the order of the backend's capabilities, properties in the order of their ids.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.subject import Local
    >>> onnx = Local(load_backend("reference:onnx"))
    >>> found = judge(onnx, properties=("QDQ-02",), schemes=("f32_u8",))
    >>> {cell.verdict for cell in found.cells}
    {'BIT_EXACT'}
    """
    chosen_ops, chosen_schemes = frozenset(ops), frozenset(schemes)
    chosen = frozenset(properties)
    known = [entry for entry in deviations if entry.speaks_of(subject.info)]
    identified: list[Identification] = []
    cells: list[Cell] = []
    for capability in subject.capabilities:
        if chosen_ops and capability.op not in chosen_ops:
            continue
        if chosen_schemes and capability.scheme not in chosen_schemes:
            continue
        types_of(capability.op, capability.scheme)  # refuses what the catalogue does not have
        for one in _of_capability(subject, capability, profile, seed, chosen, known):
            (identified if isinstance(one, Identification) else cells).append(one)  # type: ignore[arg-type]  # sorted here
    cells += stale(known, cells, subject.info, today or date.today())
    return Judgement(subject.info, profile.name, seed, tuple(identified), tuple(cells))


def _of_capability(
    subject: Subject,
    cell: Capability,
    profile: Profile,
    seed: int,
    chosen: frozenset[str],
    known: Sequence[Deviation],
) -> Iterator[Identification | Cell]:
    arithmetic = arithmetic_of(cell.op, cell.scheme)
    axes: Axes | None = None
    if arithmetic is not None:
        (reply,) = subject.send("declared", cell.op)
        declared = None if isinstance(reply, Answer) else reply
        found = identify(subject, cell.op, cell.scheme, prefer=declared)
        yield found
        axes = _under_test(arithmetic, found, declared)
    for one in for_op(cell.op):
        if chosen and one.id not in chosen:
            continue
        trial = Trial(subject, cell.op, cell.scheme, arithmetic, axes, profile, seed)
        row = try_property(one, trial)
        if row is not None:
            yield excused(row, trial, known, _again)


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


def try_property(one: Property, trial: Trial) -> Cell | None:
    """Check a property; return its line, or None where it says nothing about the scheme."""
    started = time.perf_counter()
    verdict, detail, counterexample, mismatches = "", "", None, 0
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
        kinds = {"unsupported": "UNSUPPORTED", "crashed": "CRASHED", "hung": "HUNG"}
        verdict = kinds.get(silence.answer.kind, "HARNESS_ERROR")
        detail = silence.answer.reason
    else:
        verdict, detail = _passed(trial)
    axes = trial.axes or {}
    spec = trial.arithmetic.spec if trial.arithmetic else {}
    return Cell(
        property=one.id,
        op=trial.op,
        scheme=trial.scheme,
        verdict=verdict,
        contract=name_axes(axes, spec=spec) if axes else "",
        axes=dict(axes),
        cases=trial.cases,
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
