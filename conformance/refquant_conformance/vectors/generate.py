r"""Make the vectors of an operator: its probes, cut to what fits a file, with everybody's answers.

A test is a case and the list of different answers to it, each with the contracts that give it::

    {"tcId": 7, "flags": ["rounding", "scale_op"], "params": {...},
     "inputs":   {"x": {"type": "float32", "shape": [64], "hex": "..."}, ...},
     "expected": [{"contracts": ["spec", "ort"], "outputs": {"y": {...}}},
                  {"contracts": ["tflite_reference"], "outputs": {"y": {...}}},
                  {"contracts": ["aimet"], "refused": true}],
     "result": "valid"}

``flags`` names the axes on which another value would change the answer: what the test is good for.
``result`` is ``undefined`` where the specification is silent on such an axis; then no answer is
called ``spec``. Answers come from the reference, and ``lint`` has the oracle count them again.

References
----------
Wycheproof's test vectors, for the form: one file an operator, groups, flags with notes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refquant.contracts import PRESETS, preset
from refquant.contracts.axes import AxisValue, contradiction
from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic, Axes
from refquant_conformance.arithmetic.base import Outputs, axes_of, same_bits
from refquant_conformance.protocol import Case
from refquant_conformance.report.document import EDITION
from refquant_conformance.vectors.read import LICENCE, SCHEMA
from refquant_conformance.wire import array_to_json

__all__ = ["answers", "fits", "flags", "generate", "specified", "undefined"]

_LARGEST = 1_000_000  # bytes of a file
_ELEMENTS = 96  # of an output, in one test
_TESTS = 16  # of a scheme
_SECOND_TESTS = 8  # of a scheme of other widths or finer scales: it rounds as the first one does
_SECOND = ("_channel", "_block", "2", "4", "16")
_FEW = 5  # of a case that is too large as a whole


def generate(op: str) -> dict[str, Any]:
    """Return the vectors of an operator: a group for each scheme that has an arithmetic.

    ``ValueError`` if the judge has no arithmetic for it.
    """
    groups = []
    number = 0
    for arithmetic in ARITHMETICS:
        for scheme in arithmetic.schemes if arithmetic.op == op else ():
            tests = []
            for case in _chosen(arithmetic, scheme):
                number += 1
                tests.append({"tcId": number, **_test(arithmetic, case)})
            if tests:
                groups.append({"scheme": scheme, "clause": arithmetic.clause, "tests": tests})
    if not groups:
        raise ValueError(f"there is no arithmetic for {op}, so there are no vectors of it")
    return {
        **{"schema": SCHEMA, "edition": EDITION, "op": op, "licence": LICENCE},
        **{"numberOfTests": number, "testGroups": groups},
    }


def fits(size: int) -> bool:
    """Whether a file of that many bytes may be published.

    >>> fits(999_999), fits(1_000_001)
    (True, False)
    """
    return size <= _LARGEST


def _chosen(arithmetic: Arithmetic, scheme: str) -> Iterator[Case]:
    """Yield small cases of a scheme, spread over its probes."""
    probes = list(arithmetic.probes(scheme))
    tests = _SECOND_TESTS if scheme.endswith(_SECOND) else _TESTS
    step = max(1, len(probes) // tests)
    last = [case for case in probes[-2:] if _alone(case)]  # NaN, asked alone
    for case in [*probes[::step][:tests], *last]:
        small = _cut(case)
        if _elements(small) <= 4 * _ELEMENTS:
            yield small
        else:
            yield from _alone_in(arithmetic, case)


def _alone_in(arithmetic: Arithmetic, case: Case) -> Iterator[Case]:
    """Yield what a few output elements of a large case need, each as a case."""
    outputs = arithmetic.compute(case, specified(arithmetic))
    if outputs is None:
        return
    size = next(iter(outputs.values())).size
    for index in np.linspace(0, size - 1, _FEW).astype(int).tolist():
        alone = arithmetic.element(case, index)
        if _elements(alone) <= 4 * _ELEMENTS:
            yield alone


def _alone(case: Case) -> bool:
    return max(array.size for array in case.inputs.values()) == 1


def _elements(case: Case) -> int:
    return max((array.size for array in case.inputs.values()), default=0)


def _cut(case: Case) -> Case:
    """Keep every n-th element of vectors: near-ties stand together, and so some of each stay."""
    data = [name for name in ("x", "a", "b") if name in case.inputs]
    if any(case.inputs[name].ndim != 1 for name in data):
        return case
    size = max(case.inputs[name].size for name in data)
    kept = np.unique(np.linspace(0, size - 1, min(size, _ELEMENTS)).astype(int))
    cut = {name: case.inputs[name][kept] for name in data if case.inputs[name].size == size}
    return replace(case, inputs={**case.inputs, **cut})


def _test(arithmetic: Arithmetic, case: Case) -> dict[str, Any]:
    listed = []
    for shown, outputs in answers(arithmetic, case):
        answer: dict[str, Any] = {"contracts": shown}
        if outputs is None:
            answer["refused"] = True
        else:
            answer["outputs"] = {n: array_to_json(a, case.types[n]) for n, a in outputs.items()}
        listed.append(answer)
    params = {k: list(v) if isinstance(v, tuple) else v for k, v in case.params.items()}
    return {
        "flags": flags(arithmetic, case),
        "params": params,
        "inputs": {n: array_to_json(a, case.types[n]) for n, a in case.inputs.items()},
        "expected": listed,
        "result": "undefined" if undefined(arithmetic, case) else "valid",
    }


def answers(arithmetic: Arithmetic, case: Case) -> list[tuple[list[str], Outputs | None]]:
    """Return the different answers to a case, each with the names of those who give it.

    Where the specification is silent, none is called ``spec``.
    """
    silent = undefined(arithmetic, case)
    found: list[tuple[list[str], Outputs | None]] = []
    for name, axes in _named(arithmetic):
        if name == "spec" and silent:
            continue
        outputs = arithmetic.compute(case, axes)
        for names, other in found:
            if _equal(outputs, other):
                names.append(name)
                break
        else:
            found.append(([name], outputs))
    return found


def _named(arithmetic: Arithmetic) -> Iterator[tuple[str, Axes]]:
    """Yield the specification's choice and that of every preset which has one."""
    yield "spec", specified(arithmetic)
    for name in PRESETS:
        contract = preset(name)
        has_it = all(
            getattr(contract, axis, values[0]) in values for axis, values in arithmetic.axes.items()
        )
        axes = axes_of(contract, arithmetic)
        if has_it and contradiction(axes) is None:
            yield name, axes


