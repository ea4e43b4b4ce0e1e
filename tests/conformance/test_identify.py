"""Which arithmetic a backend computes: every pair of values is told apart, or named equal.

``separated`` looks for a choice of the other axes and a probe on which two values of an axis
differ: first the specification's choice, then those of presets, then any. What is named equal must
not be separated; that is slow to show, and asked for every scheme by ``make conformance``.
"""

import random
from itertools import combinations

import numpy as np
import pytest

from refquant.contracts import PRESETS
from refquant.contracts.axes import AxisValue, contradiction
from refquant_conformance.adapters import load_backend
from refquant_conformance.arithmetic import ARITHMETICS, Arithmetic, Axes, Outputs
from refquant_conformance.arithmetic.base import axes_of, candidates, same_bits
from refquant_conformance.identify import identify
from refquant_conformance.protocol import Capability, Case, Info, Result
from refquant_conformance.subject import Local

NAMES = [f"{a.op}-{a.schemes[0]}" for a in ARITHMETICS]
CELLS = [(a, scheme) for a in ARITHMETICS for scheme in a.schemes]
one_cell_a_family = pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=NAMES)
every_cell = pytest.mark.parametrize(
    ("arithmetic", "scheme"), CELLS, ids=[f"{a.op}-{s}" for a, s in CELLS]
)


def differ(one: Outputs | None, other: Outputs | None) -> bool:
    if one is None or other is None:
        return (one is None) != (other is None)
    return any(
        one[k].shape != other[k].shape
        or not same_bits(one[k].reshape(-1), other[k].reshape(-1)).all()
        for k in one
    )


class Probes:
    """The probes of a cell; what was computed is kept by the axes that can matter."""

    def __init__(self, arithmetic: Arithmetic, scheme: str) -> None:
        self.arithmetic = arithmetic
        self.cases = list(arithmetic.probes(scheme))
        self.known: dict[tuple[object, ...], Outputs | None] = {}
        self.bases = bases(arithmetic)

    def outputs(self, axes: Axes, number: int) -> Outputs | None:
        case, relevant = self.cases[number], self.arithmetic.relevant
        matter = relevant(case) if relevant else tuple(self.arithmetic.axes)
        key = (number, *(axes[axis] for axis in matter))
        if key not in self.known:
            self.known[key] = self.arithmetic.compute(case, axes)
        return self.known[key]

    def differ(self, one: Axes, other: Axes) -> bool:
        return any(
            differ(self.outputs(one, n), self.outputs(other, n)) for n in range(len(self.cases))
        )


def bases(arithmetic: Arithmetic) -> list[Axes]:
    """Return choices to change an axis of: the specification's, presets', and any."""
    every = list(candidates(arithmetic))
    drawn = random.Random(0).sample(every, min(25, len(every)))
    known = [axes_of(contract, arithmetic) for contract in PRESETS.values()]
    return [*known[:1], *known[2:6], *drawn, *known[6:]]


def separated(probes: Probes, axis: str, one: AxisValue, other: AxisValue) -> bool:
    for base in probes.bases:
        pair = {**base, axis: one}, {**base, axis: other}
        if not any(map(contradiction, pair)) and probes.differ(*pair):
            return True
    return False


def named_equal(arithmetic: Arithmetic, scheme: str) -> set[tuple[str, frozenset[AxisValue]]]:
    return {(e.axis, frozenset(e.values)) for e in arithmetic.equal if scheme in e.schemes}


def assert_told_apart(arithmetic: Arithmetic, scheme: str) -> None:
    probes, equal = Probes(arithmetic, scheme), named_equal(arithmetic, scheme)
    for axis, values in arithmetic.axes.items():
        for one, other in combinations(values, 2):
            if (axis, frozenset((one, other))) not in equal:
                assert separated(probes, axis, one, other), (
                    f"{arithmetic.op} {scheme}: no probe tells {axis} = {one} from {other}"
                )


@one_cell_a_family
def test_every_pair_of_values_is_told_apart_or_named_equal(arithmetic: Arithmetic) -> None:
    assert_told_apart(arithmetic, arithmetic.schemes[0])


@pytest.mark.slow
@every_cell
def test_every_pair_is_told_apart_in_every_scheme(arithmetic: Arithmetic, scheme: str) -> None:
    assert_told_apart(arithmetic, scheme)


@pytest.mark.slow
@every_cell
def test_what_is_named_equal_is_not_told_apart(arithmetic: Arithmetic, scheme: str) -> None:
    probes = Probes(arithmetic, scheme)
    for axis, values in named_equal(arithmetic, scheme):
        one, other = sorted(values, key=str)
        assert not separated(probes, axis, one, other), (
            f"{arithmetic.op} {scheme}: a probe tells {axis} = {one} from {other}"
        )


@every_cell
def test_the_reference_computes_what_the_oracle_counts(arithmetic: Arithmetic, scheme: str) -> None:
    """A few elements of a few probes, for choices drawn from all."""
    rng = random.Random(scheme)
    every = list(candidates(arithmetic))
    cases = list(arithmetic.probes(scheme))
    for _ in range(12):
        axes, case = rng.choice(every), rng.choice(cases)
        for output, array in (arithmetic.compute(case, axes) or {}).items():
            for index in rng.sample(range(array.size), min(3, array.size)):
                told = array.reshape(-1)[index].item()
                counted = arithmetic.exact(case, axes, output, index)
                same = told == counted or (told != told and counted != counted)
                assert same, f"{dict(axes)}: {output}[{index}] is {told}, counted {counted}"


