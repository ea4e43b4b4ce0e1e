r"""What is expected of a case: everybody's answer, and what the case is good for.

The named contracts are asked one by one; those that give the same bits stand together. ``flags``
are the axes :math:`a` on which another value :math:`v` than the specification's changes the answer
to a case :math:`c`:

.. math::

    \text{flags}(c) = \{a : \exists v \in A_a,\; f_{s[a := v]}(c) \ne f_s(c)\}    \tag{1}

Where an axis of these is one on which the specification is silent, the result is undefined, and no
answer is called ``spec``.
"""

from collections.abc import Iterator

from refquant.contracts import PRESETS, preset
from refquant.contracts.axes import AxisValue, contradiction
from refquant_conformance.arithmetic import Arithmetic, Axes
from refquant_conformance.arithmetic.base import Outputs, axes_of, same_bits, says_all
from refquant_conformance.protocol import Case

__all__ = ["answers", "equal", "flags", "named", "others", "specified", "undefined"]


def answers(arithmetic: Arithmetic, case: Case) -> list[tuple[list[str], Outputs | None]]:
    """Return the different answers to a case, each with the names of those who give it.

    Where the specification is silent, none is called ``spec``.
    """
    silent = undefined(arithmetic, case)
    found: list[tuple[list[str], Outputs | None]] = []
    for name, axes in named(arithmetic):
        if name == "spec" and silent:
            continue
        outputs = arithmetic.compute(case, axes)
        for names, other in found:
            if equal(outputs, other):
                names.append(name)
                break
        else:
            found.append(([name], outputs))
    return found


def named(arithmetic: Arithmetic) -> Iterator[tuple[str, Axes]]:
    """Yield the specification's choice and that of every preset which has one."""
    yield "spec", specified(arithmetic)
    for name in PRESETS:
        contract = preset(name)
        axes = axes_of(contract, arithmetic)
        if says_all(contract, arithmetic) and contradiction(axes) is None:
            yield name, axes


def specified(arithmetic: Arithmetic) -> dict[str, AxisValue]:
    """Return what the specification demands, and the first value where it is silent."""
    chosen: dict[str, AxisValue] = {}
    for axis, values in arithmetic.axes.items():
        wanted = arithmetic.spec.get(axis)
        chosen[axis] = values[0] if wanted is None else wanted
    return chosen


def others(arithmetic: Arithmetic, axis: str) -> Iterator[Axes]:
    """Yield the specification's choice with each other value of one axis that it can have."""
    base = specified(arithmetic)
    for value in arithmetic.axes[axis]:
        other = {**base, axis: value}
        if value != base[axis] and contradiction(other) is None:
            yield other


def flags(arithmetic: Arithmetic, case: Case) -> list[str]:
    """Return the axes (1)."""
    return [axis for axis in arithmetic.axes if _matters(arithmetic, case, axis)]


def undefined(arithmetic: Arithmetic, case: Case) -> bool:
    """Return whether an axis changes the answer on which the specification is silent."""
    silent = [axis for axis in arithmetic.axes if arithmetic.spec.get(axis) is None]
    return any(_matters(arithmetic, case, axis) for axis in silent)


def _matters(arithmetic: Arithmetic, case: Case, axis: str) -> bool:
    wanted = arithmetic.compute(case, specified(arithmetic))
    return any(
        not equal(wanted, arithmetic.compute(case, other)) for other in others(arithmetic, axis)
    )


def equal(a: Outputs | None, b: Outputs | None) -> bool:
    """Return whether two answers are the same, to the bit; two refusals are."""
    if a is None or b is None:
        return a is b
    return all(a[n].shape == b[n].shape and bool(same_bits(a[n], b[n]).all()) for n in a)
