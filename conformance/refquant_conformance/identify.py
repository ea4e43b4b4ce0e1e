"""Which arithmetic a backend computes: what is left when its answers have spoken.

Every choice of axis values predicts an answer to every probe. Choices whose prediction differs in
one bit are struck out; the rest is the set of contracts consistent with all answers::

    candidates   3,024   half_even/divide_f32/...   half_away/divide_f32/...   ...
    probe 1      x = 0.5, s = 1       answer 0   ->  half_away struck out: it says 1
    ...
    consistent       2   equal for every input, so nothing can tell them apart

The evidence is one probe for each value that was struck out next to the choice that was found.
If nothing is left, the arithmetic is not among ours: the nearest choice and its first differing
element are reported.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from refquant.contracts import PRESETS
from refquant.contracts.axes import AxisValue, contradiction
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic import Arithmetic, Axes, arithmetic_of
from refquant_conformance.arithmetic.base import (
    Outputs,
    axes_of,
    candidates,
    name_axes,
    says_all,
)
from refquant_conformance.difference import count_differing, first_difference
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Subject

__all__ = ["Evidence", "Identification", "first_difference", "identify"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One element that tells ``axis = value`` from what was found."""

    axis: str
    value: AxisValue
    case: Case
    output: str
    index: int
    would_be: str
    observed: str


@dataclass(frozen=True, slots=True)
class Identification:
    """What is left, and why.

    ``consistent`` holds the choices that explain every answer; ``name`` names the first of them.
    ``open_axes`` are those on which more than one value is left. Where nothing is left, ``nearest``
    is wrong in ``mismatches`` elements, and ``counterexample`` is one of them. ``trouble`` holds
    the answers that were none (crashed, hung, broken, unsupported), one of a kind.
    """

    op: str
    scheme: str
    consistent: tuple[Axes, ...]
    name: str
    elements: int
    evidence: tuple[Evidence, ...] = ()
    nearest: Axes | None = None
    mismatches: int = 0
    trouble: Mapping[str, str] = field(default_factory=dict)
    counterexample: Evidence | None = None

    @property
    def open_axes(self) -> dict[str, tuple[AxisValue, ...]]:
        """The axes on which more than one value explains everything."""
        first = self.consistent[0] if self.consistent else {}
        found = {axis: tuple(dict.fromkeys(c[axis] for c in self.consistent)) for axis in first}
        return {axis: values for axis, values in found.items() if len(values) > 1}


def identify(
    subject: Subject, op: str, scheme: str, *, prefer: Mapping[str, AxisValue] | None = None
) -> Identification:
    """Ask ``subject`` the probes of a cell and strike out every choice that they refute.

    ``prefer`` orders the choices that are left: those that agree with it come first; without it,
    those of presets, then those that agree with the specification.
    ``ValueError`` if the judge has no arithmetic for the cell.

    >>> from refquant_conformance.adapters import load_backend
    >>> from refquant_conformance.subject import Local
    >>> torch = Local(load_backend("reference:torch"))
    >>> identify(torch, "quantize_linear", "f32_u8").consistent[0]["scale_op"]
    'reciprocal_f32'
    """
    arithmetic = arithmetic_of(op, scheme)
    if arithmetic is None:
        raise ValueError(f"the judge has no arithmetic for {op} {scheme}")
    probes = list(arithmetic.probes(scheme))
    answers = subject.ask(probes)
    asked = [(p, a) for p, a in zip(probes, answers, strict=True) if a.kind in _ANSWERS]
    trouble = {a.kind: a.reason for a in answers if a.kind not in _ANSWERS}
    told = _Told(arithmetic, asked)
    left = list(candidates(arithmetic)) if asked else []
    for number in range(len(asked)):
        left = [axes for axes in left if told.place(number, axes) is None]
        if not left:
            break
    elements = sum(_size(answer) for _, answer in asked)
    if not left:
        axes, mismatches = _nearest(arithmetic, told) if asked else (None, 0)
        name = "unidentified" if asked else "not computed"
        wrong = None if axes is None else _against("", "", axes, told)
        return Identification(op, scheme, (), name, elements, (), axes, mismatches, trouble, wrong)
    known = [axes_of(c, arithmetic) for c in PRESETS.values() if says_all(c, arithmetic)]
    wanted = prefer if prefer is not None else arithmetic.spec
    # An arithmetic that somebody has is likelier than one that nobody has, but for who claims it.
    left.sort(
        key=lambda axes: (
            prefer is None and dict(axes) not in known,
            -sum(axes.get(a) == v for a, v in wanted.items()),
        )
    )
    evidence = tuple(_evidence(arithmetic, left[0], left, told))
    name = name_axes(left[0], spec=arithmetic.spec, arithmetic=arithmetic)
    consistent = tuple(dict(axes) for axes in left)  # plain, to travel between processes
    return Identification(op, scheme, consistent, name, elements, evidence, trouble=trouble)