@every_cell
def test_an_element_alone_is_what_it_was_among_others(arithmetic: Arithmetic, scheme: str) -> None:
    rng = random.Random(scheme)
    axes = axes_of(PRESETS["onnx"], arithmetic)
    probes = [p for p in arithmetic.probes(scheme) if arithmetic.compute(p, axes) is not None]
    assert probes, "the preset onnx refuses every probe"
    for case in rng.sample(probes, min(2, len(probes))):
        whole = arithmetic.compute(case, axes)
        assert whole is not None, "chosen for it"
        output = next(iter(whole))
        index = rng.randrange(whole[output].size)
        alone = arithmetic.compute(arithmetic.element(case, index), axes)
        assert alone is not None, "refused alone"
        told = whole[output].reshape(-1)[index]
        assert told in alone[output] or np.isnan(told), f"element {index} changed"


SELECTIVE = [a for a in ARITHMETICS if a.relevant is not None]


@pytest.mark.parametrize("arithmetic", SELECTIVE, ids=[a.schemes[0] for a in SELECTIVE])
def test_axes_that_are_not_relevant_change_nothing(arithmetic: Arithmetic) -> None:
    assert arithmetic.relevant is not None, "chosen for it"
    rng = random.Random(1)
    every = list(candidates(arithmetic))
    probes = list(arithmetic.probes(arithmetic.schemes[0]))
    for case in rng.sample(probes, min(12, len(probes))):
        one, other = rng.sample(every, 2)
        matter = arithmetic.relevant(case)
        mixed = {axis: (one if axis in matter else other)[axis] for axis in arithmetic.axes}
        if contradiction(mixed) is None:
            computed = arithmetic.compute(case, one), arithmetic.compute(case, mixed)
            assert not differ(*computed), f"{dict(one)} and {mixed} differ, {matter} are equal"


@one_cell_a_family
@pytest.mark.parametrize("base", ["torch", "tflite_builtin"])
def test_a_preset_is_found_again(arithmetic: Arithmetic, base: str) -> None:
    subject = Local(load_backend(f"reference:{base}"), f"reference:{base}")
    found = identify(subject, arithmetic.op, arithmetic.schemes[0])
    own = dict(axes_of(PRESETS[base], arithmetic))
    assert own in [dict(axes) for axes in found.consistent], f"{found.name} instead of {base}"
    assert found.name != "unidentified", "what explains everything has a name"


class Liar:
    """A backend whose arithmetic nobody has: every fifth code is one too high."""

    def info(self) -> Info:
        return Info("liar", "1")

    def capabilities(self) -> list[Capability]:
        return [Capability("quantize_linear", "f32_u8")]

    def run(self, case: Case) -> Result:
        y = np.clip(np.rint(case.inputs["x"] / case.inputs["scale"]), 0, 250).astype(np.uint8)
        y[::5] += 1
        return Result({"y": y})


def test_what_nobody_computes_is_unidentified_and_has_a_nearest_arithmetic() -> None:
    with np.errstate(all="ignore"):
        found = identify(Local(Liar()), "quantize_linear", "f32_u8")
    assert (found.name, found.consistent) == ("unidentified", ()), found.name
    assert found.nearest is not None, "no nearest arithmetic"
    assert found.mismatches > 0, "the nearest one explains everything"


def test_the_evidence_is_a_case_whose_answer_strikes_the_value_out() -> None:
    found = identify(Local(load_backend("reference:onnx")), "quantize_linear", "f32_i8")
    seen = {(one.axis, one.value) for one in found.evidence}
    assert ("rounding", "half_away") in seen, f"{seen}"
    for one in found.evidence:
        assert one.would_be != one.observed, f"{one.axis} = {one.value} is no evidence"


@pytest.mark.parametrize(
    ("backend", "op", "scheme"),
    [
        ("reference:onnx", "qlinear_leaky_relu", "u8"),
        ("reference:tflite_reference", "qlinear_add", "i8"),
        ("reference:torch", "qlinear_mul", "u8"),
    ],
)
def test_what_is_left_explains_every_answer(backend: str, op: str, scheme: str) -> None:
    subject = Local(load_backend(backend))
    arithmetic = next(a for a in ARITHMETICS if a.op == op)
    probes = list(arithmetic.probes(scheme))
    answers = [answer.result for answer in subject.ask(probes)]

    def explains(axes: Axes) -> bool:
        return all(
            not differ(arithmetic.compute(probe, axes), result.outputs if result else None)
            for probe, result in zip(probes, answers, strict=True)
        )

    wanted = [dict(axes) for axes in candidates(arithmetic) if explains(axes)]
    found = [dict(axes) for axes in identify(subject, op, scheme).consistent]
    assert sorted(map(str, found)) == sorted(map(str, wanted)), "no more, no fewer"


def test_without_an_arithmetic_there_is_nothing_to_identify() -> None:
    subject = Local(load_backend("reference:onnx"))
    with pytest.raises(ValueError, match="no arithmetic for quantize_linear f32_e4m3fn"):
        identify(subject, "quantize_linear", "f32_e4m3fn")
