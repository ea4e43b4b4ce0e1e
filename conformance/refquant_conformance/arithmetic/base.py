r"""What an operator computes, as a function of axes: the yardstick that backends are held against.

An :class:`Arithmetic` is a family of functions, one for each choice of a value on each of its axes:

.. math::

    y = f_{a_1, \dots, a_n}(\text{inputs}), \qquad a_i \in A_i    \tag{1}

``compute`` is (1) by the reference, on whole arrays; ``exact`` is one element of it by the oracle,
in integers and fractions. The judge compares backends with the first, and the first with the
second wherever a verdict depends on it, so that a fault of ours is called ours.

Axes that stand in :class:`refquant.contracts.Contract` have its names and values; an operator may
have more (how an LSTM rounds its gates is no field of every model file).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from types import MappingProxyType

import numpy as np

from refquant.contracts import PRESETS, Contract, preset
from refquant.contracts.axes import AXES, AxisValue, contradiction
from refquant_conformance.protocol import Array, Case

__all__ = [
    "Arithmetic",
    "Axes",
    "Equal",
    "Outputs",
    "axes_of",
    "candidates",
    "contract_of",
    "name_axes",
    "same_bits",
    "says_all",
]

_FIELDS = (*AXES, "zero_range_scale")  # the open axis: any number

Axes = Mapping[str, AxisValue]
Outputs = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Equal:
    """Two values of an axis that compute the same for every input of some schemes, and why."""

    axis: str
    values: tuple[AxisValue, AxisValue]
    reason: str
    schemes: tuple[str, ...]


def _nothing(contract: Contract) -> Axes:
    return {}


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """One family (1).

    ``spec`` is the choice that the operator's specification demands, ``clause`` where it says so.
    An axis value may be None in ``spec`` where the specification is silent.
    ``compute(case, axes)`` returns the outputs, or None where that choice refuses the inputs;
    ``exact(case, axes, output, index)`` one element of an output, by the oracle (None: refused);
    ``probes(scheme)`` cases that tell the values of each axis apart;
    ``element(case, index)`` the smallest case that holds output element ``index``.
    ``implied(contract)`` gives those axes that no contract has, where a contract implies them;
    ``relevant(case)`` names the axes that can matter for a case (None: all), so that identifying
    need not compute the same twice; ``idle(axes)`` names those that cannot with the other values of
    a choice, whatever the case; ``again(axes)`` is true of a choice that computes what another
    one does, for every input, and is left out of the candidates; ``equal`` lists the values
    that no input tells apart.
    """

    op: str
    schemes: tuple[str, ...]
    axes: Mapping[str, tuple[AxisValue, ...]]
    spec: Mapping[str, AxisValue | None]
    clause: str
    compute: Callable[[Case, Axes], Outputs | None]
    exact: Callable[[Case, Axes, str, int], int | float | None]
    probes: Callable[[str], Sequence[Case]]
    element: Callable[[Case, int], Case]
    implied: Callable[[Contract], Axes] = _nothing
    relevant: Callable[[Case], tuple[str, ...]] | None = None
    idle: Callable[[Axes], tuple[str, ...]] | None = None
    again: Callable[[Axes], bool] | None = None
    equal: tuple[Equal, ...] = ()


def candidates(arithmetic: Arithmetic) -> Iterator[Axes]:
    """Yield every choice of axis values that does not contradict itself."""
    names = tuple(arithmetic.axes)
    for values in product(*arithmetic.axes.values()):
        chosen = MappingProxyType(dict(zip(names, values, strict=True)))
        if contradiction(chosen) is None and not (arithmetic.again and arithmetic.again(chosen)):
            yield chosen


def contract_of(axes: Axes, *, name: str = "asked", base: str = "onnx") -> Contract:
    """Return the preset ``base`` with those axes that a contract has set to ``axes``.

    >>> contract_of({"rounding": "half_away", "gate": "float"}).rounding
    'half_away'
    """
    known = {axis: value for axis, value in axes.items() if axis in _FIELDS}
    return _contract(tuple(known.items()), name, base)


@cache  # a judgement asks for few contracts, thousands of times each
def _contract(known: tuple[tuple[str, AxisValue], ...], name: str, base: str) -> Contract:
    made: Contract = replace(preset(base), name=name, **dict(known))  # type: ignore[arg-type]  # checked there
    return made


def axes_of(contract: Contract, arithmetic: Arithmetic) -> Axes:
    """Return the choice that a contract makes: its own axes, those it implies, the specification's.

    What the family does not have, and where the specification is silent: the first value.
    """
    implied = arithmetic.implied(contract)
    chosen: dict[str, AxisValue] = {}
    for axis, values in arithmetic.axes.items():
        wanted = arithmetic.spec.get(axis)
        chosen[axis] = values[0] if wanted is None else wanted
        own = implied.get(axis, getattr(contract, axis) if axis in _FIELDS else None)
        if own is not None and own in values:
            chosen[axis] = own
    return chosen


def says_all(contract: Contract, arithmetic: Arithmetic) -> bool:
    """Whether the family has every value that a contract chooses: else it is none of its members.

    ``quanto`` adds the zero point before it scales, which no quantizer of the catalogue does.

    >>> from refquant_conformance.arithmetic import arithmetic_of
    >>> [says_all(preset(n), arithmetic_of("quantize_linear", "f32_u8")) for n in ("ort", "quanto")]
    [True, False]
    """
    implied = arithmetic.implied(contract)
    for axis, values in arithmetic.axes.items():
        own = implied.get(axis, getattr(contract, axis) if axis in _FIELDS else None)
        if own is not None and own not in values:
            return False
    return True


def _says_any(contract: Contract, arithmetic: Arithmetic) -> bool:
    implied = arithmetic.implied(contract)
    return any(axis in implied or axis in _FIELDS for axis in arithmetic.axes)


def name_axes(
    axes: Axes, *, spec: Mapping[str, AxisValue | None], arithmetic: Arithmetic | None = None
) -> str:
    """Name a choice: the presets that make it, or what it changes in the specification's.

    ``arithmetic`` is the family of the choice, if its axes are not all those of a contract. A
    preset that says nothing of any of them names none: that its silence agrees is no claim.

    >>> spec = {"rounding": "half_even", "nan": None}
    >>> name_axes({"rounding": "half_down", "nan": "zero"}, spec=spec)
    'spec with rounding=half_down'
    """
    if arithmetic is None:
        named = [name for name in PRESETS if _agrees(preset(name), axes)]
    else:
        named = [
            name
            for name in PRESETS
            if _says_any(preset(name), arithmetic)
            and says_all(preset(name), arithmetic)
            and axes_of(preset(name), arithmetic) == dict(axes)
        ]
    if named:
        return named[0] if len(named) == 1 else f"{named[0]} (also {', '.join(named[1:4])})"
    changed = [
        f"{axis}={value}" for axis, value in axes.items() if spec.get(axis) not in (None, value)
    ]
    if changed:
        return f"spec with {', '.join(changed)}"
    free = [f"{axis}={value}" for axis, value in axes.items() if spec.get(axis) is None]
    return f"spec, {', '.join(free)}" if free else "spec"


def _agrees(contract: Contract, axes: Axes) -> bool:
    return all(axis in AXES and getattr(contract, axis) == value for axis, value in axes.items())


def same_bits(a: Array, b: Array) -> Array:
    """Return for each element whether both hold the same bits; any two NaN are the same.

    >>> same_bits(np.float32([0.0, np.nan, 1.0]), np.float32([-0.0, np.nan, 1.0])).tolist()
    [False, True, True]
    """
    if a.dtype.kind != "f":
        equal: Array = a == b
        return equal
    bits = np.dtype(f"u{a.dtype.itemsize}")
    same: Array = (a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))
    return same