_ANSWERS = ("result", "rejected")


class _Told:
    """What choices say of each probe, next to its answer; those that cannot differ are asked once.

    Where a choice is wrong, and how often, is kept; what it computes is not.
    """

    def __init__(self, arithmetic: Arithmetic, asked: Sequence[tuple[Case, Answer]]) -> None:
        self.arithmetic, self.asked = arithmetic, asked
        self._places: dict[tuple[object, ...], tuple[str, int] | None] = {}
        self._counts: dict[tuple[object, ...], int] = {}

    def outputs(self, number: int, axes: Axes) -> Outputs | None:
        """Return what a choice computes for a probe."""
        return self.arithmetic.compute(self.asked[number][0], axes)

    def place(self, number: int, axes: Axes) -> tuple[str, int] | None:
        """Return the first element of an answer that a choice does not explain."""
        key = self._key(number, axes)
        if key not in self._places:
            answer = self.asked[number][1]
            self._places[key] = first_difference(self.outputs(number, axes), answer)
        return self._places[key]

    def count(self, number: int, axes: Axes) -> int:
        """Return how many elements of an answer a choice does not explain."""
        key = self._key(number, axes)
        if key not in self._counts:
            answer = self.asked[number][1]
            self._counts[key] = count_differing(self.outputs(number, axes), answer)
        return self._counts[key]

    def _key(self, number: int, axes: Axes) -> tuple[object, ...]:
        family, case = self.arithmetic, self.asked[number][0]
        matter = family.relevant(case) if family.relevant else tuple(family.axes)
        idle = family.idle(axes) if family.idle else ()
        return (number, *(None if axis in idle else axes[axis] for axis in matter))


def _size(answer: Answer) -> int:
    return sum(a.size for a in answer.result.outputs.values()) if answer.result else 1


def _nearest(arithmetic: Arithmetic, told: _Told) -> tuple[Axes, int]:
    """Walk from the specification's choice to a better one, an axis at a time, until none is."""
    best: dict[str, AxisValue] = {}
    for axis, values in arithmetic.axes.items():
        wanted = arithmetic.spec.get(axis)
        best[axis] = values[0] if wanted is None else wanted

    def differing(axes: Axes, enough: float = math.inf) -> int:
        """Count the elements that a choice does not explain, ``enough`` or a few more at most."""
        total = 0
        for number in range(len(told.asked)):
            total += told.count(number, axes)
            if total >= enough:
                break
        return total

    fewest = differing(best)
    improved = True
    while improved:
        improved = False
        for axis, values in arithmetic.axes.items():
            for value in values:
                other = {**best, axis: value}
                if value == best[axis] or contradiction(other):
                    continue
                count = differing(other, fewest)
                if count < fewest:
                    best, fewest, improved = other, count, True
    return best, fewest


def _evidence(
    arithmetic: Arithmetic, found: Axes, left: Sequence[Axes], told: _Told
) -> list[Evidence]:
    """Return one differing element for each value next to ``found`` that was struck out."""
    evidence = []
    for axis, values in arithmetic.axes.items():
        for value in values:
            other = {**found, axis: value}
            if contradiction(other) or other in left:
                continue
            evidence.append(_against(axis, value, other, told))
    return [one for one in evidence if one is not None]


def _against(axis: str, value: AxisValue, other: Axes, told: _Told) -> Evidence | None:
    for number, (case, answer) in enumerate(told.asked):
        place = told.place(number, other)
        if place is None:
            continue
        output, index = place
        would_be = _words(told.outputs(number, other), output, index)
        got = _words(_outputs(answer), output, index)
        if index >= 0:
            case = told.arithmetic.element(case, index)
        return Evidence(axis, value, case, output, index, would_be, got)
    return None


def _outputs(answer: Answer) -> Outputs | None:
    return answer.result.outputs if answer.result else None


def _words(outputs: Outputs | None, output: str, index: int) -> str:
    """Return one element in words, or the whole where there is no one element to point at."""
    if outputs is None:
        return "refused"
    array = outputs[output or next(iter(outputs))]
    return str(array.reshape(-1)[index].item() if index >= 0 else array.reshape(-1)[:4].tolist())
