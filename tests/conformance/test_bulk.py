"""Growing a probe: as many elements as asked, near ties, and the same parameters."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.contracts import preset
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.bulk import GROWN, can_grow, grown
from refquant_conformance.operators import OPERATORS
from refquant_conformance.protocol import Case

CELLS = [
    (op, scheme)
    for op in GROWN
    for scheme in (min(OPERATORS[op].schemes), max(OPERATORS[op].schemes))
    if arithmetic_of(op, scheme) is not None
]


def probe(op: str, scheme: str, number: int = 0) -> Case:
    arithmetic = arithmetic_of(op, scheme)
    assert arithmetic is not None, f"{op} {scheme} has no arithmetic"
    return [case for case in arithmetic.probes(scheme) if can_grow(case)][number]


@pytest.mark.parametrize(("op", "scheme"), CELLS)
def test_three_times_the_data_gives_three_times_the_codes(op: str, scheme: str) -> None:
    arithmetic = arithmetic_of(op, scheme)
    assert arithmetic is not None, "chosen so"
    axes = axes_of(preset("onnx"), arithmetic)
    for number in (0, 2):
        probes = [c for c in arithmetic.probes(scheme) if can_grow(c)]
        case = probes[number % len(probes)]
        longer = grown(case, 3, np.random.default_rng(1))
        before, after = arithmetic.compute(case, axes), arithmetic.compute(longer, axes)
        if before is None or after is None:
            continue  # the contract refuses these inputs, grown or not
        name = OPERATORS[op].outputs[0]
        least = 3 * before[name].size - 16 * (GROWN[op] == 2)  # windows at seams
        assert after[name].size >= min(least, 3 * before[name].size), f"{op} {scheme} {number}"
        for other, array in case.inputs.items():
            if other not in ("x", "a", "b", "scale", "zero_point"):
                assert np.array_equal(longer.inputs[other], array), f"{other} has changed"


def test_four_reals_of_ten_are_beside_a_tie() -> None:
    case = probe("quantize_linear", "f32_u8", 5)
    scale = Fraction(float(case.inputs["scale"]))
    x = grown(case, 20, np.random.default_rng(0)).inputs["x"]
    beside = 0
    for value in x.tolist():
        steps = Fraction(value) / scale
        ulp = Fraction(float(np.spacing(np.float32(abs(value))))) / scale
        beside += abs(steps - (steps.numerator // steps.denominator) - Fraction(1, 2)) <= 2 * ulp
    assert beside / x.size > 0.35, f"{beside} of {x.size} are beside a tie"
    assert np.isfinite(x).all(), "NaN and infinities are left out"


def test_codes_of_sums_stay_near_those_of_the_probe() -> None:
    case = probe("qlinear_matmul", "u8_i8")
    a = grown(case, 4, np.random.default_rng(0)).inputs["a"]
    same = float((a == np.concatenate([case.inputs["a"]] * 4)).mean())
    assert 0.8 < same < 0.95, f"{same:.2f} of the codes are those of the probe"


def test_other_generators_draw_other_elements_and_a_row_of_packed_codes_stays() -> None:
    case = probe("dequantize_linear", "u8_f32")
    one, other = (grown(case, 2, np.random.default_rng(n)).inputs["x"] for n in (0, 1))
    assert not np.array_equal(one, other), "a seed changes nothing"
    row = next(c for c in arithmetic_of("pack", "u4").probes("u4") if c.inputs["x"].ndim == 1)  # type: ignore[union-attr]  # it has one
    assert not can_grow(row), "its length is a parameter"