def specified(arithmetic: Arithmetic) -> dict[str, AxisValue]:
    """Return what the specification demands, and the first value where it is silent."""
    chosen: dict[str, AxisValue] = {}
    for axis, values in arithmetic.axes.items():
        wanted = arithmetic.spec.get(axis)
        chosen[axis] = values[0] if wanted is None else wanted
    return chosen


def flags(arithmetic: Arithmetic, case: Case) -> list[str]:
    """Return the axes on which another value than the specification's changes the answer."""
    return [axis for axis in arithmetic.axes if _matters(arithmetic, case, axis)]


def undefined(arithmetic: Arithmetic, case: Case) -> bool:
    """Return whether an axis changes the answer on which the specification is silent."""
    silent = [axis for axis in arithmetic.axes if arithmetic.spec.get(axis) is None]
    return any(_matters(arithmetic, case, axis) for axis in silent)


def _matters(arithmetic: Arithmetic, case: Case, axis: str) -> bool:
    base = specified(arithmetic)
    wanted = arithmetic.compute(case, base)
    for value in arithmetic.axes[axis]:
        other: Mapping[str, AxisValue] = {**base, axis: value}
        if contradiction(other) is None and not _equal(wanted, arithmetic.compute(case, other)):
            return True
    return False


def _equal(a: Outputs | None, b: Outputs | None) -> bool:
    if a is None or b is None:
        return a is b
    return all(a[n].shape == b[n].shape and bool(same_bits(a[n], b[n]).all()) for n in a)
