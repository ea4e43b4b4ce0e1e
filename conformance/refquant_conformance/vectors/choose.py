r"""Choose the cases of a scheme that make its vectors: few, small, and enough.

The probes of an arithmetic tell its contracts apart, and are too large for a file. So some are
taken, spread over all, and cut. What was lost by that comes back: for each pair of choices of which
a probe tells that they differ and no case that was taken does,

.. math::

    \exists p \in \text{probes}: f_i(p) \ne f_j(p)
    \;\Rightarrow\; \exists c \in \text{chosen}: f_i(c) \ne f_j(c),    \tag{1}

the smallest case of one output element at which they differ is taken, too. The pairs are those of
the named contracts, and the specification with each other value of each axis.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from refquant_conformance.arithmetic import Arithmetic, Axes
from refquant_conformance.arithmetic.base import Outputs, same_bits
from refquant_conformance.protocol import Case
from refquant_conformance.vectors.expected import equal, named, others, specified

__all__ = ["chosen", "lost"]

_ELEMENTS = 64  # of a vector that is cut
_SMALL = 384  # of an input
_WHOLE = 4096  # of an input, where no smaller case has what a larger one tells
_TESTS = 16  # of a scheme
_SECOND_TESTS = 8  # of a scheme of other widths or finer scales: it rounds as the first one does
_SECOND = ("_channel", "_block", "2", "4", "16")
_FEW = 3  # of a case that is too large as a whole

Pair = tuple[int, int]


def chosen(arithmetic: Arithmetic, scheme: str) -> list[Case]:
    """Return small cases of a scheme for which (1) holds."""
    probes = list(arithmetic.probes(scheme))
    tests = _SECOND_TESTS if scheme.endswith(_SECOND) else _TESTS
    step = max(1, len(probes) // tests)
    last = [case for case in probes[-2:] if _largest(case) == 1]  # NaN, asked alone
    found: list[Case] = []
    whole = 0
    for case in [*probes[::step][:tests], *last]:
        small = _cut(arithmetic, case)
        few = [small] if _largest(small) <= _SMALL else list(_alone_in(arithmetic, case))
        if not few and _largest(case) <= _WHOLE and whole < _FEW:
            few, whole = [case], whole + 1
        found += few
    return [*found, *_completing(arithmetic, probes, found)]


def lost(arithmetic: Arithmetic, probes: Sequence[Case], cases: Sequence[Case]) -> set[Pair]:
    """Return the pairs of choices that ``probes`` tell apart, and ``cases`` do not."""
    choices, wanted = _choices(arithmetic)
    for case in cases:
        wanted -= _told(_outputs(arithmetic, case, choices), wanted)
    found: set[Pair] = set()
    for case in probes:
        found |= _told(_outputs(arithmetic, case, choices), wanted - found)
    return found


def _completing(
    arithmetic: Arithmetic, probes: Sequence[Case], cases: Sequence[Case]
) -> Iterator[Case]:
    """Yield what must be added to ``cases``, so that (1) holds: large cases where no small does."""
    choices, wanted = _choices(arithmetic)
    for case in cases:
        wanted -= _told(_outputs(arithmetic, case, choices), wanted)
    put_off: list[tuple[int, int, Pair]] = []
    for number, case in enumerate(probes):
        outputs = _outputs(arithmetic, case, choices)
        for pair in sorted(_told(outputs, wanted)):
            if pair not in wanted:
                continue  # by a case that was added for another pair
            added = _smallest(arithmetic, case, [choices[i] for i in pair])
            if added is None:
                put_off.append((_largest(case), number, pair))
                continue
            wanted -= _told(_outputs(arithmetic, added, choices), wanted)
            yield added
    for size, number, pair in sorted(put_off):
        if pair in wanted and size <= _WHOLE:
            wanted -= _told(_outputs(arithmetic, probes[number], choices), wanted)
            yield probes[number]


def _choices(arithmetic: Arithmetic) -> tuple[list[Axes], set[Pair]]:
    """Return the different choices, and the pairs of them that are to be told apart."""
    contracts: list[Axes] = []
    for _, axes in named(arithmetic):  # the specification is the first
        if dict(axes) not in contracts:
            contracts.append(dict(axes))
    pairs = set(combinations(range(len(contracts)), 2))
    for axis in arithmetic.axes:
        for other in others(arithmetic, axis):
            pairs.add((0, len(contracts)))
            contracts.append(other)
    return contracts, pairs


def _outputs(arithmetic: Arithmetic, case: Case, choices: Sequence[Axes]) -> list[Outputs | None]:
    return [arithmetic.compute(case, axes) for axes in choices]


def _told(outputs: Sequence[Outputs | None], pairs: set[Pair]) -> set[Pair]:
    return {(i, j) for i, j in pairs if not equal(outputs[i], outputs[j])}


def _smallest(arithmetic: Arithmetic, case: Case, choices: Sequence[Axes]) -> Case | None:
    """Return a small case in ``case`` that tells two choices apart; None if there is none."""
    one, other = _outputs(arithmetic, case, choices)
    for small in (arithmetic.element(case, _first(one, other)), _cut(arithmetic, case)):
        if _largest(small) <= _SMALL and not equal(*_outputs(arithmetic, small, choices)):
            return small
    return None


def _first(one: Outputs | None, other: Outputs | None) -> int:
    """Return the index of the first element of the outputs that differs; 0 if one refuses."""
    for name in one or ():
        if one and other and one[name].shape == other[name].shape:
            differ = ~same_bits(one[name], other[name]).reshape(-1)
            if differ.any():
                return int(differ.argmax())
    return 0


def _alone_in(arithmetic: Arithmetic, case: Case) -> Iterator[Case]:
    """Yield what a few output elements of a large case need, each as a case."""
    outputs = arithmetic.compute(case, specified(arithmetic))
    if outputs is None:
        return
    size = next(iter(outputs.values())).size
    for index in np.linspace(0, size - 1, _FEW).astype(int).tolist():
        alone = arithmetic.element(case, index)
        if _largest(alone) <= _SMALL:
            yield alone


def _largest(case: Case) -> int:
    return max((array.size for array in case.inputs.values()), default=0)


def _cut(arithmetic: Arithmetic, case: Case) -> Case:
    """Keep every n-th element of vectors: near-ties stand together, and so some of each stay.

    A case that is refused only when it is cut (blocks, packed bytes) stays whole.
    """
    data = [name for name in ("x", "a", "b") if name in case.inputs]
    if not data or any(case.inputs[name].ndim != 1 for name in data):
        return case
    size = max(case.inputs[name].size for name in data)
    kept = np.unique(np.linspace(0, size - 1, min(size, _ELEMENTS)).astype(int))
    cut = {name: case.inputs[name][kept] for name in data if case.inputs[name].size == size}
    small = replace(case, inputs={**case.inputs, **cut})
    whole, less = (arithmetic.compute(one, specified(arithmetic)) for one in (case, small))
    return case if less is None and whole is not None else small
