"""Backends that mistake one value of an axis for another, made for every value there is.

A contract has axes, an axis has values, and for each value there must be a property that fails
when a backend declares it and computes another. Such a backend is made, not planted by hand::

    declared    rounding = half_even    scale_op = divide_f32    ...
    computed    rounding = half_down    scale_op = divide_f32    ...

What is computed instead is the *nearest* other value: the one whose answers to the probes differ in
the fewest elements, so that what finds it finds the others. A value that no probe tells from
another has none; whether that is right is for the tests of probes to say, which know the equals.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from refquant.contracts.axes import AxisValue, contradiction
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic import Arithmetic, Axes
from refquant_conformance.arithmetic.base import Outputs, candidates
from refquant_conformance.difference import count_differing
from refquant_conformance.inquiry import try_property
from refquant_conformance.profiles import Profile
from refquant_conformance.properties import for_op
from refquant_conformance.protocol import Capability, Case, Info, Rejected, Result
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial

__all__ = ["Mistaken", "killers", "mistaken"]


@dataclass(frozen=True, slots=True)
class Mistaken:
    """A backend of one cell that declares ``axis = value`` and computes ``axis = instead``."""

    arithmetic: Arithmetic
    scheme: str
    axis: str
    value: AxisValue
    instead: AxisValue
    axes: Axes

    def info(self) -> Info:
        """Say who answers."""
        return Info(f"mistaken:{self.axis}", "1")

    def capabilities(self) -> Iterable[Capability]:
        """Return the one cell."""
        return [Capability(self.arithmetic.op, self.scheme)]

    def declared(self, op: str) -> Axes | None:
        """Return what is claimed."""
        return self.axes

    def run(self, case: Case) -> Result:
        """Compute the other value."""
        computed = self.arithmetic.compute(case, {**self.axes, self.axis: self.instead})
        if computed is None:
            raise Rejected("this choice refuses the inputs")
        return Result(dict(computed))


def mistaken(arithmetic: Arithmetic) -> Iterator[Mistaken]:
    """Yield a mistaken backend for each axis value, in the first scheme that can tell it.

    >>> from refquant_conformance.arithmetic import arithmetic_of
    >>> made = mistaken(arithmetic_of("quantize_linear", "f32_u8"))
    >>> one = next(made)
    >>> (one.axis, one.value, one.instead)
    ('rounding', 'half_even', 'half_down')
    """
    for axis, values in arithmetic.axes.items():
        for value in values:
            found = (_nearest(arithmetic, scheme, axis, value) for scheme in arithmetic.schemes)
            one = next((one for one in found if one is not None), None)
            if one is not None:
                yield one


def _nearest(arithmetic: Arithmetic, scheme: str, axis: str, value: AxisValue) -> Mistaken | None:
    """Return the mistake with the fewest wrong elements; None if no probe tells ``value``."""
    probes = arithmetic.probes(scheme)
    for base in _bases(arithmetic, axis, value):
        claimed = [arithmetic.compute(probe, base) for probe in probes]
        fewest, nearest = 0, None
        for other in arithmetic.axes[axis]:
            changed = {**base, axis: other}
            if other == value or contradiction(changed):
                continue
            count = sum(
                count_differing(expected, _answer(arithmetic.compute(probe, changed)))
                for probe, expected in zip(probes, claimed, strict=True)
            )
            if count and (nearest is None or count < fewest):
                fewest, nearest = count, Mistaken(arithmetic, scheme, axis, value, other, base)
        if nearest is not None:
            return nearest
    return None


def _answer(outputs: Outputs | None) -> Answer:
    return Answer("rejected") if outputs is None else Answer("result", Result(dict(outputs)))


def _bases(arithmetic: Arithmetic, axis: str, value: AxisValue) -> list[Axes]:
    """Return choices with ``axis = value``: the specification's, then one for each other value.

    A value may matter only beside a certain value of another axis.
    """
    best: dict[tuple[str, AxisValue], tuple[int, Axes]] = {}
    for axes in candidates(arithmetic):
        if axes[axis] != value:
            continue
        agrees = sum(axes[name] == wanted for name, wanted in arithmetic.spec.items())
        for place in axes.items():
            if place not in best or agrees > best[place][0]:
                best[place] = agrees, axes
    nearest = sorted(best.values(), key=lambda one: one[0], reverse=True)
    return [axes for n, (_, axes) in enumerate(nearest) if axes not in [a for _, a in nearest[:n]]]


def killers(one: Mistaken, profile: Profile, seed: int, *, all_of_them: bool = False) -> list[str]:
    """Return the properties that a mistaken backend fails: the first by id, or all."""
    subject = Local(one)
    found = []
    for candidate in for_op(one.arithmetic.op):
        trial = Trial(
            subject, one.arithmetic.op, one.scheme, one.arithmetic, one.axes, profile, seed
        )
        row = try_property(candidate, trial)
        if row is not None and row.verdict == "FAILS":
            found.append(candidate.id)
            if not all_of_them:
                break
    return found
